use super::*;

fn report(found: &[(Gate, Finding)]) -> Report {
    let checks = found.iter().enumerate();
    let checks = checks.map(|(n, (gate, finding))| finding.clone().of(*gate, format!("n{n}")));
    Report::new(
        checks.collect(),
        "2026-11-25T10:00:00Z".into(),
        &["hush-hush-hush-hush", "a", ""],
    )
}

fn good() -> Finding {
    Finding::pass("all is well")
}

#[test]
fn a_gate_is_as_good_as_its_worst_check() {
    let warn = || Finding::warn("w", "d");
    let fail = || Finding::fail("f", "d");
    let skip = || Finding::skip("s", "d");
    for (found, gate, failed) in [
        (vec![good(), good()], Outcome::Pass, false),
        (vec![good(), skip()], Outcome::Warn, false),
        (vec![], Outcome::Warn, false),
        (vec![warn(), skip(), good()], Outcome::Warn, false),
        (vec![good(), fail(), warn()], Outcome::Fail, true),
    ] {
        let found: Vec<_> = found.into_iter().map(|f| (Gate::B, f)).collect();
        let report = report(&found);
        assert_eq!(report.gates[&Gate::B], gate, "{found:?}");
        assert_eq!(report.failed(), failed, "{found:?}");
    }
}

#[test]
fn text_is_grouped_by_gate_and_says_what_to_do() {
    let found = [
        (
            Gate::C,
            Finding::warn("figures are made up", "switch it on"),
        ),
        (Gate::A, good()),
    ];
    let mut report = report(&found);
    report.checks[0] = report.checks[0]
        .clone()
        .took(Some(Duration::from_millis(12)));
    let expected = format!(
        "camarad-sidecar {} doctor, 2026-11-25T10:00:00Z\n\n\
         A  the sidecar stands in front and serves: PASS\n  PASS  n1  all is well (12 ms)\n\n\
         B  identities and clients are enforced: WARN\n\n\
         C  real data from Coolbits: WARN\n  WARN  n0  figures are made up\n            do: switch it on\n\n\
         1 passed, 1 to know about, 0 failed, 0 not looked at",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(report.text(), expected);
}

#[test]
fn json_has_the_documented_members() {
    let mut report = report(&[(Gate::A, good()), (Gate::B, Finding::fail("bad", "repair"))]);
    report.checks[1] = report.checks[1]
        .clone()
        .took(Some(Duration::from_millis(7)));
    let value: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let expected = serde_json::json!({
        "gates": {"A": "pass", "B": "fail", "C": "warn"},
        "checks": [
            {"gate": "A", "name": "n0", "outcome": "pass", "seen": "all is well", "do": null},
            {"gate": "B", "name": "n1", "outcome": "fail", "seen": "bad", "do": "repair", "took_ms": 7},
        ],
        "version": env!("CARGO_PKG_VERSION"),
        "checked_at": "2026-11-25T10:00:00Z",
    });
    assert_eq!(value, expected);
}

#[test]
fn a_secret_that_another_server_repeats_is_not_told() {
    let found = [(
        Gate::A,
        Finding::fail("it said hush-hush-hush-hush", "not hush-hush-hush-hush"),
    )];
    let report = report(&found);
    for told in [report.text(), report.json()] {
        assert!(
            !told.contains("hush") && told.contains("it said ***"),
            "{told}"
        );
    }
}

#[test]
fn words_of_others_cannot_write_to_the_terminal() {
    assert_eq!(plain("a\u{1b}[2Jb\nc"), "a [2Jb c");
    assert_eq!(plain(&"x".repeat(500)).len(), LONGEST);
}
