//! Connectors of a flow, and how they are for the client.

use super::accounts::{is_chosen, named};
use super::finding::Findings;
use super::{Situation, State};
use crate::flow::{Flow, Kind, Node};
use std::collections::BTreeSet;

/// What has to be known of a client for a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its connectors.
    pub connectors: BTreeSet<String>,
    /// The accounts that it names, by connector.
    pub accounts: BTreeSet<(String, String)>,
    /// Its agents.
    pub agents: BTreeSet<String>,
}

/// What has to be known of a client for this flow.
pub fn needs(flow: &Flow) -> Needs {
    let mut needs = Needs::default();
    for node in &flow.nodes {
        if node.kind == Kind::Agent {
            needs
                .agents
                .extend(node.slug.as_ref().map(|slug| slug.to_lowercase()));
        }
        needs.accounts.extend(named(node));
        needs.connectors.extend(slug(node));
    }
    needs
}

/// A connector node's connector, in one spelling.
pub(super) fn slug(node: &Node) -> Option<String> {
    let slug = node
        .slug
        .as_ref()
        .filter(|_| node.kind == Kind::Connector)?;
    Some(slug.to_lowercase().replace([' ', '_'], "-"))
}

/// How a node's connector is.
pub(super) fn connector(found: &mut Findings, node: &Node, situation: &Situation) {
    if node.kind != Kind::Connector {
        return;
    }
    let slug = slug(node).unwrap_or_default();
    let in_catalogue = situation
        .catalogue
        .as_ref()
        .is_some_and(|all| all.contains(&slug));
    let name = found.table.connector_name(&slug).map(str::to_owned);
    if name.is_none() && !in_catalogue {
        found.about("unknown_connector", node, Some(&slug), &[("slug", &slug)]);
        return;
    }
    let name = name.unwrap_or_else(|| slug.clone());
    let values = [("connector", name.as_str())];
    let state = situation
        .states
        .get(&slug)
        .copied()
        .unwrap_or(State::Unknown);
    let code = match state {
        State::Connected => None,
        State::Degraded => Some("connector_degraded"),
        State::Disconnected => Some("connector_disconnected"),
        State::Unknown => Some("connector_state_unknown"),
    };
    if let Some(code) = code {
        found.about(code, node, Some(&slug), &values);
    }
    if !situation.gateway_on && situation.served.contains(&slug) {
        found.about("gateway_off", node, Some(&slug), &values);
    }
    let is_open = !is_chosen(node) && situation.chosen.get(&slug) == Some(&false);
    if is_open && state != State::Disconnected {
        let code = match slug.as_str() {
            "ga4" => "property_not_chosen",
            _ => "account_not_chosen",
        };
        found.about(code, node, Some(&slug), &values);
    }
}
