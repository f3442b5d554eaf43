//! The business templates that come with the sidecar: ready flows, each for somebody
//! who would run it.
//!
//! The files in `policies/templates` are built in. They name no account and no
//! property: a run reads what the client has connected. Their conditions say what
//! should be so, because the app makes a false one a warning, of the step and of the
//! run. Not here: whether a flow may run, which is for `guardrails`, and the app's own
//! templates, which stay as they are.

mod thumbnail;

#[cfg(test)]
mod tests;

use crate::flow::{Flow, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A file's name, for problems, and its text.
type Source = (&'static str, &'static str);

macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../templates/", $name, ".json")))),+]
    };
}

/// In the order in which they are listed.
const SOURCES: [Source; 10] = sources![
    "growth-review",
    "paid-budget-pacing",
    "seo-audit",
    "tag-health",
    "revenue-summary",
    "lead-pipeline",
    "store-performance",
    "product-launch-support",
    "executive-weekly-brief",
    "incident-triage",
];

/// Ids below are the app's, which counts from 1.
const FIRST_NUMBER: u64 = 900_000_001;

/// Read once; they cannot change while the process runs.
static BUILT_IN: LazyLock<Result<Vec<Template>, TemplatesError>> = LazyLock::new(|| read(&SOURCES));

/// A flow for a purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Stable; begins with `biz-`.
    pub id: String,
    /// Stands for the id in the app's lists, where ids are numbers; none that the app gives out.
    pub number: u64,
    /// What it is called; no two alike.
    pub name: String,
    /// Under which of the app's categories it is found.
    pub category: String,
    /// What it does, and why its thresholds are what they are.
    pub description: String,
    /// For whom, and how often.
    pub audience: String,
    /// The connectors that have to be connected, by slug; those of the flow.
    pub needs: Vec<String>,
    /// When it was last changed; RFC 3339, UTC.
    pub updated: String,
    /// The flow, of the shape of `schemas/flow.v1.schema.json`.
    pub flow: Value,
}

/// Templates that cannot be used; every problem at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct TemplatesError(pub Vec<String>);

/// The built-in templates. Fails only where a file of this crate is wrong, which its tests tell.
pub fn all() -> Result<Vec<Template>, TemplatesError> {
    BUILT_IN.clone()
}

/// The template with this id.
pub fn find(id: &str) -> Option<Template> {
    built_in().iter().find(|one| one.id == id).cloned()
}

/// The app's list of templates with ours behind it; `None` where it is no list.
///
/// Left out are those whose name is in the list already, those that were installed from
/// it under whatever name, and those of another category than the one asked for. Names and categories are
/// compared trimmed and without case; no category, an empty one and `all` mean every one.
pub fn appended(app: &Value, category: Option<&str>) -> Option<Value> {
    let rows = app.as_array()?;
    let names: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| row.get("name")?.as_str().map(folded))
        .collect();
    let installed: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.get("flow")?.get("template_id")?.as_str())
        .collect();
    let wanted = category
        .map(folded)
        .filter(|category| !category.is_empty() && category != "all");
    let ours = built_in().iter().filter(|one| {
        let is_wanted = wanted.as_ref();
        is_wanted.is_none_or(|wanted| folded(&one.category) == *wanted)
            && !names.contains(&folded(&one.name))
            && !installed.contains(one.id.as_str())
    });
    Some(
        rows.iter()
            .cloned()
            .chain(ours.map(Template::item))
            .collect(),
    )
}

/// A name or a category for comparing.
pub fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

impl Template {
    /// As the app lists its own, with `template_id`, `audience` and `needs` besides. It is
    /// nobody's: `client_id` is null, as in rows that belong to no client.
    pub fn item(&self) -> Value {
        json!({
            "id": self.number,
            "name": self.name,
            "category": self.category,
            "description": self.description,
            "thumbnail": self.thumbnail(),
            "updated": self.updated,
            "flow": self.flow,
            "nodes": self.flow["nodes"],
            "connections": self.flow["connections"],
            "client_id": null,
            "template_id": self.id,
            "audience": self.audience,
            "needs": self.needs,
        })
    }

    /// A small picture of the flow, as a data URL of an SVG.
    pub fn thumbnail(&self) -> String {
        thumbnail::data_url(&self.flow)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, words: String| {
            if !holds {
                problems.push(words);
            }
        };
        let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let id = &self.id;
        expect(
            id.starts_with("biz-") && id.chars().all(is_id),
            format!("id {id:?}: expected biz- and lower-case letters, digits and dashes"),
        );
        expect(
            self.number >= FIRST_NUMBER,
            format!("number {}: expected {FIRST_NUMBER} or more", self.number),
        );
        for (key, text) in [
            ("name", &self.name),
            ("category", &self.category),
            ("description", &self.description),
            ("audience", &self.audience),
            ("updated", &self.updated),
        ] {
            expect(!text.trim().is_empty(), format!("{key}: expected a text"));
        }
        let of_flow = &self.flow["template_id"];
        expect(
            of_flow == id.as_str(),
            format!("flow.template_id {of_flow}: expected {id:?}"),
        );
        let (flow, unreadable) = Flow::read(&self.flow);
        for one in unreadable {
            expect(false, format!("flow: {one:?} cannot be read"));
        }
        let read: BTreeSet<&str> = flow
            .nodes
            .iter()
            .filter(|node| node.kind == Kind::Connector)
            .filter_map(|node| node.slug.as_deref())
            .collect();
        let needs: BTreeSet<&str> = self.needs.iter().map(String::as_str).collect();
        expect(
            read == needs && needs.len() == self.needs.len(),
            format!(
                "needs {:?}: expected the flow's connectors, {read:?}",
                self.needs
            ),
        );
        problems
    }
}

/// None where the files are wrong, which [`all`] tells.
fn built_in() -> &'static [Template] {
    BUILT_IN.as_deref().unwrap_or_default()
}

fn read(sources: &[Source]) -> Result<Vec<Template>, TemplatesError> {
    let mut problems = Vec::new();
    let mut templates: Vec<Template> = Vec::new();
    for (file, text) in sources {
        let template: Template = match serde_json::from_str(text) {
            Ok(template) => template,
            Err(error) => {
                problems.push(format!("{file}: {error}"));
                continue;
            }
        };
        let own = template.problems();
        problems.extend(own.into_iter().map(|words| format!("{file}: {words}")));
        for other in &templates {
            let mut alike = |is: bool, what: &str| {
                if is {
                    problems.push(format!("{file}: the same {what} as {}", other.id));
                }
            };
            alike(other.id == template.id, "id");
            alike(other.number == template.number, "number");
            alike(folded(&other.name) == folded(&template.name), "name");
        }
        templates.push(template);
    }
    match problems.is_empty() {
        true => Ok(templates),
        false => Err(TemplatesError(problems)),
    }
}
