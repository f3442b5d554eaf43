//! Putting the account that is read into every node that reads one: the one that it names,
//! or the client's own where it names none.
//!
//! The app merges a node's settings into what is stored, of the client or of none, and looks
//! at some names before others. So the account stands under the name that is looked at
//! first and under no other. What a node names that is no account stays as it is: the rules
//! block it.

use super::accounts::{Reader, reader};
use crate::accounts::Connector;
use crate::flow::Flow;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What stands in where a node names nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The account or property.
    pub account: Option<Value>,
    /// The manager above it.
    pub manager: Option<Value>,
}

/// The connectors that a flow's nodes read, by name.
pub fn reads(flow: &Flow) -> BTreeSet<&'static str> {
    let readers = flow.nodes.iter().filter_map(reader);
    readers.map(|reader| reader.connector.name).collect()
}

/// The flow with the account of every node of Google Ads and GA4 in the one setting that
/// is read first: the node's own, else `chosen`'s for the connector of that name.
pub fn with_accounts(flow: &Value, chosen: &dyn Fn(&str) -> Chosen) -> Value {
    let mut bound = flow.clone();
    let nodes = bound.get_mut("nodes").and_then(Value::as_array_mut);
    for node in nodes.into_iter().flatten() {
        // Read by itself, so that nothing else of the flow moves its place.
        let (read, _) = Flow::read(&serde_json::json!({"nodes": [node]}));
        let Some((reader, read)) = read
            .nodes
            .first()
            .and_then(|read| Some((reader(read)?, read)))
        else {
            continue;
        };
        if reader.is_odd(read) {
            continue;
        }
        let own = |names: &[&str]| reader.first(read, names).map(Value::String);
        let stand_in = chosen(reader.connector.name);
        let account = own(reader.connector.names()).or(stand_in.account);
        let manager = own(reader.connector.managers()).or(stand_in.manager);
        say(node, &reader, account, manager);
    }
    bound
}

/// A node that reads, of a flow that was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The node's id.
    pub node_id: String,
    /// Of which connector.
    pub connector: &'static Connector,
    /// The account or property; `None` where there is none.
    pub account: Option<String>,
    /// Digits of the manager above it.
    pub manager: Option<String>,
}

/// A bound flow with a handle in every node that reads, in place of its account and
/// manager, also where it has none; `handle` is asked for one after the other.
pub fn with_handles(flow: &Value, handle: &mut dyn FnMut(Read) -> String) -> Value {
    let mut hidden = flow.clone();
    let nodes = hidden.get_mut("nodes").and_then(Value::as_array_mut);
    for node in nodes.into_iter().flatten() {
        let (read, _) = Flow::read(&serde_json::json!({"nodes": [node]}));
        let Some((reader, read)) = read
            .nodes
            .first()
            .and_then(|read| Some((reader(read)?, read)))
        else {
            continue;
        };
        let manager = reader.first(read, reader.connector.managers());
        let digits = |id: String| id.chars().filter(char::is_ascii_digit).collect();
        let id = handle(Read {
            node_id: read.id.clone(),
            connector: reader.connector,
            account: reader.first(read, reader.connector.names()),
            manager: manager.map(digits),
        });
        say(node, &reader, Some(Value::String(id)), None);
    }
    hidden
}

/// Makes a node name these and no others.
fn say(node: &mut Value, reader: &Reader, account: Option<Value>, manager: Option<Value>) {
    let Some(node) = node.as_object_mut() else {
        return;
    };
    let config = node
        .entry("config")
        .or_insert_with(|| Value::Object(Map::new()));
    if !config.is_object() {
        *config = Value::Object(Map::new());
    }
    if let Some(config) = config.as_object_mut() {
        for name in reader.names() {
            config.remove(name);
        }
        config.extend(manager.map(|manager| (reader.manager.to_owned(), manager)));
        config.extend(account.map(|account| (reader.account.to_owned(), account)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bound(node: Value) -> Value {
        let chosen = |slug: &str| Chosen {
            account: Some(json!(format!("own {slug}"))),
            manager: (slug == "google-ads").then(|| json!(777)),
        };
        with_accounts(&json!({"nodes": [7, node], "x": 1.5}), &chosen)["nodes"][1].clone()
    }

    #[test]
    fn the_account_that_is_read_stands_where_it_is_read_first_and_nowhere_else() {
        let node = |slug: &str, config: Value| json!({"id": "a", "type": "connector", "slug": slug, "config": config});
        let cases = [
            (
                "google-ads",
                json!({"days": 7}),
                json!({"days": 7, "account_id": "own google-ads", "mcc_id": 777}),
            ),
            (
                "Google_Ads",
                json!(null),
                json!({"account_id": "own google-ads", "mcc_id": 777}),
            ),
            (
                "google-ads\u{200b}",
                json!({"account_id": " "}),
                json!({"account_id": "own google-ads", "mcc_id": 777}),
            ),
            (
                "google-ads",
                json!({"account_id": [], "customerId": 5, "mcc": "1-2-3"}),
                json!({"account_id": "5", "mcc_id": "1-2-3"}),
            ),
            (
                "google-ads",
                json!({"cid": "1-2", "account_id": {}}),
                json!({"account_id": "1-2", "mcc_id": 777}),
            ),
            (
                "google-ads",
                json!({"account_id": 0}),
                json!({"account_id": "own google-ads", "mcc_id": 777}),
            ),
            (
                "ga4",
                json!({"property": "G-1", "range": "7"}),
                json!({"property_id": "G-1", "range": "7"}),
            ),
            ("ga4", json!({}), json!({"property_id": "own ga4"})),
            // No account, so the rules block it as it stands.
            (
                "google-ads",
                json!({"account_id": ["1"]}),
                json!({"account_id": ["1"]}),
            ),
            (
                "google-ads",
                json!({"account_id": "---"}),
                json!({"account_id": "---"}),
            ),
            ("stripe", json!({}), json!({})),
        ];
        for (slug, before, after) in cases {
            assert_eq!(
                bound(node(slug, before.clone()))["config"],
                after,
                "{slug} {before}"
            );
        }
        // Whatever the type says: it is not for us to know how the app reads that.
        let note = json!({"id": "a", "type": "Connector ", "slug": "ga4"});
        assert_eq!(bound(note)["config"], json!({"property_id": "own ga4"}));
        let untouched = json!({"type": "connector", "slug": "ga4"});
        assert_eq!(bound(untouched.clone()), untouched);
        assert_eq!(with_accounts(&json!("x"), &|_| Chosen::default()), "x");
    }

    #[test]
    fn every_node_that_reads_gets_a_handle_and_says_nothing_else() {
        let flow = json!({"nodes": [
            {"id": "t", "type": "trigger", "config": {"account_id": "1"}},
            {"id": "a", "type": "connector", "slug": "google-ads",
             "config": {"account_id": "123-456-7890", "mcc_id": "111-222-3333", "days": 7}},
            {"id": "g", "type": "connector", "slug": "GA4"},
            {"id": "s", "type": "connector", "slug": "stripe", "config": {"account_id": "acct"}},
            7,
        ], "x": 1});
        let mut reads = Vec::new();
        let hidden = with_handles(&flow, &mut |read| {
            reads.push(read);
            format!("H{}", reads.len())
        });
        assert_eq!(hidden["nodes"][0], flow["nodes"][0]);
        assert_eq!(
            hidden["nodes"][1]["config"],
            json!({"account_id": "H1", "days": 7})
        );
        assert_eq!(hidden["nodes"][2]["config"], json!({"property_id": "H2"}));
        assert_eq!(hidden["nodes"][3], flow["nodes"][3]);
        let told = reads.iter().map(|r| {
            (
                r.node_id.as_str(),
                r.connector.name,
                r.account.as_deref(),
                r.manager.as_deref(),
            )
        });
        let expected = [
            ("a", "google-ads", Some("123-456-7890"), Some("1112223333")),
            ("g", "ga4", None, None),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}
