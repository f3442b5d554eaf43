//! The app as an upstream: where it is, and fetching an answer of it whole.
//!
//! Both lanes use Pingora's connections to it (decision 0006), each from a pool of its own.
//! A connection that the app closed while it was pooled looks like a failure of
//! the app; a read is sent once more then, a write never, since nobody can tell
//! how far it came.

use super::failure::refusal_of;
use crate::budget::{Budget, Held};
use bytes::{Bytes, BytesMut};
use camarad_policies::refusal::Refusal;
use http::header;
use http::header::{HeaderName, HeaderValue};
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, Peer};
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::Duration;

/// Largest answer of the app that is read whole.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// Interim answers before the real one at most.
const MOST_INTERIM: usize = 8;
/// How long an idle connection to the app is kept; gunicorn's own default is 2 s, a proxy in between has more.
const IDLE: Duration = Duration::from_secs(30);

/// The app, as an upstream.
pub(crate) struct Legacy {
    config: camarad_config::Legacy,
    /// The API lane's connections.
    connector: Connector,
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
            connector: Connector::new(None),
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
        head: RequestHeader,
        body: Bytes,
        time: Duration,
    ) -> Result<Fetched, Refusal> {
        let is_safe = head.method.is_safe();
        let attempt = || self.attempt(&head, &body, time);
        let exchange = async {
            match attempt().await {
                Err(failed) if failed.stale && is_safe => attempt().await,
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
        head: &RequestHeader,
        body: &Bytes,
        time: Duration,
    ) -> Result<Fetched, Failed> {
        let fresh = |error: Box<Error>| Failed::from(*error, false);
        let peer = self.peer().await.map_err(fresh)?;
        let connector = &self.connector;
        let (mut session, reused) = connector.get_http_session(&*peer).await.map_err(fresh)?;
        session.read_timeout = Some(time);
        session.write_timeout = Some(time);
        let fetched = self.exchange(&mut session, head, body).await;
        let fetched = fetched.map_err(|error| match error {
            Broken::Transport(mut error) => {
                error.as_up();
                Failed::from(*error, reused)
            }
            Broken::Answer(refusal) => Failed {
                refusal,
                stale: false,
            },
        })?;
        connector
            .release_http_session(session, &*peer, peer.idle_timeout())
            .await;
        Ok(fetched)
    }

    async fn exchange(
        &self,
        session: &mut HttpSession,
        head: &RequestHeader,
        body: &Bytes,
    ) -> Result<Fetched, Broken> {
        session.write_request_header(Box::new(head.clone())).await?;
        if !body.is_empty() {
            session.write_body(body).await?;
            session.finish_body().await?;
        }
        for _ in 0..=MOST_INTERIM {
            session.read_response().await?;
            if session
                .get_status()
                .is_some_and(|status| !status.is_informational())
            {
                break;
            }
        }
        let Some(answer) = session.resp_header().cloned() else {
            return Err(Refusal::LegacyBadAnswer.into());
        };
        let encoding = answer.headers.get(header::CONTENT_ENCODING);
        if answer.status.is_informational() || encoding.is_some_and(|e| e != "identity") {
            return Err(Refusal::LegacyBadAnswer.into());
        }
        let mut held = self.budget.hold();
        let mut whole = BytesMut::new();
        while let Some(chunk) =
            session
                .read_body_ref()
                .await
                .map_err(|error| match error.etype() {
                    ErrorType::ReadTimedout => Refusal::LegacyTimeout,
                    _ => Refusal::LegacyBadAnswer,
                })?
        {
            if whole.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Refusal::LegacyBadAnswer.into());
            }
            held.more(chunk.len()).map_err(|_| Refusal::Overloaded)?;
            whole.extend_from_slice(chunk);
        }
        Ok(Fetched {
            status: answer.status.as_u16(),
            headers: super::upstream_request::forwardable(&answer.headers),
            body: whole.freeze(),
            held,
        })
    }
}

/// Why an exchange ended early.
enum Broken {
    Transport(Box<Error>),
    Answer(Refusal),
}

impl From<Box<Error>> for Broken {
    fn from(error: Box<Error>) -> Self {
        Self::Transport(error)
    }
}

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        Self::Answer(refusal)
    }
}

impl Failed {
    fn from(mut error: Error, reused: bool) -> Self {
        error.retry.decide_reuse(reused);
        Self {
            refusal: refusal_of(&error).unwrap_or(Refusal::LegacyBadAnswer),
            stale: reused && error.retry(),
        }
    }
}
