//! A drill on a state with runs in it, and what it leaves behind.

use super::{House, everything};
use crate::runs::ran;
use crate::support::{Setup, Sidecar, now};
use serde_json::Value;
use std::process::Stdio;

const METRIC: &str = "sidecar_restore_drill_last_success_timestamp_seconds";

#[tokio::test]
async fn a_drill_on_recorded_runs_passes_and_the_metric_says_when() {
    let house = House::new();
    let setup = Setup::default().set("SIDECAR_STATE_DIR", house.at("state").display());
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    for _ in 0..2 {
        ran(&sidecar).await;
    }
    assert_eq!(sidecar.metric(METRIC).await, 0.0);
    // While it serves.
    let archive = house.backup().await;
    let began = now();
    let said = house.says(&["restore-drill", "--latest", "--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["passed"], true, "{report:#}");
    assert_eq!(report["archive"], archive.display().to_string());
    assert!(report["recovery_seconds"].as_f64().unwrap() > 0.0);
    assert!(report["data_age_seconds"].as_u64().unwrap() < 600);
    let checks = report["checks"].as_array().unwrap();
    let seen = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("{name} is not in {report:#}"));
        assert_eq!(check["outcome"], "pass", "{check}");
        check["seen"].as_str().unwrap()
    };
    assert!(seen("archive").contains("all 6 members are there and whole"));
    for database in ["app/app.db", "state/runs.db", "state/owners.db"] {
        for what in ["integrity", "foreign keys", "rows", "schema"] {
            seen(&format!("{database} {what}"));
        }
    }
    assert_eq!(seen("ledger"), "`runs list` has 2 of 2 runs");
    assert!(seen("sidecar").contains("alive") && seen("metrics").contains("series"));
    seen("configuration");

    let text = std::fs::read(house.at("state/restore-drill.json")).unwrap();
    let written: Value = serde_json::from_slice(&text).unwrap();
    let at = written["succeeded_at"].as_u64().unwrap();
    assert!((began..=now()).contains(&at));
    assert_eq!(written["archive"], report["archive"]);
    assert_eq!(written["recovery_seconds"], report["recovery_seconds"]);
    assert_eq!(written["data_age_seconds"], report["data_age_seconds"]);
    assert_eq!(sidecar.metric(METRIC).await, at as f64);
    assert!(house.names("tmp").is_empty(), "the scratch directory");
    assert!(
        !house
            .names("backups")
            .iter()
            .any(|name| name.starts_with('.'))
    );
}

#[tokio::test]
async fn a_command_looks_at_what_was_restored_and_its_failure_is_the_drills() {
    let house = House::new();
    let archive = house.backup().await.display().to_string();
    let args = ["restore-drill", "--archive", &archive, "--run"];
    let drill = async |command: &str| house.says(&[&args[..], &[command]].concat()).await;
    let done = house.text("done");
    // Nobody else can look into the scratch directory.
    let command = format!(
        "test \"$(stat -c %a \"$RESTORED_STATE_DIR/..\")\" = 700 && \
         test -s \"$RESTORED_APP_DATABASE\" && test -s \"$RESTORED_STATE_DIR/runs.db\" && \
         echo heard && echo \"$RESTORED_APP_DATABASE\" > {done}"
    );
    let said = drill(&command).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("PASS  command"), "{said:?}");
    assert!(said.err.contains("heard") && !said.out.contains("heard"));
    // It was a copy, and is gone.
    let path = std::fs::read_to_string(&done).unwrap();
    assert!(path.starts_with(&house.text("tmp")), "{path}");
    assert!(!std::path::Path::new(path.trim()).exists());

    let before = everything(&house.at("state"));
    let said = drill("exit 3").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("FAIL  command"), "{said:?}");
    assert!(said.out.contains("it failed: exit status: 3"), "{said:?}");
    assert!(said.out.contains("the drill failed"), "{said:?}");
    assert_eq!(
        everything(&house.at("state")),
        before,
        "it was written down"
    );
}

#[tokio::test]
async fn what_it_cannot_be_asked_is_said_and_so_is_that_there_is_nothing() {
    let house = House::new();
    let none = house.text("none.tar.gz");
    for (args, words) in [
        (&["restore-drill"][..], "--archive"),
        (
            &["restore-drill", "--archive", &none],
            "there is no such file",
        ),
        (
            &["restore-drill", "--latest", "--archive", &none],
            "cannot be used with",
        ),
    ] {
        let said = house.says(args).await;
        assert_eq!(said.code, Some(2), "{args:?} {said:?}");
        assert!(said.err.contains(words), "{args:?} {said:?}");
    }
    let said = house
        .says_with(&["restore-drill", "--latest"], &[("LEGACY_URL", "x")])
        .await;
    assert_eq!(said.code, Some(2), "{said:?}");
    let said = house.says(&["restore-drill", "--latest"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no archive is there"), "{said:?}");
}

#[tokio::test]
async fn one_that_is_stopped_leaves_nothing_running_and_nothing_behind() {
    let house = House::new();
    let archive = house.backup().await.display().to_string();
    let pipe = house.at("pipe");
    let status = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(status.unwrap().success());
    // A grandchild holds the pipe open for as long as it lives.
    let command = format!("sleep 1000 > {} & wait", pipe.display());
    let mut drill = house.command(&["restore-drill", "--archive", &archive, "--run", &command]);
    let mut drill = drill.stdout(Stdio::null()).spawn().unwrap();
    // Opening waits for the other end.
    let reading = tokio::task::spawn_blocking(move || {
        let mut open = std::fs::File::open(pipe).unwrap();
        move || std::io::Read::read_to_end(&mut open, &mut Vec::new()).unwrap()
    });
    let to_its_end = reading.await.unwrap();
    let id = rustix::process::Pid::from_raw(drill.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(drill.wait().await.unwrap().code(), Some(1));
    let read = tokio::task::spawn_blocking(to_its_end);
    assert_eq!(read.await.unwrap(), 0, "nobody holds the pipe any more");
    assert!(house.names("tmp").is_empty());
    assert!(!house.at("state/restore-drill.json").exists());
}
