//! Runs of the orchestrator: looked at before, written down, told, repeated.

mod command;
mod crash;
mod demo;
mod guardrails;
mod idempotency;
mod ledger;
mod replay;
mod templates;
mod tenants;
mod trace;

use crate::support::{Ask, Got, Sidecar, StandIn, alice};
use serde_json::{Value, json};

const EXECUTE: &str = "POST /api/orchestrator/execute";
const VALIDATE: &str = "POST /api/orchestrator/validate";
pub(super) const HISTORY: &str = "/api/orchestrator/history";

/// A flow with which nothing is wrong for client 10.
fn good() -> Value {
    json!({
        "nodes": [
            {"id": "start", "type": "trigger", "label": "Every morning", "config": {"trigger_type": "schedule"}},
            {"id": "ads", "type": "connector", "slug": "google-ads", "label": "Ads", "config": {"days": 7}},
            {"id": "web", "type": "connector", "slug": "ga4", "label": "Web", "config": {"range": "last_7_days"}},
            {"id": "think", "type": "agent", "slug": "seo", "label": "Analyst"},
            {"id": "say", "type": "output", "label": "Mail", "config": {"output_template": "{{last_agent_response}}"}},
        ],
        "connections": [
            {"from": "start", "to": "ads"}, {"from": "ads", "to": "web"},
            {"from": "web", "to": "think"}, {"from": "think", "to": "say"},
        ],
    })
}

/// The good flow with one node changed.
fn with_node(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut flow = good();
    let nodes = flow["nodes"].as_array_mut().unwrap();
    change(nodes.iter_mut().find(|node| node["id"] == id).unwrap());
    flow
}

fn body(flow: &Value) -> String {
    json!({"flow": flow, "name": "Morning"}).to_string()
}

/// Runs the good flow for client 10, and gives the answer.
pub(super) async fn ran(sidecar: &Sidecar) -> Value {
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&good())).await;
    assert_eq!(got.status, 200, "{got:?}");
    got.json()
}

/// What the app was asked to run, in order.
async fn executed(legacy: &StandIn) -> Vec<Value> {
    let calls = legacy.calls_to("/api/orchestrator/execute").await;
    calls
        .into_iter()
        .map(|mut call| call["body"].take())
        .collect()
}

/// The same request with a header more.
async fn with_key(
    sidecar: &Sidecar,
    token: &str,
    client: &str,
    route: &str,
    body: &str,
    key: &str,
) -> Got {
    let (method, target) = route.split_once(' ').unwrap();
    let ask = Ask::new(method, &sidecar.url(target))
        .bearer(token)
        .client(client);
    let ask = ask
        .with("Content-Type", "application/json")
        .with("Idempotency-Key", key);
    ask.body(body.to_owned()).send().await
}

fn codes(findings: &Value) -> Vec<String> {
    let rows = findings.as_array().unwrap().iter();
    rows.map(|row| row["code"].as_str().unwrap().to_owned())
        .collect()
}
