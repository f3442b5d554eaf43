//! Runs of the orchestrator: the table of guardrails, and how much of the ledger is kept.

use super::Checker;
use crate::checked::{Ledger, Orchestrator};
use crate::settings::{BehindSettings, LedgerSettings, OrchestratorSettings};
use camarad_policies::guardrails::{Guardrails, GuardrailsError};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn check_behind(
    c: &mut Checker,
    settings: BehindSettings,
    others: [(&str, String); 4],
) -> Option<SocketAddr> {
    const KEY: &str = "behind.listen";
    let BehindSettings { listen } = settings;
    if listen.is_empty() {
        return None;
    }
    let expected = "a loopback address and port such as \"127.0.0.1:8789\"";
    let address: SocketAddr = c.parsed(KEY, &listen, expected, str::parse)?;
    if !address.ip().is_loopback() {
        let message =
            format!("{address}: expected a loopback address: whoever reaches it asks as the app");
        c.problem(KEY, message);
    }
    for (other, url) in others {
        if Url::parse(&url).is_ok_and(|url| is_at(&url, address)) {
            let message = format!(
                "{address} is {other} too: expected an address of its own, which only the app is given"
            );
            c.problem(KEY, message);
        }
    }
    Some(address)
}

/// Whether whoever asks this URL may come out at the address, in whatever way it is spelled.
fn is_at(url: &Url, address: SocketAddr) -> bool {
    let is_same = |ip: IpAddr| {
        let ip = ip.to_canonical();
        ip == address.ip().to_canonical() || ip.is_unspecified()
    };
    let host = match url.host() {
        // Every name that is not known to be another machine's.
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => is_same(ip.into()),
        Some(Host::Ipv6(ip)) => is_same(ip.into()),
        None => false,
    };
    host && address.port() != 0 && url.port_or_known_default() == Some(address.port())
}

pub(super) fn check_orchestrator(
    c: &mut Checker,
    settings: OrchestratorSettings,
) -> Option<Orchestrator> {
    let OrchestratorSettings {
        guardrails: file,
        replay_credits,
    } = settings;
    let replay_credits = c.within("orchestrator.replay_credits", replay_credits, 0, 1_000_000);
    const KEY: &str = "orchestrator.guardrails";
    let read = match file.as_str() {
        "" => Guardrails::built_in(),
        path => match std::fs::read_to_string(path) {
            Ok(text) => Guardrails::parse(&text),
            Err(error) => {
                c.problem(KEY, format!("{path:?} cannot be read: {error}"));
                return None;
            }
        },
    };
    match read {
        Ok(guardrails) => Some(Orchestrator {
            guardrails: Arc::new(guardrails),
            replay_credits,
        }),
        Err(GuardrailsError(problems)) => {
            for problem in problems {
                c.problem(KEY, format!("{file:?}: {problem}"));
            }
            None
        }
    }
}

pub(super) fn check_ledger(c: &mut Checker, settings: LedgerSettings) -> Ledger {
    let LedgerSettings {
        required,
        max_age_days,
        runs_per_client,
        user_bytes,
        max_bytes,
    } = settings;
    Ledger {
        required,
        // Below a day an Idempotency-Key would be forgotten before its time.
        max_age: DAY * c.within("ledger.max_age_days", max_age_days, 1, 3650),
        runs_per_client: c.within("ledger.runs_per_client", runs_per_client, 1, 1 << 20),
        user_bytes: c.within("ledger.user_bytes", user_bytes, 128 << 10, 1 << 42),
        max_bytes: c.within("ledger.max_bytes", max_bytes, 128 << 10, 1 << 42),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_in_whatever_way_it_is_spelled() {
        let at =
            |url: &str, address: &str| is_at(&Url::parse(url).unwrap(), address.parse().unwrap());
        for (url, address) in [
            ("http://127.0.0.1:8789", "127.0.0.1:8789"),
            ("http://localhost:8789", "127.0.0.1:8789"),
            ("http://localhost.:8789", "[::1]:8789"),
            ("http://0.0.0.0:8789", "127.0.0.1:8789"),
            ("http://[::1]:8789", "[::1]:8789"),
            ("http://[::]:8789", "[::1]:8789"),
            ("http://[::ffff:127.0.0.1]:8789", "127.0.0.1:8789"),
        ] {
            assert!(at(url, address), "{url} {address}");
        }
        for (url, address) in [
            ("http://127.0.0.1:8788", "127.0.0.1:8789"),
            ("http://127.0.0.2:8789", "127.0.0.1:8789"),
            ("http://coolbits.example:8789", "127.0.0.1:8789"),
            ("http://127.0.0.1:8789", "127.0.0.1:0"),
        ] {
            assert!(!at(url, address), "{url} {address}");
        }
    }
}
