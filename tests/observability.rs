//! What operators see: records, metrics, probes, and controls that are guarded.

use crate::support::{Ask, Setup, Sidecar, alice, bob, fault};
use serde_json::{Value, json};

#[tokio::test]
async fn one_request_is_one_record_and_one_count() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar
        .ads(&alice(), "10", "campaigns?secret=in-the-query")
        .await;
    let record = sidecar.record(got.header("x-request-id")).await;
    for (field, expected) in [
        ("method", json!("GET")),
        ("path", json!("/api/connectors/google-ads/campaigns")),
        ("route", json!("google-ads.campaigns")),
        ("area", json!("connectors")),
        ("status", json!(200)),
        ("source", json!("coolbits")),
        ("user", json!(1)),
        ("client", json!(10)),
        ("allowed", json!(true)),
        ("cache", json!("miss")),
        ("bytes_sent", json!(got.body.len())),
    ] {
        assert_eq!(record[field], expected, "{field} of {record}");
    }
    assert!(record["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(!record.to_string().contains("in-the-query"));
    let of_it = |r: &serde_json::Value| r["request_id"] == got.header("x-request-id");
    assert_eq!(sidecar.records().iter().filter(|r| of_it(r)).count(), 1);
    let page = sidecar.metrics().await;
    for series in [
        "sidecar_requests_total{method=\"GET\",route=\"google-ads.campaigns\",source=\"coolbits\",status=\"200\"} 1",
        "sidecar_request_duration_seconds_count{route=\"google-ads.campaigns\"} 1",
        "sidecar_upstream_requests_total{outcome=\"ok\",upstream=\"coolbits\"} 2",
        "sidecar_tenancy_decisions_total{area=\"connectors\",decision=\"allow\",mode=\"enforce\",reason=\"ok\"} 1",
        "sidecar_cache_requests_total{result=\"miss\",route=\"google-ads.campaigns\"} 1",
        "sidecar_gateway_up 1",
        "sidecar_in_flight 0",
        "sidecar_panics_total 0",
        "sidecar_log_dropped_total 0",
        "sidecar_burst_5xx{origin=\"coolbits\"} 0",
    ] {
        assert!(
            page.contains(&format!("{series}\n")),
            "missing {series} in\n{page}"
        );
    }
}

#[tokio::test]
async fn refusals_are_recorded_with_their_code_and_no_label_holds_a_tenant() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar.ads(&bob(), "10", "campaigns").await;
    let record = sidecar.record(got.header("x-request-id")).await;
    assert_eq!(
        (&record["allowed"], &record["code"], &record["user"]),
        (&json!(false), &json!("client_not_allowed"), &json!(2))
    );
    let odd = Ask::new("BREW", &sidecar.url("/api/made-up-path/4711"))
        .send()
        .await;
    assert_eq!((odd.status, odd.code()), (405, "method_not_allowed".into()));
    assert!(odd.header("allow").contains("DELETE"));
    let unknown = sidecar.get("/api/made-up-path/4711").send().await;
    assert_eq!(unknown.status, 401);
    let page = sidecar.metrics().await;
    let refused = "sidecar_tenancy_decisions_total{area=\"connectors\",decision=\"refuse\",mode=\"enforce\",reason=\"client_not_allowed\"} 1";
    assert!(page.contains(refused), "{page}");
    assert!(!page.contains("4711") && !page.contains("BREW"), "{page}");
    assert!(
        page.contains("method=\"other\",route=\"none\"") && page.contains("route=\"unmatched\""),
        "{page}"
    );
}

#[tokio::test]
async fn probes_are_open_and_the_apps_own_stay_the_apps() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let admin = |path: &str| Ask::get(&format!("http://{}{path}", sidecar.admin)).send();
    assert_eq!(admin("/healthz").await.json()["service"], "camarad-sidecar");
    assert_eq!(admin("/readyz").await.json()["status"], "ready");
    assert_eq!(admin("/nothing").await.status, 404);
    assert_eq!(
        sidecar.get("/healthz").send().await.json()["service"],
        "camarad"
    );
    assert_eq!(
        sidecar.get("/readyz").send().await.json()["status"],
        "ready"
    );
}

#[tokio::test]
async fn the_gateway_is_switched_by_nobody_without_the_token() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let url = format!("http://{}/gateway", sidecar.admin);
    let order = || Ask::new("POST", &url).body(r#"{"enabled": false}"#);
    let json = ("Content-Type", "application/json");
    let rows = [
        (order().with(json.0, json.1), 401, "admin_token_wrong"),
        (
            order().with(json.0, json.1).bearer("wrong"),
            401,
            "admin_token_wrong",
        ),
        (
            order().bearer(Sidecar::ADMIN_TOKEN),
            415,
            "admin_content_type",
        ),
        (
            order()
                .with(json.0, json.1)
                .bearer(Sidecar::ADMIN_TOKEN)
                .with("Host", "evil.example"),
            403,
            "admin_host_not_allowed",
        ),
    ];
    for (ask, status, code) in rows {
        let got = ask.send().await;
        assert_eq!((got.status, got.code()), (status, code.to_owned()));
    }
    for body in [
        "",
        "{}",
        "{\"enabled\": 1}",
        "{\"enabled\": true, \"x\": 1}",
        "[]",
    ] {
        let ask = Ask::new("POST", &url)
            .with(json.0, json.1)
            .bearer(Sidecar::ADMIN_TOKEN);
        let got = ask.body(body).send().await;
        assert_eq!(
            (got.status, got.code()),
            (400, "order_invalid".to_owned()),
            "{body}"
        );
    }
    assert_eq!(
        sidecar.ads(&alice(), "10", "campaigns").await.json()["source"],
        "coolbits"
    );
}

#[tokio::test]
async fn without_an_admin_token_nothing_can_be_changed() {
    let setup = Setup::default().set("SIDECAR_ADMIN_TOKEN", "");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let ask = Ask::new("POST", &format!("http://{}/gateway", sidecar.admin)).bearer("");
    let got = ask
        .with("Content-Type", "application/json")
        .body("{\"enabled\":false}")
        .send()
        .await;
    assert_eq!(
        (got.status, got.code()),
        (403, "admin_token_not_set".to_owned())
    );
}

#[tokio::test]
async fn a_burst_is_raised_by_ratio_and_clears_when_its_window_has_passed() {
    let setup = Setup::default().set("SIDECAR__BURST__WINDOW", "2s");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let burst = || sidecar.metric("sidecar_burst_5xx{origin=\"coolbits\"}");
    coolbits.faults(fault("html")).await;
    for n in 0..4 {
        sidecar
            .ads(&alice(), "10", &format!("campaigns?type={n}"))
            .await;
    }
    assert_eq!(burst().await, 0.0, "four are fewer than the minimum volume");
    for n in 4..8 {
        sidecar
            .ads(&alice(), "10", &format!("campaigns?type={n}"))
            .await;
    }
    assert_eq!(burst().await, 1.0);
    crate::support::eventually("the burst clears", || async { burst().await == 0.0 }).await;
    // Beginning and end are told once each, whoever looked when.
    let told = || -> Vec<Value> {
        let mut lines = sidecar.audit();
        lines.retain(|line| line["event"] == "burst_5xx");
        lines
    };
    crate::support::eventually("both are in the audit log", || async { told().len() == 2 }).await;
    let (raised, cleared) = (&told()[0], &told()[1]);
    assert_eq!(
        (&raised["state"], &raised["origin"], &cleared["state"]),
        (&json!("raised"), &json!("coolbits"), &json!("cleared"))
    );
    assert!(raised["failed"].as_u64().unwrap() >= 5, "{raised}");
    sidecar.says("a burst of 5xx").await;
    sidecar.says("the burst is over").await;
}
