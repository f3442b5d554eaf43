//! Which user a token or an e-mail names: what both stand-ins agree on.
//!
//! No check of any kind: a token is `session-of-user-<id>`, or has
//! `user<id>@example.com` as `email` in the payload of a JWT, whoever signed it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The user whom a token names.
pub(super) fn of_token(token: &str) -> Option<u64> {
    let claimed = || {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        of_email(claims["email"].as_str()?)
    };
    match token.strip_prefix("session-of-user-") {
        Some(id) => id.parse().ok(),
        None => claimed(),
    }
}

/// The user of an e-mail of the shape that [`email`] gives.
pub(super) fn of_email(email: &str) -> Option<u64> {
    let id = email.strip_prefix("user")?.strip_suffix("@example.com")?;
    id.parse().ok()
}

/// A user's e-mail.
pub(super) fn email(user: u64) -> String {
    format!("user{user}@example.com")
}
