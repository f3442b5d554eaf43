//! What the gateway's health answer says: a status, and figures of the last five minutes.
//!
//! The figures are kept in memory that is bounded, whatever the load. Not here: probes,
//! who may ask, and the answer's form. Misuse to beware of: moments are all time since
//! the same beginning, and `Seen` has to be of one moment.

use crate::breaker::State;
use crate::window::Window;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// How far back figures go.
const RECENT: Duration = Duration::from_secs(5 * 60);
/// Durations that are kept at most.
const SAMPLES: usize = 256;
/// How long a failure makes the status worse when nothing came after it.
const FRESH: Duration = Duration::from_secs(60);
/// Share of fallbacks above which answers are not what they should be.
const MANY: f64 = 0.1;

/// How many answers of the last five minutes were fallbacks.
#[derive(Clone, Debug)]
pub struct Recent(Window);

impl Recent {
    /// Nothing answered yet.
    pub fn new() -> Self {
        Self(Window::new(RECENT))
    }

    /// Counts an answer.
    pub fn note(&mut self, now: Duration, fallback: bool) {
        self.0.note(now, fallback);
    }

    /// Share of fallbacks, 0.0 to 1.0; 0.0 where nothing was answered. It goes back four
    /// and a half to five minutes.
    pub fn fallback_ratio(&self, now: Duration) -> f64 {
        self.0.totals(now).ratio()
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

/// How long the last 256 calls took that are not older than five minutes.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// When they ended, and how long they took.
    samples: VecDeque<(Duration, Duration)>,
}

/// Percentiles by nearest rank: each is a duration that was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// What half of the calls did not exceed, in milliseconds; 0 without samples.
    pub p50_ms: f64,
    /// What 95 % of them did not exceed, in milliseconds; 0 without samples.
    pub p95_ms: f64,
    /// Calls that were looked at.
    pub samples: usize,
}

impl Latencies {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps how long a call took that ended now.
    pub fn note(&mut self, now: Duration, took: Duration) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, took));
    }

    /// The percentiles of what is recent.
    pub fn percentiles(&self, now: Duration) -> Latency {
        let is_recent = |(at, _): &&(Duration, Duration)| now.saturating_sub(*at) < RECENT;
        let recent = self.samples.iter().filter(is_recent);
        let mut took: Vec<Duration> = recent.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let ranked = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100);
            let found = took.get(rank.saturating_sub(1)).copied();
            found.unwrap_or_default().as_secs_f64() * 1000.0
        };
        Latency {
            p50_ms: ranked(50),
            p95_ms: ranked(95),
            samples: took.len(),
        }
    }
}

/// How well an upstream can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It answers.
    Connected,
    /// It answers in part, or nothing is known of it.
    Degraded,
    /// It does not answer.
    Disconnected,
    /// It is not asked.
    Disabled,
}

impl Status {
    /// Its name in logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::Disconnected => "disconnected",
            Self::Disabled => "disabled",
        }
    }
}

/// What was seen of an upstream until a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// The state of its breaker.
    pub breaker: State,
    /// When it last answered, to a call or a probe.
    pub last_success: Option<Duration>,
    /// When it last failed to.
    pub last_failure: Option<Duration>,
    /// [`Recent::fallback_ratio`].
    pub fallback_ratio: f64,
    /// The moment.
    pub now: Duration,
}

/// The status that follows from what was seen.
pub fn status(seen: &Seen) -> Status {
    if !seen.enabled {
        return Status::Disabled;
    }
    if seen.breaker == State::Open {
        return Status::Disconnected;
    }
    let (is_known, failed_last) = match (seen.last_success, seen.last_failure) {
        (None, Some(_)) => return Status::Disconnected,
        (None, None) => (false, None),
        (Some(_), None) => (true, None),
        // Of two at one moment the failure counts.
        (Some(success), Some(failure)) => (true, Some(failure).filter(|f| *f >= success)),
    };
    let is_fresh = |failure| seen.now.saturating_sub(failure) <= FRESH;
    let is_degraded = !is_known
        || seen.breaker == State::HalfOpen
        || failed_last.is_some_and(is_fresh)
        || seen.fallback_ratio > MANY;
    match is_degraded {
        true => Status::Degraded,
        false => Status::Connected,
    }
}

#[cfg(test)]
mod tests;
