//! A real browser: headless Chromium, driven by the W3C WebDriver protocol.
//!
//! Waiting is polling until the page says so, with a deadline and never by a
//! pause. It resolves no names: a page that loads anything from elsewhere fails
//! its test.

use super::caller;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

const FLAGS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
    // Containers have a small one.
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1000,800",
];

/// Longest wait for what a page is to show; the tests beside it use the same cores.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// Drivers that are tried, one after the other.
const DRIVERS: usize = 5;

/// A browser with a profile of its own; ends with the test.
pub struct Browser {
    http: reqwest::Client,
    /// URL of the WebDriver session.
    session: String,
    driver: Child,
    // Last: removed once the processes are told to end.
    _home: tempfile::TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (driver, port) = Self::driver(home.path()).await;
        let mut browser = Self {
            http: caller(),
            session: format!("http://127.0.0.1:{port}/session"),
            driver,
            _home: home,
        };
        let profile = browser._home.path().join("profile");
        let mut flags = Vec::from(FLAGS.map(str::to_owned));
        flags.push(format!("--user-data-dir={}", profile.display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": flags},
        }}});
        let session = browser.order("", wanted).await;
        browser.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    /// A driver that listens, and where.
    async fn driver(home: &Path) -> (Child, String) {
        for _ in 0..DRIVERS {
            if let Some(started) = Self::try_driver(home).await {
                return started;
            }
        }
        panic!("chromedriver did not start, {DRIVERS} times");
    }

    /// It takes any free port for IPv4 and then the same for IPv6, and ends where another
    /// process has that one.
    async fn try_driver(home: &Path) -> Option<(Child, String)> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TMPDIR", home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The browser outlives a driver that is killed, but stays in its group.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver: {error}; `make needs-test` installs it or says how")
            });
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap()?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some((driver, port))
    }

    /// Opens a page and returns when it has loaded.
    pub async fn open(&self, url: &str) {
        self.order("/url", json!({"url": url})).await;
    }

    pub async fn address(&self) -> String {
        let address = self.ask("/url").await.unwrap();
        address.as_str().unwrap().to_owned()
    }

    /// The page as it stands now, what scripts have added included.
    pub async fn source(&self) -> String {
        let source = self.ask("/source").await.unwrap();
        source.as_str().unwrap().to_owned()
    }

    /// Runs a script in the page; gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.order("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Waits until an expression of the page is true.
    pub async fn until(&self, condition: &str) {
        let script = json!({"script": format!("return !!({condition})"), "args": []});
        let deadline = Instant::now() + PATIENCE;
        // It fails while one page goes and the next one comes.
        while self.try_order("/execute/sync", script.clone()).await != Ok(json!(true)) {
            if Instant::now() > deadline {
                let text = self.run("return document.body.innerText.slice(0, 2000)");
                panic!(
                    "never so: {condition}\nat {}\n{}\nconsole: {:#?}",
                    self.address().await,
                    text.await,
                    self.errors().await
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The text of the first element that a selector finds.
    pub async fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?}).textContent");
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// Clicks as a hand does: it has to be visible.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.order(&format!("{element}/click"), json!({})).await;
    }

    /// Empties a field and types into it.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.order(&format!("{element}/clear"), json!({})).await;
        self.order(&format!("{element}/value"), json!({"text": text}))
            .await;
    }

    /// Presses a key and lets it go; WebDriver has characters for those that write none.
    pub async fn press(&self, key: char) {
        let key = key.to_string();
        let steps = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let hands = json!([{"type": "key", "id": "keyboard", "actions": steps}]);
        self.order("/actions", json!({"actions": hands})).await;
    }

    /// Gives an order that only Chromium knows (Chrome DevTools Protocol).
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        let order = json!({"cmd": command, "params": params});
        self.order("/goog/cdp/execute", order).await
    }

    /// A picture of the whole page, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine;
        let wanted = json!({"captureBeyondViewport": true});
        let taken = self.devtools("Page.captureScreenshot", wanted).await;
        let picture = base64::engine::general_purpose::STANDARD;
        picture.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    /// What went wrong, as the console tells it, since it was asked last.
    pub async fn errors(&self) -> Vec<String> {
        let entries = self.order("/se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().unwrap().iter();
        let errors = entries.filter(|entry| entry["level"] == "SEVERE");
        errors
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Ends it in good order, so that nothing is left in its directory.
    pub async fn end(self) {
        let ended = self.http.delete(&self.session).send().await;
        assert!(ended.unwrap().status().is_success());
    }

    async fn find(&self, css: &str) -> String {
        let wanted = json!({"using": "css selector", "value": css});
        let found = self.order("/element", wanted).await;
        // The name under which WebDriver gives a reference to an element.
        let id = &found["element-6066-11e4-a52e-4f735466cecf"];
        format!("/element/{}", id.as_str().unwrap())
    }

    async fn ask(&self, command: &str) -> Result<Value, String> {
        let answer = self.http.get(format!("{}{command}", self.session));
        told(answer).await
    }

    async fn order(&self, command: &str, body: Value) -> Value {
        let told = self.try_order(command, body.clone()).await;
        told.unwrap_or_else(|error| panic!("{command} {body}: {error}"))
    }

    async fn try_order(&self, command: &str, body: Value) -> Result<Value, String> {
        let order = self.http.post(format!("{}{command}", self.session));
        told(order.json(&body)).await
    }
}

/// The value of an answer, or its error.
async fn told(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.unwrap();
    let is_good = answer.status().is_success();
    let mut body: Value = answer.json().await.unwrap();
    let value = body["value"].take();
    match is_good {
        true => Ok(value),
        false => Err(format!("{}: {}", value["error"], value["message"])),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let group = self.driver.id().and_then(|id| Pid::from_raw(id as i32));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
