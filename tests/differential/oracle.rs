//! Whether two readings of one request agree.

use super::generate::Draft;
use camarad_policies::operation::Operation;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

/// What the sidecar says it decided.
#[derive(Debug, Deserialize)]
pub struct Record {
    pub request_id: String,
    pub route: String,
    pub path: String,
    pub source: String,
    pub user: Option<u64>,
    pub client: Option<u64>,
    pub code: Option<String>,
    pub allowed: bool,
}

/// What Flask says it read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Reading {
    pub id: Option<String>,
    pub method: String,
    pub path: String,
    pub rule: Option<String>,
    pub view_args: BTreeMap<String, String>,
    pub query_client: Option<String>,
    pub query_clients: usize,
    pub header_client: Option<String>,
    pub client: Option<Value>,
    pub user: Option<u64>,
    pub header_user: Option<String>,
    pub user_cookie: Option<String>,
    pub token_cookie: Option<String>,
    pub client_cookie: Option<String>,
    pub seal_cookie: Option<String>,
    pub authorization: Option<String>,
    pub internal_token: Option<String>,
    pub source: Option<String>,
    pub folded: Option<String>,
    pub scheme: String,
    pub script_name: String,
    pub forwarded_for: Option<String>,
    /// `X-Forwarded-Host`.
    pub host: Option<String>,
    pub json_client: Value,
    /// Every conversation that could be read, wherever it stands.
    pub conversations: Vec<String>,
    pub body_length: usize,
    pub body_sha256: String,
}

/// Rules of the app that anybody may call; everything else under `/api/` needs a token.
const PUBLIC: [&str; 6] = [
    "/api/auth/google/callback",
    "/api/auth/google/start",
    "/api/auth/logout",
    "/api/auth/session",
    "/api/auth/status",
    "/api/pricing/plans",
];

/// Whether the gateway answers such a route; Flask must never see a read of it.
fn is_gateways(path: &str) -> bool {
    let mut operations = Operation::ALL.iter();
    operations.any(|operation| {
        let (connector, short) = (operation.connector().name(), operation.short());
        path == format!("/api/connectors/{connector}/{short}")
    })
}

/// Rules whose client stands in the body, as the app reads it.
const BODY_SCOPED: [(&str, &str); 2] =
    [("POST", "/api/client_connectors"), ("POST", "/api/import")];

/// Rules that read the cookie of the active client.
const COOKIE_SCOPED: [&str; 5] = [
    "/api/app/search",
    "/agents",
    "/chat",
    "/chat/",
    "/chat/<ws_slug>/<agent_slug>",
];

/// Where a conversation is named, and written into what goes on.
const CHAT: &str = "/chat/<ws_slug>/<agent_slug>";

/// What was seen of the app: `ignored` routes look at neither header nor query.
static IGNORED: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
    let text = include_str!("../../policies/tables/routes.json");
    let seen: Value = serde_json::from_str(text).unwrap();
    let text = |route: &Value, name: &str| route[name].as_str().unwrap().to_owned();
    seen["routes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|route| route["x_client_id"] == "ignored")
        .map(|route| (text(route, "method"), text(route, "path")))
        .collect()
});

fn reads_header(method: &str, place: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    // Nothing there is a client's yet; it is once the index is (config/rag).
    let will_read = (method, place) == ("GET", "/api/rag/search");
    will_read || !IGNORED.contains(&(method.to_owned(), place.to_owned()))
}

/// Which clients a user has, in the tests' tokens.
fn clients(user: u64) -> &'static [u64] {
    match user {
        1 => &[10, 11],
        2 => &[20],
        _ => &[],
    }
}

/// Judges one request after the other; remembers which rule each place got.
pub struct Judge {
    tokens: HashMap<u64, String>,
    routes: HashMap<(String, String, String), String>,
}

impl Judge {
    /// `tokens` are the good ones, by user.
    pub fn new(tokens: HashMap<u64, String>) -> Self {
        Self {
            tokens,
            routes: HashMap::new(),
        }
    }

    /// How many places of the app were asked for.
    pub fn places(&self) -> usize {
        self.routes.len()
    }

    /// What the two readings disagree on, if anything.
    pub fn disagreement(
        &mut self,
        draft: &Draft,
        record: &Record,
        reading: Option<&Reading>,
    ) -> Option<String> {
        let Some(reading) = reading else {
            let passed = record.allowed && matches!(record.source.as_str(), "legacy" | "mock");
            let answered_here =
                Operation::parse(&record.route).is_some() && record.source == "mock";
            return (passed && !answered_here)
                .then(|| "it was passed on, and Flask did not see it".into());
        };
        let expected = |value: Option<u64>| value.map(|id| id.to_string());
        let token = record.user.map(|user| self.tokens[&user].clone());
        let place = reading.rule.as_deref().unwrap_or_default();
        let named = |what: &str| Some(what.to_owned());
        if !record.allowed {
            return named("it was refused, and Flask saw it");
        }
        if reading.user != record.user || reading.user_cookie != expected(record.user) {
            return named("the user of the cookie");
        }
        if reading.header_user != expected(record.user) {
            return named("the user of the header");
        }
        if reading.token_cookie != token {
            return named("the token of the cookie");
        }
        if reading.authorization != token.map(|token| format!("Bearer {token}")) {
            return named("the bearer token");
        }
        // The decided client stands in every place that the route reads, and in no other.
        let ambient = record
            .client
            .filter(|_| reads_header(&reading.method, place));
        if reading.header_client != expected(ambient) {
            return named("the client of the header");
        }
        if reading.client != ambient.map(Value::from) {
            return named("the client as the app takes it");
        }
        if reading.query_clients > 1
            || (reading.query_client.is_some() && reading.query_client != expected(ambient))
        {
            return named("the client of the query");
        }
        let own = |id: &String| {
            record
                .user
                .is_some_and(|user| clients(user).iter().any(|own| own.to_string() == *id))
        };
        let in_cookie = record.client.filter(|_| COOKIE_SCOPED.contains(&place));
        if reading.client_cookie != expected(in_cookie) {
            return named("the client of the cookie");
        }
        let in_path = reading.view_args.get("client_id");
        // OPTIONS runs no code that could look at it.
        let is_read = reading.method != "OPTIONS";
        if is_read && in_path.is_some_and(|id| Some(id) != expected(record.client).as_ref()) {
            return named("the client of the path");
        }
        if record
            .client
            .is_some_and(|client| !own(&client.to_string()))
        {
            return named("a client that is not the user's");
        }
        if reading.seal_cookie.is_some()
            || reading.internal_token.is_some()
            || reading.source.is_some()
        {
            return named("something that a caller cannot supply");
        }
        // The callers' own address is not trusted in this test, so nothing they say of it is.
        if reading.forwarded_for.as_deref() != Some("127.0.0.1") {
            return named("X-Forwarded-For");
        }
        if reading.host.as_deref() != Some("app") || reading.scheme != "http" {
            return named("the host or the scheme");
        }
        if !reading.script_name.is_empty() || reading.folded.is_some() {
            return named("a header name that was folded");
        }
        if reading.path != decoded(&record.path) {
            return named("the path");
        }
        if reading.method != draft.method {
            return named("the method");
        }
        if place.starts_with("/api/") && record.user.is_none() && !PUBLIC.contains(&place) {
            return named("a protected place, reached without a token");
        }
        if is_gateways(place) && matches!(reading.method.as_str(), "GET" | "HEAD") {
            return named("a place of the gateway");
        }
        let scoped = BODY_SCOPED
            .iter()
            .any(|(method, rule)| *method == reading.method && *rule == place);
        if scoped && client_of(&reading.json_client) != record.client.map(|id| id.to_string()) {
            return named("the client of the body");
        }
        if place == CHAT {
            // The one that was looked at, in one place; HEAD and GET are sent on to where it stands.
            let one = ["7".to_owned()];
            let is_anonymous = record.user.is_none();
            return match reading.conversations == one || is_anonymous {
                true => self.place(reading, record),
                false => named("the conversation"),
            };
        }
        let body = &draft.body;
        let digest: String = Sha256::digest(body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if reading.body_length != body.len() || reading.body_sha256 != digest {
            return named("the body");
        }
        self.place(reading, record)
    }

    /// Every spelling of one place gets one rule.
    fn place(&mut self, reading: &Reading, record: &Record) -> Option<String> {
        let rule = reading.rule.clone()?;
        let key = (
            reading.method.clone(),
            rule,
            format!("{:?}", reading.view_args),
        );
        let first = self
            .routes
            .entry(key)
            .or_insert_with(|| record.route.clone());
        (*first != record.route)
            .then(|| format!("one place, two rules: {first} and {}", record.route))
    }
}

/// The client of a JSON body, as a lenient app reads it.
fn client_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() || text == "0" => None,
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) if number.as_u64() == Some(0) => None,
        other => Some(other.to_string()),
    }
}

/// A record's path as Flask sees it: decoded once.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octet = (*first == b'%' && tail.len() >= 2)
            .then(|| {
                std::str::from_utf8(&tail[..2])
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        bytes.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The oracle has to be able to say no: each single difference is seen.
#[test]
fn every_difference_is_seen() {
    let draft = Draft::plain("GET", "/api/flows");
    let record = |change: fn(&mut Record)| {
        let mut record = Record {
            request_id: "a".into(),
            route: "api".into(),
            path: "/api/flows".into(),
            source: "legacy".into(),
            user: Some(1),
            client: Some(10),
            code: None,
            allowed: true,
        };
        change(&mut record);
        record
    };
    let reading = || Reading {
        method: "GET".into(),
        path: "/api/flows".into(),
        rule: Some("/api/flows".into()),
        header_client: Some("10".into()),
        client: Some(Value::from(10)),
        user: Some(1),
        header_user: Some("1".into()),
        user_cookie: Some("1".into()),
        token_cookie: Some("t".into()),
        authorization: Some("Bearer t".into()),
        forwarded_for: Some("127.0.0.1".into()),
        host: Some("app".into()),
        scheme: "http".into(),
        body_sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
        ..Reading::default()
    };
    let judge = || Judge::new([(1, "t".to_owned()), (2, "u".to_owned())].into());
    let same = record(|_| {});
    assert_eq!(judge().disagreement(&draft, &same, Some(&reading())), None);
    let changes: [fn(&mut Reading); 22] = [
        |r| r.user = Some(2),
        |r| r.user_cookie = None,
        |r| r.header_user = Some("2".into()),
        |r| r.token_cookie = Some("u".into()),
        |r| r.authorization = None,
        |r| r.header_client = None,
        |r| r.client = Some(Value::from(11)),
        |r| r.query_client = Some("11".into()),
        |r| r.query_clients = 2,
        |r| r.client_cookie = Some("20".into()),
        |r| r.seal_cookie = Some(String::new()),
        |r| r.internal_token = Some(String::new()),
        |r| r.source = Some(String::new()),
        |r| r.forwarded_for = None,
        |r| r.host = Some("evil.example".into()),
        |r| r.scheme = "https".into(),
        |r| r.script_name = "/x".into(),
        |r| r.folded = Some(String::new()),
        |r| r.path = "/api/flows/".into(),
        |r| r.method = "POST".into(),
        |r| r.rule = Some("/api/connectors/google-ads/accounts".into()),
        |r| r.body_length = 1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = reading();
        change(&mut other);
        assert!(
            judge().disagreement(&draft, &same, Some(&other)).is_some(),
            "{at}"
        );
    }
    let others: [fn(&mut Record); 3] = [
        |r| r.allowed = false,
        |r| r.client = Some(20),
        |r| r.user = None,
    ];
    for (at, change) in others.into_iter().enumerate() {
        let other = record(change);
        assert!(
            judge()
                .disagreement(&draft, &other, Some(&reading()))
                .is_some(),
            "{at}"
        );
    }
    assert!(
        judge().disagreement(&draft, &same, None).is_some(),
        "passed on and not seen"
    );
    let mut judge = judge();
    judge.disagreement(&draft, &same, Some(&reading()));
    let elsewhere = record(|r| r.route = "page".into());
    assert!(
        judge
            .disagreement(&draft, &elsewhere, Some(&reading()))
            .is_some()
    );
}
