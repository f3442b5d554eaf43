//! Running a flow, and the history of runs. Weak on purpose: a flow or a run
//! named by id is looked up by user, never by client.
//!
//! What a node does is in [`steps`]. Times are fixed, so that the same flow
//! gives the same answer, ids aside.

use super::fetch::{self, Want};
use super::request::{Request, Told, integer, missing, ok, refused};
use super::steps::{self, Step, Whose};
use super::store::{Owner, Store, next_id};
use camarad_policies::flow::{Flow, Kind};
use http::StatusCode;
use serde_json::{Value, json};

/// Rows of the history where the caller does not say.
const MOST: i64 = 20;

/// One run, as the history has it.
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) owner: Owner,
    name: String,
    told: Account,
    created: String,
}

/// What is told of a run.
pub(super) struct Account {
    /// Of the flow; those that were out of reach, too.
    pub(super) nodes: usize,
    pub(super) elapsed_ms: u64,
    /// `success`, `warning` or `error`.
    pub(super) status: &'static str,
    /// As `results[]` has them, one for each step.
    pub(super) results: Vec<Value>,
}

impl Store {
    pub(super) fn add_run(&mut self, owner: Owner, name: &str, told: Account) -> u64 {
        let id = next_id(self.runs.iter().map(|row| row.id));
        let created = self.now();
        self.runs.push(Run {
            id,
            owner,
            name: owner.marked(name),
            told,
            created,
        });
        id
    }
}

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("POST", "/api/orchestrator/execute") => execute(store, request),
        ("GET", "/api/orchestrator/history") => history(store, request),
        ("GET", "/api/orchestrator/history/<int:exec_id>") => {
            let mut rows = store.runs.iter();
            match rows.find(|row| request.means(row.id, row.owner)) {
                Some(row) => {
                    let mut whole = short(row);
                    whole["results"] = json!(row.told.results);
                    ok(whole).of(row.owner)
                }
                None => missing("Execution not found"),
            }
        }
        _ => return None,
    })
}

/// The newest first. `limit` has no bound, and a negative one is none; one that is no number
/// fails, and any failure is an empty list.
fn history(store: &Store, request: &Request) -> Told {
    let limit = match request.asked.parameter("limit") {
        Some(text) => text.trim().parse().unwrap_or(0),
        None => MOST,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let own = store.runs.iter().filter(|row| request.lists(row.owner));
    ok(own.rev().take(limit).map(short).collect()).in_rows()
}

fn short(row: &Run) -> Value {
    let told = &row.told;
    json!({
        "id": row.id, "flow_name": row.name, "nodes_count": told.nodes,
        "steps_count": told.results.len(), "elapsed_ms": told.elapsed_ms, "status": told.status,
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
    let mut rows = store.flows.iter().chain(store.templates.rows());
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

/// What the nodes of the flow that a request runs want fetched, in the order in which they run,
/// each with its node's key.
pub(super) fn wants(store: &Store, request: &Request) -> Vec<(String, Want)> {
    let Ok(run) = chosen(store, request) else {
        return Vec::new();
    };
    let (flow, _) = Flow::read(&run.flow);
    let order = flow.order().into_iter();
    let nodes = order.filter_map(|at| flow.nodes.get(at));
    let fetching = nodes.filter(|node| node.kind == Kind::Connector && !fetch::is_to_fail(node));
    let wants = fetching.filter_map(|node| {
        let want = Want::of(node, request.scope(), &store.settings)?;
        Some((node.key.clone(), want))
    });
    wants.collect()
}

fn execute(store: &mut Store, request: &Request) -> Told {
    let run = match chosen(store, request) {
        Ok(run) => run,
        Err((status, words)) => return refused(status, words),
    };
    if !run.flow.is_object() {
        let words = format!("'{}' object has no attribute 'get'", python_type(&run.flow));
        return refused(StatusCode::INTERNAL_SERVER_ERROR, &words);
    }
    let scope = request.scope();
    let (flow, _) = Flow::read(&run.flow);
    let whose = Whose {
        owner: run.owner,
        scope,
        settings: &store.settings,
        fetched: request.fetched,
    };
    let walked = steps::walk(&flow, &whose);
    let numbered = || walked.iter().zip(1..);
    let results: Vec<Value> = numbered().map(|(step, n)| step.result(n)).collect();
    let steps: Vec<Value> = numbered().map(|(step, n)| step.step(n)).collect();
    let warnings = walked.iter().filter(|step| step.warning).count();
    let status = if warnings > 0 { "warning" } else { "success" };
    let elapsed_ms: u64 = walked.iter().map(|step: &Step| step.duration_ms).sum();
    let told = Account {
        nodes: run.flow["nodes"].as_array().map_or(0, Vec::len),
        elapsed_ms,
        status,
        results,
    };
    let mut answer = json!({
        "success": true, "flow_id": run.id, "flow_name": run.owner.marked(&run.name),
        "client_id": scope.client,
        "status": "completed", "run_status": status, "overall_status": status,
        "nodes_total": told.nodes, "steps_executed": steps.len(),
        "elapsed_ms": elapsed_ms, "total_duration_ms": elapsed_ms,
        "success_steps": steps.len() - warnings, "warning_steps": warnings, "failed_steps": 0,
        "started_at": "2026-01-05T10:00:00.000Z", "finished_at": finished(elapsed_ms),
        "summary": {"steps_count": steps.len(), "success": steps.len() - warnings,
                    "warning": warnings, "error": 0, "run_status": status,
                    "total_duration_ms": elapsed_ms},
        "steps": steps, "results": told.results,
    });
    // Stored under the active client, whosever flow it was.
    let execution = store.add_run(scope, &run.name, told);
    answer["execution_id"] = json!(execution);
    answer["trace_execution_id"] = json!(format!("trace-{execution}"));
    ok(answer).of(run.owner)
}

/// So many milliseconds after the fixed beginning.
fn finished(elapsed_ms: u64) -> String {
    let (minutes, rest) = (elapsed_ms / 60_000 % 60, elapsed_ms % 60_000);
    format!(
        "2026-01-05T10:{minutes:02}:{:02}.{:03}Z",
        rest / 1_000,
        rest % 1_000
    )
}

/// What Python calls a JSON value's type in an exception.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}
