//! The table of the guardrails: read whole, and checked.

use super::finding::RULES;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The built-in table.
pub const BUILT_IN: &str = include_str!("../../tables/guardrails.toml");

/// A table that cannot be used; every problem at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct GuardrailsError(pub Vec<String>);

/// What is looked at before a run, with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guardrails {
    limits: Limits,
    pub(super) placeholders: BTreeSet<String>,
    connectors: BTreeMap<String, Known>,
    pub(super) rules: BTreeMap<&'static str, Rule>,
}

/// What a flow may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Nodes.
    pub nodes: usize,
    /// Connections.
    pub connections: usize,
    /// Bytes of the whole flow.
    pub bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    metrics: BTreeSet<String>,
}

/// What is done about what a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Block,
    Warn,
    Off,
}

/// One rule's mode and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) mode: Mode,
    pub(super) message: String,
    pub(super) fix: String,
    pub(super) action: Option<super::Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    placeholders: Vec<String>,
    limits: Limits,
    rule: Vec<RuleRow>,
    connector: Vec<ConnectorRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRow {
    code: String,
    mode: Mode,
    message: String,
    fix: String,
    action: Option<super::Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectorRow {
    slug: String,
    name: String,
    metrics: Vec<String>,
}

impl Guardrails {
    /// The built-in table.
    pub fn built_in() -> Result<Self, GuardrailsError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a table, and tells everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, GuardrailsError> {
        let table: Table =
            toml::from_str(text).map_err(|e| GuardrailsError(vec![e.message().to_owned()]))?;
        let mut problems = Vec::new();
        let limits = table.limits;
        for (name, limit) in [
            ("nodes", limits.nodes),
            ("connections", limits.connections),
            ("bytes", limits.bytes),
        ] {
            if limit == 0 {
                problems.push(format!("limits.{name} = 0: expected at least 1"));
            }
        }
        let mut connectors = BTreeMap::new();
        for row in table.connector {
            let metrics = row.metrics.iter().map(|metric| metric.to_lowercase());
            let known = Known {
                name: row.name,
                metrics: metrics.collect(),
            };
            if connectors.insert(row.slug.to_lowercase(), known).is_some() {
                problems.push(format!("connector {:?} stands twice", row.slug));
            }
        }
        let rules = rules(table.rule, &mut problems);
        match problems.is_empty() {
            true => Ok(Self {
                limits,
                placeholders: table.placeholders.into_iter().collect(),
                connectors,
                rules,
            }),
            false => Err(GuardrailsError(problems)),
        }
    }

    /// What a flow may have at most.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What a connector is called; `None` for one that the table does not know.
    pub fn connector_name(&self, slug: &str) -> Option<&str> {
        Some(&self.connectors.get(slug)?.name)
    }

    /// The metrics of a connector, in lower case.
    pub fn metrics(&self, slug: &str) -> Option<&BTreeSet<String>> {
        Some(&self.connectors.get(slug)?.metrics)
    }
}

fn rules(rows: Vec<RuleRow>, problems: &mut Vec<String>) -> BTreeMap<&'static str, Rule> {
    let mut rules = BTreeMap::new();
    for row in rows {
        let code = &row.code;
        let Some((known, fills)) = RULES.iter().find(|(known, _)| known == code) else {
            problems.push(format!("rule {code:?}: there is no such rule"));
            continue;
        };
        if *known == "not_a_flow" && row.mode != Mode::Block {
            problems.push(format!(
                "rule {code:?}: expected mode = \"block\": what is no flow cannot run"
            ));
        }
        for (key, words) in [("message", &row.message), ("fix", &row.fix)] {
            if words.trim().is_empty() {
                problems.push(format!("rule {code:?}: {key} is empty"));
            }
            for name in names(words).filter(|name| !fills.contains(name)) {
                let known = fills.join("}, {");
                problems.push(format!(
                    "rule {code:?}: {key} has {{{name}}}, and the rule fills {{{known}}}"
                ));
            }
        }
        let is_path =
            |action: &super::Action| action.href.starts_with('/') && !action.href.starts_with("//");
        if let Some(action) = row.action.as_ref().filter(|action| !is_path(action)) {
            problems.push(format!(
                "rule {code:?}: href = {:?}: expected a path of the app",
                action.href
            ));
        }
        let rule = Rule {
            mode: row.mode,
            message: row.message,
            fix: row.fix,
            action: row.action,
        };
        if rules.insert(*known, rule).is_some() {
            problems.push(format!("rule {code:?} stands twice"));
        }
    }
    for (code, _) in RULES.iter().filter(|(code, _)| !rules.contains_key(code)) {
        problems.push(format!(
            "rule {code:?} is missing; mode = \"off\" switches it off"
        ));
    }
    rules
}

/// The `{names}` in words: lower-case letters between single braces.
pub(super) fn names(words: &str) -> impl Iterator<Item = &str> {
    let parts = words.split('{').skip(1);
    let names = parts.filter_map(|part| Some(part.split_once('}')?.0));
    names.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()))
}
