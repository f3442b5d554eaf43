//! What answers of the app about runs gain: which run it was, what the guardrails said,
//! whose figures it shows.
//!
//! The page shows a step's status and `fail_reason` and nothing else (contract, section
//! 9), so a warning stands there, too, where the app has said nothing itself.

use super::trace::steps;
use super::{Run, Source, Status, data};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where the figures of a run's connector steps came from.
pub fn sources(answer: &Value) -> Vec<Source> {
    let of_connectors = steps(answer)
        .into_iter()
        .filter(|step| step.kind == "connector");
    let source = of_connectors.map(|step| Source {
        node_id: step.node_id,
        connector: step.connector.unwrap_or_default(),
        source: step.source.unwrap_or_else(|| "unknown".to_owned()),
        account: step.account,
        gateway: step.gateway,
    });
    source.collect()
}

/// Sources as they are told.
pub fn sources_json(sources: &[Source]) -> Value {
    let rows = sources.iter().map(|one| {
        json!({"node_id": one.node_id, "connector": one.connector, "source": one.source,
               "account": one.account, "gateway": one.gateway})
    });
    rows.collect()
}

/// An answer to a run, with what is known besides: `run_id`, `replay_of`, `warnings`,
/// `sources`, `data`; and each warning on its step.
pub fn execute(
    mut answer: Value,
    run_id: &str,
    replay_of: Option<&str>,
    warnings: &[Value],
) -> Value {
    let sources = sources(&answer);
    let Some(fields) = answer.as_object_mut() else {
        return answer;
    };
    let reasons = reasons(warnings);
    let mut changed = false;
    for (list, good) in [("steps", "success"), ("results", "ok")] {
        let rows = fields.get_mut(list).and_then(Value::as_array_mut);
        for row in rows.into_iter().flatten().filter_map(Value::as_object_mut) {
            changed |= warn(row, good, &reasons);
        }
    }
    if changed {
        recount(fields);
    }
    if !warnings.is_empty() {
        at_least_warning(fields);
    }
    fields.insert("run_id".into(), json!(run_id));
    fields.insert("replay_of".into(), json!(replay_of));
    fields.insert("warnings".into(), json!(warnings));
    fields.insert("data".into(), json!(data(&sources)));
    fields.insert("sources".into(), sources_json(&sources));
    answer
}

/// What is said of each node.
fn reasons(warnings: &[Value]) -> BTreeMap<&str, String> {
    let mut reasons = BTreeMap::<&str, String>::new();
    for warning in warnings {
        let text = |name: &str| warning.get(name).and_then(Value::as_str);
        let Some((node, message)) = text("node_id").zip(text("message")) else {
            continue;
        };
        let reason = match text("fix") {
            Some(fix) => format!("{message} \u{2014} {fix}"),
            None => message.to_owned(),
        };
        let said = reasons.entry(node).or_default();
        if !said.is_empty() {
            said.push_str("; ");
        }
        said.push_str(&reason);
    }
    reasons
}

/// Says it on the step, where the app says nothing there itself.
fn warn(row: &mut Map<String, Value>, good: &str, reasons: &BTreeMap<&str, String>) -> bool {
    let node = match row.get("node_id") {
        Some(Value::String(node)) => node.clone(),
        Some(Value::Number(node)) => node.to_string(),
        _ => return false,
    };
    let Some(reason) = reasons.get(node.as_str()) else {
        return false;
    };
    let is_said = match row.get("fail_reason") {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    };
    if is_said {
        return false;
    }
    row.insert("fail_reason".into(), json!(reason));
    if row.get("status").and_then(Value::as_str) == Some(good) {
        row.insert("status".into(), json!("warning"));
    }
    true
}

/// Makes the totals those of the steps as they are told.
fn recount(fields: &mut Map<String, Value>) {
    let Some(rows) = fields.get("steps").and_then(Value::as_array) else {
        return;
    };
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    let counts = [count("success"), count("warning"), count("error")];
    let said = ["overall_status", "run_status"].map(|name| fields.get(name).cloned());
    let is_failed = said.iter().flatten().any(|status| status == "error");
    let status = match (counts[1], counts[2]) {
        // What the app calls failed stays so, whatever its steps say.
        _ if is_failed => "error",
        (_, 1..) => "error",
        (1.., _) => "warning",
        _ => "success",
    };
    let set = |fields: &mut Map<String, Value>, name: &str, value: Value| {
        if let Some(old) = fields.get_mut(name) {
            *old = value;
        }
    };
    for (name, count) in ["success_steps", "warning_steps", "failed_steps"]
        .iter()
        .zip(counts)
    {
        set(fields, name, json!(count));
    }
    for name in ["run_status", "overall_status"] {
        set(fields, name, json!(status));
    }
    if let Some(summary) = fields.get_mut("summary").and_then(Value::as_object_mut) {
        for (name, count) in ["success", "warning", "error"].iter().zip(counts) {
            set(summary, name, json!(count));
        }
        set(summary, "run_status", json!(status));
    }
}

/// A warning may be about a node that has no step; the run is no plain success all the same.
fn at_least_warning(fields: &mut Map<String, Value>) {
    let raise = |fields: &mut Map<String, Value>, name: &str| {
        if let Some(status) = fields.get_mut(name).filter(|status| **status == "success") {
            *status = json!("warning");
        }
    };
    raise(fields, "run_status");
    raise(fields, "overall_status");
    if let Some(summary) = fields.get_mut("summary").and_then(Value::as_object_mut) {
        raise(summary, "run_status");
    }
}

/// How a run ended, by what the app answered.
pub fn status(answered: u16, answer: Option<&Value>, has_warnings: bool) -> Status {
    let Some(answer) = answer.filter(|_| (200..300).contains(&answered)) else {
        return Status::Error;
    };
    let has_error = answer.get("error").is_some_and(|error| !error.is_null());
    let said = ["overall_status", "run_status"]
        .iter()
        .find_map(|name| answer.get(*name)?.as_str());
    match (has_error, said) {
        (true, _) | (_, Some("error")) => Status::Error,
        (_, Some("warning")) => Status::Warning,
        _ if has_warnings => Status::Warning,
        _ => Status::Success,
    }
}

/// A row of the history, with what the ledger has of the run; nulls and empty lists
/// where it has nothing.
pub fn history_row(row: &mut Map<String, Value>, run: Option<&Run>) {
    row.insert("run_id".into(), json!(run.map(|run| &run.run_id)));
    row.insert(
        "replay_of".into(),
        json!(run.and_then(|run| run.replay_of.as_ref())),
    );
    let warnings = run.map(|run| run.findings.clone()).filter(Value::is_array);
    row.insert("warnings".into(), warnings.unwrap_or_else(|| json!([])));
    let sources = run.map_or(&[][..], |run| &run.sources);
    row.insert("data".into(), json!(data(sources)));
    row.insert("sources".into(), sources_json(sources));
}

/// The metrics that each connector of a run delivered, by slug, in lower case.
pub fn figures_delivered(answer: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut delivered = BTreeMap::<String, BTreeSet<String>>::new();
    for step in steps(answer) {
        if let (Some(connector), "connector") = (step.connector, step.kind.as_str()) {
            let names = step.figures.keys().map(|name| name.to_lowercase());
            delivered.entry(connector).or_default().extend(names);
        }
    }
    delivered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        json!({
            "success": true, "run_status": "success", "overall_status": "success",
            "success_steps": 3, "warning_steps": 0, "failed_steps": 0,
            "summary": {"steps_count": 3, "success": 3, "warning": 0, "error": 0, "run_status": "success"},
            "steps": [
                {"step": 1, "node_id": "a", "type": "connector", "status": "success", "fail_reason": null},
                {"step": 2, "node_id": "b", "type": "connector", "status": "warning", "fail_reason": "The app's own"},
                {"step": 3, "node_id": 3, "type": "output", "status": "success", "fail_reason": ""},
            ],
            "results": [
                {"step": 1, "node_id": "a", "type": "connector", "status": "ok",
                 "data": {"connector": "ga4", "source": "coolbits", "property_id": "G-1", "metric_values": {"Sessions": 5}}},
                {"step": 2, "node_id": "b", "type": "connector", "status": "warning", "data": {"connector": "stripe"}},
                {"step": 3, "node_id": 3, "type": "output", "status": "ok", "data": {}},
            ],
        })
    }

    fn warning(node: &str, code: &str) -> Value {
        json!({"code": code, "node_id": node, "message": format!("{code} is wrong"), "fix": "mend it", "action": null})
    }

    #[test]
    fn a_warning_stands_on_its_step_where_the_app_says_nothing_there() {
        let warnings = [
            warning("a", "x"),
            warning("a", "y"),
            warning("b", "z"),
            warning("3", "w"),
            warning("gone", "v"),
        ];
        let told = execute(answer(), "run", Some("before"), &warnings);
        let step = |n: usize| {
            (
                told["steps"][n]["status"].as_str().unwrap(),
                told["steps"][n]["fail_reason"].as_str().unwrap(),
            )
        };
        assert_eq!(
            step(0),
            (
                "warning",
                "x is wrong \u{2014} mend it; y is wrong \u{2014} mend it"
            )
        );
        assert_eq!(step(1), ("warning", "The app's own"));
        assert_eq!(step(2), ("warning", "w is wrong \u{2014} mend it"));
        assert_eq!(told["results"][0]["status"], "warning");
        assert_eq!(
            told["results"][1]["fail_reason"],
            "z is wrong \u{2014} mend it"
        );
        assert_eq!(
            (&told["success_steps"], &told["warning_steps"]),
            (&json!(0), &json!(3))
        );
        assert_eq!(
            (&told["run_status"], &told["summary"]["run_status"]),
            (&json!("warning"), &json!("warning"))
        );
        assert_eq!(told["summary"]["steps_count"], 3);
        assert_eq!(
            (&told["run_id"], &told["replay_of"]),
            (&json!("run"), &json!("before"))
        );
        assert_eq!(told["warnings"].as_array().unwrap().len(), 5);
        assert_eq!(told["data"], "mixed");
        assert_eq!(
            told["sources"][0],
            json!({"node_id": "a", "connector": "ga4", "source": "coolbits", "account": "G-1", "gateway": null})
        );
        assert_eq!(told["sources"][1]["source"], "unknown");
    }

    #[test]
    fn a_warning_without_a_step_makes_the_run_no_plain_success() {
        let told = execute(answer(), "run", None, &[warning("gone", "x")]);
        assert_eq!(told["steps"], answer()["steps"]);
        assert_eq!(told["success_steps"], 3);
        for status in [
            &told["run_status"],
            &told["overall_status"],
            &told["summary"]["run_status"],
        ] {
            assert_eq!(status, "warning");
        }
    }

    #[test]
    fn without_warnings_nothing_that_the_app_said_changes() {
        let told = execute(answer(), "run", None, &[]);
        for (name, value) in answer().as_object().unwrap() {
            assert_eq!(&told[name], value, "{name}");
        }
        assert_eq!(
            (&told["warnings"], &told["replay_of"]),
            (&json!([]), &json!(null))
        );
        assert_eq!(execute(json!([1]), "run", None, &[]), json!([1]));
        let bare = execute(json!({"steps": 7}), "run", None, &[warning("a", "x")]);
        assert_eq!((&bare["steps"], &bare["data"]), (&json!(7), &json!(null)));
    }

    #[test]
    fn an_error_stays_an_error() {
        let mut failed = answer();
        failed["steps"][0]["status"] = json!("error");
        let told = execute(failed, "run", None, &[warning("a", "x")]);
        assert_eq!(
            (&told["steps"][0]["status"], &told["run_status"]),
            (&json!("error"), &json!("error"))
        );
    }

    #[test]
    fn what_the_app_calls_failed_stays_failed() {
        let mut failed = answer();
        failed["run_status"] = json!("error");
        let told = execute(failed, "run", None, &[warning("a", "x")]);
        assert_eq!(
            (&told["run_status"], &told["overall_status"]),
            (&json!("error"), &json!("error"))
        );
    }

    #[test]
    fn how_it_ended_is_the_worst_that_anybody_says() {
        let of = |run_status: &str| json!({"run_status": run_status});
        let cases = [
            (200, Some(of("success")), false, Status::Success),
            (200, Some(of("success")), true, Status::Warning),
            (200, Some(of("warning")), false, Status::Warning),
            (200, Some(of("error")), false, Status::Error),
            (
                200,
                Some(json!({"error": "x", "run_status": "success"})),
                false,
                Status::Error,
            ),
            (200, Some(json!({})), false, Status::Success),
            (200, None, false, Status::Error),
            (500, Some(of("success")), false, Status::Error),
        ];
        for (answered, answer, warned, expected) in cases {
            assert_eq!(
                status(answered, answer.as_ref(), warned),
                expected,
                "{answered} {answer:?}"
            );
        }
    }

    #[test]
    fn what_was_delivered_is_told_by_connector() {
        let delivered = figures_delivered(&answer());
        assert_eq!(delivered["ga4"], BTreeSet::from(["sessions".to_owned()]));
        assert!(delivered["stripe"].is_empty());
    }
}
