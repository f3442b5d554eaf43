//! Briefs of agents.

use super::*;

#[tokio::test]
async fn a_brief_reads_the_selected_property_as_the_service_account() {
    let brief = "GET /api/orchestrator/agent-brief/cmo-growth";
    let house = House::new("{}").await;
    let got = house.ask(2, 20, brief, Value::Null).await.body;
    assert_eq!(
        (&got["agent"], &got["total_live"], &got["total_planned"]),
        (&json!("cmo-growth"), &json!(1), &json!(1))
    );
    let rows = &got["connector_summaries"];
    assert_eq!(
        rows[0],
        json!({"name": "Google Ads", "slug": "google-ads", "status": "planned", "kpis": {}})
    );
    assert_eq!(
        (&rows[1]["slug"], &rows[1]["status"]),
        (&json!("ga4"), &json!("live"))
    );
    assert!(rows[1]["kpis"]["Sessions"].is_string());
    let calls = house.calls().await;
    let paths: Vec<_> = calls[1..].iter().map(|call| call.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/api/connectors/ga4/status", "/api/connectors/ga4/report"]
    );
    assert!(calls[1..].iter().all(|call| call.token_hash == service()));
    let house = House::alone().await;
    let got = house.ask(2, 20, brief, Value::Null).await.body;
    assert_eq!(got["connector_summaries"][1]["status"], "error");
    assert_eq!(got["total_live"], 0);
    let plain = App::new().ask(2, 20, brief, "").await.2;
    assert_eq!(
        plain,
        json!({"client_id": 20, "marks": ["u2.c20"], "ok": true}),
        "without Coolbits"
    );
}
