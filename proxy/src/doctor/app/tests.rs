use super::super::report::Outcome::{self, Fail, Pass, Skip, Warn};
use super::*;

fn answer(status: u16, body: &str) -> Got {
    Ok(Answer::of(status, &[("content-type", "text/html")], body))
}

fn style(status: u16) -> Got {
    Ok(Answer::of(
        status,
        &[("content-type", "text/css; charset=utf-8")],
        "",
    ))
}

/// Every case by its outcome and a word of what to do, or of what was seen.
fn check(cases: &[(&str, Finding, Outcome, &str)]) {
    for (name, finding, outcome, word) in cases {
        assert_eq!(finding.outcome, *outcome, "{name}: {finding:?}");
        let told = format!("{} {:?}", finding.seen, finding.todo);
        assert!(told.contains(word), "{name}: {told}");
        assert_eq!(finding.todo.is_none(), *outcome == Pass, "{name}");
    }
}

#[test]
fn alive_is_what_says_that_it_is_the_app() {
    let good = r#"{"service":"camarad","status":"ok"}"#;
    let sidecar = Answer::of(200, &[("x-camarad-source", "legacy")], good);
    let alive = |got: Got| is_alive(&got, "the app at A");
    check(&[
        ("good", alive(answer(200, good)), Pass, "at A answers"),
        ("another", alive(answer(200, "<html>")), Fail, "LEGACY_URL"),
        ("broken", alive(answer(500, good)), Fail, "500"),
        ("a loop", alive(Ok(sidecar)), Fail, "is a sidecar itself"),
        (
            "down",
            alive(Err(Trouble::Refused)),
            Fail,
            "refuses the connection",
        ),
        ("late", alive(Err(Trouble::NoTime)), Skip, "used up"),
    ]);
}

#[test]
fn ready_is_what_its_database_is() {
    let db = |status, ok: &str| {
        is_ready(
            &answer(status, &format!(r#"{{"checks":{{"db":{ok}}}}}"#)),
            "the app",
        )
    };
    check(&[
        (
            "good",
            db(200, r#"{"ok":true,"error":null}"#),
            Pass,
            "database answers",
        ),
        (
            "bad",
            db(503, r#"{"ok":false,"error":"disk I/O error"}"#),
            Fail,
            "disk I/O error",
        ),
        ("bad with 200", db(200, r#"{"ok":false}"#), Fail, "DATABASE"),
        ("unknown", db(200, "{}"), Warn, "does not say"),
        (
            "no JSON",
            is_ready(&answer(503, "<p>"), "the app"),
            Fail,
            "503",
        ),
        ("absent", is_ready(&answer(404, ""), "the app"), Fail, "404"),
    ]);
}

#[test]
fn a_database_without_tables_is_not_initialised() {
    let told = |status, body: &str| is_initialised(&answer(status, body));
    check(&[
        ("good", told(200, "[]"), Pass, "tables"),
        (
            "none",
            told(500, "Server Error: no such table: users"),
            Fail,
            "initialise",
        ),
        ("another error", told(500, "oops"), Fail, "log"),
        ("protected", told(401, ""), Warn, "401"),
        (
            "down",
            is_initialised(&Err(Trouble::Refused)),
            Skip,
            "start the app",
        ),
    ]);
}

#[test]
fn the_debugger_is_on_when_either_of_its_doors_is_open() {
    let absent = || answer(404, "<h1>Not Found</h1>");
    check(&[
        (
            "off",
            debugger(&absent(), &answer(200, "<html>")),
            Pass,
            "off",
        ),
        (
            "off, signed out",
            debugger(&absent(), &answer(302, "")),
            Pass,
            "off",
        ),
        (
            "console",
            debugger(&answer(200, ""), &absent()),
            Fail,
            "DEBUG=0",
        ),
        ("style", debugger(&absent(), &style(200)), Fail, "DEBUG=0"),
        ("no style", debugger(&absent(), &style(404)), Pass, "off"),
        (
            "half",
            debugger(&answer(200, ""), &Err(Trouble::Refused)),
            Fail,
            "/console",
        ),
        (
            "unknown",
            debugger(&absent(), &Err(Trouble::Refused)),
            Skip,
            "refuses",
        ),
    ]);
}

#[test]
fn clocks_may_be_five_seconds_apart_and_not_thirty() {
    let at = |date: &str| clock("the app", Some(&Answer::of(200, &[("date", date)], "")));
    check(&[
        (
            "same",
            at("Thu, 01 Jan 1970 00:00:00 GMT"),
            Pass,
            "0 s apart",
        ),
        (
            "near",
            at("Thu, 01 Jan 1970 00:00:04 GMT"),
            Pass,
            "4 s apart",
        ),
        (
            "ahead",
            at("Thu, 01 Jan 1970 00:00:05 GMT"),
            Warn,
            "timedatectl",
        ),
        (
            "behind",
            at("Wed, 31 Dec 1969 23:59:54 GMT"),
            Warn,
            "5 s apart",
        ),
        (
            "leeway",
            at("Thu, 01 Jan 1970 00:00:29 GMT"),
            Warn,
            "29 s apart",
        ),
        ("far", at("Thu, 01 Jan 1970 00:00:30 GMT"), Fail, "tokens"),
        (
            "far behind",
            at("Wed, 31 Dec 1969 23:59:29 GMT"),
            Fail,
            "tokens",
        ),
        (
            "none",
            clock("the app", Some(&Answer::of(200, &[], ""))),
            Skip,
            "no Date",
        ),
        ("down", clock("the app", None), Skip, "does not answer"),
    ]);
}

#[test]
fn who_answers_beside_the_sidecar_is_told_apart() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let app = "{\n  \"service\": \"camarad\", \"status\": \"ok\"}\n";
    for (answer, expected) in [
        (format!("{head}\r\n{app}"), Neighbour::App),
        (
            format!("{head}X-Camarad-Source: legacy\r\n\r\n{app}"),
            Neighbour::Sidecar,
        ),
        (format!("{head}\r\n<html>"), Neighbour::Other),
        ("SSH-2.0".into(), Neighbour::Other),
        (String::new(), Neighbour::Other),
    ] {
        assert_eq!(neighbour(answer.as_bytes()), expected, "{answer}");
    }
    let at = |n: u8, who| (SocketAddr::from(([192, 0, 2, n], 5051)), who);
    let seen = |all: &[_]| reachable(5051, all);
    check(&[
        ("alone", seen(&[]), Pass, "loopback addresses only"),
        (
            "closed",
            seen(&[at(1, Neighbour::Nobody), at(2, Neighbour::Sidecar)]),
            Pass,
            "2 other",
        ),
        (
            "open",
            seen(&[at(1, Neighbour::Other), at(2, Neighbour::App)]),
            Fail,
            "192.0.2.2:5051",
        ),
        (
            "open says what to do",
            seen(&[at(2, Neighbour::App)]),
            Fail,
            "HOST=127.0.0.1",
        ),
        (
            "another",
            seen(&[at(1, Neighbour::Other)]),
            Warn,
            "192.0.2.1:5051",
        ),
    ]);
}
