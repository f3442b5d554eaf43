//! The API lane: answers that are fetched whole and written by us.

use super::Sidecar;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use super::upstream_request::managed;
use crate::cache::{Cached, Fetched};
use crate::gateway::Answerer;
use bytes::{Bytes, BytesMut};
use camarad_policies::authorise::Permit;
use camarad_policies::cache_key::CacheKey;
use camarad_policies::record::{CacheResult, Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Operation;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::proxy::Session;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest time for a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer of the app that is read whole.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Headers that belong to one connection (RFC 9110, 7.6.1), or that would keep
/// the answer from coming whole and plain.
const NOT_FORWARDED: [HeaderName; 15] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
];

impl Sidecar {
    /// Answers a connector route from the cache, Coolbits or the mock.
    pub(super) async fn connector(
        &self,
        context: &mut Context,
        decision: Decision,
        operation: Operation,
        answerer: Answerer,
    ) -> Result<Answer, Refusal> {
        let Decision { permit, switch, .. } = decision;
        let key = CacheKey::new(&permit, switch.generation);
        let kept = Duration::from_secs(permit.rule().cache_seconds.unwrap_or(0));
        let fallback_ttl = self.config.cache.fallback_ttl;
        let gateway = self.gateway.clone();
        let fetch = move || async move {
            let outcome = gateway.answer(operation, &answerer, &permit).await;
            let ttl = match outcome.failure {
                Some(_) => fallback_ttl.min(kept),
                None => kept,
            };
            Fetched { outcome, ttl }
        };
        let cached = self.cache.get(key, fetch).await.map_err(|_broke| {
            self.observer.metrics.panics_total.inc();
            Refusal::Internal
        })?;
        context.record.cache = Some(cached.result);
        context.record.fallback = cached.outcome.failure.map(|failure| failure.code());
        Ok(describe(cached))
    }

    /// Passes a request to the app and tags its made-up answer.
    pub(super) async fn made_up(
        &self,
        session: &mut Session,
        context: &mut Context,
        permit: &Permit,
    ) -> Result<Answer, Refusal> {
        let body = self.read_body(session).await?;
        let started = Instant::now();
        let outcome = self.fetch_legacy(session, context, permit, body).await;
        let code = match &outcome {
            Ok((status, ..)) if *status >= 500 => "http_5xx",
            Ok(_) => "ok",
            Err(refusal) => refusal.answer().code,
        };
        self.observer.upstream("legacy", code, started.elapsed());
        let (status, headers, body) = outcome?;
        if status >= 500 {
            context.record.origin = Some(Origin::Legacy);
        }
        let (body, source) = match (200..300).contains(&status) {
            true => (splice_source(body), Source::Mock),
            false => (body, Source::Legacy),
        };
        Ok(Answer {
            status,
            headers,
            body,
            source,
        })
    }

    async fn fetch_legacy(
        &self,
        session: &Session,
        context: &Context,
        permit: &Permit,
        body: Bytes,
    ) -> Result<(u16, Vec<(HeaderName, HeaderValue)>, Bytes), Refusal> {
        let legacy = &self.config.legacy;
        let mut headers = forwardable(&session.req_header().headers);
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let trusted = &self.config.server.trusted_proxies;
        for (name, value) in managed(session, permit, &context.record.request_id, trusted) {
            headers.remove(name);
            if let Some(value) = value {
                let value = HeaderValue::from_str(&value).map_err(|_| Refusal::HeaderAmbiguous)?;
                headers.insert(name, value);
            }
        }
        let method = permit.method().parse().map_err(|_| Refusal::Internal)?;
        let url = format!("http://{}{}", legacy.authority, permit.target());
        let request = self.legacy.request(method, url).headers(headers).body(body);
        let exchange = async {
            let mut response = request
                .send()
                .await
                .map_err(|error| match error.is_timeout() {
                    true => Refusal::LegacyTimeout,
                    false => Refusal::LegacyUnreachable,
                })?;
            let encoded = response
                .headers()
                .get(header::CONTENT_ENCODING)
                .is_some_and(|encoding| encoding != "identity");
            if encoded {
                return Err(Refusal::LegacyBadAnswer);
            }
            let mut whole = BytesMut::new();
            while let Some(chunk) = response
                .chunk()
                .await
                .map_err(|_| Refusal::LegacyBadAnswer)?
            {
                if whole.len() + chunk.len() > LARGEST_ANSWER {
                    return Err(Refusal::LegacyBadAnswer);
                }
                whole.extend_from_slice(&chunk);
            }
            let status = response.status().as_u16();
            let headers = forwardable(response.headers());
            let headers = headers
                .iter()
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            Ok((status, headers, whole.freeze()))
        };
        tokio::time::timeout(legacy.read_timeout, exchange)
            .await
            .unwrap_or(Err(Refusal::LegacyTimeout))
    }

    /// Reads the request's body whole, within its limits.
    async fn read_body(&self, session: &mut Session) -> Result<Bytes, Refusal> {
        let limit = self.config.limits.body;
        let head = session.req_header();
        let declared = head
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|l| l.to_str().ok());
        if declared
            .and_then(|l| l.parse().ok())
            .is_some_and(|l: usize| l > limit)
        {
            return Err(Refusal::BodyTooLarge);
        }
        let session = session.as_downstream_mut();
        if session.req_header().headers.contains_key(header::EXPECT) {
            // Pingora sends none by itself.
            session
                .write_continue_response()
                .await
                .map_err(|_| Refusal::BodyIncomplete)?;
        }
        let read = async {
            let mut whole = BytesMut::new();
            while let Some(chunk) = session
                .read_request_body()
                .await
                .map_err(|_| Refusal::BodyIncomplete)?
            {
                if whole.len() + chunk.len() > limit {
                    return Err(Refusal::BodyTooLarge);
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(whole.freeze())
        };
        tokio::time::timeout(BODY_TIMEOUT, read)
            .await
            .unwrap_or(Err(Refusal::BodyIncomplete))
    }
}

/// The headers that may go on: not those of the connection, nor those it names.
fn forwardable(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for value in headers.get_all(header::CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            kept.remove(name.trim());
        }
    }
    for name in NOT_FORWARDED {
        kept.remove(name);
    }
    kept.remove("keep-alive");
    kept
}

/// The answer of the cache with its headers.
fn describe(cached: Cached) -> Answer {
    let seconds = |left: Duration| left.as_secs();
    let status = match (cached.result, cached.ttl) {
        (CacheResult::Hit, left) => {
            format!("camarad-sidecar; hit; ttl={}", left.map_or(0, seconds))
        }
        (CacheResult::Miss, Some(left)) => {
            format!("camarad-sidecar; fwd=miss; stored; ttl={}", seconds(left))
        }
        (CacheResult::Miss, None) => "camarad-sidecar; fwd=miss".to_owned(),
        (CacheResult::Collapsed, _) => "camarad-sidecar; fwd=miss; collapsed".to_owned(),
    };
    let answer = Answer::json(200, cached.outcome.body, cached.outcome.source)
        .with(header::CACHE_CONTROL, "private, no-cache")
        .with(header::VARY, "X-Client-ID, Authorization, Cookie")
        .with(CACHE_STATUS, &status);
    match cached.result {
        CacheResult::Hit => answer.with(header::AGE, &cached.age.as_secs().to_string()),
        _ => answer,
    }
}

/// Adds `"source": "mock"` to a JSON object that has no source of its own.
///
/// Spliced, not serialised again: numbers, escapes and the order of keys stay
/// as the app wrote them.
fn splice_source(body: Bytes) -> Bytes {
    let Ok(object) = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&body) else {
        return body;
    };
    let end = body.iter().rposition(|b| *b == b'}');
    let Some(end) = end.filter(|_| !object.contains_key("source")) else {
        return body;
    };
    let comma: &[u8] = if object.is_empty() { b"" } else { b"," };
    [&body[..end], comma, b"\"source\":\"mock\"", &body[end..]]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_spliced_into_objects_that_have_none() {
        let cases = [
            (
                r#"{"a": 1.0, "b": "\u00e9"}"#,
                r#"{"a": 1.0, "b": "\u00e9","source":"mock"}"#,
            ),
            ("{}\n", "{\"source\":\"mock\"}\n"),
            (r#"{"source": "live"}"#, r#"{"source": "live"}"#),
            (
                r#"{"a": {"source": "x"}} "#,
                r#"{"a": {"source": "x"},"source":"mock"} "#,
            ),
            ("[1, 2]", "[1, 2]"),
            ("<html>", "<html>"),
            ("", ""),
            (r#"{"a": 1"#, r#"{"a": 1"#),
        ];
        for (before, after) in cases {
            assert_eq!(splice_source(before.into()), after, "{before}");
        }
    }

    #[test]
    fn what_connection_names_does_not_go_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let kept = forwardable(&headers);
        assert_eq!(
            kept.keys().map(|k| k.as_str()).collect::<Vec<_>>(),
            ["accept"]
        );
    }
}
