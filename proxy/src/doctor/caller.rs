//! The caller of the token: whose it is, and which clients are theirs, as the app
//! itself says when it is asked as that user.
//!
//! The token is never told, only its short hash. The judging is in [`judge`].

mod judge;

use super::issuers;
use super::probe::{LONGEST, Prober, Question};
use super::report::{Check, Finding, Gate};
use crate::keys::KeyStore;
use crate::observe::{JsonLines, Observer};
use crate::sessions::now;
use camarad_config::Config;
use camarad_policies::identity::{Token, Verified};
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::refusal::Refusal;
use http::{HeaderName, header};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known about the caller.
pub(super) struct Caller {
    pub(super) token: Token,
    /// A client that they may use.
    pub(super) own: Option<ClientId>,
    /// One that they may not.
    pub(super) foreign: Option<ClientId>,
    /// `own` is the one that was asked about, or none was.
    pub(super) is_wanted: bool,
    /// Connectors of which `own` has links.
    pub(super) linked: BTreeSet<String>,
}

/// Looks at the token; without a caller where it did not pass.
pub(super) async fn look(
    config: &Config,
    prober: &Prober,
    text: &str,
    wanted: Option<ClientId>,
) -> (Vec<Check>, Option<Caller>) {
    let mut checks = Vec::new();
    let mut found = |finding: Finding, name: &str| checks.push(finding.of(Gate::B, name));
    let verified = match verify(config, prober, text).await {
        Ok(verified) => verified,
        Err(finding) => {
            found(finding, "token");
            return (checks, None);
        }
    };
    found(judge::token(&verified, now()), "token");
    let user = match verified.user() {
        Some(user) => Ok(user),
        None => {
            let body = json!({"token": text});
            issuers::user_of_login(&issuers::log_in(config, prober, body).await)
        }
    };
    let user = match user {
        Ok(user) => user,
        Err(finding) => {
            found(finding, "user");
            return (checks, None);
        }
    };
    let claimed = verified.clone().bound_to(user).clients().clone();
    found(judge::of_user(user, &verified, &claimed), "user");
    let token = verified.token().clone();
    let app = format!("http://{}", config.legacy.authority);
    let got = prober
        .ask(as_user(format!("{app}/api/clients"), user, &token))
        .await;
    let took = got.as_ref().ok().map(|answer| answer.took);
    let (listed, finding) = judge::directory(&got);
    checks.push(finding.of(Gate::B, "clients").took(took));
    let chosen = judge::choose(&claimed, listed.as_deref(), wanted);
    checks.push(chosen.finding.of(Gate::B, "client"));
    let mut linked = BTreeSet::new();
    if let Some(client) = chosen.own {
        let url = format!("{app}/api/client_connectors?client_id={client}");
        let got = prober.ask(as_user(url, user, &token)).await;
        let took = got.as_ref().ok().map(|answer| answer.took);
        let finding;
        (linked, finding) = judge::links(&got, client);
        checks.push(finding.of(Gate::B, "account links").took(took));
    }
    let caller = Caller {
        token,
        own: chosen.own,
        foreign: chosen.foreign,
        is_wanted: chosen.is_wanted,
        linked,
    };
    (checks, Some(caller))
}

/// Verifies as requests are verified, with the keys of now.
async fn verify(config: &Config, prober: &Prober, text: &str) -> Result<Verified, Finding> {
    let broken = |error: &dyn ToString| {
        Finding::skip(
            format!("not verified: {}", error.to_string()),
            "see that there is memory and there are descriptors, and look again",
        )
    };
    let observer = Observer::new(&config.burst, JsonLines::off(), JsonLines::off(), false);
    let observer = Arc::new(observer.map_err(|error| broken(&error))?);
    let http = KeyStore::client().map_err(|error| broken(&error))?;
    let store = KeyStore::new(&config.issuers, 0, observer, http);
    let identified = async {
        store.fetch_all().await;
        store.identify(text).await
    };
    match tokio::time::timeout(prober.left(LONGEST), identified).await {
        Ok(Ok(verified)) => Ok(verified),
        Ok(Err(refusal)) => Err(judge::refused(refusal)),
        Err(_) => Err(judge::refused(Refusal::KeysUnavailable)),
    }
}

/// A question to the app with the headers that the sidecar sends.
fn as_user(url: String, user: UserId, token: &Token) -> Question<'static> {
    let text = token.expose();
    let id = format!("doctor-{}-lookup", uuid::Uuid::now_v7().simple());
    let cookie = format!("camarad_user_id={user}; camarad_cb_token={text}");
    Question::get(url)
        .with(header::COOKIE, &cookie)
        .with(header::AUTHORIZATION, &format!("Bearer {text}"))
        .with(HeaderName::from_static("x-user-id"), &user.to_string())
        .with(HeaderName::from_static("x-request-id"), &id)
}

impl Caller {
    /// Whether the client has a link under any of these names.
    pub(super) fn has_link(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.linked.contains(*name))
    }
}

/// What is found where a token is needed and none was given.
pub(super) fn no_token() -> Finding {
    Finding::skip(
        "not looked at: it needs a token",
        "pass one on standard input: --token-stdin",
    )
}

/// The checks of a token that was not given.
pub(super) fn without() -> Vec<Check> {
    ["token", "user", "clients", "client", "account links"]
        .map(|name| no_token().of(Gate::B, name))
        .into()
}
