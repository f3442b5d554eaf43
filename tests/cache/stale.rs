//! Real figures a little old, where Coolbits is out of order for a moment.

use super::{CAMPAIGNS, EXPIRED, HIT, STALE, STORED, after_its_time, first_other_than, told, ttl};
use crate::support::{Got, Setup, Sidecar, alice, eventually, fault};
use serde_json::{Value, json};

/// Answers are kept for less than half a second, and real ones may stand in for this long.
fn setup(stale: &str) -> Setup {
    Setup::default()
        .set("SIDECAR__CACHE__TTL_PERCENT", 1)
        .set("SIDECAR__CACHE__STALE_IF_ERROR", stale)
        .set("SIDECAR__GATEWAY__DEADLINE", "2s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s")
}

async fn read(sidecar: &Sidecar, query: &str) -> Got {
    let target = format!("{CAMPAIGNS}?{query}");
    let got = sidecar
        .get(&target)
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(got.status, 200);
    got
}

fn source(got: &Got) -> Value {
    got.json()["source"].clone()
}

/// That it is what was read before, and says that it is old and why.
fn assert_stands_in(got: &Got, real: &Got, error: &str) {
    let (mut expected, old) = (real.json(), got.json());
    assert_eq!(expected["source"], "coolbits");
    expected["gateway"]["stale"] = json!(true);
    expected["gateway"]["error"] = json!(error);
    assert_eq!(old, expected);
    let past = ttl(got);
    assert!((-60..0).contains(&past), "{past}");
    assert_eq!(
        got.header("cache-status"),
        format!("camarad-sidecar; fwd=stale; ttl={past}; detail=stale_if_error")
    );
    assert_eq!(got.header("x-camarad-source"), "coolbits");
    assert!(got.header("age").parse::<u64>().is_ok());
    assert_ne!(got.header("etag"), real.header("etag"));
}

#[tokio::test]
async fn real_figures_stand_in_while_coolbits_fails() {
    let (sidecar, coolbits, _legacy) = {
        let setup = setup("1m").without_breaker();
        Sidecar::with_stand_ins(setup).await
    };
    let faults = [
        (fault("reset"), "unreachable"),
        (fault("hang"), "timeout"),
        (json!({"fault": "status", "status": 500}), "http_5xx"),
        (fault("html"), "bad_payload"),
    ];
    for (faults, error) in &faults {
        let read = async || read(&sidecar, &format!("type={error}")).await;
        let real = read().await;
        assert_eq!(
            (told(&real), source(&real)),
            (STORED.into(), json!("coolbits")),
            "{error}"
        );
        coolbits.faults(faults.clone()).await;
        let old = after_its_time(read).await;
        assert_stands_in(&old, &real, error);
        let record = sidecar.record(old.header("x-request-id")).await;
        assert_eq!(
            (&record["cache"], &record["fallback"]),
            (&json!("stale"), &Value::Null)
        );
        coolbits.faults(fault("none")).await;
        let back = first_other_than(STALE, read).await;
        assert_eq!(
            (told(&back), &back.body),
            (EXPIRED.into(), &real.body),
            "{error}"
        );
    }
    let stale = "sidecar_cache_requests_total{result=\"stale\",route=\"google-ads.campaigns\"}";
    assert!(sidecar.metric(stale).await >= faults.len() as f64);
    let page = sidecar.metrics().await;
    assert!(
        !page.contains("sidecar_fallbacks_total{"),
        "the mock answered nothing"
    );
    // Hidden from callers, and not from operators.
    let hidden = "sidecar_responses_5xx_total{origin=\"coolbits\"}";
    assert!(sidecar.metric(hidden).await >= faults.len() as f64);
}

#[tokio::test]
async fn real_figures_stand_in_while_coolbits_is_not_asked() {
    let setup = setup("1m")
        .set("SIDECAR__BREAKER__CONSECUTIVE", 1)
        .set("SIDECAR__BREAKER__OPEN", "1m")
        .set("SIDECAR__CACHE__FALLBACK_TTL", "0s");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let real = read(&sidecar, "").await;
    coolbits
        .faults(json!({"fault": "status", "status": 503}))
        .await;
    let failed = after_its_time(async || read(&sidecar, "").await).await;
    assert_stands_in(&failed, &real, "http_5xx");
    coolbits.forget().await;
    for _ in 0..2 {
        assert_stands_in(&read(&sidecar, "").await, &real, "breaker_open");
    }
    assert!(coolbits.calls().await.is_empty());
    // Nothing stands in for what was never read.
    let other = read(&sidecar, "type=other").await;
    assert_eq!(source(&other), "mock");
    assert_eq!(other.json()["gateway"]["error"], "breaker_open");
    assert_eq!(other.json()["gateway"]["stale"], Value::Null);
    // Nor for somebody else.
    let bobs = sidecar.ads(&crate::support::bob(), "20", "campaigns").await;
    assert_eq!(source(&bobs), "mock");
}

#[tokio::test]
async fn what_coolbits_says_itself_is_not_hidden_by_what_was() {
    let setup = setup("1m").without_breaker();
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    for kind in ["not_connected", "unauthorized"] {
        coolbits.faults(fault("none")).await;
        let read = async || read(&sidecar, &format!("type={kind}")).await;
        assert_eq!(source(&read().await), "coolbits");
        coolbits.faults(fault(kind)).await;
        let now = after_its_time(read).await;
        assert_eq!(
            (told(&now), source(&now)),
            (EXPIRED.into(), json!("mock")),
            "{kind}"
        );
        assert_eq!(now.json()["gateway"]["error"], kind);
        // And what was real before is gone for good.
        coolbits.faults(fault("reset")).await;
        let later = after_its_time(read).await;
        assert_eq!(
            (told(&later), source(&later)),
            (EXPIRED.into(), json!("mock")),
            "{kind}"
        );
        assert_eq!(later.json()["gateway"]["error"], "unreachable", "{kind}");
    }
}

#[tokio::test]
async fn nothing_stands_in_beyond_its_time_or_unless_it_is_asked_for() {
    for (stale, stands_in) in [("1500ms", true), ("0s", false)] {
        let setup = setup(stale).without_breaker();
        let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
        let real = read(&sidecar, "").await;
        assert_eq!(source(&real), "coolbits");
        coolbits.faults(fault("reset")).await;
        let results = std::cell::RefCell::new(Vec::new());
        eventually("the mock answers", || async {
            let got = read(&sidecar, "").await;
            results.borrow_mut().push(told(&got));
            source(&got) == "mock"
        })
        .await;
        let results = results.into_inner();
        assert_eq!(
            results.iter().any(|told| told == STALE),
            stands_in,
            "{results:?}"
        );
        // And from then on.
        for _ in 0..2 {
            let got = read(&sidecar, "").await;
            assert_eq!(source(&got), "mock", "{got:?}");
        }
        let first = results.iter().find(|told| *told != HIT);
        let expected = if stands_in { STALE } else { EXPIRED };
        assert_eq!(first.map(String::as_str), Some(expected), "{results:?}");
    }
}
