//! Each flow says something, and runs in the order it is drawn in.

use crate::flow::{Flow, Kind, Node};
use crate::templates::thumbnail::BOX;
use crate::templates::{Template, all};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const GUARDRAILS: &str = include_str!("../../../tables/guardrails.toml");
/// Agents of the app.
const AGENTS: [&str; 20] = [
    "ppc-specialist",
    "seo-content",
    "creative-director",
    "social-media",
    "performance-analytics",
    "ceo-strategy",
    "cto-innovation",
    "cmo-growth",
    "cfo-finance",
    "coo-operations",
    "devops-infra",
    "fullstack-dev",
    "backend-architect",
    "frontend-uiux",
    "security-quality",
    "life-coach",
    "psychologist",
    "personal-mentor",
    "fitness-wellness",
    "creative-muse",
];

/// The template and its flow, read.
fn read_all() -> Vec<(Template, Flow)> {
    let all = all().unwrap();
    let read = |one: Template| {
        let flow = Flow::read(&one.flow).0;
        (one, flow)
    };
    all.into_iter().map(read).collect()
}

fn of_kind(flow: &Flow, kind: Kind) -> Vec<(usize, &Node)> {
    let nodes = flow.nodes.iter().enumerate();
    nodes.filter(|(_, node)| node.kind == kind).collect()
}

/// The places from which each node is reached, directly.
fn preceding(flow: &Flow) -> Vec<Vec<usize>> {
    let mut preceding = vec![Vec::new(); flow.nodes.len()];
    for (from, following) in flow.following().iter().enumerate() {
        following.iter().for_each(|to| preceding[*to].push(from));
    }
    preceding
}

/// What the table of the guardrails says that each connector delivers.
fn metrics() -> BTreeMap<String, Vec<String>> {
    let table: toml::Value = toml::from_str(GUARDRAILS).unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let connectors = table["connector"].as_array().unwrap().iter();
    let row = |one: &toml::Value| {
        let metrics = one["metrics"].as_array().unwrap().iter();
        (text(&one["slug"]), metrics.map(text).collect())
    };
    connectors.map(row).collect()
}

#[test]
fn each_is_laid_out_on_a_grid_without_overlaps() {
    for (one, _) in read_all() {
        let nodes = one.flow["nodes"].as_array().unwrap();
        let at = |node: &Value| (node["x"].as_f64().unwrap(), node["y"].as_f64().unwrap());
        for (i, node) in nodes.iter().enumerate() {
            let (x, y) = at(node);
            assert!(
                x >= 0.0 && y >= 0.0 && x % 20.0 == 0.0 && y % 20.0 == 0.0,
                "{node}"
            );
            for other in &nodes[..i] {
                let (u, v) = at(other);
                let apart = (x - u).abs() >= BOX.0 || (y - v).abs() >= BOX.1;
                assert!(apart, "{}: {} on {}", one.id, node["id"], other["id"]);
            }
        }
    }
}

#[test]
fn each_runs_from_one_trigger_and_nothing_runs_before_what_feeds_it() {
    for (one, flow) in read_all() {
        assert_eq!(of_kind(&flow, Kind::Trigger).len(), 1, "{}", one.id);
        let order = flow.order();
        assert_eq!(order.len(), flow.nodes.len(), "{}: all are reached", one.id);
        let turn = |node: usize| order.iter().position(|at| *at == node).unwrap();
        // The app runs breadth first: a shorter way would run a node too early. A cycle fails too.
        for (to, from) in preceding(&flow).iter().enumerate() {
            for from in from {
                let (a, b) = (&flow.nodes[*from].id, &flow.nodes[to].id);
                assert!(turn(*from) < turn(to), "{}: {b} before {a}", one.id);
            }
        }
        let ids: BTreeSet<&str> = flow.nodes.iter().map(|node| node.key.as_str()).collect();
        assert_eq!(ids.len(), flow.nodes.len(), "{}: ids are unique", one.id);
        let followed: usize = flow.following().iter().map(Vec::len).sum();
        assert_eq!(
            followed,
            flow.connections.len(),
            "{}: all lead somewhere",
            one.id
        );
    }
}

#[test]
fn each_reports_what_its_last_agent_says() {
    for (one, flow) in read_all() {
        let outputs = of_kind(&flow, Kind::Output);
        let [(output, node)] = outputs[..] else {
            panic!("{}: expected one output, got {outputs:?}", one.id)
        };
        let is_agent = |at: &&usize| flow.nodes[**at].kind == Kind::Agent;
        let order = flow.order();
        let last = order.iter().rfind(is_agent).unwrap();
        assert_eq!(preceding(&flow)[output], [*last], "{}", one.id);
        assert!(flow.following()[output].is_empty(), "{}", one.id);
        let text = node.setting(&["output_template"]).unwrap();
        assert_eq!(
            text.matches("{{last_agent_response}}").count(),
            1,
            "{}",
            one.id
        );
        for key in ["output_format", "output_destination"] {
            assert!(node.setting(&[key]).is_some(), "{}: {key}", one.id);
        }
    }
}

#[test]
fn conditions_ask_what_leads_to_them_delivers_and_go_one_way() {
    let metrics = metrics();
    for (one, flow) in read_all() {
        let conditions = of_kind(&flow, Kind::Condition);
        assert!(!conditions.is_empty(), "{}", one.id);
        for (at, node) in conditions {
            let name = format!("{}: {}", one.id, node.id);
            assert_eq!(flow.following()[at].len(), 1, "{name}");
            let setting = |key: &str| node.setting(&[key]).unwrap_or_default();
            let metric = setting("condition_metric");
            let from = &preceding(&flow)[at];
            assert!(!from.is_empty(), "{name}");
            for from in from {
                let slug = flow.nodes[*from].slug.as_deref().unwrap_or_default();
                let delivered = metrics.get(slug).map_or(&[][..], Vec::as_slice);
                assert!(delivered.contains(&metric), "{name}: {metric} of {slug}");
            }
            let value = setting("condition_value");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{name}");
            // The description says why it is this one; in text, thousands have a comma.
            let told = one.description.replace(',', "");
            let words: &[&str] = match value.as_str() {
                "0" => &["no ", "nothing", "at least one"],
                value => &[value],
            };
            let is_explained = words.iter().any(|word| told.contains(word));
            assert!(is_explained, "{name}: {value} is not explained");
            for key in ["condition_then_label", "condition_else_label"] {
                assert!(!setting(key).is_empty(), "{name}: {key}");
            }
        }
    }
}

#[test]
fn agents_are_the_apps_and_are_told_what_to_do() {
    for (one, flow) in read_all() {
        for (_, node) in of_kind(&flow, Kind::Agent) {
            let slug = node.slug.as_deref().unwrap_or_default();
            assert!(AGENTS.contains(&slug), "{}: {slug}", one.id);
            let prompt = node.setting(&["prompt"]).unwrap_or_default();
            assert!(
                (80..=600).contains(&prompt.len()),
                "{}: {}",
                one.id,
                node.id
            );
        }
    }
}

#[test]
fn connectors_are_known_and_name_no_account() {
    let known = metrics();
    for (one, flow) in read_all() {
        for (_, node) in of_kind(&flow, Kind::Connector) {
            let slug = node.slug.as_deref().unwrap_or_default();
            assert!(known.contains_key(slug), "{}: {slug}", one.id);
            let extra = node
                .config
                .keys()
                .find(|key| !["days", "range"].contains(&key.as_str()));
            assert_eq!(extra, None, "{}: {slug}", one.id);
        }
        let text = one.flow.to_string();
        assert!(!text.contains("http"), "{}: no links", one.id);
    }
}
