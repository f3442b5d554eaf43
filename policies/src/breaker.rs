//! A circuit breaker for one upstream: whether it may be asked just now.
//!
//! Closed, every call is admitted and its outcome noted. Too many failures open it,
//! and nothing is admitted until its time is over or a probe finds the upstream alive.
//! Then it is half-open: a few calls are admitted as trials, and the first one that
//! says something closes it or opens it for longer.
//!
//! The state changes only in calls that return the [`Change`], so that none can go
//! unreported; an open breaker whose time is over stays open until somebody asks.
//! Not here: what a failure is, the clock, the lock around it, and the probes.
//!
//! Misuse to beware of: who is admitted has to note an outcome, [`Outcome::Neutral`] at
//! least (a caller that left, an error of our own). A trial that is never noted keeps
//! its place for as long as [`Settings::open_most`].

mod values;

pub use values::{Admission, Change, Outcome, Refused, Settings, State, Status};

use crate::window::Window;
use std::time::Duration;

/// A breaker; closed in the beginning.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: Settings,
    window: Window,
    state: State,
    since: Duration,
    /// When an open one may be asked again.
    until: Duration,
    /// Openings so far. Admissions carry it: what was admitted before an opening says
    /// nothing of the upstream after it.
    epoch: u64,
    /// Trials that failed since it was closed.
    failed_trials: u32,
    failed_calls: u32,
    /// Kept apart: a probe that succeeds takes back what probes said, not what calls said.
    failed_probes: u32,
    /// Trials under way, of whatever epoch: the bound holds for what the upstream gets.
    trials: Vec<Trial>,
    next_trial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    id: u64,
    at: Duration,
}

impl Breaker {
    /// A closed breaker of which nothing is known.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            window: Window::new(settings.window),
            state: State::Closed,
            since: Duration::ZERO,
            until: Duration::ZERO,
            epoch: 0,
            failed_trials: 0,
            failed_calls: 0,
            failed_probes: 0,
            trials: Vec::new(),
            next_trial: 0,
        }
    }

    /// Whether the upstream may be asked now. An open breaker whose time is over becomes
    /// half-open by this, which the admission tells.
    pub fn admit(&mut self, now: Duration) -> Result<Admission, Refused> {
        let retry_in = self.retry_in(now);
        if !retry_in.is_zero() {
            return Err(Refused { retry_in });
        }
        let is_over = self.state == State::Open;
        let change = is_over.then(|| self.turn(now, State::HalfOpen, None));
        let trial = (self.state == State::HalfOpen).then(|| self.try_out(now));
        Ok(Admission {
            epoch: self.epoch,
            trial,
            change,
        })
    }

    /// Counts how an admitted call ended. `jitter` is random, 0.0 to 1.0.
    ///
    /// What was admitted before the breaker last opened, and a trial that was given up,
    /// change nothing.
    pub fn note(
        &mut self,
        now: Duration,
        admission: Admission,
        outcome: Outcome,
        jitter: f64,
    ) -> Option<Change> {
        if let Some(id) = admission.trial {
            self.give_up(now);
            let place = self.trials.iter().position(|trial| trial.id == id)?;
            self.trials.swap_remove(place);
        }
        if admission.epoch != self.epoch || outcome == Outcome::Neutral {
            return None;
        }
        let failed = outcome == Outcome::Failure;
        if failed {
            self.failed_calls = self.failed_calls.saturating_add(1);
        } else {
            (self.failed_calls, self.failed_probes) = (0, 0);
        }
        match (self.state, failed) {
            (State::Closed, _) => {
                self.window.note(now, failed);
                // Only a failure opens it, even where a success makes up the volume.
                let opens = failed && (self.is_row() || self.is_rate(now));
                opens.then(|| self.open(now, jitter))
            }
            (State::HalfOpen, true) => {
                self.failed_trials = self.failed_trials.saturating_add(1);
                Some(self.open(now, jitter))
            }
            (State::HalfOpen, false) => Some(self.close(now)),
            // Opening it made every admission one of an earlier epoch.
            (State::Open, _) => None,
        }
    }

    /// Counts what a probe found. `jitter` is random, 0.0 to 1.0.
    ///
    /// Alive, an open breaker is half-open at once. Not alive, it is a failure in the row
    /// of a closed one but not in its share, and opens a half-open one again, for as long
    /// as before: only trials double the time.
    pub fn probed(&mut self, now: Duration, alive: bool, jitter: f64) -> Option<Change> {
        match (self.state, alive) {
            (State::Open, true) => Some(self.turn(now, State::HalfOpen, None)),
            (State::Closed, true) => {
                self.failed_probes = 0;
                None
            }
            (State::Closed, false) => {
                self.failed_probes = self.failed_probes.saturating_add(1);
                self.is_row().then(|| self.open(now, jitter))
            }
            (State::HalfOpen, false) => Some(self.open(now, jitter)),
            (State::HalfOpen, true) | (State::Open, false) => None,
        }
    }

    /// Its state, as the last change left it.
    pub fn state(&self) -> State {
        self.state
    }

    /// What it says of itself now.
    pub fn status(&self, now: Duration) -> Status {
        Status {
            state: self.state,
            since: self.since,
            failures: self.failures(),
            retry_in: self.retry_in(now),
        }
    }

    fn failures(&self) -> u32 {
        self.failed_calls.saturating_add(self.failed_probes)
    }

    fn is_row(&self) -> bool {
        self.failures() >= self.settings.consecutive
    }

    fn is_rate(&self, now: Duration) -> bool {
        let totals = self.window.totals(now);
        totals.all >= self.settings.min_volume && totals.ratio() >= self.settings.rate
    }

    /// An open one whose trials are all under way stays open, so that a refusal is
    /// never a change.
    fn retry_in(&self, now: Duration) -> Duration {
        match self.state {
            State::Closed => Duration::ZERO,
            State::Open => self.until.saturating_sub(now).max(self.place_in(now)),
            State::HalfOpen => self.place_in(now),
        }
    }

    /// Until a trial's place is free.
    fn place_in(&self, now: Duration) -> Duration {
        let most = self.settings.trials.max(1) as usize;
        let left = self.trials.iter().map(|trial| self.left(trial, now));
        let under_way = left.filter(|left| !left.is_zero());
        if under_way.clone().count() < most {
            return Duration::ZERO;
        }
        under_way.min().unwrap_or_default()
    }

    /// How long a trial still counts.
    fn left(&self, trial: &Trial, now: Duration) -> Duration {
        let end = trial.at.saturating_add(self.settings.open_most);
        end.saturating_sub(now)
    }

    fn give_up(&mut self, now: Duration) {
        let mut trials = std::mem::take(&mut self.trials);
        trials.retain(|trial| !self.left(trial, now).is_zero());
        self.trials = trials;
    }

    fn try_out(&mut self, now: Duration) -> u64 {
        self.give_up(now);
        let id = self.next_trial;
        self.next_trial += 1;
        self.trials.push(Trial { id, at: now });
        id
    }

    fn open(&mut self, now: Duration, jitter: f64) -> Change {
        let doubled = 1u32.checked_shl(self.failed_trials).unwrap_or(u32::MAX);
        let whole = self.settings.open.saturating_mul(doubled);
        let whole = whole.min(self.settings.open_most);
        // 90 % to 110 %, so that many breakers do not try one upstream together.
        let seconds = whole.as_secs_f64() * (0.9 + 0.2 * jitter.clamp(0.0, 1.0));
        let open_for = Duration::try_from_secs_f64(seconds).unwrap_or(whole);
        self.epoch += 1;
        self.until = now.saturating_add(open_for);
        self.turn(now, State::Open, Some(open_for))
    }

    fn close(&mut self, now: Duration) -> Change {
        self.failed_trials = 0;
        self.window = Window::new(self.settings.window);
        self.turn(now, State::Closed, None)
    }

    fn turn(&mut self, now: Duration, to: State, open_for: Option<Duration>) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        self.since = now;
        Change { from, to, open_for }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
