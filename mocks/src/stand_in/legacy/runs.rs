//! Running a flow, and the history of runs. Weak on purpose: a flow or a run
//! named by id is looked up by user, never by client.

use super::request::{Request, Told, integer, missing, ok, refused};
use super::store::{Owner, Run, Store};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("POST", "/api/orchestrator/execute") => execute(store, request),
        ("GET", "/api/orchestrator/history") => {
            let own = store.runs.iter().filter(|row| request.lists(row.owner));
            ok(own.rev().map(short).collect()).in_rows()
        }
        ("GET", "/api/orchestrator/history/<int:exec_id>") => {
            let mut rows = store.runs.iter();
            match rows.find(|row| request.means(row.id, row.owner)) {
                Some(row) => {
                    let mut whole = short(row);
                    whole["results"] = json!(row.results);
                    ok(whole).of(row.owner)
                }
                None => missing("Execution not found"),
            }
        }
        _ => return None,
    })
}

fn short(row: &Run) -> Value {
    json!({
        "id": row.id, "flow_name": row.name, "nodes_count": row.results.len(),
        "steps_count": row.results.len(), "elapsed_ms": 12, "status": "success",
        "created_at": row.created, "client_id": row.owner.client,
    })
}

/// What is to run, and whose it is.
struct Chosen {
    owner: Owner,
    name: String,
    flow: Value,
    id: Option<u64>,
}

fn chosen(store: &Store, request: &Request) -> Result<Chosen, (StatusCode, &'static str)> {
    let body = &request.body;
    let inline = [&body["flow"], &body["flow_json"]];
    if let Some(flow) = inline.into_iter().find(|flow| !flow.is_null()) {
        let parsed = flow
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        return Ok(Chosen {
            owner: request.scope(),
            name: request.text("name").unwrap_or("Untitled").to_owned(),
            flow: parsed.unwrap_or_else(|| flow.clone()),
            id: integer(&body["flow_id"]),
        });
    }
    let Some(id) = integer(&body["flow_id"]) else {
        return Err((StatusCode::BAD_REQUEST, "No flow data provided"));
    };
    let mut rows = store.flows.iter();
    let row = rows.find(|row| row.id == id && request.takes(row.owner));
    let row = row.ok_or((
        StatusCode::NOT_FOUND,
        "Flow not found in active client scope",
    ))?;
    Ok(Chosen {
        owner: row.owner,
        name: row.name.clone(),
        flow: row.flow.clone(),
        id: Some(id),
    })
}

fn execute(store: &mut Store, request: &Request) -> Told {
    let run = match chosen(store, request) {
        Ok(run) => run,
        Err((status, words)) => return refused(status, words),
    };
    if !run.flow.is_object() {
        let words = "'list' object has no attribute 'get'";
        return refused(StatusCode::INTERNAL_SERVER_ERROR, words);
    }
    let nodes = run.flow["nodes"].as_array().cloned().unwrap_or_default();
    let says = |node: &Value| format!("Ran {} in {}", node["label"], run.owner.marked(&run.name));
    let (mut steps, mut results) = (Vec::new(), Vec::new());
    for (n, node) in nodes.iter().enumerate() {
        let rest = json!({"step": n + 1, "node_id": node["id"], "type": node["type"],
                          "input": "", "output": says(node), "fail_reason": null, "duration_ms": 1});
        let (mut step, mut result) = (rest.clone(), rest);
        step["node_label"] = node["label"].clone();
        step["status"] = json!("success");
        result["label"] = node["label"].clone();
        result["status"] = json!("ok");
        result["data"] = json!({"message": says(node), "config": node["config"]});
        steps.push(step);
        results.push(result);
    }
    // Stored under the active client, whosever flow it was.
    let scope = request.scope();
    let execution = store.add_run(scope, &run.name, results.clone());
    let count = steps.len();
    let answer = json!({
        "success": true, "execution_id": execution,
        "trace_execution_id": format!("trace-{execution}"),
        "flow_id": run.id, "flow_name": run.owner.marked(&run.name), "client_id": scope.client,
        "status": "completed", "run_status": "success", "overall_status": "success",
        "nodes_total": count, "steps_executed": count, "elapsed_ms": 12, "total_duration_ms": 12,
        "success_steps": count, "warning_steps": 0, "failed_steps": 0,
        "started_at": "2026-01-05T10:00:00.000Z", "finished_at": "2026-01-05T10:00:00.012Z",
        "summary": {"steps_count": count, "success": count, "warning": 0, "error": 0,
                    "run_status": "success", "total_duration_ms": 12},
        "steps": steps, "results": results,
    });
    ok(answer).of(run.owner)
}
