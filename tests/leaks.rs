//! The leak suite: every route of the app, asked in every way that could reach
//! somebody else's data, through the real binary, with an app behind it that is
//! as weak as the real one and says in each answer whose data it holds.
//!
//! The cases come from the matrix. The same requests straight at the stand-in
//! have to leak, or the suite would prove nothing.

use crate::support::{Claims, SECRET, Setup, Sidecar, StandIn, now, raw_answer, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camarad_policies::matrix::{
    CASES, Case, Matrix, Place, ROUTES, Route, Routes, Rule, Serve, UserWide,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// Requests at once.
const WIDTH: usize = 8;

/// Tokens: user 1 without a claim (clients 10, 11), user 3 limited to 30 of 30 and 31, user 2 (20).
struct Tokens {
    attacker: String,
    limited: String,
    victim: String,
    bad: BTreeMap<&'static str, String>,
}

/// One request of the suite.
#[derive(Clone)]
struct Attempt {
    case: Case,
    rule: Arc<Rule>,
    route: Route,
    bytes: Vec<u8>,
}

impl Tokens {
    fn new() -> Self {
        let attacker = token(Claims::new(1, &[]).without("clients"));
        let (message, _) = attacker.rsplit_once('.').unwrap();
        let payload = message.split_once('.').unwrap().1;
        let signed = |header: Value| {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            let message = format!("{header}.{payload}");
            let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
            let algorithm = jsonwebtoken::Algorithm::HS256;
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm);
            format!("{message}.{}", signature.unwrap())
        };
        let other = jsonwebtoken::EncodingKey::from_secret(b"another secret of more than 32 bytes");
        let header = jsonwebtoken::Header::default();
        let other = jsonwebtoken::encode(&header, &Claims::new(1, &[10]).0, &other).unwrap();
        let expired = token(Claims::new(1, &[10]).with("exp", json!(now() - 3600)));
        let none = format!(
            "{}.",
            signed(json!({"alg": "none"})).rsplit_once('.').unwrap().0
        );
        let bad = BTreeMap::from([
            ("token expired", expired),
            ("token of another key", other),
            (
                "token revoked",
                token(Claims::new(1, &[10]).with("jti", json!("revoked"))),
            ),
            ("token with alg none", none),
            (
                "token with RS256 for HS256",
                signed(json!({"alg": "RS256"})),
            ),
            // Good besides: a key id must not choose a file, a URL or an empty key.
            ("token with a kid of its own", {
                let kid =
                    json!({"alg": "HS512", "kid": "../../dev/null", "jku": "http://127.0.0.1/"});
                signed(kid)
            }),
        ]);
        Self {
            attacker,
            limited: token(Claims::new(3, &[30])),
            victim: token(Claims::new(2, &[20])),
            bad,
        }
    }
}

/// The request of a case.
fn request(case: Case, rule: &Rule, route: &Route, tokens: &Tokens) -> Vec<u8> {
    let name = case.name;
    let limited = name.starts_with("limited");
    let own = if limited { "30" } else { "10" };
    let mut method = route.method.as_str();
    let mut client = Some(own.to_owned());
    let mut path_client = own;
    let mut body_client = own.to_owned();
    let mut query = String::new();
    let mut fields = String::new();
    let mut cookies = vec![];
    let mut bearer = Some(if limited {
        &tokens.limited
    } else {
        &tokens.attacker
    });
    let mut raw_body: Option<Vec<u8>> = None;
    let mut field = |name: &str, value: &str| fields.push_str(&format!("{name}: {value}\r\n"));
    match name {
        "anonymous" => bearer = None,
        "own other client" => {
            (client, path_client, body_client) = (Some("11".into()), "11", "11".into())
        }
        "limited: own other client" => {
            (client, path_client, body_client) = (Some("31".into()), "31", "31".into());
        }
        "no client" | "limited: no client" => {
            client = None;
            if !rule.reads(Place::Path) {
                body_client = String::new();
            }
        }
        "limited: cookie of own other client" => {
            client = None;
            cookies.push("camarad_client_id=31".to_owned());
        }
        "foreign client" => {
            (client, path_client, body_client) = (Some("20".into()), "20", "20".into());
        }
        "other user by cookie" => cookies.push("camarad_user_id=2".into()),
        "other user by quoted cookie" => cookies.push("camarad_user_id=\"2\"".into()),
        "other user by octal cookie" => cookies.push("camarad_user_id=\"\\062\"".into()),
        "other user by two cookies" => {
            cookies.extend(["camarad_user_id=2", "camarad_user_id=1"].map(str::to_owned));
        }
        "other user by X-User-ID" => field("X-User-ID", "2"),
        "other user by cookie, anonymous" => {
            bearer = None;
            cookies.extend(["camarad_user_id=2", "camarad_cb_token=x"].map(str::to_owned));
            client = Some("20".into());
        }
        "two client headers" => field("X-Client-ID", "20"),
        "client header with underscores" => field("X_Client_ID", "20"),
        "user header with underscores" => field("X_User_ID", "2"),
        "foreign client in the query" => (client, query) = (None, "client_id=20".into()),
        "foreign client in the query, encoded" => {
            (client, query) = (None, "client%5Fid=%32%30".into())
        }
        "foreign client behind an empty header" => {
            (client, query) = (Some(String::new()), "client_id=20".into())
        }
        "query twice" => (client, query) = (None, "client_id=10&client_id=20".into()),
        "header against query" => query = "client_id=20".into(),
        "two ids in one header" => client = Some("10,20".into()),
        "a word for an id" => client = Some("abc".into()),
        "a fraction for an id" => client = Some("20.0".into()),
        "a sign before an id" => client = Some("+20".into()),
        "underscore in an id" => client = Some("2_0".into()),
        "foreign client in the body" => body_client = "20".into(),
        "body in UTF-16" => {
            let text = r#"{"client_id": 20}"#;
            raw_body = Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        "body with a key twice" => {
            raw_body = Some(br#"{"client_id": 10, "client_id": 20}"#.to_vec())
        }
        "body with an escaped key" => {
            raw_body = Some(br#"{"client_id": 10, "client\u005fid": 20}"#.to_vec());
        }
        "body as a form" => raw_body = Some(b"client_id=20".to_vec()),
        "body with true for an id" => raw_body = Some(br#"{"client_id": true}"#.to_vec()),
        "foreign client in the path" => (client, path_client) = (None, "20"),
        "foreign client in the path, own header" => path_client = "20",
        "HEAD" => method = "HEAD",
        "token of another user's cookie" => cookies.extend([
            "camarad_user_id=2".to_owned(),
            format!("camarad_cb_token={}", tokens.victim),
        ]),
        bad if tokens.bad.contains_key(bad) => bearer = tokens.bad.get(bad),
        _ => {}
    }
    let mut path = route.path.replace("<int:client_id>", path_client);
    for variable in ["<slug>", "<ws_slug>", "<agent_slug>", "<agent_id>"] {
        path = path.replace(variable, "seo");
    }
    let segments = path
        .split('/')
        .map(|s| if s.starts_with('<') { "7" } else { s });
    let mut path = segments.collect::<Vec<_>>().join("/");
    match name {
        "path with two slashes" => (path, client) = (format!("/{path}"), Some("20".into())),
        "path with encoded letters" if path.len() > 1 => {
            let first = path.as_bytes()[1];
            (path, client) = (format!("/%{first:02x}{}", &path[2..]), Some("20".into()));
        }
        "path with dot segments" => {
            (path, client) = (format!("/static/..{path}"), Some("20".into()))
        }
        "path with an encoded slash" => {
            (path, client) = (path.replacen("/api/", "/api%2f", 1), Some("20".into()));
        }
        _ => {}
    }
    let target = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let body = raw_body.unwrap_or_else(|| match (method, body_client.as_str()) {
        ("GET" | "HEAD" | "DELETE", _) => Vec::new(),
        (_, "") => br#"{"flow": {}, "name": "n"}"#.to_vec(),
        (_, id) if rule.reads(Place::Body) => format!(r#"{{"client_id": {id}}}"#).into_bytes(),
        _ => br#"{"flow": {}, "name": "n"}"#.to_vec(),
    });
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n{fields}");
    if let Some(token) = bearer {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if let Some(client) = client {
        head.push_str(&format!("X-Client-ID: {client}\r\n"));
    }
    if !cookies.is_empty() {
        head.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
    }
    if !body.is_empty() {
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ));
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

fn attempts(tokens: &Tokens) -> Vec<Attempt> {
    let (matrix, routes) = (Matrix::built_in().unwrap(), Routes::parse(ROUTES).unwrap());
    let mut attempts = Vec::new();
    for route in routes.all() {
        let rule = matrix
            .rules()
            .iter()
            .find(|rule| rule.routes.contains(route))
            .unwrap();
        for case in CASES.iter().filter(|case| case.applies(rule, route)) {
            attempts.push(Attempt {
                case: *case,
                rule: rule.clone(),
                route: route.clone(),
                bytes: request(*case, rule, route, tokens),
            });
        }
    }
    attempts
}

/// Whose data an answer may hold.
fn may_see(attempt: &Attempt, mark: &str) -> bool {
    let bad = attempt.case.name.starts_with("token ")
        && attempt.case.name != "token of another user's cookie";
    match attempt.case.name {
        name if name.starts_with("limited") => {
            // What belongs to no client, where the rule says that it may be seen.
            let unscoped = attempt.rule.user_wide != UserWide::Deny && mark == "u3.c0";
            mark == "u3.c30" || unscoped
        }
        name if bad || name.starts_with("anonymous") || name.ends_with("anonymous") => {
            mark.starts_with("u0.")
        }
        _ => mark.starts_with("u1.") || mark == "u0.c0",
    }
}

/// What only others have.
fn foreign_words(attempt: &Attempt) -> &'static [&'static str] {
    match attempt.case.name {
        name if name.starts_with("limited") => {
            &["Contoso", "Northwind Services", "Alice", "Fabrikam Events"]
        }
        name if name.contains("anonymous") || name.starts_with("token ") => {
            &["Contoso", "Alice", "Fabrikam"]
        }
        _ => &["Contoso", "Alice", "Fabrikam"],
    }
}

/// The marks in an answer, from where the stand-in puts them: a header, or the rows themselves.
fn marks(head: &str, body: &str) -> BTreeSet<String> {
    let is_mark = |word: &&str| {
        let Some((user, client)) = word
            .strip_prefix('u')
            .and_then(|rest| rest.split_once(".c"))
        else {
            return false;
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits(user) && digits(client)
    };
    let text = format!("{head} {body}");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.filter(is_mark).map(str::to_owned).collect()
}

/// What an answer gives away, if anything.
fn leak(
    attempt: &Attempt,
    head: &str,
    body: &str,
    victims: &BTreeMap<Route, String>,
) -> Option<String> {
    let foreign = marks(head, body)
        .into_iter()
        .find(|mark| !may_see(attempt, mark));
    let word = foreign_words(attempt)
        .iter()
        .find(|word| body.contains(**word));
    let copied = victims
        .get(&attempt.route)
        .is_some_and(|theirs| !theirs.is_empty() && theirs == body);
    let what = match (foreign, word, copied) {
        (Some(mark), ..) => mark,
        (_, Some(word), _) => (*word).to_owned(),
        (.., true) => "the other user's own figures".to_owned(),
        _ => return None,
    };
    let (case, line) = (attempt.case.name, head.lines().next().unwrap_or_default());
    Some(format!("{} [{case}] {line}: {what}", attempt.route))
}

async fn ask(address: SocketAddr, attempt: &Attempt) -> (String, String) {
    let method =
        std::str::from_utf8(&attempt.bytes).map_or("GET", |text| text.split(' ').next().unwrap());
    let method = if attempt.case.name == "HEAD" {
        "HEAD"
    } else {
        method
    };
    raw_answer(address, &attempt.bytes, method).await
}

/// Makes every attempt, and tells the leaks.
async fn run(
    address: SocketAddr,
    attempts: &[Attempt],
    victims: &BTreeMap<Route, String>,
) -> Vec<(String, String)> {
    let judged = stream::iter(attempts).map(|attempt| async move {
        let (head, body) = ask(address, attempt).await;
        let leaked = leak(attempt, &head, &body, victims)?;
        Some((attempt.rule.area.clone(), leaked))
    });
    judged
        .buffer_unordered(WIDTH)
        .filter_map(|leaked| async { leaked })
        .collect()
        .await
}

/// Said past the test harness, which would keep it to itself.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn by_area<'a>(areas: impl Iterator<Item = &'a String>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    areas.for_each(|area| *counts.entry(area).or_default() += 1);
    let counts = counts.iter().map(|(area, count)| format!("{area} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// What user 2 sees on connector routes, asked so that the cache holds it.
async fn warm(
    address: SocketAddr,
    attempts: &[Attempt],
    tokens: &Tokens,
) -> BTreeMap<Route, String> {
    let mut seen = BTreeMap::new();
    for attempt in attempts {
        let figures = matches!(attempt.rule.serve, Serve::Connector(_))
            && !attempt.route.path.ends_with("accounts");
        if figures && attempt.case.name == "own client" {
            let bytes = format!(
                "GET {} HTTP/1.1\r\nHost: app\r\nConnection: close\r\nAuthorization: Bearer {}\r\nX-Client-ID: 20\r\n\r\n",
                attempt.route.path, tokens.victim
            );
            let (head, body) = raw_answer(address, bytes.as_bytes(), "GET").await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            seen.insert(attempt.route.clone(), body);
        }
    }
    assert_eq!(seen.len(), 4);
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_or_writes_as_somebody_else() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let tokens = Tokens::new();
    let attempts = attempts(&tokens);
    let revoked = json!({"token": tokens.bad["token revoked"]});
    assert_eq!(sidecar.revoke(revoked).await.status, 200);
    let mut leaks = run(sidecar.address, &attempts, &BTreeMap::new()).await;
    let cold = leaks.len();
    let victims = warm(sidecar.address, &attempts, &tokens).await;
    leaks.extend(run(sidecar.address, &attempts, &victims).await);
    let writes = writes(&legacy).await;
    let foreign: Vec<&Value> = writes.iter().filter(|write| !may_write(write)).collect();
    say(&format!(
        "\nleak suite: {} cases on 274 routes, twice (cold, warm cache): {} leaks cold, {} warm, {} foreign of {} writes\n  {}\n",
        attempts.len(),
        cold,
        leaks.len() - cold,
        foreign.len(),
        writes.len(),
        by_area(attempts.iter().map(|attempt| &attempt.rule.area)),
    ));
    let shown: Vec<&String> = leaks.iter().map(|(_, leak)| leak).take(40).collect();
    assert!(leaks.is_empty(), "{shown:#?}");
    assert!(foreign.is_empty(), "{foreign:#?}");
    assert!(writes.len() > 100, "the suite must write: {}", writes.len());
}

async fn writes(legacy: &StandIn) -> Vec<Value> {
    let url = format!("{}/judge/writes", legacy.url());
    crate::support::Ask::get(&url)
        .send()
        .await
        .json()
        .as_array()
        .unwrap()
        .clone()
}

/// User 1 in their own clients; user 3, whose token is limited, in client 30 or where no client matters.
fn may_write(write: &Value) -> bool {
    let matrix = Matrix::built_in().unwrap();
    let route = Route::parse(write["route"].as_str().unwrap()).unwrap();
    let rule = matrix
        .rules()
        .iter()
        .find(|rule| rule.routes.contains(&route))
        .unwrap();
    match (write["user"].as_u64().unwrap(), write["client"].as_u64()) {
        (1, None | Some(10 | 11)) | (3, Some(30)) => true,
        (3, None) => rule.user_wide != UserWide::Deny,
        // Logging in and out changes nobody's data.
        (0, None) => rule.auth == camarad_policies::matrix::Auth::Public,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_suite_straight_at_the_app_leaks() {
    let legacy = StandIn::start("legacy").await;
    let attempts = attempts(&Tokens::new());
    let leaks = run(legacy.address, &attempts, &BTreeMap::new()).await;
    say(&format!(
        "\nleak suite straight at the app: {} leaks\n  {}\n",
        leaks.len(),
        by_area(leaks.iter().map(|(area, _)| area)),
    ));
    for area in ["chat", "flows", "connectors", "history", "settings"] {
        assert!(
            leaks.iter().any(|(leaking, _)| leaking == area),
            "{area}: none"
        );
    }
    let writes = writes(&legacy).await;
    assert!(
        writes.iter().any(|write| write["user"] == 2),
        "nothing written as user 2"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_requests_get_what_the_app_gives() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let tokens = Tokens::new();
    let honest = ["own client", "own other client", "no client", "HEAD"];
    let mut differing = Vec::new();
    for attempt in attempts(&tokens) {
        let gateway = matches!(attempt.rule.serve, Serve::Connector(_));
        if !honest.contains(&attempt.case.name) || gateway {
            continue;
        }
        let direct = String::from_utf8(attempt.bytes.clone()).unwrap();
        let session = format!(
            "\r\nCookie: camarad_user_id=1; camarad_cb_token={}\r\n",
            tokens.attacker
        );
        let direct = Attempt {
            bytes: direct.replacen("\r\n", &session, 1).into_bytes(),
            ..attempt.clone()
        };
        let (through, _) = ask(sidecar.address, &attempt).await;
        let (straight, _) = ask(legacy.address, &direct).await;
        let status = |head: &str| head.split(' ').nth(1).unwrap_or_default().to_owned();
        if status(&through) != status(&straight) {
            let case = attempt.case.name;
            differing.push(format!(
                "{} [{case}] {} {}",
                attempt.route,
                status(&through),
                status(&straight)
            ));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_report_mode_scope_refuses_nothing_and_counts_everything() {
    let report = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (enforcing, reporting) = tokio::join!(
        Sidecar::with_stand_ins(Setup::default()),
        Sidecar::with_stand_ins(report)
    );
    let mut attempts = attempts(&Tokens::new());
    // One mind-set of routes is enough here: those of five areas, and not the hundred alike.
    attempts.retain(|attempt| {
        ["chat", "flows", "history", "settings"].contains(&&attempt.rule.area[..])
    });
    let all = camarad_policies::refusal::Refusal::ALL.iter();
    let scope: BTreeSet<&str> = all
        .filter(|r| r.is_scope())
        .map(|r| r.answer().code)
        .collect();
    let mut asked = Vec::new();
    for attempt in &attempts {
        let (enforced, _) = ask(enforcing.0.address, attempt).await;
        let (reported, _) = ask(reporting.0.address, attempt).await;
        let case = format!("{} [{}]", attempt.route, attempt.case.name);
        asked.push((
            header(&enforced, "x-request-id"),
            header(&reported, "x-request-id"),
            case,
        ));
    }
    // The records, not the answers: pages and HEADs tell no code.
    let last = asked.last().unwrap();
    tokio::join!(enforcing.0.record(&last.0), reporting.0.record(&last.1));
    let records = |sidecar: &Sidecar| -> BTreeMap<String, Value> {
        let records = sidecar.records().into_iter();
        records
            .map(|record| (record["request_id"].as_str().unwrap().to_owned(), record))
            .collect()
    };
    let (enforced, reported) = (records(&enforcing.0), records(&reporting.0));
    let code = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let (mut refused, mut unidentified) = (0, 0);
    for (enforced_id, reported_id, case) in asked {
        let (enforced, reported) = (&enforced[&enforced_id], &reported[&reported_id]);
        let was = code(enforced, "code");
        assert!(
            !scope.contains(&code(reported, "code")[..]),
            "{case}: {reported}"
        );
        if scope.contains(&was[..]) {
            assert_eq!(code(reported, "reported"), was, "{case}");
            refused += 1;
        }
        if was.starts_with("token_") && enforced["status"] == 401 {
            assert_eq!(
                (code(reported, "code"), &reported["status"]),
                (was, &json!(401)),
                "{case}"
            );
            unidentified += 1;
        }
    }
    assert!(
        refused > 100 && unidentified > 100,
        "{refused} {unidentified}"
    );
    let page = reporting.0.metrics().await;
    let reports = page
        .lines()
        .filter(|line| line.contains("decision=\"report\""));
    let told: f64 = reports
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(told as usize, refused, "everything is counted");
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}
