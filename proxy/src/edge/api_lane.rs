//! The API lane: answers that are fetched whole and written by us.

use super::Sidecar;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use super::look_through::in_mode;
use super::upstream_request;
use crate::cache::{Cached, FetchBroke, Fetched};
use crate::gateway::{Answerer, Outcome};
use crate::panics::counted;
use bytes::Bytes;
use camarad_policies::cache_key::CacheKey;
use camarad_policies::operation::Operation;
use camarad_policies::record::{CacheResult, Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::request_ids;
use http::header::{self, HeaderName};
use pingora::proxy::Session;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

impl Sidecar {
    /// Answers a connector route from the cache, Coolbits or the mock.
    pub(super) async fn connector(
        &self,
        context: &mut Context,
        decision: Decision,
        operation: Operation,
        answerer: Answerer,
    ) -> Result<Answer, Refusal> {
        let Decision {
            permit,
            switch,
            looked: looked_up,
            ..
        } = decision;
        // Only lists of accounts hold what may not be everybody's.
        let looked = permit.rule().has_egress().then(|| permit.clone());
        let key = CacheKey::new(&permit, switch.generation);
        let kept = Duration::from_secs(permit.rule().cache_seconds.unwrap_or(0));
        let fallback_ttl = self.config.cache.fallback_ttl;
        let gateway = self.gateway.clone();
        let observer = self.observer.clone();
        let hints = self.hints(context, &permit, operation, looked_up.seen.as_ref());
        let hints = hints.await;
        let fetch = move || async move {
            let answer = gateway.answer(operation, &answerer, &permit, &hints);
            let outcome = counted(&observer, answer).await;
            let ttl = match outcome.failure {
                Some(_) => fallback_ttl.min(kept),
                None => kept,
            };
            Fetched { outcome, ttl }
        };
        let Some(key) = key else {
            // Nobody's to keep, or to share: the client was not decided on.
            let outcome = fetch().await.outcome;
            context.record.fallback = fallback(&outcome);
            let body = match &looked {
                Some(permit) => {
                    self.egress(context, permit, &looked_up, outcome.body)
                        .await?
                }
                None => outcome.body,
            };
            let answer = Answer::json(outcome.status, body, outcome.source);
            return Ok(answer.with(header::CACHE_CONTROL, "no-store"));
        };
        let cached = self.cache.get(key, fetch).await;
        let mut cached = cached.map_err(|FetchBroke| Refusal::Internal)?;
        // After the cache: what is linked may have changed since it was filled.
        if let Some(permit) = &looked {
            let body = self.egress(context, permit, &looked_up, cached.outcome.body);
            cached.outcome.body = body.await?;
        }
        context.record.cache = Some(cached.result);
        context.record.fallback = fallback(&cached.outcome);
        Ok(describe(cached))
    }

    /// Passes a request to the app, held whole.
    pub(super) async fn whole(
        &self,
        session: &mut Session,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let Decision {
            permit,
            body,
            looked: looked_up,
            ..
        } = decision;
        let body = match body {
            Some(body) => body,
            None => self.read_body(session, context).await?,
        };
        let head = upstream_request::whole(session.req_header(), &permit, context, &body.bytes);
        let mut head = head.map_err(|_| Refusal::Internal)?;
        if let Some(kind) = body.kind {
            head.insert_header(header::CONTENT_TYPE, kind)
                .map_err(|_| Refusal::Internal)?;
        }
        let is_safe = head.method.is_safe();
        let own_time = permit.rule().answer_seconds.map(Duration::from_secs);
        let time = self.config.legacy.read_timeout;
        let time = own_time.map_or(time, |own| own.max(time));
        self.change(&permit);
        self.forget_deleted(&permit, looked_up.object).await?;
        let since = self.owners.epoch();
        let started = Instant::now();
        let fetch = self.fetch_legacy(head, body.bytes.clone(), time);
        // A caller that goes away ends a read, never a write.
        let outcome = match is_safe {
            true => unless_left(session, fetch).await?,
            false => fetch.await,
        };
        let code = match &outcome {
            Ok(fetched) if fetched.status >= 500 => "http_5xx",
            Ok(_) => "ok",
            Err(refusal) => refusal.answer().code,
        };
        self.observer.upstream("legacy", code, started.elapsed());
        self.change(&permit);
        self.forget_deleted(&permit, looked_up.object).await?;
        let mut fetched = outcome?;
        if looked_up.by_answer && fetched.status == 404 {
            // In the same words as what is there and somebody else's.
            in_mode(context, &permit, Err(Refusal::ObjectNotFound))?;
        }
        if fetched.status >= 500 {
            context.record.origin = Some(Origin::Legacy);
        }
        if (200..300).contains(&fetched.status) && context.record.method != "HEAD" {
            fetched.body = self
                .look_through(context, &permit, &looked_up, fetched.body, since)
                .await?;
        }
        if let Some((upstream, own)) = &looked_up.request_id
            && let Some(restored) = request_ids::restore(&fetched.body, upstream, own)
        {
            fetched.body = restored.into();
        }
        Ok(Answer {
            status: fetched.status,
            headers: fetched.headers,
            body: fetched.body,
            source: Source::Legacy,
            held: Some(fetched.held),
        })
    }

    /// The same, for an answer that is made up and gets tagged as such.
    pub(super) async fn made_up(
        &self,
        session: &mut Session,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let answer = self.whole(session, context, decision).await?;
        Ok(match (200..300).contains(&answer.status) {
            true => Answer {
                body: splice_source(answer.body),
                source: Source::Mock,
                ..answer
            },
            false => answer,
        })
    }
}

/// Waits for an answer for as long as the caller does.
pub(super) async fn unless_left<T>(
    session: &mut Session,
    work: impl Future<Output = T>,
) -> Result<T, Refusal> {
    let left = async {
        // The body is read, so all that can come is the end; what is pipelined stays with the line.
        while session
            .as_downstream_mut()
            .read_body_or_idle(true)
            .await
            .is_ok()
        {}
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = left => Err(Refusal::ClientClosed),
    }
}

/// Why the mock answered in Coolbits' place; what Coolbits itself said is no fallback.
fn fallback(outcome: &Outcome) -> Option<&'static str> {
    let failure = outcome.failure.filter(|_| outcome.source == Source::Mock);
    failure.map(|failure| failure.code())
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
    let answer = Answer::json(
        cached.outcome.status,
        cached.outcome.body,
        cached.outcome.source,
    )
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
}
