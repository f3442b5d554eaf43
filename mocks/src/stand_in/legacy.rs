//! A small app of the contract's shape, with the real one's weaknesses: the
//! plain cookie says who the user is, and the first of two wins.
//!
//! Besides the app's own routes it has a few that only judge what arrives:
//! `/judge/sse`, `/judge/status/<code>`, `/judge/bytes/<n>`, `/judge/upload`.

use super::faults::Fault;
use super::server::{Asked, Body, StandIn, found, full, json_answer, lock, sha256_hex, with_type};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// Owner and id of every client.
const CLIENTS: [(u64, u64, &str); 3] = [
    (1, 10, "Northwind Store"),
    (1, 11, "Northwind Services"),
    (2, 20, "Contoso"),
];

#[derive(Default)]
pub(super) struct Legacy {
    flows: Mutex<Vec<Flow>>,
    /// Client and connector of every link.
    links: Mutex<Vec<(u64, String)>>,
}

struct Flow {
    id: u64,
    user: u64,
    client: Option<u64>,
    name: String,
}

impl StandIn for Legacy {
    fn answer(&self, asked: &Asked, _: Fault) -> Response<Body> {
        let path = asked.path.as_str();
        match (method_of(asked), path) {
            ("GET", "/healthz") => ok(json!({"service": "camarad", "status": "ok"})),
            ("GET", "/readyz") => {
                ok(json!({"status": "ready", "checks": {"db": {"ok": true, "error": null}}}))
            }
            ("GET", "/connectors") => page(asked, &connectors_page()),
            ("GET", "/" | "/app" | "/orchestrator") => page(asked, "<h1>Camarad</h1>"),
            ("GET", "/signup" | "/pricing") => with_type("text/html", "<h1>Camarad</h1>"),
            ("GET", "/static/app.js") => static_file(asked),
            ("GET", "/api/auth/status") => {
                let user = user_of(asked);
                ok(
                    json!({"authenticated": user > 0 && asked.cookie("camarad_cb_token").is_some(),
                          "user_id": user, "onboarding_completed": user > 0}),
                )
            }
            ("GET", "/api/users") => {
                ok(json!([{"id": 1, "name": "dev"}, {"id": 2, "name": "Alice"}]))
            }
            ("GET", "/api/clients") => ok(clients(user_of(asked))),
            ("GET", "/api/client_connectors") => self.links(asked),
            ("POST", "/api/client_connectors") => self.link(asked),
            _ if path.starts_with("/judge/") => judge(asked),
            _ if path.starts_with("/api/") => self.scoped(asked),
            _ => {
                let mut answer = with_type("text/html", "<h1>Not Found</h1>");
                *answer.status_mut() = StatusCode::NOT_FOUND;
                answer
            }
        }
    }
}

impl Legacy {
    /// The routes for which the app checks the client first (contract, section 2).
    fn scoped(&self, asked: &Asked) -> Response<Body> {
        let user = user_of(asked);
        let named = match asked.header("x-client-id") {
            Some(header) => Some(header.to_owned()),
            None => asked.parameter("client_id"),
        };
        let client = match named.as_deref() {
            None | Some("" | "0" | "none" | "null" | "undefined") => None,
            Some(text) => match text.trim().parse::<u64>() {
                Ok(id) if owner(id) == Some(user) => Some(id),
                Ok(_) => return error(StatusCode::NOT_FOUND, "Client not found or not owned"),
                Err(_) => return error(StatusCode::BAD_REQUEST, "Invalid X-Client-ID"),
            },
        };
        match (method_of(asked), asked.path.as_str()) {
            ("GET", "/api/flows") => ok(self.list(user, client)),
            ("POST", "/api/flows") => self.store(asked, user, client),
            ("GET", "/api/connectors/list") => ok(json!([
                {"slug": "google-ads", "name": "Google Ads", "status": "connected", "is_live": true,
                 "client_id": client},
            ])),
            ("GET", "/api/connectors/aws/ec2") => ok(json!({
                "instances": [{"id": "i-0a1", "state": "running", "cost": 41.5, "note": "caf\u{e9}"}],
                "region": "eu-central-1",
            })),
            ("GET", "/api/connectors/aws/s3") => ok(json!([{"bucket": "assets"}])),
            ("GET", "/api/connectors/aws/lambda") => ok(json!({"functions": [], "source": "live"})),
            ("POST", "/api/connectors/google-ads/test-call") => {
                ok(json!({"ok": true, "echo": asked.json()}))
            }
            ("GET", path) if path.starts_with("/api/connectors/google-ads/") => {
                // The app's own made-up answer; whoever sees it was not answered by the sidecar.
                ok(json!({"source": "mock", "answered_by": "legacy"}))
            }
            _ => error(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    /// The query's client; the app checks no owner here.
    fn links(&self, asked: &Asked) -> Response<Body> {
        let client = asked
            .parameter("client_id")
            .and_then(|id| id.parse::<u64>().ok());
        let links = lock(&self.links);
        let own = links.iter().filter(|(owner, _)| Some(*owner) == client);
        ok(own
            .map(|(owner, slug)| json!({"client_id": owner, "slug": slug}))
            .collect())
    }

    /// The client of the body and of nowhere else, whoever asks.
    fn link(&self, asked: &Asked) -> Response<Body> {
        let body = asked.json();
        let client = match &body["client_id"] {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let Some(client) = client else {
            return error(StatusCode::BAD_REQUEST, "client_id required");
        };
        let slug = body["connector_slug"].as_str().unwrap_or_default();
        lock(&self.links).push((client, slug.to_owned()));
        ok(json!({"success": true, "client_id": client}))
    }

    fn list(&self, user: u64, client: Option<u64>) -> Value {
        let flows = lock(&self.flows);
        let own = flows
            .iter()
            .filter(|f| f.user == user && (client.is_none() || f.client == client));
        own.map(|f| json!({"id": f.id, "name": f.name, "client_id": f.client}))
            .collect()
    }

    fn store(&self, asked: &Asked, user: u64, client: Option<u64>) -> Response<Body> {
        let body = asked.json();
        if !body["flow"].is_object() {
            return error(StatusCode::BAD_REQUEST, "No flow data");
        }
        let mut flows = lock(&self.flows);
        let id = flows.len() as u64 + 1;
        let name = body["name"].as_str().unwrap_or("Untitled").to_owned();
        flows.push(Flow {
            id,
            user,
            client,
            name,
        });
        ok(json!({"success": true, "flow_id": id, "client_id": client}))
    }
}

/// Flask answers HEAD as GET; hyper leaves the body out.
fn method_of(asked: &Asked) -> &str {
    match asked.method.as_str() {
        "HEAD" => "GET",
        other => other,
    }
}

/// `int(camarad_user_id)` when positive, else 0: nobody checks anything.
fn user_of(asked: &Asked) -> u64 {
    let cookie = asked.cookie("camarad_user_id").unwrap_or_default();
    cookie.parse().unwrap_or(0)
}

fn owner(client: u64) -> Option<u64> {
    let row = CLIENTS.iter().find(|(_, id, _)| *id == client)?;
    Some(row.0)
}

fn clients(user: u64) -> Value {
    let own = CLIENTS.iter().filter(|(owner, ..)| *owner == user);
    own.map(|(_, id, name)| json!({"id": id, "name": name}))
        .collect()
}

fn ok(value: Value) -> Response<Body> {
    json_answer(StatusCode::OK, &value)
}

fn error(status: StatusCode, words: &str) -> Response<Body> {
    json_answer(status, &json!({"error": words}))
}

/// Pages need both cookies and look at neither.
fn page(asked: &Asked, html: &str) -> Response<Body> {
    let token = asked.cookie("camarad_cb_token").unwrap_or_default();
    if user_of(asked) == 0 || token.is_empty() {
        return found("/signup?next=%2Fapp");
    }
    let mut answer = with_type("text/html; charset=utf-8", html.to_owned());
    answer.headers_mut().insert(
        "cache-control",
        HeaderValue::from_static("no-store, no-cache, must-revalidate"),
    );
    answer
}

fn connectors_page() -> String {
    // The real one is about 690 kB.
    let row = "<div class=\"connector\">connector</div>\n";
    format!("<h1>Connectors</h1>\n{}", row.repeat(690_000 / row.len()))
}

fn static_file(asked: &Asked) -> Response<Body> {
    const SCRIPT: &[u8] = b"console.log('camarad static file');\n";
    const TAG: &str = "\"v1\"";
    let mut answer = with_type("text/javascript", SCRIPT);
    if asked.header("if-none-match") == Some(TAG) {
        *answer.body_mut() = full("");
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else if asked.header("range") == Some("bytes=0-6") {
        *answer.body_mut() = full(&SCRIPT[..7]);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes 0-6/{}", SCRIPT.len());
        if let Ok(range) = HeaderValue::from_str(&range) {
            answer.headers_mut().insert("content-range", range);
        }
    }
    let headers = answer.headers_mut();
    headers.insert("etag", HeaderValue::from_static(TAG));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    answer
}

fn judge(asked: &Asked) -> Response<Body> {
    let mut segments = asked.path.trim_start_matches("/judge/").split('/');
    let what = segments.next().unwrap_or_default();
    let number: usize = segments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    match what {
        "upload" => ok(json!({"bytes": asked.body.len(), "sha256": sha256_hex(&asked.body)})),
        "bytes" => with_type("application/octet-stream", vec![b'x'; number.min(64 << 20)]),
        "status" => {
            let status = StatusCode::from_u16(number as u16).unwrap_or(StatusCode::OK);
            json_answer(status, &json!({"error": "as asked"}))
        }
        "sse" => {
            // Endless on purpose: a proxy that waits for the end would show nothing.
            let events = stream::unfold(0u32, |n| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let event = Bytes::from(format!("data: {n}\n\n"));
                Some((Ok(Frame::data(event)), n + 1))
            });
            let mut answer = with_type("text/event-stream", "");
            *answer.body_mut() = BodyExt::boxed(StreamBody::new(events));
            answer
        }
        _ => error(StatusCode::NOT_FOUND, "no such judge"),
    }
}
