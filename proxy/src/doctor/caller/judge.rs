//! What tokens, lists of clients and lists of links say, and which clients the rest
//! is tried with. Pure.

use super::super::probe::Got;
use super::super::report::{Finding, plain};
use camarad_policies::accounts;
use camarad_policies::identity::{Clients, Verified};
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A token that ends within this many seconds is about to.
const SOON: u64 = 600;
/// Clients named at most.
const MOST_NAMED: usize = 12;

pub(super) fn refused(refusal: Refusal) -> Finding {
    let todo = match refusal {
        Refusal::TokenMalformed => "give the token alone, without \"Bearer\", on one line",
        Refusal::TokenExpired => "sign in again, or mint a new one (camarad-sidecar token mint)",
        Refusal::TokenBadSignature | Refusal::TokenUnknownKey => {
            "set the secret or the key URL with which these tokens are signed"
        }
        Refusal::TokenAlgorithmNotAllowed => {
            "set algorithms of the issuer to those its tokens are signed with"
        }
        Refusal::TokenClaimsInvalid => {
            "give the token exp, and set user_claim and clients_claim to the claims it has"
        }
        Refusal::TokenWrongIssuer | Refusal::TokenWrongAudience => {
            "use a token of this installation, or correct issuer and audience in the settings"
        }
        Refusal::TokenNotYetValid => "set the clocks, or wait until its nbf",
        Refusal::KeysUnavailable => "repair the JWK set first, see \"keys\"",
        _ => "use another token",
    };
    let seen = format!(
        "the token is refused: {}: {}",
        refusal.answer().code,
        refusal.why()
    );
    Finding::fail(seen, todo)
}

pub(super) fn token(verified: &Verified, now: u64) -> Finding {
    let seen = format!("token {} is good", verified.token().short_hash());
    let left = verified.expires().map(|end| end.saturating_sub(now));
    match left {
        None => Finding::pass(format!(
            "{seen} as far as its form goes; the login judges it"
        )),
        Some(left) if left < SOON => Finding::warn(
            format!("{seen}, but for {left} s only"),
            "take a new one before it is used",
        ),
        Some(left) => Finding::pass(format!("{seen} for {} min", left / 60)),
    }
}

pub(super) fn of_user(user: UserId, verified: &Verified, claimed: &Clients) -> Finding {
    let by = match verified.user() {
        Some(_) => "its claim says",
        None => "the app's login says",
    };
    let limit = match claimed {
        Clients::Claimed(clients) => format!("it is limited to {}", named(clients)),
        Clients::Unclaimed => "it is not limited to clients".into(),
    };
    Finding::pass(format!("the token is user {user}'s, {by}; {limit}"))
}

fn named(clients: &[ClientId]) -> String {
    let shown = clients.iter().take(MOST_NAMED);
    let mut shown: Vec<String> = shown.map(ToString::to_string).collect();
    if clients.len() > MOST_NAMED {
        shown.push(format!("{} more", clients.len() - MOST_NAMED));
    }
    match shown.as_slice() {
        [] => "no client".into(),
        [one] => format!("client {one}"),
        many => format!("clients {}", many.join(", ")),
    }
}

/// The app's own list of the user's clients; `None` where there is none to read.
pub(super) fn directory(got: &Got) -> (Option<Vec<ClientId>>, Finding) {
    let todo = "let the app answer GET /api/clients; until then nobody is let in";
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => return (None, trouble.finding("the app", todo)),
    };
    let said = answer.json();
    let rows = said.as_array().or_else(|| said["clients"].as_array());
    let id = |row: &Value| ClientId::parse(&row["id"].as_u64()?.to_string()).ok();
    let ids: Option<Vec<ClientId>> = rows.and_then(|rows| rows.iter().map(id).collect());
    match (answer.status, ids) {
        (200, Some(ids)) if ids.is_empty() => (
            Some(ids),
            Finding::warn(
                "the app lists no client of this user",
                "make one in the app, or use another user's token",
            ),
        ),
        (200, Some(ids)) => {
            let seen = format!("the app lists {}", named(&ids));
            (Some(ids), Finding::pass(seen))
        }
        (200, None) => (
            None,
            Finding::fail("GET /api/clients of the app is no list of clients", todo),
        ),
        (status, _) => (
            None,
            Finding::fail(
                format!("GET /api/clients of the app answers {status}"),
                todo,
            ),
        ),
    }
}

/// The clients with which the rest is tried.
pub(super) struct Chosen {
    pub(super) own: Option<ClientId>,
    pub(super) foreign: Option<ClientId>,
    pub(super) is_wanted: bool,
    pub(super) finding: Finding,
}

/// What both the token and the app's list allow; `listed` is `None` where it could not be read.
pub(super) fn choose(
    claimed: &Clients,
    listed: Option<&[ClientId]>,
    wanted: Option<ClientId>,
) -> Chosen {
    let is_claimed = |id: &ClientId| *claimed == Clients::Unclaimed || claimed.allow(*id);
    let is_listed = |id: &ClientId| listed.is_none_or(|listed| listed.contains(id));
    let all: &[ClientId] = match (listed, claimed) {
        (Some(listed), _) => listed,
        (None, Clients::Claimed(claimed)) => claimed,
        (None, Clients::Unclaimed) => &[],
    };
    let allowed = |id: &ClientId| is_claimed(id) && is_listed(id);
    let first = all.iter().copied().find(allowed);
    let foreign = || {
        let mut ids = (1..).filter_map(|id: u64| ClientId::parse(&id.to_string()).ok());
        ids.find(|id| !all.contains(id) && !claimed.allow(*id))
    };
    let made = |own, foreign, is_wanted, finding| Chosen {
        own,
        foreign,
        is_wanted,
        finding,
    };
    match (wanted, first) {
        (Some(wanted), _) if is_claimed(&wanted) && all.contains(&wanted) => {
            let finding = Finding::pass(format!("client {wanted} is theirs"));
            made(Some(wanted), foreign(), true, finding)
        }
        (Some(wanted), first) => {
            let (seen, todo) = match (is_claimed(&wanted), listed) {
                (_, None) => ("cannot be looked up", "let the app list its clients first"),
                (false, _) => (
                    "is not in the token's clients claim",
                    "use a token that names it, or another client",
                ),
                (true, _) => (
                    "is not in the app's list of this user's clients",
                    "name a client of this user, or use the token of the client's user",
                ),
            };
            let finding = Finding::fail(format!("client {wanted} {seen}"), todo);
            // What the claim grants is let in, and proves nothing.
            let refused = match claimed.allow(wanted) {
                true => foreign(),
                false => Some(wanted),
            };
            made(first, refused, false, finding)
        }
        (None, Some(first)) => {
            let finding = Finding::pass(format!("client {first} is tried; --client names another"));
            made(Some(first), foreign(), true, finding)
        }
        (None, None) => {
            let finding = match (claimed, listed) {
                (Clients::Claimed(claimed), Some(_)) if !claimed.is_empty() => Finding::fail(
                    "the app lists none of the clients in the token's claim",
                    "give the token the app's own ids of this user's clients",
                ),
                _ => Finding::skip(
                    "no client is known that could be tried",
                    "let the app list its clients, or make one",
                ),
            };
            made(None, foreign(), true, finding)
        }
    }
}

/// The connectors of which a client has links, by their names in the links.
pub(super) fn links(got: &Got, client: ClientId) -> (BTreeSet<String>, Finding) {
    let todo = "let the app answer GET /api/client_connectors; until then accounts are refused";
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => return (BTreeSet::new(), trouble.finding("the app", todo)),
    };
    if answer.status != 200 || accounts::links(&answer.body).is_none() {
        let seen = format!(
            "GET /api/client_connectors of the app answers {} and no list of links",
            answer.status
        );
        return (BTreeSet::new(), Finding::fail(seen, todo));
    }
    let said = answer.json();
    let rows = said.as_array().into_iter().flatten();
    let own = rows.filter(|row| row["client_id"] == json!(client));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in own.filter(|row| row["status"] != "disconnected") {
        let slug = row["connector_slug"].as_str().or(row["slug"].as_str());
        let slug = plain(slug.unwrap_or("unknown")).trim().to_lowercase();
        *counts.entry(slug.replace([' ', '_'], "-")).or_default() += 1;
    }
    let told: Vec<String> = counts
        .iter()
        .map(|(slug, n)| format!("{slug} {n}"))
        .collect();
    let finding = match told.is_empty() {
        true => Finding::warn(
            format!(
                "client {client} is linked to no account: any that no other client has is shown"
            ),
            "link its accounts in the app's settings",
        ),
        false => Finding::pass(format!("client {client} is linked to {}", told.join(", "))),
    };
    (counts.into_keys().collect(), finding)
}

#[cfg(test)]
mod tests;
