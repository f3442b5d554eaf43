//! The processes of a test: the sidecar and the stand-ins, each the real binary.

use super::{Ask, Got, SECRET};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The binary under test.
fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_camarad-sidecar").into()
}

/// A command with nothing of the machine's environment that could be a setting.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command.env_clear().kill_on_drop(true);
    command
}

/// A stand-in process.
pub struct StandIn {
    pub address: SocketAddr,
    which: &'static str,
    child: Child,
}

impl StandIn {
    pub async fn start(which: &'static str) -> Self {
        Self::start_on(which, "127.0.0.1:0".parse().unwrap(), None).await
    }

    /// One that listens on every address of this machine.
    pub async fn open(which: &'static str) -> Self {
        Self::start_on(which, "0.0.0.0:0".parse().unwrap(), None).await
    }

    async fn start_on(which: &'static str, listen: SocketAddr, coolbits_url: Option<&str>) -> Self {
        let mut child = command()
            .args([
                "mock",
                which,
                "--until-stdin-closes",
                "--listen",
                &listen.to_string(),
            ])
            .args(coolbits_url.map(|url| format!("--coolbits-url={url}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            address: address.parse().unwrap(),
            which,
            child,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what goes wrong from now on.
    pub async fn faults(&self, faults: Value) {
        let url = format!("{}/_faults", self.url());
        let got = Ask::new("POST", &url).body(faults.to_string()).send().await;
        assert_eq!(got.status, 200, "{:?}", got.json());
    }

    /// What it was asked, in order, without the sidecar's probes of Coolbits.
    pub async fn calls(&self) -> Vec<Value> {
        let mut calls = self.everything().await;
        calls.retain(|call| self.which != "coolbits" || call["path"] != "/healthz");
        calls
    }

    /// How often Coolbits was probed.
    pub async fn probes(&self) -> usize {
        let calls = self.everything().await;
        calls
            .iter()
            .filter(|call| call["path"] == "/healthz")
            .count()
    }

    async fn everything(&self) -> Vec<Value> {
        let url = format!("{}/_calls", self.url());
        let got = Ask::get(&url).send().await.json();
        got.as_array().unwrap().clone()
    }

    /// The same without what the sidecar itself looked up.
    pub async fn forwarded(&self) -> Vec<Value> {
        let mut calls = self.calls().await;
        let id = |call: &Value| call["headers"]["x-request-id"].to_string();
        calls.retain(|call| !id(call).contains("-lookup"));
        calls
    }

    /// The calls whose path contains this.
    pub async fn calls_to(&self, part: &str) -> Vec<Value> {
        let mut calls = self.calls().await;
        calls.retain(|call| call["path"].as_str().unwrap().contains(part));
        calls
    }

    /// Whose data was written, in order.
    pub async fn writes(&self) -> Vec<Value> {
        let url = format!("{}/judge/writes", self.url());
        let got = Ask::get(&url).send().await.json();
        got.as_array().unwrap().clone()
    }

    pub async fn forget(&self) {
        Ask::new("DELETE", &format!("{}/_calls", self.url()))
            .send()
            .await;
    }

    /// Stops the process and returns once its port refuses.
    pub async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        *self = Self::start_on(self.which, self.address, None).await;
    }

    /// Starts the app's again where it was, with this as its `COOLBITS_URL`.
    pub async fn ask_coolbits_at(&mut self, url: &str) {
        self.stop().await;
        *self = Self::start_on(self.which, self.address, Some(url)).await;
    }
}

/// How a sidecar is started.
#[derive(Default)]
pub struct Setup {
    environment: Vec<(String, String)>,
    file: String,
}

impl Setup {
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.into(), value.to_string()));
        self
    }

    /// However often Coolbits fails, it is asked again: one failure after the other, each with its code.
    pub fn without_breaker(self) -> Self {
        self.set("SIDECAR__BREAKER__CONSECUTIVE", 1000)
            .set("SIDECAR__BREAKER__MIN_VOLUME", 10_000)
    }

    /// Lines of the configuration file.
    pub fn file(mut self, text: &str) -> Self {
        self.file.push_str(text);
        self
    }

    pub async fn start(self, coolbits: &StandIn, legacy: &StandIn) -> Sidecar {
        self.set("COOLBITS_URL", coolbits.url())
            .set("LEGACY_URL", legacy.url())
            .start_alone()
            .await
    }

    /// Starts without stand-ins of its own; where it is to connect is in the settings.
    pub async fn start_alone(self) -> Sidecar {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sidecar.toml");
        std::fs::write(&file, &self.file).unwrap();
        let log = dir.path().join("access.log");
        let mut command = command();
        command
            .arg("run")
            .env("SIDECAR_CONFIG", &file)
            .env("SIDECAR_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_ADMIN_TOKEN", Sidecar::ADMIN_TOKEN)
            .env("SIDECAR_STATE_DIR", dir.path().join("state"))
            .env("SIDECAR_ACCESS_LOG", &log)
            .env("SIDECAR__SERVER__DRAIN", "0s")
            .env("COOLBITS_GATEWAY_ENABLED", "on");
        let own_issuer = self.file.contains("[[issuers]]")
            || self
                .environment
                .iter()
                .any(|(name, _)| name.starts_with("SIDECAR_JW"));
        if !own_issuer {
            command
                .env("SIDECAR_JWT_SECRET", SECRET)
                .env("SIDECAR_JWT_USER_CLAIM", "uid");
        }
        let mut child = command
            .envs(self.environment)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let listening = loop {
            let line = lines.next_line().await.unwrap();
            let line =
                line.unwrap_or_else(|| panic!("it did not start:\n{}", said.lock().unwrap()));
            said.lock().unwrap().push_str(&format!("{line}\n"));
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value["message"] == "listening" => break value,
                _ => {}
            }
        };
        let address = |name: &str| listening[name].as_str().unwrap().parse().unwrap();
        let heard = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Sidecar {
            address: address("address"),
            admin: address("admin"),
            behind: listening["behind"]
                .as_str()
                .map(|text| text.parse().unwrap()),
            child,
            said,
            log,
            dir,
        }
    }
}

/// A sidecar process.
pub struct Sidecar {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Where the app would ask Coolbits.
    behind: Option<SocketAddr>,
    pub child: Child,
    said: Arc<Mutex<String>>,
    log: PathBuf,
    dir: tempfile::TempDir,
}

impl Sidecar {
    pub const ADMIN_TOKEN: &str = "the admin token of the tests";

    /// The three processes of most tests, with the gateway on.
    pub async fn with_stand_ins(setup: Setup) -> (Self, StandIn, StandIn) {
        let (coolbits, legacy) = tokio::join!(StandIn::start("coolbits"), StandIn::start("legacy"));
        let sidecar = setup.start(&coolbits, &legacy).await;
        (sidecar, coolbits, legacy)
    }

    /// The most memory that it had so far, in KiB.
    pub fn most_memory(&self) -> u64 {
        let id = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().trim().trim_end_matches("kB").trim();
        number.parse().unwrap()
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub fn get(&self, target: &str) -> Ask {
        Ask::get(&self.url(target))
    }

    /// `METHOD /target` as this caller, with a JSON body unless it is empty; an empty client is none.
    pub async fn route(&self, token: &str, client: &str, route: &str, body: &str) -> Got {
        let (method, target) = route.split_once(' ').unwrap();
        let mut ask = Ask::new(method, &self.url(target)).bearer(token);
        if !client.is_empty() {
            ask = ask.client(client);
        }
        if !body.is_empty() {
            ask = ask
                .with("Content-Type", "application/json")
                .body(body.to_owned());
        }
        ask.send().await
    }

    /// Google Ads as this caller, for this client.
    pub async fn ads(&self, token: &str, client: &str, target: &str) -> Got {
        let target = format!("/api/connectors/google-ads/{target}");
        self.get(&target).bearer(token).client(client).send().await
    }

    pub async fn metrics(&self) -> String {
        let got = Ask::get(&format!("http://{}/metrics", self.admin))
            .send()
            .await;
        String::from_utf8(got.body).unwrap()
    }

    /// The value of one series, 0 when it is not there.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.metrics().await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Switches the gateway as an operator does.
    pub async fn switch(&self, enabled: bool) {
        let got = self.control("/gateway", json!({"enabled": enabled})).await;
        assert_eq!(got.status, 200);
    }

    /// Ends sessions as an operator does.
    pub async fn revoke(&self, order: Value) -> Got {
        self.control("/sessions/revoke", order).await
    }

    /// Gives an order on the admin listener.
    pub async fn control(&self, path: &str, order: Value) -> Got {
        Ask::new("POST", &format!("http://{}{path}", self.admin))
            .bearer(Self::ADMIN_TOKEN)
            .with("Content-Type", "application/json")
            .body(order.to_string())
            .send()
            .await
    }

    /// Drops answers from the cache as an operator does.
    pub async fn purge(&self, order: Value) -> Got {
        Ask::new("POST", &format!("http://{}/cache/purge", self.admin))
            .bearer(Self::ADMIN_TOKEN)
            .with("Content-Type", "application/json")
            .body(order.to_string())
            .send()
            .await
    }

    /// What the app is given as its `COOLBITS_URL`.
    pub fn behind(&self, target: &str) -> String {
        format!("http://{}{target}", self.behind.unwrap())
    }

    /// The file that its settings are read from.
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("sidecar.toml")
    }

    /// Its state directory, where the setup did not choose another one.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The access log so far, one value a line.
    pub fn records(&self) -> Vec<Value> {
        lines(&self.log)
    }

    /// The record of a request, by the id its answer carried; waits for it to be written.
    pub async fn record(&self, request_id: &str) -> Value {
        let find = || {
            self.records()
                .into_iter()
                .find(|record| record["request_id"] == request_id)
        };
        super::eventually("the record is written", || async { find().is_some() }).await;
        find().unwrap()
    }

    /// The audit log so far, one value a line.
    pub fn audit(&self) -> Vec<Value> {
        lines(&self.dir.path().join("state/audit.jsonl"))
    }

    /// The first line of the audit log with this code; waits for it to be written.
    pub async fn audited(&self, code: &str) -> Value {
        let find = || self.audit().into_iter().find(|line| line["code"] == code);
        super::eventually("it is in the audit log", || async { find().is_some() }).await;
        find().unwrap()
    }

    /// Everything it said and logged, for looking for what must not be there.
    pub fn everything_told(&self) -> String {
        let audit = read(&self.dir.path().join("state/audit.jsonl"));
        format!("{}{}{audit}", self.said.lock().unwrap(), read(&self.log))
    }

    /// Waits until it has said this; its last words may arrive after its end.
    pub async fn says(&self, what: &str) {
        super::eventually(what, || async { self.everything_told().contains(what) }).await;
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(status.unwrap().success());
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = read(path);
    // A last line without its end is still being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let values = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    values.collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
