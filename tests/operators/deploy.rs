//! nginx in front, systemd and PM2 around it, and the way out again.

use super::{replaced, text};
use crate::support::nginx::{Nginx, through};
use crate::support::{SECRET, Setup, Sidecar, alice, command, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::net::UnixDatagram;

/// A request as user 1 for another user's client, by token, and by the cookie that the app
/// believes.
fn foreign() -> String {
    format!(
        "GET /api/flows HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\nX-Client-ID: 20\r\n\
         Authorization: Bearer {}\r\nCookie: camarad_user_id=2\r\n\r\n",
        alice()
    )
}

#[tokio::test]
async fn nginx_in_front_out_again_and_back() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let front = replaced(
        text("nginx/camarad.conf"),
        &[
            ("listen 80;", "listen LISTEN;"),
            ("127.0.0.1:5050", &sidecar.address.to_string()),
        ],
    );
    let bypass = replaced(
        text("nginx/camarad-bypass.conf"),
        &[
            ("listen 80;", "listen LISTEN;"),
            ("127.0.0.1:5051", &legacy.address.to_string()),
        ],
    );
    let nginx = Nginx::start(dir.path(), &front).await;
    let socket = nginx.socket();
    let ask = async || through(&socket, &foreign()).await.unwrap_or_default();
    let refused =
        |answer: &str| answer.starts_with("HTTP/1.1 404") && answer.contains("client_not_allowed");
    let answer = ask().await;
    assert!(refused(&answer), "{answer}");
    eventually("the sidecar tells of it", || async {
        let last = sidecar.records().pop();
        last.is_some_and(|record| record["code"] == "client_not_allowed")
    })
    .await;

    // Out: the leaks are open again, and every answer says so.
    nginx.reload(&bypass);
    // Workers from before answer for a moment more.
    let answer = std::sync::Mutex::new(String::new());
    eventually("nginx asks the app", || async {
        let now = ask().await;
        let is_through = now.starts_with("HTTP/1.1 200");
        *answer.lock().unwrap() = now;
        is_through
    })
    .await;
    let answer = answer.into_inner().unwrap();
    assert!(answer.contains("u2.c20"), "{answer}");
    assert!(
        answer.contains("X-Camarad-Sidecar: bypassed; tenants are not separated"),
        "{answer}"
    );

    nginx.reload(&front);
    eventually("nginx asks the sidecar", || async {
        let answer = ask().await;
        refused(&answer) && !answer.contains("X-Camarad-Sidecar")
    })
    .await;
}

#[tokio::test]
async fn the_rollbacks_of_the_gateway_need_no_restart() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let reason = async |target: &str| {
        let got = sidecar.ads(&alice(), "10", target).await.json();
        (got["source"].clone(), got["gateway"]["reason"].clone())
    };
    assert_eq!(reason("campaigns").await.0, "coolbits");
    let order = |body: Value| async {
        let got = sidecar.control("/gateway", body).await;
        assert_eq!(got.status, 200, "{got:?}");
    };
    // One route, all of a connector, everything; and back.
    order(json!({"mock_only": ["google-ads.campaigns"]})).await;
    let mock_only = (json!("mock"), json!("mock_only"));
    assert_eq!(reason("campaigns").await, mock_only);
    assert_eq!(reason("metrics").await.0, "coolbits");
    order(json!({"mock_only": ["google-ads"]})).await;
    assert_eq!(reason("metrics").await, mock_only);
    order(json!({"enabled": false})).await;
    coolbits.forget().await;
    assert_eq!(reason("metrics").await, (json!("mock"), json!("disabled")));
    assert!(coolbits.calls().await.is_empty());
    order(json!({"enabled": true, "mock_only": []})).await;
    assert_eq!(reason("campaigns").await.0, "coolbits");
}

#[tokio::test]
async fn systemd_likes_the_unit_and_is_told_what_happens() {
    let unit = replaced(
        text("systemd/camarad-sidecar.service"),
        &[(
            "/usr/local/bin/camarad-sidecar",
            env!("CARGO_BIN_EXE_camarad-sidecar"),
        )],
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("camarad-sidecar.service");
    std::fs::write(&file, &unit).unwrap();
    for arguments in [
        &["verify", "--man=no"][..],
        // Exposure, in tenths.
        &["security", "--offline=yes", "--threshold=15", "--no-pager"],
    ] {
        let output = tokio::process::Command::new("systemd-analyze")
            .args(arguments)
            .arg(&file)
            .output()
            .await
            .expect("systemd-analyze is not installed; `make needs-test` does it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("Unknown key"), "{said}");
    }
    assert!(unit.contains("Type=notify") && unit.contains("WatchdogSec="));

    let socket = dir.path().join("notify");
    let told = UnixDatagram::bind(&socket).unwrap();
    let setup = Setup::default()
        .set("NOTIFY_SOCKET", socket.display())
        .set("WATCHDOG_USEC", 30_000_000);
    let (mut sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let next = async || {
        let mut buffer = [0; 256];
        let length = told.recv(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut heard = vec![next().await];
    while heard.len() < 20 && heard.last().unwrap() != "WATCHDOG=1" {
        heard.push(next().await);
    }
    assert!(heard.contains(&"READY=1".to_owned()), "{heard:?}");
    sidecar.signal("-TERM");
    while next().await != "STOPPING=1" {}
    assert!(sidecar.child.wait().await.unwrap().success());
}

#[tokio::test]
async fn the_examples_settings_are_good_and_secrets_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let mut check = command();
    check.arg("check").current_dir(dir.path());
    for line in text("camarad-sidecar.env.example").lines() {
        // What is commented out is meant to be used one day.
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_name(name)) {
            check.env(name, value);
        }
    }
    for name in [
        "SIDECAR_JWT_SECRET",
        "SIDECAR_SEAL_KEY",
        "SIDECAR_ADMIN_TOKEN",
    ] {
        check.env(format!("{name}_FILE"), &secret);
    }
    let output = check.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let unit = text("systemd/camarad-sidecar.service");
    assert!(!unit.contains("SECRET=") && !unit.contains("KEY=") && !unit.contains("TOKEN="));
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// The one process of PM2's file.
fn pm2() -> Value {
    let file = super::deployed("pm2/camarad-sidecar.config.cjs");
    let print = format!(
        "console.log(JSON.stringify(require({:?})))",
        file.display().to_string()
    );
    let output = std::process::Command::new("node")
        .args(["-e", &print])
        .output();
    let output = output.expect("node is not installed; `make needs-test` does it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["apps"].as_array().unwrap().len(), 1);
    all["apps"][0].clone()
}

#[tokio::test]
async fn what_pm2_stops_with_drains() {
    let app = pm2();
    assert_eq!(app["env"]["LEGACY_URL"], "http://127.0.0.1:5051");
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &Path| path.display().to_string();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let run = replaced(
        app["args"][1].as_str().unwrap().to_owned(),
        &[(
            "/usr/local/bin/camarad-sidecar",
            env!("CARGO_BIN_EXE_camarad-sidecar"),
        )],
    );
    let mut shell = tokio::process::Command::new(app["script"].as_str().unwrap());
    shell.args(["-c", &run]).env_clear().kill_on_drop(true);
    shell.env("PATH", std::env::var("PATH").unwrap());
    for (name, value) in app["env"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let value = match name.as_str() {
            name if name.ends_with("_FILE") => at(&secret),
            "SIDECAR_STATE_DIR" => at(&dir.path().join("state")),
            name if name.ends_with("LOG") => {
                at(&dir.path().join(Path::new(value).file_name().unwrap()))
            }
            name if name.ends_with("LISTEN") => "127.0.0.1:0".to_owned(),
            _ => value.to_owned(),
        };
        shell.env(name, value);
    }
    shell.env("SIDECAR__SERVER__DRAIN", "200ms");
    let mut child = shell.stderr(Stdio::null()).spawn().unwrap();
    let log = dir.path().join("sidecar.log");
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("it listens", || async { said().contains("\"listening\"") }).await;
    let id = child.id().unwrap().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(kill.unwrap().success());
    assert!(child.wait().await.unwrap().success());
    assert!(said().contains("\"clean\":true"), "{}", said());
}
