//! Telling what happened: one [`Record`] per request, told to log and metrics
//! in one place, so that the two cannot disagree.

mod audit;
mod burst;
mod glance;
mod handles;
mod log;
mod metrics;
mod recent;

pub(crate) use glance::{CacheCounts, Traffic};
pub(crate) use log::{JsonLines, Overflow, application, init_tracing};
pub(crate) use metrics::Metrics;
pub(crate) use recent::{Count, Refusal};

use crate::gateway::Failure;
use burst::Burst;
use camarad_config::Burst as BurstConfig;
use camarad_policies::matrix::{Auth, Matrix, Rule};
use camarad_policies::normalise::METHODS;
use camarad_policies::record::{CacheResult, Origin, Record, Source, rfc3339};
use handles::{Kept, Labels};
use prometheus::{Histogram, IntCounter};
use recent::{Minutes, Refusals};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Bytes of audit lines that may wait before the sidecar says that it is not ready.
const MOST_AUDIT: usize = 64 << 20;

/// Everybody who is told.
pub(crate) struct Observer {
    pub(crate) metrics: Metrics,
    handles: Kept,
    legacy_ok: OnceLock<(IntCounter, Histogram)>,
    watches: [Mutex<Watch>; 3],
    refusals: Mutex<Refusals>,
    log: JsonLines,
    audit: JsonLines,
    /// Writes that were let through go into the audit log too.
    audit_writes: bool,
    started: Instant,
}

/// What is known of one origin.
struct Watch {
    burst: Burst,
    minutes: Minutes,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer {
    pub(crate) fn new(
        config: &BurstConfig,
        log: JsonLines,
        audit: JsonLines,
        audit_writes: bool,
    ) -> prometheus::Result<Self> {
        let metrics = Metrics::new()?;
        metrics
            .build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        for origin in Origin::ALL {
            metrics
                .burst_5xx
                .with_label_values(&[origin.as_str()])
                .set(0);
            metrics
                .responses_5xx_total
                .with_label_values(&[origin.as_str()])
                .inc_by(0);
        }
        Ok(Self {
            metrics,
            handles: Kept::default(),
            legacy_ok: OnceLock::new(),
            watches: Origin::ALL.map(|_| {
                Mutex::new(Watch {
                    burst: Burst::new(config),
                    minutes: Minutes::new(),
                })
            }),
            refusals: Mutex::default(),
            log,
            audit,
            audit_writes,
            started: Instant::now(),
        })
    }

    /// Tells what the sidecar may take of a request, by rule.
    pub(crate) fn tell_budgets(&self, matrix: &Matrix) {
        for rule in matrix.rules() {
            if let Some(budget) = rule.budget() {
                let budgets = &self.metrics.latency_budget_seconds;
                let budgets = budgets.with_label_values(&[&rule.name]);
                budgets.set(budget.as_secs_f64());
            }
        }
    }

    /// Tells about a request that is finished `now`; `rule` is the one that applied, if it came
    /// that far.
    pub(crate) fn tell(&self, record: &mut Record, rule: Option<&Rule>, now: Instant) {
        let protected = rule.is_none_or(|rule| rule.auth == Auth::Required);
        let is_decision = protected || record.refused() || record.reported.is_some();
        let decision = is_decision.then(|| {
            let (decision, reason) = match (record.refused(), record.reported) {
                (true, _) => ("refuse", record.code.unwrap_or("unknown")),
                (false, Some(code)) => ("report", code),
                (false, None) => ("allow", "ok"),
            };
            [
                decision,
                reason,
                rule.map_or("enforce", |rule| rule.mode.as_str()),
            ]
        });
        let m = &self.metrics;
        let handles = self.handles.get(
            m,
            &Labels {
                route: &record.route,
                area: &record.area,
                method: method(&record.method),
                status: record.status,
                source: record.source.unwrap_or(Source::Sidecar).as_str(),
                has_budget: rule.is_some_and(|rule| rule.budget().is_some()),
                decision,
                cache: record.cache.map(CacheResult::as_str),
                fallback: record.fallback,
            },
        );
        let seconds = record.duration_ms / 1000.0;
        handles.requests.inc();
        handles.duration.observe(seconds);
        if let Some(own) = &handles.own_duration {
            own.observe((seconds - record.upstream_ms / 1000.0).max(0.0));
        }
        if let Some(decision) = &handles.decision {
            decision.inc();
        }
        if let Some(cache) = &handles.cache {
            cache.inc();
        }
        if record.forged_user {
            m.forged_identity_total.inc();
        }
        if let Some(fallback) = &handles.fallback {
            fallback.inc();
        }
        let second = self.second(now);
        let failed = |origin| record.status >= 500 && record.origin == Some(origin);
        if record.source == Some(Source::Legacy) || record.origin == Some(Origin::Legacy) {
            self.answered(Origin::Legacy, failed(Origin::Legacy), second);
        }
        self.answered(Origin::Sidecar, failed(Origin::Sidecar), second);
        self.log.write(record);
        if record.refused() {
            locked(&self.refusals).note(Refusal::of(record));
        }
        if let Some(entry) = audit::Entry::of(record, self.audit_writes) {
            self.audit.write(&entry);
        }
    }

    /// Notes one request made of an upstream.
    pub(crate) fn upstream(&self, upstream: &str, outcome: &str, took: Duration) {
        let find = || self.upstream_handles(upstream, outcome);
        let found;
        let (requests, duration) = match (upstream, outcome) {
            // Nearly all of them.
            ("legacy", "ok") => self.legacy_ok.get_or_init(find),
            _ => {
                found = find();
                &found
            }
        };
        requests.inc();
        duration.observe(took.as_secs_f64());
    }

    fn upstream_handles(&self, upstream: &str, outcome: &str) -> (IntCounter, Histogram) {
        let m = &self.metrics;
        let requests = &m.upstream_requests_total;
        let duration = &m.upstream_duration_seconds;
        (
            requests.with_label_values(&[upstream, outcome]),
            duration.with_label_values(&[upstream]),
        )
    }

    /// Notes one read of Coolbits as a whole, and why it failed.
    pub(crate) fn coolbits_read(&self, failure: Option<Failure>) {
        let failed = failure.is_some_and(Failure::is_coolbits_fault);
        self.metrics.gateway_up.set(i64::from(!failed));
        self.answered(Origin::Coolbits, failed, self.second(Instant::now()));
    }

    /// The metrics page, with what is only known when somebody looks.
    pub(crate) fn page(&self, cache_bytes: u64) -> String {
        self.metrics.cache_bytes.set(cache_bytes as i64);
        self.metrics
            .log_dropped_total
            .set((self.log.dropped() + self.audit.dropped()) as i64);
        self.metrics
            .audit_waiting_bytes
            .set(self.audit.waiting() as i64);
        self.look_for_bursts();
        self.metrics.page()
    }

    /// Looks whether a burst has begun or ended, and tells metric, log and audit so; to be
    /// done every second.
    pub(crate) fn look_for_bursts(&self) {
        let now = self.second(Instant::now());
        for (origin, watch) in Origin::ALL.iter().zip(&self.watches) {
            let origin = origin.as_str();
            // Told under the lock, or two looks could tell a beginning after its end.
            let mut watch = locked(watch);
            let look = watch.burst.look(now);
            let gauge = &self.metrics.burst_5xx;
            gauge.with_label_values(&[origin]).set(i64::from(look.on));
            if !look.changed {
                continue;
            }
            let (answers, failed) = (look.answers, look.failed);
            let window_seconds = watch.burst.window();
            let state = if look.on { "raised" } else { "cleared" };
            match look.on {
                true => tracing::error!(origin, failed, answers, window_seconds, "a burst of 5xx"),
                false => {
                    tracing::info!(origin, failed, answers, window_seconds, "the burst is over");
                }
            }
            self.audit.write(&audit::Event {
                time: &rfc3339(SystemTime::now()),
                event: "burst_5xx",
                origin,
                state,
                failed,
                answers,
                window_seconds,
            });
        }
    }

    /// Opens the logs by their names again.
    pub(crate) fn reopen(&self) {
        self.log.reopen();
        self.audit.reopen();
    }

    /// Whether audit lines pile up that cannot be written.
    pub(crate) fn is_audit_stuck(&self) -> bool {
        self.audit.waiting() > MOST_AUDIT
    }

    /// Writes what is still waiting to be logged; for the end of the process.
    pub(crate) fn close(&self) {
        self.log.close();
        self.audit.close();
    }

    fn answered(&self, origin: Origin, failed: bool, second: u64) {
        let at = Origin::ALL.iter().position(|o| *o == origin).unwrap_or(0);
        let mut watch = locked(&self.watches[at]);
        watch.burst.note(second, failed);
        watch.minutes.note(second / 60, failed);
        drop(watch);
        if failed {
            self.metrics
                .responses_5xx_total
                .with_label_values(&[origin.as_str()])
                .inc();
        }
    }

    /// Counted from 1000, so that an empty slot (second 0) is never recent.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() + 1000
    }
}

/// Methods are the caller's to invent; labels are not.
fn method(method: &str) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method);
    known.copied().unwrap_or("other")
}
