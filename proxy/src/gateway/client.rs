//! Requests to Coolbits: candidates in order, one retry, one deadline.
//!
//! Not here: which customer is selected, and what a payload means.

use super::failure::{Failure, Miss};
use super::vitals::Vitals;
use crate::behind::HOP;
use crate::budget::{Budget, By, Full};
use crate::observe::Observer;
use bytes::{Bytes, BytesMut};
use camarad_config::Gateway as Config;
use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{StatusCode, redirect};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long what is passed on may take: a chat is a minute (contract, section 6).
const PASSING: Duration = Duration::from_secs(90);

/// The HTTP client for Coolbits.
pub(crate) struct Client {
    http: reqwest::Client,
    /// The same without following redirects.
    plain: reqwest::Client,
    base: String,
    workspace: String,
    attempt: Duration,
    limit: usize,
    budget: Arc<Budget>,
    observer: Arc<Observer>,
    vitals: Arc<Vitals>,
}

/// A usable answer: 2xx, JSON, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) path: Arc<str>,
    pub(crate) status: u16,
    pub(crate) payload: Value,
}

/// What belongs to one answer: whose token, until when, and whether the retry is used up.
pub(crate) struct Reading<'a> {
    client: &'a Client,
    token: &'a str,
    /// The app's user who asks.
    caller: u64,
    deadline: Instant,
    retried: AtomicBool,
}

impl Client {
    pub(crate) fn new(
        config: &Config,
        observer: Arc<Observer>,
        budget: Arc<Budget>,
        vitals: Arc<Vitals>,
    ) -> Result<Self, reqwest::Error> {
        // A redirect may move within Coolbits; a token never follows one elsewhere.
        let same_origin = redirect::Policy::custom(|attempt| {
            let stays = attempt
                .previous()
                .first()
                .is_some_and(|first| first.origin() == attempt.url().origin());
            match stays && attempt.previous().len() <= 3 {
                true => attempt.follow(),
                false => attempt.stop(),
            }
        });
        let hop = HeaderMap::from_iter([(HOP, HeaderValue::from_static("1"))]);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(same_origin)
            .default_headers(hop.clone())
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        let plain = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .default_headers(hop)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            http,
            plain,
            base: config.url.clone(),
            workspace: config.workspace.clone(),
            attempt: config.attempt_timeout,
            limit: config.response_limit,
            budget,
            observer,
            vitals,
        })
    }

    pub(crate) fn reading<'a>(
        &'a self,
        token: &'a str,
        caller: u64,
        deadline: Instant,
    ) -> Reading<'a> {
        Reading {
            client: self,
            token,
            caller,
            deadline,
            retried: AtomicBool::new(false),
        }
    }

    /// Asks for a token of the service account (contract, section 4).
    pub(crate) async fn mock_login(&self, email: &str, deadline: Instant) -> Result<String, Miss> {
        let path: Arc<str> = "/api/auth/mock-login".into();
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("X-Workspace-Id", &self.workspace)
            .json(&serde_json::json!({"email": email}));
        let reply = self.attempt(request, &path, deadline).await?;
        match reply.payload["token"].as_str() {
            Some(token) if !token.is_empty() => Ok(token.to_owned()),
            _ => Err(Failure::BadPayload.into()),
        }
    }

    /// Asks for a path without a token, and gives the status.
    pub(crate) async fn knock(&self, path: &str, patience: Duration) -> Result<u16, Failure> {
        let started = Instant::now();
        let request = self.http.get(format!("{}{path}", self.base)).send();
        let outcome = match tokio::time::timeout(patience.min(self.attempt), request).await {
            Ok(Ok(response)) => Ok(response.status().as_u16()),
            Ok(Err(error)) => Err(unsent(&error)),
            Err(_) => Err(Failure::Timeout),
        };
        let code = match &outcome {
            Ok(_) => "probe",
            Err(failure) => failure.code(),
        };
        self.observer.upstream("coolbits", code, started.elapsed());
        outcome
    }

    /// Passes a request on as it is, and gives what came back: redirects are not followed.
    pub(crate) async fn pass(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let started = Instant::now();
        let request = self
            .plain
            .request(method, format!("{}{target}", self.base))
            .headers(headers)
            .header("Accept-Encoding", "identity")
            .body(body);
        let exchange = async {
            let mut response = request.send().await.map_err(|error| unsent(&error))?;
            let mut held = self.budget.hold(By::Us);
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| Failure::BadPayload)? {
                if body.len() + chunk.len() > self.limit {
                    return Err(Failure::BadPayload);
                }
                held.more(chunk.len()).map_err(|Full| Failure::Overloaded)?;
                body.extend_from_slice(&chunk);
            }
            let mut headers = response.headers().clone();
            // Of one connection, not of the answer.
            for name in [
                CONNECTION,
                TRANSFER_ENCODING,
                CONTENT_LENGTH,
                TRAILER,
                UPGRADE,
            ] {
                headers.remove(name);
            }
            Ok((response.status(), headers, body.freeze()))
        };
        let outcome = match tokio::time::timeout(PASSING, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Timeout),
        };
        let code = outcome
            .as_ref()
            .err()
            .map_or("passed", |failure| failure.code());
        self.observer.upstream("coolbits", code, started.elapsed());
        outcome
    }

    /// One request, bounded by the attempt's time and the deadline.
    async fn attempt(
        &self,
        request: reqwest::RequestBuilder,
        path: &Arc<str>,
        deadline: Instant,
    ) -> Result<Reply, Miss> {
        let started = Instant::now();
        let until = deadline.min(started + self.attempt);
        let outcome = match timeout_at(until, self.exchange(request, path)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Timeout.into()),
        };
        let code = outcome
            .as_ref()
            .map_or_else(|miss| miss.failure.code(), |_| "ok");
        self.observer.upstream("coolbits", code, started.elapsed());
        outcome.map_err(|miss| Miss {
            path: Some(path.clone()),
            ..miss
        })
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        path: &Arc<str>,
    ) -> Result<Reply, Miss> {
        let request = request
            .header("Accept", "application/json")
            .header("Accept-Encoding", "identity");
        let mut response = request.send().await.map_err(|error| unsent(&error))?;
        let status = response.status();
        let miss = |failure: Failure| Miss {
            failure,
            path: Some(path.clone()),
            status: Some(status.as_u16()),
            answer: None,
            is_of_mapping: false,
        };
        let mut held = self.budget.hold(By::Us);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.limit => {
                    return Err(miss(Failure::BadPayload));
                }
                Ok(Some(chunk)) => {
                    held.more(chunk.len())
                        .map_err(|Full| miss(Failure::Overloaded))?;
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                Err(_) => return Err(miss(Failure::BadPayload)),
            }
        }
        let payload = json_of(&response, &body);
        match (status, payload) {
            (status, Some(payload)) if status.is_success() => Ok(Reply {
                path: path.clone(),
                status: status.as_u16(),
                payload,
            }),
            (status, None) if status.is_success() => Err(miss(Failure::BadPayload)),
            (status, payload) => Err(Miss {
                answer: payload.clone().map(Box::new),
                ..miss(failure_of(status, payload.as_ref()))
            }),
        }
    }
}

/// The payload, if the answer says it is JSON, is not encoded, and parses.
fn json_of(response: &reqwest::Response, body: &[u8]) -> Option<Value> {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let kind = header("content-type")?.split(';').next()?.trim();
    let encoded = header("content-encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity"));
    if !kind.eq_ignore_ascii_case("application/json") || encoded {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Why no answer began: no connection, or one that said something else than HTTP.
fn unsent(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return Failure::BadPayload;
        }
        cause = error.source();
    }
    Failure::Unreachable
}

/// What a status means; 400, 401 and 403 with an error that is recognised mean that (contract, 4.2).
fn failure_of(status: StatusCode, payload: Option<&Value>) -> Failure {
    let said = payload.and_then(|p| p["error"].as_str());
    let recognised = said.and_then(Failure::recognised);
    if let (400 | 401 | 403, Some(failure)) = (status.as_u16(), recognised) {
        return failure;
    }
    match status.as_u16() {
        401 => Failure::Unauthorized,
        400..=499 => Failure::Http4xx,
        500..=599 => Failure::Http5xx,
        _ => Failure::BadPayload,
    }
}

impl Reading<'_> {
    /// The first candidate that answers 2xx.
    ///
    /// What is true of all paths (no connection, no time, no right) ends the
    /// search, and so does a 2xx that is not usable; otherwise the error is that
    /// of the first path, which is the one that should have answered.
    pub(crate) async fn first(
        &self,
        candidates: &[Arc<str>],
        query: &[(String, String)],
    ) -> Result<Reply, Miss> {
        let mut first = None;
        for path in candidates {
            match self.get(path, query).await {
                Ok(reply) => return Ok(reply),
                Err(miss) if matches!(miss.failure, Failure::Http4xx | Failure::Http5xx) => {
                    first.get_or_insert(miss);
                }
                Err(miss) => return Err(miss),
            }
        }
        Err(first.unwrap_or_else(|| Failure::Empty.into()))
    }

    /// One read, tried once more on a broken connection or 502, 503, 504.
    pub(crate) async fn get(
        &self,
        path: &Arc<str>,
        query: &[(String, String)],
    ) -> Result<Reply, Miss> {
        let outcome = self
            .client
            .attempt(self.request(path, query), path, self.deadline)
            .await;
        let passing = |miss: &Miss| {
            miss.failure == Failure::Unreachable || matches!(miss.status, Some(502..=504))
        };
        match outcome {
            Err(miss) if passing(&miss) && self.may_retry() => {
                let jitter = Duration::from_millis(fastrand::u64(10..50));
                tokio::time::sleep(jitter).await;
                self.client
                    .attempt(self.request(path, query), path, self.deadline)
                    .await
            }
            outcome => outcome,
        }
    }

    /// One write; never repeated.
    pub(crate) async fn post(&self, path: &Arc<str>, body: &Value) -> Result<Reply, Miss> {
        let request = self
            .client
            .http
            .post(format!("{}{path}", self.client.base))
            .bearer_auth(self.token)
            .header("X-Workspace-Id", &self.client.workspace)
            .json(body);
        self.client.attempt(request, path, self.deadline).await
    }

    /// Once in a reading, and only a share of all of them.
    fn may_retry(&self) -> bool {
        !self.retried.swap(true, Ordering::Relaxed) && self.client.vitals.may_retry(self.caller)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    fn request(&self, path: &str, query: &[(String, String)]) -> reqwest::RequestBuilder {
        self.client
            .http
            .get(format!("{}{path}", self.client.base))
            .bearer_auth(self.token)
            .header("X-Workspace-Id", &self.client.workspace)
            .header("Content-Type", "application/json")
            .query(query)
    }
}
