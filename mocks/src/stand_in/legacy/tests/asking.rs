//! What the app asks Coolbits, over real sockets: whose token, and for which account.

mod briefs;
mod passed;
mod runs;
mod waiting;

use super::*;
use crate::stand_in::{self, Call, server::sha256_hex};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

const EXECUTE: &str = "POST /api/orchestrator/execute";
const CAMPAIGNS: &str = "/api/connectors/googleads/report";

/// An app that asks a Coolbits, with all that is asked of either.
pub(super) struct House {
    app: String,
    coolbits: String,
    http: reqwest::Client,
    /// Keeps an address from being given to somebody who listens.
    _held: Option<TcpSocket>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A Coolbits with these faults.
async fn coolbits(faults: &str) -> SocketAddr {
    let (listener, address) = listen().await;
    let faults = serde_json::from_str(faults).unwrap();
    tokio::spawn(stand_in::coolbits(listener, faults));
    address
}

impl House {
    async fn new(faults: &str) -> Self {
        let coolbits = coolbits(faults).await;
        Self::by_way_of(coolbits, coolbits).await
    }

    /// One whose app asks where nobody listens.
    async fn alone() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let nowhere = socket.local_addr().unwrap();
        Self {
            _held: Some(socket),
            ..Self::by_way_of(nowhere, nowhere).await
        }
    }

    /// One whose app asks at an address of its own, which may lead to that Coolbits.
    async fn by_way_of(way: SocketAddr, coolbits: SocketAddr) -> Self {
        let (listener, app) = listen().await;
        let url = format!("http://{way}/");
        tokio::spawn(async move {
            stand_in::legacy_with_coolbits(listener, Default::default(), &url).await
        });
        let http = reqwest::Client::builder().no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none());
        Self {
            app: format!("http://{app}"),
            coolbits: format!("http://{coolbits}"),
            http: http.build().unwrap(),
            _held: None,
        }
    }

    /// As the user, whose token is `session-of-user-<id>`.
    async fn ask(&self, user: u64, client: u64, line: &str, body: Value) -> Answer {
        let (method, target) = line.split_once(' ').unwrap();
        let cookie =
            format!("camarad_user_id={user}; camarad_cb_token=session-of-user-{user}; theme=dark");
        let url = format!("{}{target}", self.app);
        let mut request = self.http.request(method.parse().unwrap(), url);
        request = request.header("cookie", cookie);
        request = request.header("content-type", "application/json");
        if client > 0 {
            request = request.header("x-client-id", client);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
        }
    }

    /// What a run of these nodes told, one result for each.
    async fn run(&self, user: u64, client: u64, nodes: Value) -> Vec<Value> {
        let got = self.ask(user, client, EXECUTE, flow(nodes)).await;
        assert_eq!(got.status, 200, "{}", got.body);
        got.body["results"].as_array().unwrap().clone()
    }

    /// What Coolbits was asked.
    async fn calls(&self) -> Vec<Call> {
        let url = format!("{}/_calls", self.coolbits);
        let calls = self.http.get(url).send().await.unwrap();
        calls.json().await.unwrap()
    }

    /// The same, as `GET /path`.
    async fn lines(&self) -> Vec<String> {
        let calls = self.calls().await.into_iter();
        calls
            .map(|call| format!("{} {}", call.method, call.path))
            .collect()
    }
}

/// Nodes one after the other.
fn flow(nodes: Value) -> Value {
    let ids: Vec<&Value> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["id"])
        .collect();
    let connections = ids
        .windows(2)
        .map(|two| json!({"from": two[0], "to": two[1]}));
    let connections: Value = connections.collect();
    json!({"flow": {"nodes": nodes, "connections": connections}})
}

fn ads(account: &str) -> Value {
    json!([{"id": "a", "type": "connector", "slug": "google-ads", "label": "Ads",
            "config": {"account_id": account, "days": 7}}])
}

fn ga4(property: &str) -> Value {
    json!([{"id": "g", "type": "connector", "slug": "ga4", "label": "GA4",
            "config": {"property_id": property, "range": "7days"}}])
}

fn hash(token: &str) -> Option<String> {
    Some(sha256_hex(token.as_bytes())[..12].to_owned())
}

fn service() -> Option<String> {
    hash("service-dev@camarad.ai")
}

/// A parameter of a call's query.
fn named(call: &Call, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(call.query.as_bytes());
    pairs.find_map(|(n, value)| (n == name).then(|| value.into_owned()))
}
