//! What the guardrails found, in words.

use super::table::{Guardrails, Mode};
use crate::flow::Node;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every rule, and what its words may have filled in.
pub(super) const RULES: [(&str, &[&str]); 32] = [
    ("not_a_flow", &[]),
    ("too_large", &["count", "limit"]),
    ("no_nodes", &[]),
    ("too_many_nodes", &["count", "limit"]),
    ("too_many_connections", &["count", "limit"]),
    ("no_agent", &[]),
    ("no_output", &[]),
    ("account_unreadable", &["label", "connector", "account"]),
    ("node_unreadable", &["place"]),
    ("duplicate_id", &["id"]),
    ("connection_unreadable", &["place"]),
    ("connection_to_nothing", &["id"]),
    ("account_not_allowed", &["label", "connector", "account"]),
    ("account_not_linked", &["label", "connector", "account"]),
    ("account_link_unknown", &["label", "connector", "account"]),
    ("account_not_chosen", &["label", "connector"]),
    ("property_not_chosen", &["label", "connector"]),
    ("connector_disconnected", &["label", "connector"]),
    ("connector_degraded", &["label", "connector"]),
    ("connector_state_unknown", &["label", "connector"]),
    ("gateway_off", &["label", "connector"]),
    ("unknown_connector", &["label", "slug"]),
    ("unknown_agent", &["label", "slug"]),
    ("unknown_type", &["label", "type"]),
    ("no_trigger", &["label"]),
    ("no_path", &["label"]),
    ("cycle", &["label"]),
    ("out_of_reach", &["label"]),
    ("condition_incomplete", &["label", "missing"]),
    ("condition_metric_not_delivered", &["label", "metric"]),
    ("condition_both_branches", &["label"]),
    ("placeholder_unfilled", &["label", "placeholder"]),
];

/// Findings of each kind that are told; a flow that has more is not read to its end by anybody.
const MOST: usize = 50;
/// Characters of a name that are shown.
const SHOWN: usize = 60;

/// What can be done, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What it is called.
    pub label: String,
    /// A path of the app.
    pub href: String,
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub code: &'static str,
    /// The node that it is about.
    pub node_id: Option<String>,
    /// The connector that it is about.
    pub connector: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// Where.
    pub action: Option<Action>,
}

/// What the guardrails say of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// For these it is not run.
    pub violations: Vec<Finding>,
    /// It is run, and these are told.
    pub warnings: Vec<Finding>,
}

impl Finding {
    /// `{code, node_id, connector, message, fix, action}`.
    pub fn to_warning_json(&self) -> Value {
        let action = self.action.as_ref();
        json!({
            "code": self.code, "node_id": self.node_id, "connector": self.connector,
            "message": self.message, "fix": self.fix,
            "action": action.map(|action| json!({"label": action.label, "href": action.href})),
        })
    }

    /// `{code, node_id, message, fix}`.
    pub fn to_violation_json(&self) -> Value {
        json!({"code": self.code, "node_id": self.node_id, "message": self.message, "fix": self.fix})
    }
}

impl Verdict {
    /// Why the flow is not run, as one sentence and one more about credits.
    pub fn sentence(&self) -> Option<String> {
        let first = self.violations.first()?;
        let more = match self.violations.len() - 1 {
            0 => String::new(),
            1 => " (and one more problem)".to_owned(),
            more => format!(" (and {more} more problems)"),
        };
        Some(format!(
            "This flow cannot run: {}{more}. Credits may have been taken already, because the page books them first.",
            begun_small(&first.message)
        ))
    }
}

/// The words within a sentence: `The flow …` becomes `the flow …`.
fn begun_small(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters
        .next()
        .filter(|_| words.chars().nth(1).is_some_and(char::is_lowercase));
    match first {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => words.to_owned(),
    }
}

/// What was found so far.
pub(super) struct Findings<'a> {
    pub(super) table: &'a Guardrails,
    verdict: Verdict,
    seen: BTreeSet<(&'static str, Option<String>, String)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(table: &'a Guardrails) -> Self {
        Self {
            table,
            verdict: Verdict::default(),
            seen: BTreeSet::new(),
        }
    }

    /// Notes what a rule found; `values` fill its words. The same twice is once.
    pub(super) fn add(
        &mut self,
        code: &'static str,
        node_id: Option<&str>,
        connector: Option<&str>,
        values: &[(&str, &str)],
    ) {
        let Some(rule) = self.table.rules.get(code) else {
            return;
        };
        let into = match rule.mode {
            Mode::Block => &mut self.verdict.violations,
            Mode::Warn => &mut self.verdict.warnings,
            Mode::Off => return,
        };
        if into.len() >= MOST {
            return;
        }
        let message = filled(&rule.message, values);
        if !self
            .seen
            .insert((code, node_id.map(str::to_owned), message.clone()))
        {
            return;
        }
        into.push(Finding {
            code,
            node_id: node_id.map(str::to_owned),
            connector: connector.map(str::to_owned),
            message,
            fix: filled(&rule.fix, values),
            action: rule.action.clone(),
        });
    }

    /// The same about a node, whose label the words may have.
    pub(super) fn about(
        &mut self,
        code: &'static str,
        node: &Node,
        connector: Option<&str>,
        values: &[(&str, &str)],
    ) {
        let values: Vec<(&str, &str)> = [("label", node.label.as_str())]
            .iter()
            .chain(values)
            .copied()
            .collect();
        self.add(code, Some(&node.id), connector, &values);
    }

    /// Whether anything forbids the run so far.
    pub(super) fn is_blocked(&self) -> bool {
        !self.verdict.violations.is_empty()
    }

    pub(super) fn verdict(self) -> Verdict {
        self.verdict
    }
}

/// Words with what stands for their `{names}`; once, so that no value is filled in turn.
fn filled(words: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(words.len() + 32);
    let mut rest = words;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let name = from.find('}').map(|close| &from[1..close]);
        let value = name.and_then(|name| values.iter().find(|(known, _)| *known == name));
        match (name, value) {
            (Some(name), Some((_, value))) => {
                out.push_str(&shown(value));
                rest = &from[name.len() + 2..];
            }
            _ => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A name as it can stand in words: the page shows them as markup, so nothing of it may
/// be any; and no longer than one reads.
fn shown(name: &str) -> String {
    let safe = |c: char| match c {
        '<' | '>' | '&' | '"' | '\'' | '`' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let text: String = name.chars().map(safe).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.chars().count() {
        0 => "(no name)".to_owned(),
        n if n > SHOWN => text.chars().take(SHOWN - 1).chain(['\u{2026}']).collect(),
        _ => text,
    }
}
