//! A small app of the contract's shape, with the real one's weaknesses: the
//! plain cookie says who the user is, and the first of two wins.
//!
//! Every route of `routes.json` answers, and each answer says whose data it
//! holds: in `X-Marks`, or in its rows where the answer is a list of them
//! (a row may be taken out on the way). Objects named by an id live in
//! [`store`], and each concept has a module that answers for its routes.
//! Besides the app's own routes there are a few that only [`judge`].
//!
//! Told where Coolbits is, it asks there first ([`errand`]) and answers with what
//! came back; else it asks nobody and makes everything up.
//!
//! It is no model of how the app works inside, and checks nothing that the app
//! does not check.

mod accounts;
mod agents;
mod boardroom;
mod briefs;
mod chat;
mod connectors;
mod conversations;
mod coolbits;
mod errand;
mod export;
mod fetch;
mod figures;
mod flows;
mod google;
mod judge;
mod knowledge;
mod oauth;
mod pages;
mod request;
mod routing;
mod runs;
mod seed;
mod session;
mod steps;
mod store;
mod templates;
#[cfg(test)]
mod tests;

use super::faults::Fault;
use super::routes::{self, Reached, Route};
use super::server::{Asked, Body, StandIn, found, json_answer, lock, with_type};
use coolbits::Coolbits;
use errand::{Back, Errand, Fetched};
use http::{HeaderValue, Response, StatusCode};
use request::{About, FOREIGN, Request, Told, ok};
use serde_json::{Value, json};
use std::sync::Mutex;
use store::{Owner, Store};

/// Routes without objects of their own that answer with a list of rows, each with its client.
const LISTS: [&str; 1] = ["/api/agents/list"];

/// Tried in order: the first that knows the route answers.
const CONCEPTS: [fn(&mut Store, &Request) -> Option<Told>; 16] = [
    session::answer,
    accounts::answer,
    export::answer,
    chat::answer,
    conversations::answer,
    templates::answer,
    flows::answer,
    runs::answer,
    routing::answer,
    briefs::answer,
    boardroom::answer,
    knowledge::answer,
    agents::answer,
    connectors::answer,
    google::answer,
    pages::answer,
];

#[derive(Default)]
pub(super) struct Legacy {
    store: Mutex<Store>,
    /// Whose data was written, in order.
    writes: Mutex<Vec<Value>>,
    coolbits: Option<Coolbits>,
}

impl StandIn for Legacy {
    fn answer(&self, asked: &Asked, fault: Fault) -> Response<Body> {
        self.answer_with(asked, fault, &Fetched::default())
    }

    async fn respond(&self, asked: &Asked, fault: Fault) -> Response<Body> {
        let Some(coolbits) = &self.coolbits else {
            return self.answer(asked, fault);
        };
        // The store is free meanwhile: others are answered while this one waits.
        let back = match self.errand(asked, fault) {
            Some(errand) => errand.run(coolbits, asked).await,
            None => Back::Fetched(Fetched::default()),
        };
        match back {
            Back::Fetched(fetched) => self.answer_with(asked, fault, &fetched),
            Back::Answer(answer) => answer,
        }
    }
}

impl Legacy {
    /// One that asks Coolbits at this address.
    pub(super) fn with_coolbits(url: &str) -> std::io::Result<Self> {
        Ok(Self {
            coolbits: Some(Coolbits::new(url)?),
            ..Self::default()
        })
    }

    /// What Coolbits is to be asked before this request can be answered.
    fn errand(&self, asked: &Asked, fault: Fault) -> Option<Errand> {
        if fault == Fault::Debugger && debugger(asked).is_some() {
            return None;
        }
        let route = routes::find(method_of(asked), &asked.path)?;
        let store = lock(&self.store);
        let (reached, foreign) = reach(&store, route, asked, fault).ok()?;
        let nothing = Fetched::default();
        let request = Request::new(asked, route, &reached, foreign, &nothing);
        Errand::of(&store, &request)
    }

    fn answer_with(&self, asked: &Asked, fault: Fault, fetched: &Fetched) -> Response<Body> {
        let path = asked.path.as_str();
        match path {
            "/judge/writes" => {
                return json_answer(StatusCode::OK, &json!(*lock(&self.writes)));
            }
            "/judge/objects" => {
                return json_answer(StatusCode::OK, &judge::objects(&lock(&self.store)));
            }
            _ => {}
        }
        if fault == Fault::Debugger
            && let Some(answer) = debugger(asked)
        {
            return answer;
        }
        if let Some(what) = path
            .strip_prefix("/static")
            .unwrap_or(path)
            .strip_prefix("/judge/")
        {
            return judge::answer(asked, what);
        }
        let Some(route) = routes::find(method_of(asked), path) else {
            if path.starts_with("/api/") {
                return error(StatusCode::NOT_FOUND, "Not Found");
            }
            let mut answer = with_type("text/html", "<h1>Not Found</h1>");
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return answer;
        };
        let mut store = lock(&self.store);
        let (reached, foreign) = match reach(&store, route, asked, fault) {
            Ok(reached) => reached,
            Err((StatusCode::FOUND, _)) => return found("/signup?next=%2Fapp"),
            Err((status, words)) => return error(status, words),
        };
        // Before the answer: a client that is deleted is still its owner's here.
        let marks = marks(&store, route, &reached);
        let request = Request::new(asked, route, &reached, foreign, fetched);
        let told = CONCEPTS
            .iter()
            .find_map(|answer| answer(&mut store, &request))
            .unwrap_or_else(|| rest(&request, &marks));
        drop(store);
        self.finish(&request, told, &marks)
    }

    /// Says whose data the answer holds, and remembers whose was written.
    fn finish(&self, request: &Request, told: Told, marks: &[String]) -> Response<Body> {
        let Told { mut answer, about } = told;
        let route = request.route;
        if route.method != "GET" && answer.status().is_success() {
            let whose = match about {
                About::Object(owner) => owner,
                About::Scope | About::Rows => request.scope(),
            };
            let write = json!({"route": format!("{} {}", route.method, route.path),
                               "user": whose.user, "client": whose.client});
            lock(&self.writes).push(write);
        }
        let marks = match about {
            About::Scope => marks.join(","),
            About::Object(owner) => owner.mark(),
            About::Rows => return answer,
        };
        if let Ok(marks) = HeaderValue::from_str(&marks) {
            answer.headers_mut().insert("x-marks", marks);
        }
        answer
    }
}

/// Whose data the request reaches, and whether it is client 20's whoever asks.
fn reach(
    store: &Store,
    route: &Route,
    asked: &Asked,
    fault: Fault,
) -> Result<(Reached, bool), (StatusCode, &'static str)> {
    let reached = route.reach(asked, &|client| store.owner_of(client))?;
    let foreign = fault == Fault::ForeignRow;
    let client = if foreign {
        Some(FOREIGN)
    } else {
        reached.client
    };
    Ok((Reached { client, ..reached }, foreign))
}

/// The marks of everybody whose data an answer by scope holds: `u1.c10`, `u1.c0` for no client.
fn marks(store: &Store, route: &Route, reached: &Reached) -> Vec<String> {
    let Reached { user, client } = *reached;
    let mark = |user, client| Owner { user, client }.mark();
    match client {
        _ if route.is_same_for_all() => Vec::new(),
        Some(client) => vec![mark(store.owner_of(client).unwrap_or(user), Some(client))],
        None if route.is_shared() => Vec::new(),
        None if route.spans_clients() => {
            let own = store.clients_of(user).map(|row| mark(user, Some(row.id)));
            own.chain([mark(user, None)]).collect()
        }
        None => vec![mark(user, None)],
    }
}

/// Werkzeug's debugger: a console, and its own files under any path.
fn debugger(asked: &Asked) -> Option<Response<Body>> {
    let is_resource = asked.parameter("__debugger__").as_deref() == Some("yes");
    match asked.path.as_str() {
        _ if is_resource => Some(with_type("text/css", "div.debugger { }")),
        "/console" => Some(with_type("text/html", "<h1>Interactive Console</h1>")),
        _ => None,
    }
}

/// Routes that no concept knows: what they answer depends on the scope alone.
fn rest(request: &Request, marks: &[String]) -> Told {
    let (asked, client) = (request.asked, request.client);
    match request.names() {
        ("GET", "/healthz") => ok(json!({"service": "camarad", "status": "ok"})),
        ("GET", "/readyz") => {
            ok(json!({"status": "ready", "checks": {"db": {"ok": true, "error": null}}}))
        }
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
        (_, path) if request.route.body == "html" => pages::plain(path, marks),
        // Lists where the contract says that the app answers with one.
        ("GET", path) if LISTS.contains(&path) => ok(rows(client, marks)).in_rows(),
        _ if request.route.is_same_for_all() => ok(json!({"marks": marks, "ok": true})),
        _ => ok(json!({"client_id": client, "marks": marks, "ok": true})),
    }
}

fn rows(client: Option<u64>, marks: &[String]) -> Value {
    let named = |mark: &String| mark.rsplit('c').next()?.parse::<u64>().ok();
    let rows = marks.iter().enumerate().map(|(n, mark)| {
        let client = client.or_else(|| named(mark)).filter(|id| *id > 0);
        json!({"id": n + 1, "client_id": client, "mark": mark})
    });
    rows.collect()
}

/// Flask answers HEAD as GET; hyper leaves the body out.
fn method_of(asked: &Asked) -> &str {
    match asked.method.as_str() {
        "HEAD" => "GET",
        other => other,
    }
}

fn error(status: StatusCode, words: &str) -> Response<Body> {
    json_answer(status, &json!({"error": words}))
}
