//! Names of files and lines of logs that would write to an operator's terminal, or forge what
//! is told.

use super::text;
use crate::support::command;
use serde_json::{Value, json};
use std::path::Path;

/// An escape sequence, C1, a line turned around, marks of Markdown, and a line of its own.
const HOSTILE: &str = "x\u{1b}[2J\u{9b}2J\u{202e}|`<b>\n## Forged\n";

/// Logs in a folder and under a name that are hostile.
fn logs() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(HOSTILE);
    std::fs::create_dir(&folder).unwrap();
    let access = folder.join(format!("{HOSTILE}access.log"));
    let line = json!({
        "time": "2026-01-31T12:00:00Z", "request_id": "one", "client_request_id": HOSTILE,
        "peer": HOSTILE, "method": HOSTILE, "path": HOSTILE, "route": HOSTILE, "area": HOSTILE,
        "status": 502, "origin": HOSTILE, "code": HOSTILE, "cache": HOSTILE, "run": HOSTILE,
        "fallback": HOSTILE, "allowed": false,
    });
    std::fs::write(&access, format!("{line}\n")).unwrap();
    let event = json!({"time": "2026-01-31T12:00:00Z", "event": HOSTILE, "state": HOSTILE});
    let about = json!({"time": "2026-01-31T12:00:00Z", "request_id": "one", "code": HOSTILE});
    std::fs::write(folder.join("audit.jsonl"), format!("{event}\n{about}\n")).unwrap();
    // Not a log, but it goes by the name of a rotated one, and cannot be read.
    std::fs::create_dir(folder.join(format!("{HOSTILE}access.log.1"))).unwrap();
    (dir, access)
}

async fn told(access: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let folder = access.parent().unwrap();
    let mut command = command();
    command.args(args).arg("--state-dir").arg(folder);
    command.arg("--access-log").arg(access);
    let output = command.output().await.unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn is_harmless(said: &str) {
    let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!said.contains(odd), "{said:?}");
    assert!(!said.contains("\n## Forged"), "{said}");
}

#[tokio::test]
async fn trace_prints_nothing_that_a_terminal_would_obey() {
    let (_dir, access) = logs();
    let (code, story, said) = told(&access, &["trace", "one"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        story.contains("which the caller calls x [2J 2J |`<b> ## Forged"),
        "{story}"
    );
    // The run is in no ledger, and the folder of a log cannot be read as one.
    for part in [
        "The run cannot be told: ",
        "\nNot read: the access log: x [2J",
    ] {
        assert!(story.contains(part), "{part}\n{story}");
    }
    let (code, _, missing) = told(&access, &["trace", "two"]).await;
    assert_eq!(code, Some(1));
    assert!(missing.contains("Looked at:\n  access log: "), "{missing}");
    let (_, listed, _) = told(&access, &["trace", "unknown", "--json"]).await;
    let (_, json, _) = told(&access, &["trace", "one", "--json"]).await;
    for said in [&story, &said, &missing, &listed, &json] {
        is_harmless(said);
    }
    // For programs it is still what it was.
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["request"]["path"], HOSTILE);
    assert_eq!(told["files"][0]["files"][0], access.display().to_string());
}

#[tokio::test]
async fn incident_writes_one_line_for_each_thing_whatever_it_is_called() {
    let (_dir, access) = logs();
    let progress = tempfile::tempdir().unwrap();
    let dir = progress.path().join(HOSTILE);
    std::fs::create_dir(&dir).unwrap();
    let args = [
        "incident",
        "--title",
        HOSTILE,
        "--until",
        "2026-01-31T12:01:00Z",
        "--dir",
        dir.to_str().unwrap(),
    ];
    let (code, printed, said) = told(&access, &args).await;
    assert_eq!(code, Some(0), "{said}");
    let status = std::fs::read_to_string(dir.join("STATUS_2026-01-31.md")).unwrap();
    let next = std::fs::read_to_string(dir.join("NEXT_STEPS.md")).unwrap();
    for text in [&printed, &said, &status, &next] {
        is_harmless(text);
    }
    let headings = status.lines().filter(|line| line.starts_with("## "));
    assert_eq!(headings.count(), 1, "{status}");
    for line in status.lines().filter(|line| line.contains("[2J")) {
        // Behind a backslash, or within code.
        let outside: String = line.split('`').step_by(2).collect();
        for mark in ["<b>", "|"] {
            let bare = outside.replace(&format!("\\{mark}"), "");
            assert!(!bare.contains(mark), "{mark}: {line}");
        }
    }
}
