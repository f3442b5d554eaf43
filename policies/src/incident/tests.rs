//! From lines to a section, as tables.

use super::*;
use crate::log_lines::{Access, Application, Audit, millis, read, time_of};
use crate::run::{Run, Status};
use proptest::prelude::*;
use serde_json::{Value, json};

fn window() -> Window {
    Window {
        from_ms: millis("2026-11-26T12:00:00Z").unwrap(),
        to_ms: millis("2026-11-26T12:30:00Z").unwrap(),
    }
}

fn access(tally: &mut Tally, line: Value) {
    let line = line.to_string();
    let at = time_of(line.as_bytes()).unwrap();
    tally.access(&read::<Access>(line.as_bytes()).unwrap(), at);
}

fn audit(tally: &mut Tally, line: Value) {
    let line = line.to_string();
    let at = time_of(line.as_bytes()).unwrap();
    tally.audit(&read::<Audit>(line.as_bytes()).unwrap(), at);
}

fn application(tally: &mut Tally, line: Value) {
    let line = line.to_string();
    let at = time_of(line.as_bytes()).unwrap();
    tally.application(&read::<Application>(line.as_bytes()).unwrap(), at);
}

fn all_read() -> Vec<Seen> {
    let of = |log, file: &str| Seen {
        log,
        files: vec![file.to_owned()],
        lines: 9,
        ..Seen::default()
    };
    vec![
        of(ACCESS, "access.log"),
        of(AUDIT, "audit.jsonl"),
        of(APPLICATION, "sidecar.log"),
        of(LEDGER, "runs.db"),
        of(SNAPSHOTS, "snapshots/index.jsonl"),
    ]
}

fn told(tally: &Tally) -> String {
    section(
        &Title::parse("Runs fail").unwrap(),
        false,
        tally,
        &all_read(),
    )
}

fn run(id: &str, status: Status, began: &str, ended: Option<&str>) -> Run {
    Run {
        run_id: id.into(),
        execution_id: None,
        trace_execution_id: None,
        user: 1,
        client: 10,
        flow_id: None,
        flow_name: String::new(),
        flow: Value::Null,
        request_hash: String::new(),
        findings: Value::Null,
        sources: Vec::new(),
        started_at: began.into(),
        finished_at: ended.map(str::to_owned),
        status,
        replay_of: None,
        answer: None,
    }
}

#[test]
fn an_incident_is_told_with_its_facts_and_nobodys_ids() {
    let mut tally = Tally::new(window());
    for (time, status, ms) in [
        ("11:30:00", 200, 1.0),
        ("11:59:59.999", 502, 3.0),
        ("11:29:59", 500, 9e3),
    ] {
        access(
            &mut tally,
            json!({"time": format!("2026-11-26T{time}Z"), "route": "flows.lists", "status": status, "duration_ms": ms, "allowed": true}),
        );
    }
    for n in 0..12 {
        access(
            &mut tally,
            json!({
                "time": format!("2026-11-26T12:{n:02}:00.5Z"), "request_id": format!("id-{n}"), "route": "flows.lists",
                "status": if n == 3 { 504 } else { 502 }, "origin": "legacy", "duration_ms": f64::from(n), "allowed": true,
                "user": 7_654_321 + n % 2, "client": 99_887, "client_address": "192.0.2.77", "token_hash": "aabbccdd",
            }),
        );
    }
    access(
        &mut tally,
        json!({"time": "2026-11-26T12:30:00Z", "request_id": "late", "route": "none", "status": 505, "duration_ms": 0.1, "allowed": true}),
    );
    access(
        &mut tally,
        json!({"time": "2026-11-26T12:30:00.001Z", "route": "late", "status": 500, "origin": "sidecar"}),
    );
    for (second, reason) in [(1, "timeout"), (9, "timeout"), (10, "breaker_open")] {
        access(
            &mut tally,
            json!({"time": format!("2026-11-26T12:01:{second:02}Z"), "route": "ga4.overview", "status": 200, "duration_ms": 2000, "allowed": true, "fallback": reason}),
        );
    }
    for (user, address, code) in [
        (1, "192.0.2.1", "client_not_allowed"),
        (1, "192.0.2.2", "client_not_allowed"),
        (2, "192.0.2.2", "rate_limited"),
    ] {
        audit(
            &mut tally,
            json!({"time": "2026-11-26T12:05:00Z", "decision": "refuse", "code": code, "user": user, "client_address": address}),
        );
    }
    audit(
        &mut tally,
        json!({"time": "2026-11-26T12:05:00Z", "decision": "report", "code": "client_required"}),
    );
    for (minute, state) in [(4, "raised"), (20, "cleared")] {
        audit(
            &mut tally,
            json!({"time": format!("2026-11-26T12:{minute:02}:00Z"), "event": "burst_5xx", "origin": "legacy", "state": state, "failed": 8, "answers": 10, "window_seconds": 60}),
        );
    }
    audit(
        &mut tally,
        json!({"time": "2026-11-26T12:21:00Z", "event": "settings_reloaded", "by": "secret-of-tomorrow"}),
    );
    for (to, from, minute) in [("open", "closed", 6), ("half_open", "open", 7)] {
        application(
            &mut tally,
            json!({"timestamp": format!("2026-11-26T12:{minute:02}:00Z"), "level": "WARN", "message": "the circuit breaker changed", "from": from, "to": to}),
        );
    }
    application(
        &mut tally,
        json!({"timestamp": "2026-11-26T12:08:00Z", "level": "INFO", "message": "the gateway was switched", "enabled": false, "mock_only": "stripe.overview"}),
    );
    application(
        &mut tally,
        json!({"timestamp": "2026-11-26T12:08:00Z", "level": "ERROR", "message": "a burst of 5xx"}),
    );
    for (second, level, message, members) in [
        (
            1,
            "INFO",
            "other settings are in force",
            json!({"keys": "cache.ttl,tenancy.mode", "generation": 2}),
        ),
        (
            2,
            "INFO",
            "the settings are as they were",
            json!({"keys": ""}),
        ),
        (
            3,
            "ERROR",
            "the settings in force stay",
            json!({"problem": "sidecar.toml: gateway.accounts: client 99887: none"}),
        ),
        (
            4,
            "ERROR",
            "the settings in force stay",
            json!({"problem": "the key set of 99887: no answer"}),
        ),
        (
            5,
            "ERROR",
            "the settings in force stay",
            json!({"problem": "server.listen: 99887"}),
        ),
    ] {
        let mut line = json!({"timestamp": format!("2026-11-26T12:22:0{second}Z"), "level": level, "message": message, "asked_by": "SIGHUP"});
        line.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        application(&mut tally, line);
    }
    tally.run(&run(
        "r-1",
        Status::Error,
        "2026-11-26T12:09:00.000Z",
        Some("2026-11-26T12:09:01.000Z"),
    ));
    tally.run(&run(
        "r-2",
        Status::Interrupted,
        "2026-11-26T11:58:00.000Z",
        Some("2026-11-26T12:40:00.000Z"),
    ));
    tally.run(&run(
        "r-3",
        Status::Success,
        "2026-11-26T12:09:00.000Z",
        None,
    ));
    tally.run(&run(
        "r-4",
        Status::Warning,
        "2026-11-26T11:50:00.000Z",
        Some("2026-11-26T11:59:59.000Z"),
    ));

    let text = told(&tally);
    for line in [
        "## Incident: Runs fail (12:00–12:30 UTC)",
        "From 2026-11-26 12:00:00 UTC to 2026-11-26 12:30:00 UTC (30 min), and as long before that for comparison. A request stands at the time when it ended.",
        "- **Requests**: 16 (2 before); p50 6 ms (1 ms before), p99 2000 ms (3 ms before)",
        "- **5xx**: 13 (1 before), told to 2 users",
        "  - `legacy`: 12, 12:00:00 to 12:11:00",
        "    - `flows.lists` (502 × 11, 504 × 1): 12, 12:00:00 to 12:11:00",
        "  - `caller`: 1, 12:30:00",
        "    - `none` (505): 1, 12:30:00",
        "- **Fallbacks**: 3 answers from the mock in Coolbits' place",
        "  - `ga4.overview` timeout: 2, 12:01:01 to 12:01:09",
        "  - `ga4.overview` breaker_open: 1, 12:01:10",
        "- **Breaker**:",
        "  - 12:06:00 closed → open",
        "  - 12:07:00 open → half_open",
        "- **Bursts**:",
        "  - 12:04:00 legacy raised, 8 of 10 failed in 60 s",
        "  - 12:20:00 legacy cleared, 8 of 10 failed in 60 s",
        "- **Refusals**: 3, of 2 users and 2 addresses: `client_not_allowed` 2, `rate_limited` 1",
        "  - 12:08:00 the gateway was switched, off, mock only: stripe.overview",
        "  - 12:21:00 settings_reloaded",
        "  - 12:22:01 other settings are in force, keys: cache.ttl,tenancy.mode, asked by: SIGHUP",
        "  - 12:22:02 the settings are as they were, asked by: SIGHUP",
        "  - 12:22:03 the settings in force stay, problem with: gateway.accounts, asked by: SIGHUP",
        "  - 12:22:04 the settings in force stay, asked by: SIGHUP",
        "  - 12:22:05 the settings in force stay, problem with: server.listen, asked by: SIGHUP",
        "- **The application's log**: errors: 4, 12:08:00 to 12:22:05; warnings: 2, 12:06:00 to 12:07:00",
        "- **Runs hit**: error 1, interrupted 1",
        "  - `r-2` interrupted, begun 11:58:00",
        "  - `r-1` error, begun 12:09:00",
        "  - `ga4.overview` (3): p50 2000 ms (none before), p99 2000 ms (none before)",
        "  - access log: `access.log`; 9 lines",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let ids = text
        .lines()
        .find(|line| line.contains("camarad-sidecar trace"))
        .unwrap();
    // One of each kind first, then more of what there is, ten in all.
    assert!(
        ids.contains("`late`")
            && ids.contains("`id-0`")
            && ids.contains("`id-8`")
            && !ids.contains("id-9"),
        "{ids}"
    );
    for secret in [
        "7654321",
        "7654322",
        "99887",
        "192.0.2",
        "aabbccdd",
        "of-tomorrow",
    ] {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
}

#[test]
fn nothing_is_told_as_nothing_and_what_was_not_looked_for_as_unknown() {
    let told = |seen: &[Seen]| {
        let title = Title::parse("x").unwrap();
        section(&title, true, &Tally::new(window()), seen)
    };
    // Its files are older: there is nothing of this time, and that is known.
    let mut older = all_read();
    older[1].files.clear();
    older[1].older = 2;
    let mut no_audit = all_read();
    no_audit[1].files.clear();
    let mut none = all_read();
    none.iter_mut().for_each(|one| one.files.clear());
    none[0].problems = vec!["it goes to stdout".to_owned()];
    let known = [
        "## Incident: x (again, 12:00–12:30 UTC)",
        "- **Requests**: none ended in this window (0 before)",
        "- **5xx**: none (0 before)",
        "- **Fallbacks**: none",
        "- **Breaker**: did not change",
        "- **Changes, starts and stops**: none",
        "- **Configurations applied**: none",
        "- **The application's log**: errors: none; warnings: none",
        "- **Runs hit**: none",
    ];
    let rows: [(&[Seen], &[&str]); 5] = [
        (&all_read(), &known),
        (&all_read(), &["- **Bursts**: none", "- **Refusals**: none"]),
        (
            &older,
            &[
                "- **Bursts**: none",
                "- **Refusals**: none",
                "  - audit log: all 2 files end before this time",
            ],
        ),
        (
            &no_audit,
            &[
                "- **Bursts**: not known, without the audit log",
                "- **Refusals**: none (by the access log, which has only those refused before they went on)",
                "  - audit log: not read",
            ],
        ),
        (
            &none,
            &[
                "- **Requests, 5xx, fallbacks**: not known, without the access log",
                "- **Breaker**: not known, without the application's log",
                "- **Bursts**: not known, without the audit log",
                "- **Refusals**: not known, without the audit log",
                "- **Changes, starts and stops**: not known, without the application's log",
                "- **Configurations applied**: not known, without the snapshots",
                "- **The application's log**: not read",
                "- **Runs hit**: not known, without the run ledger",
                "  - access log: not read; it goes to stdout",
            ],
        ),
    ];
    for (seen, lines) in rows {
        let text = told(seen);
        for line in lines {
            assert!(text.lines().any(|one| one == *line), "{line}\n{text}");
        }
        assert!(!text.contains("Slowest") && !text.contains("camarad-sidecar trace"));
    }
}

#[test]
fn a_window_over_midnight_says_which_day() {
    let window = Window {
        from_ms: millis("2026-11-25T23:40:00Z").unwrap(),
        to_ms: millis("2026-11-26T00:10:30Z").unwrap(),
    };
    let mut tally = Tally::new(window);
    access(
        &mut tally,
        json!({"time": "2026-11-25T23:50:00Z", "route": "r", "status": 500, "origin": "legacy"}),
    );
    let text = told(&tally);
    assert!(
        text.starts_with("## Incident: Runs fail (2026-11-25 23:40–00:10 UTC)\n"),
        "{text}"
    );
    assert!(
        text.contains("`legacy`: 1, 2026-11-25 23:50:00\n"),
        "{text}"
    );
    assert!(text.contains("(30 min 30 s)"), "{text}");
    assert_eq!(
        follow_up(&Title::parse("Runs fail").unwrap(), window),
        "- [ ] 2026-11-26 Runs fail: find the cause and what would have shown it earlier (STATUS_2026-11-26.md)"
    );
    assert_eq!(window.before().to_ms + 1, window.from_ms);
}

#[test]
fn a_strange_log_is_bounded() {
    let mut tally = Tally::new(window());
    for n in 0..2000 {
        let time = format!("2026-11-26T12:{:02}:{:02}Z", n / 60 % 30, n % 60);
        access(
            &mut tally,
            json!({"time": time, "request_id": format!("{n}"), "route": format!("made up {n}"), "status": 500, "origin": format!("o{n}")}),
        );
        audit(&mut tally, json!({"time": time, "event": format!("e{n}")}));
    }
    let text = told(&tally);
    assert!(text.contains("`(others)`: 1500") && text.contains("- **5xx**: 2000"));
    assert!(
        text.contains("  - and 1950 more") && text.lines().count() < 200,
        "{text}"
    );
    // The earliest stay.
    assert!(text.contains("  - 12:00:00 e0\n"), "{text}");
}

proptest! {
    #[test]
    fn what_is_told_twice_is_added_twice_and_what_people_wrote_stays(
        file in prop::collection::vec(any::<u8>(), 0..200),
        title in "[ -~]{0,20}x",
        count in 0_u64..20,
    ) {
        let title = Title::parse(&title).unwrap();
        let mut tally = Tally::new(window());
        for n in 0..count {
            access(&mut tally, json!({"time": format!("2026-11-26T12:{n:02}:00Z"), "route": "r", "status": 500, "origin": "legacy"}));
        }
        let add = |file: &[u8]| {
            let told = section(&title, has_section(file, &title), &tally, &all_read());
            add_section(Some(file), "2026-11-26", &told)
        };
        let once = add(&file);
        prop_assert!(once.starts_with(&file) && has_section(&once, &title));
        let twice = add(&once);
        prop_assert!(twice.starts_with(&once));
        let added = String::from_utf8(twice[once.len()..].to_vec()).unwrap();
        let begin = format!("\n## Incident: {} (again, ", title.as_markdown());
        prop_assert!(added.starts_with(&begin), "{}", added);

        let line = follow_up(&title, window());
        if let Some(next) = add_follow_up(Some(&file), &line) {
            let rest = next.strip_prefix(&file[..]);
            prop_assert!(rest.is_some_and(|rest| String::from_utf8_lossy(rest).contains(&line)));
            prop_assert_eq!(add_follow_up(Some(&next), &line), None);
        }
    }

    #[test]
    fn no_line_of_a_log_makes_a_line_of_its_own(
        route in "\\PC{0,20}|[`\n#*<\\[\r\u{2028}]{0,10}",
        code in "[`\n#*a-z\u{1b}]{0,12}",
        event in "[`\n# a-z]{0,12}",
        id in "[`\n#a-z]{0,12}",
    ) {
        let plain = {
            let mut tally = Tally::new(window());
            access(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "request_id": "i", "route": "r", "status": 500, "origin": "o", "fallback": "f"}));
            audit(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "decision": "refuse", "code": "c"}));
            audit(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "event": "e"}));
            told(&tally).lines().count()
        };
        let mut tally = Tally::new(window());
        access(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "request_id": format!("i{id}"), "route": route, "status": 500, "origin": code, "fallback": code}));
        audit(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "decision": "refuse", "code": code}));
        audit(&mut tally, json!({"time": "2026-11-26T12:05:00Z", "event": event}));
        let text = told(&tally);
        prop_assert_eq!(text.lines().count(), plain);
        let odd = ['\r', '\u{2028}', '\u{1b}'];
        prop_assert!(!text.contains(odd));
        prop_assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 1);
    }
}
