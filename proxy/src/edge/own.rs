//! Requests of our own to the app: which clients a user has, whose a token or an
//! object is.
//!
//! They are decided on like any other, so that nothing goes upstream without a
//! permit. Those about objects are asked as the caller's user without the limit of
//! the token, since what is looked up is shown to nobody.

use super::Sidecar;
use super::context::Context;
use super::legacy::Fetched;
use super::upstream_request::{Sender, UpstreamHead, whole};
use crate::budget::By;
use bytes::Bytes;
use camarad_policies::authorise::{Tenancy, authorise};
use camarad_policies::identity::Identity;
use camarad_policies::ids::{ClientId, ClientIds};
use camarad_policies::normalise::{RawRequest, normalise};
use std::time::Instant;

/// What is asked of the app.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    /// `X-Client-ID`, decided already.
    pub(super) client: Option<ClientId>,
    /// JSON, or nothing.
    pub(super) body: Bytes,
}

impl<'a> Question<'a> {
    pub(super) fn get(target: &'a str, client: Option<ClientId>) -> Self {
        Self {
            method: "GET",
            target,
            client,
            body: Bytes::new(),
        }
    }
}

impl Sidecar {
    /// Asks the app as this identity, or as nobody; `None` where there is no answer.
    pub(super) async fn ask_app(
        &self,
        question: Question<'_>,
        identity: Option<Identity>,
        context: &Context,
    ) -> Option<Fetched> {
        let head = self.own_head(&question, identity, context)?;
        let time = self.config.legacy.read_timeout;
        // On the heap: everything that may ask holds this future, and few do.
        Box::pin(self.legacy.fetch(head, question.body, time, By::Us))
            .await
            .ok()
    }

    /// The head of a request of ours, decided on like any other.
    pub(super) fn own_head(
        &self,
        question: &Question<'_>,
        identity: Option<Identity>,
        context: &Context,
    ) -> Option<UpstreamHead> {
        let Question {
            method,
            target,
            client,
            body,
        } = question;
        let host = self.config.legacy.authority.as_bytes();
        let named = client.map(|client| client.to_string());
        let mut headers: Vec<(&[u8], &[u8])> = vec![(b"Host", host)];
        headers.extend(
            named
                .as_ref()
                .map(|id| (&b"X-Client-ID"[..], id.as_bytes())),
        );
        let asked = normalise(RawRequest {
            method,
            target: target.as_bytes(),
            headers,
        });
        let asked = asked.ok()?;
        let found = self.matrix.find(asked.method, &asked.path);
        let directory: ClientIds = client.iter().copied().collect::<Vec<_>>().into();
        let tenancy = Tenancy {
            directory: Some(&directory),
            ..Tenancy::default()
        };
        let permit = authorise(asked, Ok(identity), found, &tenancy).ok()?;
        let json: (&[u8], &[u8]) = (b"Content-Type", b"application/json");
        let json = (!body.is_empty()).then_some(json);
        let fields = [(&b"Host"[..], host)].into_iter().chain(json);
        // An id of its own: the app takes a known one for a repetition.
        let sender = Sender {
            request_id: &format!("{}-lookup", context.record.request_id),
            ..Sender::of(context)
        };
        whole(method, fields, &permit, sender, body.len())
    }

    /// The same about something that only the caller's user may know of. `read`
    /// makes of status and body what was asked for, or `None` where they do not say;
    /// both ways are told as `unavailable` or `ok` of this upstream.
    pub(super) async fn look_up<T>(
        &self,
        question: Question<'_>,
        identity: &Identity,
        context: &Context,
        unavailable: &'static str,
        read: impl FnOnce(u16, &[u8]) -> Option<T>,
    ) -> Option<T> {
        let started = Instant::now();
        let who = identity.without_limit_for_lookup();
        let fetched = self.ask_app(question, Some(who), context).await;
        let found = fetched.and_then(|fetched| read(fetched.status, &fetched.body));
        let outcome = if found.is_some() { "ok" } else { unavailable };
        self.observer.upstream("legacy", outcome, started.elapsed());
        context.waits(started.elapsed());
        found
    }
}
