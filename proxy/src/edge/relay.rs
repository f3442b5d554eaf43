//! What streams: the app's answer is handed on as it comes, never held whole.
//!
//! One piece is read and then written, so a caller that takes its time slows the app down
//! and nothing piles up here; head and body of a small answer go out in one system call.
//! A read ends when its caller leaves, what has an effect does not. An answer that breaks off
//! after its head has gone out breaks off towards the caller too, and the record says why. Not
//! here: how a request with an effect or a body is sent ([`super::upload`]), bodies in chunks,
//! which are Pingora's ([`super::hooks`]), which header lines go on and how a body is framed
//! (`policies::onward`, `policies::rest`).

use super::Sidecar;
use super::answer::end_passed_head;
use super::context::Context;
use super::exchange::{Exchange, SMALL};
use super::upstream_request::{Sender, streamed};
use super::wire::{Begun, Wire};
use crate::panics::{BREAK_AT, break_where_asked};
use bytes::{Buf, BytesMut};
use camarad_policies::answer_head::{AnswerHead, Framing};
use camarad_policies::authorise::Permit;
use camarad_policies::onward::{delivery, write_lines};
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::rest::{Piece, Rest};
use std::io;
use std::pin::pin;
use std::time::Instant;
use tokio::time::timeout;

/// What our own header lines take of a usual head.
const OUR_LINES: usize = 256;

/// The part of an answer's head that goes on, without the lines of ours behind it.
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    is_dated: bool,
}

impl Lines {
    pub(super) fn of(answer: &AnswerHead<'_>) -> Self {
        let with_it = match answer.framing {
            // It goes out in one piece with its head.
            Framing::Length(body) if body <= SMALL as u64 => body as usize,
            _ => 0,
        };
        let mut bytes = Vec::with_capacity(answer.length + OUR_LINES + with_it);
        let is_dated = write_lines(answer, &mut bytes);
        Self { bytes, is_dated }
    }
}

impl Sidecar {
    /// Asks the app, and hands its answer on.
    ///
    /// # Errors
    /// If a refusal could not be written.
    pub(super) async fn relay(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        permit: &Permit,
    ) -> io::Result<()> {
        context.legacy_started = Some(Instant::now());
        let relayed = async {
            let (wire, begun) = match exchange.is_bare_read() {
                true => self.answer_begun(exchange, context, permit).await?,
                // Reads must not pay for the room that it needs.
                false => Box::pin(self.sent(exchange, context, permit)).await?,
            };
            self.hand_on(exchange, context, permit, wire, begun).await
        };
        let Err(refusal) = relayed.await else {
            return Ok(());
        };
        let refusal = match refusal {
            // An app that was there and broke off in the middle.
            Refusal::LegacyUnreachable if exchange.told().is_some() => Refusal::LegacyBadAnswer,
            other => other,
        };
        if refusal.is_legacy_fault() {
            context.legacy_outcome = refusal.answer().code;
        }
        if exchange.told().is_some() {
            // The head is out: the answer breaks off, and the record says why.
            context.record.code = Some(refusal.answer().code);
            exchange.close_after();
        } else if refusal == Refusal::ClientClosed {
            context.record.refuse(refusal);
            exchange.close_after();
        } else {
            // Before the caller knows: it may have been carried out.
            self.change(permit);
            exchange.refuse(context, refusal).await?;
        }
        Ok(())
    }

    /// Asks the app until it answers; interim answers are passed on.
    async fn answer_begun(
        &self,
        exchange: &mut Exchange,
        context: &Context,
        permit: &Permit,
    ) -> Result<(Wire, Begun<Lines>), Refusal> {
        break_where_asked("relay_request", || exchange.head().get(BREAK_AT));
        let head = streamed(exchange.head(), permit, Sender::of(context), 0);
        let head = head.ok_or(Refusal::Internal)?;
        let patience = self.legacy.patience();
        let asked = pin!(self.legacy.ask(&head, &[], Some(patience), &Lines::of));
        let (mut wire, mut begun) = exchange.unless_left(asked).await??;
        if begun.is_interim() {
            begun = Box::pin(self.real(exchange, &mut wire, &head, begun)).await?;
        }
        Ok((wire, begun))
    }

    /// Hands an answer on, piece by piece.
    async fn hand_on(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        permit: &Permit,
        mut wire: Wire,
        mut begun: Begun<Lines>,
    ) -> Result<(), Refusal> {
        break_where_asked("relay_answer", || exchange.head().get(BREAK_AT));
        self.change(permit);
        context.record.source = Some(Source::Legacy);
        if begun.status >= 500 {
            context.record.origin = Some(Origin::Legacy);
            context.legacy_outcome = "http_5xx";
        }
        context.legacy_took = context.legacy_started.map(|started| started.elapsed());
        if self.is_stopping() {
            exchange.close_after();
        }
        let mut rest = Rest::of(begun.framing);
        // What is known to be none by now can still be refused.
        let mut piece = piece_of(&mut rest, wire.here())?;
        let delivery = delivery(begun.framing, exchange.head().is_1_0());
        let keep = exchange.begin(begun.status, delivery);
        let Lines { bytes, is_dated } = &mut begun.read;
        end_passed_head(bytes, context, delivery, keep, *is_dated);
        let patience = self.legacy.patience();
        loop {
            let here = wire.here();
            let head = &mut begun.read.bytes;
            if !head.is_empty() || !piece.body.is_empty() || piece.is_last {
                let body = &here[piece.body];
                let written = exchange.write_piece(head, body, piece.is_last).await;
                written.map_err(|_| Refusal::ClientClosed)?;
            }
            here.advance(piece.taken);
            if piece.is_last {
                break;
            }
            let more = {
                let more = pin!(timeout(patience, wire.read_more()));
                exchange.unless_ended(more).await?
            };
            match more {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) if rest.ends_with_connection() => {
                    let written = exchange.write_piece(&mut Vec::new(), &[], true).await;
                    return written.map_err(|_| Refusal::ClientClosed);
                }
                Ok(_) => return Err(Refusal::LegacyBadAnswer),
                Err(_) => return Err(Refusal::LegacyTimeout),
            }
            piece = piece_of(&mut rest, wire.here())?;
        }
        if wire.is_over(&begun) {
            self.legacy.keep(wire);
        }
        Ok(())
    }
}

fn piece_of(rest: &mut Rest, here: &mut BytesMut) -> Result<Piece, Refusal> {
    rest.piece(here).map_err(|_| Refusal::LegacyBadAnswer)
}

#[cfg(test)]
mod tests;
