//! A small app of the contract's shape, with the real one's weaknesses: the
//! plain cookie says who the user is, and the first of two wins.
//!
//! Every route of `routes.json` answers, and each answer says in `X-Marks` whose
//! data it holds. Besides the app's own routes it has a few that only judge what
//! arrives: `/judge/sse`, `/judge/status/<code>`, `/judge/bytes/<n>`,
//! `/judge/upload` (under `/static` too, where anybody may read), and
//! `/judge/writes`: whose data was written.

use super::faults::Fault;
use super::routes::{self, Reached, Route};
use super::server::{Asked, Body, StandIn, found, full, json_answer, lock, sha256_hex, with_type};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// Owner and id of every client at first.
const CLIENTS: [(u64, u64, &str); 5] = [
    (1, 10, "Northwind Store"),
    (1, 11, "Northwind Services"),
    (2, 20, "Contoso"),
    (3, 30, "Fabrikam"),
    (3, 31, "Fabrikam Events"),
];

/// Routes that answer with a list of rows, each with its client.
const LISTS: [&str; 7] = [
    "/api/agents/list",
    "/api/boardroom/meetings",
    "/api/chats",
    "/api/conversations",
    "/api/flows/templates",
    "/api/orchestrator/history",
    "/api/orchestrator/templates",
];

pub(super) struct Legacy {
    clients: Mutex<Vec<(u64, u64, String)>>,
    flows: Mutex<Vec<Flow>>,
    /// Client and connector of every link.
    links: Mutex<Vec<(u64, String)>>,
    /// Whose data was written, in order.
    writes: Mutex<Vec<Value>>,
}

struct Flow {
    id: u64,
    user: u64,
    client: Option<u64>,
    name: String,
}

impl Default for Legacy {
    fn default() -> Self {
        let clients = CLIENTS.map(|(user, id, name)| (user, id, name.to_owned()));
        Self {
            clients: Mutex::new(clients.into()),
            flows: Mutex::default(),
            links: Mutex::default(),
            writes: Mutex::default(),
        }
    }
}

impl StandIn for Legacy {
    fn answer(&self, asked: &Asked, fault: Fault) -> Response<Body> {
        let path = asked.path.as_str();
        if path == "/judge/writes" {
            return ok(json!(*lock(&self.writes)));
        }
        if let Some(what) = path
            .strip_prefix("/static")
            .unwrap_or(path)
            .strip_prefix("/judge/")
        {
            return judge(asked, what);
        }
        let Some(route) = routes::find(method_of(asked), path) else {
            if path.starts_with("/api/") {
                return error(StatusCode::NOT_FOUND, "Not Found");
            }
            let mut answer = with_type("text/html", "<h1>Not Found</h1>");
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return answer;
        };
        let reached = match route.reach(asked, &|client| self.owner(client)) {
            Ok(reached) => reached,
            Err((StatusCode::FOUND, _)) => return found("/signup?next=%2Fapp"),
            Err((status, words)) => return error(status, words),
        };
        let reached = match fault {
            Fault::ForeignRow => Reached {
                client: Some(20),
                ..reached
            },
            _ => reached,
        };
        // Before the answer: a client that is deleted is still its owner's here.
        let marks = self.marks(route, &reached);
        let mut answer = self.respond(asked, route, &reached, &marks);
        if !matches!(method_of(asked), "GET") && answer.status().is_success() {
            let write = json!({"route": format!("{} {}", route.method, route.path),
                               "user": reached.user, "client": reached.client});
            lock(&self.writes).push(write);
        }
        // Answers that are lists of owners tell by themselves; a row may be taken out on the way.
        let tells = ["/api/users", "/api/clients"].contains(&path) || LISTS.contains(&path);
        if let (false, Ok(marks)) = (tells, HeaderValue::from_str(&marks.join(","))) {
            answer.headers_mut().insert("x-marks", marks);
        }
        answer
    }
}

impl Legacy {
    fn respond(
        &self,
        asked: &Asked,
        route: &Route,
        reached: &Reached,
        marks: &[String],
    ) -> Response<Body> {
        let Reached { user, client } = *reached;
        match (route.method.as_str(), route.path.as_str()) {
            ("GET", "/healthz") => ok(json!({"service": "camarad", "status": "ok"})),
            ("GET", "/readyz") => {
                ok(json!({"status": "ready", "checks": {"db": {"ok": true, "error": null}}}))
            }
            ("GET", "/connectors") => page(&connectors_page()),
            ("GET", "/static/<path:filename>") => static_file(asked),
            ("GET", "/api/auth/status") => {
                let signed_in = user > 0 && asked.cookie("camarad_cb_token").is_some();
                ok(json!({"authenticated": signed_in, "user_id": user,
                          "onboarding_completed": user > 0}))
            }
            ("GET", "/api/users") => ok(json!([
                {"id": 1, "name": "dev"}, {"id": 2, "name": "Alice"}, {"id": 3, "name": "Bob"}
            ])),
            ("GET", "/api/clients") => ok(self.clients(user)),
            ("POST", "/api/auth/session") => login(asked),
            ("POST", "/api/auth/onboarding") => {
                let made = self.create(user, asked.json()["company_name"].as_str());
                ok(json!({"success": true, "onboarding_completed": true, "client_id": made.0}))
            }
            ("POST", "/api/clients") => {
                let (id, name) = self.create(user, asked.json()["name"].as_str());
                ok(json!({"id": id, "name": name, "user_id": user}))
            }
            ("DELETE", "/api/clients/<int:client_id>") => {
                lock(&self.clients).retain(|(_, id, _)| Some(*id) != client);
                ok(json!({"success": true}))
            }
            ("GET", "/api/client_connectors") => self.links(client),
            ("POST", "/api/client_connectors") => self.link(asked, client),
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
            (_, path) if route.body == "html" => page(&format!(
                "<h1>Camarad</h1>\n<p>{path}</p>\n<p>{}</p>\n",
                marks.join(" ")
            )),
            // Lists where the contract says that the app answers with one.
            ("GET", path) if LISTS.contains(&path) => ok(self.rows(reached, marks)),
            _ => ok(json!({"client_id": client, "marks": marks, "ok": true})),
        }
    }

    /// The marks of everybody whose data an answer holds: `u1.c10`, `u1.c0` for what belongs to no client.
    fn marks(&self, route: &Route, reached: &Reached) -> Vec<String> {
        let Reached { user, client } = *reached;
        let own = |client: u64| format!("u{}.c{client}", self.owner(client).unwrap_or(user));
        match client {
            _ if route.path == "/api/users" => (1..=3).map(|user| format!("u{user}.c0")).collect(),
            Some(client) => vec![own(client)],
            None if route.is_shared() => Vec::new(),
            None if route.spans_clients() => {
                let clients = lock(&self.clients);
                let all = clients.iter().filter(|(owner, ..)| *owner == user);
                let all = all.map(|(_, id, _)| format!("u{user}.c{id}"));
                all.chain([format!("u{user}.c0")]).collect()
            }
            None => vec![format!("u{user}.c0")],
        }
    }

    fn rows(&self, reached: &Reached, marks: &[String]) -> Value {
        let client = |mark: &String| {
            mark.rsplit('c')
                .next()
                .and_then(|id| id.parse::<u64>().ok())
        };
        let rows = marks.iter().enumerate().map(|(n, mark)| {
            let client = reached.client.or_else(|| client(mark)).filter(|id| *id > 0);
            json!({"id": n + 1, "client_id": client, "mark": mark})
        });
        rows.collect()
    }

    fn owner(&self, client: u64) -> Option<u64> {
        let clients = lock(&self.clients);
        let row = clients.iter().find(|(_, id, _)| *id == client)?;
        Some(row.0)
    }

    fn clients(&self, user: u64) -> Value {
        let clients = lock(&self.clients);
        let own = clients.iter().filter(|(owner, ..)| *owner == user);
        own.map(|(_, id, name)| json!({"id": id, "name": name}))
            .collect()
    }

    fn create(&self, user: u64, name: Option<&str>) -> (u64, String) {
        let name = name.unwrap_or("Client").to_owned();
        let mut clients = lock(&self.clients);
        let id = clients.iter().map(|(_, id, _)| id + 1).max().unwrap_or(1);
        clients.push((user, id, name.clone()));
        (id, name)
    }

    /// Whose links they are does not matter to the app.
    fn links(&self, client: Option<u64>) -> Response<Body> {
        let links = lock(&self.links);
        let own = links.iter().filter(|(owner, _)| Some(*owner) == client);
        ok(own
            .map(|(owner, slug)| json!({"client_id": owner, "slug": slug}))
            .collect())
    }

    /// The client of the body, whoever asks.
    fn link(&self, asked: &Asked, client: Option<u64>) -> Response<Body> {
        let Some(client) = client else {
            return error(StatusCode::BAD_REQUEST, "client_id required");
        };
        let body = asked.json();
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

/// The login asks nobody here: a token is `session-of-user-<id>`, or names its user by an e-mail in its payload.
fn login(asked: &Asked) -> Response<Body> {
    let token = asked.json()["token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if token.is_empty() {
        return error(StatusCode::BAD_REQUEST, "missing_token");
    }
    let email = || {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        let email = claims["email"].as_str()?.strip_prefix("user")?;
        email.strip_suffix("@example.com").map(str::to_owned)
    };
    let opaque = token.strip_prefix("session-of-user-").map(str::to_owned);
    let user = opaque.or_else(email).and_then(|id| id.parse::<u64>().ok());
    let Some(user) = user else {
        let words = json!({"error": "auth_failed", "detail": "coolbits_auth_me_http_401"});
        return json_answer(StatusCode::UNAUTHORIZED, &words);
    };
    let mut answer = ok(json!({
        "success": true, "authenticated": true, "user_id": user, "next": "/app",
        "email": format!("user{user}@example.com"), "onboarding_completed": true,
    }));
    for (name, value) in [
        ("camarad_user_id", user.to_string()),
        ("camarad_cb_token", token),
    ] {
        let cookie = format!("{name}={value}; Max-Age=2592000; Path=/; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append("set-cookie", cookie);
        }
    }
    answer
}

fn ok(value: Value) -> Response<Body> {
    json_answer(StatusCode::OK, &value)
}

fn error(status: StatusCode, words: &str) -> Response<Body> {
    json_answer(status, &json!({"error": words}))
}

fn page(html: &str) -> Response<Body> {
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

fn judge(asked: &Asked, what: &str) -> Response<Body> {
    let mut segments = what.split('/');
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
