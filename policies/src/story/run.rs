//! A run within a request's story: how it and its steps ended, and what was warned of.
//! What steps were given and gave back is left out.

use super::{safe, stop};
use crate::run::trace::trace;
use crate::run::{Run, data};
use serde_json::{Map, Value, json};

/// What is told of a step.
const STEP: [&str; 9] = [
    "step",
    "node_id",
    "node_label",
    "type",
    "status",
    "connector",
    "source",
    "duration_ms",
    "fail_reason",
];
/// What is told of a warning.
const WARNING: [&str; 4] = ["code", "node_id", "message", "fix"];

/// The run without flow, inputs, outputs and answer:
/// `{run_id, execution_id, user, client, status, data, started_at, finished_at, replay_of,
/// flow_name, steps, warnings}`.
pub fn run_json(run: &Run) -> Value {
    let whole = trace(run).to_json();
    json!({
        "run_id": run.run_id,
        "execution_id": run.execution_id,
        "user": run.user,
        "client": run.client,
        "status": run.status.as_str(),
        "data": data(&run.sources),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "replay_of": run.replay_of,
        "flow_name": run.flow_name,
        "steps": only(&whole["steps"], &STEP),
        "warnings": only(&run.findings, &WARNING),
    })
}

fn only(rows: &Value, members: &[&str]) -> Value {
    let row = |row: &Value| {
        let member = |name: &&str| Some(((*name).to_owned(), row.get(*name)?.clone()));
        Value::Object(members.iter().filter_map(member).collect::<Map<_, _>>())
    };
    rows.as_array().into_iter().flatten().map(row).collect()
}

pub(super) fn tell(run: &Run, lines: &mut Vec<String>) {
    let told = run_json(run);
    let rows = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let ended = match &run.finished_at {
        Some(at) => format!("ended at {}", safe(at)),
        None => "has not ended".to_owned(),
    };
    let data = data(&run.sources).map_or(String::new(), |data| format!("; its figures are {data}"));
    let app = run
        .execution_id
        .map_or(String::new(), |id| format!(", which the app calls {id},"));
    lines.push(format!(
        "Run {}{app} of client {} is {}: it began at {} and {ended}{data}.",
        safe(&run.run_id),
        run.client,
        run.status.as_str(),
        safe(&run.started_at),
    ));
    for step in rows("steps") {
        let text = |name: &str| safe(step[name].as_str().unwrap_or_default());
        let name = match text("node_label") {
            label if label.is_empty() => text("node_id"),
            label => label,
        };
        let source = step["source"].as_str();
        let source = source.map_or(String::new(), |source| format!(", from {}", safe(source)));
        let took = step["duration_ms"].as_f64();
        let took = took.map_or(String::new(), |took| format!(", {took} ms"));
        let why = step["fail_reason"].as_str();
        let why = why.map_or(String::new(), |why| format!(": {}", safe(why)));
        let (kind, status) = (text("type"), text("status"));
        let line = format!(
            "Step {}, {kind} {name}: {status}{source}{took}{why}",
            safe(&step["step"].to_string())
        );
        lines.push(stop(&line));
    }
    for warning in rows("warnings") {
        let text = |name: &str| safe(warning[name].as_str().unwrap_or_default());
        lines.push(stop(&format!(
            "Warning {}: {}",
            text("code"),
            text("message")
        )));
    }
}
