//! Requests for a profile: the scenarios of `peers`, one after the other, to a sidecar that
//! writes down what it executes as it ends (`scripts/release.sh` builds one, beside this
//! binary). Nothing is measured; an answer that is not as it must be is an error, since a
//! profile of refusals would make the wrong code fast.

use crate::peers::http::once;
use crate::peers::process::{cpus, pin};
use crate::peers::scenario::{SCENARIOS, Scenario, Status};
use crate::peers::sidecar;
use crate::peers::site::Site;
use crate::peers::wire::{Ask, Load, Turn};
use std::io;
use std::time::Duration;

/// Requests of a scenario.
const REQUESTS: u64 = 5_000;
/// Of one with bodies of megabytes.
const LARGE_REQUESTS: u64 = 50;
/// For it to end: it writes its profile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for everything, a process for each scenario.
///
/// # Errors
/// If the sidecar does not start, answers something else, or does not end when it is asked to.
pub(crate) fn train() -> io::Result<()> {
    pin(cpus().1)?;
    let site = Site::new()?;
    for scenario in SCENARIOS {
        let trained = one(scenario, &site);
        trained.map_err(|error| io::Error::other(format!("{}: {error}", scenario.id)))?;
    }
    Ok(())
}

fn one(scenario: &Scenario, site: &Site) -> io::Result<()> {
    let name = format!("train {}", scenario.id);
    let mut running = sidecar::start(&name, scenario.setup, site, &[])?;
    let requests = scenario.requests(site)?;
    let (status, _) = once(running.address, requests.first().map_or(&[], Vec::as_slice))?;
    if (status == 200) != (scenario.status == Status::Good) {
        return Err(io::Error::other(format!("answered {status}")));
    }
    let ask = Ask {
        target: running.address,
        requests,
        turn: Turn::OwnEach,
        status,
    };
    let count = match scenario.is_large {
        true => LARGE_REQUESTS,
        false => REQUESTS,
    };
    Load::new(&ask, scenario.connections)?.times(count)?;
    match running.end(PATIENCE) {
        true => Ok(()),
        false => Err(io::Error::other("did not end")),
    }
}
