//! The matrix: which rule answers for a method and path.
//!
//! The table is data (`tables/matrix.toml`), parsed once at start; two rules
//! that claim the same method and path are an error then, while an operator is
//! watching, and not a surprise at three in the morning. A path without a rule
//! of its own gets a fallback rule, and the one for `/api/` is protected.

use crate::path::CanonicalPath;
use crate::route::Operation;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The built-in table.
pub const BUILT_IN: &str = include_str!("../tables/matrix.toml");

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Anybody; a good token still makes an identity.
    Public,
    /// A verified token is needed.
    Required,
}

/// What the client means to the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientScope {
    /// The answer belongs to one client; without a name it is the token's only one.
    Scoped,
    /// The client in the path or query is the object; the header is only ambient.
    Managed,
    /// The answer belongs to the user; a client that is named is checked all the same.
    User,
}

/// How the request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// Passed to the app, bodies untouched.
    Stream,
    /// Passed to the app; body and answer are held whole.
    Whole,
    /// Passed to the app, whose answer is made up and gets tagged as such.
    MadeUp,
    /// Answered by the gateway.
    Connector(Operation),
}

/// One row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name; the `route` label of metrics.
    pub name: String,
    /// Area of the app: `connectors`, `chat`, `flows`, …
    pub area: String,
    /// Who may call.
    pub auth: Auth,
    /// What the client means.
    pub client: ClientScope,
    /// How it is answered.
    pub serve: Serve,
    /// How long an answer may be kept, in seconds.
    pub cache_seconds: Option<u64>,
    /// The field of a JSON body that names the client; the body is strict JSON then.
    pub client_in_body: Option<String>,
}

/// A rule, and what the path says where the rule looks at it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The path segment that names the client, still percent-encoded.
    pub client_in_path: Option<String>,
}

/// The methods of a rule; `None` means all.
type Methods = Option<BTreeSet<String>>;

/// What stands at a path: a rule, and the methods it is for.
type Entry = (Methods, Arc<Rule>);

/// All rules, ready to be looked up.
pub struct Matrix {
    router: matchit::Router<Vec<Entry>>,
    rules: Vec<Arc<Rule>>,
    api: Arc<Rule>,
    page: Arc<Rule>,
}

/// A table that cannot be used; every problem at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct MatrixError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rule: Vec<Row>,
    fallback: Fallback,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    api: Row,
    page: Row,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    area: String,
    auth: Auth,
    client: ClientScope,
    serve: String,
    cache_seconds: Option<u64>,
    client_in_body: Option<String>,
}

impl Matrix {
    /// Reads a table, and tells everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        let table: Table =
            toml::from_str(text).map_err(|e| MatrixError(vec![e.message().to_owned()]))?;
        let mut problems = Vec::new();
        let mut collect = |row: Row| {
            let (paths, methods) = (row.paths.clone(), row.methods.clone());
            match row.rule() {
                Ok(rule) => Some((paths, methods, Arc::new(rule))),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        };
        let rows: Vec<_> = table.rule.into_iter().filter_map(&mut collect).collect();
        let api = collect(table.fallback.api);
        let page = collect(table.fallback.page);
        let mut names = BTreeSet::new();
        let mut merged: Vec<(String, Vec<Entry>)> = Vec::new();
        for (paths, methods, rule) in &rows {
            if !names.insert(rule.name.clone()) {
                problems.push(format!("rule {}: the name stands twice", rule.name));
            }
            if paths.is_empty() {
                problems.push(format!("rule {}: no paths", rule.name));
            }
            let methods = (!methods.is_empty()).then(|| methods.iter().cloned().collect());
            for path in paths {
                match merged.iter_mut().find(|(p, _)| p == path) {
                    Some((_, others)) => {
                        for (theirs, other) in others.iter() {
                            if overlap(theirs, &methods) {
                                problems.push(format!(
                                    "{path}: claimed by rule {} and by rule {}",
                                    other.name, rule.name
                                ));
                            }
                        }
                        others.push((methods.clone(), rule.clone()));
                    }
                    None => merged.push((path.clone(), vec![(methods.clone(), rule.clone())])),
                }
            }
        }
        let mut router = matchit::Router::new();
        for (path, entries) in merged {
            if let Err(problem) = router.insert(&path, entries) {
                problems.push(format!("{path}: {problem}"));
            }
        }
        match (api, page) {
            (Some((_, _, api)), Some((_, _, page))) if problems.is_empty() => {
                let mut rules: Vec<_> = rows.into_iter().map(|(_, _, rule)| rule).collect();
                rules.extend([api.clone(), page.clone()]);
                Ok(Self {
                    router,
                    rules,
                    api,
                    page,
                })
            }
            _ => Err(MatrixError(problems)),
        }
    }

    /// The rule for a method and canonical path. HEAD follows GET.
    pub fn find(&self, method: &str, path: &CanonicalPath) -> Found {
        let method = if method == "HEAD" { "GET" } else { method };
        let fits = |methods: &Methods| methods.as_ref().is_none_or(|m| m.contains(method));
        let own = self.router.at(path.as_str()).ok().and_then(|found| {
            let (_, rule) = found.value.iter().find(|(methods, _)| fits(methods))?;
            Some(Found {
                rule: rule.clone(),
                client_in_path: found.params.get("client_id").map(str::to_owned),
            })
        });
        own.unwrap_or_else(|| Found {
            rule: if is_api(path) { &self.api } else { &self.page }.clone(),
            client_in_path: None,
        })
    }

    /// Every rule, the fallbacks included.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }
}

/// Whether a path lies under `/api/`: errors there are JSON, and nothing is public by default.
pub fn is_api(path: &CanonicalPath) -> bool {
    path.as_str() == "/api" || path.as_str().starts_with("/api/")
}

fn overlap(one: &Methods, other: &Methods) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !one.is_disjoint(other),
        _ => true,
    }
}

impl Row {
    fn rule(self) -> Result<Rule, String> {
        let serve = match self.serve.as_str() {
            "stream" => Serve::Stream,
            "whole" => Serve::Whole,
            "made_up" => Serve::MadeUp,
            name => match Operation::parse(name) {
                Some(operation) => Serve::Connector(operation),
                None => {
                    return Err(format!(
                        "rule {}: serve = {name:?}, expected \"stream\", \"whole\", \"made_up\" or one of {}",
                        self.name,
                        Operation::ALL.map(|o| format!("{:?}", o.name())).join(", ")
                    ));
                }
            },
        };
        if matches!(serve, Serve::Connector(_)) && self.auth == Auth::Public {
            return Err(format!(
                "rule {}: connector data cannot be public",
                self.name
            ));
        }
        if self.client_in_body.is_some() && matches!(serve, Serve::Stream) {
            return Err(format!(
                "rule {}: a body that is read cannot be streamed; serve = \"whole\"",
                self.name
            ));
        }
        Ok(Rule {
            name: self.name,
            area: self.area,
            auth: self.auth,
            client: self.client,
            serve,
            cache_seconds: self.cache_seconds,
            client_in_body: self.client_in_body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &str, path: &str) -> String {
        let matrix = Matrix::parse(BUILT_IN).unwrap();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        matrix.find(method, &path).rule.name.clone()
    }

    #[test]
    fn each_path_has_its_rule() {
        let cases = [
            (
                "GET",
                "/api/connectors/google-ads/campaigns",
                "google-ads.campaigns",
            ),
            (
                "HEAD",
                "/api/connectors/google-ads/campaigns",
                "google-ads.campaigns",
            ),
            (
                "GET",
                "//api/connectors/%67oogle-ads/campaigns",
                "google-ads.campaigns",
            ),
            ("POST", "/api/connectors/google-ads/campaigns", "api"),
            ("GET", "/api/connectors/google-ads/campaigns/", "api"),
            (
                "POST",
                "/api/connectors/google-ads/test-call",
                "google-ads.made-up",
            ),
            ("GET", "/api/connectors/aws/ec2", "made-up"),
            ("GET", "/api/connectors/stripe/overview", "api"),
            ("POST", "/api/auth/session", "session"),
            ("GET", "/api/flows", "api"),
            ("GET", "/api", "api"),
            ("GET", "/apix", "page"),
            ("GET", "/", "page"),
            ("GET", "/static/app.js", "page"),
        ];
        for (method, path, expected) in cases {
            assert_eq!(name(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_no_rule_knows_under_api_is_protected() {
        let matrix = Matrix::parse(BUILT_IN).unwrap();
        let path = CanonicalPath::parse(b"/api/something/new").unwrap();
        assert_eq!(matrix.find("PURGE", &path).rule.auth, Auth::Required);
    }

    const FALLBACK: &str = r#"
        [fallback.api]
        name = "api"
        area = "other"
        auth = "required"
        client = "scoped"
        serve = "stream"
        [fallback.page]
        name = "page"
        area = "other"
        auth = "public"
        client = "user"
        serve = "stream"
    "#;

    fn row(name: &str, path: &str, methods: &str, serve: &str, auth: &str) -> String {
        format!(
            "[[rule]]\nname = \"{name}\"\npaths = [\"{path}\"]\nmethods = {methods}\n\
             area = \"x\"\nauth = \"{auth}\"\nclient = \"scoped\"\nserve = \"{serve}\"\n"
        )
    }

    #[test]
    fn overlaps_and_nonsense_are_told_all_at_once() {
        let text = [
            row("a", "/api/x", "[\"GET\"]", "stream", "required"),
            row("b", "/api/x", "[]", "stream", "required"),
            row("c", "/api/y", "[]", "google-ads.nothing", "required"),
            row("d", "/api/z", "[]", "google-ads.campaigns", "public"),
            FALLBACK.to_owned(),
        ]
        .concat();
        let Err(MatrixError(problems)) = Matrix::parse(&text) else {
            panic!("an overlapping table was taken");
        };
        let all = problems.join("\n");
        assert!(
            all.contains("/api/x: claimed by rule a and by rule b"),
            "{all}"
        );
        assert!(
            all.contains("rule c: serve = \"google-ads.nothing\""),
            "{all}"
        );
        assert!(
            all.contains("rule d: connector data cannot be public"),
            "{all}"
        );
    }

    #[test]
    fn two_rules_may_share_a_path_with_different_methods() {
        let text = [
            row("a", "/api/x", "[\"GET\"]", "stream", "required"),
            row("b", "/api/x", "[\"POST\"]", "stream", "required"),
            FALLBACK.to_owned(),
        ]
        .concat();
        assert!(Matrix::parse(&text).is_ok());
    }
}
