//! One fetch for all who ask the same, one for each who may not share, and a bound
//! on what is kept.

use super::{CAMPAIGNS, FLOWS, HIT, NOT_SHARED, PLANS, STORED, asked, second_token, told};
use crate::support::{Ask, Got, Setup, Sidecar, StandIn, alice, bob, caller, eventually, fault};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinHandle;

/// So many at once, each of these in turn.
fn reads(
    sidecar: &Sidecar,
    target: &str,
    who: &[(String, &'static str)],
    count: usize,
) -> Vec<JoinHandle<Got>> {
    let (caller, url) = (caller(), sidecar.url(target));
    let reads = who.iter().cycle().take(count);
    let reads = reads.map(|(token, client)| {
        let ask = caller.get(&url).bearer_auth(token);
        let ask = ask.header("X-Client-ID", *client);
        tokio::spawn(async move { Got::from(ask.send().await.unwrap()).await })
    });
    reads.collect()
}

async fn all(reads: Vec<JoinHandle<Got>>) -> Vec<Got> {
    let mut got = Vec::new();
    for read in reads {
        got.push(read.await.unwrap());
    }
    got
}

#[tokio::test]
async fn a_thousand_equal_reads_make_one_report_and_two_tenants_two() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits
        .faults(json!({"latency_ms": 500, "latency_only": "/report"}))
        .await;
    let of = |token: &str, client| (token.to_owned(), client);
    let (alice, bob, second) = (alice(), bob(), second_token());
    let collapsed = "camarad-sidecar; fwd=miss; collapsed";
    for (at, (what, who)) in [
        ("the same", vec![of(&alice, "10")]),
        ("two users", vec![of(&alice, "10"), of(&bob, "20")]),
        (
            "two tokens of one user",
            vec![of(&alice, "10"), of(&second, "10")],
        ),
        (
            "two clients of one user",
            vec![of(&alice, "10"), of(&alice, "11")],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        coolbits.forget().await;
        // The first is asked a thousand times; who shares with whom shows with fewer.
        let count = if at == 0 { 1000 } else { 60 };
        let target = format!("{CAMPAIGNS}?type={at}");
        let answers = all(reads(&sidecar, &target, &who, count)).await;
        let mut results = BTreeMap::<String, usize>::new();
        let mut bodies = BTreeSet::new();
        for (n, got) in answers.iter().enumerate() {
            assert_eq!(
                (got.status, &got.json()["source"]),
                (200, &json!("coolbits"))
            );
            *results.entry(told(got)).or_default() += 1;
            if told(got) == "fwd=miss; collapsed" {
                assert_eq!(got.header("cache-status"), collapsed);
            }
            bodies.insert((n % who.len(), got.body.clone()));
        }
        assert_eq!(
            coolbits.calls_to("/report").await.len(),
            who.len(),
            "{what}"
        );
        assert_eq!(bodies.len(), who.len(), "{what}: everybody gets their own");
        assert_eq!(results[STORED], who.len(), "{what}: {results:?}");
        assert!(results["fwd=miss; collapsed"] > 0, "{what}: {results:?}");
        let others = count - results["fwd=miss; collapsed"] - results.get(HIT).unwrap_or(&0);
        assert_eq!(others, who.len(), "{what}: {results:?}");
    }
    let fetched = "sidecar_cache_requests_total{result=\"miss\",route=\"google-ads.campaigns\"}";
    assert_eq!(sidecar.metric(fetched).await, 7.0);
}

/// Answers each carrying the id of its own request, as a cookie.
fn assert_own_cookies(answers: &[Got]) {
    for got in answers {
        let id = got.header("x-request-id");
        assert!(!id.is_empty());
        assert_eq!(
            got.header("set-cookie"),
            format!("answered={id}; Path=/; HttpOnly")
        );
        assert_eq!(got.header("cache-control"), "no-store");
        assert_eq!(got.header("etag"), "");
        let told = told(got);
        assert!(told == "fwd=miss" || told == NOT_SHARED, "{told}");
    }
}

/// So many more are at the app at once, although it answers none of them.
async fn assert_nobody_waits(
    sidecar: &Sidecar,
    legacy: &StandIn,
    target: &str,
    who: &[(String, &'static str)],
) {
    let before = asked(legacy, target).await.len();
    legacy.faults(fault("hang")).await;
    let reads = reads(sidecar, target, who, 20);
    eventually("all are at the app", || async {
        asked(legacy, target).await.len() == before + 20
    })
    .await;
    for read in reads {
        assert!(!read.is_finished());
        read.abort();
    }
}

#[tokio::test]
async fn who_may_not_share_an_answer_does_not_queue_for_it_either() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (target, who) in [
        // Shared by everybody, and by those with one token.
        (PLANS, vec![(alice(), "10"), (bob(), "20")]),
        (FLOWS, vec![(alice(), "10")]),
    ] {
        legacy
            .faults(json!({"fault": "set_cookie", "latency_ms": 200}))
            .await;
        let answers = all(reads(&sidecar, target, &who, 20)).await;
        assert_eq!(asked(&legacy, target).await.len(), 20, "{target}");
        assert_own_cookies(&answers);
        let later = all(reads(&sidecar, target, &who, 1)).await;
        assert_own_cookies(&later);
        assert_eq!(told(&later[0]), NOT_SHARED);
        assert_nobody_waits(&sidecar, &legacy, target, &who).await;
    }
}

#[tokio::test]
async fn an_error_that_sets_a_cookie_is_its_callers_alone() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"fault": "set_cookie", "status": 409, "latency_ms": 300}))
        .await;
    let answers = all(reads(&sidecar, FLOWS, &[(alice(), "10")], 10)).await;
    assert!(answers.iter().all(|got| got.status == 409));
    assert_own_cookies(&answers);
    assert_eq!(asked(&legacy, FLOWS).await.len(), 10);
}

#[tokio::test]
async fn what_is_kept_stays_within_its_bound() {
    let bound = 20_000.0;
    let setup = Setup::default().set("SIDECAR__CACHE__CAPACITY_BYTES", bound);
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let read = async |n: usize| {
        let target = format!("{FLOWS}?n={n}");
        let got = sidecar.get(&target).bearer(&alice()).client("10");
        got.send().await
    };
    let first = read(0).await;
    assert_eq!(told(&first), STORED);
    for n in 1..40 {
        let got = read(n).await;
        assert_eq!((got.status, &got.body), (200, &first.body));
        if n % 8 == 0 {
            let bytes = sidecar.metric("sidecar_cache_bytes").await;
            assert!(bytes > 0.0 && bytes <= bound, "{bytes}");
        }
    }
    let evictions = sidecar.metric("sidecar_cache_evictions_total").await;
    let entries = sidecar.metric("sidecar_cache_entries").await;
    assert_eq!(evictions + entries, 40.0);
    assert!(evictions >= 10.0, "{evictions}");
    assert_eq!(asked(&legacy, FLOWS).await.len(), 40);
    let again = read(39).await;
    assert_eq!((again.status, again.body), (200, first.body));
}

#[tokio::test]
async fn without_capacity_nothing_is_kept() {
    let setup = Setup::default().set("SIDECAR__CACHE__CAPACITY_BYTES", 0);
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    for _ in 0..2 {
        let got = sidecar.ads(&alice(), "10", "campaigns").await;
        assert_eq!(told(&got), "fwd=miss");
        let got = sidecar.route(&alice(), "10", "GET /api/flows", "").await;
        assert_eq!(told(&got), "fwd=miss");
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
    assert_eq!(asked(&legacy, FLOWS).await.len(), 2);
    assert_eq!(sidecar.metric("sidecar_cache_bytes").await, 0.0);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_fetch_of_those_who_wait() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(json!({"latency_ms": 400})).await;
    let url = sidecar.url(CAMPAIGNS);
    let leader = tokio::spawn(Ask::get(&url).bearer(&alice()).client("10").send());
    eventually("the fetch is under way", || async {
        !coolbits.calls_to("/customer").await.is_empty()
    })
    .await;
    let waiter = tokio::spawn(Ask::get(&url).bearer(&alice()).client("10").send());
    leader.abort();
    let got = waiter.await.unwrap();
    assert_eq!(got.json()["source"], "coolbits");
    assert_eq!(coolbits.calls_to("/report").await.len(), 1);
}

#[tokio::test]
async fn a_warm_cache_answers_nobody_who_may_not_ask() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for target in [CAMPAIGNS, FLOWS, "/api/connectors/aws/ec2"] {
        let get = |token: String, client| sidecar.get(target).bearer(&token).client(client);
        let warm = get(alice(), "10").send().await;
        assert_eq!((warm.status, told(&warm)), (200, STORED.into()), "{target}");
        assert_eq!(get(bob(), "10").send().await.status, 404, "{target}");
        assert_eq!(get(alice(), "20").send().await.status, 404, "{target}");
        assert_eq!(get("no token".into(), "10").send().await.status, 401);
        let nobody = sidecar.get(target).client("10").send().await;
        assert_eq!(nobody.status, 401, "{target}");
        assert_eq!(told(&get(alice(), "10").send().await), HIT, "{target}");
    }
}
