//! Connectors of a flow: how they are for the client, and whose accounts they name.

use super::finding::Findings;
use super::{Situation, Standing, State};
use crate::accounts::Connector;
use crate::flow::{Flow, Kind, Node};
use serde_json::Value;
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
        if let Some(slug) = slug(node) {
            let named = named(node)
                .into_iter()
                .map(|account| (slug.clone(), account));
            needs.accounts.extend(named);
            needs.connectors.insert(slug);
        }
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

/// Every account that a node names, its manager's included. What is neither text nor
/// number is read by its characters, as whoever takes the digits out of it does.
fn named(node: &Node) -> Vec<String> {
    let connector = slug(node).and_then(|slug| Connector::of_link(&slug));
    let Some(connector) = connector else {
        return Vec::new();
    };
    let names = connector
        .names()
        .into_iter()
        .chain(connector.managers().iter().copied());
    names
        .filter_map(|name| account(node.config.get(name)?))
        .collect()
}

/// The account that a node names to be read; a manager is none.
pub(super) fn named_here(node: &Node) -> Option<String> {
    let connector = slug(node).and_then(|slug| Connector::of_link(&slug));
    let mut names = connector
        .map(Connector::names)
        .unwrap_or_default()
        .into_iter();
    names.find_map(|name| account(node.config.get(name)?))
}

/// An account that a setting names; `None` where it names none.
pub(super) fn account(setting: &Value) -> Option<String> {
    let text = match setting {
        Value::Null | Value::Bool(_) => return None,
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// Whose the accounts are that a node names.
pub(super) fn accounts(found: &mut Findings, node: &Node, situation: &Situation) {
    let Some(slug) = slug(node) else {
        return;
    };
    for account in named(node) {
        let key = (slug.clone(), account);
        let standing = situation.accounts.get(&key).copied();
        let code = match standing.unwrap_or(Standing::Unknown) {
            Standing::Linked => continue,
            Standing::Unlinked => "account_not_linked",
            Standing::OfAnotherClient => "account_of_another_client",
            Standing::Unknown => "account_link_unknown",
        };
        let name = found
            .table
            .connector_name(&slug)
            .unwrap_or(&slug)
            .to_owned();
        let values = [("account", key.1.as_str()), ("connector", name.as_str())];
        found.about(code, node, Some(&slug), &values);
    }
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
    let is_open = named_here(node).is_none() && situation.chosen.get(&slug) == Some(&false);
    if is_open && state != State::Disconnected {
        let code = match slug.as_str() {
            "ga4" => "property_not_chosen",
            _ => "account_not_chosen",
        };
        found.about(code, node, Some(&slug), &values);
    }
}
