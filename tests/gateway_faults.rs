//! Every way in which Coolbits fails ends in the mock: 200, an honest tag, a
//! record and metrics, and no figure that the page could stumble over.

use crate::support::{Got, Setup, Sidecar, alice, fault};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn quick() -> Setup {
    Setup::default()
        .set("SIDECAR__GATEWAY__DEADLINE", "3s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "2s")
        .without_breaker()
}

/// The mock's answer with this code.
fn assert_mock(got: &Got, code: &str) {
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "mock"),
        "{code}"
    );
    let answer = got.json();
    assert_eq!(answer["source"], "mock", "{code}");
    assert_eq!(answer["gateway"]["enabled"], true, "{code}");
    assert_eq!(answer["gateway"]["error"], code, "{answer}");
    assert!(no_nulls(&answer), "{answer}");
}

fn no_nulls(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().all(no_nulls),
        Value::Object(fields) => fields.values().all(no_nulls),
        _ => true,
    }
}

#[tokio::test]
async fn every_fault_of_coolbits_is_a_mock_answer_with_its_code() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    let rows = [
        (json!({"fault": "hang"}), "timeout"),
        (json!({"fault": "hang_body"}), "timeout"),
        (json!({"latency_ms": 3000}), "timeout"),
        (json!({"fault": "slow_body"}), "timeout"),
        (json!({"fault": "reset"}), "unreachable"),
        (json!({"fault": "close"}), "unreachable"),
        (json!({"fault": "garbage"}), "bad_payload"),
        (json!({"fault": "two_lengths"}), "bad_payload"),
        (json!({"fault": "bad_chunk"}), "bad_payload"),
        (json!({"fault": "huge_head"}), "bad_payload"),
        (json!({"fault": "status", "status": 500}), "http_5xx"),
        (json!({"fault": "status", "status": 502}), "http_5xx"),
        (json!({"fault": "status", "status": 404}), "http_4xx"),
        (json!({"fault": "status", "status": 403}), "http_4xx"),
        (json!({"fault": "status", "status": 429}), "http_4xx"),
        (json!({"fault": "unauthorized"}), "unauthorized"),
        (json!({"fault": "not_connected"}), "not_connected"),
        (json!({"fault": "html"}), "bad_payload"),
        (json!({"fault": "cut_off_json"}), "bad_payload"),
        (json!({"fault": "cut_off_body"}), "bad_payload"),
        (json!({"fault": "list_data"}), "bad_payload"),
        (json!({"fault": "text_in_numbers"}), "bad_payload"),
        (json!({"fault": "huge"}), "bad_payload"),
        (json!({"fault": "gzip"}), "bad_payload"),
        (json!({"fault": "redirect"}), "bad_payload"),
        (json!({"fault": "empty_rows"}), "empty"),
    ];
    for (at, (mut faults, code)) in rows.into_iter().enumerate() {
        // In the selection and in the read alike, save where only a report can go wrong.
        for part in ["/report", "/customer"] {
            let of_selection = matches!(
                faults["fault"].as_str(),
                None | Some(
                    "hang" | "reset" | "close" | "garbage" | "unauthorized" | "not_connected"
                )
            );
            if part == "/customer" && !of_selection {
                continue;
            }
            faults["only"] = json!(part);
            coolbits.faults(faults.clone()).await;
            // Another query each time: the answer before must not come from the cache.
            let got = sidecar
                .ads(&alice(), "10", &format!("campaigns?days={}", at + 1))
                .await;
            let got = match part {
                "/report" => got,
                _ => {
                    sidecar
                        .ads(&alice(), "10", &format!("campaigns?days={}", at + 100))
                        .await
                }
            };
            assert_mock(&got, code);
            let record = sidecar.record(got.header("x-request-id")).await;
            assert_eq!(
                (&record["fallback"], &record["source"]),
                (&json!(code), &json!("mock"))
            );
        }
        let series =
            format!("sidecar_fallbacks_total{{reason=\"{code}\",route=\"google-ads.campaigns\"}}");
        assert!(sidecar.metric(&series).await >= 1.0, "{series}");
    }
    // The mock answered for eight kinds of failure of Coolbits' own; they count as its 5xx.
    assert!(
        sidecar
            .metric("sidecar_responses_5xx_total{origin=\"coolbits\"}")
            .await
            >= 15.0
    );
    assert_eq!(
        sidecar
            .metric("sidecar_burst_5xx{origin=\"coolbits\"}")
            .await,
        1.0
    );
    assert_eq!(
        sidecar
            .metric("sidecar_burst_5xx{origin=\"sidecar\"}")
            .await,
        0.0
    );
    assert_eq!(
        sidecar.metric("sidecar_gateway_up").await,
        1.0,
        "an empty answer is an answer"
    );
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    coolbits.faults(fault("early_hints")).await;
    let got = sidecar.ads(&alice(), "10", "campaigns").await;
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "coolbits")
    );
}

#[tokio::test]
async fn every_operation_falls_back_alike() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    for (kind, code) in [
        ("html", "bad_payload"),
        ("reset", "unreachable"),
        ("not_connected", "not_connected"),
        ("list_data", "bad_payload"),
        ("empty_rows", "empty"),
    ] {
        coolbits.faults(fault(kind)).await;
        for operation in ["accounts", "campaigns", "metrics", "reports"] {
            let got = sidecar
                .ads(&alice(), "10", &format!("{operation}?type={kind}"))
                .await;
            assert_eq!(got.json()["gateway"]["error"], code, "{operation} {kind}");
            assert_eq!(got.header("x-camarad-source"), "mock");
        }
        let got = sidecar
            .ads(&alice(), "10", &format!("keywords?type={kind}"))
            .await;
        assert_mock(&got, code);
    }
}

#[tokio::test]
async fn it_goes_from_real_to_mock_and_back_without_a_restart() {
    let (sidecar, mut coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    let ask = |days: u32| {
        let target = format!("campaigns?days={days}");
        let sidecar = &sidecar;
        async move {
            let started = Instant::now();
            let got = sidecar.ads(&alice(), "10", &target).await;
            (got, started.elapsed())
        }
    };
    assert_eq!(ask(1).await.0.json()["source"], "coolbits");
    coolbits.faults(fault("hang")).await;
    let (got, took) = ask(2).await;
    assert_mock(&got, "timeout");
    // The deadline is a promise to the caller, with room for a noisy machine.
    assert!(took < Duration::from_millis(3000 + 2000), "{took:?}");
    coolbits.stop().await;
    let (got, took) = ask(3).await;
    assert_mock(&got, "unreachable");
    assert!(
        took < Duration::from_millis(1500),
        "waited for a port that refuses: {took:?}"
    );
    coolbits.restart().await;
    assert_eq!(ask(4).await.0.json()["source"], "coolbits");
}

#[tokio::test]
async fn off_means_the_mock_and_coolbits_is_asked_nothing() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    sidecar.switch(false).await;
    for operation in ["accounts", "campaigns", "keywords", "metrics", "reports"] {
        let got = sidecar.ads(&alice(), "10", operation).await;
        let answer = got.json();
        assert_eq!(answer["source"], "mock");
        assert_eq!(
            answer["gateway"],
            json!({"enabled": false, "reason": "disabled"})
        );
        let record = sidecar.record(got.header("x-request-id")).await;
        assert!(
            record.get("fallback").is_none(),
            "off is no failure: {record}"
        );
    }
    assert!(coolbits.calls().await.is_empty());
    sidecar.switch(true).await;
    let answer = sidecar.ads(&alice(), "10", "campaigns").await.json();
    assert_eq!(answer["source"], "coolbits", "no answer of before is kept");
}

#[tokio::test]
async fn the_flag_is_off_unless_it_is_set() {
    let setup = Setup::default().set("COOLBITS_GATEWAY_ENABLED", "");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    assert_eq!(
        sidecar.ads(&alice(), "10", "campaigns").await.json()["gateway"]["reason"],
        "disabled"
    );
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn a_route_can_be_left_to_the_mock() {
    let setup = Setup::default().set("SIDECAR__GATEWAY__MOCK_ONLY", "google-ads.campaigns");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let answer = sidecar.ads(&alice(), "10", "campaigns").await.json();
    assert_eq!(
        answer["gateway"],
        json!({"enabled": true, "reason": "mock_only"})
    );
    assert!(coolbits.calls().await.is_empty());
    assert_eq!(
        sidecar.ads(&alice(), "10", "metrics").await.json()["source"],
        "coolbits"
    );
}

#[tokio::test]
async fn a_read_is_tried_once_more_and_a_selection_never() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    for status in [502, 503, 504] {
        coolbits.forget().await;
        coolbits
            .faults(json!({"fault": "status", "status": status, "only": "/report", "times": 1}))
            .await;
        let answer = sidecar
            .ads(&alice(), "10", &format!("campaigns?days={status}"))
            .await
            .json();
        assert_eq!(answer["source"], "coolbits", "{status}");
        assert_eq!(coolbits.calls_to("/report").await.len(), 2);
    }
    coolbits.forget().await;
    coolbits
        .faults(json!({"fault": "status", "status": 503, "only": "/customer"}))
        .await;
    let got = sidecar.ads(&alice(), "10", "campaigns?days=77").await;
    assert_mock(&got, "http_5xx");
    assert_eq!(coolbits.calls_to("/customer").await.len(), 1);
    assert!(
        coolbits.calls_to("/report").await.is_empty(),
        "read although the selection failed"
    );
}

#[tokio::test]
async fn an_unknown_account_has_no_campaigns_in_the_mock() {
    let setup = Setup::default()
        .set("COOLBITS_GATEWAY_ENABLED", "off")
        .set("SIDECAR__TENANCY__BIND_ACCOUNTS", "false");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let answer = sidecar
        .ads(&alice(), "10", "campaigns?account_id=999-999-9999")
        .await
        .json();
    assert_eq!(
        (&answer["campaigns"], &answer["summary"]["total_campaigns"]),
        (&json!([]), &json!(0))
    );
}
