//! `matrix`: what the app supports, what the sidecar enforces and which cases of
//! the leak suite cover it, for every route; and `matrix check`, which tells the
//! routes of a newer app that no rule answers for.
//!
//! The table is printed from the matrix that requests are decided by, with the
//! modes of the settings; it cannot say something else than what is done.

use camarad_policies::accounts::Accounts;
use camarad_policies::cache_key::Class;
use camarad_policies::guard::Guard;
use camarad_policies::matrix::{
    Act, CASES, Caching, ClientScope, Matrix, MatrixError, Observed, ROUTES, Route, Routes,
    RoutesError, Rule, Serve,
};
use clap::ValueEnum;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// How the table is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A Markdown document.
    Md,
    /// One JSON object a route.
    Json,
    /// Comma-separated values (RFC 4180).
    Csv,
}

/// Why there is no table, or why the check failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("the built-in matrix: {0}")]
    Matrix(#[from] MatrixError),
    #[error("{0}: {1}")]
    Routes(String, RoutesError),
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("the table cannot be written: {0}")]
    Write(#[from] serde_json::Error),
    #[error("{} of {} routes have no rule:\n{}", .gaps.len(), .of, .gaps.join("\n"))]
    Gaps { gaps: Vec<String>, of: usize },
}

/// One route.
#[derive(Debug, Serialize)]
struct Line {
    method: String,
    path: String,
    area: String,
    rule: String,
    app: App,
    sidecar: Enforced,
    tests: Vec<&'static str>,
}

/// What the app was seen to do.
#[derive(Debug, Serialize)]
struct App {
    client: String,
    identity: &'static str,
    foreign_client: Option<u16>,
    anonymous: Option<u16>,
}

/// What the sidecar does.
#[derive(Debug, Serialize)]
struct Enforced {
    auth: String,
    client: String,
    places: Vec<String>,
    limited_without_client: String,
    egress: Vec<String>,
    on_foreign: String,
    lane: &'static str,
    cache: String,
    mode: &'static str,
    /// The object that is named by id, and where.
    guard: String,
    /// The connector whose accounts are bound, and what else is known of them.
    accounts: String,
}

/// The table as text.
pub(crate) fn table(format: Format) -> Result<String, TableError> {
    let matrix = Matrix::built_in()?;
    let routes = Routes::parse(ROUTES).map_err(|e| TableError::Routes("routes.json".into(), e))?;
    let rules: BTreeMap<&Route, &Rule> = matrix
        .rules()
        .iter()
        .flat_map(|rule| rule.routes.iter().map(|route| (route, &**rule)))
        .collect();
    let mut lines: Vec<Line> = routes
        .observed()
        .iter()
        .filter_map(|seen| Some(line(seen, rules.get(&seen.route())?)))
        .collect();
    lines.sort_by(|a, b| (&a.area, &a.path, &a.method).cmp(&(&b.area, &b.path, &b.method)));
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(&lines)? + "\n",
        Format::Csv => csv(&lines),
        Format::Md => markdown(&lines),
    })
}

/// Names the routes of a list that no rule answers for.
pub(crate) fn check(file: &Path) -> Result<String, TableError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| TableError::File(name.clone(), e))?;
    let routes = Routes::parse(&text).map_err(|e| TableError::Routes(name, e))?;
    let matrix = Matrix::built_in()?;
    let gaps: Vec<String> = matrix
        .gaps(&routes)
        .iter()
        .map(ToString::to_string)
        .collect();
    let of = routes.all().len();
    match gaps.is_empty() {
        true => Ok(format!("all {of} routes have a rule")),
        false => Err(TableError::Gaps { gaps, of }),
    }
}

fn line(seen: &Observed, rule: &Rule) -> Line {
    let route = seen.route();
    let status = |name: &str| seen.status.get(name).copied().flatten();
    let cases = CASES.iter().filter(|case| case.applies(rule, &route));
    Line {
        area: rule.area.to_string(),
        rule: rule.name.to_string(),
        app: App {
            client: seen.x_client_id.clone(),
            identity: match (
                seen.internal_token_check,
                seen.login_check,
                seen.reads_user_identity,
            ) {
                (true, ..) => "internal token",
                (_, true, _) => "session cookies",
                (.., true) => "plain cookie",
                _ => "none",
            },
            foreign_client: status("client_of_another_user"),
            anonymous: status("anonymous"),
        },
        sidecar: Enforced {
            auth: word(&rule.auth),
            client: word(&rule.client),
            places: rule.places.iter().map(word).collect(),
            limited_without_client: match rule.client {
                ClientScope::Required => "deny".to_owned(),
                _ => word(&rule.user_wide),
            },
            egress: rule
                .egress
                .iter()
                .chain(&rule.egress_users)
                .chain(&rule.egress_accounts)
                .map(ToString::to_string)
                .collect(),
            on_foreign: match rule.has_egress() {
                true => word(&rule.on_foreign),
                false => String::new(),
            },
            lane: match rule.serve {
                Serve::Stream => "stream",
                Serve::Whole => "api",
                Serve::MadeUp => "api, tagged",
                Serve::Connector(_) => "api, gateway",
                Serve::Health | Serve::Runs(Act::Validate | Act::Trace) => "sidecar",
                Serve::Runs(_) => "api, sidecar",
            },
            cache: rule.cache.map(kept).unwrap_or_default(),
            mode: rule.mode.as_str(),
            guard: rule.guard.as_ref().map(guarded).unwrap_or_default(),
            accounts: rule.accounts.as_ref().map(bound).unwrap_or_default(),
        },
        tests: cases.map(|case| case.name).collect(),
        method: route.method,
        path: route.path,
    }
}

/// `tenant 45`: among whom, and for how many seconds.
fn kept(cache: Caching) -> String {
    let among = match cache.class {
        Class::Tenant => "tenant",
        Class::User => "user",
        Class::Shared => "shared",
    };
    format!("{among} {}", cache.seconds)
}

/// `conversation (query, body), chosen`
fn guarded(guard: &Guard) -> String {
    let places = [
        ("path", &guard.path),
        ("query", &guard.query),
        ("body", &guard.body),
    ];
    let named = places.iter().filter(|(_, name)| name.is_some());
    let places: Vec<&str> = named.map(|(place, _)| *place).collect();
    let chosen = if guard.choose { ", chosen" } else { "" };
    format!("{} ({}){chosen}", guard.object.name(), places.join(", "))
}

/// `google-ads, one`
fn bound(accounts: &Accounts) -> String {
    let mut text = accounts.connector.name.to_owned();
    text += if accounts.one { ", one" } else { "" };
    text += if accounts.body { ", body" } else { "" };
    text
}

/// The word by which the table file writes a value.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

const COLUMNS: [&str; 19] = [
    "method",
    "path",
    "area",
    "rule",
    "app_client",
    "app_identity",
    "app_foreign_client",
    "app_anonymous",
    "auth",
    "client",
    "places",
    "limited_without_client",
    "egress",
    "on_foreign",
    "lane",
    "cache",
    "mode",
    "guard",
    "accounts",
];

impl Line {
    fn cells(&self) -> [String; 19] {
        let status = |status: Option<u16>| status.map_or_else(String::new, |s| s.to_string());
        let s = &self.sidecar;
        [
            self.method.clone(),
            self.path.clone(),
            self.area.clone(),
            self.rule.clone(),
            self.app.client.clone(),
            self.app.identity.to_owned(),
            status(self.app.foreign_client),
            status(self.app.anonymous),
            s.auth.clone(),
            s.client.clone(),
            s.places.join(" "),
            s.limited_without_client.clone(),
            s.egress.join(" "),
            s.on_foreign.clone(),
            s.lane.to_owned(),
            s.cache.clone(),
            s.mode.to_owned(),
            s.guard.clone(),
            s.accounts.clone(),
        ]
    }
}

fn csv(lines: &[Line]) -> String {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    let row = |cells: Vec<String>| cells.join(",") + "\r\n";
    let mut text = row([&COLUMNS[..], &["tests"]]
        .concat()
        .iter()
        .map(|c| quoted(c))
        .collect());
    for line in lines {
        let tests = line.tests.join("; ");
        let cells = line.cells();
        text += &row(cells
            .iter()
            .chain([&tests])
            .map(|cell| quoted(cell))
            .collect());
    }
    text
}

fn markdown(lines: &[Line]) -> String {
    let mut text = format!(
        "# Client scope, route by route\n\n\
         Printed by `camarad-sidecar matrix --format md`; a test keeps it current. {} routes of the\n\
         app: what the app was seen to do by itself, and what the sidecar enforces in front of it.\n\
         The last column names the groups of cases of the leak suite (`tests/leaks.rs`) that are tried on\n\
         the route; they are listed at the end, and each is part of `make test`.\n",
        lines.len()
    );
    let mut groups: Vec<&[&str]> = Vec::new();
    let mut area = "";
    for line in lines {
        if line.area != area {
            area = &line.area;
            let _ = write!(
                text,
                "\n## {area}\n\n| route | rule | app: client, identity, foreign client, anonymous \
                 | sidecar: auth, client (places) | limited token, no client | object, accounts | egress | lane | mode | tests |\n\
                 |---|---|---|---|---|---|---|---|---|---|\n"
            );
        }
        let group = groups
            .iter()
            .position(|tests| *tests == &line.tests[..])
            .unwrap_or_else(|| {
                groups.push(&line.tests);
                groups.len() - 1
            });
        let c = line.cells();
        let or_dash = |cell: &str| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell.to_owned()
            }
        };
        let egress = match c[12].is_empty() {
            true => "-".to_owned(),
            false => format!("`{}` {}", c[12], c[13]),
        };
        let cache = match c[15].is_empty() {
            true => String::new(),
            false => format!(", cached {} s", c[15]),
        };
        let places = if c[10].is_empty() {
            String::new()
        } else {
            format!(" ({})", c[10])
        };
        let named = match (c[17].is_empty(), c[18].is_empty()) {
            (true, true) => "-".to_owned(),
            (false, true) => c[17].clone(),
            (true, false) => c[18].clone(),
            (false, false) => format!("{}; {}", c[17], c[18]),
        };
        let _ = writeln!(
            text,
            "| `{} {}` | {} | {}, {}, {}, {} | {}, {}{places} | {} | {named} | {egress} | {}{cache} | {} | {} |",
            c[0],
            c[1],
            c[3],
            c[4],
            c[5],
            or_dash(&c[6]),
            or_dash(&c[7]),
            c[8],
            c[9],
            c[11],
            c[14],
            c[16],
            group + 1
        );
    }
    text.push_str("\n## Cases of the leak suite\n");
    for (at, tests) in groups.iter().enumerate() {
        let _ = write!(
            text,
            "\n{}. {} cases: {}.\n",
            at + 1,
            tests.len(),
            tests.join("; ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regenerate with `UPDATE_MATRIX=1 cargo test -p camarad-sidecar matrix_table`.
    #[test]
    fn the_document_is_current() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../progress/CLIENT_SCOPE_MATRIX.md"
        );
        let current = table(Format::Md).unwrap();
        if std::env::var_os("UPDATE_MATRIX").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), current);
    }

    #[test]
    fn every_route_is_there_and_tried() {
        let json: serde_json::Value = serde_json::from_str(&table(Format::Json).unwrap()).unwrap();
        let lines = json.as_array().unwrap();
        assert_eq!(lines.len(), 274);
        assert!(
            lines
                .iter()
                .all(|line| line["tests"].as_array().unwrap().len() > 10)
        );
        let csv = table(Format::Csv).unwrap();
        assert_eq!(csv.lines().count(), 275);
        let columns = csv.lines().next().unwrap().split(',').count();
        assert_eq!(columns, 20);
    }
}
