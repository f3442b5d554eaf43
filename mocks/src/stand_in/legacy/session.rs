//! Logging in, and what pages ask about the session.

use super::request::{Request, Told, ok, refused};
use super::store::Store;
use crate::stand_in::server::json_answer;
use crate::stand_in::users;
use http::{HeaderValue, StatusCode};
use serde_json::json;

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

/// Without Coolbits the token itself says whose it is.
fn login(request: &Request) -> Told {
    let body = request.asked.json();
    let token = body["token"].as_str().unwrap_or_default().to_owned();
    if token.is_empty() {
        return refused(StatusCode::BAD_REQUEST, "missing_token");
    }
    let user = match &request.fetched.login {
        None => users::of_token(&token).ok_or("coolbits_auth_me_http_401".to_owned()),
        Some(Ok(email)) if email.is_empty() => {
            return refused(StatusCode::BAD_REQUEST, "missing_email");
        }
        // The app makes a user of any other e-mail; this one has no names for them.
        Some(Ok(email)) => users::of_email(email).ok_or("no user of the stand-in".to_owned()),
        Some(Err(detail)) => Err(detail.clone()),
    };
    let user = match user {
        Ok(user) => user,
        Err(detail) => {
            let words = json!({"error": "auth_failed", "detail": detail});
            return json_answer(StatusCode::UNAUTHORIZED, &words).into();
        }
    };
    let next = body["next"].as_str().filter(|next| next.starts_with('/'));
    let mut told = ok(json!({
        "success": true, "authenticated": true, "user_id": user, "next": next.unwrap_or("/app"),
        "email": users::email(user), "onboarding_completed": true,
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
