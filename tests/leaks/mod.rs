//! The leak suite: every route of the app, asked in every way that could reach
//! somebody else's data, through the real binary, with an app behind it that is
//! as weak as the real one and says in each answer whose data it holds.
//!
//! The cases come from the matrix. The same requests straight at the stand-in
//! have to leak, or the suite would prove nothing.

mod judge;
mod objects;
mod request;

use crate::support::{Setup, Sidecar, StandIn, raw_answer};
use camarad_policies::matrix::{CASES, Case, Matrix, ROUTES, Route, Routes, Rule, Serve, UserWide};
use futures_util::{StreamExt, stream};
use judge::leak;
use request::{Tokens, request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// Requests at once.
const WIDTH: usize = 8;

/// One request of the suite.
#[derive(Clone)]
struct Attempt {
    case: Case,
    rule: Arc<Rule>,
    route: Route,
    bytes: Vec<u8>,
}

/// Nobody is held up: the suite is refused ten thousand times by three callers.
fn unlimited() -> Setup {
    Setup::default()
        .set("SIDECAR__LIMITS__REFUSALS", "0")
        // Real figures everywhere: those of the mock are nobody's.
        .set("SIDECAR__GATEWAY__MOCK_ONLY", "")
}

/// On every route of the app.
fn attempts(tokens: &Tokens) -> Vec<Attempt> {
    attempts_on(Routes::parse(ROUTES).unwrap().all(), tokens)
}

/// On the sidecar's own routes, which the app does not have.
fn own_attempts(tokens: &Tokens) -> Vec<Attempt> {
    let (matrix, routes) = (Matrix::built_in().unwrap(), Routes::parse(ROUTES).unwrap());
    let runs = matrix
        .rules()
        .iter()
        .filter(|rule| matches!(rule.serve, Serve::Runs(_)));
    let own = runs.flat_map(|rule| rule.routes.clone());
    let own: Vec<Route> = own.filter(|route| !routes.all().contains(route)).collect();
    assert_eq!(own.len(), 3, "{own:?}");
    attempts_on(&own, tokens)
}

fn attempts_on(routes: &[Route], tokens: &Tokens) -> Vec<Attempt> {
    let matrix = Matrix::built_in().unwrap();
    let mut attempts = Vec::new();
    for route in routes {
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
) -> Vec<(Arc<str>, String)> {
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

fn by_area<'a>(areas: impl Iterator<Item = &'a Arc<str>>) -> String {
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
        if has_figures(attempt) && attempt.case.name == "own client" {
            let bytes = format!(
                "GET {} HTTP/1.1\r\nHost: app\r\nConnection: close\r\nAuthorization: Bearer {}\r\nX-Client-ID: 20\r\n\r\n",
                attempt.route.path, tokens.victim
            );
            let (head, body) = raw_answer(address, bytes.as_bytes(), "GET").await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            seen.insert(attempt.route.clone(), body);
        }
    }
    assert_eq!(seen.len(), 27);
    seen
}

/// Whether the gateway answers with figures that are somebody's own: lists of accounts are
/// the same for everybody in the stand-in, save what is cut out of them.
fn has_figures(attempt: &Attempt) -> bool {
    const OTHERS: [&str; 5] = ["accounts", "properties", "containers", "status", "property"];
    match attempt.rule.serve {
        Serve::Connector(operation) => !OTHERS.contains(&operation.short()),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_or_writes_as_somebody_else() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(unlimited()).await;
    let tokens = Tokens::new();
    let mut attempts = attempts(&tokens);
    attempts.extend(own_attempts(&tokens));
    let revoked = json!({"token": tokens.bad["token revoked"]});
    assert_eq!(sidecar.revoke(revoked).await.status, 200);
    // What deletes comes last, and once: the rest needs what is there.
    let (deleting, attempts): (Vec<_>, Vec<_>) = attempts.into_iter().partition(deletes);
    let mut leaks = run(sidecar.address, &attempts, &BTreeMap::new()).await;
    let cold = leaks.len();
    let victims = warm(sidecar.address, &attempts, &tokens).await;
    leaks.extend(run(sidecar.address, &attempts, &victims).await);
    let warm = leaks.len() - cold;
    let purged = sidecar.control("/cache/purge", json!({"all": true})).await;
    assert!(
        purged.json()["purged"].as_u64().unwrap() > 100,
        "{purged:?}"
    );
    leaks.extend(run(sidecar.address, &attempts, &victims).await);
    let after_purge = leaks.len() - cold - warm;
    leaks.extend(run(sidecar.address, &deleting, &victims).await);
    let writes = legacy.writes().await;
    let foreign: Vec<&Value> = writes.iter().filter(|write| !may_write(write)).collect();
    say(&format!(
        "\nleak suite: {} cases on 277 routes, three times (cold, warm, after a purge), then {} that delete: {} leaks cold, {} warm, {} after the purge, {} deleting, {} foreign of {} writes\n  {}\n",
        attempts.len(),
        deleting.len(),
        cold,
        warm,
        after_purge,
        leaks.len() - cold - warm - after_purge,
        foreign.len(),
        writes.len(),
        by_area(
            attempts
                .iter()
                .chain(&deleting)
                .map(|attempt| &attempt.rule.area)
        ),
    ));
    let shown: Vec<&String> = leaks.iter().map(|(_, leak)| leak).take(40).collect();
    assert!(leaks.is_empty(), "{shown:#?}");
    assert!(foreign.is_empty(), "{foreign:#?}");
    assert!(writes.len() > 100, "the suite must write: {}", writes.len());
}

/// Keys are told apart by what they hold: with one hash for all of them nobody gets
/// another's answer, cold or warm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_hash_for_all_keys_nobody_gets_anothers_answer() {
    let setup = unlimited().set("CAMARAD_TEST_KEYS_COLLIDE", "1");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let tokens = Tokens::new();
    let revoked = json!({"token": tokens.bad["token revoked"]});
    assert_eq!(sidecar.revoke(revoked).await.status, 200);
    let mut attempts = attempts(&tokens);
    attempts.retain(|attempt| attempt.rule.cache.is_some() && !deletes(attempt));
    let mut leaks = run(sidecar.address, &attempts, &BTreeMap::new()).await;
    let victims = warm(sidecar.address, &attempts, &tokens).await;
    leaks.extend(run(sidecar.address, &attempts, &victims).await);
    assert!(leaks.is_empty(), "{:#?}", &leaks[..leaks.len().min(20)]);
    assert!(attempts.len() > 1000, "{}", attempts.len());
    assert!(sidecar.metric("sidecar_cache_entries").await > 100.0);
}

/// Whether the request may take away what other attempts are about.
fn deletes(attempt: &Attempt) -> bool {
    attempt.route.method == "DELETE" || attempt.rule.cascades(&attempt.route.method)
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
    let tokens = Tokens::new();
    let mut attempts = attempts(&tokens);
    attempts.sort_by_key(deletes);
    for attempt in &mut attempts {
        let has_cookie = attempt.bytes.windows(8).any(|text| text == b"\nCookie:");
        if !has_cookie && !attempt.case.name.contains("anonymous") {
            *attempt = signed_in(attempt, &tokens);
        }
    }
    let leaks = run(legacy.address, &attempts, &BTreeMap::new()).await;
    say(&format!(
        "\nleak suite straight at the app: {} leaks\n  {}\n",
        leaks.len(),
        by_area(leaks.iter().map(|(area, _)| area)),
    ));
    for area in ["chat", "flows", "connectors", "history", "settings"] {
        assert!(
            leaks.iter().any(|(leaking, _)| **leaking == *area),
            "{area}: none"
        );
    }
    let writes = legacy.writes().await;
    assert!(
        writes.iter().any(|write| write["user"] == 2),
        "nothing written as user 2"
    );
}

/// The request with the app's own session, for the app by itself goes by cookies.
fn signed_in(attempt: &Attempt, tokens: &Tokens) -> Attempt {
    let end = attempt.bytes.iter().position(|byte| *byte == b'\r');
    let (line, rest) = attempt.bytes.split_at(end.unwrap());
    let session = format!(
        "\r\nCookie: camarad_user_id=1; camarad_cb_token={}",
        tokens.attacker
    );
    Attempt {
        bytes: [line, session.as_bytes(), rest].concat(),
        ..attempt.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_requests_get_what_the_app_gives() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(unlimited()).await;
    let tokens = Tokens::new();
    let honest = ["own client", "own other client", "no client", "HEAD"];
    let mut differing = Vec::new();
    for attempt in attempts(&tokens) {
        let gateway = matches!(attempt.rule.serve, Serve::Connector(_));
        if !honest.contains(&attempt.case.name) || gateway {
            continue;
        }
        let direct = signed_in(&attempt, &tokens);
        let (through, _) = ask(sidecar.address, &attempt).await;
        let (straight, _) = ask(legacy.address, &direct).await;
        let status = |head: &str| head.split(' ').nth(1).unwrap_or_default().to_owned();
        // A chat without a name is sent on to the conversation that it goes on with.
        let is_named = attempt
            .rule
            .guard
            .as_ref()
            .is_some_and(|guard| guard.choose)
            && status(&through) == "302";
        if status(&through) != status(&straight) && !is_named {
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
    let report = unlimited().set("SIDECAR__TENANCY__MODE", "report");
    let (enforcing, reporting) = tokio::join!(
        Sidecar::with_stand_ins(unlimited()),
        Sidecar::with_stand_ins(report)
    );
    let mut attempts = attempts(&Tokens::new());
    // One mind-set of routes is enough here: those of five areas, and not the hundred alike.
    attempts.retain(|attempt| {
        ["chat", "flows", "history", "settings"].contains(&&attempt.rule.area[..])
            // What one sidecar refuses to delete is gone behind the other.
            && !deletes(attempt)
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
    // Not those of answers that would have been cut or withheld: they were allowed.
    let is_scope = |line: &&str| {
        scope
            .iter()
            .any(|code| line.contains(&format!("reason=\"{code}\"")))
    };
    let reports = page
        .lines()
        .filter(|line| line.contains("decision=\"report\""))
        .filter(is_scope);
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
