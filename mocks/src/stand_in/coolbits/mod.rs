//! Coolbits' side of the contract, section 4: figures that differ by the token's user and
//! by the customer, property, site or container asked for, so that a test sees whose
//! answer it got. A token that names no user is one by itself.
//!
//! Weak as Coolbits is: a token may ask for any account. Long names of connectors
//! (`google-ads`, `google-search-console`) are not known here.

mod auth;
mod bridge;
mod ga4;
mod google_ads;
mod model;
mod wrong;

use super::faults::Fault;
use super::server::{Asked, Body, StandIn, json_answer, sha256_hex};
use super::users;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use time::Date;
use time::format_description::well_known::Iso8601;

#[derive(Default)]
pub(super) struct Coolbits {
    google_ads: google_ads::GoogleAds,
    ga4: ga4::Ga4,
    model: model::Model,
}

impl StandIn for Coolbits {
    fn answer(&self, asked: &Asked, fault: Fault) -> Response<Body> {
        let is = |line: &str| line.split_once(' ') == Some((asked.method.as_str(), &asked.path));
        if is("GET /healthz") {
            return ok(json!({"status": "ok"}));
        }
        if let Some(answer) = auth::without_token(asked) {
            return answer;
        }
        let Some(token) = asked.bearer().filter(|token| !token.is_empty()) else {
            return json_answer(StatusCode::UNAUTHORIZED, &json!({"error": "unauthorized"}));
        };
        if is("GET /api/auth/me") {
            return auth::me(token);
        }
        let path = asked.path.strip_prefix("/api/connectors/");
        let answer = match path.and_then(|path| path.split_once('/')) {
            Some(("googleads", what)) => self.google_ads.answer(token, what, asked, fault),
            Some(("ga4", what)) => self.ga4.answer(token, what, asked, fault),
            Some((connector, what)) => bridge::answer(token, connector, what, asked, fault),
            None => self.model.answer(asked),
        };
        answer.unwrap_or_else(|| json_answer(StatusCode::NOT_FOUND, &json!({"error": "not_found"})))
    }
}

fn ok(value: Value) -> Response<Body> {
    json_answer(StatusCode::OK, &value)
}

fn bad_request(error: &str) -> Response<Body> {
    json_answer(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

/// What figures are made from: nobody else's token and no other account has it.
fn seed(token: &str, account: &str) -> String {
    let whose = match users::of_token(token) {
        Some(user) => users::email(user),
        None => sha256_hex(token.as_bytes()),
    };
    format!("{whose}|{account}")
}

/// The last day and the length of the window asked for, 401 days at most; one day
/// where it ends before it begins.
fn window(asked: &Asked) -> Option<(Date, u16)> {
    let date = |name: &str| {
        let text = asked.parameter(name)?;
        Date::parse(&text, &Iso8601::DATE).ok()
    };
    let (from, to) = (date("from")?, date("to")?);
    let days = (to - from).whole_days().clamp(0, 400) as u16 + 1;
    Some((to, days))
}

/// The account in this query parameter, or `other` with the fault that says so.
fn account(asked: &Asked, parameter: &str, other: &str, fault: Fault) -> Option<String> {
    let named = asked.parameter(parameter).filter(|id| !id.is_empty())?;
    match fault {
        Fault::WrongAccount => Some(other.to_owned()),
        _ => Some(named),
    }
}

/// The list with a name that says where it comes from.
fn live(mut list: Value, key: &str, name: &str) -> Value {
    for row in list[key].as_array_mut().into_iter().flatten() {
        row[name] = json!(format!("Live {}", row[name].as_str().unwrap_or_default()));
    }
    list
}

#[cfg(test)]
mod tests;
