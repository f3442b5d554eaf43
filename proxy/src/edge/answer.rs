//! Answers of our own, and the one place that writes them.

use super::context::Context;
use super::exchange::{Exchange, Tags};
use crate::budget::Held;
use bytes::Bytes;
use camarad_policies::cookies::SEAL;
use camarad_policies::limit::Level;
use camarad_policies::normalise::METHODS;
use camarad_policies::onward::Delivery;
use camarad_policies::record::Source;
use camarad_policies::refusal::{Answer as Words, Refusal};
use camarad_policies::seal::LIFE;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use pingora::proxy::Session;
use std::io;
use std::time::Duration;

/// Our tag of who produced the figures.
pub(super) const SOURCE: HeaderName = HeaderName::from_static("x-camarad-source");
/// Our id of the request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of an answer of our own.
const USUAL_HEADERS: usize = 8;

/// Values that most answers have, made once.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Header lines besides, as they go out, each with its end.
    pub(super) lines: Vec<u8>,
    pub(super) body: Bytes,
    pub(super) source: Source,
    /// The body's share of the memory for bodies.
    pub(super) held: Option<Held>,
}

impl Answer {
    /// JSON with this body.
    pub(super) fn json(status: u16, body: Bytes, source: Source) -> Self {
        Self::of_kind(JSON, status, body, source)
    }

    /// With a body of this kind.
    fn of_kind(kind: HeaderValue, status: u16, body: Bytes, source: Source) -> Self {
        let mut headers = Vec::with_capacity(USUAL_HEADERS);
        headers.push((header::CONTENT_TYPE, kind));
        Self {
            status,
            headers,
            lines: Vec::new(),
            body,
            source,
            held: None,
        }
    }

    /// The same with a header of fixed text.
    fn saying(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
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
            let body = refused_body(&words, request_id);
            Self::json(words.status, body, Source::Sidecar)
        } else {
            // With an icon of its own: a browser would ask for /favicon.ico, and be refused that, too.
            let page = format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{status}</title>\n\
                 <link rel=\"icon\" href=\"data:,\">\n<h1>{status}</h1>\n<p>{words}.</p>\n<p>Request {request_id}</p>\n</html>\n",
                status = words.status,
                words = words.words,
            );
            Self::of_kind(HTML, words.status, page.into(), Source::Sidecar)
        };
        let answer = answer.saying(header::CACHE_CONTROL, NO_STORE);
        match words.status {
            401 if refusal == Refusal::TokenMissing => {
                let realm = HeaderValue::from_static("Bearer realm=\"camarad\"");
                answer.saying(header::WWW_AUTHENTICATE, realm)
            }
            401 => {
                let error = format!(
                    "Bearer realm=\"camarad\", error=\"invalid_token\", error_description=\"{}\"",
                    words.code
                );
                answer.with(header::WWW_AUTHENTICATE, &error)
            }
            405 => answer.with(header::ALLOW, &METHODS.join(", ")),
            503 => answer.saying(header::RETRY_AFTER, HeaderValue::from_static("5")),
            _ => answer,
        }
    }
}

/// What a script is told about a refusal, as [`crate::json`] would write it: none of these
/// texts has anything to escape.
fn refused_body(words: &Words, request_id: &str) -> Bytes {
    let pieces = [
        "{\"code\":\"",
        words.code,
        "\",\"error\":\"",
        words.words,
        "\",\"request_id\":\"",
        request_id,
        "\"}\n",
    ];
    pieces.concat().into()
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
            lines: Vec::new(),
            body: Bytes::new(),
            source: Source::Sidecar,
            held: None,
        }
        .with(header::LOCATION, target)
        .with(header::CACHE_CONTROL, "no-store")
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

    /// Writes the head as it goes out, with the tags of every answer; `is_silent`: and nothing
    /// behind it.
    pub(super) fn write_head(
        &self,
        out: &mut Vec<u8>,
        tags: &Tags<'_>,
        keep: bool,
        is_silent: bool,
    ) {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        push_line(out, "Date", get_cached_date().as_bytes());
        push_line(out, "Connection", connection(keep));
        // The app was asked with HEAD, too: what GET would have is not known (RFC 9110, section 8.6).
        let is_unknown = is_silent && self.body.is_empty();
        if !matches!(self.status, 204 | 304) && !is_unknown {
            let mut digits = itoa::Buffer::new();
            let length = digits.format(self.body.len()).as_bytes();
            push_line(out, "Content-Length", length);
        }
        out.extend_from_slice(&self.lines);
        for (name, value) in &self.headers {
            push_line(out, name.as_str(), value.as_bytes());
        }
        end_head(out, self.source, tags);
    }
}

/// Ends the head of an answer that goes on in pieces, behind the lines that were passed on.
pub(super) fn end_passed_head(
    out: &mut Vec<u8>,
    context: &Context,
    delivery: Delivery,
    keep: bool,
    is_dated: bool,
) {
    if !is_dated {
        push_line(out, "Date", get_cached_date().as_bytes());
    }
    push_line(out, "Connection", connection(keep));
    if delivery == Delivery::Chunked {
        push_line(out, "Transfer-Encoding", b"chunked");
    }
    let cookie = seal(context);
    let tags = Tags {
        request_id: &context.record.request_id,
        cookie: cookie.as_deref(),
    };
    end_head(out, Source::Legacy, &tags);
}

fn end_head(out: &mut Vec<u8>, source: Source, tags: &Tags<'_>) {
    push_line(out, "X-Camarad-Source", source.as_str().as_bytes());
    push_line(out, "X-Request-Id", tags.request_id.as_bytes());
    if let Some(cookie) = tags.cookie {
        push_line(out, "Set-Cookie", cookie.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// One header line, as it goes out.
pub(super) fn push_line(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[u8]) {
    push_line_of(out, name, &[value]);
}

/// One header line with a value in pieces.
pub(super) fn push_line_of(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[impl AsRef<[u8]>]) {
    out.extend_from_slice(name.as_ref());
    out.extend_from_slice(b": ");
    for piece in value {
        out.extend_from_slice(piece.as_ref());
    }
    out.extend_from_slice(b"\r\n");
}

fn connection(keep: bool) -> &'static [u8] {
    if keep { b"keep-alive" } else { b"close" }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_script_is_told_of_a_refusal_is_as_json_would_be_written() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for refusal in Refusal::ALL {
            let words = refusal.answer();
            let (code, error) = (words.code, words.words);
            let told = json!({"code": code, "error": error, "request_id": id});
            let expected = crate::json::to_body(&told);
            assert_eq!(refused_body(&words, id), expected, "{code}");
        }
    }
}
