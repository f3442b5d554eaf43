//! Answers of our own, and the one place that writes them.

use super::context::Context;
use super::exchange::{Exchange, Tags};
use crate::budget::Held;
use bytes::{Bytes, BytesMut};
use camarad_policies::cookies::SEAL;
use camarad_policies::limit::Level;
use camarad_policies::normalise::METHODS;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use camarad_policies::seal::LIFE;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use pingora::proxy::Session;
use serde_json::json;
use std::io;
use std::time::Duration;

/// Our tag of who produced the figures.
pub(super) const SOURCE: HeaderName = HeaderName::from_static("x-camarad-source");
/// Our id of the request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is written about every answer: an upstream's own would make two of them.
const OURS: [HeaderName; 5] = [
    header::DATE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    SOURCE,
    REQUEST_ID,
];

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

    /// Writes the head as it goes out, with the tags of every answer.
    pub(super) fn write_head(&self, out: &mut BytesMut, tags: &Tags<'_>, keep: bool) {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut line = |name: &str, value: &[u8]| {
            for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        };
        line("Date", get_cached_date().as_bytes());
        line(
            "Connection",
            if keep { "keep-alive" } else { "close" }.as_bytes(),
        );
        if !matches!(self.status, 204 | 304) {
            line("Content-Length", self.body.len().to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            if !OURS.contains(name) {
                line(name.as_str(), value.as_bytes());
            }
        }
        line("X-Camarad-Source", self.source.as_str().as_bytes());
        line("X-Request-Id", tags.request_id.as_bytes());
        if let Some(cookie) = tags.cookie {
            line("Set-Cookie", cookie.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Exchange {
    /// Refuses: notes it in the record and writes the answer.
    pub(super) async fn refuse(
        &mut self,
        context: &mut Context,
        refusal: Refusal,
    ) -> io::Result<()> {
        if refusal.leaves_body() {
            // What is left of the body would read as the next request.
            self.close_after();
        }
        let answer = refused(context, refusal);
        self.answer(context, answer).await
    }

    /// Writes a whole answer, with the tags that every answer carries.
    pub(super) async fn answer(&mut self, context: &mut Context, answer: Answer) -> io::Result<()> {
        context.record.source = Some(answer.source);
        let cookie = seal(context);
        let tags = Tags {
            request_id: &context.record.request_id,
            cookie: cookie.as_deref(),
        };
        let written = self.write(&answer, &tags).await;
        // Until here the body was held.
        drop(answer.held);
        written
    }
}

/// The answer to what is refused, which is noted in the record.
fn refused(context: &mut Context, refusal: Refusal) -> Answer {
    context.record.refuse(refusal);
    let answer = Answer::refusal(refusal, &context.record.request_id, context.is_api);
    match context.level {
        Some(level) => answer.limited(level, refusal),
        None => answer,
    }
}

/// Refuses where Pingora has the request.
pub(super) async fn refuse_streamed(
    session: &mut Session,
    context: &mut Context,
    refusal: Refusal,
) -> pingora::Result<()> {
    // Pingora would announce keep-alive and then close.
    session.set_keepalive(None);
    let answer = refused(context, refusal);
    context.record.source = Some(answer.source);
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in answer.headers {
        head.append_header(name, value)?;
    }
    tag(&mut head, context)?;
    head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    let is_silent = context.record.method == "HEAD" || answer.body.is_empty();
    session
        .write_response_header(Box::new(head), is_silent)
        .await?;
    if !is_silent {
        session.write_response_body(Some(answer.body), true).await?;
    }
    Ok(())
}

/// The tags of an answer that Pingora passes on; an upstream's own are replaced.
pub(super) fn tag(head: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let source = context.record.source.unwrap_or(Source::Sidecar);
    head.insert_header(SOURCE, source.as_str())?;
    head.insert_header(REQUEST_ID, context.record.request_id.as_str())?;
    if let Some(cookie) = seal(context) {
        head.append_header(header::SET_COOKIE, cookie)?;
    }
    Ok(())
}

/// `Set-Cookie` with a new seal, where there is one.
fn seal(context: &Context) -> Option<String> {
    let seal = context.seal.as_ref()?;
    let forwarded = context.forwarded.as_ref();
    let is_https = forwarded.is_some_and(|said| said.proto == "https");
    let secure = if is_https { "; Secure" } else { "" };
    Some(format!(
        "{SEAL}={seal}; Path=/; Max-Age={LIFE}; HttpOnly; SameSite=Lax{secure}"
    ))
}
