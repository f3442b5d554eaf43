//! What Coolbits is asked for an operation: paths, parameters, and where the rows
//! of the answer stand.
//!
//! Data (`tables/gateway.toml`), so that a path that turns out otherwise at
//! Coolbits is a change of settings and not a build. Read whole and checked at
//! start; a table with a gap would be a connector that quietly shows made-up
//! figures. Not here: what a payload means, which is the gateway's mapping.

use crate::operation::Operation;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The built-in table.
pub const BUILT_IN: &str = include_str!("../tables/gateway.toml");

/// A table that cannot be used; every problem at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct EndpointsError(pub Vec<String>);

/// What is asked for every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(BTreeMap<Operation, Endpoint>);

/// What is asked for one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    paths: Vec<Arc<str>>,
    managed_paths: Vec<Arc<str>>,
    query: Vec<(String, Part)>,
    rows: String,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Account,
    NamedAccount,
    Campaign,
    From,
    To,
    Days,
}

/// What placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The account, property, site or container that is read.
    pub account: &'a str,
    /// Whether the caller named it.
    pub account_named: bool,
    /// The campaign.
    pub campaign: &'a str,
    /// First day, `YYYY-MM-DD`.
    pub from: &'a str,
    /// Last day, `YYYY-MM-DD`.
    pub to: &'a str,
    /// Days as asked for.
    pub days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    endpoint: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    operation: String,
    paths: Vec<String>,
    #[serde(default)]
    managed_paths: Vec<String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    rows: String,
}

impl Endpoints {
    /// Reads a table, and tells everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EndpointsError> {
        let table: Table =
            toml::from_str(text).map_err(|e| EndpointsError(vec![e.message().to_owned()]))?;
        let mut problems = Vec::new();
        let mut endpoints = BTreeMap::new();
        for row in table.endpoint {
            let name = row.operation.clone();
            let Some(operation) = Operation::parse(&name) else {
                let known: Vec<_> = Operation::ALL.iter().map(|o| o.name()).collect();
                problems.push(format!(
                    "operation = {name:?}: expected one of {}",
                    known.join(", ")
                ));
                continue;
            };
            let endpoint = row.endpoint(&mut problems);
            if endpoints.insert(operation, endpoint).is_some() {
                problems.push(format!("{name}: stands twice"));
            }
        }
        for operation in Operation::ALL {
            if !endpoints.contains_key(operation) {
                problems.push(format!("{}: missing", operation.name()));
            }
        }
        match problems.is_empty() {
            true => Ok(Self(endpoints)),
            false => Err(EndpointsError(problems)),
        }
    }

    /// The built-in table.
    pub fn built_in() -> Result<Self, EndpointsError> {
        Self::parse(BUILT_IN)
    }

    /// What is asked for an operation; `None` never comes of a table that was read.
    pub fn of(&self, operation: Operation) -> Option<&Endpoint> {
        self.0.get(&operation)
    }
}

impl Row {
    fn endpoint(self, problems: &mut Vec<String>) -> Endpoint {
        let name = &self.operation;
        if self.paths.is_empty() {
            problems.push(format!("{name}: paths is empty, expected at least one"));
        }
        for path in self.paths.iter().chain(&self.managed_paths) {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
            let fits = path.starts_with('/') && path.bytes().all(plain) && !path.contains("/..");
            if !fits {
                problems.push(format!(
                    "{name}: {path:?}, expected a path such as \"/api/connectors/ga4/report\""
                ));
            }
        }
        if !self.rows.is_empty() && !self.rows.starts_with('/') {
            problems.push(format!(
                "{name}: rows = {:?}, expected a JSON pointer such as \"/data/pages/rows\"",
                self.rows
            ));
        }
        let mut query = Vec::with_capacity(self.query.len());
        for (parameter, value) in self.query {
            match Part::parse(&value) {
                Some(part) => query.push((parameter, part)),
                None => problems.push(format!(
                    "{name}: query.{parameter} = {value:?}, expected a text or one of {}",
                    PLACEHOLDERS.map(|(name, _)| name).join(", ")
                )),
            }
        }
        let shared = |paths: Vec<String>| paths.into_iter().map(Arc::from).collect();
        Endpoint {
            paths: shared(self.paths),
            managed_paths: shared(self.managed_paths),
            query,
            rows: self.rows,
        }
    }
}

const PLACEHOLDERS: [(&str, Part); 6] = [
    ("{account}", Part::Account),
    ("{named_account}", Part::NamedAccount),
    ("{campaign}", Part::Campaign),
    ("{from}", Part::From),
    ("{to}", Part::To),
    ("{days}", Part::Days),
];

impl Part {
    /// A placeholder, or a text that looks like none.
    fn parse(value: &str) -> Option<Self> {
        let known = PLACEHOLDERS.into_iter().find(|(name, _)| *name == value);
        match known {
            Some((_, part)) => Some(part),
            None if value.contains(['{', '}']) => None,
            None => Some(Self::Text(value.to_owned())),
        }
    }

    fn fill(&self, with: &Filling<'_>) -> Option<String> {
        Some(match self {
            Self::Text(text) => text.clone(),
            Self::Account => with.account.to_owned(),
            Self::NamedAccount => with.account_named.then(|| with.account.to_owned())?,
            Self::Campaign => with.campaign.to_owned(),
            Self::From => with.from.to_owned(),
            Self::To => with.to.to_owned(),
            Self::Days => with.days.to_string(),
        })
    }
}

impl Endpoint {
    /// The paths at Coolbits, in the order in which they are tried.
    pub fn paths(&self, with_manager: bool) -> Vec<Arc<str>> {
        let managed = self.managed_paths.iter().filter(|_| with_manager);
        managed.chain(&self.paths).cloned().collect()
    }

    /// The parameters, by name.
    pub fn query(&self, with: &Filling<'_>) -> Vec<(String, String)> {
        let filled = |(name, part): &(String, Part)| Some((name.clone(), part.fill(with)?));
        self.query.iter().filter_map(filled).collect()
    }

    /// What stands where the rows should; `None` for nothing, or null.
    pub fn rows<'a>(&self, payload: &'a Value) -> Option<&'a Value> {
        payload.pointer(&self.rows).filter(|rows| !rows.is_null())
    }

    /// Where the rows should stand, for the log.
    pub fn rows_at(&self) -> &str {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Endpoints::parse(text).unwrap_err().0;
        problems.retain(|problem| !problem.ends_with(": missing"));
        problems
    }

    #[test]
    fn the_built_in_table_has_every_operation() {
        let table = Endpoints::built_in().unwrap();
        for operation in Operation::ALL {
            assert!(!table.of(*operation).unwrap().paths(false).is_empty());
        }
    }

    #[test]
    fn placeholders_are_filled_and_what_nobody_named_is_left_out() {
        let table = Endpoints::built_in().unwrap();
        let keywords = table.of(Operation::GoogleAdsKeywords).unwrap();
        let mut filling = Filling {
            account: "1-2",
            account_named: false,
            campaign: "c-1",
            from: "2026-11-01",
            to: "2026-11-30",
            days: 30,
        };
        let query: BTreeMap<_, _> = keywords.query(&filling).into_iter().collect();
        assert_eq!(query["campaign_id"], "c-1");
        assert_eq!(query["from"], "2026-11-01");
        assert!(!query.contains_key("account_id"));
        filling.account_named = true;
        let query: BTreeMap<_, _> = keywords.query(&filling).into_iter().collect();
        assert_eq!(query["account_id"], "1-2");
        let accounts = table.of(Operation::GoogleAdsAccounts).unwrap();
        assert_eq!(accounts.paths(true).len(), accounts.paths(false).len() + 1);
    }

    #[test]
    fn rows_are_found_where_the_table_says() {
        let table = Endpoints::built_in().unwrap();
        let pages = table.of(Operation::Ga4Pages).unwrap();
        let payload = json!({"data": {"pages_screens": {"rows": [1]}}});
        assert_eq!(pages.rows(&payload), Some(&json!([1])));
        assert_eq!(pages.rows(&json!({"data": []})), None);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = r#"
            [[endpoint]]
            operation = "ga4.pages"
            paths = ["api/report", "/a?b=c", "/a/../b"]
            query = { propertyId = "{property}", from = "{from" }
            rows = "data.rows"
            [[endpoint]]
            operation = "ga4.pages"
            paths = []
            [[endpoint]]
            operation = "ga4.nothing"
            paths = ["/a"]
        "#;
        let told = problems(text);
        assert_eq!(told.len(), 9, "{told:#?}");
        for part in [
            "\"api/report\"",
            "\"/a?b=c\"",
            "\"/a/../b\"",
            "{property}",
            "{from",
            "data.rows",
            "twice",
            "paths is empty",
            "ga4.nothing",
        ] {
            assert!(told.iter().any(|told| told.contains(part)), "{part}");
        }
        assert!(problems("endpoint = 1")[0].contains("invalid type"));
        let missing = Endpoints::parse("endpoint = []").unwrap_err();
        assert_eq!(missing.0.len(), Operation::ALL.len());
    }
}
