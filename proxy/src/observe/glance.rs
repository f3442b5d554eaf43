//! What the observer knows, for whoever looks at the status page: read, never changed.

use super::recent::{Count, Refusal};
use super::{Observer, Watch, locked};
use camarad_policies::record::Origin;
use prometheus::core::Collector;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One origin at this moment.
pub(crate) struct Traffic {
    pub(crate) origin: Origin,
    /// The last hour, one a minute, the oldest first.
    pub(crate) minutes: Vec<Count>,
    /// A burst of failures is under way.
    pub(crate) burst: bool,
    /// What stands in the burst's window, which is so many seconds long.
    pub(crate) window: Count,
    pub(crate) window_seconds: u64,
}

/// What waits to be logged, and what was not.
pub(crate) struct Backlog {
    /// Bytes of the access log, of the audit log.
    pub(crate) access_bytes: usize,
    pub(crate) audit_bytes: usize,
    /// Lines of both that were dropped.
    pub(crate) dropped: usize,
}

/// What the system says of the process; `None` where it says nothing.
#[derive(Default)]
pub(crate) struct System {
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) most_descriptors: Option<u64>,
}

/// Requests by what the cache did.
pub(crate) type CacheCounts = BTreeMap<String, u64>;

impl Observer {
    /// Each origin, as [`Origin::ALL`] has them.
    pub(crate) fn traffic(&self) -> Vec<Traffic> {
        let now = self.second(Instant::now());
        let one = |(origin, watch): (Origin, &Mutex<Watch>)| {
            let watch = locked(watch);
            let look = watch.burst.seen(now);
            Traffic {
                origin,
                minutes: watch.minutes.until(now / 60),
                burst: look.on,
                window: Count {
                    answers: look.answers,
                    failed: look.failed,
                },
                window_seconds: watch.burst.window(),
            }
        };
        Origin::ALL
            .into_iter()
            .zip(&self.watches)
            .map(one)
            .collect()
    }

    /// The last refusals, the newest first, and how many there were since the start.
    pub(crate) fn refusals(&self) -> (Vec<Refusal>, u64) {
        let refusals = locked(&self.refusals);
        (refusals.newest(), refusals.total())
    }

    /// How the logs are doing.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog {
            access_bytes: self.log.waiting(),
            audit_bytes: self.audit.waiting(),
            dropped: self.log.dropped() + self.audit.dropped(),
        }
    }

    /// How long it has been up.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// What the cache did, by rule.
    pub(crate) fn cache_counts(&self) -> BTreeMap<String, CacheCounts> {
        let mut rules = BTreeMap::<String, CacheCounts>::new();
        for family in self.metrics.cache_requests_total.collect() {
            for metric in family.get_metric() {
                let label = |name| {
                    let labels = metric.get_label().iter();
                    let mut found = labels.filter(|label| label.name() == name);
                    found.next().map_or("", |label| label.value()).to_owned()
                };
                let count = metric.get_counter().get_value() as u64;
                let results = rules.entry(label("route")).or_default();
                results.insert(label("result"), count);
            }
        }
        rules
    }

    /// What the system says of the process.
    pub(crate) fn system(&self) -> System {
        let mut system = System::default();
        for family in prometheus::default_registry().gather() {
            let value = family.get_metric().first();
            let value = value.map(|metric| metric.get_gauge().get_value() as u64);
            match family.name() {
                "process_resident_memory_bytes" => system.resident_bytes = value,
                "process_open_fds" => system.descriptors = value,
                "process_max_fds" => system.most_descriptors = value,
                _ => {}
            }
        }
        system
    }
}
