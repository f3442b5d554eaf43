//! `runs list|show|export`.

use super::{HISTORY, ran};
use crate::support::{Setup, Sidecar, alice, command};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

async fn output(dir: &Path, args: &[&str]) -> Output {
    let mut command = command();
    command.arg("runs").args(args).arg("--state-dir").arg(dir);
    command.output().await.unwrap()
}

/// What `runs` says of a state directory.
pub(super) async fn runs_in(dir: &Path, args: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = output(dir, args).await;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

pub(super) async fn runs(sidecar: &Sidecar, args: &[&str]) -> String {
    runs_in(&sidecar.state_dir(), args).await
}

#[tokio::test]
async fn runs_are_listed_shown_and_exported_beside_a_sidecar_that_serves() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = ran(&sidecar).await;
    let (run_id, execution) = (first["run_id"].as_str().unwrap(), &first["execution_id"]);
    let replay = format!("POST {HISTORY}/{execution}/replay");
    let second = sidecar.route(&alice(), "10", &replay, "{}").await.json();
    let list = runs(&sidecar, &["list"]).await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].contains(second["run_id"].as_str().unwrap()));
    assert!(
        lines[1].ends_with(&format!("(replay of {run_id})")),
        "{list}"
    );
    assert!(
        lines[2].starts_with(run_id) && lines[2].contains("success"),
        "{list}"
    );
    for (args, found) in [
        (["list", "--client", "10"], 2),
        (["list", "--client", "11"], 0),
        (["list", "--user", "2"], 0),
        (["list", "--status", "running"], 0),
        (["list", "--since", "1h"], 2),
        (["list", "--limit", "1"], 1),
    ] {
        let list = runs(&sidecar, &args).await;
        assert_eq!(list.lines().count(), found + 1, "{args:?}\n{list}");
    }
    let shown: Value = serde_json::from_str(&runs(&sidecar, &["show", run_id]).await).unwrap();
    assert_eq!(shown["trace"]["run"]["execution_id"], *execution);
    assert_eq!(shown["flow"], super::good());
    let id = execution.to_string();
    let by_app: Value =
        serde_json::from_str(&runs(&sidecar, &["show", &id, "--client", "10"]).await).unwrap();
    assert_eq!(by_app, shown);

    let export = runs(&sidecar, &["export", "--client", "10"]).await;
    let traces: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(traces.len(), 2);
    let told = sidecar
        .route(
            &alice(),
            "10",
            &format!("GET {HISTORY}/{execution}/trace"),
            "",
        )
        .await;
    assert_eq!(traces[1], told.json(), "one schema everywhere");
    let export = runs(&sidecar, &["export", "--format", "csv"]).await;
    let mut csv = csv::Reader::from_reader(export.as_bytes());
    let run_ids: Vec<String> = csv
        .records()
        .map(|row| row.unwrap()[1].to_owned())
        .collect();
    assert_eq!(run_ids.len(), 10, "one header, one row a step");
}

#[tokio::test]
async fn what_cannot_be_told_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let said = |args: &'static [&'static str]| {
        let dir = dir.path().to_owned();
        async move {
            let output = output(&dir, args).await;
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap(),
            )
        }
    };
    let (code, words) = said(&["list"]).await;
    assert_eq!(code, Some(2));
    assert!(words.contains("is server.state_dir right"), "{words}");
    assert!(!dir.path().join("runs.db").exists(), "looking made a file");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    ran(&sidecar).await;
    for (args, expected) in [
        (&["show", "nothing"][..], "no such run"),
        (&["show", "9"], "say of which --client"),
        (&["show", "999", "--client", "10"], "no such run"),
        (
            &["list", "--since", "yesterday"],
            "expected a length of time",
        ),
        (
            &["list", "--status", "odd"],
            "expected one of running, success",
        ),
        (&["export", "--format", "xml"], "invalid value"),
    ] {
        let output = output(&sidecar.state_dir(), args).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(words.contains(expected), "{args:?}: {words}");
    }
}
