//! The trace of a run: one versioned schema, as JSON and as CSV.
//!
//! JSON is described by `policies/schemas/run-trace.v1.schema.json`. CSV (RFC 4180, UTF-8)
//! has one header row and one row a step, the run's own members repeated on each:
//! [`COLUMNS`]. Figures are the same in both. A text that a spreadsheet would take for a
//! formula gets an apostrophe in front. A change that a reader could notice is a new
//! [`VERSION`].
//!
//! What the app keeps of a run has no flow and no warnings: such traces say
//! `app_history`, and what is not known is null.

use super::annotate::sources_json;
use super::{Run, Source, data};
use serde_json::{Map, Number, Value, json};
use std::collections::BTreeMap;

/// Name of the schema.
pub const SCHEMA: &str = "camarad.run-trace";
/// Its version.
pub const VERSION: u32 = 1;

/// The columns of the CSV, in order.
pub const COLUMNS: [&str; 26] = [
    "version",
    "run_id",
    "execution_id",
    "trace_execution_id",
    "replay_of",
    "flow_id",
    "flow_name",
    "client_id",
    "run_status",
    "data",
    "origin",
    "started_at",
    "finished_at",
    "step",
    "node_id",
    "node_label",
    "type",
    "status",
    "connector",
    "source",
    "account",
    "duration_ms",
    "figures",
    "input",
    "output",
    "fail_reason",
];

/// Of a run that the sidecar did not record.
const BEFORE: &str = "This run was made before the sidecar recorded runs, or past it: its flow and \
    warnings are not known, and its steps are what the app's history kept.";

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Counted from 1.
    pub step: u64,
    /// The node.
    pub node_id: String,
    /// What it is called.
    pub node_label: String,
    /// `trigger`, `connector`, …
    pub kind: String,
    /// `success`, `warning` or `error`.
    pub status: String,
    /// What went in.
    pub input: String,
    /// What came out.
    pub output: String,
    /// Why it is no success.
    pub fail_reason: Option<String>,
    /// Milliseconds.
    pub duration_ms: Option<Number>,
    /// The connector's slug.
    pub connector: Option<String>,
    /// Where its figures came from.
    pub source: Option<String>,
    /// The account or property that was read.
    pub account: Option<String>,
    /// What came of asking Coolbits, where that is known.
    pub gateway: Option<Value>,
    /// A connector's metrics, a condition's two sides.
    pub figures: BTreeMap<String, Number>,
}

/// A run, ready to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    note: Option<&'static str>,
    origin: &'static str,
    run: Map<String, Value>,
    warnings: Value,
    sources: Vec<Source>,
    steps: Vec<Step>,
}

/// The steps of an answer to a run, or of a detail of the history. What is missing or of
/// another type is empty, never an error.
pub fn steps(answer: &Value) -> Vec<Step> {
    let list = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
    };
    let (told, results) = (list("steps"), list("results"));
    let rows = if told.is_empty() { results } else { told };
    let step = |(at, row): (usize, &Value)| {
        let of_node = |one: &&Value| one["node_id"] == row["node_id"] && one["step"] == row["step"];
        let result = results.iter().find(of_node).unwrap_or(row);
        read_step(at, row, result)
    };
    rows.iter().enumerate().map(step).collect()
}

fn read_step(at: usize, row: &Value, result: &Value) -> Step {
    let data = &result["data"];
    let kind = text(&row["type"]);
    let label = [&row["node_label"], &row["label"]]
        .into_iter()
        .find(|label| !label.is_null());
    let status = match row["status"].as_str().unwrap_or_default() {
        "ok" | "success" => "success",
        "warning" => "warning",
        _ => "error",
    };
    let account = [&data["account_id"], &data["property_id"]];
    let named = |value: &Value| Some(text(value)).filter(|text| !text.is_empty());
    let figures = match kind.as_str() {
        "connector" => figures(data, row),
        "condition" => ["actual_value", "threshold"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), number(&data[name])?)))
            .collect(),
        _ => BTreeMap::new(),
    };
    Step {
        step: row["step"].as_u64().unwrap_or(at as u64 + 1),
        node_id: text(&row["node_id"]),
        node_label: label.map(text).unwrap_or_default(),
        status: status.to_owned(),
        input: text(&row["input"]),
        output: text(&row["output"]),
        fail_reason: named(&row["fail_reason"]),
        duration_ms: match &row["duration_ms"] {
            Value::Number(number) => Some(number.clone()),
            _ => None,
        },
        connector: named(&data["connector"]),
        source: named(&data["source"]),
        account: account.into_iter().find_map(named),
        gateway: Some(data["gateway"].clone()).filter(Value::is_object),
        figures,
        kind,
    }
}

/// A connector's metrics: `metric_values`, else what is a number among its `kpis`.
fn figures(data: &Value, row: &Value) -> BTreeMap<String, Number> {
    let named = |of: &Value| -> BTreeMap<String, Number> {
        let members = of.as_object().into_iter().flatten();
        members
            .filter_map(|(name, value)| Some((name.clone(), number(value)?)))
            .collect()
    };
    let values = named(&data["metric_values"]);
    if !values.is_empty() {
        return values;
    }
    let kpis = [&data["kpis"], &row["kpis"]]
        .into_iter()
        .find(|kpis| !kpis.is_null());
    match kpis {
        Some(Value::Array(rows)) => {
            let one = |kpi: &Value| {
                let name = [&kpi["label"], &kpi["name"]]
                    .into_iter()
                    .find_map(Value::as_str)?;
                Some((name.to_owned(), number(&kpi["value"])?))
            };
            rows.iter().filter_map(one).collect()
        }
        Some(kpis) => named(kpis),
        None => BTreeMap::new(),
    }
}

/// A number, or a text that is nothing but one. What is written for people (`$1,234.50`) is not.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let is_plain = text
                .bytes()
                .all(|b| b.is_ascii_digit() || b".-".contains(&b));
            serde_json::from_str(text).ok().filter(|_| is_plain)
        }
        _ => None,
    }
}

/// A text as it is, nothing for null, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The trace of a run that the ledger has.
pub fn trace(run: &Run) -> Trace {
    let answer = run.answer.as_ref().unwrap_or(&Value::Null);
    let mut steps = steps(answer);
    warn(&mut steps, &run.findings);
    let number = |names: [&str; 2]| {
        let found = names
            .iter()
            .map(|name| &answer[*name])
            .find(|value| value.is_number());
        found.cloned().unwrap_or_default()
    };
    let nodes = run.flow["nodes"].as_array().map(Vec::len);
    let told = json!({
        "run_id": run.run_id,
        "execution_id": run.execution_id,
        "trace_execution_id": run.trace_execution_id,
        "replay_of": run.replay_of,
        "flow_id": run.flow_id,
        "flow_name": run.flow_name,
        "client_id": run.client,
        "status": run.status.as_str(),
        "data": data(&run.sources),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_ms": number(["total_duration_ms", "elapsed_ms"]),
        "nodes_total": nodes,
        "steps_executed": steps.len(),
        "request_sha256": run.request_hash,
    });
    Trace {
        note: None,
        origin: "ledger",
        run: object(told),
        warnings: run.findings.clone(),
        sources: run.sources.clone(),
        steps,
    }
}

/// The trace of a run of this client that only the app's history has.
pub fn trace_of_history(detail: &Value, client: u64) -> Trace {
    let steps = steps(detail);
    let sources = super::annotate::sources(detail);
    let told = json!({
        "run_id": null,
        "execution_id": detail["id"].as_u64(),
        "trace_execution_id": null,
        "replay_of": null,
        "flow_id": null,
        "flow_name": detail["flow_name"].as_str().unwrap_or_default(),
        "client_id": client,
        "status": detail["status"].as_str().unwrap_or("unknown"),
        "data": data(&sources),
        "started_at": detail["created_at"].as_str(),
        "finished_at": null,
        "duration_ms": Some(&detail["elapsed_ms"]).filter(|value| value.is_number()),
        "nodes_total": detail["nodes_count"].as_u64(),
        "steps_executed": steps.len(),
        "request_sha256": null,
    });
    Trace {
        note: Some(BEFORE),
        origin: "app_history",
        run: object(told),
        warnings: json!([]),
        sources,
        steps,
    }
}

/// What the guardrails said of a step, where the app says nothing itself; as the caller was told.
fn warn(steps: &mut [Step], warnings: &Value) {
    let rows: Value = steps
        .iter()
        .map(|step| json!({"node_id": step.node_id, "status": step.status, "fail_reason": step.fail_reason}))
        .collect();
    let warnings = warnings.as_array().map_or(&[][..], Vec::as_slice);
    let told = super::annotate::execute(json!({"steps": rows}), "", None, warnings);
    for (step, row) in steps
        .iter_mut()
        .zip(told["steps"].as_array().into_iter().flatten())
    {
        step.status = text(&row["status"]);
        step.fail_reason = row["fail_reason"].as_str().map(str::to_owned);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl Trace {
    /// As the schema has it.
    pub fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "step": step.step, "node_id": step.node_id, "node_label": step.node_label,
                "type": step.kind, "status": step.status, "connector": step.connector,
                "source": step.source, "account": step.account, "duration_ms": step.duration_ms,
                "input": step.input, "output": step.output, "fail_reason": step.fail_reason,
                "figures": step.figures,
            })
        });
        json!({
            "schema": SCHEMA, "version": VERSION, "origin": self.origin, "note": self.note,
            "run": self.run, "warnings": self.warnings, "sources": sources_json(&self.sources),
            "steps": steps.collect::<Value>(),
        })
    }

    /// One header row, and one row a step.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            // Where a spreadsheet splits at semicolons, a cell must still be one.
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(Vec::new());
        // Writing into memory cannot fail, nor can a row of as many cells as the header.
        let _ = csv.write_record(COLUMNS);
        for step in &self.steps {
            let _ = csv.write_record(COLUMNS.map(|column| self.cell(step, column)));
        }
        csv.into_inner().unwrap_or_default()
    }

    fn cell(&self, step: &Step, column: &str) -> String {
        let optional = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
        match column {
            "version" => VERSION.to_string(),
            "run_status" => self.of_run("status"),
            "origin" => self.origin.to_owned(),
            "step" => step.step.to_string(),
            "node_id" => plain(&step.node_id),
            "node_label" => plain(&step.node_label),
            "type" => plain(&step.kind),
            "status" => step.status.clone(),
            "connector" => optional(&step.connector),
            "source" => optional(&step.source),
            "account" => optional(&step.account),
            "duration_ms" => step
                .duration_ms
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            "figures" => json!(step.figures).to_string(),
            "input" => plain(&step.input),
            "output" => plain(&step.output),
            "fail_reason" => optional(&step.fail_reason),
            of_run => self.of_run(of_run),
        }
    }

    fn of_run(&self, name: &str) -> String {
        match self.run.get(name) {
            Some(Value::Number(number)) => number.to_string(),
            value => plain(&text(value.unwrap_or(&Value::Null))),
        }
    }

    /// A file name for it: letters, digits and dashes.
    pub fn file_name(&self, extension: &str) -> String {
        let named = ["execution_id", "run_id"].iter().find_map(|name| {
            let id = text(self.run.get(*name)?);
            (!id.is_empty()).then_some(id)
        });
        format!(
            "run-{}.{extension}",
            named.unwrap_or_else(|| "unknown".to_owned())
        )
    }
}

/// A text that no spreadsheet takes for a formula (OWASP, CSV injection).
fn plain(text: &str) -> String {
    let begins = |text: &str| text.starts_with(is_formula);
    match begins(text) || begins(text.trim_start()) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn is_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+'
            | '-'
            | '@'
            | '\t'
            | '\r'
            | '\n'
            | '\u{ff1d}'
            | '\u{ff0b}'
            | '\u{ff0d}'
            | '\u{ff20}'
    )
}

#[cfg(test)]
mod tests;
