//! What a breaker is set to, is told and tells. No decision is taken here.

use std::time::Duration;

/// When a breaker opens, and for how long. Counts of 0 are taken for 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Failures in a row that open it, of calls and probes together.
    pub consecutive: u32,
    /// Share of failures within the window that opens it, above 0.0 and up to 1.0.
    pub rate: f64,
    /// Calls within the window below which the share says nothing.
    pub min_volume: u32,
    /// Length of the sliding window.
    pub window: Duration,
    /// How long it stays open at first; doubled by every trial that fails.
    pub open: Duration,
    /// The longest it stays open (before jitter), and the longest that a trial counts; never 0.
    pub open_most: Duration,
    /// Trials under way at once.
    pub trials: u32,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls are admitted.
    Closed,
    /// None are.
    Open,
    /// A few are, as trials.
    HalfOpen,
}

impl State {
    /// Its name in logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Its value in the metric: 0 closed, 1 half-open, 2 open.
    pub fn number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The upstream answered as it should.
    Success,
    /// It did not.
    Failure,
    /// Says nothing of the upstream; only gives a trial's place back.
    Neutral,
}

/// A call that may be made; given back to [`Breaker::note`](super::Breaker::note) with its outcome, once.
#[derive(Debug)]
#[must_use = "an admission that is never noted says nothing, and keeps a trial's place"]
pub struct Admission {
    pub(super) epoch: u64,
    pub(super) trial: Option<u64>,
    pub(super) change: Option<Change>,
}

impl Admission {
    /// Whether the breaker is half-open and this call decides what comes of it.
    pub fn is_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// The change that admitting it was, from open to half-open.
    pub fn change(&self) -> Option<Change> {
        self.change
    }
}

/// A call that may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When asking again will be admitted if nothing happens until then; above zero.
    /// With trials under way a place may well be free before.
    pub retry_in: Duration,
}

/// A change of state, to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// How long it stays open, with jitter; `Some` exactly where `to` is open.
    pub open_for: Option<Duration>,
}

/// What a breaker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// The moment at which that state began.
    pub since: Duration,
    /// Failures in a row: of calls, failed trials included, and of probes.
    pub failures: u32,
    /// Until a call is admitted, as [`Refused::retry_in`]; zero when one is.
    pub retry_in: Duration,
}
