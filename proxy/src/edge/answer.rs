//! Answers of our own, and the one place that writes them.

use super::context::Context;
use crate::budget::Held;
use bytes::Bytes;
use camarad_policies::cookies::SEAL;
use camarad_policies::limit::Level;
use camarad_policies::normalise::METHODS;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use camarad_policies::seal::LIFE;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// IMF-fixdate (RFC 9110, section 5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Our tag of who produced the figures.
pub(super) const SOURCE: HeaderName = HeaderName::from_static("x-camarad-source");
/// Our id of the request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    pub(super) source: Source,
    /// The body's share of the memory for bodies.
    pub(super) held: Option<Held>,
}

impl Answer {
    /// JSON with this body.
    pub(super) fn json(status: u16, body: Bytes, source: Source) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, json)],
            body,
            source,
            held: None,
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        // Values are ours and plain; one that is not is left out rather than sent broken.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// What a caller is told about a refusal.
    pub(super) fn refusal(refusal: Refusal, request_id: &str, is_api: bool) -> Self {
        let words = refusal.answer();
        let answer = if is_api {
            let body = json!({"error": words.words, "code": words.code, "request_id": request_id});
            Self::json(words.status, crate::json::to_body(&body), Source::Sidecar)
        } else {
            // With an icon of its own: a browser would ask for /favicon.ico, and be refused that, too.
            let page = format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{status}</title>\n\
                 <link rel=\"icon\" href=\"data:,\">\n<h1>{status}</h1>\n<p>{words}.</p>\n<p>Request {request_id}</p>\n</html>\n",
                status = words.status,
                words = words.words,
            );
            Self {
                status: words.status,
                headers: vec![(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/html; charset=utf-8"),
                )],
                body: page.into(),
                source: Source::Sidecar,
                held: None,
            }
        };
        let answer = answer.with(header::CACHE_CONTROL, "no-store");
        match words.status {
            401 if refusal == Refusal::TokenMissing => {
                answer.with(header::WWW_AUTHENTICATE, "Bearer realm=\"camarad\"")
            }
            401 => {
                let error = format!(
                    "Bearer realm=\"camarad\", error=\"invalid_token\", error_description=\"{}\"",
                    words.code
                );
                answer.with(header::WWW_AUTHENTICATE, &error)
            }
            405 => answer.with(header::ALLOW, &METHODS.join(", ")),
            503 => answer.with(header::RETRY_AFTER, "5"),
            _ => answer,
        }
    }
}

/// What is left of the caller's refusals (draft-ietf-httpapi-ratelimit-headers-07), in whole seconds.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

impl Answer {
    /// A redirect to another target of this host.
    pub(super) fn redirect(target: &str) -> Self {
        Self {
            status: 302,
            headers: Vec::new(),
            body: Bytes::new(),
            source: Source::Sidecar,
            held: None,
        }
        .with(header::LOCATION, target)
        .with(header::CACHE_CONTROL, "no-store")
    }

    /// The same for somebody who has it already (RFC 9110, section 15.4.5).
    pub(super) fn not_modified(mut self) -> Self {
        self.status = 304;
        self.body = Bytes::new();
        self.headers
            .retain(|(name, _)| *name != header::CONTENT_TYPE);
        self
    }

    /// The same, telling what is left of the caller's refusals.
    fn limited(self, level: Level, refusal: Refusal) -> Self {
        let seconds = |time: Duration| time.as_millis().div_ceil(1000).to_string();
        let told = self
            .with(LIMIT, &level.limit.to_string())
            .with(REMAINING, &level.remaining.to_string())
            .with(RESET, &seconds(level.full_in));
        match refusal {
            Refusal::RateLimited => told.with(header::RETRY_AFTER, &seconds(level.next_in)),
            _ => told,
        }
    }

    /// The bytes of this answer where there is no session to write it; closes the connection.
    pub(super) fn last_words(&self, request_id: &str, method: &str) -> Vec<u8> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let date = OffsetDateTime::now_utc()
            .format(&HTTP_DATE)
            .unwrap_or_default();
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nConnection: close\r\nContent-Length: {}\r\n\
             X-Request-Id: {request_id}\r\nX-Camarad-Source: {}\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            self.body.len(),
            self.source.as_str(),
        )
        .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        if method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Refuses: notes it in the record and writes the answer.
pub(super) async fn refuse(
    session: &mut Session,
    context: &mut Context,
    refusal: Refusal,
) -> pingora::Result<()> {
    context.record.refuse(refusal);
    if refusal.leaves_body() {
        // What is left of the body would read as the next request.
        session.set_keepalive(None);
    }
    let mut answer = Answer::refusal(refusal, &context.record.request_id, context.is_api);
    if let Some(level) = context.level {
        answer = answer.limited(level, refusal);
    }
    write(session, context, answer).await
}

/// Writes a whole answer, with the tags that every answer carries.
pub(super) async fn write(
    session: &mut Session,
    context: &mut Context,
    answer: Answer,
) -> pingora::Result<()> {
    context.record.source = Some(answer.source);
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in answer.headers {
        head.append_header(name, value)?;
    }
    tag(&mut head, context)?;
    let bodiless = matches!(answer.status, 204 | 304);
    if !bodiless {
        head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    }
    let silent = bodiless || context.record.method == "HEAD" || answer.body.is_empty();
    session
        .write_response_header(Box::new(head), silent)
        .await?;
    if !silent {
        session.write_response_body(Some(answer.body), true).await?;
    }
    // Until here the body was held.
    drop(answer.held);
    Ok(())
}

/// The tags of every answer, ours or passed through; an upstream's own are replaced.
pub(super) fn tag(head: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let source = context.record.source.unwrap_or(Source::Sidecar);
    head.insert_header(SOURCE, source.as_str())?;
    head.insert_header(REQUEST_ID, context.record.request_id.as_str())?;
    if let Some(seal) = &context.seal {
        let https = context
            .forwarded
            .as_ref()
            .is_some_and(|said| said.proto == "https");
        let secure = if https { "; Secure" } else { "" };
        let cookie =
            format!("{SEAL}={seal}; Path=/; Max-Age={LIFE}; HttpOnly; SameSite=Lax{secure}");
        head.append_header(header::SET_COOKIE, cookie)?;
    }
    Ok(())
}
