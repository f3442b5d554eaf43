//! What `Cache-Status`, `Age` and the record say of each answer.

use super::{CAMPAIGNS, EXPIRED, FLOWS, HIT, STORED, after_its_time, asked, told, ttl};
use crate::support::{Setup, Sidecar, alice, fault, unlimited};
use serde_json::json;

#[tokio::test]
async fn a_second_read_is_a_hit_with_its_age() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // Up to a tenth less than the matrix says.
    for (target, least, most) in [(CAMPAIGNS, 40, 45), (FLOWS, 26, 30)] {
        let read = async || {
            sidecar
                .get(target)
                .bearer(&alice())
                .client("10")
                .send()
                .await
        };
        let first = read().await;
        let left = ttl(&first);
        assert!((least..=most).contains(&left), "{target}: {left}");
        assert_eq!(
            first.header("cache-status"),
            format!("camarad-sidecar; fwd=miss; stored; ttl={left}")
        );
        assert_eq!(first.header("cache-control"), "private, no-cache");
        assert_eq!(first.header("vary"), "X-Client-ID, Authorization, Cookie");
        assert_eq!(first.header("age"), "");
        let second = read().await;
        let left_then = ttl(&second);
        assert!((1..=left).contains(&left_then), "{left} {left_then}");
        assert_eq!(
            second.header("cache-status"),
            format!("camarad-sidecar; hit; ttl={left_then}")
        );
        assert!(second.header("age").parse::<u64>().is_ok());
        for same in [
            "etag",
            "content-type",
            "cache-control",
            "vary",
            "x-camarad-source",
        ] {
            assert_eq!(first.header(same), second.header(same), "{target} {same}");
        }
        assert_eq!(first.body, second.body);
        let ids = [first, second].map(|got| got.header("x-request-id").to_owned());
        assert_ne!(ids[0], ids[1]);
        let records = [sidecar.record(&ids[0]).await, sidecar.record(&ids[1]).await];
        assert_eq!(
            (&records[0]["cache"], &records[1]["cache"]),
            (&json!("miss"), &json!("hit"))
        );
        assert_eq!(records[0]["cache_key"].as_str().unwrap().len(), 64);
        assert_eq!(records[0]["cache_key"], records[1]["cache_key"]);
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 1);
    assert_eq!(asked(&legacy, FLOWS).await.len(), 1);
    let hits = "sidecar_cache_requests_total{result=\"hit\",route=\"google-ads.campaigns\"}";
    assert_eq!(sidecar.metric(hits).await, 1.0);
    assert!(sidecar.metric("sidecar_cache_bytes").await > 0.0);
    assert_eq!(sidecar.metric("sidecar_cache_entries").await, 2.0);
}

#[tokio::test]
async fn what_is_too_old_is_fetched_anew_and_kept_again() {
    let setup = Setup::default()
        .set("SIDECAR__CACHE__TTL_PERCENT", 1)
        .set("SIDECAR__CACHE__FALLBACK_TTL", "200ms");
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    coolbits.faults(fault("not_connected")).await;
    for target in [CAMPAIGNS, FLOWS] {
        let read = async || {
            sidecar
                .get(target)
                .bearer(&alice())
                .client("10")
                .send()
                .await
        };
        let first = read().await;
        assert_eq!((told(&first), ttl(&first)), (STORED.into(), 0), "{target}");
        let anew = after_its_time(read).await;
        assert_eq!(
            anew.header("cache-status"),
            "camarad-sidecar; fwd=stale; stored; ttl=0",
            "{target}"
        );
        assert_eq!(anew.header("age"), "");
        let id = anew.header("x-request-id");
        assert_eq!(sidecar.record(id).await["cache"], "expired");
    }
    assert_eq!(asked(&legacy, FLOWS).await.len(), 2);
    let expired = "sidecar_cache_requests_total{result=\"expired\",route=\"flows.list\"}";
    assert_eq!(sidecar.metric(expired).await, 1.0);
}

#[tokio::test]
async fn what_the_app_says_is_not_to_be_stored_is_not() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let read = async || {
        let ask = sidecar.get(FLOWS).bearer(&alice()).client("10");
        ask.with("If-None-Match", "*").send().await
    };
    legacy.faults(fault("no_store")).await;
    for expected in [
        "camarad-sidecar; fwd=miss",
        "camarad-sidecar; fwd=bypass; detail=not_shared",
        "camarad-sidecar; fwd=bypass; detail=not_shared",
    ] {
        let got = read().await;
        assert_eq!((got.status, got.header("cache-status")), (200, expected));
        // Not by us, and not by the caller's browser.
        assert_eq!(
            (got.header("cache-control"), got.header("etag")),
            ("no-store", "")
        );
    }
    assert_eq!(asked(&legacy, FLOWS).await.len(), 3);
    let got = read().await;
    let id = got.header("x-request-id");
    assert_eq!(sidecar.record(id).await["cache"], "bypass");
    legacy.faults(fault("none")).await;
    let ask = || sidecar.get(FLOWS).bearer(&alice()).client("10");
    // Nobody waits for it yet, but it is kept.
    let got = ask().send().await;
    let left = ttl(&got);
    assert_eq!(
        got.header("cache-status"),
        format!("camarad-sidecar; fwd=bypass; stored; ttl={left}; detail=not_shared")
    );
    assert_eq!(told(&ask().send().await), HIT);
}

#[tokio::test]
async fn a_fallback_is_kept_for_its_short_time_only() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(fault("html")).await;
    let first = sidecar.ads(&alice(), "10", "campaigns").await;
    let left = ttl(&first);
    assert_eq!(told(&first), STORED);
    assert!((0..=5).contains(&left), "{left}");
    assert_eq!(told(&sidecar.ads(&alice(), "10", "campaigns").await), HIT);

    let setup = Setup::default().set("SIDECAR__CACHE__FALLBACK_TTL", "300ms");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    coolbits.faults(fault("html")).await;
    let read = async || sidecar.ads(&alice(), "10", "campaigns").await;
    let first = read().await;
    assert_eq!(
        first.header("cache-status"),
        "camarad-sidecar; fwd=miss; stored; ttl=0"
    );
    assert_eq!(first.json()["source"], "mock");
    coolbits.faults(fault("none")).await;
    let real = after_its_time(read).await;
    assert_eq!(
        (told(&real), &real.json()["source"]),
        (EXPIRED.into(), &json!("coolbits"))
    );
    assert!(ttl(&real) >= 40);
    assert_eq!(told(&read().await), HIT);
}

#[tokio::test]
async fn an_error_of_the_app_is_never_kept() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "1s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let mut count = 0;
    // One shared by everybody: its errors may be about one caller.
    for target in [FLOWS, "/api/connectors/aws/ec2"] {
        legacy.forget().await;
        let read = async || {
            sidecar
                .get(target)
                .bearer(&alice())
                .client("10")
                .send()
                .await
        };
        for (faults, status) in [
            (json!({"fault": "status", "status": 500}), 500),
            (json!({"fault": "status", "status": 404}), 404),
            (json!({"fault": "unauthorized"}), 401),
            (fault("hang"), 504),
            (fault("garbage"), 502),
        ] {
            // Not even for the next one.
            let times = if status == 504 { 1 } else { 2 };
            for _ in 0..times {
                legacy.faults(faults.clone()).await;
                let got = read().await;
                assert_eq!(got.status, status, "{target}: {faults}");
                assert!(!got.header("cache-status").contains("stored"), "{got:?}");
                assert_eq!(
                    (got.header("cache-control"), got.header("etag")),
                    ("no-store", "")
                );
                count += 1;
            }
        }
        // HTML with 200 is no answer of this route's, and not to be kept.
        legacy.faults(fault("html")).await;
        let got = read().await;
        assert!(!got.header("cache-status").contains("stored"), "{got:?}");
        legacy.faults(fault("none")).await;
        let good = read().await;
        assert_eq!(good.status, 200);
        assert!(
            good.header("cache-status").contains("; stored; ttl="),
            "{good:?}"
        );
        assert_eq!(told(&read().await), HIT);
    }
    assert_eq!(count, 18);
    assert_eq!(sidecar.metric("sidecar_cache_entries").await, 2.0);
}

#[tokio::test]
async fn what_is_only_reported_bypasses_the_cache_and_the_rest_does_not() {
    let setup = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let unlimited = unlimited();
    // In a client of their own, callers are cached as ever.
    for expected in [STORED, HIT] {
        let got = sidecar.ads(&alice(), "10", "campaigns").await;
        assert_eq!(told(&got), expected);
        let got = sidecar.route(&unlimited, "10", "GET /api/flows", "").await;
        assert_eq!((got.status, told(&got)), (200, expected.into()));
    }
    coolbits.forget().await;
    legacy.forget().await;
    for _ in 0..2 {
        let got = sidecar.ads(&alice(), "20", "campaigns").await;
        assert_eq!(
            (
                got.status,
                got.header("cache-status"),
                got.header("cache-control")
            ),
            (
                200,
                "camarad-sidecar; fwd=bypass; detail=not_scoped",
                "no-store"
            )
        );
        assert_eq!(got.header("etag"), "");
        // The app says that it is not theirs, and says so each time.
        let got = sidecar.route(&alice(), "20", "GET /api/flows", "").await;
        assert_eq!((got.status, told(&got)), (404, String::new()));
        let id = got.header("x-request-id");
        assert_eq!(sidecar.record(id).await["reported"], "client_not_allowed");
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
    assert_eq!(asked(&legacy, FLOWS).await.len(), 2);
}
