//! Every metric, on one page. The doc comment is the help text.
//!
//! Labels come from closed sets: rule names, codes, origins. Never a raw path, a
//! user or a client, or the number of series would be the callers' to choose.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds, from a quarter of a millisecond to half a minute.
const SECONDS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    12.0, 30.0,
];

/// How a metric of this kind is made.
trait Kind: Sized + Collector + Clone + 'static {
    fn make(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
}

macro_rules! kinds {
    ($($kind:ty: |$opts:ident, $labels:ident| $make:expr;)*) => {$(
        impl Kind for $kind {
            fn make(name: &str, help: &str, $labels: &[&str]) -> prometheus::Result<Self> {
                let $opts = Opts::new(name, help);
                $make
            }
        }
    )*};
}

kinds! {
    IntCounter: |opts, _labels| IntCounter::with_opts(opts);
    IntCounterVec: |opts, labels| IntCounterVec::new(opts, labels);
    IntGauge: |opts, _labels| IntGauge::with_opts(opts);
    IntGaugeVec: |opts, labels| IntGaugeVec::new(opts, labels);
    GaugeVec: |opts, labels| GaugeVec::new(opts, labels);
    Histogram: |opts, _labels| Histogram::with_opts(HistogramOpts::from(opts).buckets(SECONDS.to_vec()));
    HistogramVec: |opts, labels| HistogramVec::new(HistogramOpts::from(opts).buckets(SECONDS.to_vec()), labels);
}

macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $kind:ty [$($label:literal),*],)*) => {
        /// The metrics of the process.
        pub(crate) struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub(crate) $field: $kind,)*
        }

        impl Metrics {
            /// The names, without their prefix.
            #[cfg(test)]
            const NAMES: &[&str] = &[$(stringify!($field)),*];

            pub(crate) fn new() -> prometheus::Result<Self> {
                let registry = Registry::new_custom(Some("sidecar".into()), None)?;
                $(
                    let $field = <$kind as Kind>::make(stringify!($field), $help.trim(), &[$($label),*])?;
                    registry.register(Box::new($field.clone()))?;
                )*
                Ok(Self { registry, $($field,)* })
            }
        }
    };
}

metrics! {
    /// Requests that were answered, by rule, method, status and source of the figures.
    requests_total: IntCounterVec ["route", "method", "status", "source"],
    /// Time from a request's head to the end of its answer, by rule.
    request_duration_seconds: HistogramVec ["route"],
    /// Of that, what was not spent waiting for upstreams, by rule with a latency budget.
    own_duration_seconds: HistogramVec ["route"],
    /// What the sidecar itself may take of a request at p99, by rule.
    latency_budget_seconds: GaugeVec ["route"],
    /// Requests made of an upstream, by outcome.
    upstream_requests_total: IntCounterVec ["upstream", "outcome"],
    /// Time an upstream took to answer.
    upstream_duration_seconds: HistogramVec ["upstream"],
    /// 5xx answers by whose fault they are; those of Coolbits are hidden by the mock and counted all the same.
    responses_5xx_total: IntCounterVec ["origin"],
    /// 1 from when an origin fails in a burst until it is well below the threshold again.
    burst_5xx: IntGaugeVec ["origin"],
    /// Decisions on identity and client, by area of the app.
    tenancy_decisions_total: IntCounterVec ["area", "decision", "reason", "mode"],
    /// Answers of the app that held an id of somebody else and were withheld.
    egress_blocked_total: IntCounterVec ["route"],
    /// Rows and ids of others that were cut out of answers that went on.
    egress_rows_cut_total: IntCounterVec ["route"],
    /// Requests that claimed a user id by cookie or header which the token does not prove.
    forged_identity_total: IntCounter [],
    /// What the cache did.
    cache_requests_total: IntCounterVec ["route", "result"],
    /// Bytes the cache keeps.
    cache_bytes: IntGauge [],
    /// Answers the cache keeps.
    cache_entries: IntGauge [],
    /// Answers that were dropped for lack of room.
    cache_evictions_total: IntCounter [],
    /// 1 while the gateway's switch is on.
    gateway_enabled: IntGauge [],
    /// 1 while the gateway is on and Coolbits answered the last read, or the last probe.
    gateway_up: IntGauge [],
    /// The circuit breaker of an upstream: 0 closed, 1 half-open, 2 open.
    breaker_state: IntGaugeVec ["upstream"],
    /// Answers that the mock gave in Coolbits' place.
    fallbacks_total: IntCounterVec ["route", "reason"],
    /// Runs of the orchestrator, by how they ended.
    runs_total: IntCounterVec ["status"],
    /// Times that the ledger of runs could not be read or written.
    ledger_errors_total: IntCounter [],
    /// Counts the settings that were in force: of the file, and of the gateway's switch at run time.
    config_generation: IntGauge [],
    /// Times that settings were read again: applied, unchanged or refused.
    config_reloads_total: IntCounterVec ["outcome"],
    /// 1 while the file that was read last was refused, and the settings in force are not its own.
    config_refused: IntGauge [],
    /// 1 while a configuration is in force that `config rollback` went back to.
    config_rolled_back: IntGauge [],
    /// Panics that were caught and answered with 500.
    panics_total: IntCounter [],
    /// Requests being answered.
    in_flight: IntGauge [],
    /// Bytes of request and answer bodies that are held in memory.
    buffered_bytes: IntGauge [],
    /// Seconds since an issuer's keys were last fetched; 0 for keys that are part of the settings.
    key_age_seconds: IntGaugeVec ["issuer"],
    /// Lines of the access log that were dropped rather than waited for; of the audit log none is.
    log_dropped_total: IntGauge [],
    /// Bytes of audit lines that wait to be written.
    audit_waiting_bytes: IntGauge [],
    /// When a restore from a backup was last seen to work, in Unix seconds; 0 where that is not known.
    restore_drill_last_success_timestamp_seconds: IntGauge [],
    /// Always 1; the labels say what is running.
    build_info: IntGaugeVec ["version"],
}

impl Metrics {
    /// The page for Prometheus.
    pub(crate) fn page(&self) -> String {
        let mut families = self.registry.gather();
        families.extend(prometheus::default_registry().gather());
        TextEncoder::new()
            .encode_to_string(&families)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_prefix_and_help() {
        let metrics = Metrics::new().unwrap();
        metrics
            .requests_total
            .with_label_values(&["page", "GET", "200", "legacy"])
            .inc();
        let page = metrics.page();
        let line = "sidecar_requests_total{method=\"GET\",route=\"page\",source=\"legacy\",status=\"200\"} 1";
        assert!(page.contains(line), "{page}");
        assert!(
            page.contains("# HELP sidecar_panics_total Panics that were caught"),
            "{page}"
        );
        assert!(page.contains("process_resident_memory_bytes"), "{page}");
    }

    /// Metrics of ours that a text asks for; recorded series have colons in their names.
    fn asked_for(text: &str) -> Vec<&str> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let words = text.split(|c: char| !is_name(c));
        let metrics = words.filter(|word| {
            let is_one = word.strip_prefix("sidecar_");
            is_one.is_some_and(|name| !name.is_empty()) && !word.contains(':')
        });
        metrics.collect()
    }

    #[test]
    fn what_operators_are_given_asks_for_metrics_that_there_are() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/deploy");
        let mut asked = 0;
        for folder in ["prometheus", "grafana", "runbooks"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for name in asked_for(&text) {
                    let own = name.trim_start_matches("sidecar_");
                    let bare = ["_bucket", "_sum", "_count"]
                        .into_iter()
                        .find_map(|suffix| own.strip_suffix(suffix));
                    let is_known = Metrics::NAMES.contains(&own)
                        || bare.is_some_and(|bare| Metrics::NAMES.contains(&bare));
                    assert!(is_known, "{}: {name} is no metric", path.display());
                    asked += 1;
                }
            }
        }
        assert!(asked > 50, "{asked}");
    }
}
