//! HAProxy 2.6 with `jwt_verify`, the claim against the header, and its cache.
//!
//! Its cache knows keys of host and target only, and no header: so the target has the tenant
//! in front of it while the cache is asked, and is put right again for the upstream. And it
//! keeps no answer to a request with a token: so that is taken off meanwhile, after it was verified.

use super::idle;
use super::peer::{Peer, first_line};
use super::process::{Running, cpus, free_address};
use super::scenario::{Scenario, Setup, Work};
use super::site::{SECRET, Site};
use std::io;
use std::process::Command;

pub(super) struct Haproxy;

impl Peer for Haproxy {
    fn name(&self) -> &'static str {
        "HAProxy"
    }

    fn version(&self) -> String {
        first_line("haproxy", "-v")
    }

    fn is_alternative(&self) -> bool {
        true
    }

    fn can(&self, scenario: &Scenario) -> bool {
        scenario.work != Work::Own
    }

    fn start(&self, setup: Setup, site: &Site) -> io::Result<Running> {
        let (address, folder) = (free_address()?, site.folder(&format!("haproxy {setup:?}"))?);
        let (algorithm, key) = match setup {
            Setup::Rs256 => ("RS256", site.public_key.display().to_string()),
            _ => ("HS256", SECRET.to_owned()),
        };
        let (keep, from_cache, to_cache) = match setup {
            Setup::Cached => (KEEP, FROM_CACHE, TO_CACHE),
            _ => ("", "", ""),
        };
        let connections = match setup {
            Setup::Idle => idle::ROOM,
            _ => 4096,
        };
        let file = TEMPLATE
            .replace("{connections}", &connections.to_string())
            .replace("{address}", &address.to_string())
            .replace("{upstream}", &site.upstream_address().to_string())
            .replace("{algorithm}", algorithm)
            .replace("{key}", &key)
            .replace("{keep}", keep)
            .replace("{from_cache}", from_cache)
            .replace("{to_cache}", to_cache);
        let path = folder.join("haproxy.cfg");
        std::fs::write(&path, file)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(path);
        Running::start(&command, address, cpus().0, &folder)
    }
}

const TEMPLATE: &str = include_str!("../../peers/haproxy.cfg");

const KEEP: &str = "
cache tenants
    total-max-size 64
    max-object-size 1048576
    max-age 30
";

// Conditions are asked anew at each line, and `api` would look at the path as it is by then.
const FROM_CACHE: &str = "    http-request set-var(txn.path) path if api METH_GET
    http-request set-path /%[var(txn.uid)]/%[req.hdr(X-Client-ID)]%[path] if { var(txn.path) -m found }
    http-request del-header Authorization if { var(txn.path) -m found }
    http-request cache-use tenants if { var(txn.path) -m found }
    http-request set-header Authorization \"Bearer %[var(txn.bearer)]\" if { var(txn.path) -m found }
    http-request set-path %[var(txn.path)] if { var(txn.path) -m found }";

// Without a time of its own no answer is kept.
const TO_CACHE: &str = "    http-response set-header Cache-Control max-age=30 if { var(txn.path) -m found } { status 200 }
    http-response cache-store tenants if { var(txn.path) -m found } { status 200 }";
