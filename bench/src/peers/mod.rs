//! The sidecar side by side with what a user would pick instead: the same work, on the same
//! machine, in interleaved rounds. Written to `results/peers.json`, and from there to
//! `results/peers.md`.
//!
//! Whatever is measured has one CPU, load and upstream the other. Every peer is checked to do
//! the work before; one that does not ends the run. A busy machine makes figures worthless:
//! rounds in which others were busy are marked, and what was measured while the CPUs were far
//! from each other is measured again.

mod bare;
mod checks;
mod course;
pub(crate) mod crossing;
pub(crate) mod goals;
mod haproxy;
pub(crate) mod http;
pub(crate) mod idle;
pub(crate) mod machine;
mod nginx;
mod open;
mod peer;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod rounds;
mod run;
pub(crate) mod scenario;
mod schedule;
pub(crate) mod sidecar;
pub(crate) mod site;
pub(crate) mod statistics;
pub(crate) mod upstream;
pub(crate) mod wire;

use peer::Peer;
use process::Running;
use rounds::Cell;
use run::{Run, Settings};
use scenario::{SCENARIOS, Scenario, Setup, Status, Work};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::time::Duration;

/// What a run is asked for.
#[derive(Debug, PartialEq)]
struct Options {
    full: bool,
    rounds: usize,
    length: Duration,
    /// Rounds at the fixed rate for each of the others, and how long each scenario is asked.
    timed_each: usize,
    timed_length: Duration,
    only: Vec<String>,
    /// Nothing is measured: the last run is judged and shown again.
    again: bool,
    /// Only rounds at the fixed rate are measured, and added to the last run's.
    latency: bool,
}

impl Options {
    fn parse(arguments: &[&str]) -> io::Result<Self> {
        let full = arguments.contains(&"--full");
        // What is compared by a p99 needs more rounds than what is compared by CPU time.
        let (rounds, millis, timed_each, timed_millis) = match full {
            true => (9, 3000, 4, 6000),
            false => (3, 750, 1, 1500),
        };
        let mut options = Self {
            full,
            rounds,
            length: Duration::from_millis(millis),
            timed_each,
            timed_length: Duration::from_millis(timed_millis),
            only: Vec::new(),
            again: false,
            latency: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--full" | "--quick" => {}
                "--again" => options.again = true,
                "--latency" => options.latency = true,
                "--rounds" => {
                    let number = arguments.next().and_then(|value| value.parse().ok());
                    let number = number.filter(|number| *number > 0);
                    options.rounds =
                        number.ok_or_else(|| io::Error::other("--rounds wants a number from 1"))?;
                }
                "--only" => {
                    let list = arguments.next().copied().unwrap_or_default();
                    options.only = list.split(',').map(str::to_owned).collect();
                }
                other => {
                    return Err(io::Error::other(format!(
                        "{other}: expected --quick, --full, --rounds N, --only S2,S3, --latency or --again"
                    )));
                }
            }
        }
        let mut ids: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
        ids.push(idle::ID);
        if options.latency {
            // There are no others.
            options.timed_each = 1;
        }
        match options.only.iter().find(|id| !ids.contains(&id.as_str())) {
            None => Ok(options),
            Some(unknown) => Err(io::Error::other(format!(
                "{unknown:?} is no scenario: {}",
                ids.join(", ")
            ))),
        }
    }

    /// Rounds at the fixed rate in all, of what peers take part in.
    fn timed_rounds(&self) -> usize {
        self.rounds * self.timed_each
    }

    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == id)
    }
}

/// One scenario of one peer, ready to be measured.
struct Ready {
    scenario: &'static Scenario,
    instance: (usize, Setup),
    ask: wire::Ask,
    cell: Cell,
}

/// Measures, and writes the results.
///
/// # Errors
/// If a peer is missing, does not start or does not do the work: with its name and its words.
pub(crate) fn measure(arguments: &[&str]) -> io::Result<()> {
    let options = Options::parse(arguments)?;
    if options.again {
        return Run::read()?.judged().publish();
    }
    // Before it takes minutes.
    let last = options.latency.then(Run::read).transpose()?;
    if let Some(last) = &last {
        last.takes(&options)?;
    }
    let first_timed = last.as_ref().map_or(0, Run::next_timed);
    process::pin(process::cpus().1)?;
    // Sleeping to the microsecond, not to the next 50 of them.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let (site, peers) = (site::Site::new()?, peer::all());
    let cells = rounds_of(&options, first_timed, &peers, &site)?;
    if let Some(last) = last {
        return last.with_latencies(&options, cells).judged().publish();
    }
    let held = match options.wants(idle::ID) {
        true => idle::measure(&peers, &site)?,
        false => Vec::new(),
    };
    let versions = peers.iter().map(|peer| run::Peer {
        name: peer.name().to_owned(),
        version: peer.version(),
    });
    let run = Run {
        machine: machine::describe(),
        peers: versions.collect(),
        settings: Settings::of(&options),
        added: Vec::new(),
        goals: Vec::new(),
        cells,
        idle: held,
    };
    run.judged().publish()
}

/// All rounds of all scenarios that are wanted; those at the fixed rate are numbered from
/// `first_timed`.
fn rounds_of(
    options: &Options,
    first_timed: usize,
    peers: &[Box<dyn Peer>],
    site: &site::Site,
) -> io::Result<Vec<Cell>> {
    let mut running = BTreeMap::<(usize, Setup), Running>::new();
    let mut ready = start_all(options, peers, site, &mut running)?;
    let scenarios: Vec<&str> = ready.iter().map(|one| one.scenario.id).collect();
    let course = |round| course::course(&scenarios, &goals::compared(), round);
    for round in 0..options.rounds {
        // Where its memory lies makes a process some percent dearer or cheaper than the next of
        // the same binary, for as long as it runs.
        if options.full && round > 0 {
            running.clear();
            let anew = start_all(options, peers, site, &mut running)?;
            for (one, anew) in ready.iter_mut().zip(anew) {
                one.ask = anew.ask;
            }
        }
        let course = match options.latency {
            true => Vec::new(),
            false => course(round),
        };
        for at in course {
            let one = &mut ready[at];
            let processes = (&running[&one.instance], &site.upstream);
            let length = one.scenario.length(options.length);
            let done =
                rounds::capacity(round, one.scenario.connections, &one.ask, processes, length);
            let done = done.map_err(|error| named(one, &error))?;
            one.cell.capacity.push(done);
        }
        for again in 0..options.timed_each {
            let number = first_timed + round * options.timed_each + again;
            for group in ready.chunk_by_mut(|one, next| one.scenario.id == next.scenario.id) {
                // Of what nobody else does there is nothing to compare.
                if again == 0 || group[0].scenario.work != Work::Own {
                    let length = group[0].scenario.timed_length(options.timed_length);
                    timed(number, group, &running, site, length)?;
                }
            }
        }
        if !ready.is_empty() {
            say(&format!("round {} of {}", round + 1, options.rounds));
        }
    }
    Ok(ready.into_iter().map(|one| one.cell).collect())
}

/// A round at the fixed rate of all that do the work of one scenario.
fn timed(
    round: usize,
    group: &mut [Ready],
    running: &BTreeMap<(usize, Setup), Running>,
    site: &site::Site,
    length: Duration,
) -> io::Result<()> {
    let Some(scenario) = group.first().map(|one| one.scenario) else {
        return Ok(());
    };
    let Some(rate) = scenario.rate else {
        return Ok(());
    };
    let asks: Vec<wire::Ask> = group.iter().map(|one| one.ask.clone()).collect();
    let proxies: Vec<&Running> = group.iter().map(|one| &running[&one.instance]).collect();
    let asks = (&asks[..], scenario.connections);
    let done = rounds::timed(round, rate, asks, (&proxies, &site.upstream), length);
    let id = scenario.id;
    let done = done.map_err(|error| io::Error::other(format!("{id} at a fixed rate: {error}")))?;
    for (one, done) in group.iter_mut().zip(done) {
        one.cell.timed.push(done);
    }
    Ok(())
}

/// Starts whoever takes part, each setup once, and has it do the work before it is measured.
fn start_all(
    options: &Options,
    peers: &[Box<dyn Peer>],
    site: &site::Site,
    running: &mut BTreeMap<(usize, Setup), Running>,
) -> io::Result<Vec<Ready>> {
    let mut ready = Vec::new();
    for scenario in SCENARIOS.iter().filter(|one| options.wants(one.id)) {
        let able = peers.iter().enumerate();
        for (at, peer) in able.filter(|(_, peer)| peer.can(scenario)) {
            let instance = (at, scenario.setup);
            if let Entry::Vacant(place) = running.entry(instance) {
                let started = peer.start(scenario.setup, site)?;
                checks::check(peer.as_ref(), scenario.setup, &started, site)?;
                let (name, setup) = (peer.name(), scenario.setup);
                say(&format!("{name} ({setup:?}) does the work"));
                place.insert(started);
            }
            let target = running[&instance].address;
            ready.push(prepare(scenario, peer.as_ref(), instance, target, site)?);
        }
    }
    Ok(ready)
}

fn named(one: &Ready, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}, {}: {error}", one.cell.peer, one.scenario.id))
}

/// The request, and what this peer must answer to it.
fn prepare(
    scenario: &'static Scenario,
    peer: &dyn Peer,
    instance: (usize, Setup),
    target: std::net::SocketAddr,
    site: &site::Site,
) -> io::Result<Ready> {
    let requests = scenario.requests(site)?;
    let first = requests.first().map_or(&[][..], Vec::as_slice);
    let (status, _) = http::once(target, first)?;
    let good = match scenario.status {
        Status::Good => status == 200,
        Status::Refused => matches!(status, 403 | 404),
    };
    if !good {
        return Err(io::Error::other(format!(
            "{}, {}: answered {status}",
            peer.name(),
            scenario.id
        )));
    }
    let cell = Cell {
        peer: peer.name().to_owned(),
        scenario: scenario.id.to_owned(),
        ..Cell::default()
    };
    Ok(Ready {
        scenario,
        instance,
        ask: wire::Ask {
            target,
            requests,
            turn: wire::Turn::OwnEach,
            status,
        },
        cell,
    })
}

#[allow(clippy::print_stderr)] // A run takes minutes; whoever waits wants to know.
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_named_when_they_are_wrong() {
        let quick = Options::parse(&["--only", "S2,S3", "--rounds", "2"]).expect("good");
        assert_eq!((quick.full, quick.rounds, quick.only.len()), (false, 2, 2));
        assert!(
            Options::parse(&["--full"]).is_ok_and(|options| options.full && options.rounds == 9)
        );
        for (words, rounds) in [
            (&["--full"][..], 36),
            (&["--quick"], 3),
            (&["--full", "--latency", "--rounds", "36"], 36),
        ] {
            let options = Options::parse(words).expect("good");
            assert_eq!(options.timed_rounds(), rounds, "{words:?}");
        }
        assert!(Options::parse(&["--again"]).is_ok_and(|options| options.again));
        assert!(
            Options::parse(&["--latency", "--only", "S2"]).is_ok_and(|options| options.latency
                && options.wants("S2")
                && !options.wants("S3"))
        );
        for (wrong, word) in [
            (vec!["--only", "S99"], "S99"),
            (vec!["--rounds", "0"], "--rounds"),
            (vec!["-x"], "-x"),
        ] {
            let error = Options::parse(&wrong).expect_err("wrong").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
