//! Logs that are moved away while they are written to, by the real logrotate.

use super::{replaced, text};
use crate::support::{Setup, Sidecar, alice, eventually};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// How often each value of a member is in a log and all that it was rotated into.
fn told(dir: &Path, log: &str, member: &str) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with(log) {
            continue;
        }
        let text = match name.ends_with(".gz") {
            true => {
                let output = Command::new("gzip").arg("-dc").arg(&path).output();
                String::from_utf8(output.unwrap().stdout).unwrap()
            }
            false => std::fs::read_to_string(&path).unwrap(),
        };
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if let Some(value) = line[member].as_str() {
                *told.entry(value.to_owned()).or_default() += 1;
            }
        }
    }
    told
}

async fn logrotate(config: &Path, state: &Path) {
    let output = tokio::process::Command::new("/usr/sbin/logrotate")
        .arg("-f")
        .arg("-s")
        .arg(state)
        .arg(config)
        .output()
        .await;
    let output = output.expect("logrotate is not installed; `make needs-test` does it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn logrotate_under_load_loses_and_doubles_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, app) = (dir.path().join("logs"), dir.path().join("app"));
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::create_dir_all(&app).unwrap();
    let at = |name: &str| logs.join(name).display().to_string();
    let setup = Setup::default()
        .set("SIDECAR_ACCESS_LOG", at("access.log"))
        .set("SIDECAR__AUDIT__LOG", at("audit.log"))
        .set("SIDECAR__LIMITS__REFUSALS", 0);
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let state_dir = sidecar.state_dir().display().to_string();
    let apps = format!("{}/*.log", app.display());
    let config = replaced(
        text("logrotate/camarad"),
        &[
            ("/var/log/camarad-sidecar", &logs.display().to_string()),
            ("/var/lib/camarad-sidecar", &state_dir),
            ("/opt/camarad/logs/*.log /var/log/camarad/*.log", &apps),
        ],
    );
    let file = dir.path().join("logrotate.conf");
    std::fs::write(&file, config).unwrap();
    // The app goes on writing by the descriptor that it has.
    let mut options = std::fs::OpenOptions::new();
    let app_log = app.join("app.log");
    let mut app_writes = options.create(true).append(true).open(&app_log).unwrap();
    writeln!(app_writes, "before").unwrap();

    let token = alice();
    let load = (0..4).map(|caller| {
        let (sidecar, token) = (&sidecar, &token);
        async move {
            for n in 0..150 {
                // Another user's client: told in both logs.
                let ask = sidecar.get("/api/flows").bearer(token).client("20");
                let id = format!("load-{caller}-{n}");
                let got = ask.with("X-Request-Id", &id).send().await;
                assert_eq!(got.status, 404, "{got:?}");
            }
        }
    });
    let rotations = async {
        for rotation in 1..=4 {
            eventually("there is something to rotate", || async {
                std::fs::metadata(logs.join("access.log")).is_ok_and(|file| file.len() > 2000)
            })
            .await;
            logrotate(&file, &dir.path().join("state")).await;
            sidecar.says("the logs were opened again").await;
            assert!(logs.join("access.log.1").exists(), "rotation {rotation}");
        }
    };
    tokio::join!(join_all(load), rotations);
    let access = logs.join("access.log");
    eventually("all is written", || async {
        access.exists() && told(&logs, "access.log", "client_request_id").len() == 600
    })
    .await;
    let lines = told(&logs, "access.log", "client_request_id");
    assert!(lines.values().all(|times| *times == 1), "{lines:?}");
    // Ours are unique, and every refusal is in the audit log once.
    let ours = told(&logs, "access.log", "request_id");
    eventually("the audit log is written", || async {
        told(&logs, "audit.log", "request_id").len() == 600
    })
    .await;
    assert_eq!(told(&logs, "audit.log", "request_id"), ours);

    writeln!(app_writes, "after").unwrap();
    assert_eq!(std::fs::read_to_string(&app_log).unwrap(), "after\n");
    let rotated = std::fs::read_to_string(app.join("app.log.1")).unwrap();
    assert_eq!(rotated, "before\n");
}

#[tokio::test]
async fn the_applications_log_goes_to_its_file_and_its_number_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("sidecar.log");
    let output = crate::support::command()
        .args(["check"])
        .env("SIDECAR_JWT_SECRET", crate::support::SECRET)
        .env("SIDECAR_JWT_USER_CLAIM", "uid")
        .env("SIDECAR__SERVER__LOG", "")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("SIDECAR__SERVER__LOG: server.log"), "{said}");
    let state = dir.path().join("state");
    let mut child = crate::support::command()
        .arg("run")
        .env("SIDECAR_JWT_SECRET", crate::support::SECRET)
        .env("SIDECAR_JWT_USER_CLAIM", "uid")
        .env("SIDECAR_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_STATE_DIR", &state)
        .env("SIDECAR_ACCESS_LOG", "off")
        .env("SIDECAR__SERVER__LOG", &log)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("it listens", || async { said().contains("\"listening\"") }).await;
    let id = std::fs::read_to_string(state.join("sidecar.pid")).unwrap();
    assert_eq!(id.trim(), child.id().unwrap().to_string());
    let kill = Command::new("kill").args(["-INT", id.trim()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait().await;
    assert!(output.unwrap().success());
    assert!(
        said().contains("leaving at once"),
        "its last words are written"
    );
    assert!(!state.join("sidecar.pid").exists());
}
