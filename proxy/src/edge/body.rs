//! Request bodies: how much, how long, and who reads them.
//!
//! In the API lane they are read whole before anything is decided on them; in the stream lane
//! they go on as they come, and only their size and time are watched here. Either way what is
//! over a limit is refused, never cut short.

use super::Sidecar;
use super::context::Context;
use super::exchange::Exchange;
use crate::budget::{By, Held};
use bytes::{Bytes, BytesMut};
use camarad_policies::fields::Fields;
use camarad_policies::head::Framing;
use camarad_policies::refusal::Refusal;

/// A body that is held whole, and its share of the budget.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    /// What it is, where we have written it.
    pub(super) kind: Option<&'static str>,
    _held: Held,
}

impl Whole {
    /// Fields as they were decided, in the body's place.
    pub(super) fn rewritten(self, fields: &Fields) -> Self {
        Self {
            bytes: fields.to_bytes().into(),
            kind: Some(fields.content_type()),
            ..self
        }
    }
}

impl Sidecar {
    /// Refuses what the head already tells is too much, or not understood.
    pub(super) fn check_body(
        &self,
        exchange: &Exchange,
        context: &Context,
        limit: u64,
    ) -> Result<(), Refusal> {
        if matches!(context.framing, Framing::Length(length) if length > limit) {
            return Err(Refusal::BodyTooLarge);
        }
        let expected = exchange.head().get("expect");
        match expected.is_none_or(|value| value.eq_ignore_ascii_case(b"100-continue")) {
            true => Ok(()),
            false => Err(Refusal::ExpectationUnknown),
        }
    }

    /// Reads the body whole, within its limits and the budget of all.
    pub(super) async fn read_body(
        &self,
        exchange: &mut Exchange,
        context: &Context,
    ) -> Result<Whole, Refusal> {
        let limits = &self.config.limits;
        self.check_body(exchange, context, limits.body as u64)?;
        let mut held = self.budget.hold(By::Caller(context.record.user));
        if context.framing == Framing::Length(0) {
            return Ok(Whole {
                bytes: Bytes::new(),
                kind: None,
                _held: held,
            });
        }
        let mut room = 0;
        if let Framing::Length(length) = context.framing {
            room = usize::try_from(length).map_err(|_| Refusal::BodyTooLarge)?;
        }
        let waits = exchange.head().get("expect").is_some();
        if waits {
            exchange.send_continue().await?;
        }
        let read = async {
            let mut whole = BytesMut::with_capacity(room);
            loop {
                let Some(chunk) = exchange.read_body().await? else {
                    return Ok(whole.freeze());
                };
                let length = whole.len() + chunk.len();
                if length > limits.body {
                    return Err(Refusal::BodyTooLarge);
                }
                // As it comes: a head alone must not take room from others.
                held.more(chunk.len()).map_err(|_| Refusal::Overloaded)?;
                whole.extend_from_slice(&chunk);
            }
        };
        let bytes = tokio::time::timeout(limits.body_timeout, read)
            .await
            .unwrap_or(Err(Refusal::BodyTimeout))?;
        Ok(Whole {
            bytes,
            kind: None,
            _held: held,
        })
    }

    /// Watches a body that streams through Pingora; the error ends the exchange on both sides.
    pub(super) fn watch_upload(&self, context: &mut Context, chunk: usize) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        context.uploaded += chunk as u64;
        if context.uploaded > limits.upload {
            return Err(Refusal::BodyTooLarge);
        }
        self.check_time(context)
    }

    /// Refuses a body that streams for too long.
    pub(super) fn check_time(&self, context: &Context) -> Result<(), Refusal> {
        match context.started.elapsed() > self.config.limits.upload_timeout {
            true => Err(Refusal::BodyTimeout),
            false => Ok(()),
        }
    }
}
