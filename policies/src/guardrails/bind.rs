//! Putting the account that is read into every node: the one that it names, or the
//! client's own where it names none.
//!
//! The app would take what is stored somewhere, or its own default, which may be another
//! client's. What a node names stays as it is: whether it may is for the rules.

use super::connectors::{named_here, slug};
use crate::flow::Flow;
use serde_json::{Map, Value};

/// Connectors that the app reads during a run, and the setting that names their account.
const READ: [(&str, &str); 2] = [("google-ads", "account_id"), ("ga4", "property_id")];

/// The flow with the account of every node of Google Ads and GA4 in the one setting that
/// is read first: the node's own, else `chosen`'s.
pub fn with_accounts(flow: &Value, chosen: &dyn Fn(&str) -> Option<String>) -> Value {
    let mut bound = flow.clone();
    let nodes = bound.get_mut("nodes").and_then(Value::as_array_mut);
    for node in nodes.into_iter().flatten() {
        // Read by itself, so that nothing else of the flow moves its place.
        let (read, _) = Flow::read(&serde_json::json!({"nodes": [node]}));
        let Some((slug, read)) = read
            .nodes
            .first()
            .and_then(|read| Some((slug(read)?, read)))
        else {
            continue;
        };
        let Some((_, setting)) = READ.iter().find(|(connector, _)| *connector == slug) else {
            continue;
        };
        // Said where it is read first: what is stored under that name must not win over
        // what the node says under another.
        let account = named_here(read).or_else(|| chosen(&slug));
        if let (Some(account), Some(node)) = (account, node.as_object_mut()) {
            let config = node
                .entry("config")
                .or_insert_with(|| Value::Object(Map::new()));
            if !config.is_object() {
                *config = Value::Object(Map::new());
            }
            if super::connectors::account(&config[*setting]).is_none() {
                config[*setting] = Value::String(account);
            }
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bound(node: Value) -> Value {
        let chosen = |slug: &str| (slug != "stripe").then(|| format!("own {slug}"));
        with_accounts(&json!({"nodes": [7, node], "x": 1.5}), &chosen)["nodes"][1].clone()
    }

    #[test]
    fn nodes_that_name_none_get_the_clients_own() {
        let node = |slug: &str, config: Value| json!({"id": "a", "type": "connector", "slug": slug, "config": config});
        let cases = [
            (
                node("google-ads", json!({"days": 7})),
                json!({"days": 7, "account_id": "own google-ads"}),
            ),
            (
                node("Google_Ads", json!(null)),
                json!({"account_id": "own google-ads"}),
            ),
            (
                node("google-ads", json!({"account_id": " ", "mcc_id": "1-2-3"})),
                json!({"account_id": "own google-ads", "mcc_id": "1-2-3"}),
            ),
            (
                node("google-ads", json!({"customerId": 5})),
                json!({"customerId": 5, "account_id": "5"}),
            ),
            (
                node("ga4", json!({"selected_property": "G-1"})),
                json!({"selected_property": "G-1", "property_id": "G-1"}),
            ),
            (node("ga4", json!({})), json!({"property_id": "own ga4"})),
            (node("stripe", json!({})), json!({})),
        ];
        for (before, config) in cases {
            assert_eq!(bound(before.clone())["config"], config, "{before}");
        }
        for untouched in [
            json!({"id": "a", "type": "agent", "slug": "ga4"}),
            json!({"type": "connector", "slug": "ga4"}),
        ] {
            assert_eq!(bound(untouched.clone()), untouched);
        }
        assert_eq!(with_accounts(&json!("x"), &|_| None), json!("x"));
    }
}
