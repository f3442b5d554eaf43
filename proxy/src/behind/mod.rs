//! Behind the app: a listener that the app is given as its own `COOLBITS_URL`.
//!
//! Loopback only, and the app's alone. What carries a caller's own good token passes;
//! signing in passes without; the shared service account is answered with a token that
//! means nobody; and nobody reads nothing, but for the run whose handle is named. The
//! rules are `policies::behind`.
//!
//! What goes wrong if misused: an app that reaches Coolbits past this reads under
//! another one's settings again.

mod handles;

pub(crate) use handles::{Handle, Handles, Lease};

use crate::gateway::{Miss, Reply, SwitchBoard};
use crate::generation::{Current, Generation};
use crate::observe::Observer;
use crate::panics::caught;
use crate::sessions::{SharedSessions, Standing, now};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camarad_policies::behind::{Bearer, Passage, handle_in, is_plain, passage, resolved};
use camarad_policies::hex::hex;
use camarad_policies::identity::Identity;
use camarad_policies::ids::UserId;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Largest body of a request of the app's.
const LARGEST: usize = 1 << 20;

/// How long one may take to arrive.
const BODY: Duration = Duration::from_secs(10);
/// On everything that goes to Coolbits: what comes back here with it goes in circles.
pub(crate) const HOP: HeaderName = HeaderName::from_static("x-camarad-hop");

/// What stands behind the app.
pub(crate) struct Behind {
    /// Looked at once for each request.
    pub(crate) current: Current,
    pub(crate) sessions: SharedSessions,
    pub(crate) switch: Arc<SwitchBoard>,
    pub(crate) handles: Arc<Handles>,
    pub(crate) observer: Arc<Observer>,
    /// The token that means nobody; drawn anew by each process.
    pub(crate) nobody: String,
}

/// A token that means nobody.
pub(crate) fn nobody() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    Ok(format!("nobody-{}", hex(&bytes)))
}

pub(crate) fn router(behind: Arc<Behind>) -> Router {
    Router::new()
        .fallback(serve)
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(behind)
}

/// A handler that breaks is a 500, counted, and never an open door.
async fn serve(State(behind): State<Arc<Behind>>, request: Request) -> Response {
    let observer = behind.observer.clone();
    let answered = caught(&observer, behind.answer(request)).await;
    answered.unwrap_or_else(|| said(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"))
}

fn said(status: StatusCode, error: &str) -> Response {
    whole(status, &json!({"error": error}))
}

fn whole(status: StatusCode, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, crate::json::to_body(body)).into_response()
}

/// What whoever has no right is told: the app shows that GA4 is not connected, or made-up data.
fn not_connected() -> Response {
    said(StatusCode::BAD_REQUEST, "not_connected")
}

impl Behind {
    async fn answer(&self, request: Request) -> Response {
        let now = self.current.load_full();
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if head.headers.contains_key(&HOP) {
            tracing::error!("gateway.url leads back to behind.listen: set it to the real Coolbits");
            return said(StatusCode::LOOP_DETECTED, "loop_detected");
        }
        if !is_plain(&path) {
            return said(StatusCode::BAD_REQUEST, "path_malformed");
        }
        let token = match bearer(&head.headers) {
            Ok(token) => token,
            Err(()) => return said(StatusCode::UNAUTHORIZED, "unauthorized"),
        };
        let who = match &token {
            None => Bearer::None,
            Some(token) if self.is_nobody(token) => Bearer::Nobody,
            Some(_) => Bearer::Token,
        };
        let body = tokio::time::timeout(BODY, axum::body::to_bytes(body, LARGEST)).await;
        let Ok(Ok(body)) = body else {
            return said(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
        };
        let method = head.method.as_str();
        match (passage(method, &path, who), token) {
            (Passage::MockLogin, _) => whole(StatusCode::OK, &json!({"token": self.nobody})),
            (Passage::WithoutToken, _) => {
                self.pass(&now, &head.method, &head.uri, &head.headers, body)
                    .await
            }
            (Passage::Login, Some(_)) => {
                self.pass(&now, &head.method, &head.uri, &head.headers, body)
                    .await
            }
            (Passage::Own | Passage::OwnSelect, Some(token)) => {
                let whose = self.whose(&now, &token).await;
                // One that Coolbits may not see did not come from in front.
                let Some(whose) = whose.filter(|whose| whose.coolbits_token().is_some()) else {
                    return said(StatusCode::UNAUTHORIZED, "unauthorized");
                };
                let user = whose.user();
                match passage(method, &path, who) {
                    Passage::OwnSelect => selected(),
                    _ => self.own(&now, &token, user, &head, body).await,
                }
            }
            (Passage::Select, _) => selected(),
            _ if method == "GET" => {
                self.read(&now, &path, head.uri.query().unwrap_or_default())
                    .await
            }
            _ => not_connected(),
        }
    }

    fn is_nobody(&self, token: &str) -> bool {
        bool::from(token.as_bytes().ct_eq(self.nobody.as_bytes()))
    }

    /// Whose a token is, by the same checks as in front: verified, and not ended.
    async fn whose(&self, generation: &Generation, token: &str) -> Option<Identity> {
        let verified = generation.keys.identify(token).await.ok()?;
        self.sessions.check(&verified).ok()?;
        let user = match (
            verified.user(),
            self.sessions.standing(&verified, None, now()),
        ) {
            (Some(user), _) | (None, Standing::Holds(user)) => user,
            // Whose it is was not asked in front, so it did not come from there.
            _ => return None,
        };
        Some(verified.bound_to(user))
    }

    /// What a caller's own token asks.
    async fn own(
        &self,
        now: &Generation,
        token: &str,
        user: UserId,
        head: &Parts,
        body: Bytes,
    ) -> Response {
        if head.method == Method::GET {
            let path = head.uri.path();
            let query = pairs(head.uri.query().unwrap_or_default());
            if handle_in(&query).is_some_and(|id| self.handles.find(id).is_some()) {
                // Runs are nobody's here: an account it would be to Coolbits, and selected.
                return not_connected();
            }
            if !self.switch.current().enabled && now.gateway.is_ads_read(path) {
                return not_connected();
            }
            let read = now.gateway.read_as_caller(token, user, path, &query);
            if let Some(read) = read.await {
                return answered(read);
            }
        }
        self.pass(now, &head.method, &head.uri, &head.headers, body)
            .await
    }

    async fn pass(
        &self,
        now: &Generation,
        method: &Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        match now
            .gateway
            .pass(method.clone(), target, headers, body)
            .await
        {
            Ok((status, headers, body)) => {
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Err(failure) => said(StatusCode::BAD_GATEWAY, failure.code()),
        }
    }

    /// A read of a run, by the handle that it names.
    async fn read(&self, now: &Generation, path: &str, query: &str) -> Response {
        let query = pairs(query);
        let Some(id) = handle_in(&query).map(str::to_owned) else {
            return not_connected();
        };
        let Some(handle) = self.handles.find(&id) else {
            tracing::warn!("behind the app, a handle was named that no run holds");
            return not_connected();
        };
        let switch = self.switch.current();
        let holds = self.whose(now, handle.token.expose()).await;
        let reason = match (&handle.credential, &handle.account) {
            _ if holds.is_none_or(|whose| whose.user() != handle.user) => Some("token_refused"),
            _ if !switch.enabled => Some("disabled"),
            _ if switch.mock_only.contains(&handle.operation) => Some("mock_only"),
            (None, _) => Some("no_credential"),
            (_, None) => Some("no_account"),
            _ => None,
        };
        let (Some(credential), Some(account), None) = (&handle.credential, &handle.account, reason)
        else {
            let reason = reason.unwrap_or("no_account");
            handle.note_miss(json!({"enabled": switch.enabled, "reason": reason}));
            // Not `not_connected`, by which the app's GA4 calls nothing real figures.
            return said(StatusCode::NOT_FOUND, reason);
        };
        let query = resolved(handle.connector, query, &id, account);
        let read = now.gateway.read_as(credential, &handle, path, query);
        let read = read.await;
        match &read {
            Ok(reply) => {
                handle.note(json!({"enabled": true, "path": &*reply.path, "status": reply.status}));
            }
            Err(miss) => handle.note_miss(crate::gateway::told(miss)),
        }
        let mut answer = answered(read);
        if answer.status() == StatusCode::UNAUTHORIZED {
            // The app would take it for its service account's, log in again and repeat.
            *answer.status_mut() = StatusCode::FORBIDDEN;
        }
        answer
    }
}

/// A customer is selected with the read that follows, under the lock of its user.
fn selected() -> Response {
    whole(StatusCode::OK, &json!({"ok": true}))
}

/// A read as Coolbits would answer it.
fn answered(read: Result<Reply, Miss>) -> Response {
    let miss = match read {
        Ok(reply) => return whole(StatusCode::OK, &reply.payload),
        Err(miss) => miss,
    };
    let status = miss.status.filter(|status| *status >= 400).unwrap_or(502);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match miss.answer {
        Some(answer) => whole(status, &answer),
        None => said(status, miss.failure.code()),
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// The one bearer token; two, or another scheme, are an error.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, ()> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    let text = line.to_str().map_err(drop)?;
    let token = text.strip_prefix("Bearer ").ok_or(())?.trim();
    match lines.next().is_some() || token.is_empty() {
        true => Err(()),
        false => Ok(Some(token.to_owned())),
    }
}
