//! Answers of our own, and the one place that writes them.

use super::context::Context;
use bytes::Bytes;
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use http::header::{self, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::json;

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
            let page = format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{status}</title>\n\
                 <h1>{status}</h1>\n<p>{words}.</p>\n<p>Request {request_id}</p>\n</html>\n",
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
            503 => answer.with(header::RETRY_AFTER, "5"),
            _ => answer,
        }
    }
}

/// Refuses: notes it in the record and writes the answer.
pub(super) async fn refuse(
    session: &mut Session,
    context: &mut Context,
    refusal: Refusal,
) -> pingora::Result<()> {
    context.record.refuse(refusal);
    if refusal.answer().status >= 500 {
        let legacy = refusal.is_legacy_fault();
        context.record.origin = Some(if legacy {
            Origin::Legacy
        } else {
            Origin::Sidecar
        });
    }
    let answer = Answer::refusal(refusal, &context.record.request_id, context.is_api);
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
    Ok(())
}

/// The tags of every answer, ours or passed through; an upstream's own are replaced.
pub(super) fn tag(head: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let source = context.record.source.unwrap_or(Source::Sidecar);
    head.insert_header(SOURCE, source.as_str())?;
    head.insert_header(REQUEST_ID, context.record.request_id.as_str())?;
    Ok(())
}
