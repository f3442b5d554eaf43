//! How Coolbits is doing: whether it may be asked, asked again, and what is told of it.
//!
//! `policies::breaker`, `retry_budget` and `health` decide; here is the clock, the
//! lock, the log and the metrics. A read that was admitted notes how it ended, or
//! gives its place back when it is dropped.

use super::failure::{Failure, Miss};
use crate::observe::Observer;
use camarad_config::Gateway as Config;
use camarad_policies::breaker::{self, Admission, Breaker, Change, Outcome, State};
use camarad_policies::health::{self, Latencies, Latency, Recent, Seen};
use camarad_policies::retry_budget::RetryBudget;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// Retries in hand before there were any reads.
const RETRIES: f64 = 10.0;

/// What one caller can do: failures in a row that count as Coolbits', and retries within
/// [`SPAN`]. Nobody can stop the others' reads, or use up their retries, by reads of their
/// own that fail; more takes another caller's, or a probe's.
const MOST_FAILURES: u8 = 2;
const MOST_RETRIES: u8 = 3;
const MOST_WITHHELD: u32 = 1000;
const SPAN: Duration = Duration::from_secs(10);
/// How long a caller whose trial failed leaves trials to others.
const SET_ASIDE: Duration = Duration::from_secs(60);

/// The upstream's name in metrics and logs.
const UPSTREAM: &str = "coolbits";

/// How Coolbits is doing.
pub(crate) struct Vitals {
    started: Instant,
    inner: Mutex<Inner>,
    /// Somebody's reads fail one after the other: a probe should tell whether it is them.
    doubt: Notify,
    observer: Arc<Observer>,
}

struct Inner {
    breaker: Breaker,
    retries: RetryBudget,
    /// Of all reads, for whoever looks.
    recent: Recent,
    /// Of the reads since Coolbits was asked by all again: what is over is over.
    since_closed: Recent,
    latencies: Latencies,
    /// Failures of each caller since the last success or change; cleared with it.
    row: HashMap<u64, u8>,
    /// Failures beyond a caller's share, which count when a probe fails as well.
    withheld: u32,
    /// Retries of each caller in this span, and when it began.
    retried: (Duration, HashMap<u64, u8>),
    /// Whose trial failed last, and when.
    failed_trial: Option<(u64, Duration)>,
    success: Option<(Duration, SystemTime)>,
    failure: Option<(Duration, LastFailure)>,
    probe: Option<LastProbe>,
}

/// How the last probe went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastProbe {
    pub(crate) at: SystemTime,
    /// `None` where it was answered.
    pub(crate) failure: Option<&'static str>,
}

/// What went wrong last.
#[derive(Clone, Debug)]
pub(crate) struct LastFailure {
    pub(crate) at: SystemTime,
    pub(crate) code: &'static str,
    /// The path at Coolbits, once one was asked.
    pub(crate) path: Option<Arc<str>>,
}

/// What is known at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Checkup {
    pub(crate) status: health::Status,
    pub(crate) breaker: State,
    /// Since when the breaker is in that state.
    pub(crate) since: SystemTime,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) last_success: Option<SystemTime>,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) last_probe: Option<LastProbe>,
    pub(crate) latency: Latency,
    pub(crate) fallback_ratio: f64,
}

/// A read that may ask Coolbits.
pub(crate) struct Admitted<'a> {
    vitals: &'a Vitals,
    caller: u64,
    admission: Option<Admission>,
    started: Instant,
}

impl Vitals {
    pub(crate) fn new(config: &Config, observer: Arc<Observer>) -> Self {
        let state = observer
            .metrics
            .breaker_state
            .with_label_values(&[UPSTREAM]);
        state.set(State::Closed.number());
        Self {
            started: Instant::now(),
            inner: Mutex::new(Inner {
                breaker: Breaker::new(config.breaker),
                retries: RetryBudget::new(config.retry_share, RETRIES),
                recent: Recent::new(),
                since_closed: Recent::new(),
                latencies: Latencies::new(),
                row: HashMap::new(),
                withheld: 0,
                retried: (Duration::ZERO, HashMap::new()),
                failed_trial: None,
                success: None,
                failure: None,
                probe: None,
            }),
            doubt: Notify::new(),
            observer,
        }
    }

    /// Waits until a probe is wanted.
    pub(crate) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Whether a read of this caller may ask Coolbits; errors with [`Failure::BreakerOpen`].
    pub(crate) fn admit(&self, caller: u64) -> Result<Admitted<'_>, Miss> {
        let now = self.now();
        let mut inner = self.lock();
        inner.retries.request();
        let set_aside = inner
            .failed_trial
            .is_some_and(|(whose, at)| whose == caller && now.saturating_sub(at) < SET_ASIDE);
        if set_aside && inner.breaker.state() != State::Closed {
            return Err(Failure::BreakerOpen.into());
        }
        match inner.breaker.admit(now) {
            Ok(admission) => {
                self.tell(&mut inner, admission.change());
                Ok(Admitted {
                    vitals: self,
                    caller,
                    admission: Some(admission),
                    started: Instant::now(),
                })
            }
            Err(_) => Err(Failure::BreakerOpen.into()),
        }
    }

    /// Whether a request of this caller may be made a second time.
    pub(crate) fn may_retry(&self, caller: u64) -> bool {
        let now = self.now();
        let mut inner = self.lock();
        let (since, retried) = &mut inner.retried;
        if now.saturating_sub(*since) >= SPAN {
            (*since, *retried) = (now, HashMap::new());
        }
        let own = retried.entry(caller).or_default();
        if *own >= MOST_RETRIES {
            return false;
        }
        *own += 1;
        inner.retries.retry()
    }

    /// Notes whether a read was answered by Coolbits, or by the mock in its place.
    pub(crate) fn answered(&self, outcome: Result<(), &Miss>) {
        let now = self.now();
        let mut inner = self.lock();
        let failed = outcome.is_err();
        inner.recent.note(now, failed);
        inner.since_closed.note(now, failed);
        match outcome {
            Ok(()) => inner.success = Some((now, SystemTime::now())),
            // Nothing was asked, so nothing is known.
            Err(miss) if miss.failure == Failure::BreakerOpen => {}
            Err(miss) => {
                let failure = LastFailure {
                    at: SystemTime::now(),
                    code: miss.failure.code(),
                    path: miss.path.clone(),
                };
                if miss.failure.is_coolbits_fault() {
                    inner.failure = Some((now, failure));
                } else if miss.status.is_some() {
                    // It is there, and answers.
                    inner.success = Some((now, SystemTime::now()));
                }
            }
        }
    }

    /// Notes what a probe of our own found.
    pub(crate) fn probed(&self, outcome: Result<(), (Failure, Arc<str>)>) {
        let now = self.now();
        let mut inner = self.lock();
        let alive = outcome.is_ok();
        inner.probe = Some(LastProbe {
            at: SystemTime::now(),
            failure: outcome.as_ref().err().map(|(failure, _)| failure.code()),
        });
        match outcome {
            // It answers; whether reads are answered too is theirs to say.
            Ok(()) if inner.failure.is_none() => inner.success = Some((now, SystemTime::now())),
            Ok(()) => {}
            Err((failure, path)) => {
                let failure = LastFailure {
                    at: SystemTime::now(),
                    code: failure.code(),
                    path: Some(path),
                };
                inner.failure = Some((now, failure));
            }
        }
        // Somebody's reads fail, and so does this: it is not theirs alone, and what was held
        // back of them counts.
        let failures = match alive {
            true => 1,
            false => 1 + std::mem::take(&mut inner.withheld),
        };
        let mut change = None;
        for _ in 0..failures {
            change = change.or(inner.breaker.probed(now, alive, fastrand::f64()));
        }
        self.tell(&mut inner, change);
        let up = alive && inner.breaker.state() == State::Closed;
        self.observer.metrics.gateway_up.set(i64::from(up));
    }

    /// What is known now.
    pub(crate) fn checkup(&self, enabled: bool) -> Checkup {
        let now = self.now();
        let inner = self.lock();
        let breaker::Status {
            state,
            since,
            failures,
            ..
        } = inner.breaker.status(now);
        let seen = Seen {
            enabled,
            breaker: state,
            last_success: inner.success.map(|(at, _)| at),
            last_failure: inner.failure.as_ref().map(|(at, _)| *at),
            fallback_ratio: inner.since_closed.fallback_ratio(now),
            now,
        };
        Checkup {
            status: health::status(&seen),
            breaker: state,
            since: SystemTime::now() - now.saturating_sub(since),
            failures,
            last_success: inner.success.map(|(_, at)| at),
            last_failure: inner.failure.as_ref().map(|(_, failure)| failure.clone()),
            last_probe: inner.probe,
            latency: inner.latencies.percentiles(now),
            fallback_ratio: inner.recent.fallback_ratio(now),
        }
    }

    fn note(&self, caller: u64, admission: Admission, outcome: Outcome, took: Duration) {
        let now = self.now();
        let mut inner = self.lock();
        let mut outcome = outcome;
        match outcome {
            Outcome::Success => {
                inner.latencies.note(now, took);
                inner.row.clear();
                inner.withheld = 0;
            }
            Outcome::Failure if admission.is_trial() => inner.failed_trial = Some((caller, now)),
            Outcome::Failure => {
                let own = inner.row.entry(caller).or_default();
                *own = own.saturating_add(1);
                if *own >= MOST_FAILURES {
                    self.doubt.notify_one();
                }
                if *own > MOST_FAILURES {
                    outcome = Outcome::Neutral;
                    inner.withheld = (inner.withheld + 1).min(MOST_WITHHELD);
                }
            }
            Outcome::Neutral => {}
        }
        let change = inner.breaker.note(now, admission, outcome, fastrand::f64());
        self.tell(&mut inner, change);
    }

    fn tell(&self, inner: &mut Inner, change: Option<Change>) {
        let Some(change) = change else { return };
        inner.row.clear();
        inner.withheld = 0;
        if change.to == State::Closed {
            inner.since_closed = Recent::new();
            inner.failed_trial = None;
        }
        let state = &self.observer.metrics.breaker_state;
        state.with_label_values(&[UPSTREAM]).set(change.to.number());
        tracing::warn!(
            upstream = UPSTREAM,
            from = change.from.as_str(),
            to = change.to.as_str(),
            open_ms = change.open_for.map(|time| time.as_millis() as u64),
            "the circuit breaker changed"
        );
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted<'_> {
    /// Notes how the read ended.
    pub(crate) fn end<T>(mut self, outcome: &Result<T, Miss>) {
        let took = self.started.elapsed();
        if let Some(admission) = self.admission.take() {
            self.vitals
                .note(self.caller, admission, said_of(outcome), took);
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.vitals
                .note(self.caller, admission, Outcome::Neutral, Duration::ZERO);
        }
    }
}

/// What the end of a read says of Coolbits.
fn said_of<T>(outcome: &Result<T, Miss>) -> Outcome {
    match outcome {
        Ok(_) => Outcome::Success,
        // Nothing was asked, or our own means were used up.
        Err(miss) if miss.path.is_none() || miss.failure == Failure::Overloaded => Outcome::Neutral,
        // It was answered; the mapping has other rows in mind.
        Err(miss) if miss.is_of_mapping => Outcome::Success,
        Err(miss) if miss.failure.is_coolbits_fault() => Outcome::Failure,
        Err(_) => Outcome::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_coolbits_did_wrong_counts_against_it() {
        let miss = |failure: Failure| Miss {
            path: Some("/report".into()),
            ..failure.into()
        };
        let of = |miss: Miss| said_of::<()>(&Err(miss));
        for (failure, outcome) in [
            (Failure::Timeout, Outcome::Failure),
            (Failure::Unreachable, Outcome::Failure),
            (Failure::Http5xx, Outcome::Failure),
            (Failure::BadPayload, Outcome::Failure),
            (Failure::Http4xx, Outcome::Success),
            (Failure::Unauthorized, Outcome::Success),
            (Failure::NotConnected, Outcome::Success),
            (Failure::Empty, Outcome::Success),
            (Failure::Overloaded, Outcome::Neutral),
        ] {
            assert_eq!(of(miss(failure)), outcome, "{failure:?}");
        }
        assert_eq!(
            of(Failure::Timeout.into()),
            Outcome::Neutral,
            "it waited for a lock"
        );
        let mapping = Miss {
            is_of_mapping: true,
            ..miss(Failure::BadPayload)
        };
        assert_eq!(of(mapping), Outcome::Success);
        assert_eq!(said_of(&Ok(())), Outcome::Success);
    }
}
