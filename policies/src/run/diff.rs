//! Two runs of one flow held against each other, step by step.
//!
//! By node and not by number, so that a step more or less moves nothing. What a step took
//! in time is no difference.

use super::trace::Step;
use serde_json::{Number, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What differs between two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    steps: Vec<StepDiff>,
}

#[derive(Clone, Debug, PartialEq)]
struct StepDiff {
    step: u64,
    node_id: String,
    node_label: String,
    kind: String,
    change: &'static str,
    status: (Option<String>, Option<String>),
    figures: Vec<FigureDiff>,
}

#[derive(Clone, Debug, PartialEq)]
struct FigureDiff {
    name: String,
    before: Option<Number>,
    after: Option<Number>,
}

/// Holds two runs against each other: in the later one's order, what it lacks at the end.
pub fn diff(before: &[Step], after: &[Step]) -> Diff {
    let earlier: BTreeMap<&str, &Step> = before.iter().map(|s| (s.node_id.as_str(), s)).collect();
    let later: BTreeSet<&str> = after.iter().map(|s| s.node_id.as_str()).collect();
    let present = after
        .iter()
        .map(|step| one(earlier.get(step.node_id.as_str()).copied(), Some(step)));
    let gone = before
        .iter()
        .filter(|step| !later.contains(step.node_id.as_str()))
        .map(|step| one(Some(step), None));
    Diff {
        steps: present.chain(gone).flatten().collect(),
    }
}

fn one(before: Option<&Step>, after: Option<&Step>) -> Option<StepDiff> {
    let shown = after.or(before)?;
    let none = BTreeMap::new();
    let figures = |step: Option<&Step>| step.map_or(none.clone(), |step| step.figures.clone());
    let (old, new) = (figures(before), figures(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    let figures: Vec<FigureDiff> = differing
        .map(|name| FigureDiff {
            name: name.clone(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect();
    let status = |step: Option<&Step>| step.map(|step| step.status.clone());
    let status = (status(before), status(after));
    let change = match (before, after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ if figures.is_empty() && status.0 == status.1 => "same",
        _ => "changed",
    };
    Some(StepDiff {
        step: shown.step,
        node_id: shown.node_id.clone(),
        node_label: shown.node_label.clone(),
        kind: shown.kind.clone(),
        change,
        status,
        figures,
    })
}

impl Diff {
    /// Whether every step came out alike.
    pub fn is_same(&self) -> bool {
        self.steps.iter().all(|step| step.change == "same")
    }

    /// `{same, steps: [{step, node_id, node_label, type, change, status: {before, after},
    /// figures: [{name, before, after, change}]}]}`; of the figures those that differ.
    pub fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "step": step.step, "node_id": step.node_id, "node_label": step.node_label,
                "type": step.kind, "change": step.change,
                "status": {"before": step.status.0, "after": step.status.1},
                "figures": step.figures.iter().map(FigureDiff::to_json).collect::<Value>(),
            })
        });
        json!({"same": self.is_same(), "steps": steps.collect::<Value>()})
    }
}

impl FigureDiff {
    fn to_json(&self) -> Value {
        let number = |figure: &Option<Number>| figure.as_ref().and_then(Number::as_f64);
        let change = number(&self.after).zip(number(&self.before));
        // Six places: what floats add beyond them is no change.
        let change = change.map(|(after, before)| ((after - before) * 1e6).round() / 1e6);
        json!({"name": self.name, "before": self.before, "after": self.after, "change": change})
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::steps;
    use super::*;

    fn run(rows: &[(&str, &str, Value)]) -> Vec<Step> {
        let result = |(n, (id, status, figures)): (usize, &(&str, &str, Value))| {
            json!({"step": n + 1, "node_id": id, "type": "connector", "status": status,
                   "duration_ms": n, "data": {"connector": "ga4", "metric_values": figures}})
        };
        let results: Value = rows.iter().enumerate().map(result).collect();
        steps(&json!({"results": results}))
    }

    #[test]
    fn steps_are_held_against_each_other_by_node() {
        let before = run(&[
            ("a", "ok", json!({"x": 1, "y": 0.1})),
            ("b", "ok", json!({})),
            ("c", "ok", json!({"z": 1})),
        ]);
        let after = run(&[
            ("c", "warning", json!({"z": 1})),
            ("a", "ok", json!({"x": 1, "y": 0.3, "n": 5})),
            ("d", "ok", json!({})),
        ]);
        let told = diff(&before, &after).to_json();
        assert_eq!(told["same"], false);
        let changes: Vec<(&str, &str)> = told["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                (
                    step["node_id"].as_str().unwrap(),
                    step["change"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            changes,
            [
                ("c", "changed"),
                ("a", "changed"),
                ("d", "added"),
                ("b", "removed")
            ]
        );
        assert_eq!(
            told["steps"][0]["status"],
            json!({"before": "success", "after": "warning"})
        );
        let figures = json!([
            {"name": "n", "before": null, "after": 5, "change": null},
            {"name": "y", "before": 0.1, "after": 0.3, "change": 0.2},
        ]);
        assert_eq!(told["steps"][1]["figures"], figures);
        assert_eq!(
            told["steps"][3]["status"],
            json!({"before": "success", "after": null})
        );
    }

    #[test]
    fn the_same_run_is_the_same() {
        let rows = run(&[("a", "ok", json!({"x": 1.5})), ("b", "warning", json!({}))]);
        let mut slower = rows.clone();
        slower[0].duration_ms = Some(99.into());
        assert!(diff(&rows, &slower).is_same());
        assert!(diff(&[], &[]).is_same());
    }
}
