//! The app's client of Coolbits (contract, section 4): headers, whose token, and one
//! repeat when the service account's is no longer taken.
//!
//! Reading what comes back is not its business. Unlike the app's it follows no
//! redirect and waits [`LIMIT`] at most. Never call it with the store locked: one slow
//! answer would then hold up everybody.

use crate::stand_in::server::{Asked, lock};
use http::Method;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// For one call, connecting included.
const LIMIT: Duration = Duration::from_secs(5);

/// The shared service account.
const EMAIL: &str = "dev@camarad.ai";

/// One for everybody.
const WORKSPACE: &str = "business";

pub(super) struct Coolbits {
    http: reqwest::Client,
    /// Without a final `/`.
    base: String,
    /// The service account's token, once there is one. Two that both have none both log in:
    /// waiting for each other's login would make one hanging login everybody's.
    service: Mutex<Option<String>>,
}

/// Whose token a call is made with.
pub(super) enum Token {
    Of(String),
    Service,
}

impl Token {
    /// The caller's, by cookie or by header, else the service account's.
    pub(super) fn of_caller(asked: &Asked) -> Self {
        let cookie = asked.cookie("camarad_cb_token");
        let cookie = cookie.filter(|token| !token.is_empty());
        let bearer = || asked.bearer().map(str::to_owned);
        let token = cookie.or_else(bearer).filter(|token| !token.is_empty());
        token.map_or(Self::Service, Self::Of)
    }
}

/// One call; with a body it is a `POST`.
pub(super) struct Call {
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    confirmed: bool,
}

impl Call {
    pub(super) fn get(path: &str, query: Vec<(&'static str, String)>) -> Self {
        Self {
            path: path.to_owned(),
            query,
            body: None,
            confirmed: false,
        }
    }

    pub(super) fn post(path: &str, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::get(path, Vec::new())
        }
    }

    /// With the header that lets a model be asked for real.
    pub(super) fn confirmed(self) -> Self {
        Self {
            confirmed: true,
            ..self
        }
    }
}

/// What came back, whatever the status.
pub(super) struct Reply {
    pub(super) status: u16,
    /// Null where it does not say that it is JSON, or is none.
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// No whole answer: refused, broken off, or too late.
#[derive(Debug)]
pub(super) struct Unreachable;

impl From<reqwest::Error> for Unreachable {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

impl Coolbits {
    pub(super) fn new(url: &str) -> io::Result<Self> {
        let unusable = |why: &str| {
            let words = format!("Coolbits' address {url:?}: {why}");
            io::Error::new(io::ErrorKind::InvalidInput, words)
        };
        let parsed = url::Url::parse(url).map_err(|error| unusable(&error.to_string()))?;
        if !["http", "https"].contains(&parsed.scheme()) || !parsed.has_host() {
            return Err(unusable("not http://host:port"));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            http,
            base: url.trim_end_matches('/').to_owned(),
            service: Mutex::default(),
        })
    }

    pub(super) async fn ask(&self, token: &Token, call: &Call) -> Result<Reply, Unreachable> {
        match token {
            Token::Of(token) => self.send(Some(token), call).await,
            Token::Service => self.ask_as_service(call).await,
        }
    }

    /// A login that fails is the failure of the call.
    async fn ask_as_service(&self, call: &Call) -> Result<Reply, Unreachable> {
        let kept = lock(&self.service).clone();
        let token = match kept {
            Some(token) => token,
            None => match self.log_in().await? {
                Ok(token) => token,
                Err(refused) => return Ok(refused),
            },
        };
        let reply = self.send(Some(&token), call).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        match self.log_in().await? {
            Ok(token) => self.send(Some(&token), call).await,
            Err(refused) => Ok(refused),
        }
    }

    async fn log_in(&self) -> Result<Result<String, Reply>, Unreachable> {
        let call = Call::post("/api/auth/mock-login", json!({"email": EMAIL}));
        let reply = self.send(None, &call).await?;
        let token = reply.body["token"].as_str().map(str::to_owned);
        match token.filter(|_| reply.is_success()) {
            Some(token) => {
                *lock(&self.service) = Some(token.clone());
                Ok(Ok(token))
            }
            None => Ok(Err(reply)),
        }
    }

    async fn send(&self, token: Option<&str>, call: &Call) -> Result<Reply, Unreachable> {
        let method = if call.body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = self.request(method, &call.path).query(&call.query);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if call.confirmed {
            request = request.header("x-real-llm-confirm", "true");
        }
        if let Some(body) = &call.body {
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let is_json = content_type(&response).starts_with("application/json");
        let bytes = response.bytes().await?;
        let body = match is_json {
            true => serde_json::from_slice(&bytes).unwrap_or_default(),
            false => Value::Null,
        };
        Ok(Reply { status, body })
    }

    /// A `GET` of the caller's own target, without a token and with no header of theirs but the
    /// cookies where they are to go along; the answer is not looked at.
    pub(super) async fn pass(&self, asked: &Asked, cookies: bool) -> Result<Response, Unreachable> {
        let target = match asked.query.as_str() {
            "" => asked.path.clone(),
            query => format!("{}?{query}", asked.path),
        };
        let mut request = self.request(Method::GET, &target);
        for cookie in asked.headers.get_all("cookie").iter().filter(|_| cookies) {
            request = request.header("cookie", cookie);
        }
        Ok(request.send().await?)
    }

    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{target}", self.base));
        request
            .header("x-workspace-id", WORKSPACE)
            .header("content-type", "application/json")
    }
}

fn content_type(response: &Response) -> &str {
    let kind = response.headers().get("content-type");
    kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}
