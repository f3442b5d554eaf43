//! A run as it is kept, and what is made of it: `results/peers.json` has every round, and
//! the tables are made from that alone. So figures can be judged and shown anew without being
//! measured anew; what was measured, when and of which commit stays as it was written down.

use super::goals::{Judged, judge};
use super::idle::Held;
use super::rounds::{Cell, mark_disturbed};
use super::scenario::{RATE, SCENARIOS};
use super::{Options, machine, peer, process, report, statistics};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// All that a run has seen.
#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) machine: Value,
    pub(super) peers: Vec<Peer>,
    pub(super) settings: Settings,
    /// Rounds at the fixed rate that were added later.
    #[serde(default)]
    pub(super) added: Vec<Added>,
    #[serde(default)]
    pub(super) goals: Vec<Judged>,
    pub(super) cells: Vec<Cell>,
    pub(super) idle: Vec<Held>,
}

/// Who took part.
#[derive(Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) version: String,
}

/// Rounds at the fixed rate of some scenarios that were added to a run.
#[derive(Serialize, Deserialize)]
pub(super) struct Added {
    pub(super) machine: Value,
    /// All, if none is named.
    scenarios: Vec<String>,
    rounds: usize,
}

/// How it was measured.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    full: bool,
    rounds: usize,
    round_seconds: f64,
    timed_rounds: usize,
    timed_seconds: f64,
    rate: f64,
    proxy_cpu: usize,
    load_cpu: usize,
    disturbed_above: f64,
}

impl Settings {
    pub(super) fn of(options: &Options) -> Self {
        let (proxy_cpu, load_cpu) = process::cpus();
        Self {
            full: options.full,
            rounds: options.rounds,
            round_seconds: options.length.as_secs_f64(),
            timed_rounds: options.timed_rounds(),
            timed_seconds: options.timed_length.as_secs_f64(),
            rate: RATE,
            proxy_cpu,
            load_cpu,
            disturbed_above: statistics::OTHERS,
        }
    }
}

impl Run {
    /// The last run that was kept.
    ///
    /// # Errors
    /// If there is none, or it is no run of this version.
    pub(super) fn read() -> io::Result<Self> {
        let kept = kept();
        let named = |error: String| io::Error::other(format!("{}: {error}", kept.display()));
        let text = std::fs::read_to_string(&kept).map_err(|error| named(error.to_string()))?;
        let run: Self = serde_json::from_str(&text).map_err(|error| named(error.to_string()))?;
        Ok(run)
    }

    /// Whether rounds at the fixed rate that are measured by these options are more of its own.
    ///
    /// # Errors
    /// If it has none of a scenario, or they are of another length, or counted by another rule.
    pub(super) fn takes(&self, options: &Options) -> io::Result<()> {
        let length = options.timed_length.as_secs_f64();
        if (self.settings.timed_seconds - length).abs() > f64::EPSILON {
            return Err(io::Error::other(format!(
                "--latency adds rounds to the last run's, of {} s; these would be of {length}: use --full if that was a full one, and --quick if not",
                self.settings.timed_seconds
            )));
        }
        let has = |id: &str| {
            let mut cells = self.cells.iter();
            cells.any(|cell| cell.scenario == id && !cell.timed.is_empty())
        };
        let mut timed = self.cells.iter().flat_map(|cell| &cell.timed);
        if timed.any(|round| round.left_out.is_none()) {
            return Err(io::Error::other(
                "--latency adds rounds to the last run's, of which all turns count, also those that the load came late to: measure anew",
            ));
        }
        match options.only.iter().find(|id| !has(id)) {
            None => Ok(()),
            Some(id) => Err(io::Error::other(format!(
                "--latency adds rounds to the last run's, which has none of {id} at the fixed rate"
            ))),
        }
    }

    /// The number of the next round at the fixed rate: an order in which all are asked is no
    /// other round's.
    pub(super) fn next_timed(&self) -> usize {
        let rounds = self.cells.iter().flat_map(|cell| &cell.timed);
        rounds.map(|round| round.round + 1).max().unwrap_or(0)
    }

    /// It with these rounds at the fixed rate besides its own.
    pub(super) fn with_latencies(mut self, options: &Options, later: Vec<Cell>) -> Self {
        for mut one in later {
            let same = |cell: &&mut Cell| one.peer == cell.peer && one.scenario == cell.scenario;
            if let Some(cell) = self.cells.iter_mut().find(same) {
                cell.timed.append(&mut one.timed);
            }
        }
        self.added.push(Added {
            machine: machine::describe(),
            scenarios: options.only.clone(),
            rounds: options.timed_rounds(),
        });
        self
    }

    /// It with what is disturbed of it, and what it says to the goals.
    pub(super) fn judged(mut self) -> Self {
        mark_disturbed(&mut self.cells);
        self.goals = judge(&self.cells, &self.idle, &alternatives());
        self
    }

    /// Keeps it, and writes its tables.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn publish(&self) -> io::Result<()> {
        let raw = serde_json::to_value(self)?;
        std::fs::write(kept(), format!("{raw:#}\n"))?;
        let about = report::About {
            line: self.line(),
            peers: self
                .peers
                .iter()
                .map(|peer| (peer.name.clone(), peer.version.clone()))
                .collect(),
            alternatives: alternatives(),
        };
        let whole = report::whole(&about, &self.cells, &self.idle, &self.goals);
        crate::table::publish("peers.md", &whole)?;
        if !self.is_whole() {
            return Ok(());
        }
        let short = report::short(&about, &self.cells, &self.goals);
        report::write_readme(&folder().join("../README.md"), &short)
    }

    /// Whether it is one that the README shows: all scenarios, at full length.
    fn is_whole(&self) -> bool {
        let has = |id: &str| self.cells.iter().any(|cell| cell.scenario == id);
        let all = SCENARIOS.iter().all(|scenario| has(scenario.id));
        self.settings.full && all && self.idle.iter().any(|held| held.connections > 0)
    }

    /// Machine, commit, and how long and how often.
    fn line(&self) -> String {
        let Settings {
            rounds,
            round_seconds,
            timed_rounds,
            timed_seconds,
            proxy_cpu,
            load_cpu,
            ..
        } = &self.settings;
        let text = |name: &str| self.machine[name].as_str().unwrap_or_default().to_owned();
        let added: String = self.added.iter().map(Added::told).collect();
        format!(
            "{} cores ({}), Linux {}, {}; {rounds} interleaved rounds of {round_seconds} s and {timed_rounds} of {timed_seconds} s (S9: twice that) at the fixed rate{added}, 32 keep-alive connections (S9: 4), the proxy on CPU {proxy_cpu}, load and upstream on CPU {load_cpu}.",
            self.machine["cores"],
            text("cpu"),
            text("kernel"),
            commit(&self.machine),
        )
    }
}

impl Added {
    fn told(&self) -> String {
        let Self {
            machine,
            scenarios,
            rounds,
        } = self;
        let of = match scenarios.is_empty() {
            true => "each".to_owned(),
            false => scenarios.join(", "),
        };
        let commit = commit(machine);
        format!(" (and {rounds} more of {of}, measured later by the benchmark of {commit})")
    }
}

/// The commit that was measured.
fn commit(machine: &Value) -> String {
    let changed = match machine["uncommitted_changes"] == true {
        true => " with uncommitted changes",
        false => "",
    };
    let id = machine["commit"].as_str().unwrap_or_default();
    format!("commit {id}{changed}")
}

/// Whom a user would pick instead.
fn alternatives() -> Vec<&'static str> {
    let all = peer::all();
    let alternatives = all.iter().filter(|peer| peer.is_alternative());
    alternatives.map(|peer| peer.name()).collect()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn kept() -> PathBuf {
    folder().join("results/peers.json")
}

#[cfg(test)]
mod tests {
    use super::super::report::samples;
    use super::*;

    /// What is kept says all that the tables do.
    #[test]
    fn a_run_that_is_read_again_is_the_same() {
        let run = Run {
            machine: serde_json::json!({"cores": 2, "cpu": "a", "kernel": "b", "commit": "c"}),
            peers: vec![Peer {
                name: "sidecar".to_owned(),
                version: "1".to_owned(),
            }],
            settings: Settings::of(&Options::parse(&["--full"]).expect("good")),
            added: Vec::new(),
            goals: Vec::new(),
            cells: samples(&[
                ("sidecar", "S4", 9.0, 100.0),
                ("HAProxy", "S4", 12.0, 120.0),
            ]),
            idle: vec![Held::sample("sidecar", 10, 35)],
        };
        let run = run.judged();
        let text = serde_json::to_string(&run).expect("JSON");
        let again: Run = serde_json::from_str(&text).expect("a run");
        assert_eq!(run.goals.len(), 3, "{:?}", run.goals);
        assert_eq!(again.goals, run.goals);
        assert_eq!(again.judged().goals, run.goals);
        let again: Run = serde_json::from_str(&text).expect("a run");
        assert_eq!(again.line(), run.line());
        assert!(
            again
                .line()
                .contains("commit c; 9 interleaved rounds of 3 s and 36 of 6 s (S9: twice that)")
        );
        assert!(!run.is_whole(), "one scenario is no whole run");
    }

    #[test]
    fn later_latencies_are_added_to_those_of_a_run() {
        let options = Options::parse(&["--full", "--latency", "--rounds", "2", "--only", "S4"])
            .expect("good");
        let mut run = Run {
            machine: serde_json::json!({"cores": 2, "cpu": "a", "kernel": "b", "commit": "c"}),
            peers: Vec::new(),
            settings: Settings::of(&options),
            added: Vec::new(),
            goals: Vec::new(),
            cells: samples(&[("sidecar", "S4", 9.0, 100.0), ("sidecar", "S3", 9.0, 100.0)]),
            idle: Vec::new(),
        };
        assert_eq!(run.next_timed(), 1);
        run.takes(&options).expect("more of its own");
        for (wrong, word) in [
            (vec!["--latency"], "of 6 s; these would be of 1.5"),
            (vec!["--full", "--latency", "--only", "S4,S2"], "none of S2"),
            (vec!["--full", "--latency", "--only", "S8"], "none of S8"),
        ] {
            let options = Options::parse(&wrong).expect("good");
            let error = run.takes(&options).expect_err("wrong").to_string();
            assert!(error.contains(word), "{error}");
        }
        let mut all_count = samples(&[("sidecar", "S3", 9.0, 100.0)]);
        all_count[0].timed[0].left_out = None;
        run.cells.append(&mut all_count);
        let error = run.takes(&options).expect_err("another rule");
        assert!(error.to_string().contains("measure anew"), "{error}");
        run.cells.pop();
        let run = run.with_latencies(&options, samples(&[("sidecar", "S4", 1.0, 70.0)]));
        let p99 = |at: usize| run.cells[at].at_rate(|round| round.p99).map(|of| of.median);
        assert_eq!((p99(0), p99(1)), (Some(85.0), Some(100.0)));
        assert!((run.cells[0].capacity[0].cpu_micros - 9.0).abs() < 1e-9);
        let line = run.line();
        for part in [
            "commit c; 2 interleaved rounds of 3 s and 2 of 6 s (S9: twice that)",
            "at the fixed rate (and 2 more of S4, measured later by the benchmark of commit ",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}
