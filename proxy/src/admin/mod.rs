//! The admin listener: the status page, metrics and probes for anybody who reaches
//! it, controls for whoever holds the admin token.
//!
//! Loopback by default. A page in an operator's browser must not be able to
//! press buttons here: controls need the token, a JSON content type (which no
//! plain form can send) and a `Host` that is loopback or configured (against
//! DNS rebinding).

pub(crate) mod status;

use crate::cache::Cache;
use crate::drill;
use crate::edge::Content;
use crate::gateway::{Audience, SwitchBoard};
use crate::generation::{Current, Generation};
use crate::json;
use crate::observe::Observer;
use crate::panics::{break_for_test, caught};
use crate::reload::Reloader;
use crate::sessions::{Revoke, RevokeError, SharedSessions, now};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use camarad_config::Admin as Config;
use camarad_policies::operation::Operation;
use camarad_policies::purge::Purge;
use camarad_policies::route::Switch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use status::Blind;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;

/// What the admin listener tells about and acts on.
pub(crate) struct Admin {
    /// Looked at once for each request.
    pub(crate) current: Current,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) switch: Arc<SwitchBoard>,
    pub(crate) cache: Arc<Cache<Content>>,
    pub(crate) sessions: SharedSessions,
    pub(crate) observer: Arc<Observer>,
    pub(crate) draining: AtomicBool,
    pub(crate) state_dir: PathBuf,
    /// Hides users and clients on the status page.
    pub(crate) blind: Blind,
}

type Shared = Arc<Admin>;

/// The routes.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    let controls = Router::new()
        .route("/gateway", post(set_gateway))
        .route("/cache/purge", post(purge_cache))
        .route("/sessions/revoke", post(revoke_sessions))
        .route("/config/reload", post(reload))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .layer(middleware::from_fn_with_state(admin.clone(), guard));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/gateway", get(gateway))
        .merge(status::router())
        .merge(controls)
        .fallback(|| async {
            refusal(
                StatusCode::NOT_FOUND,
                "not_found",
                "Known here: /, /status.json, /runs/<run_id>.json and .csv, /metrics, /healthz, /readyz, GET and POST /gateway, POST /cache/purge, POST /sessions/revoke, POST /config/reload",
            )
        })
        .layer(middleware::from_fn_with_state(admin.clone(), unbroken))
        .with_state(admin)
}

/// A handler that breaks is a 500, counted, and not a connection that ends.
async fn unbroken(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let work = async {
        break_for_test("admin", &headers);
        next.run(request).await
    };
    let words = "Internal error";
    caught(&admin.observer, work)
        .await
        .unwrap_or_else(|| refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", words))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let current = admin.current.load_full();
    current.keys.tell_ages();
    let told = &admin.observer.metrics;
    let switch = admin.switch.current();
    let generation = generation(&current, &switch);
    told.config_generation.set(generation as i64);
    told.gateway_enabled.set(i64::from(switch.enabled));
    let drilled = drill::last_success(&admin.state_dir);
    told.restore_drill_last_success_timestamp_seconds
        .set(drilled as i64);
    told.cache_entries.set(admin.cache.entries() as i64);
    let page = admin.observer.page(admin.cache.bytes());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}

/// How often what is in force was changed, by a reload or by the switch; 1 at the start.
fn generation(current: &Generation, switch: &Switch) -> u64 {
    // Each of the two begins with 1.
    current.number + switch.generation - 1
}

/// The process is alive.
async fn healthz() -> Response {
    answer(
        StatusCode::OK,
        json!({"service": "camarad-sidecar", "status": "ok"}),
    )
}

/// The process can serve: it has keys, can tell what it refuses, and is not about to stop.
async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let checks = is_ready(&admin);
    let (status, word) = match checks.all() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    answer(status, json!({"status": word, "checks": checks}))
}

/// What has to be so for the process to serve.
#[derive(Serialize)]
struct Checks {
    keys: bool,
    audit: bool,
    draining: bool,
}

impl Checks {
    fn all(&self) -> bool {
        self.keys && self.audit && !self.draining
    }
}

fn is_ready(admin: &Admin) -> Checks {
    Checks {
        keys: admin.current.load().keys.ready(),
        audit: !admin.observer.is_audit_stuck(),
        draining: admin.draining.load(Ordering::Relaxed),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayOrder {
    enabled: Option<bool>,
    /// Operations, or whole connectors.
    mock_only: Option<Vec<String>>,
}

/// Which answers are dropped from the cache: one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum PurgeOrder {
    /// `true`: everything.
    All(bool),
    /// SHA-256 of a key in hex, as the access log has it.
    Key(String),
    /// Name of a rule.
    Route(String),
    User(u64),
    Client(u64),
}

/// Drops answers from the cache, and those that are being fetched.
async fn purge_cache(State(admin): State<Arc<Admin>>, body: Bytes) -> Response {
    const EXPECTED: &str = "expected one of {\"all\": true}, {\"key\": \"64 hex digits\"}, {\"route\": \"a rule's name\"}, {\"user\": 7}, {\"client\": 10}";
    let invalid = |words: &str| refusal(StatusCode::BAD_REQUEST, "order_invalid", words);
    let is_key = |key: &str| key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
    let purge = match serde_json::from_slice(&body) {
        Ok(PurgeOrder::All(true)) => Purge::All,
        Ok(PurgeOrder::Key(key)) if is_key(&key) => Purge::Key(key),
        Ok(PurgeOrder::Route(name)) if admin.current.load().rules.contains(&name) => {
            Purge::Route(name)
        }
        Ok(PurgeOrder::Route(name)) => {
            return invalid(&format!(
                "route: {name:?} is no rule; `camarad-sidecar matrix` lists them"
            ));
        }
        Ok(PurgeOrder::User(user)) => Purge::User(user),
        Ok(PurgeOrder::Client(client)) => Purge::Client(client),
        Ok(PurgeOrder::All(false) | PurgeOrder::Key(_)) => return invalid(EXPECTED),
        Err(error) => return invalid(&format!("{EXPECTED}: {error}")),
    };
    let purged = admin.cache.purge(&purge);
    tracing::info!(what = ?purge, purged, "the cache was purged");
    answer(StatusCode::OK, json!({"purged": purged}))
}

/// Ends sessions: of a user, of one token, of everybody.
async fn revoke_sessions(State(admin): State<Arc<Admin>>, body: Bytes) -> Response {
    let order = match serde_json::from_slice::<Revoke>(&body) {
        Ok(order) => order,
        // Not the error's own text: it may quote the token.
        Err(_) => {
            let words = "expected one of {\"user\": 7}, {\"token\": \"...\"}, {\"token_sha256\": \"...\"}, {\"all\": true}";
            return refusal(StatusCode::BAD_REQUEST, "order_invalid", words);
        }
    };
    let what = match &order {
        Revoke::User(_) => "a user",
        Revoke::All(_) => "everybody",
        Revoke::Token(_) | Revoke::TokenSha256(_) => "a token",
    };
    match admin.sessions.revoke(order, now()) {
        Ok(()) => {
            tracing::info!(of = what, "sessions were ended");
            answer(StatusCode::OK, json!({"revoked": what}))
        }
        Err(error @ RevokeError::Invalid(_)) => {
            refusal(StatusCode::BAD_REQUEST, "order_invalid", &error.to_string())
        }
        Err(error @ RevokeError::Io(_)) => {
            tracing::error!("sessions could not be ended: {error}");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_written",
                &error.to_string(),
            )
        }
    }
}

/// Reads the settings again and puts them in force; 409 where they are not good.
async fn reload(State(admin): State<Arc<Admin>>) -> Response {
    match admin.reloader.reload("POST /config/reload").await {
        Ok(reloaded) => answer(StatusCode::OK, reloaded.told()),
        Err(error) => answer(
            StatusCode::CONFLICT,
            json!({
                "error": "The settings in force stay", "code": "config_refused",
                "problems": error.problems(),
            }),
        ),
    }
}

/// How the gateway is doing, with the host that callers are not told.
async fn gateway(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    // A page elsewhere must not read it by way of a name that it made mean this address.
    if let Err((status, code, words)) = check_host(&admin.current.load().config.admin, &headers) {
        return refusal(status, code, words);
    }
    let switch = admin.switch.current();
    let (_, told) = admin
        .current
        .load()
        .gateway
        .health(&switch, Audience::Operator);
    answer(StatusCode::OK, told)
}

async fn set_gateway(State(admin): State<Arc<Admin>>, body: Bytes) -> Response {
    const EXPECTED: &str = "expected {\"enabled\": true or false, \"mock_only\": [operations or connectors]}, or one of them";
    let invalid = |words: &str| refusal(StatusCode::BAD_REQUEST, "order_invalid", words);
    let order = match serde_json::from_slice::<GatewayOrder>(&body) {
        Ok(order) => order,
        Err(error) => return invalid(&format!("{EXPECTED}: {error}")),
    };
    if order.enabled.is_none() && order.mock_only.is_none() {
        return invalid(EXPECTED);
    }
    let mut mock_only = order.mock_only.is_some().then(BTreeSet::new);
    for name in order.mock_only.iter().flatten() {
        let named = Operation::named(name);
        if named.is_empty() {
            let known = Operation::ALL.iter().map(|operation| operation.name());
            let known = known.collect::<Vec<_>>().join(", ");
            return invalid(&format!(
                "mock_only: {name:?} is neither an operation nor a connector; known: {known}"
            ));
        }
        mock_only.iter_mut().for_each(|set| set.extend(&named));
    }
    let switch = admin.switch.set(order.enabled, mock_only.as_ref());
    let names: Vec<_> = switch.mock_only.iter().map(|o| o.name()).collect();
    tracing::info!(
        enabled = switch.enabled,
        mock_only = names.join(","),
        generation = switch.generation,
        "the gateway was switched"
    );
    answer(
        StatusCode::OK,
        json!({"enabled": switch.enabled, "mock_only": names, "generation": switch.generation}),
    )
}

/// Lets a control through, or says what is missing.
async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    match check(&admin.current.load().config.admin, request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, code, words)) => refusal(status, code, words),
    }
}

type Denied = (StatusCode, &'static str, &'static str);

const HOST_DENIED: Denied = (
    StatusCode::FORBIDDEN,
    "admin_host_not_allowed",
    "The Host is neither loopback nor in admin.hosts",
);

/// A control needs all of it.
fn check(config: &Config, headers: &HeaderMap) -> Result<(), Denied> {
    check_host(config, headers)?;
    check_token(config, headers)?;
    let kind = text(headers, header::CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let words = "Content-Type: application/json is needed";
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "admin_content_type",
            words,
        ));
    }
    Ok(())
}

/// The `Host` has to be ours.
fn check_host(config: &Config, headers: &HeaderMap) -> Result<(), Denied> {
    let host = text(headers, header::HOST);
    match host.is_some_and(|host| is_own_host(host, &config.hosts)) {
        true => Ok(()),
        false => Err(HOST_DENIED),
    }
}

/// The admin token has to be there as the bearer.
fn check_token(config: &Config, headers: &HeaderMap) -> Result<(), Denied> {
    let Some(token) = &config.token else {
        let words = "No admin token is set (SIDECAR_ADMIN_TOKEN): nothing can be changed, and no run is shown by name";
        return Err((StatusCode::FORBIDDEN, "admin_token_not_set", words));
    };
    let given = text(headers, header::AUTHORIZATION);
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    // Hashes are compared, so that neither content nor length shows in the time it takes.
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    let same = given.is_some_and(|given| hash(given).ct_eq(&hash(token.expose())).into());
    if !same {
        let words = "The admin token is needed as Authorization: Bearer";
        return Err((StatusCode::UNAUTHORIZED, "admin_token_wrong", words));
    }
    Ok(())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_own_host(host: &str, configured: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    loopback || configured.iter().any(|own| own == name)
}

fn refusal(status: StatusCode, code: &str, words: &str) -> Response {
    answer(status, json!({"error": words, "code": code}))
}

fn answer(status: StatusCode, value: Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, json::to_body(&value)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_config::Secret;

    const TOKEN: &str = "an admin token of some length";

    fn code(token: Option<&str>, headers: &[(&str, &str)]) -> Option<&'static str> {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            token: token.map(Secret::new),
            hosts: vec!["ops.example".into()],
        };
        let headers: HeaderMap = headers
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect::<Vec<(header::HeaderName, header::HeaderValue)>>()
            .into_iter()
            .collect();
        check(&config, &headers).err().map(|(_, code, _)| code)
    }

    #[test]
    fn a_control_needs_token_host_and_content_type() {
        let bearer = format!("Bearer {TOKEN}");
        let auth = ("authorization", bearer.as_str());
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "127.0.0.1:9150");
        let with = |headers: &[(&str, &str)]| code(Some(TOKEN), headers);
        assert_eq!(with(&[host, auth, json]), None);
        assert_eq!(with(&[("host", "[::1]:9150"), auth, json]), None);
        assert_eq!(with(&[("host", "OPS.example"), auth, json]), None);
        assert_eq!(code(None, &[host, auth, json]), Some("admin_token_not_set"));
        assert_eq!(with(&[host, json]), Some("admin_token_wrong"));
        assert_eq!(
            with(&[host, ("authorization", "Bearer wrong"), json]),
            Some("admin_token_wrong")
        );
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
        ] {
            assert_eq!(
                with(&[("host", host), auth, json]),
                Some("admin_host_not_allowed"),
                "{host}"
            );
        }
        assert_eq!(with(&[auth, json]), Some("admin_host_not_allowed"));
        assert_eq!(with(&[host, auth]), Some("admin_content_type"));
        let form = ("content-type", "text/plain");
        assert_eq!(with(&[host, auth, form]), Some("admin_content_type"));
    }
}
