//! The cache as callers see it: one upstream report for equal reads, and never
//! one tenant's answer for another.

mod app_reads;
mod changes;
mod etags;
mod purges;
mod sharing;
mod stale;
mod told;
mod upstream;
mod writes;

use crate::support::{Claims, Got, Sidecar, StandIn, alice, bob, eventually, token};
use serde_json::{Value, json};
use std::cell::RefCell;

const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";
const FLOWS: &str = "/api/flows";
const CLIENTS: &str = "/api/clients";
const LIST: &str = "/api/connectors/list";
const PLANS: &str = "/api/pricing/plans";

/// What `Cache-Status` says, its seconds left out.
const HIT: &str = "hit";
const STORED: &str = "fwd=miss; stored";
const MISS: &str = "fwd=miss";
const EXPIRED: &str = "fwd=stale; stored";
const STALE: &str = "fwd=stale; detail=stale_if_error";
const NOT_SHARED: &str = "fwd=bypass; detail=not_shared";

/// What the cache did, without the seconds; nothing where it was not asked.
fn told(got: &Got) -> String {
    let parts = got.header("cache-status").split("; ");
    let parts = parts.filter(|part| *part != "camarad-sidecar" && !part.starts_with("ttl="));
    parts.collect::<Vec<_>>().join("; ")
}

/// The seconds of `Cache-Status`.
fn ttl(got: &Got) -> i64 {
    let mut parts = got.header("cache-status").split("; ");
    let ttl = parts.find_map(|part| part.strip_prefix("ttl="));
    ttl.unwrap_or_else(|| panic!("no ttl: {got:?}"))
        .parse()
        .unwrap()
}

/// A token of user 1 for both clients that is not the one of the other tests.
fn second_token() -> String {
    token(Claims::new(1, &[10, 11]).with("jti", json!("second")))
}

/// What callers asked the app for at this path, the sidecar's own look-ups aside.
async fn asked(legacy: &StandIn, path: &str) -> Vec<Value> {
    let mut calls = legacy.forwarded().await;
    calls.retain(|call| call["path"] == path);
    calls
}

/// For whom the app was asked: user and client.
fn whom(calls: &[Value]) -> Vec<(Value, Value)> {
    let of = |call: &Value, name: &str| call["headers"][name].clone();
    let whom = calls.iter();
    whom.map(|call| (of(call, "x-user-id"), of(call, "x-client-id")))
        .collect()
}

/// The first answer that is not the kept one as it was.
async fn after_its_time(read: impl AsyncFn() -> Got) -> Got {
    first_other_than(HIT, read).await
}

/// The first answer of which `Cache-Status` does not say this any more.
async fn first_other_than(result: &str, read: impl AsyncFn() -> Got) -> Got {
    let last = RefCell::new(None);
    eventually("the time of what was kept is over", || async {
        let got = read().await;
        let is_over = told(&got) != result;
        last.replace(Some(got));
        is_over
    })
    .await;
    last.take().unwrap()
}

/// One caller in one client.
struct Caller<'a> {
    sidecar: &'a Sidecar,
    token: String,
    client: &'static str,
}

impl Caller<'_> {
    async fn read(&self, target: &str) -> Got {
        let got = self.send(&format!("GET {target}"), "").await;
        assert_eq!(got.status, 200, "{target}: {got:?}");
        got
    }

    async fn send(&self, route: &str, body: &str) -> Got {
        self.sidecar
            .route(&self.token, self.client, route, body)
            .await
    }

    /// Reads until it is kept: the end of a streamed write drops what its caller read quickly.
    async fn warm(&self, target: &str) {
        eventually("it is kept", || async {
            told(&self.read(target).await) == HIT
        })
        .await;
    }

    /// The values of a field, of an answer that was not kept before.
    async fn anew(&self, target: &str, field: &str) -> Vec<Value> {
        let got = self.read(target).await;
        assert_eq!(told(&got), STORED, "{target}");
        let again = self.read(target).await;
        assert_eq!(
            (told(&again), &again.body),
            (HIT.into(), &got.body),
            "{target}"
        );
        let rows = got.json();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row[field].clone()).collect()
    }
}

fn callers(sidecar: &Sidecar) -> (Caller<'_>, Caller<'_>) {
    let caller = |token, client| Caller {
        sidecar,
        token,
        client,
    };
    (caller(alice(), "10"), caller(bob(), "20"))
}
