//! What the status page tells, as values: `/status.json` is this and the page is drawn from
//! it, so that the two cannot disagree. How they are come by: [`super::gather`].
//!
//! Whoever reaches the admin listener reads it: no token, no secret, and of users and clients
//! what [`super::blind`] makes of their ids. Names of runs and steps are there only for whoever
//! holds the admin token.

use crate::observe::Count;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Facts {
    /// When it was so, RFC 3339.
    pub(super) time: String,
    pub(super) gateway: Gateway,
    pub(super) traffic: Vec<Origin>,
    pub(super) cache: Cache,
    pub(super) refusals: Refusals,
    pub(super) matrix: Matrix,
    pub(super) runs: Runs,
    pub(super) configuration: Configuration,
    pub(super) process: Process,
}

/// Coolbits, its switch and its breaker.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Gateway {
    pub(super) enabled: bool,
    /// Operations that the mock answers although the gateway is on.
    pub(super) mock_only: Vec<&'static str>,
    /// How many operations there are.
    pub(super) operations: usize,
    /// `connected`, `degraded`, …
    pub(super) status: &'static str,
    /// `closed`, `open`, `half_open`.
    pub(super) breaker: &'static str,
    pub(super) breaker_since: String,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) last_success: Option<Event>,
    pub(super) last_failure: Option<Event>,
    pub(super) last_probe: Option<Event>,
    pub(super) probe_interval_seconds: f64,
    pub(super) latency_p50_ms: f64,
    pub(super) latency_p95_ms: f64,
    /// Share of reads within five minutes that the mock answered.
    pub(super) fallback_ratio_5m: f64,
}

/// Something that was so at a time.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Event {
    pub(super) at: String,
    pub(super) age_seconds: u64,
    /// `ok`, or what went wrong.
    pub(super) code: &'static str,
}

/// Answers of one origin.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Origin {
    /// `legacy`, `coolbits`, `sidecar`.
    pub(super) origin: &'static str,
    /// The last hour, one a minute, the oldest first.
    pub(super) minutes: Vec<Count>,
    pub(super) burst: bool,
    pub(super) burst_window: Count,
    pub(super) burst_window_seconds: u64,
}

/// The cache.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Cache {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) evictions: u64,
    /// By class: `tenant`, `user`, `shared`.
    pub(super) classes: Vec<CacheRow>,
    /// By rule, those that were asked most first.
    pub(super) rules: Vec<CacheRow>,
    /// Rules that are left out of that list.
    pub(super) more_rules: usize,
}

/// What the cache did for a class or a rule.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CacheRow {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) requests: u64,
    /// Answered by what was kept, past its time too.
    pub(super) hits: u64,
    /// Answered together with another request's fetch.
    pub(super) collapsed: u64,
    /// Fetched for the caller alone.
    pub(super) bypassed: u64,
    /// Share of hits and collapsed among those that were not bypassed; `None` where all were.
    pub(super) hit_ratio: Option<f64>,
}

/// What was refused.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Refusals {
    /// Since the start.
    pub(super) total: u64,
    /// The last of them, the newest first.
    pub(super) newest: Vec<Refusal>,
}

/// One refusal.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Refusal {
    pub(super) time: String,
    pub(super) code: String,
    pub(super) rule: String,
    pub(super) status: u16,
    /// Hidden by [`super::blind`].
    pub(super) user: Option<String>,
    pub(super) client: Option<String>,
    pub(super) request_id: String,
}

/// The rules, or those that were looked for.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Matrix {
    /// What was looked for; empty where nothing was.
    pub(super) search: String,
    /// Rules there are, and rules that were found.
    pub(super) rules: usize,
    pub(super) found: usize,
    /// The first of those.
    pub(super) shown: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Rule {
    pub(super) name: String,
    pub(super) area: String,
    pub(super) auth: String,
    pub(super) client: String,
    pub(super) serve: String,
    pub(super) mode: &'static str,
    /// `tenant`, `user`, `shared`, or `-` where nothing is kept.
    pub(super) cache: &'static str,
    /// `GET /api/…`
    pub(super) routes: Vec<String>,
}

/// The last runs.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Runs {
    /// Why there is nothing to tell.
    pub(super) error: Option<String>,
    /// Names are told: the request had the admin token.
    pub(super) named: bool,
    /// The newest first.
    pub(super) newest: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Run {
    pub(super) run_id: String,
    pub(super) status: &'static str,
    pub(super) started_at: String,
    /// Milliseconds; `None` while it runs.
    pub(super) duration_ms: Option<u64>,
    /// `real`, `mock`, `mixed`, or `None` where no connector was read.
    pub(super) data: Option<&'static str>,
    pub(super) is_replay: bool,
    /// Warnings, or violations of a blocked run.
    pub(super) findings: usize,
    /// Steps by status; empty where the app told none, or too much.
    pub(super) steps: BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) named: Option<Named>,
}

/// What only operators with the admin token see of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Named {
    pub(super) flow: String,
    pub(super) steps: Vec<Step>,
    /// Steps that are left out of that list.
    pub(super) more_steps: usize,
}

/// One step of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Step {
    pub(super) label: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) source: Option<String>,
}

/// What is in force.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Configuration {
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    /// How often it was changed, by a reload or by the gateway's switch; 1 at the start.
    pub(super) config_generation: u64,
    /// The last of them, the newest first.
    pub(super) snapshots: Vec<Snapshot>,
    /// What the last change of it changed; `None` where there was none.
    pub(super) difference: Option<Difference>,
}

/// The settings as they were kept once.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) time: String,
    pub(super) reason: String,
    pub(super) in_force: bool,
    /// One from before, which was gone back to.
    pub(super) rolled_back: bool,
}

/// What differs between two of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Difference {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) changes: Vec<SettingChange>,
    /// Changes that are left out of that list.
    pub(super) more: usize,
}

/// A setting that is another one; values as JSON, those of some keys only for the admin token.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SettingChange {
    pub(super) key: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// The process.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Process {
    pub(super) in_flight: i64,
    /// Bytes of bodies that are held.
    pub(super) buffered_bytes: i64,
    pub(super) resident_bytes: Option<u64>,
    pub(super) descriptors: Option<u64>,
    pub(super) most_descriptors: Option<u64>,
    /// Bytes that wait to be written.
    pub(super) access_log_waiting_bytes: usize,
    pub(super) audit_log_waiting_bytes: usize,
    /// Lines since the start.
    pub(super) log_lines_dropped: usize,
    pub(super) ledger_errors: u64,
    pub(super) panics: u64,
    /// Keys are there, the audit log is written, and it is not about to stop.
    pub(super) ready: bool,
    /// RFC 3339; `None` where none is known.
    pub(super) last_restore_drill: Option<String>,
}
