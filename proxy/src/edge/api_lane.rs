//! The API lane: answers that are fetched whole and written by us.

use super::Sidecar;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use super::exchange::Exchange;
use super::look_through::in_mode;
use super::upstream_request::{Sender, of_caller};
use crate::budget::By;
use bytes::Bytes;
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::request_ids;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

impl Sidecar {
    /// Passes a request to the app, held whole.
    pub(super) async fn whole(
        &self,
        exchange: &mut Exchange,
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
            None => self.read_body(exchange, context).await?,
        };
        let (own, sender) = (exchange.head(), Sender::of(context));
        let head = of_caller(own, &permit, sender, body.bytes.len(), body.kind, &[]);
        let head = head.ok_or(Refusal::Internal)?;
        let is_safe = head.is_safe();
        let own_time = permit.rule().answer_seconds.map(Duration::from_secs);
        let time = self.config.legacy.read_timeout;
        let time = own_time.map_or(time, |own| own.max(time));
        self.change(&permit);
        self.forget_deleted(&permit, looked_up.object).await?;
        let since = self.owners.epoch();
        let started = Instant::now();
        let by = By::Caller(context.record.user);
        let fetch = Box::pin(self.legacy.fetch(head, body.bytes.clone(), time, by));
        // A caller that goes away ends a read, never a write.
        let outcome = match is_safe {
            true => exchange.unless_left(fetch).await?,
            false => fetch.await,
        };
        let code = match &outcome {
            Ok(fetched) if fetched.status >= 500 => "http_5xx",
            Ok(_) => "ok",
            Err(refusal) => refusal.answer().code,
        };
        let took = started.elapsed();
        self.observer.upstream("legacy", code, took);
        context.waits(took);
        self.change(&permit);
        self.forget_deleted(&permit, looked_up.object).await?;
        self.forget_runs(context, &permit, outcome.as_ref().ok().map(|f| f.status))
            .await?;
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
                .look_through(context, &permit, &looked_up, fetched.body, since, None)
                .await?;
        }
        if let Some((upstream, own)) = &looked_up.request_id
            && let Some(restored) = request_ids::restore(&fetched.body, upstream, own)
        {
            fetched.body = restored.into();
        }
        Ok(Answer {
            status: fetched.status,
            headers: Vec::new(),
            lines: fetched.lines.into_bytes(),
            body: fetched.body,
            source: Source::Legacy,
            held: Some(fetched.held),
        })
    }

    /// The same, for an answer that is made up and gets tagged as such.
    pub(super) async fn made_up(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let answer = self.whole(exchange, context, decision).await?;
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

/// Adds `"source": "mock"` to a JSON object that has no source of its own.
///
/// Spliced, not serialised again: numbers, escapes and the order of keys stay
/// as the app wrote them.
pub(super) fn splice_source(body: Bytes) -> Bytes {
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
