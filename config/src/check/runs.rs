//! Runs of the orchestrator: the table of guardrails, and how much of the ledger is kept.

use super::Checker;
use crate::checked::{Ledger, Orchestrator};
use crate::settings::{BehindSettings, LedgerSettings, OrchestratorSettings};
use camarad_policies::guardrails::{Guardrails, GuardrailsError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn check_behind(
    c: &mut Checker,
    settings: BehindSettings,
    coolbits: Option<&str>,
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
    let own = Url::parse(coolbits.unwrap_or_default()).ok();
    let is_itself = own.is_some_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let same_host = host == address.ip().to_string() || host == "localhost";
        same_host && url.port_or_known_default() == Some(address.port())
    });
    if is_itself {
        let message = format!(
            "{address} is gateway.url too: expected the real Coolbits there, and this one in the app's COOLBITS_URL"
        );
        c.problem(KEY, message);
    }
    Some(address)
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
