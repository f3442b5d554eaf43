//! The app as an upstream: where it is, and fetching an answer of it whole.
//!
//! The API lane has its own connections to it ([`Wire`]), the stream lane Pingora's.
//! A connection that the app closed while it was pooled looks like a failure of
//! the app; a read is sent once more then, on a new one, a write never, since nobody can
//! tell how far it came.

use super::upstream_request::{UpstreamHead, forwardable};
use super::wire::{Broken, Wire};
use crate::budget::{Budget, Held};
use bytes::Bytes;
use camarad_policies::refusal::Refusal;
use http::header;
use http::header::{HeaderName, HeaderValue};
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
    /// The API lane's connections that wait for a request, the last used one last.
    idle: Mutex<Vec<Wire>>,
    /// Bytes of bodies held over all requests.
    budget: Arc<Budget>,
}

/// An answer of the app, whole.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    pub(super) held: Held,
}

/// A failed attempt, and whether another one could do better.
struct Failed {
    refusal: Refusal,
    stale: bool,
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

    /// Fetches an answer whole, within this time.
    pub(super) async fn fetch(
        &self,
        head: UpstreamHead,
        body: Bytes,
        time: Duration,
    ) -> Result<Fetched, Refusal> {
        let exchange = async {
            let wire = self.waiting();
            let outcome = self.attempt(wire, &head, &body).await;
            match outcome {
                Err(failed) if failed.stale && head.is_safe() => {
                    self.attempt(None, &head, &body).await
                }
                outcome => outcome,
            }
        };
        match tokio::time::timeout(time, exchange).await {
            Ok(outcome) => outcome.map_err(|failed| failed.refusal),
            Err(_) => Err(Refusal::LegacyTimeout),
        }
    }

    async fn attempt(
        &self,
        wire: Option<Wire>,
        head: &UpstreamHead,
        body: &Bytes,
    ) -> Result<Fetched, Failed> {
        let mut wire = match wire {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        let mut held = self.budget.hold();
        let answer = wire.exchange(head, body, LARGEST_ANSWER, &mut held).await;
        let answer = answer.map_err(|broken: Broken| Failed {
            refusal: broken.refusal,
            stale: wire.is_reused && broken.before_answer,
        })?;
        if answer.keep {
            self.keep(wire);
        }
        let is_coded = |(name, value): &(HeaderName, HeaderValue)| {
            *name == header::CONTENT_ENCODING && value != "identity"
        };
        if answer.headers.iter().any(is_coded) {
            return Err(Refusal::LegacyBadAnswer.into());
        }
        Ok(Fetched {
            status: answer.status,
            headers: forwardable(answer.headers),
            body: answer.body,
            held,
        })
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

    fn keep(&self, mut wire: Wire) {
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

    async fn connect(&self) -> Result<Wire, Failed> {
        let connect = TcpStream::connect(&self.config.authority);
        match tokio::time::timeout(self.config.connect_timeout, connect).await {
            Ok(Ok(socket)) => Ok(Wire::new(socket)),
            Ok(Err(_)) => Err(Refusal::LegacyUnreachable.into()),
            Err(_) => Err(Refusal::LegacyTimeout.into()),
        }
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            stale: false,
        }
    }
}
