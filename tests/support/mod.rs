//! The harness: processes on free ports, a caller, tokens. Whatever a test
//! starts ends with it.

mod app;
mod browser;
pub mod nginx;
mod process;
mod raw;
mod token;

pub use app::{App, asked, read_to};
pub use browser::Browser;
pub use process::{Setup, Sidecar, StandIn, command};
pub use raw::{Answer, Raw, once, raw_answer, request};
pub use token::{Claims, SECRET, now, token};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

/// A caller: one HTTP client without a proxy, redirects or cookies of its own.
pub fn caller() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// What a caller got.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub async fn from(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a refusal, or the status of what came from elsewhere.
    pub fn outcome(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match (self.header("x-camarad-source"), value["code"].as_str()) {
            ("sidecar", Some(code)) => code.to_owned(),
            _ => self.status.to_string(),
        }
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request in the making.
pub struct Ask(reqwest::RequestBuilder);

impl Ask {
    pub fn new(method: &str, url: &str) -> Self {
        let method: Method = method.parse().unwrap();
        Self(caller().request(method, url))
    }

    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    pub fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub fn client(self, id: &str) -> Self {
        self.with("X-Client-ID", id)
    }

    pub fn with(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    pub async fn send(self) -> Got {
        Got::from(self.0.send().await.unwrap()).await
    }

    pub async fn response(self) -> Response {
        self.0.send().await.unwrap()
    }
}

// Made once: a token signed a second later is another token, and another cache key.
static ALICE: LazyLock<String> = LazyLock::new(|| token(Claims::new(1, &[10, 11])));
static BOB: LazyLock<String> = LazyLock::new(|| token(Claims::new(2, &[20])));

/// The token of user 1, who has clients 10 and 11.
pub fn alice() -> String {
    ALICE.clone()
}

/// The token of user 2, who has client 20.
pub fn bob() -> String {
    BOB.clone()
}

/// The marks in a text: whose data the stand-in says that it is, as `u1.c10`.
pub fn marks(text: &str) -> BTreeSet<String> {
    let is_mark = |word: &&str| {
        let Some((user, client)) = word
            .strip_prefix('u')
            .and_then(|rest| rest.split_once(".c"))
        else {
            return false;
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits(user) && digits(client)
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.filter(is_mark).map(str::to_owned).collect()
}

/// A token of user 1 without a claim: everything of the user is in reach.
pub fn unlimited() -> String {
    token(Claims::new(1, &[]).without("clients"))
}

/// The status of a URL, or nothing where nobody answers.
pub async fn status_of(url: &str) -> Option<u16> {
    let answer = caller().get(url).send().await.ok()?;
    Some(answer.status().as_u16())
}

/// Waits until `done` says yes; an event that cannot be awaited from outside.
pub async fn eventually<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened: {what}");
}

/// The faults of a stand-in, as JSON.
pub fn fault(kind: &str) -> Value {
    json!({"fault": kind})
}
