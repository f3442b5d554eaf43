//! Whose property is selected, and what reports hold.

use super::super::tests::{Server, WINDOW};
use super::*;

#[tokio::test]
async fn a_property_is_selected_for_its_token_alone() {
    let server = Server::new();
    let select = async |body: &str| {
        let line = "POST /api/connectors/ga4/property";
        server.ask("a", line, body, Fault::None).await
    };
    let selected = async |token| {
        let status = server.get(token, "ga4/status", Fault::None).await;
        assert_eq!(
            (&status["connected"], &status["account"]),
            (&json!(true), &json!("live"))
        );
        status["selectedPropertyId"].clone()
    };
    assert_eq!(selected("a").await, "G-ABC123DEF4");
    let done = select(r#"{"propertyId": "G-XYZ789GHI0"}"#).await;
    assert_eq!(
        done,
        (
            200,
            json!({"ok": true, "selectedPropertyId": "G-XYZ789GHI0"})
        )
    );
    for body in [
        "",
        "{}",
        r#"{"propertyId": ""}"#,
        r#"{"propertyId": "G-INVALID"}"#,
    ] {
        let refused = select(body).await;
        assert_eq!(
            refused,
            (400, json!({"error": "invalid_property"})),
            "{body}"
        );
    }
    assert_eq!(selected("a").await, "G-XYZ789GHI0");
    assert_eq!(selected("b").await, "G-ABC123DEF4");
}

#[tokio::test]
async fn reports_hold_what_was_asked_for_and_nothing_made_up() {
    let server = Server::new();
    let of = async |wanted: &str| {
        let target = format!("ga4/report?propertyId=G-1&{WINDOW}&{wanted}");
        server.get("a", &target, Fault::None).await["data"].take()
    };
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&of("blocks=geo,overview").await), ["geo", "overview"]);
    assert_eq!(names(&of("preset=pages_screens").await), ["pages_screens"]);
    assert_eq!(
        names(&of("preset=traffic_acquisition").await),
        ["traffic_acquisition"]
    );
    assert_eq!(names(&of("blocks=nonsense").await), [""; 0]);
    let overview = of("blocks=overview").await["overview"].take();
    assert_eq!(
        names(&overview),
        ["conversions", "deltas", "revenue", "sessions", "users"]
    );
    let country = of("blocks=geo").await["geo"]["countries"][0].take();
    assert_eq!(names(&country), ["conversions", "country", "sessions"]);
    let days = of("blocks=series").await["series"]["daily"].take();
    assert_eq!(days.as_array().unwrap().len(), 7);
    assert_eq!(days[6]["date"], "2026-11-23");
    let list = server.get("a", "ga4/properties", Fault::None).await;
    let row = &list["properties"][0];
    assert!(
        row["accountName"].is_string() && row.get("created").is_none(),
        "{row}"
    );
}
