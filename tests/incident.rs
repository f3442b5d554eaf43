//! `incident` and `trace`: what the logs say afterwards is what was done to the sidecar.

mod hostile;
mod trace;

use crate::support::{Setup, Sidecar, StandIn, alice, bob, command, eventually, fault};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

const EXECUTE: &str = "POST /api/orchestrator/execute";

/// A flow that runs, with one node that nothing leads to.
fn flow_with_a_warning() -> Value {
    json!({"name": "Morning", "flow": {
        "nodes": [
            {"id": "start", "type": "trigger", "label": "Start", "config": {"trigger_type": "schedule"}},
            {"id": "think", "type": "agent", "slug": "seo", "label": "Analyst"},
            {"id": "far", "type": "agent", "slug": "seo", "label": "Far"},
            {"id": "say", "type": "output", "label": "Mail", "config": {"output_template": "{{last_agent_response}}"}},
        ],
        "connections": [{"from": "start", "to": "think"}, {"from": "think", "to": "say"}],
    }})
}

/// A sidecar with which things went wrong, and what the test did to it.
struct Incident {
    sidecar: Sidecar,
    _coolbits: StandIn,
    _legacy: StandIn,
    logs: tempfile::TempDir,
    /// Requests that were answered by the app's 500.
    failed: Vec<String>,
    /// Requests with the mock in Coolbits' place, with the reason.
    fallbacks: Vec<(String, String)>,
    refused: Vec<String>,
    run: Value,
    run_request: String,
    /// All requests.
    count: usize,
}

async fn incident() -> Incident {
    let setup = Setup::default().set("SIDECAR__BREAKER__CONSECUTIVE", 2);
    let (sidecar, mut coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let id = |got: &crate::support::Got| got.header("x-request-id").to_owned();
    let mut count = 0;
    for target in ["accounts", "keywords"] {
        let got = sidecar.ads(&alice(), "10", target).await;
        assert_eq!(got.status, 200);
        count += 1;
    }
    let run = sidecar
        .route(&alice(), "10", EXECUTE, &flow_with_a_warning().to_string())
        .await;
    let run_request = id(&run);
    assert_eq!(run.json()["run_status"], "warning", "{run:?}");
    count += 1;

    let mut failing = fault("status");
    failing["status"] = json!(500);
    failing["only"] = json!("/api/flows");
    legacy.faults(failing).await;
    let mut failed = Vec::new();
    for _ in 0..8 {
        let got = sidecar.route(&alice(), "10", "GET /api/flows", "").await;
        assert_eq!(got.status, 500, "{got:?}");
        failed.push(id(&got));
        count += 1;
    }
    let is_raised = || sidecar.audit().iter().any(|line| line["state"] == "raised");
    eventually("a burst is told", || async { is_raised() }).await;
    legacy.faults(fault("none")).await;

    coolbits.stop().await;
    let mut fallbacks = Vec::new();
    for n in 0..4 {
        let target = format!("campaigns?type={n}");
        let got = sidecar.ads(&alice(), "10", &target).await;
        let told = got.json();
        assert_eq!(told["source"], "mock", "{told}");
        let reason = told["gateway"]["error"].as_str().unwrap().to_owned();
        fallbacks.push((id(&got), reason));
        count += 1;
    }
    sidecar.says("the circuit breaker changed").await;
    let mut refused = Vec::new();
    for (token, code) in [
        (bob(), "client_not_allowed"),
        (bob(), "client_not_allowed"),
        ("no-token".to_owned(), "token_malformed"),
    ] {
        let got = sidecar.ads(&token, "10", "campaigns").await;
        assert_eq!(got.code(), code);
        refused.push(id(&got));
        count += 1;
    }
    sidecar.switch(false).await;
    sidecar.says("the gateway was switched").await;
    let reloaded = sidecar.control("/config/reload", json!({})).await;
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    sidecar.says("the settings are as they were").await;
    eventually("all is written", || async {
        sidecar.records().len() == count && sidecar.audit().len() > refused.len()
    })
    .await;
    let logs = tempfile::tempdir().unwrap();
    let said = sidecar.everything_told();
    let said = said.lines().filter(|line| line.contains("\"timestamp\""));
    let said: String = said.map(|line| format!("{line}\n")).collect();
    std::fs::write(logs.path().join("sidecar.log"), said).unwrap();
    Incident {
        run: run.json(),
        sidecar,
        _coolbits: coolbits,
        _legacy: legacy,
        logs,
        failed,
        fallbacks,
        refused,
        run_request,
        count,
    }
}

impl Incident {
    fn access_log(&self) -> PathBuf {
        self.sidecar.state_dir().with_file_name("access.log")
    }

    /// The real command, with the logs of this sidecar.
    async fn command(&self, access_log: &Path, args: &[&str]) -> Output {
        command()
            .args(args)
            .arg("--state-dir")
            .arg(self.sidecar.state_dir())
            .arg("--access-log")
            .arg(access_log)
            .arg("--app-log")
            .arg(self.logs.path().join("sidecar.log"))
            .output()
            .await
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn packed(path: &Path, text: &str) {
    let mut file = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

/// The line of a section that begins so.
fn line<'a>(section: &'a str, begin: &str) -> &'a str {
    let found = section
        .lines()
        .find(|line| line.trim_start().starts_with(begin));
    found.unwrap_or_else(|| panic!("no {begin} in\n{section}"))
}

/// That a section says what was done.
fn assert_told(incident: &Incident, section: &str) {
    let begins = |begin: &str, rest: &str| {
        let line = line(section, begin);
        assert!(line.contains(rest), "{begin}: {rest}\n{section}");
    };
    begins(
        "- **Requests**",
        &format!(": {} (0 before); p50 ", incident.count),
    );
    begins("- **5xx**", ": 8 (0 before), told to 1 user");
    begins("- `legacy`:", "`legacy`: 8, ");
    begins("- `flows.", "(500): 8, ");
    begins("- **Fallbacks**", ": 4 answers");
    let reasons: std::collections::BTreeSet<_> = incident
        .fallbacks
        .iter()
        .map(|(_, reason)| reason)
        .collect();
    for reason in reasons {
        let count = incident.fallbacks.iter().filter(|(_, one)| one == reason);
        begins(
            &format!("- `google-ads.campaigns` {reason}:"),
            &format!(": {}, ", count.count()),
        );
    }
    assert!(section.contains(" closed → open\n"), "{section}");
    assert!(section.contains(" legacy raised, "), "{section}");
    begins(
        "- **Refusals**",
        ": 3, of 1 user and 1 address: `client_not_allowed` 2, `token_malformed` 1",
    );
    assert!(
        section.contains("the gateway was switched, off"),
        "{section}"
    );
    assert!(section.contains(" listening\n"), "{section}");
    assert!(
        section.contains("the settings are as they were, asked by: POST /config/reload")
            && section.contains(", start\n"),
        "{section}"
    );
    begins("- **Runs hit**", ": warning 1");
    let run = incident.run["run_id"].as_str().unwrap();
    begins(&format!("- `{run}`"), " warning, begun ");
    let ids = line(section, "- **Some of the 5xx**");
    assert!(incident.failed.iter().all(|id| ids.contains(id)), "{ids}");
    assert!(section.contains("- **Slowest routes**"), "{section}");
    for secret in [alice(), bob(), "127.0.0.1".into(), "user 1".into()] {
        assert!(!section.contains(&secret), "{section}");
    }
}

#[tokio::test]
async fn an_incident_is_written_down_as_it_was_and_again_below_what_people_wrote() {
    let incident = incident().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let theirs = b"# Next steps\r\n\r\n1. Sleep. \xff\r\n\r\n## Later\r\n";
    std::fs::write(dir.path().join("NEXT_STEPS.md"), theirs).unwrap();
    let args = [
        "incident",
        "--title",
        "Runs *fail*",
        "--since",
        "20m",
        "--dir",
        folder,
    ];
    let output = incident.command(&incident.access_log(), &args).await;
    assert!(output.status.success(), "{output:?}");
    let files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("STATUS_"))
        .collect();
    let [name] = &files[..] else {
        panic!("{files:?}")
    };
    let day = &name["STATUS_".len()..name.len() - ".md".len()];
    let status = dir.path().join(name);
    let first = text(&std::fs::read(&status).unwrap());
    let begin = format!("# Status, {day}\n\n## Incident: Runs \\*fail\\* (");
    assert!(first.starts_with(&begin), "{first}");
    assert!(text(&output.stdout).contains(&first[first.find("## ").unwrap()..]));
    assert_told(&incident, &first);
    let read = line(&first, "- access log:");
    assert!(read.contains("`access.log`; "), "{read}");
    assert!(read.contains("; it begins at 20"), "{read}");
    let next = std::fs::read(dir.path().join("NEXT_STEPS.md")).unwrap();
    let follow_up = format!(
        "\n## Follow-ups of incidents\n\n- [ ] {day} Runs \\*fail\\*: find the cause and what would have shown it earlier ({name})\n"
    );
    assert_eq!(next, [&theirs[..], follow_up.as_bytes()].concat());

    // Again, once a person has written below, from files that were rotated and one broken line.
    let written = format!("{first}\nWe think: \u{1f980} the disk.");
    std::fs::write(&status, &written).unwrap();
    let rotated = incident.logs.path().join("access.log");
    let all = std::fs::read_to_string(incident.access_log()).unwrap();
    let lines: Vec<&str> = all.split_inclusive('\n').collect();
    let (old, rest) = lines.split_at(lines.len() / 3);
    let (older, newer) = rest.split_at(rest.len() / 2);
    packed(&incident.logs.path().join("access.log.2.gz"), &old.concat());
    std::fs::write(incident.logs.path().join("access.log.1"), older.concat()).unwrap();
    std::fs::write(&rotated, format!("torn {{\n{}", newer.concat())).unwrap();
    let output = incident.command(&rotated, &args).await;
    assert!(output.status.success(), "{output:?}");
    let second = text(&std::fs::read(&status).unwrap());
    let added = second.strip_prefix(&written).unwrap();
    assert!(
        added.starts_with("\n\n## Incident: Runs \\*fail\\* (again, "),
        "{added}"
    );
    assert_told(&incident, added);
    let read = line(added, "- access log:");
    let expected = format!(
        "`access.log`, `access.log.1`, `access.log.2.gz`; {} lines, 1 of them could not be read",
        lines.len() + 1
    );
    assert!(read.contains(&expected), "{read}");
    assert!(text(&output.stdout).contains("has its follow-up already"));
    assert_eq!(
        std::fs::read(dir.path().join("NEXT_STEPS.md")).unwrap(),
        next
    );

    // A window before everything, and a log that is none.
    let args = [
        "incident",
        "--title",
        "Nothing",
        "--until",
        "2026-01-31T12:00:00Z",
        "--dir",
        folder,
    ];
    let output = incident.command(Path::new("stdout"), &args).await;
    assert!(output.status.success(), "{output:?}");
    let nothing = std::fs::read_to_string(dir.path().join("STATUS_2026-01-31.md")).unwrap();
    for told in [
        "## Incident: Nothing (11:30–12:00 UTC)",
        "- **Requests, 5xx, fallbacks**: not known, without the access log",
        "  - access log: not read; it goes to stdout",
        "- **Runs hit**: none",
    ] {
        assert!(nothing.contains(told), "{told}\n{nothing}");
    }
    let output = incident.command(&rotated, &args).await;
    assert!(output.status.success(), "{output:?}");
    let told = text(&output.stdout);
    assert!(
        told.contains("- **Requests**: none ended in this window (0 before)\n"),
        "{told}"
    );
}

#[tokio::test]
async fn what_cannot_be_written_down_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let long = "x".repeat(121);
    let rows: [(&[&str], &str); 9] = [
        (&[], "--title"),
        (&["--title", " \n"], "expected a few words"),
        (
            &["--title", &long],
            "it has 121 characters; expected 120 at most",
        ),
        (&["--title", "x", "--since", "8d"], "from 1s to 7d"),
        (&["--title", "x", "--since", "soon"], "from 1s to 7d"),
        (
            &["--title", "x", "--until", "noon"],
            "expected \"now\", or a time such as",
        ),
        (
            &["--title", "x", "--until", "9999-01-01T00:00:00Z"],
            "it lies ahead",
        ),
        (
            &["--title", "x", "--dir", "/dev/null"],
            "expected a folder that is there",
        ),
        (
            &["--title", "x", "--dir", "/no/such"],
            "expected a folder that is there",
        ),
    ];
    for (args, words) in rows {
        let output = command()
            .arg("incident")
            .args(["--state-dir", folder, "--access-log", "off"])
            .args(args)
            .output()
            .await
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    // Settings that cannot be used are told, as where the logs are stands there.
    let output = command()
        .args(["incident", "--title", "x", "--dir", folder])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no issuer"), "{output:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
