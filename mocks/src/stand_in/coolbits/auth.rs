//! Who a token is, the service account's login, and the way to Google and back.
//!
//! The service account's token is `service-<email>` after every login, so that a test
//! knows it by its hash. It is nobody in particular to `GET /api/auth/me`, and may ask
//! for any account, as any token may.

use super::super::server::{Asked, Body, found, json_answer};
use super::super::users;
use super::ok;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// What needs no token; `None` where there is no such route.
pub(super) fn without_token(asked: &Asked) -> Option<Response<Body>> {
    let answer = match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/api/auth/mock-login") => {
            let email = asked.json()["email"].as_str().unwrap_or("").to_owned();
            ok(json!({"token": format!("service-{email}")}))
        }
        ("GET", "/api/auth/google/start") => redirect(
            "https://accounts.example/consent?state=live-state&scope=openid%20email",
            &["oauth_state=live-state; Path=/api/auth; HttpOnly; SameSite=Lax"],
        ),
        ("GET", "/api/auth/google/callback") => redirect(
            "/signup?next=%2Fapp&signed_in=1",
            &[
                "oauth_state=; Path=/api/auth; Max-Age=0",
                "coolbits_session=live-session; Path=/; HttpOnly; Secure",
            ],
        ),
        ("GET", "/api/connectors/ga4/oauth/callback") => redirect(
            "/connectors?ga4=connected",
            &["ga4_oauth=done; Path=/; HttpOnly"],
        ),
        _ => return None,
    };
    Some(answer)
}

/// The user whom a token names.
pub(super) fn me(token: &str) -> Response<Body> {
    match users::of_token(token) {
        Some(user) => ok(json!({"email": users::email(user)})),
        None => json_answer(StatusCode::UNAUTHORIZED, &json!({"error": "unauthorized"})),
    }
}

fn redirect(location: &'static str, cookies: &[&'static str]) -> Response<Body> {
    let mut answer = found(location);
    for cookie in cookies {
        let cookie = HeaderValue::from_static(cookie);
        answer.headers_mut().append("set-cookie", cookie);
    }
    answer
}
