//! Runs of flows, and their history.

use super::*;

pub(super) const EXECUTE: &str = "POST /api/orchestrator/execute";

/// Trigger, Google Ads, a condition with both branches, and a node out of reach.
pub(super) fn branching() -> Value {
    json!({
        "nodes": [
            {"id": "t", "type": "trigger", "label": "Start"},
            {"id": 2, "type": "connector", "slug": "google-ads", "label": "Ads"},
            {"id": "q", "type": "condition", "label": "Pays?", "config": {
                "metric": "ROAS", "operator": "<", "value": "0.01", "thenLabel": "poor", "elseLabel": "good"}},
            {"id": "y", "type": "agent", "slug": "seo", "label": "SEO"},
            {"id": "n", "type": "sticker", "label": "Remember"},
            {"id": "o", "type": "output", "label": "Mail",
             "config": {"template": "Says: {{last_agent_response}}", "format": "html"}},
            {"id": "x", "type": "agent", "label": "Out of reach"},
        ],
        "connections": [
            {"from": "t", "to": 2}, {"from": 2, "to": "q"}, {"from": "q", "to": "y"},
            {"from": "q", "to": "n"}, {"from": "y", "to": "o"}, {"from": "n", "to": "o"},
        ],
    })
}

pub(super) async fn run(app: &App, client: u64, flow: &Value) -> Value {
    let body = json!({"flow": flow, "name": "Test"}).to_string();
    let got = app.ask(1, client, EXECUTE, &body).await;
    assert_eq!(got.0, 200, "{}", got.2);
    assert_eq!(got.1, format!("u1.c{client}"));
    got.2
}

fn one(node: Value) -> Value {
    json!({"nodes": [node]})
}

pub(super) fn texts<'a>(rows: &'a Value, name: &str) -> Vec<&'a str> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[name].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn a_flow_runs_breadth_first_and_tells_each_step_twice() {
    let app = App::new();
    let got = run(&app, 10, &branching()).await;
    let kinds = [
        "trigger",
        "connector",
        "condition",
        "agent",
        "sticker",
        "output",
    ];
    assert_eq!(texts(&got["steps"], "type"), kinds);
    assert_eq!(texts(&got["results"], "type"), kinds);
    let states = [
        "success", "success", "warning", "success", "success", "success",
    ];
    assert_eq!(texts(&got["steps"], "status"), states);
    assert_eq!(texts(&got["results"], "status")[1..3], ["ok", "warning"]);
    assert_eq!(
        got["steps"][1]["node_id"], 2,
        "the id as it stands in the flow"
    );
    for (name, value) in [
        ("nodes_total", json!(7)),
        ("steps_executed", json!(6)),
        ("success_steps", json!(5)),
        ("warning_steps", json!(1)),
        ("failed_steps", json!(0)),
        ("run_status", json!("warning")),
        ("overall_status", json!("warning")),
        ("status", json!("completed")),
        ("elapsed_ms", json!(17)),
        ("total_duration_ms", json!(17)),
        ("execution_id", json!(9)),
        ("finished_at", json!("2026-01-05T10:00:00.017Z")),
        ("flow_name", json!("Test u1.c10")),
    ] {
        assert_eq!(got[name], value, "{name}");
    }
    let summary = json!({"steps_count": 6, "success": 5, "warning": 1, "error": 0,
                         "run_status": "warning", "total_duration_ms": 17});
    assert_eq!(got["summary"], summary);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        keys(&got["steps"][0]),
        "duration_ms fail_reason input node_id node_label output status step type"
    );
    assert_eq!(
        keys(&got["steps"][1]),
        "duration_ms fail_reason input kpis node_id node_label output status step type"
    );
    assert_eq!(
        keys(&got["results"][1]),
        "data duration_ms fail_reason input label node_id output status step type"
    );
    let data = [
        "message trigger_type triggered",
        "account_id connector days kpis metric_values out source",
        "actual_value branch branch_label evaluated metric operator threshold",
        "agent analysis input_connectors recommendation",
        "message",
        "destination format message output",
    ];
    for (n, expected) in data.into_iter().enumerate() {
        assert_eq!(keys(&got["results"][n]["data"]), expected);
        let output = got["steps"][n]["output"].as_str().unwrap();
        assert!(output.ends_with("u1.c10"), "{output}");
    }
    let analysis = got["results"][3]["data"]["analysis"].as_str().unwrap();
    let output = &got["results"][5]["data"];
    assert_eq!(output["output"], format!("Says: {analysis}"));
    assert_eq!(output["format"], "html");
}

#[tokio::test]
async fn the_same_flow_gives_the_same_answer() {
    let app = App::new();
    let mut first = run(&app, 10, &branching()).await;
    let mut second = run(&app, 10, &branching()).await;
    assert_eq!(
        (&first["execution_id"], &second["execution_id"]),
        (&json!(9), &json!(10))
    );
    for run in [&mut first, &mut second] {
        let run = run.as_object_mut().unwrap();
        run.remove("execution_id");
        run.remove("trace_execution_id");
    }
    assert_eq!(first, second);
    let other = run(&app, 11, &branching()).await;
    let figures = |run: &Value| run["results"][1]["data"]["metric_values"].clone();
    assert_ne!(figures(&first), figures(&other), "of another client");
}

#[tokio::test]
async fn a_condition_compares_what_was_read_and_counts_what_is_missing_as_0() {
    let app = App::new();
    for (config, evaluated, actual, label) in [
        (
            json!({"metric": "mrr", "operator": ">", "value": 9000}),
            true,
            9800.0,
            "Yes",
        ),
        (
            json!({"metric": "mrr", "operator": "=", "value": "9800"}),
            true,
            9800.0,
            "Yes",
        ),
        (
            json!({"metric": "mrr", "operator": "!=", "value": 9800}),
            false,
            9800.0,
            "No",
        ),
        (
            json!({"condition_metric": "roas", "condition_operator": "<=", "condition_value": 0,
                   "condition_then_label": "None"}),
            true,
            0.0,
            "None",
        ),
        (json!({}), false, 0.0, "No"),
    ] {
        let flow = json!({
            "nodes": [{"id": "c", "type": "connector", "slug": "stripe"},
                      {"id": "q", "type": "condition", "config": config}],
            "connections": [{"from": "c", "to": "q"}],
        });
        let got = run(&app, 10, &flow).await;
        let data = &got["results"][1]["data"];
        assert_eq!(data["evaluated"], evaluated, "{config}");
        assert_eq!(
            (&data["actual_value"], &data["branch_label"]),
            (&json!(actual), &json!(label))
        );
        assert_eq!(data["branch"], if evaluated { "yes" } else { "no" });
        let status = if evaluated { "success" } else { "warning" };
        assert_eq!(
            (&got["steps"][1]["status"], &got["run_status"]),
            (&json!(status), &json!(status))
        );
    }
}

#[tokio::test]
async fn a_connector_reads_what_the_node_names_else_the_settings_else_the_default() {
    let app = App::new();
    let account = async |client, config: Value| {
        let node = json!({"id": 1, "type": "connector", "slug": "google-ads", "config": config});
        let got = run(&app, client, &one(node)).await;
        got["results"][0]["data"]["account_id"].clone()
    };
    assert_eq!(account(10, json!({})).await, "123-456-7890");
    let set = async |client, account: &str| {
        let body = json!({"status": "connected", "config": {"account_id": account}}).to_string();
        let got = app
            .ask(1, client, "POST /api/connectors/google-ads", &body)
            .await;
        assert_eq!(got.0, 200);
    };
    set(0, "111-111-1111").await;
    set(11, "222-222-2222").await;
    assert_eq!(account(10, json!({"account_id": ""})).await, "111-111-1111");
    assert_eq!(account(11, json!({})).await, "222-222-2222");
    let named = json!({"customerId": 3_333_333_333_u64});
    assert_eq!(account(11, named).await, "3333333333", "under any name");
    let named = json!({"account_id": "333-333-3333"});
    assert_eq!(account(11, named).await, "333-333-3333");
    let node = json!({"id": 1, "type": "connector", "slug": "ga4", "config": {"range": "7days"}});
    let got = run(&app, 10, &one(node)).await;
    let data = &got["results"][0]["data"];
    assert_eq!(
        (&data["property_id"], &data["range"], &data["source"]),
        (&json!("G-ABC123DEF4"), &json!("7days"), &json!("mock"))
    );
}

#[tokio::test]
async fn a_fetch_that_fails_warns_and_leaves_constants() {
    let app = App::new();
    let node = |config: Value| json!({"id": 1, "type": "connector", "slug": "ga4", "label": "GA4", "config": config});
    let got = run(&app, 10, &one(node(json!({"fail": true})))).await;
    let (step, result) = (&got["steps"][0], &got["results"][0]);
    assert_eq!(
        (&step["status"], &step["fail_reason"]),
        (&json!("warning"), &json!("Fetch failed"))
    );
    assert_eq!(result["status"], "warning");
    assert_eq!(result["data"]["property_id"], Value::Null);
    assert_eq!(result["data"]["metric_values"]["sessions"], 5200);
    assert_eq!(step["kpis"]["Revenue"], "$8600.50");
    assert_eq!(got["run_status"], "warning");
    let got = run(&app, 10, &one(node(json!({"fail": "true"})))).await;
    assert_eq!(got["steps"][0]["fail_reason"], Value::Null);
}

#[tokio::test]
async fn what_is_no_flow_is_refused_in_the_apps_words() {
    let app = App::new();
    for (body, status, words) in [
        ("{}", 400, "No flow data provided"),
        (
            r#"{"flow_id": 99}"#,
            404,
            "Flow not found in active client scope",
        ),
        (
            r#"{"flow": [1]}"#,
            500,
            "'list' object has no attribute 'get'",
        ),
        (
            r#"{"flow": "x"}"#,
            500,
            "'str' object has no attribute 'get'",
        ),
        (
            r#"{"flow_json": "7"}"#,
            500,
            "'int' object has no attribute 'get'",
        ),
    ] {
        let got = app.ask(1, 10, EXECUTE, body).await;
        assert_eq!(
            (got.0, &got.2),
            (status, &json!({"error": words})),
            "{body}"
        );
    }
    let got = app.ask(1, 0, EXECUTE, r#"{"flow": {}}"#).await;
    assert_eq!(got.2["error"], "Client scope required");
    let body = json!({"flow_json": branching().to_string()}).to_string();
    let got = app.ask(1, 10, EXECUTE, &body).await.2;
    assert_eq!(got["steps_executed"], 6, "a flow as text");
    assert_eq!(got["flow_name"], "Untitled u1.c10");
}

#[tokio::test]
async fn the_history_has_what_was_told_of_a_run() {
    let app = App::new();
    let told = run(&app, 10, &branching()).await;
    let rows = app.ask(1, 10, "GET /api/orchestrator/history", "").await.2;
    assert_eq!(ids(&rows), [9, 2]);
    let row = &rows[0];
    for (name, value) in [
        ("nodes_count", json!(7)),
        ("steps_count", json!(6)),
        ("elapsed_ms", json!(17)),
        ("status", json!("warning")),
        ("flow_name", json!("Test u1.c10")),
        ("client_id", json!(10)),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let got = app
        .ask(1, 10, "GET /api/orchestrator/history/9", "")
        .await
        .2;
    assert_eq!(got["results"], told["results"]);
    assert_eq!(
        (&got["steps"], &got["status"]),
        (&Value::Null, &json!("warning"))
    );
    for _ in 0..20 {
        run(&app, 10, &json!({})).await;
    }
    for (query, count) in [
        ("", 20),
        ("?limit=3", 3),
        ("?limit=-1", 22),
        ("?limit=100", 22),
        ("?limit=x", 0),
    ] {
        let line = format!("GET /api/orchestrator/history{query}");
        let rows = app.ask(1, 10, &line, "").await.2;
        assert_eq!(rows.as_array().unwrap().len(), count, "{query}");
    }
}
