//! The app as an upstream: where it is, asking it, and fetching an answer of it whole.
//!
//! There are connections of our own to it ([`Wire`]), and Pingora's for bodies that stream in
//! chunks.
//! A connection that the app closed while it was pooled looks like a failure of
//! the app; a read is sent once more then, on a new one, a write never, since nobody can
//! tell how far it came.

use super::company;
use super::upstream_request::UpstreamHead;
use super::wire::{Begun, Wire};
use crate::budget::{Budget, By, Held};
use bytes::Bytes;
use camarad_policies::answer_head::AnswerHead;
use camarad_policies::onward::WholeLines;
use camarad_policies::refusal::Refusal;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorType};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Largest answer of the app that is read whole.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// Connections kept for later at most.
const MOST_IDLE: usize = 128;
/// How long an idle connection to the app is kept; gunicorn's own default is 2 s, a proxy in between has more.
const IDLE: Duration = Duration::from_secs(30);

/// The app, as an upstream.
pub(crate) struct Legacy {
    config: camarad_config::Legacy,
    /// Connections of ours that wait for a request, the last used one last.
    idle: Mutex<Vec<Wire>>,
    /// Bytes of bodies held over all requests.
    budget: Arc<Budget>,
}

/// An answer of the app, whole.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) lines: WholeLines,
    pub(super) body: Bytes,
    pub(super) held: Held,
}

impl Legacy {
    pub(crate) fn new(config: camarad_config::Legacy, budget: Arc<Budget>) -> Self {
        Self {
            config,
            idle: Mutex::default(),
            budget,
        }
    }

    /// Host and port of the app.
    pub(super) fn authority(&self) -> &str {
        &self.config.authority
    }

    /// Where the app is.
    pub(super) async fn peer(&self) -> pingora::Result<Box<HttpPeer>> {
        let legacy = &self.config;
        let address = tokio::net::lookup_host(&legacy.authority)
            .await
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| Error::explain(ErrorType::ConnectNoRoute, "no address"))?;
        let mut peer = HttpPeer::new(address, false, String::new());
        let options = &mut peer.options;
        options.connection_timeout = Some(legacy.connect_timeout);
        options.total_connection_timeout = Some(legacy.connect_timeout);
        options.read_timeout = Some(legacy.read_timeout);
        options.write_timeout = Some(legacy.read_timeout);
        options.idle_timeout = Some(IDLE);
        // No rule allows an upgrade, so none is offered to the app.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        Ok(Box::new(peer))
    }

    /// Fetches an answer whole, within this time, and holds it.
    pub(super) async fn fetch(
        &self,
        head: UpstreamHead,
        body: Bytes,
        time: Duration,
        by: By,
    ) -> Result<Fetched, Refusal> {
        let exchange = async {
            let (mut wire, begun) = self.ask(&head, &body, None, &WholeLines::of).await?;
            let mut held = self.budget.hold(by);
            let answer = wire.finish(begun, head.is_head(), LARGEST_ANSWER, &mut held);
            let answer = answer.await.map_err(|broken| broken.refusal)?;
            if answer.keep {
                self.keep(wire);
            }
            Ok((answer, held))
        };
        let outcome = tokio::time::timeout(time, exchange).await;
        let (answer, held) = outcome.unwrap_or(Err(Refusal::LegacyTimeout))?;
        if answer.lines.is_coded {
            return Err(Refusal::LegacyBadAnswer);
        }
        Ok(Fetched {
            status: answer.status,
            lines: answer.lines,
            body: answer.body,
            held,
        })
    }

    /// Sends a request, on a connection that waits where there is one, and reads the head of
    /// its answer, or of an interim one, within `patience` from when it is connected.
    pub(super) async fn ask<T>(
        &self,
        head: &UpstreamHead,
        body: &[u8],
        patience: Option<Duration>,
        read: &impl Fn(&AnswerHead<'_>) -> T,
    ) -> Result<(Wire, Begun<T>), Refusal> {
        // Before a connection is taken: one that was looked at is used at once.
        company::others().await;
        let mut waiting = self.waiting();
        loop {
            let mut wire = match waiting.take() {
                Some(wire) => wire,
                None => self.connect().await?,
            };
            let asked = wire.ask(head, body, read);
            let outcome = match patience {
                Some(patience) => tokio::time::timeout(patience, asked).await,
                None => Ok(asked.await),
            };
            match outcome {
                Ok(Ok(begun)) => return Ok((wire, begun)),
                Ok(Err(broken)) => {
                    let is_stale = wire.is_reused && broken.before_answer;
                    if !is_stale || !head.is_repeatable() {
                        return Err(broken.refusal);
                    }
                }
                Err(_) => return Err(Refusal::LegacyTimeout),
            }
        }
    }

    /// A connection for a request that is sent as it comes.
    pub(super) async fn wire(&self) -> Result<Wire, Refusal> {
        company::others().await;
        match self.waiting() {
            Some(wire) => Ok(wire),
            None => self.connect().await,
        }
    }

    /// How long the app may say nothing.
    pub(super) fn patience(&self) -> Duration {
        self.config.read_timeout
    }

    /// A connection that waits and was not ended meanwhile.
    fn waiting(&self) -> Option<Wire> {
        loop {
            let wire = self.locked().pop()?;
            if wire.idle_since.elapsed() < IDLE && wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    /// Keeps a connection for another exchange.
    pub(super) fn keep(&self, mut wire: Wire) {
        wire.shrink();
        wire.is_reused = true;
        wire.idle_since = Instant::now();
        let mut idle = self.locked();
        // The longest idle are first.
        let old = idle
            .iter()
            .take_while(|wire| wire.idle_since.elapsed() >= IDLE);
        let old = old.count().max((idle.len() + 1).saturating_sub(MOST_IDLE));
        drop(idle.drain(..old));
        idle.push(wire);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Wire>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Wire, Refusal> {
        let connect = TcpStream::connect(&self.config.authority);
        match tokio::time::timeout(self.config.connect_timeout, connect).await {
            Ok(Ok(socket)) => Ok(Wire::new(socket)),
            Ok(Err(_)) => Err(Refusal::LegacyUnreachable),
            Err(_) => Err(Refusal::LegacyTimeout),
        }
    }
}
