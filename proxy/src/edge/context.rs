//! What one request carries from its head to its record.

use super::connection::Told;
use crate::limiter::Who;
use crate::locks::Held;
use camarad_policies::authorise::Permit;
use camarad_policies::forwarded::Forwarded;
use camarad_policies::head::Framing;
use camarad_policies::limit::Level;
use camarad_policies::record::{Record, RequestId};
use camarad_policies::refusal::Refusal;
use prometheus::IntGauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// State of one request.
pub(crate) struct Context {
    pub(super) record: Record,
    /// When its head was here.
    pub(super) started: Instant,
    /// The same since the Unix epoch.
    pub(super) since_epoch: Duration,
    /// What the connection is told back.
    pub(super) told: Option<Arc<Told>>,
    /// How the request's body is framed.
    pub(super) framing: Framing,
    /// Bytes of a body that Pingora streams, so far.
    pub(super) uploaded: u64,
    pub(super) permit: Option<Arc<Permit>>,
    /// A new seal for the caller's cookie.
    pub(super) seal: Option<String>,
    /// Where the request came from; set before anything is decided.
    pub(super) forwarded: Option<Forwarded>,
    /// Whose refusals this request's would be, once that is known.
    pub(super) who: Option<Who>,
    /// `X-Request-Id` as the caller gave it.
    pub(super) asked_request_id: Option<String>,
    /// Time spent waiting for upstreams, in microseconds.
    waited: AtomicU64,
    /// `If-None-Match`, several lines joined by commas.
    pub(super) if_none_match: Option<String>,
    /// What must not be deleted until this request has ended.
    pub(super) held: Vec<Held>,
    /// What is left of the caller's refusals, where one was counted.
    pub(super) level: Option<Level>,
    /// Errors are JSON: under `/api/`, and for what is no navigation.
    pub(super) is_api: bool,
    /// Why it failed on the way, when we know better than the transport's error.
    pub(super) failed: Option<Refusal>,
    /// When the app was asked for an answer that streams, if it was.
    pub(super) legacy_started: Option<Instant>,
    /// How long the app took to begin its answer, once it has.
    pub(super) legacy_took: Option<Duration>,
    /// How that ended; told when the answer has ended too.
    pub(super) legacy_outcome: &'static str,
    in_flight: InFlight,
}

impl Context {
    /// Of a request whose head is here.
    pub(super) fn new(in_flight: &IntGauge, framing: Framing, started: Instant) -> Self {
        in_flight.inc();
        let in_flight = InFlight(Some(in_flight.clone()));
        let since_epoch = since_epoch();
        let record = Record::begun(request_id(since_epoch));
        Self::of(record, framing, started, since_epoch, in_flight)
    }

    /// Of no request.
    pub(super) fn none() -> Self {
        let (framing, started) = (Framing::Length(0), Instant::now());
        let (record, nobody) = (Record::default(), InFlight(None));
        Self::of(record, framing, started, since_epoch(), nobody)
    }

    fn of(
        record: Record,
        framing: Framing,
        started: Instant,
        since_epoch: Duration,
        in_flight: InFlight,
    ) -> Self {
        Self {
            record,
            started,
            since_epoch,
            told: None,
            framing,
            uploaded: 0,
            permit: None,
            seal: None,
            forwarded: None,
            who: None,
            asked_request_id: None,
            if_none_match: None,
            waited: AtomicU64::new(0),
            held: Vec::new(),
            level: None,
            is_api: true,
            failed: None,
            legacy_started: None,
            legacy_took: None,
            legacy_outcome: "ok",
            in_flight,
        }
    }

    /// Notes time that was spent waiting for an upstream.
    pub(super) fn waits(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(micros, Ordering::Relaxed);
    }

    /// Time spent waiting for upstreams, in milliseconds.
    pub(super) fn waited_ms(&self) -> f64 {
        self.waited.load(Ordering::Relaxed) as f64 / 1000.0
    }

    /// Requests being answered, this one among them.
    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.0.as_ref().map_or(0, IntGauge::get)
    }
}

/// The time by the wall clock, since the Unix epoch.
pub(super) fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// An id for a request that came at this time since the Unix epoch.
pub(super) fn request_id(since: Duration) -> RequestId {
    id_of(since.as_secs() * 1000 + u64::from(since.subsec_millis()))
}

/// A UUID, version 7, so that ids sort by the millisecond. Nothing is granted by knowing
/// one, so its 74 random bits need not be secret.
fn id_of(millis: u64) -> RequestId {
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut room = [0; uuid::fmt::Hyphenated::LENGTH];
    // It is as long as there is room.
    RequestId::from(id.as_hyphenated().encode_lower(&mut room)).unwrap_or_default()
}

/// Counts a request for as long as its context lives, however it ends.
struct InFlight(Option<IntGauge>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_uuids_of_their_own_and_sort_by_time() {
        let ids: BTreeSet<RequestId> = (0..1000).map(|_| request_id(since_epoch())).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            let read = uuid::Uuid::parse_str(id).unwrap();
            assert_eq!(
                (read.get_version_num(), read.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
        }
        assert!(id_of(1_700_000_000_999) < id_of(1_700_000_001_000));
        assert!(request_id(since_epoch()) > id_of(1_700_000_000_000));
    }
}
