//! The matrix on the status page: every rule as it is enforced, and looking for some. Pure.
//!
//! Not the whole table, which `camarad-sidecar matrix` prints.

use super::facts::{Matrix, Rule};
use camarad_policies::cache_key::Class;
use camarad_policies::matrix::{Matrix as Rules, Rule as Enforced, Serve};
use serde::Serialize;

/// Rules that are shown at most.
pub(super) const SHOWN: usize = 40;
/// Characters of what is looked for.
pub(super) const LONGEST_SEARCH: usize = 100;

/// Every rule of the matrix, with the modes that are in force.
pub(crate) fn rules(matrix: &Rules) -> Vec<Rule> {
    let mut rules: Vec<Rule> = matrix.rules().iter().map(|rule| row(rule)).collect();
    rules.sort_by(|a, b| (&a.area, &a.name).cmp(&(&b.area, &b.name)));
    rules
}

fn row(rule: &Enforced) -> Rule {
    let route =
        |route: &camarad_policies::matrix::Route| format!("{} {}", route.method, route.path);
    Rule {
        name: rule.name.to_string(),
        area: rule.area.to_string(),
        auth: word(&rule.auth),
        client: word(&rule.client),
        serve: match rule.serve {
            Serve::Stream => "stream".to_owned(),
            Serve::Whole => "whole".to_owned(),
            Serve::MadeUp => "made up".to_owned(),
            Serve::Connector(operation) => format!("gateway: {}", operation.name()),
            Serve::Health => "health".to_owned(),
            Serve::Runs(act) => format!("runs: {}", act.name()),
        },
        mode: rule.mode.as_str(),
        cache: match rule.cache.map(|cache| cache.class) {
            Some(Class::Tenant) => "tenant",
            Some(Class::User) => "user",
            Some(Class::Shared) => "shared",
            None => "-",
        },
        routes: rule.routes.iter().map(route).collect(),
    }
}

/// The word by which the table file writes a value.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The rules that have every word of the search in their name, area or one route, whatever
/// the case; where only some routes of a rule have them, those stand first.
pub(super) fn search(rules: &[Rule], search: &str) -> Matrix {
    let search: String = search.chars().take(LONGEST_SEARCH).collect();
    let search = search.trim();
    let lower = search.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let matches = |rule: &Rule, route: &str| {
        let text = format!("{} {} {route}", rule.name, rule.area).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let found = rules.iter().filter_map(|rule| {
        let is_wanted = |route: &String| matches(rule, route);
        if rule.routes.is_empty() {
            return matches(rule, "").then(|| rule.clone());
        }
        let (mut routes, others): (Vec<_>, Vec<_>) =
            rule.routes.iter().cloned().partition(is_wanted);
        if routes.is_empty() {
            return None;
        }
        routes.extend(others);
        Some(Rule {
            routes,
            ..rule.clone()
        })
    });
    let mut shown: Vec<Rule> = found.collect();
    let found = shown.len();
    shown.truncate(SHOWN);
    Matrix {
        search: search.to_owned(),
        rules: rules.len(),
        found,
        shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Vec<Rule> {
        rules(&Rules::built_in().unwrap())
    }

    #[test]
    fn every_rule_is_there_with_what_is_enforced() {
        let matrix = Rules::built_in().unwrap();
        let rows = rules(&matrix);
        assert_eq!(rows.len(), matrix.rules().len());
        let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
        let campaigns = row("google-ads.campaigns");
        assert_eq!(
            (
                campaigns.auth.as_str(),
                campaigns.client.as_str(),
                campaigns.serve.as_str(),
                campaigns.mode,
                campaigns.cache,
            ),
            (
                "required",
                "optional",
                "gateway: google-ads.campaigns",
                "enforce",
                "tenant"
            )
        );
        assert_eq!(
            campaigns.routes,
            ["GET /api/connectors/google-ads/campaigns"]
        );
        for row in &rows {
            assert!(!row.auth.is_empty() && !row.client.is_empty(), "{row:?}");
        }
    }

    #[test]
    fn a_search_looks_at_name_area_and_route_whatever_the_case() {
        let rows = built_in();
        let found = |text: &str| search(&rows, text);
        assert_eq!(found("").found, rows.len());
        assert_eq!(found("  ").search, "");
        let by_route = found("  /API/connectors/GOOGLE-ads/campaigns ");
        assert_eq!(by_route.search, "/API/connectors/GOOGLE-ads/campaigns");
        assert_eq!(by_route.found, 1);
        assert_eq!(by_route.shown[0].name, "google-ads.campaigns");
        assert_eq!(found("google-ads.campaigns").found, 1, "by rule");
        let by_area = found("CHAT").shown;
        assert!(
            by_area.iter().any(|rule| rule.area == "chat"),
            "{by_area:?}"
        );
        assert_eq!(found("google-ads campaigns get").found, 1, "all words");
        assert_eq!(found("google-ads no-such-thing").found, 0);
        let long = "x".repeat(10_000);
        assert_eq!(found(&long).search.len(), LONGEST_SEARCH);
    }

    #[test]
    fn the_routes_that_were_looked_for_stand_first() {
        let rows = built_in();
        let many = rows.iter().find(|row| row.routes.len() > 2).unwrap();
        let last = many.routes.last().unwrap();
        let found = search(&rows, last);
        let row = found
            .shown
            .iter()
            .find(|row| row.name == many.name)
            .unwrap();
        assert!(row.routes[0].contains(last.as_str()), "{row:?}");
        assert_eq!(row.routes.len(), many.routes.len(), "none is lost");
    }

    #[test]
    fn forty_are_shown_and_the_others_are_counted() {
        let one = built_in()[0].clone();
        let rows = vec![one; 300];
        let all = search(&rows, "");
        assert_eq!((all.rules, all.found, all.shown.len()), (300, 300, SHOWN));
    }
}
