//! Counting what the lines say.

use super::Window;
use super::durations::Durations;
use crate::log_lines::{Access, Application, Audit, millis};
use crate::run::{Run, Status};
use crate::shown::{code, plain};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};

/// Names (routes, codes, …) that are told apart; ours are fewer, a strange file may have more.
const NAMES: usize = 500;
/// Users or addresses that are told apart.
const DISTINCT: usize = 1 << 20;
/// Things that are listed one by one.
const LISTED: usize = 50;
/// Ids kept of one kind of failure.
const IDS: usize = 10;
/// What comes after [`NAMES`].
const OTHERS: &str = "(others)";

/// How often, and when first and last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

impl Times {
    fn note(&mut self, at: i64) {
        self.merge(Self {
            count: 1,
            first_ms: at,
            last_ms: at,
        });
    }

    pub(super) fn merge(&mut self, other: Self) {
        *self = match (self.count, other.count) {
            (_, 0) => *self,
            (0, _) => other,
            (own, more) => Self {
                count: own + more,
                first_ms: self.first_ms.min(other.first_ms),
                last_ms: self.last_ms.max(other.last_ms),
            },
        };
    }
}

/// Things by name, the first [`NAMES`] of them.
pub(super) type Named<V> = BTreeMap<String, V>;

fn slot<'a, V: Default>(of: &'a mut Named<V>, name: &str) -> &'a mut V {
    let known = of.len() < NAMES || of.contains_key(name);
    let name = if known { name } else { OTHERS };
    of.entry(plain(name, 80)).or_default()
}

/// How many different ones; only hashes of them are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct(HashSet<u64>);

impl Distinct {
    fn note(&mut self, one: &impl Hash) {
        if self.0.len() < DISTINCT {
            let mut hasher = DefaultHasher::new();
            one.hash(&mut hasher);
            self.0.insert(hasher.finish());
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// What is listed one by one, earliest first, as many as are listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    rows: Vec<(i64, String)>,
    pub(super) count: u64,
}

impl Listed {
    fn note(&mut self, at: i64, what: String) {
        self.count += 1;
        self.rows.push((at, what));
        // Rarely, for the cost; and the earliest stay whatever order they come in.
        if self.rows.len() >= 2 * LISTED {
            self.rows.sort();
            self.rows.truncate(LISTED);
        }
    }

    pub(super) fn rows(&self) -> Vec<(i64, String)> {
        let mut rows = self.rows.clone();
        rows.sort();
        rows.truncate(LISTED);
        rows
    }
}

/// The 5xx of one origin and route.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    pub(super) times: Times,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Some of them, with their times.
    pub(super) ids: Vec<(i64, String)>,
}

/// Refusals by code, and whom they touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    pub(super) codes: Named<u64>,
    pub(super) users: Distinct,
    pub(super) addresses: Distinct,
}

impl Refusals {
    fn note(&mut self, code: Option<&str>, user: Option<u64>, address: Option<&str>) {
        *slot(&mut self.codes, code.unwrap_or("unknown")) += 1;
        user.iter().for_each(|user| self.users.note(user));
        address
            .iter()
            .for_each(|address| self.addresses.note(address));
    }

    pub(super) fn count(&self) -> u64 {
        self.codes.values().sum()
    }
}

/// The two lengths of time that are compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    pub(super) during: Durations,
    pub(super) before: Durations,
}

/// What happened within a window, in numbers.
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) window: Window,
    before: Window,
    pub(super) routes: Named<Compared>,
    /// By origin, then by route.
    pub(super) failures: Named<Named<Failures>>,
    pub(super) failed_users: Distinct,
    pub(super) failed_before: u64,
    /// By route, then by reason.
    pub(super) fallbacks: Named<Named<Times>>,
    pub(super) breaker: Listed,
    pub(super) bursts: Listed,
    /// By the access log, which has only what was refused before it went on.
    pub(super) refused_early: Refusals,
    pub(super) refused: Refusals,
    pub(super) changes: Listed,
    /// Configurations that came into force.
    pub(super) configurations: Listed,
    pub(super) errors: Times,
    pub(super) warnings: Times,
    pub(super) runs: Listed,
    pub(super) run_statuses: Named<u64>,
}

impl Tally {
    /// Nothing yet, of this window and the one before it.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            before: window.before(),
            routes: Named::new(),
            failures: Named::new(),
            failed_users: Distinct::default(),
            failed_before: 0,
            fallbacks: Named::new(),
            breaker: Listed::default(),
            bursts: Listed::default(),
            refused_early: Refusals::default(),
            refused: Refusals::default(),
            changes: Listed::default(),
            configurations: Listed::default(),
            errors: Times::default(),
            warnings: Times::default(),
            runs: Listed::default(),
            run_statuses: Named::new(),
        }
    }

    /// Both windows together: what lies outside of it need not be told.
    pub fn span(&self) -> Window {
        Window {
            from_ms: self.before.from_ms,
            to_ms: self.window.to_ms,
        }
    }

    /// Told of a line of the access log, and of its time.
    pub fn access(&mut self, line: &Access, at: i64) {
        if self.before.holds(at) {
            let route = slot(&mut self.routes, &line.route);
            route.before.note(line.duration_ms);
            self.failed_before += u64::from(line.status >= 500);
            return;
        }
        if !self.window.holds(at) {
            return;
        }
        let route = slot(&mut self.routes, &line.route);
        route.during.note(line.duration_ms);
        if line.status >= 500 {
            // 501 and 505 are the caller's, and are nobody's fault among us.
            let origin = line.origin.as_deref().unwrap_or("caller");
            let failures = slot(slot(&mut self.failures, origin), &line.route);
            failures.times.note(at);
            *failures.statuses.entry(line.status).or_default() += 1;
            if failures.ids.len() < IDS && !line.request_id.is_empty() {
                failures.ids.push((at, plain(&line.request_id, 80)));
            }
            line.user
                .iter()
                .for_each(|user| self.failed_users.note(user));
        }
        if let Some(reason) = &line.fallback {
            slot(slot(&mut self.fallbacks, &line.route), reason).note(at);
        }
        if !line.allowed {
            let address = line.client_address.as_deref();
            self.refused_early
                .note(line.code.as_deref(), line.user, address);
        }
    }

    /// Told of a line of the audit log, and of its time. Events of kinds that it does not
    /// know are told by their names as changes.
    pub fn audit(&mut self, line: &Audit, at: i64) {
        if !self.window.holds(at) {
            return;
        }
        match (line.event.as_deref(), line.decision.as_deref()) {
            (Some("burst_5xx"), _) => {
                let word = |word: &Option<String>| plain(word.as_deref().unwrap_or("?"), 20);
                let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
                let (origin, state) = (word(&line.origin), word(&line.state));
                let (failed, answers) = (number(line.failed), number(line.answers));
                let seconds = number(line.window_seconds);
                self.bursts.note(
                    at,
                    format!("{origin} {state}, {failed} of {answers} failed in {seconds} s"),
                );
            }
            (Some(event), _) => {
                let state = line
                    .state
                    .as_deref()
                    .map_or(String::new(), |state| format!(" {}", plain(state, 20)));
                self.changes.note(at, plain(event, 60) + &state);
            }
            (None, Some("refuse")) => {
                let address = line.client_address.as_deref();
                self.refused.note(line.code.as_deref(), line.user, address);
            }
            _ => {}
        }
    }

    /// Told of a line of the application's log, and of its time: the breaker, changes of
    /// settings, starts and stops; errors and warnings are counted.
    pub fn application(&mut self, line: &Application, at: i64) {
        if !self.window.holds(at) {
            return;
        }
        match line.level.as_str() {
            "ERROR" => self.errors.note(at),
            "WARN" => self.warnings.note(at),
            _ => {}
        }
        let message = line.message.as_str();
        if let (Some(from), Some(to)) = (&line.from, &line.to)
            && message.contains("breaker")
        {
            let change = format!("{} → {}", plain(from, 20), plain(to, 20));
            self.breaker.note(at, change);
        } else if is_change(message) {
            let mut told = plain(message, 80);
            if let Some(enabled) = line.enabled {
                told += if enabled { ", on" } else { ", off" };
            }
            // Which setting it is, and not what it is: ids may stand in it.
            let problem = line.problem.as_deref().and_then(key_of);
            for (name, value) in [
                ("mock only", line.mock_only.as_deref()),
                ("keys", line.keys.as_deref()),
                ("problem with", problem),
                ("asked by", line.asked_by.as_deref()),
            ] {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    told += &format!(", {name}: {}", plain(value, 200));
                }
            }
            self.changes.note(at, told);
        }
    }

    /// Told of a configuration that came into force: its id, who asked, and the keys that
    /// were others, without their values.
    pub fn configuration(&mut self, id: &str, reason: &str, changed: &[String], at: i64) {
        if !self.window.holds(at) {
            return;
        }
        let mut told = format!("{}, {}", plain(id, 20), plain(reason, 60));
        if !changed.is_empty() {
            told += &format!(", keys: {}", plain(&changed.join(", "), 200));
        }
        self.configurations.note(at, told);
    }

    /// Told of a run of the ledger; counts where it went wrong and overlaps the window.
    pub fn run(&mut self, run: &Run) {
        let went_wrong = matches!(
            run.status,
            Status::Error | Status::Interrupted | Status::Warning
        );
        let Some(began) = millis(&run.started_at).filter(|_| went_wrong) else {
            return;
        };
        let ended = run.finished_at.as_deref().and_then(millis);
        if began <= self.window.to_ms && ended.unwrap_or(i64::MAX) >= self.window.from_ms {
            let status = run.status.as_str();
            *slot(&mut self.run_statuses, status) += 1;
            let told = format!("{} {status}", code(&run.run_id));
            self.runs.note(began, told);
        }
    }
}

/// The setting that a problem is with: it stands first, or after where it was read.
fn key_of(problem: &str) -> Option<&str> {
    let is_key = |text: &&str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.contains('.')
            && text.chars().all(is_part)
    };
    let mut parts = problem.split(": ");
    let (first, second) = (parts.next(), parts.next());
    // What comes last is the problem itself.
    let second = second.filter(|_| parts.next().is_some());
    let key = second.filter(is_key).or(first.filter(is_key))?;
    // A name that begins with a digit is an id: a client's, of `gateway.accounts`.
    let names = key.match_indices('.').map(|(at, _)| at);
    let is_id = |at: &usize| key[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let end = names.into_iter().find(is_id).unwrap_or(key.len());
    key.get(..end)
}

/// Messages of the application's log that say that something was changed, started or
/// stopped; by words, so that kinds that are still to come are told too.
fn is_change(message: &str) -> bool {
    const WORDS: [&str; 8] = [
        "was switched",
        "was purged",
        "sessions were ended",
        "reload",
        "settings",
        "rolled back",
        "draining",
        "leaving at once",
    ];
    matches!(message, "listening" | "drained") || WORDS.iter().any(|word| message.contains(word))
}
