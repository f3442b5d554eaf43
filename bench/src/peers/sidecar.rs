//! The sidecar itself, and variants of it.

use super::peer::{Peer, first_line};
use super::process::{Running, cpus, free_address};
use super::scenario::{Scenario, Setup};
use super::site::{SECRET, Site};
use std::io;
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

/// What is measured of the sidecar. The one that verifies each time goes here as soon as
/// there is a setting for it:
/// `Variant { name: "sidecar, remembering no token", environment: &[("SIDECAR__…", "0")], only: &["S2", "S2b"] }`.
pub(super) const VARIANTS: &[Variant] = &[Variant {
    name: NAME,
    environment: &[],
    only: &[],
}];

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
        let folder = site.folder(&format!("{} {setup:?}", self.name))?;
        let (address, settings) = (free_address()?, folder.join("sidecar.toml"));
        let issuer = match setup {
            Setup::Rs256 => format!("pem_file = {:?}\nalgorithms = [\"RS256\"]", site.public_key),
            Setup::Hs256 | Setup::Cached => {
                format!("secret = {SECRET:?}\nalgorithms = [\"HS256\"]")
            }
        };
        let file = format!(
            "[server]\nthreads = 1\n[cache]\napp_reads = {}\n\
             [[issuers]]\nname = \"bench\"\nkind = \"keyed\"\n{issuer}\nuser_claim = \"uid\"\n",
            setup == Setup::Cached
        );
        std::fs::write(&settings, file)?;
        let mut command = Command::new(crate::processes::sidecar_binary()?);
        command.arg("run");
        command.env("SIDECAR_CONFIG", &settings);
        command.env("SIDECAR_LISTEN", address.to_string());
        command.env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0");
        command.env("SIDECAR_STATE_DIR", &folder);
        command.env("SIDECAR_ACCESS_LOG", "off");
        command.env("SIDECAR_LOG", "warn,pingora_core=off,pingora_proxy=off");
        // So many refusals of one user would be limited, and no peer limits them.
        command.env("SIDECAR__LIMITS__REFUSALS", "0");
        command.env("SIDECAR__LIMITS__KEEPALIVE_REQUESTS", "1000000000");
        command.env("COOLBITS_GATEWAY_ENABLED", "off");
        command.env("LEGACY_URL", format!("http://{}", site.upstream_address()));
        for (name, value) in self.environment {
            command.env(name, value);
        }
        Running::start(&command, address, cpus().0, &folder)
    }
}
