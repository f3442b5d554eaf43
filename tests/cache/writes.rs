//! When a write makes worthless what is kept: from its beginning to its end, in
//! either lane, and however it ends.

use super::{FLOWS, HIT, MISS, STORED, asked, callers, told};
use crate::support::{Ask, Got, Setup, Sidecar, StandIn, alice, eventually, fault};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const COMPOSE: &str = "POST /api/orchestrator/compose";
const CREATE: &str = "POST /api/flows";
const NEW_FLOW: &str = r#"{"name": "Fresh", "flow": {"nodes": [], "connections": []}}"#;

#[tokio::test]
async fn a_get_that_writes_is_asked_each_time_and_drops_like_a_write() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, _) = callers(&sidecar);
    for target in [
        "/api/flows/templates",
        "/api/orchestrator/templates",
        "/api/agents/list",
        "/api/user/snapshot",
        "/api/settings/billing",
        "/api/connectors/ga4/auth-url",
    ] {
        for _ in 0..2 {
            alice.warm(FLOWS).await;
            let got = alice.read(target).await;
            assert_eq!(
                (told(&got), got.header("etag")),
                (String::new(), ""),
                "{target}"
            );
            assert_ne!(told(&alice.read(FLOWS).await), HIT, "{target}");
        }
        assert_eq!(asked(&legacy, target).await.len(), 2, "{target}");
    }
}

#[tokio::test]
async fn a_write_that_fails_may_have_been_carried_out() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "1s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let (alice, bob) = callers(&sidecar);
    bob.warm(FLOWS).await;
    for (route, body) in [(CREATE, NEW_FLOW), (COMPOSE, "{}")] {
        for (faults, status) in [
            (json!({"fault": "status", "status": 500}), 500),
            (fault("hang"), 504),
            (fault("reset"), 502),
            (json!({"fault": "status", "status": 409}), 409),
        ] {
            alice.warm(FLOWS).await;
            legacy.faults(faults.clone()).await;
            assert_eq!(
                alice.send(route, body).await.status,
                status,
                "{route} {faults}"
            );
            legacy.faults(fault("none")).await;
            assert_ne!(told(&alice.read(FLOWS).await), HIT, "{route} {faults}");
        }
        // A refused one was not sent, and changed nothing.
        alice.warm(FLOWS).await;
        let refused = sidecar.route(&alice.token, "20", route, body).await;
        assert_eq!(refused.status, 404, "{route}");
        assert_eq!(told(&alice.read(FLOWS).await), HIT, "{route}");
    }
    assert_eq!(told(&bob.read(FLOWS).await), HIT);
}

/// Everything is answered late.
fn slow() -> Value {
    json!({"latency_ms": 1500})
}

/// Begins a request whose answer goes wrong so, and returns when it is at the app and
/// the app answers others as ever.
async fn begin(
    sidecar: &Sidecar,
    legacy: &StandIn,
    faults: Value,
    route: &str,
    body: &str,
) -> JoinHandle<Got> {
    let (method, path) = route.split_once(' ').unwrap();
    let before = asked(legacy, path).await.len();
    legacy.faults(faults).await;
    let ask = Ask::new(method, &sidecar.url(path));
    let ask = ask
        .bearer(&alice())
        .client("10")
        .with("Content-Type", "application/json");
    // A GET with a body would be refused.
    let ask = if body.is_empty() {
        ask
    } else {
        ask.body(body.to_owned())
    };
    let begun = tokio::spawn(ask.send());
    eventually("it is at the app", || async {
        asked(legacy, path).await.len() > before
    })
    .await;
    legacy.faults(fault("none")).await;
    begun
}

#[tokio::test]
async fn a_read_from_before_a_write_is_not_kept_and_nobody_joins_it() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, _) = callers(&sidecar);
    for (route, body) in [(CREATE, NEW_FLOW), (COMPOSE, "{}")] {
        sidecar.purge(json!({"all": true})).await;
        let before = begin(&sidecar, &legacy, slow(), "GET /api/flows", "").await;
        assert_eq!(alice.send(route, body).await.status, 200);
        let next = alice.read(FLOWS).await;
        assert!(
            [STORED, MISS].contains(&told(&next).as_str()),
            "{route}: {next:?}"
        );
        assert!(
            !before.is_finished(),
            "{route}: the next one waited for nobody"
        );
        let made = next.json().as_array().unwrap().len();
        assert_eq!(made, 2, "{route}: {next:?}");
        let before = before.await.unwrap();
        assert_eq!(
            (before.status, told(&before)),
            (200, MISS.into()),
            "{route}"
        );
        alice.warm(FLOWS).await;
    }
}

#[tokio::test]
async fn a_read_from_during_a_write_is_dropped_at_its_end() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "2s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let (alice, _) = callers(&sidecar);
    let mut count = 1;
    for (route, body, faults, status) in [
        (CREATE, NEW_FLOW, slow(), 200),
        (CREATE, NEW_FLOW, fault("hang"), 504),
        (COMPOSE, "{}", slow(), 200),
        (COMPOSE, "{}", fault("hang"), 504),
    ] {
        let write = begin(&sidecar, &legacy, faults, route, body).await;
        // What was kept before the write is gone, and this is kept meanwhile.
        for expected in [STORED, HIT] {
            let got = alice.read(FLOWS).await;
            assert_eq!(told(&got), expected, "{route} {status}");
            assert_eq!(got.json().as_array().unwrap().len(), count, "{route}");
        }
        assert!(!write.is_finished(), "{route} {status}");
        assert_eq!(write.await.unwrap().status, status, "{route}");
        count += usize::from(route == CREATE && status == 200);
        let got = alice.read(FLOWS).await;
        assert_ne!(told(&got), HIT, "{route} {status}");
        assert_eq!(got.json().as_array().unwrap().len(), count, "{route}");
        alice.warm(FLOWS).await;
    }
}
