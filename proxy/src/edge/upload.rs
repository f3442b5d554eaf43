//! Requests that stream to the app as they come: those with an effect, and bodies of a told
//! length.
//!
//! One piece is read and then sent, so an app that takes its time slows the caller down and
//! nothing piles up here. Nothing is sent twice: nobody can tell how far it came. An app may
//! answer before it has all of a body; behind an error nothing more is sent (RFC 9112, section
//! 9.5), and the connections end, for what is left of the body would read as the next request.
//! Any other answer is handed on behind the body: an app must not need to be read from while it
//! reads on.
//!
//! Not here: the answer ([`super::relay`]), and bodies that tell their end only by chunks or
//! wait for leave to be sent, which are Pingora's ([`super::hooks`]).

use super::Sidecar;
use super::context::Context;
use super::exchange::Exchange;
use super::relay::Lines;
use super::upstream_request::{Sender, UpstreamHead, streamed};
use super::wire::{Begun, Wire};
use crate::panics::{BREAK_AT, break_where_asked};
use camarad_policies::authorise::Permit;
use camarad_policies::refusal::Refusal;
use std::io::ErrorKind;
use std::pin::pin;
use tokio::time::timeout;

impl Sidecar {
    /// Sends a request to the app as it comes, and gives how its answer begins.
    pub(super) async fn sent(
        &self,
        exchange: &mut Exchange,
        context: &Context,
        permit: &Permit,
    ) -> Result<(Wire, Begun<Lines>), Refusal> {
        break_where_asked("relay_request", || exchange.head().get(BREAK_AT));
        let length = exchange.left().ok_or(Refusal::Internal)?;
        let head = streamed(exchange.head(), permit, Sender::of(context), length);
        let head = head.ok_or(Refusal::Internal)?;
        let mut wire = self.legacy.wire().await?;
        let early = self.send_on(exchange, context, &mut wire, &head).await?;
        let begun = match early {
            Some(begun) => begun,
            None => {
                let next = pin!(self.next_head(&mut wire, &head));
                exchange.unless_ended(next).await??
            }
        };
        let begun = self.real(exchange, &mut wire, &head, begun).await?;
        Ok((wire, begun))
    }

    /// Sends head and body; an answer that began meanwhile, of which the rest is to be read. Where
    /// nothing goes on any more, an answer that began is all there will be.
    async fn send_on(
        &self,
        exchange: &mut Exchange,
        context: &Context,
        wire: &mut Wire,
        head: &UpstreamHead,
    ) -> Result<Option<Begun<Lines>>, Refusal> {
        let mut front = head.bytes();
        let mut early: Option<Begun<Lines>> = None;
        wire.begins();
        loop {
            let here = exchange.body_here();
            let has_answered = if early.is_none() && !wire.here().is_empty() {
                // Behind an interim answer, in one piece with it.
                true
            } else if front.is_empty() && here.is_empty() {
                if exchange.left() == Some(0) {
                    wire.has_sent();
                    return Ok(early);
                }
                tokio::select! {
                    biased;
                    () = wire.speaks(), if early.is_none() => true,
                    more = exchange.more_body() => match more {
                        Err(_) if early.is_some() => return Ok(early),
                        more => more.map(|()| false)?,
                    }
                }
            } else {
                // Before it is sent: with its last piece a request is carried out.
                match self.check_time(context) {
                    Err(_) if early.is_some() => return Ok(early),
                    in_time => in_time?,
                }
                match wire.send_some([front, here]) {
                    Ok(sent) => {
                        let of_head = sent.min(front.len());
                        front = &front[of_head..];
                        exchange.took(sent - of_head);
                        false
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        let room = wire.has_room(early.is_none());
                        match timeout(self.legacy.patience(), room).await {
                            Ok(has_answered) => has_answered,
                            Err(_) if early.is_some() => return Ok(early),
                            Err(_) => return Err(Refusal::LegacyTimeout),
                        }
                    }
                    // It takes no more. It may have said why.
                    Err(_) if early.is_some() => return Ok(early),
                    Err(_) => true,
                }
            };
            if !has_answered {
                continue;
            }
            let mut begun = self.next_head(wire, head).await?;
            if begun.is_interim() {
                pass_interim(exchange, &mut begun).await?;
            } else if begun.status >= 400 {
                return Ok(Some(begun));
            } else {
                early = Some(begun);
            }
        }
    }

    /// The next head of an answer, in time.
    async fn next_head(
        &self,
        wire: &mut Wire,
        head: &UpstreamHead,
    ) -> Result<Begun<Lines>, Refusal> {
        let next = wire.read_head(head.is_head(), &Lines::of);
        let next = timeout(self.legacy.patience(), next).await;
        let next = next.map_err(|_| Refusal::LegacyTimeout)?;
        next.map_err(|broken| broken.refusal)
    }

    /// The real answer: interim ones before it are passed on.
    pub(super) async fn real(
        &self,
        exchange: &mut Exchange,
        wire: &mut Wire,
        head: &UpstreamHead,
        mut begun: Begun<Lines>,
    ) -> Result<Begun<Lines>, Refusal> {
        while begun.is_interim() {
            pass_interim(exchange, &mut begun).await?;
            let next = pin!(self.next_head(wire, head));
            begun = exchange.unless_ended(next).await??;
        }
        Ok(begun)
    }
}

/// Passes on an interim answer. That its caller is gone ends what is safe, and nothing else.
async fn pass_interim(exchange: &mut Exchange, begun: &mut Begun<Lines>) -> Result<(), Refusal> {
    begun.read.bytes.extend_from_slice(b"\r\n");
    match exchange.write_interim(&begun.read.bytes).await {
        Err(_) if exchange.head().is_safe() => Err(Refusal::ClientClosed),
        _ => Ok(()),
    }
}
