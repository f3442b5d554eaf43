//! Logging in, and what pages ask about the session.

use super::request::{Request, Told, ok, refused};
use super::store::Store;
use crate::stand_in::server::json_answer;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    let user = request.user;
    Some(match request.names() {
        ("GET", "/api/auth/status") => {
            let signed_in = user > 0 && request.asked.cookie("camarad_cb_token").is_some();
            ok(json!({"authenticated": signed_in, "user_id": user,
                      "onboarding_completed": user > 0}))
        }
        ("POST", "/api/auth/session") => login(request),
        ("POST", "/api/auth/onboarding") => {
            let name = request.body["company_name"].as_str().unwrap_or("Client");
            let made = store.add_client(user, name);
            ok(json!({"success": true, "onboarding_completed": true, "client_id": made}))
        }
        _ => return None,
    })
}

/// The login asks nobody here: a token is `session-of-user-<id>`, or names its user by an e-mail in its payload.
fn login(request: &Request) -> Told {
    let body = request.asked.json();
    let token = body["token"].as_str().unwrap_or_default().to_owned();
    if token.is_empty() {
        return refused(StatusCode::BAD_REQUEST, "missing_token");
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
        return json_answer(StatusCode::UNAUTHORIZED, &words).into();
    };
    let next = body["next"].as_str().filter(|next| next.starts_with('/'));
    let mut told = ok(json!({
        "success": true, "authenticated": true, "user_id": user, "next": next.unwrap_or("/app"),
        "email": format!("user{user}@example.com"), "onboarding_completed": true,
    }));
    // The page reads who the user is, and must not read the token.
    for (name, value, flag) in [
        ("camarad_user_id", user.to_string(), ""),
        ("camarad_cb_token", token, "; HttpOnly"),
    ] {
        let cookie = format!("{name}={value}; Max-Age=2592000; Path=/; SameSite=Lax{flag}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            told.answer.headers_mut().append("set-cookie", cookie);
        }
    }
    told
}
