//! What a request costs in figures that a busy machine does not change: instructions,
//! allocations and system calls, written to `results/instructions.md` and held against the
//! budgets of `instructions.toml`.
//!
//! The release binary runs under callgrind and under strace, with one worker and one
//! keep-alive connection. Each scenario is run twice, with N requests and with 2N; the
//! difference over N is what one request costs, without start, first requests and end.
//! This is no measure of time: a cache miss counts as much as an addition, and the kernel's
//! own instructions do not count at all. Time is the business of `peers`.

mod budget;
mod callgrind;
mod report;
mod run;
mod strace;

use crate::peers::process::{cpus, pin};
use crate::peers::scenario::{SCENARIOS, Scenario};
use crate::peers::site::Site;
use budget::{Budgets, Cost};
use run::Tool;
use std::io;
use std::path::{Path, PathBuf};

/// What is counted: where the hot path shows.
const COUNTED: [&str; 7] = ["S1", "S2", "S3", "S4", "S5", "S6", "S7"];

/// Requests of the shorter of two runs.
const REQUESTS: u64 = 500;

/// What one scenario costs.
struct Counted {
    scenario: &'static Scenario,
    cost: Cost,
    calls: strace::PerRequest,
}

#[derive(Debug, PartialEq)]
struct Options {
    accept: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(arguments: &[&str]) -> io::Result<Self> {
        let (mut accept, mut only) = (false, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--accept" => accept = true,
                "--only" => {
                    let list = arguments.next().copied().unwrap_or_default();
                    only = list.split(',').map(str::to_owned).collect();
                }
                other => {
                    let expected = "expected --accept or --only S2,S3";
                    return Err(io::Error::other(format!("{other}: {expected}")));
                }
            }
        }
        match only.iter().find(|id| !COUNTED.contains(&id.as_str())) {
            None => Ok(Self { accept, only }),
            Some(unknown) => {
                let all = COUNTED.join(", ");
                Err(io::Error::other(format!(
                    "{unknown:?} is not counted: {all}"
                )))
            }
        }
    }

    fn wants(&self, scenario: &Scenario) -> bool {
        match self.only.as_slice() {
            [] => COUNTED.contains(&scenario.id),
            only => only.iter().any(|id| id == scenario.id),
        }
    }
}

/// Counts, writes the table, and holds it against the budgets.
///
/// # Errors
/// If a tool is missing, the sidecar does not answer as it must, or a budget is exceeded.
pub(crate) fn measure(arguments: &[&str]) -> io::Result<()> {
    let options = Options::parse(arguments)?;
    pin(cpus().1)?;
    let site = Site::new()?;
    let mut counted = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| options.wants(scenario)) {
        counted.push(count(scenario, &site)?);
    }
    let file = budget_file();
    let mut budgets = Budgets::parse(&std::fs::read_to_string(&file).unwrap_or_default())?;
    if options.accept {
        for one in &counted {
            budgets.accept(one.scenario.id, one.cost);
        }
        std::fs::write(&file, budgets.text())?;
    }
    crate::table::publish("instructions.md", &report::table(&counted, &budgets))?;
    let costs = counted.iter().map(|one| (one.scenario.id, one.cost));
    match budgets.exceeded(costs).as_slice() {
        [] => Ok(()),
        over => Err(io::Error::other(format!("{}\n{RAISE}", over.join("\n")))),
    }
}

const RAISE: &str = "If that is worth it, `camarad-bench instructions --accept` writes what was \
                     measured and 2 % more to bench/instructions.toml, to be committed.";

fn budget_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

/// Both tools, twice each.
fn count(scenario: &'static Scenario, site: &Site) -> io::Result<Counted> {
    let profile = |requests| -> io::Result<callgrind::Profile> {
        callgrind::parse(&run::run(Tool::Callgrind, scenario, site, requests)?)
            .ok_or_else(|| io::Error::other("callgrind's file is not as its manual says"))
    };
    let traced = |requests| run::run(Tool::Strace, scenario, site, requests);
    let (less, more) = (profile(REQUESTS)?, profile(2 * REQUESTS)?);
    let (few, many) = (traced(REQUESTS)?, traced(2 * REQUESTS)?);
    let calls = strace::per_request(&strace::parse(&few), &strace::parse(&many), REQUESTS);
    Ok(Counted {
        scenario,
        cost: less.per_request(more, REQUESTS),
        calls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_a_scenario() {
        for id in COUNTED {
            assert!(SCENARIOS.iter().any(|scenario| scenario.id == id), "{id}");
        }
    }

    #[test]
    fn the_committed_budgets_are_of_all_that_is_counted() {
        let text = std::fs::read_to_string(budget_file()).expect("instructions.toml");
        let budgets = Budgets::parse(&text).expect("good");
        assert!(COUNTED.iter().all(|id| budgets.of(id).is_some()));
    }

    #[test]
    fn options_are_read_or_named_when_they_are_wrong() {
        let options = Options::parse(&["--accept", "--only", "S2,S3"]).expect("good");
        assert_eq!((options.accept, options.only.len()), (true, 2));
        for (wrong, word) in [(vec!["--only", "S9d"], "S9d"), (vec!["-x"], "-x")] {
            let error = Options::parse(&wrong).expect_err("wrong").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
