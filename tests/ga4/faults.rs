//! What Coolbits recognises is told; every other way of failing ends in the mock.

use super::{REPORTS, ga4, kinds_of, rows_of, unbound};
use crate::support::{Got, Sidecar, alice, fault};
use serde_json::{Value, json};

/// The mock's answer with this code, in which every number of the contract is one.
fn assert_mock(got: &Got, report: &str, list: &str, code: &str) {
    let what = format!("{report} {code}");
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "mock"),
        "{what}"
    );
    let answer = got.json();
    assert_eq!(answer["source"], "mock", "{what}");
    assert_eq!(answer["gateway"]["enabled"], true, "{what}");
    assert_eq!(answer["gateway"]["error"], code, "{what}: {answer}");
    let kinds = kinds_of(report);
    let numbers = kinds.as_object().unwrap().iter();
    let numbers = numbers.filter(|(_, kind)| ["int", "float"].contains(&kind.as_str().unwrap()));
    let numbers: Vec<&String> = numbers.map(|(name, _)| name).collect();
    let rows = rows_of(&answer, list);
    assert!(!rows.is_empty(), "{what}");
    for (at, row) in rows.iter().enumerate() {
        for name in &numbers {
            let may_lack = match (report, name.as_str()) {
                ("events", "value") => true,
                ("funnel", "drop_off") => at == 0,
                _ => false,
            };
            assert!(
                may_lack || row[name.as_str()].is_number(),
                "{what}: {name} of {row}"
            );
        }
    }
    if report != "funnel" {
        assert_eq!(answer["property_id"], "G-XYZ789GHI0", "{what}");
    }
}

fn target(report: &str, round: &str) -> String {
    // Another query each time: the answer before must not come from the cache.
    format!("{report}?property_id=G-XYZ789GHI0&type={round}")
}

#[tokio::test]
async fn every_report_falls_back_to_the_mock() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (kind, status, code) in [
        ("html", 0, "bad_payload"),
        ("cut_off_json", 0, "bad_payload"),
        ("cut_off_body", 0, "bad_payload"),
        ("list_data", 0, "bad_payload"),
        ("text_in_numbers", 0, "bad_payload"),
        ("wrong_account", 0, "bad_payload"),
        ("gzip", 0, "bad_payload"),
        ("redirect", 0, "bad_payload"),
        ("empty_rows", 0, "empty"),
        ("reset", 0, "unreachable"),
        ("unauthorized", 0, "unauthorized"),
        ("status", 500, "http_5xx"),
        ("status", 502, "http_5xx"),
        ("status", 404, "http_4xx"),
        ("status", 429, "http_4xx"),
    ] {
        let faults = match status {
            0 => fault(kind),
            status => json!({"fault": kind, "status": status}),
        };
        coolbits.faults(faults).await;
        for (report, _, list, _, _) in REPORTS {
            let target = target(report, &format!("{kind}{status}"));
            let got = ga4(&sidecar, &alice(), "10", &target).await;
            assert_mock(&got, report, list, code);
            let record = sidecar.record(got.header("x-request-id")).await;
            assert_eq!(
                (&record["fallback"], &record["source"]),
                (&json!(code), &json!("mock")),
                "{report} {kind}"
            );
        }
    }
}

#[tokio::test]
async fn a_coolbits_that_hangs_costs_no_more_than_the_deadline() {
    let quick = unbound()
        .set("SIDECAR__GATEWAY__DEADLINE", "1s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick).await;
    for kind in ["hang", "hang_body"] {
        coolbits.faults(fault(kind)).await;
        let reads = REPORTS.map(|(report, _, list, _, _)| {
            let url = sidecar.url(&format!("/api/connectors/ga4/{}", target(report, kind)));
            let ask = crate::support::Ask::get(&url).bearer(&alice()).client("10");
            (report, list, tokio::spawn(ask.send()))
        });
        for (report, list, read) in reads {
            assert_mock(&read.await.unwrap(), report, list, "timeout");
        }
    }
}

#[tokio::test]
async fn lists_and_the_status_fall_back_too() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (at, (faults, code)) in [
        (fault("html"), "bad_payload"),
        (fault("cut_off_json"), "bad_payload"),
        (fault("reset"), "unreachable"),
        (fault("unauthorized"), "unauthorized"),
        (json!({"fault": "status", "status": 500}), "http_5xx"),
        (
            json!({"fault": "recognised", "error": "missing_refresh_token"}),
            "missing_refresh_token",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        coolbits.faults(faults).await;
        let list = ga4(&sidecar, &alice(), "10", &format!("properties?type={at}"))
            .await
            .json();
        assert_eq!(
            (&list["source"], &list["gateway"]["error"]),
            (&json!("mock"), &json!(code))
        );
        let rows = list["properties"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        assert!(
            rows.iter()
                .all(|row| row["created"].is_string() && row.get("account_name").is_none())
        );
        let status = ga4(&sidecar, &alice(), "10", &format!("status?type={at}"))
            .await
            .json();
        assert_eq!(
            (&status["source"], &status["gateway"]["error"]),
            (&json!("mock"), &json!(code))
        );
        assert_eq!(
            (&status["connected"], &status["status"]),
            (&json!(false), &json!("disconnected"))
        );
    }
    for kind in ["empty_rows", "list_data"] {
        coolbits.faults(fault(kind)).await;
        let list = ga4(&sidecar, &alice(), "10", &format!("properties?type={kind}"))
            .await
            .json();
        assert_eq!(list["source"], "mock", "{kind}");
        assert_eq!(list["properties"].as_array().unwrap().len(), 3, "{kind}");
    }
}

/// The answer to `not_connected`: status, and what stands in it besides `error`, `source` and `gateway`.
fn unconnected(report: &str) -> (u16, Value) {
    let of = |list: &str| (200, json!({"property_id": "G-XYZ789GHI0", list: []}));
    match report {
        "properties" => (200, json!({"properties": []})),
        "status" => (200, json!({})),
        "overview" => (200, json!({"property_id": "G-XYZ789GHI0"})),
        "funnel" => (400, json!({})),
        // The app makes its days up; figures of nothing are not shown here.
        "timeseries" => (
            200,
            json!({"property_id": "G-XYZ789GHI0", "days": 30, "daily": []}),
        ),
        list => of(list),
    }
}

#[tokio::test]
async fn not_connected_is_told_as_the_contract_says() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for told_with in [400, 401, 403] {
        let faults = json!({"fault": "recognised", "error": "not_connected", "status": told_with});
        coolbits.faults(faults).await;
        for report in ["properties", "status"]
            .into_iter()
            .chain(REPORTS.map(|row| row.0))
        {
            let got = ga4(
                &sidecar,
                &alice(),
                "10",
                &target(report, &told_with.to_string()),
            )
            .await;
            let (status, mut expected) = unconnected(report);
            let path = match report {
                "properties" | "status" => report,
                _ => "report",
            };
            expected["error"] = json!("not_connected");
            expected["source"] = json!("coolbits");
            expected["gateway"] = json!({
                "enabled": true, "error": "not_connected", "status": told_with,
                "path": format!("/api/connectors/ga4/{path}"),
            });
            assert_eq!(
                (got.status, got.json()),
                (status, expected),
                "{report} {told_with}"
            );
            assert_eq!(got.header("x-camarad-source"), "coolbits", "{report}");
            let record = sidecar.record(got.header("x-request-id")).await;
            assert!(
                record.get("fallback").is_none(),
                "no made-up figures: {record}"
            );
        }
    }
    // Only these statuses say it.
    let faults = json!({"fault": "recognised", "error": "not_connected", "status": 409});
    coolbits.faults(faults).await;
    let got = ga4(&sidecar, &alice(), "10", &target("overview", "409")).await;
    assert_mock(&got, "overview", "overview", "http_4xx");
}

#[tokio::test]
async fn the_other_recognised_errors_end_as_made_up_data() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for code in [
        "property_not_set",
        "missing_refresh_token",
        "invalid_property",
    ] {
        for told_with in [400, 401, 403] {
            let faults = json!({"fault": "recognised", "error": code, "status": told_with});
            coolbits.faults(faults).await;
            for (report, _, list, _, _) in REPORTS {
                let round = format!("{code}{told_with}");
                let got = ga4(&sidecar, &alice(), "10", &target(report, &round)).await;
                assert_mock(&got, report, list, code);
                assert_eq!(got.json()["gateway"]["status"], told_with);
            }
        }
    }
}

#[tokio::test]
async fn failures_are_kept_for_their_short_time_only() {
    let setup = unbound().set("SIDECAR__CACHE__FALLBACK_TTL", "300ms");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    for (at, kind) in ["html", "not_connected"].into_iter().enumerate() {
        coolbits.faults(fault(kind)).await;
        let target = target("overview", &at.to_string());
        let first = ga4(&sidecar, &alice(), "10", &target).await;
        let stored = "camarad-sidecar; fwd=miss; stored; ttl=0";
        assert_eq!(first.header("cache-status"), stored, "{kind}");
        coolbits.faults(fault("none")).await;
        crate::support::eventually("the real figures are back", || async {
            let got = ga4(&sidecar, &alice(), "10", &target).await;
            got.json()["sessions"].is_number() && got.json()["source"] == "coolbits"
        })
        .await;
        let kept = ga4(&sidecar, &alice(), "10", &target).await;
        assert!(
            kept.header("cache-status").contains("; hit; ttl=4"),
            "{kind}: {kept:?}"
        );
    }
}
