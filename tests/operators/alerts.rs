//! The rules, and the way of an alert from the app's 500 to somebody's receiver, with the
//! real Prometheus and Alertmanager.

use super::{deployed, replaced, text};
use crate::support::{Setup, Sidecar, alice};
use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Runs a tool of Prometheus' in the directory of its files.
async fn tool(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(deployed("prometheus"))
        .output()
        .await;
    let output =
        output.unwrap_or_else(|_| panic!("{program} is missing; `make needs-test` installs it"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}:\n{said}");
}

#[tokio::test]
async fn the_rules_are_good_and_fire_when_they_should() {
    tool("promtool", &["check", "config", "prometheus.yml"]).await;
    tool("amtool", &["check-config", "alertmanager.yml"]).await;
    let mut tests: Vec<String> = std::fs::read_dir(deployed("prometheus/tests"))
        .unwrap()
        .map(|entry| format!("tests/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    tests.sort();
    assert!(!tests.is_empty());
    let mut arguments = vec!["test", "rules"];
    arguments.extend(tests.iter().map(String::as_str));
    tool("promtool", &arguments).await;
    // Every alert has its tests and its runbook.
    let cases: String = tests
        .iter()
        .map(|test| text(&format!("prometheus/{test}")))
        .collect();
    let rules = text("prometheus/alerts.yml");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        assert!(
            cases.contains(&format!("alertname: {name}")),
            "{name} has no test"
        );
        let runbook = format!("runbooks/{name}.md");
        assert!(
            rules.contains(&format!("runbook: config/deploy/{runbook}")),
            "{name}"
        );
        assert!(deployed(&runbook).exists(), "{runbook} is missing");
    }
}

/// A server that says where it listens.
async fn server(program: &str, arguments: &[String]) -> (Child, SocketAddr) {
    let mut child = Command::new(program)
        .args(arguments)
        .arg("--web.listen-address=127.0.0.1:0")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|_| panic!("{program} is missing; `make needs-test` installs it"));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let address = loop {
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("{program} did not start:\n{said}"));
        if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
            break address.trim().parse().unwrap();
        }
        said.push_str(&line);
        said.push('\n');
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

/// Rules as they are, only faster: minutes become seconds, and nothing waits.
fn faster(rules: &str) -> String {
    let mut out = String::new();
    for line in rules.lines() {
        match line.trim_start().starts_with("for: ") {
            true => {}
            false => {
                out.push_str(&line.replace("[5m]", "[6s]"));
                out.push('\n');
            }
        }
    }
    out
}

type Received = Arc<Mutex<Vec<Value>>>;

/// Somebody's receiver of alerts.
async fn receiver() -> (SocketAddr, Received) {
    let received = Received::default();
    let to = received.clone();
    let take = move |body: String| {
        let to = to.clone();
        async move {
            let told: Value = serde_json::from_str(&body).unwrap();
            let alerts = told["alerts"].as_array().unwrap().clone();
            to.lock().unwrap().extend(alerts);
        }
    };
    let router = Router::new().route("/alerts", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

/// Prometheus, its Alertmanager, and what was received.
async fn watched(dir: &Path, sidecar: &Sidecar) -> (Child, Child, Received) {
    let (webhook, received) = receiver().await;
    let file = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let routes = replaced(
        text("prometheus/alertmanager.yml"),
        &[("127.0.0.1:9099", &webhook.to_string())],
    );
    let mut quick = String::new();
    for line in routes.lines() {
        let line = match line
            .split_once("group_wait: ")
            .or(line.split_once("group_interval: "))
        {
            Some((before, _)) if line.contains("group_wait") => format!("{before}group_wait: 0s"),
            Some((before, _)) => format!("{before}group_interval: 1s"),
            None => line.to_owned(),
        };
        quick.push_str(&line);
        quick.push('\n');
    }
    let arguments = [
        format!("--config.file={}", file("alertmanager.yml", quick)),
        format!("--storage.path={}", dir.join("alertmanager").display()),
        "--cluster.listen-address=".to_owned(),
    ];
    let (alertmanager, to) = server("prometheus-alertmanager", &arguments).await;
    file("recording.yml", faster(&text("prometheus/recording.yml")));
    file("alerts.yml", faster(&text("prometheus/alerts.yml")));
    let config = replaced(
        text("prometheus/prometheus.yml"),
        &[
            ("15s", "1s"),
            ("127.0.0.1:9093", &to.to_string()),
            ("127.0.0.1:9150", &sidecar.admin.to_string()),
        ],
    );
    let arguments = [
        format!("--config.file={}", file("prometheus.yml", config)),
        format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
    ];
    let (prometheus, _) = server("prometheus", &arguments).await;
    (prometheus, alertmanager, received)
}

/// What was said of an alert of this signal: `firing`, `resolved`.
fn told(received: &Received, signal: &str) -> Vec<String> {
    let alerts = received.lock().unwrap();
    let of = alerts.iter().filter(|alert| {
        let labels = &alert["labels"];
        labels["alertname"] == "Sidecar5xxBurst"
            && labels["origin"] == "legacy"
            && labels["signal"] == signal
    });
    of.map(|alert| alert["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_burst_of_the_apps_500_reaches_a_receiver_and_its_end_too() {
    let setup = Setup::default().set("SIDECAR__BURST__WINDOW", "4s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let dir = tempfile::tempdir().unwrap();
    let (_prometheus, _alertmanager, received) = watched(dir.path(), &sidecar).await;
    let token = alice();
    let ask = async || {
        let got = sidecar.route(&token, "10", "POST /api/flows", "{}").await;
        got.status
    };
    let until = async |status: &str, done: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if done() {
                return;
            }
            ask().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let all = received.lock().unwrap().clone();
        panic!("nobody was told {status} in 30 s: {all:#?}");
    };
    let every = |status: &'static str| {
        let received = received.clone();
        move || {
            ["count", "detector"]
                .into_iter()
                .all(|signal| told(&received, signal).iter().any(|told| told == status))
        }
    };
    assert!(ask().await < 500);
    legacy
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    assert_eq!(ask().await, 500);
    until("firing", &every("firing")).await;
    {
        let alerts = received.lock().unwrap();
        let alert = alerts
            .iter()
            .find(|alert| alert["labels"]["signal"] == "detector");
        let annotations = &alert.unwrap()["annotations"];
        assert_eq!(
            annotations["runbook"],
            "config/deploy/runbooks/Sidecar5xxBurst.md"
        );
        assert!(annotations["summary"].as_str().unwrap().contains("legacy"));
    }
    legacy.faults(json!({"fault": "none"})).await;
    until("resolved", &every("resolved")).await;
    // Nobody was told that it is over before it had begun.
    for signal in ["count", "detector"] {
        assert_eq!(told(&received, signal)[0], "firing", "{signal}");
    }
}
