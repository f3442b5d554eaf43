//! The sidecar itself, and variants of it.

use super::idle;
use super::peer::{Peer, first_line};
use super::process::{Running, cpus, free_address};
use super::scenario::{Scenario, Setup};
use super::site::{SECRET, Site};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The sidecar with settings of its own.
pub(super) struct Variant {
    name: &'static str,
    /// Settings besides those of all variants, as the environment names them.
    environment: &'static [(&'static str, &'static str)],
    /// The scenarios it is for; none means all.
    only: &'static [&'static str],
}

/// Its name in the tables; the goals are its.
pub(super) const NAME: &str = "sidecar";

/// What is measured of the sidecar.
pub(super) const VARIANTS: &[Variant] = &[
    Variant {
        name: NAME,
        environment: &[],
        only: &[],
    },
    // As peers do it.
    Variant {
        name: "sidecar, verifying each time",
        environment: &[("SIDECAR__LIMITS__VERIFIED_TOKENS", "0")],
        only: &["S2", "S2b", "S3", "S4"],
    },
    // A line for each refusal, which no peer writes.
    Variant {
        name: "sidecar, with its audit log",
        environment: &[("SIDECAR__AUDIT__LOG", "")],
        only: &["S4"],
    },
];

impl Peer for &'static Variant {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> String {
        let binary = crate::processes::sidecar_binary().unwrap_or_default();
        first_line(&binary.display().to_string(), "--version")
    }

    fn is_alternative(&self) -> bool {
        false
    }

    fn can(&self, scenario: &Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario.id)
    }

    fn start(&self, setup: Setup, site: &Site) -> io::Result<Running> {
        start(self.name, setup, site, self.environment)
    }
}

/// Starts it on the CPU for what is measured, its files in a folder of this name.
pub(crate) fn start(
    name: &str,
    setup: Setup,
    site: &Site,
    environment: &[(&str, &str)],
) -> io::Result<Running> {
    let folder = site.folder(&format!("{name} {setup:?}"))?;
    let address = free_address()?;
    let command = command(setup, site, address, &folder, environment)?;
    Running::start(&command, address, cpus().0, &folder)
}

/// How the sidecar is run for a setup, with everything it writes in `folder`.
pub(crate) fn command(
    setup: Setup,
    site: &Site,
    address: SocketAddr,
    folder: &Path,
    environment: &[(&str, &str)],
) -> io::Result<Command> {
    let settings = folder.join("sidecar.toml");
    std::fs::write(&settings, file(setup, site))?;
    let mut command = Command::new(crate::processes::sidecar_binary()?);
    command.arg("run");
    command.env("SIDECAR_CONFIG", &settings);
    command.env("SIDECAR_LISTEN", address.to_string());
    command.env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0");
    command.env("SIDECAR_STATE_DIR", folder);
    // Peers write no line about a request either.
    command.env("SIDECAR_ACCESS_LOG", "off");
    command.env("SIDECAR__AUDIT__LOG", "off");
    command.env("SIDECAR_LOG", "warn,pingora_core=off,pingora_proxy=off");
    // So many refusals of one user would be limited, and no peer limits them.
    command.env("SIDECAR__LIMITS__REFUSALS", "0");
    command.env("SIDECAR__LIMITS__KEEPALIVE_REQUESTS", "1000000000");
    command.env("LEGACY_URL", format!("http://{}", site.upstream_address()));
    for (name, value) in environment {
        command.env(name, value);
    }
    Ok(command)
}

/// The settings of a setup.
fn file(setup: Setup, site: &Site) -> String {
    let issuer = match setup {
        Setup::Rs256 => format!("pem_file = {:?}\nalgorithms = [\"RS256\"]", site.public_key),
        _ => format!("secret = {SECRET:?}\nalgorithms = [\"HS256\"]"),
    };
    let cache = match setup {
        Setup::Hs256 | Setup::Rs256 | Setup::Idle => "app_reads = false",
        Setup::Cached | Setup::GatewayCached | Setup::Outage => "",
        Setup::CachedMany => "capacity_bytes = 2147483648",
        Setup::Gateway | Setup::OutageUncached => "capacity_bytes = 0\nfallback_ttl = \"0s\"",
    };
    let coolbits = match setup {
        Setup::Gateway | Setup::GatewayCached => site.upstream_address().to_string(),
        // Nobody listens on loopback's port 1.
        Setup::Outage | Setup::OutageUncached => "127.0.0.1:1".to_owned(),
        Setup::Hs256 | Setup::Rs256 | Setup::Cached | Setup::Idle | Setup::CachedMany => {
            String::new()
        }
    };
    let gateway = match coolbits.as_str() {
        "" => "enabled = false".to_owned(),
        // Neither probes nor trials during a round.
        address => format!(
            "enabled = true\nurl = \"http://{address}\"\nprobe_interval = \"10m\"\n\
             [breaker]\nopen = \"10m\"\nopen_most = \"10m\""
        ),
    };
    let limits = match setup {
        Setup::Idle => format!("[limits]\nconnections = {}\n", idle::ROOM),
        _ => String::new(),
    };
    format!(
        "{limits}[server]\nthreads = 1\ndrain = \"0s\"\ngrace = \"1s\"\n[tenancy]\ndirectory_ttl = \"5m\"\n\
         [cache]\n{cache}\n[gateway]\n{gateway}\n\
         [[issuers]]\nname = \"bench\"\nkind = \"keyed\"\n{issuer}\nuser_claim = \"uid\"\n\
         forward_to_coolbits = true\n"
    )
}
