//! Consent at Google: requests that the app passes to Coolbits, and whose answer it
//! passes back.
//!
//! Weak on purpose: the callbacks give Coolbits the caller's whole `Cookie` header, the
//! app's own cookies included. No handler and no mark of whose data it is: nothing of
//! the app's is told.

use super::coolbits::{Call, Coolbits, Token, Unreachable};
use crate::stand_in::server::{Asked, Body, full, json_answer};
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// Headers of one connection or one framing, not of the answer.
const OWN: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
];

pub(super) async fn start(coolbits: &Coolbits, asked: &Asked) -> Response<Body> {
    let answer = pass(coolbits, asked, false).await;
    answer.unwrap_or_else(|_| unreachable("oauth_start_unreachable"))
}

pub(super) async fn callback(coolbits: &Coolbits, asked: &Asked) -> Response<Body> {
    let answer = pass(coolbits, asked, true).await;
    answer.unwrap_or_else(|_| unreachable("oauth_callback_unreachable"))
}

/// Status, headers and body as Coolbits gave them.
async fn pass(
    coolbits: &Coolbits,
    asked: &Asked,
    cookies: bool,
) -> Result<Response<Body>, Unreachable> {
    let theirs = coolbits.pass(asked, cookies).await?;
    let (status, mut headers) = (theirs.status(), theirs.headers().clone());
    for name in OWN {
        headers.remove(name);
    }
    let mut answer = Response::new(full(theirs.bytes().await?));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// Coolbits' address for consent, which leads back to this host. A refusal is passed on.
pub(super) async fn auth_url(coolbits: &Coolbits, asked: &Asked) -> Response<Body> {
    let call = Call::get("/api/connectors/ga4/auth/url", Vec::new());
    let Ok(reply) = coolbits.ask(&Token::of_caller(asked), &call).await else {
        return unreachable("auth_url_unreachable");
    };
    let url = reply.body["url"].as_str().filter(|_| reply.is_success());
    let Some(mut url) = url.and_then(|url| url::Url::parse(url).ok()) else {
        let status = StatusCode::from_u16(reply.status).unwrap_or_default();
        return match (reply.body, status.is_success()) {
            (Value::Object(body), false) => json_answer(status, &json!(body)),
            _ => json_answer(
                StatusCode::BAD_GATEWAY,
                &json!({"error": "auth_url_failed"}),
            ),
        };
    };
    let host = asked.header("host").unwrap_or("127.0.0.1");
    let back = format!("http://{host}/api/connectors/ga4/oauth/callback");
    let others = url.query_pairs().into_owned();
    let others: Vec<_> = others.filter(|(name, _)| name != "redirect_uri").collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("redirect_uri", &back);
    let mut told = reply.body.clone();
    told["url"] = json!(url.as_str());
    told["callback_url"] = json!(back);
    told["popup_mode"] = json!(asked.parameter("popup_mode").as_deref() == Some("1"));
    json_answer(StatusCode::OK, &told)
}

fn unreachable(error: &str) -> Response<Body> {
    let words = json!({"error": error, "detail": "Coolbits gave no answer"});
    json_answer(StatusCode::BAD_GATEWAY, &words)
}
