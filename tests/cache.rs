//! The cache as callers see it: one upstream report for equal reads, and never
//! one tenant's answer for another.

use crate::support::{Ask, Setup, Sidecar, alice, bob, fault};
use serde_json::json;

const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";

#[tokio::test]
async fn a_second_read_is_a_hit_with_its_age() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = sidecar.ads(&alice(), "10", "campaigns").await;
    // 45 s and up to a tenth less.
    let told = first.header("cache-status");
    let left = told.strip_prefix("camarad-sidecar; fwd=miss; stored; ttl=");
    let left: u64 = left.unwrap().parse().unwrap();
    assert!((40..=45).contains(&left), "{told}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    assert_eq!(first.header("vary"), "X-Client-ID, Authorization, Cookie");
    let second = sidecar.ads(&alice(), "10", "campaigns").await;
    assert!(
        second
            .header("cache-status")
            .starts_with("camarad-sidecar; hit; ttl=4")
    );
    assert!(!second.header("age").is_empty());
    assert_eq!(first.body, second.body);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(coolbits.calls_to("/report").await.len(), 1);
    let hits = "sidecar_cache_requests_total{result=\"hit\",route=\"google-ads.campaigns\"}";
    assert_eq!(sidecar.metric(hits).await, 1.0);
    assert!(sidecar.metric("sidecar_cache_bytes").await > 0.0);
}

#[tokio::test]
async fn two_hundred_equal_reads_make_one_report_and_two_tenants_two() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(json!({"latency_ms": 300})).await;
    let read = |token: String, client: &'static str, count: usize| {
        let url = sidecar.url(CAMPAIGNS);
        let tasks: Vec<_> = (0..count)
            .map(|_| tokio::spawn(Ask::get(&url).bearer(&token).client(client).send()))
            .collect();
        async move {
            let mut bodies = std::collections::BTreeSet::new();
            for task in tasks {
                let got = task.await.unwrap();
                assert_eq!(got.status, 200);
                bodies.insert(got.body);
            }
            bodies
        }
    };
    let bodies = read(alice(), "10", 200).await;
    assert_eq!(
        (bodies.len(), coolbits.calls_to("/report").await.len()),
        (1, 1)
    );
    coolbits.forget().await;
    let (theirs, other_client) = tokio::join!(read(bob(), "20", 100), read(alice(), "11", 100));
    assert_eq!((theirs.len(), other_client.len()), (1, 1));
    assert!(theirs.is_disjoint(&bodies));
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
}

#[tokio::test]
async fn another_token_of_the_same_user_is_another_key() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let other = crate::support::Claims::new(1, &[10]).with("jti", json!("other"));
    sidecar.ads(&alice(), "10", "campaigns").await;
    sidecar
        .ads(&crate::support::token(other), "10", "campaigns")
        .await;
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
}

#[tokio::test]
async fn a_warm_cache_answers_nobody_who_may_not_ask() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let warm = sidecar.ads(&alice(), "10", "campaigns").await;
    assert_eq!(warm.status, 200);
    assert_eq!(sidecar.ads(&bob(), "10", "campaigns").await.status, 404);
    assert_eq!(sidecar.get(CAMPAIGNS).client("10").send().await.status, 401);
    assert_eq!(sidecar.ads(&alice(), "20", "campaigns").await.status, 404);
}

#[tokio::test]
async fn a_fallback_is_kept_for_its_short_time_only() {
    let setup = Setup::default().set("SIDECAR__CACHE__FALLBACK_TTL", "300ms");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    coolbits.faults(fault("html")).await;
    let first = sidecar.ads(&alice(), "10", "campaigns").await;
    assert_eq!(
        first.header("cache-status"),
        "camarad-sidecar; fwd=miss; stored; ttl=0"
    );
    coolbits.faults(fault("none")).await;
    crate::support::eventually("the real figures are back", || async {
        sidecar.ads(&alice(), "10", "campaigns").await.json()["source"] == "coolbits"
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_fetch_of_those_who_wait() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(json!({"latency_ms": 400})).await;
    let url = sidecar.url(CAMPAIGNS);
    let leader = tokio::spawn(Ask::get(&url).bearer(&alice()).client("10").send());
    crate::support::eventually("the fetch is under way", || async {
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
async fn without_capacity_nothing_is_kept() {
    let setup = Setup::default().set("SIDECAR__CACHE__CAPACITY_BYTES", 0);
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    sidecar.ads(&alice(), "10", "campaigns").await;
    sidecar.ads(&alice(), "10", "campaigns").await;
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
}
