//! Which property is read: the one named, else the one that was stored for the client
//! itself, else the one selected at Coolbits, else the one stored for no client, else
//! the default. What is selected is the user's, and may be meant for another client.

use super::{REPORT, STATUS, ga4, sent, unbound};
use crate::google_ads::{asked, real};
use crate::support::{Ask, Got, Setup, Sidecar, StandIn, alice, unlimited};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEFAULT: &str = "G-ABC123DEF4";
const SETTINGS: &str = "/api/connectors/ga4";

/// Selects at Coolbits, past the sidecar.
async fn select(coolbits: &StandIn, token: &str, property: &str) {
    let url = format!("{}/api/connectors/ga4/property", coolbits.url());
    let body = json!({"propertyId": property}).to_string();
    let got = Ask::new("POST", &url).bearer(token).body(body).send().await;
    assert_eq!(got.status, 200);
    coolbits.forget().await;
}

/// Has the app store a property, through the sidecar.
async fn store(sidecar: &Sidecar, token: &str, client: &str, property: &str) {
    let body = json!({"status": "connected", "config": {"property_id": property}});
    let route = format!("POST {SETTINGS}");
    let got = sidecar
        .route(token, client, &route, &body.to_string())
        .await;
    assert_eq!(got.status, 200, "{got:?}");
}

/// The property of an answer and of the one report that was made for it.
async fn read(coolbits: &StandIn, got: &Got) -> String {
    let answer = real(got);
    let reports = coolbits.calls_to("/ga4/report").await;
    assert_eq!(reports.len(), 1);
    assert_eq!(sent(&reports[0])["propertyId"], answer["property_id"]);
    coolbits.forget().await;
    answer["property_id"].as_str().unwrap().to_owned()
}

fn broken_status(fault: &str) -> Value {
    json!({"fault": fault, "only": "/ga4/status"})
}

#[tokio::test]
async fn named_then_the_clients_own_then_selected_then_the_default() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    select(&coolbits, &alice(), "G-SELECTED1").await;
    legacy.forget().await;
    let named = ga4(&sidecar, &alice(), "10", "overview?property_id=G-NAMED0001").await;
    assert_eq!(asked(&coolbits.calls().await), [REPORT]);
    assert_eq!(read(&coolbits, &named).await, "G-NAMED0001");
    assert!(
        legacy.calls_to(SETTINGS).await.is_empty(),
        "nothing is open"
    );

    for open in ["overview?days=1", "overview?days=2&property_id="] {
        let selected = ga4(&sidecar, &alice(), "10", open).await;
        let calls = coolbits.calls().await;
        assert_eq!(asked(&calls), [STATUS, REPORT], "{open}");
        assert!(sent(&calls[0]).is_empty());
        assert_eq!(read(&coolbits, &selected).await, "G-SELECTED1", "{open}");
    }
    let looked_up = legacy.calls_to(SETTINGS).await;
    assert_eq!(looked_up.len(), 1, "kept for a while");
    let headers = &looked_up[0]["headers"];
    assert_eq!(
        (&headers["x-user-id"], &headers["x-client-id"]),
        (&json!("1"), &json!("10"))
    );

    // What is stored for the client counts at once, and Coolbits is not asked which.
    store(&sidecar, &alice(), "10", "G-STORED001").await;
    let stored = ga4(&sidecar, &alice(), "10", "overview?days=1").await;
    assert_eq!(asked(&coolbits.calls().await), [REPORT]);
    assert_eq!(read(&coolbits, &stored).await, "G-STORED001");
    // Client 11 has nothing stored.
    coolbits.faults(broken_status("status")).await;
    let open = ga4(&sidecar, &alice(), "11", "overview?days=3").await;
    assert_eq!(asked(&coolbits.calls().await), [STATUS, REPORT]);
    assert_eq!(read(&coolbits, &open).await, DEFAULT);
}

#[tokio::test]
async fn what_was_chosen_for_one_client_is_not_read_under_another() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let everything = unlimited();
    let mut clients = Vec::new();
    for property in ["G-AAAAAAA", "G-BBBBBBB"] {
        let made = sidecar.route(&everything, "", "POST /api/clients", r#"{"name": "New"}"#);
        let client = made.await.json()["id"].to_string();
        let chosen = json!({"propertyId": property}).to_string();
        let route = "POST /api/connectors/ga4/property";
        let got = sidecar.route(&everything, &client, route, &chosen).await;
        assert_eq!(got.status, 200, "{got:?}");
        clients.push((client, property));
    }
    coolbits.forget().await;
    for (client, property) in &clients {
        // Those of the demo's clients have links, so which one is open is not known without a choice.
        let got = ga4(&sidecar, &everything, client, "status").await.json();
        let shown = got["selectedPropertyId"].as_str().unwrap_or_default();
        assert!(shown.is_empty() || shown == *property, "{client}: {got}");
        let got = ga4(&sidecar, &everything, client, "overview").await.json();
        let other = clients.iter().find(|(_, other)| other != property).unwrap();
        assert!(!got.to_string().contains(other.1), "{client}: {got}");
    }
}

#[tokio::test]
async fn a_status_that_knows_of_no_property_leaves_the_stored_one() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    let everything = unlimited();
    store(&sidecar, &everything, "", "G-STORED001").await;
    let only = "/ga4/status";
    for (at, fault) in [
        json!({"fault": "status", "status": 500, "only": only}),
        json!({"fault": "status", "status": 503, "only": only}),
        json!({"fault": "status", "status": 404, "only": only}),
        json!({"fault": "recognised", "error": "property_not_set", "only": only}),
        json!({"fault": "recognised", "error": "invalid_property", "status": 403, "only": only}),
        json!({"fault": "html", "only": only}),
        json!({"fault": "cut_off_json", "only": only}),
    ]
    .into_iter()
    .enumerate()
    {
        coolbits.faults(fault.clone()).await;
        let got = ga4(&sidecar, &everything, "10", &format!("pages?type={at}")).await;
        assert_eq!(read(&coolbits, &got).await, "G-STORED001", "{fault}");
    }
    // Nor does an app that does not answer change anything but which one it is.
    legacy
        .faults(json!({"fault": "status", "only": SETTINGS}))
        .await;
    let got = ga4(&sidecar, &everything, "11", "pages?type=x").await;
    assert_eq!(read(&coolbits, &got).await, DEFAULT);
}

#[tokio::test]
async fn a_status_that_says_more_than_that_is_the_answer() {
    let quick = unbound()
        .set("SIDECAR__GATEWAY__DEADLINE", "2s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick).await;
    let everything = unlimited();
    store(&sidecar, &everything, "", "G-STORED001").await;
    for (fault, source, code) in [
        ("not_connected", "coolbits", "not_connected"),
        ("unauthorized", "mock", "unauthorized"),
        ("reset", "mock", "unreachable"),
        ("hang", "mock", "timeout"),
    ] {
        coolbits.forget().await;
        coolbits.faults(broken_status(fault)).await;
        let started = Instant::now();
        let got = ga4(
            &sidecar,
            &everything,
            "10",
            &format!("overview?type={fault}"),
        )
        .await;
        // The deadline is a promise to the caller, with room for a noisy machine.
        assert!(started.elapsed() < Duration::from_secs(2 + 3), "{fault}");
        let answer = got.json();
        assert_eq!(
            (got.status, &answer["source"]),
            (200, &json!(source)),
            "{fault}"
        );
        assert_eq!(answer["gateway"]["error"], code, "{fault}");
        assert_eq!(answer["property_id"], "G-STORED001", "{fault}");
        assert!(coolbits.calls_to("/ga4/report").await.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn settings_of_no_client_are_not_read_for_a_limited_token() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    coolbits.faults(broken_status("status")).await;
    let everything = unlimited();
    store(&sidecar, &everything, "", "G-ANYBODYS1").await;
    let limited = ga4(&sidecar, &alice(), "10", "overview").await;
    assert_eq!(read(&coolbits, &limited).await, DEFAULT);
    for client in ["10", ""] {
        let own = ga4(&sidecar, &everything, client, "overview").await;
        assert_eq!(read(&coolbits, &own).await, "G-ANYBODYS1", "{client}");
    }
}

#[tokio::test]
async fn what_another_client_has_selected_is_not_read() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // Of client 11; Coolbits keeps one selection per token, whatever the client.
    select(&coolbits, &alice(), "G-XYZ789GHI0").await;
    let own = ga4(&sidecar, &alice(), "10", "overview").await;
    assert_eq!(read(&coolbits, &own).await, "G-ABC123DEF4");
    let own = ga4(&sidecar, &alice(), "11", "overview").await;
    assert_eq!(read(&coolbits, &own).await, "G-XYZ789GHI0");
    let got = ga4(&sidecar, &alice(), "10", "status").await;
    let text = String::from_utf8(got.body.clone()).unwrap();
    assert!(
        got.status == 200 && !text.contains("G-XYZ789GHI0"),
        "{text}"
    );
    let status = ga4(&sidecar, &alice(), "11", "status").await.json();
    assert_eq!(status["selectedPropertyId"], "G-XYZ789GHI0");
}

#[tokio::test]
async fn off_shows_what_the_app_has_stored_and_asks_coolbits_nothing() {
    let setup = unbound().set("COOLBITS_GATEWAY_ENABLED", "off");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let gateway = json!({"enabled": false, "reason": "disabled"});
    let none = ga4(&sidecar, &alice(), "10", "status").await.json();
    let expected = json!({
        "connected": false, "status": "disconnected", "selectedPropertyId": null,
        "propertyId": null, "source": "mock", "gateway": gateway,
    });
    assert_eq!(none, expected);
    store(&sidecar, &alice(), "11", "G-STORED001").await;
    let stored = ga4(&sidecar, &alice(), "11", "status").await.json();
    let expected = json!({
        "connected": true, "status": "connected", "selectedPropertyId": "G-STORED001",
        "propertyId": "G-STORED001", "source": "mock", "gateway": gateway,
    });
    assert_eq!(stored, expected);
    for (client, property) in [("10", DEFAULT), ("11", "G-STORED001")] {
        for (report, _, list, _, _) in super::REPORTS {
            let got = ga4(&sidecar, &alice(), client, report).await;
            let answer = got.json();
            assert_eq!(
                (got.status, &answer["source"]),
                (200, &json!("mock")),
                "{report}"
            );
            assert_eq!(answer["gateway"], gateway, "{report}");
            if report != "funnel" {
                assert_eq!(answer["property_id"], property, "{report}");
            }
            assert!(!super::rows_of(&answer, list).is_empty(), "{report}");
            let record = sidecar.record(got.header("x-request-id")).await;
            assert!(
                record.get("fallback").is_none(),
                "off is no failure: {record}"
            );
        }
    }
    let list = ga4(&sidecar, &alice(), "10", "properties").await.json();
    assert_eq!(list["properties"].as_array().unwrap().len(), 3);
    assert!(coolbits.calls().await.is_empty());
}
