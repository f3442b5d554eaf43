//! Stories of requests, as a table of sentences.

use super::*;
use crate::refusal::Refusal;
use crate::run::{Source, Status};
use proptest::prelude::*;
use serde_json::json;

fn access() -> Access {
    Access {
        time: "2026-11-26T12:00:00.5Z".into(),
        request_id: "ours".into(),
        method: "GET".into(),
        path: "/api/flows".into(),
        route: "flows.lists".into(),
        area: "flows".into(),
        status: 200,
        source: Some("legacy".into()),
        duration_ms: 12.5,
        upstream_ms: 10.0,
        bytes_sent: 99,
        allowed: true,
        ..Access::default()
    }
}

fn story(access: Access) -> String {
    let access = Some(access);
    tell(&Found {
        access,
        ..Found::default()
    })
}

#[test]
fn each_part_has_its_sentence() {
    let rows = [
        (
            access(),
            vec![
                "Request ours.",
                "It ended at 2026-11-26T12:00:00.5Z after 12.5 ms.",
                "Asked was GET /api/flows; rule flows.lists of area flows.",
                "It came, by nobody that is known, with no token that was believed.",
                "No client was decided on.",
                "It was allowed.",
                "It was answered 200 with 99 bytes, by the app.",
                "Of its 12.5 ms it waited 10 ms for others, and 2.5 ms were our own.",
            ],
        ),
        (
            Access {
                client_request_id: Some("mine".into()),
                user: Some(1),
                client: Some(10),
                token_hash: Some("abc123".into()),
                peer: Some("127.0.0.1".into()),
                client_address: Some("192.0.2.1".into()),
                forged_user: true,
                source: Some("mock".into()),
                cache: Some("miss".into()),
                fallback: Some("timeout".into()),
                run: Some("r-1".into()),
                ..access()
            },
            vec![
                "Request ours, which the caller calls mine.",
                "It came from 192.0.2.1 through 127.0.0.1, by user 1, with a token whose SHA-256 begins with abc123; the caller claimed to be another user.",
                "It was decided to be for client 10.",
                "It was answered 200 with 99 bytes, by made-up figures.",
                "The cache said miss: nothing was kept, so it was fetched.",
                "The mock answered in Coolbits' place, because of timeout: Coolbits did not answer in time.",
                "It made the run r-1.",
            ],
        ),
        (
            Access {
                allowed: false,
                code: Some("client_not_allowed".into()),
                status: 404,
                source: Some("sidecar".into()),
                ..access()
            },
            vec![
                "It was refused as client_not_allowed: The client is not one that the identity may use.",
                "It was answered 404 with 99 bytes, by the sidecar itself.",
            ],
        ),
        (
            Access {
                code: Some("legacy_timeout".into()),
                status: 504,
                origin: Some("legacy".into()),
                source: Some("sidecar".into()),
                ..access()
            },
            vec![
                "It was allowed, and then answered as legacy_timeout: The app did not answer in time.",
                "It was answered 504 with 99 bytes, by the sidecar itself; the fault is the app's.",
            ],
        ),
        (
            Access {
                code: Some("token_missing".into()),
                ..access()
            },
            vec![
                "It was allowed, in spite of token_missing: No token where the rule asks for one.",
            ],
        ),
        (
            Access {
                reported: Some("foreign_id_elsewhere".into()),
                ..access()
            },
            vec!["It was allowed; to be told was foreign_id_elsewhere."],
        ),
        (
            Access {
                allowed: false,
                path: String::new(),
                route: "none".into(),
                ..access()
            },
            vec![
                "It ended before anything was decided.",
                "Asked was GET a path that could not be read; no rule was looked for.",
            ],
        ),
    ];
    for (access, expected) in rows {
        let story = story(access);
        for line in expected {
            assert!(story.lines().any(|one| one == line), "{line}\n{story}");
        }
    }
}

#[test]
fn every_refusal_and_reason_has_words() {
    for refusal in Refusal::ALL {
        let story = story(Access {
            allowed: false,
            code: Some(refusal.answer().code.into()),
            ..access()
        });
        assert!(
            story.contains(refusal.why().trim_end_matches('.')),
            "{story}"
        );
    }
    let unknown = "this version does not know";
    for name in ["hit", "miss", "collapsed", "stale", "expired", "bypass"] {
        assert!(!words::cache(name).contains(unknown), "{name}");
    }
    assert!(words::cache("x").contains(unknown) && words::fallback("x").contains(unknown));
}

fn run() -> Run {
    Run {
        run_id: "r-1".into(),
        execution_id: Some(7),
        trace_execution_id: None,
        user: 1,
        client: 10,
        flow_id: None,
        flow_name: "Morning".into(),
        flow: json!({"nodes": [{"id": "ads", "prompt": "SECRET FLOW"}]}),
        request_hash: "h".into(),
        findings: json!([{"code": "no_account", "node_id": "ads", "message": "No account is chosen", "fix": "Choose one", "action": {"href": "/x"}}]),
        sources: vec![Source {
            node_id: "ads".into(),
            connector: "google-ads".into(),
            source: "mock".into(),
            account: None,
            gateway: None,
        }],
        started_at: "2026-11-26T12:00:00.000Z".into(),
        finished_at: Some("2026-11-26T12:00:01.000Z".into()),
        status: Status::Warning,
        replay_of: None,
        answer: Some(
            json!({"steps": [{"step": 1, "node_id": "ads", "node_label": "Ads", "type": "connector", "status": "success",
            "duration_ms": 3, "input": "SECRET IN", "output": "SECRET OUT", "data": {"source": "mock", "connector": "google-ads"}}]}),
        ),
    }
}

#[test]
fn a_run_is_told_by_its_steps_without_what_went_in_and_out() {
    let found = Found {
        access: Some(access()),
        audit: vec![Audit {
            time: "2026-11-26T12:00:00Z".into(),
            decision: Some("refuse".into()),
            code: Some("client_conflict".into()),
            client_asked: [("header".to_owned(), "10".to_owned())].into(),
            client_allowed: Some(11),
            ..Audit::default()
        }],
        run: Some(run()),
        ..Found::default()
    };
    let story = tell(&found);
    for line in [
        "Run r-1, which the app calls 7, of client 10 is warning: it began at 2026-11-26T12:00:00.000Z and ended at 2026-11-26T12:00:01.000Z; its figures are mock.",
        "Step 1, connector Ads: warning, from mock, 3 ms: No account is chosen — Choose one.",
        "Warning no_account: No account is chosen.",
        "Audit, 2026-11-26T12:00:00Z: refuse, code client_conflict, header named client 10, decided client 11.",
    ] {
        assert!(story.lines().any(|one| one == line), "{line}\n{story}");
    }
    let json = to_json(&found);
    assert_eq!(json["run"]["steps"][0]["status"], "warning");
    assert_eq!(json["request"]["request_id"], "ours");
    assert_eq!(json["audit"][0]["code"], "client_conflict");
    assert!(!format!("{story}{json}").contains("SECRET"));
    assert_eq!(
        to_json(&Found::default()),
        json!({"request": null, "audit": [], "log": [], "run": null})
    );
    assert!(tell(&Found::default()).contains("has no line"));
}

proptest! {
    #[test]
    fn no_text_of_a_log_makes_a_line_or_moves_the_cursor(text in "\\PC{0,10}[\n\r\u{1b}\u{2028}a-z]{0,10}") {
        let lines = story(access()).lines().count();
        let path = format!("/{text}");
        let story = story(Access { path, method: text, ..access() });
        prop_assert_eq!(story.lines().count(), lines);
        let odd = ['\r', '\u{1b}', '\u{2028}'];
        prop_assert!(!story.contains(odd));
    }
}
