//! Coolbits: where it is, when it is asked, what for, and when not for a while.

use super::{Checker, MINUTE};
use crate::checked::Gateway;
use crate::settings::{BreakerSettings, GatewaySettings};
use camarad_policies::accounts;
use camarad_policies::breaker;
use camarad_policies::endpoints::{Endpoints, EndpointsError};
use camarad_policies::ids::ClientId;
use camarad_policies::operation::{Connector, Operation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(super) fn check_gateway(
    c: &mut Checker,
    settings: GatewaySettings,
    breaker: BreakerSettings,
) -> Option<Gateway> {
    let GatewaySettings {
        enabled,
        url,
        workspace,
        email,
        service_account,
        accounts,
        mock_only,
        table,
        deadline,
        attempt_timeout,
        connect_timeout,
        response_limit_bytes,
        name_lookups,
        probe_interval,
        probe_path,
        retry_share,
    } = settings;
    let url = c.parsed(
        "gateway.url",
        &url,
        "an http:// or https:// URL such as \"http://127.0.0.1:8788\"",
        |text| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() => Ok(url),
            _ => Err(()),
        },
    );
    let mock_only: BTreeSet<Operation> = mock_only
        .iter()
        .filter_map(|name| {
            let expected = format!("any of {}", operation_names());
            c.parsed("gateway.mock_only", name, &expected, |n| {
                let named = Operation::named(n);
                (!named.is_empty()).then_some(named).ok_or(())
            })
        })
        .flatten()
        .collect();
    let endpoints = check_endpoints(c, &table);
    let accounts: BTreeMap<ClientId, BTreeSet<String>> = accounts
        .into_iter()
        .filter_map(|(client, ids)| {
            let key = format!("gateway.accounts.{client}");
            let client = c.parsed(&key, &client, "a client id as the key", ClientId::parse)?;
            let ids = ids.iter().filter_map(|id| {
                let expected = "account ids such as \"123-456-7890\", \"G-ABC123DEF4\" or \"sc-domain:shop.example\"";
                c.parsed(&key, id, expected, |id| {
                    let bare = accounts::bare(id);
                    let is_number = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
                    let is_word = bare.len() >= 3 && !bare.contains(char::is_whitespace);
                    let good = if is_number { bare.len() == 10 } else { is_word };
                    good.then_some(bare).ok_or(())
                })
            });
            Some((client, ids.collect()))
        })
        .collect();
    for (key, text) in [("gateway.workspace", &workspace), ("gateway.email", &email)] {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            c.problem(key, format!("{text:?}: expected a text without spaces"));
        }
    }
    let email_is_set = (c.origin_of)("gateway.email") != "settings";
    if email_is_set && !service_account {
        c.warnings.push(
            "gateway.email is set, but the service account is off: callers' own tokens are used \
             and nothing else (gateway.service_account = true allows it)"
                .into(),
        );
    }
    if service_account && accounts.is_empty() {
        c.warnings.push(
            "gateway.service_account is on, but gateway.accounts names no account: it can read nothing"
                .into(),
        );
    }
    if !probe_path.starts_with('/') || !probe_path.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("{probe_path:?}: expected a path such as \"/healthz\"");
        c.problem("gateway.probe_path", message);
    }
    let least = Duration::from_millis(10);
    let deadline = c.within("gateway.deadline", deadline.0, least, 2 * MINUTE);
    let attempt = c.within(
        "gateway.attempt_timeout",
        attempt_timeout.0,
        least,
        2 * MINUTE,
    );
    if attempt > deadline {
        let message = format!("{attempt:?}: expected at most gateway.deadline ({deadline:?})");
        c.problem("gateway.attempt_timeout", message);
    }
    Some(Gateway {
        enabled,
        url: url?.as_str().trim_end_matches('/').to_owned(),
        workspace,
        email,
        service_account,
        accounts,
        mock_only,
        endpoints: endpoints?,
        deadline,
        attempt_timeout: attempt,
        connect_timeout: c.within("gateway.connect_timeout", connect_timeout.0, least, MINUTE),
        response_limit: c.within(
            "gateway.response_limit_bytes",
            response_limit_bytes,
            1024,
            256 << 20,
        ),
        name_lookups: c.within("gateway.name_lookups", name_lookups, 1, 64),
        probe_interval: c.within(
            "gateway.probe_interval",
            probe_interval.0,
            Duration::from_millis(100),
            10 * MINUTE,
        ),
        probe_path,
        retry_share: c.within("gateway.retry_share", retry_share, 0.0, 1.0),
        breaker: check_breaker(c, breaker),
    })
}

fn check_breaker(c: &mut Checker, settings: BreakerSettings) -> breaker::Settings {
    let BreakerSettings {
        consecutive,
        rate,
        min_volume,
        window,
        open,
        open_most,
        trials,
    } = settings;
    let least = Duration::from_millis(10);
    let open = c.within("breaker.open", open.0, least, 10 * MINUTE);
    let open_most = c.within("breaker.open_most", open_most.0, least, 60 * MINUTE);
    if open_most < open {
        let message = format!("{open_most:?}: expected at least breaker.open ({open:?})");
        c.problem("breaker.open_most", message);
    }
    breaker::Settings {
        consecutive: c.within("breaker.consecutive", consecutive, 1, 1000),
        rate: c.within("breaker.rate", rate, 0.01, 1.0),
        min_volume: c.within("breaker.min_volume", min_volume, 1, 100_000),
        window: c.within(
            "breaker.window",
            window.0,
            Duration::from_millis(100),
            10 * MINUTE,
        ),
        open,
        open_most,
        trials: c.within("breaker.trials", trials, 1, 100),
    }
}

fn operation_names() -> String {
    let connectors = Connector::ALL.iter().map(|connector| connector.name());
    let operations = Operation::ALL.iter().map(|operation| operation.name());
    let names = connectors.chain(operations).map(|name| format!("{name:?}"));
    names.collect::<Vec<_>>().join(", ")
}

/// The table of what Coolbits is asked: the built-in one, or a file's.
fn check_endpoints(c: &mut Checker, file: &str) -> Option<Arc<Endpoints>> {
    let read = match file {
        "" => Endpoints::built_in(),
        path => match std::fs::read_to_string(path) {
            Ok(text) => Endpoints::parse(&text),
            Err(error) => {
                c.problem("gateway.table", format!("{path:?} cannot be read: {error}"));
                return None;
            }
        },
    };
    match read {
        Ok(endpoints) => Some(Arc::new(endpoints)),
        Err(EndpointsError(problems)) => {
            for problem in problems {
                c.problem("gateway.table", format!("{file:?}: {problem}"));
            }
            None
        }
    }
}
