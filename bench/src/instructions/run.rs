//! One run of the sidecar under a tool that counts: so many requests, then its end.

use crate::peers::http::once;
use crate::peers::process::{Running, cpus, free_address, wrapped};
use crate::peers::scenario::{Scenario, Status};
use crate::peers::sidecar;
use crate::peers::site::Site;
use crate::peers::wire::{Ask, Load, Turn};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the sidecar runs under.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tool {
    Callgrind,
    Strace,
}

/// For starting, and for ending: under callgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(120);

impl Tool {
    fn around(self, command: &Command, out: &Path) -> Command {
        let mut tool;
        match self {
            Self::Callgrind => {
                tool = Command::new("valgrind");
                tool.args(["--tool=callgrind", "--dump-line=no", "--quiet"]);
                tool.arg(format!("--callgrind-out-file={}", out.display()));
            }
            Self::Strace => {
                tool = Command::new("strace");
                // Beside it and not above it, so that signals reach the sidecar.
                tool.args(["-D", "-f", "-c", "-o"]).arg(out);
            }
        }
        wrapped(tool, command)
    }
}

/// What the tool wrote of a run with this many requests.
///
/// # Errors
/// If the sidecar does not start, answers something else, or does not end when it is asked to.
pub(super) fn run(
    tool: Tool,
    scenario: &Scenario,
    site: &Site,
    requests: u64,
) -> io::Result<String> {
    let name = format!("{tool:?} {} {requests}", scenario.id);
    let named = |error: &io::Error| io::Error::other(format!("{name}: {error}"));
    let folder = site.folder(&name)?;
    let (address, out) = (free_address()?, folder.join("out"));
    let command = sidecar::command(scenario.setup, site, address, &folder, &[])?;
    let command = tool.around(&command, &out);
    let mut running = Running::start_within(&command, address, cpus().0, &folder, PATIENCE)?;
    let asked = scenario.requests(site)?;
    let first = asked.first().map_or(&[][..], Vec::as_slice);
    let (status, _) = once(address, first).map_err(|error| named(&error))?;
    if (status == 200) != (scenario.status == Status::Good) {
        return Err(io::Error::other(format!("{name}: answered {status}")));
    }
    let ask = Ask {
        target: address,
        requests: asked,
        turn: Turn::OwnEach,
        status,
    };
    let outcome = Load::new(&ask, 1).and_then(|mut load| load.times(requests));
    if outcome.map_err(|error| named(&error))?.reconnects > 0 {
        return Err(io::Error::other(format!(
            "{name}: the connection was not kept"
        )));
    }
    if !running.end(PATIENCE) {
        return Err(io::Error::other(format!("{name}: did not end")));
    }
    written(&out).map_err(|error| named(&error))
}

/// What is in the file once there is something: strace ends a little later than the sidecar.
fn written(out: &Path) -> io::Result<String> {
    let started = Instant::now();
    loop {
        match std::fs::read_to_string(out) {
            Ok(text) if text.ends_with('\n') => return Ok(text),
            _ if started.elapsed() > Duration::from_secs(10) => {
                return Err(io::Error::other("nothing was written"));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
