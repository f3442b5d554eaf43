//! The status page: `GET /` for people, `/status.json` for programs, and runs to download.
//!
//! Open for reading to whoever reaches the admin listener, by a `Host` of ours alone (a page
//! elsewhere must not read it), and read-only: no form here changes anything. Drawn here, in
//! one answer without scripts; nothing is fetched from anywhere. maud draws it: templates are
//! checked when it is compiled, and every text in them is escaped unless somebody says not to.
//!
//! What goes wrong if misused: what is put into [`mod@facts`] is read by everybody who gets here.
//! Names of runs are tenants', and need the admin token as `Authorization: Bearer`; a wrong
//! one is refused rather than passed over.

mod blind;
mod chart;
mod facts;
mod gather;
mod page;
mod panels;
mod rules;
mod runs;
mod snapshots;
mod tables;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use blind::Blind;
pub(crate) use facts::Rule;
pub(crate) use rules::rules;

use super::{Denied, Shared, check_host, check_token, refusal};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use camarad_policies::hex::hex;
use facts::Facts;
use runs::Format;
use serde::Deserialize;

/// What is asked for in the query.
#[derive(Default, Deserialize)]
struct Asked {
    /// Rules to look for.
    #[serde(default)]
    matrix: String,
}

/// On every answer here, refusals included.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];
/// Of what is no page.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// The routes.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(page))
        .route("/status.json", get(json))
        .route("/runs/{file}", get(download))
}

async fn page(
    State(admin): State<Shared>,
    headers: HeaderMap,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let listen = admin.current.load().config.admin.listen;
    let host = curl_host(&headers).unwrap_or_else(|| listen.to_string());
    let Some(nonce) = nonce() else {
        let words = "The system gives no randomness";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return told(NO_PAGE, refusal(status, "internal_error", words));
    };
    match facts(admin, &headers, query).await {
        Ok(facts) => {
            let policy = format!(
                "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            );
            let page = page::page(&facts, &nonce, &host).into_string();
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            told(&policy, (kind, page).into_response())
        }
        Err(denied) => told(NO_PAGE, denied),
    }
}

async fn json(
    State(admin): State<Shared>,
    headers: HeaderMap,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let answer = match facts(admin, &headers, query).await {
        Ok(facts) => axum::Json(facts).into_response(),
        Err(denied) => denied,
    };
    told(NO_PAGE, answer)
}

/// What is told to this caller, or what is missing.
async fn facts(
    admin: Shared,
    headers: &HeaderMap,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Facts, Response> {
    let current = admin.current.load_full();
    let config = &current.config.admin;
    check_host(config, headers).map_err(denied)?;
    // A proxy in front may have credentials of its own there, of another kind.
    let given = headers.get(header::AUTHORIZATION);
    let named = given.is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    if named {
        check_token(config, headers).map_err(denied)?;
    }
    // A query that cannot be read looks for nothing.
    let Query(asked) = query.unwrap_or_default();
    let gathered =
        tokio::task::spawn_blocking(move || gather::gather(&admin, &asked.matrix, named));
    gathered.await.map_err(|_| broken())
}

/// `GET /runs/<run_id>.json` and `.csv`: the trace of a run, for the admin token alone.
async fn download(
    State(admin): State<Shared>,
    headers: HeaderMap,
    Path(file): Path<String>,
) -> Response {
    let current = admin.current.load_full();
    let config = &current.config.admin;
    let may = check_host(config, &headers).and_then(|()| check_token(config, &headers));
    if let Err(missing) = may {
        return told(NO_PAGE, denied(missing));
    }
    told(NO_PAGE, run(&admin, &file).await)
}

async fn run(admin: &Shared, file: &str) -> Response {
    let none = |words| refusal(StatusCode::NOT_FOUND, "run_not_found", words);
    let Some((run_id, format)) = Format::of(file) else {
        return none("Expected /runs/<run_id>.json or /runs/<run_id>.csv");
    };
    let (state_dir, id) = (admin.state_dir.clone(), run_id.to_owned());
    let found = tokio::task::spawn_blocking(move || runs::download(&state_dir, &id, format)).await;
    match found {
        Ok(Ok(Some(body))) => {
            let name = format!("attachment; filename=\"run-{file}\"");
            let headers = [
                (header::CONTENT_TYPE, format.content_type().to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, body).into_response()
        }
        Ok(Ok(None)) => none("No such run; the status page and `runs list` have their ids"),
        Ok(Err(error)) => {
            tracing::error!("a run could not be read: {error}");
            let words = "The ledger cannot be read; the log says why";
            refusal(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", words)
        }
        Err(_) => broken(),
    }
}

/// The answer with what every answer here says to browsers.
fn told(policy: &str, answer: Response) -> Response {
    (HEADERS, [(header::CONTENT_SECURITY_POLICY, policy)], answer).into_response()
}

fn denied((status, code, words): Denied) -> Response {
    refusal(status, code, words)
}

fn broken() -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    refusal(status, "internal_error", "Internal error")
}

/// The caller's `Host`, for lines to paste into a shell: nothing a shell would read.
fn curl_host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    (host.len() <= 260 && host.bytes().all(is_plain)).then(|| host.to_owned())
}

/// What only this answer's style sheet knows.
fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}
