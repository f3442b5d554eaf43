//! A bare Pingora: passes on, decides nothing. See `pass_through`.

use super::peer::Peer;
use super::process::{Running, cpus, free_address};
use super::scenario::{Scenario, Setup, Work};
use super::site::Site;
use std::io;
use std::process::Command;

pub(super) struct Bare;

/// Its name in the tables; some goals compare with it.
pub(super) const NAME: &str = "bare Pingora";

impl Peer for Bare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        "pingora 0.9.1, the release profile of this workspace".to_owned()
    }

    fn is_alternative(&self) -> bool {
        false
    }

    fn can(&self, scenario: &Scenario) -> bool {
        scenario.work == Work::PassedOn
    }

    fn start(&self, _: Setup, site: &Site) -> io::Result<Running> {
        let (address, upstream) = (free_address()?, site.upstream_address());
        let mut command = Command::new(crate::processes::own_binary()?);
        command.args(["pass-through", &address.to_string(), &upstream.to_string()]);
        Running::start(&command, address, cpus().0, &site.folder("bare")?)
    }
}
