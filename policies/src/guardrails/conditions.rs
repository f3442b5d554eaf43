//! Conditions and outputs: what they compare, and what they show.

use super::Situation;
use super::connectors::slug;
use super::finding::Findings;
use crate::flow::{Flow, Kind, Node};
use std::collections::BTreeSet;

const OPERATORS: [&str; 7] = ["<", "<=", ">", ">=", "==", "=", "!="];

/// A condition: whole, of a metric that is delivered, with one way on.
pub(super) fn condition(
    found: &mut Findings,
    read: &Flow,
    at: usize,
    before: &[BTreeSet<usize>],
    situation: &Situation,
) {
    let node = &read.nodes[at];
    if node.kind != Kind::Condition {
        return;
    }
    let metric = node.setting(&["condition_metric", "metric"]);
    let operator = node.setting(&["condition_operator", "operator"]);
    let value = node.setting(&["condition_value", "value"]);
    let is_operator = |text: &String| OPERATORS.contains(&text.as_str());
    let is_number = |text: &String| text.parse::<f64>().is_ok_and(f64::is_finite);
    let mut missing = Vec::new();
    if metric.is_none() {
        missing.push("a metric");
    }
    if !operator.as_ref().is_some_and(is_operator) {
        missing.push("an operator");
    }
    if !value.as_ref().is_some_and(is_number) {
        missing.push("a number to compare with");
    }
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        found.about("condition_incomplete", node, None, &[("missing", &missing)]);
    }
    if let Some(metric) = &metric
        && !may_be_delivered(found, read, &before[at], &metric.to_lowercase(), situation)
    {
        found.about(
            "condition_metric_not_delivered",
            node,
            None,
            &[("metric", metric)],
        );
    }
    let leaving: BTreeSet<&String> = read
        .connections
        .iter()
        .filter(|one| one.from == node.key)
        .map(|one| &one.to)
        .collect();
    if leaving.len() > 1 {
        found.about("condition_both_branches", node, None, &[]);
    }
}

/// Whether any connector before a condition delivers its metric, as far as is known: of
/// one that nothing is known of, anything may come.
fn may_be_delivered(
    found: &Findings,
    read: &Flow,
    before: &BTreeSet<usize>,
    metric: &str,
    situation: &Situation,
) -> bool {
    let connectors = before.iter().filter_map(|at| slug(&read.nodes[*at]));
    connectors.into_iter().any(|slug| {
        let (table, seen) = (found.table.metrics(&slug), situation.delivered.get(&slug));
        let has =
            |metrics: Option<&BTreeSet<String>>| metrics.is_some_and(|all| all.contains(metric));
        (table.is_none() && seen.is_none()) || has(table) || has(seen)
    })
}

/// Placeholders in an output's template that nothing fills.
pub(super) fn placeholders(found: &mut Findings, node: &Node) {
    let template = node.setting(&["output_template", "template"]);
    let Some(template) = template.filter(|_| node.kind == Kind::Output) else {
        return;
    };
    let parts = template.split("{{").skip(1);
    for part in parts {
        let Some((name, _)) = part.split_once("}}") else {
            continue;
        };
        // As it stands: the app replaces the words, and knows no blanks around them.
        if !found.table.placeholders.contains(name) {
            let shown = format!("{{{{{name}}}}}");
            found.about(
                "placeholder_unfilled",
                node,
                None,
                &[("placeholder", &shown)],
            );
        }
    }
}
