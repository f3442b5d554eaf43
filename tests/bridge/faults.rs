//! Every way in which Coolbits fails ends in the mock, for these connectors, too.

use super::{REPORTS, STRIPE, TAGS, assert_shape, get, live};
use crate::support::{Ask, Sidecar, alice, fault};
use serde_json::json;

#[tokio::test]
async fn every_way_of_failing_ends_in_the_mock() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    for (faults, code) in [
        (fault("html"), "bad_payload"),
        (fault("cut_off_json"), "bad_payload"),
        (fault("list_data"), "bad_payload"),
        (fault("text_in_numbers"), "bad_payload"),
        (fault("wrong_account"), "bad_payload"),
        (fault("empty_rows"), "empty"),
        (fault("reset"), "unreachable"),
        (fault("unauthorized"), "unauthorized"),
        (fault("not_connected"), "not_connected"),
        (json!({"fault": "status", "status": 500}), "http_5xx"),
        (json!({"fault": "status", "status": 404}), "http_4xx"),
    ] {
        let kind = faults["fault"].as_str().unwrap().to_owned();
        coolbits.faults(faults).await;
        let stripe = ("stripe", "overview", "", STRIPE);
        for (connector, report, list, shape) in REPORTS.into_iter().chain([stripe]) {
            let cannot = match &kind[..] {
                // Which of their fields are counts, the contract does not say.
                "text_in_numbers" => connector == TAGS && report != "overview",
                // It is the token's own account, which no answer names.
                "wrong_account" => connector == "stripe",
                _ => false,
            };
            if cannot {
                continue;
            }
            // Another query each time: the answer before must not come from the cache.
            let target = format!("{connector}/{report}?type={code}{kind}");
            let got = get(&sidecar, &alice(), "10", &target).await;
            assert_eq!(
                (got.status, got.header("x-camarad-source")),
                (200, "mock"),
                "{target}"
            );
            let answer = got.json();
            assert_eq!(answer["source"], "mock", "{target}");
            assert_eq!(answer["gateway"]["error"], code, "{target}");
            assert_shape(&answer, list, shape);
            let record = sidecar.record(got.header("x-request-id")).await;
            assert_eq!(record["fallback"], code, "{target}");
        }
    }
}

#[tokio::test]
async fn a_coolbits_that_hangs_costs_no_more_than_the_deadline() {
    let quick = live()
        .set("SIDECAR__GATEWAY__DEADLINE", "1s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick).await;
    coolbits.faults(fault("hang")).await;
    let targets = [
        "google-search-console/pages",
        "google-tag-manager/tags",
        "stripe/overview",
    ];
    let reads = targets.map(|target| {
        let url = sidecar.url(&format!("/api/connectors/{target}"));
        let ask = Ask::get(&url).bearer(&alice()).client("10");
        tokio::spawn(ask.send())
    });
    for read in reads {
        let answer = read.await.unwrap().json();
        assert_eq!(
            (&answer["source"], &answer["gateway"]["error"]),
            (&json!("mock"), &json!("timeout"))
        );
    }
}
