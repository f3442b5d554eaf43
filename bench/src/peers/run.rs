//! A run as it is kept, and what is made of it: `results/peers.json` has every round, and
//! the tables are made from that alone. So figures can be judged and shown anew without being
//! measured anew; what was measured, when and of which commit stays as it was written down.

use super::goals::{Judged, judge};
use super::idle::Held;
use super::rounds::Cell;
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
    /// The machine as the latencies were measured later, if they were.
    #[serde(default)]
    pub(super) latency: Option<Value>,
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

    /// It with these latencies in the place of its own.
    pub(super) fn with_latencies(mut self, options: &Options, later: Vec<Cell>) -> Self {
        for cell in &mut self.cells {
            let same = later
                .iter()
                .find(|one| one.peer == cell.peer && one.scenario == cell.scenario);
            cell.timed = same.map(|one| one.timed.clone()).unwrap_or_default();
        }
        self.settings = Settings {
            timed_rounds: options.timed_rounds(),
            timed_seconds: options.timed_length.as_secs_f64(),
            rate: RATE,
            ..self.settings
        };
        self.latency = Some(machine::describe());
        self
    }

    /// It with what it says to the goals.
    pub(super) fn judged(mut self) -> Self {
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
        let later = self.latency.as_ref().map(commit);
        let later = later.map_or_else(String::new, |later| {
            format!(" (measured later, by the benchmark of {later})")
        });
        format!(
            "{} cores ({}), Linux {}, {}; {rounds} interleaved rounds of {round_seconds} s and {timed_rounds} of {timed_seconds} s at the fixed rate{later}, 32 keep-alive connections (S9: 4), the proxy on CPU {proxy_cpu}, load and upstream on CPU {load_cpu}.",
            self.machine["cores"],
            text("cpu"),
            text("kernel"),
            commit(&self.machine),
        )
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
            latency: None,
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
                .contains("commit c; 9 interleaved rounds of 3 s and 18 of 6 s")
        );
        assert!(!run.is_whole(), "one scenario is no whole run");
    }

    #[test]
    fn later_latencies_take_the_place_of_all_of_a_run() {
        let options = Options::parse(&["--full", "--latency", "--rounds", "2"]).expect("good");
        let run = Run {
            machine: serde_json::json!({"cores": 2, "cpu": "a", "kernel": "b", "commit": "c"}),
            peers: Vec::new(),
            settings: Settings::of(&options),
            latency: None,
            goals: Vec::new(),
            cells: samples(&[("sidecar", "S4", 9.0, 100.0), ("sidecar", "S3", 9.0, 100.0)]),
            idle: Vec::new(),
        };
        let run = run.with_latencies(&options, samples(&[("sidecar", "S4", 1.0, 70.0)]));
        let p99 = |at: usize| run.cells[at].at_rate(|round| round.p99).map(|of| of.median);
        assert_eq!((p99(0), p99(1)), (Some(70.0), None));
        assert!((run.cells[0].capacity[0].cpu_micros - 9.0).abs() < 1e-9);
        assert!(
            run.line()
                .contains("commit c; 2 interleaved rounds of 3 s and 2 of 6 s")
        );
        assert!(
            run.line()
                .contains("at the fixed rate (measured later, by the benchmark of commit ")
        );
    }
}
