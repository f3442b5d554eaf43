//! From [`Settings`] to [`Config`]: every text becomes the type that is needed,
//! and what does not fit together is told.
//!
//! Conversions name every field of the written form, without `..`, so that a
//! new key asks for a decision here.

mod issuers;
mod limits;
mod tenancy;

use crate::checked::{Admin, Audit, Burst, Cache, Config, Gateway, Legacy, Server, Sessions};
use crate::load::Problem;
use crate::secret::Secret;
use crate::settings::{
    AdminSettings, BreakerSettings, BurstSettings, CacheSettings, GatewaySettings, LegacySettings,
    ServerSettings, Settings,
};
use camarad_policies::accounts;
use camarad_policies::breaker;
use camarad_policies::endpoints::{Endpoints, EndpointsError};
use camarad_policies::host::is_host;
use camarad_policies::ids::ClientId;
use camarad_policies::operation::{Connector, Operation};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Collects problems, each with the place where its key was written.
struct Checker<'a> {
    origin_of: &'a dyn Fn(&str) -> String,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Checker<'_> {
    fn problem(&mut self, key: &str, message: String) {
        self.problems.push(Problem {
            origin: (self.origin_of)(key),
            key: key.to_owned(),
            message,
        });
    }

    fn parsed<T, E>(
        &mut self,
        key: &str,
        text: &str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = parse(text).ok();
        if parsed.is_none() {
            self.problem(key, format!("{text:?}: expected {expected}"));
        }
        parsed
    }

    fn within<T: PartialOrd + std::fmt::Debug>(
        &mut self,
        key: &str,
        value: T,
        low: T,
        high: T,
    ) -> T {
        if value < low || value > high {
            self.problem(key, format!("{value:?}: expected {low:?} to {high:?}"));
        }
        value
    }

    /// A secret given directly or by a file, not both.
    fn secret(&mut self, key: &str, secret: Secret, file: &str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        match (secret.is_empty(), file) {
            (true, "") => None,
            (false, "") => Some(secret),
            (false, _) => {
                self.problem(&file_key, format!("{key} is set too; set one of them"));
                None
            }
            (true, path) => match std::fs::read_to_string(path) {
                Ok(text) if text.trim_end().is_empty() => {
                    self.problem(&file_key, format!("{path:?} is empty"));
                    None
                }
                Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Err(error) => {
                    self.problem(&file_key, format!("{path:?} cannot be read: {error}"));
                    None
                }
            },
        }
    }
}

/// Checks what was written; `origin_of` tells where a key was written.
pub(crate) fn check(
    settings: Settings,
    origin_of: &dyn Fn(&str) -> String,
) -> Result<Config, Vec<Problem>> {
    let Settings {
        server,
        limits,
        legacy,
        tenancy,
        audit,
        sessions,
        gateway,
        breaker,
        cache,
        burst,
        admin,
        jwt,
        issuers,
    } = settings;
    let mut checker = Checker {
        origin_of,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let c = &mut checker;
    let state_dir = server.state_dir.clone();
    let server = check_server(c, server);
    let limits = limits::check_limits(c, limits);
    let legacy = check_legacy(c, legacy);
    let tenancy = tenancy::check_tenancy(c, tenancy);
    let audit = Audit {
        log: match audit.log.as_str() {
            "" => format!("{state_dir}/audit.jsonl"),
            _ => audit.log,
        },
        allowed_writes: audit.allowed_writes,
    };
    let gateway = check_gateway(c, gateway, breaker);
    let cache = check_cache(c, cache);
    let burst = check_burst(c, burst);
    let admin = check_admin(c, admin);
    let issuers = issuers::check_issuers(c, jwt, issuers);
    let seal_key = c.secret(
        "sessions.seal_key",
        sessions.seal_key,
        &sessions.seal_key_file,
    );
    if let Some(length) = seal_key
        .as_ref()
        .map(|key| key.expose().len())
        .filter(|n| *n < 32)
    {
        let message = format!("has {length} bytes: expected at least 32");
        c.problem("sessions.seal_key", message);
    }
    if seal_key.is_none()
        && issuers
            .iter()
            .any(|config| config.issuer.user_claim.is_none())
    {
        c.warnings.push(
            "sessions.seal_key is not set: after a restart the app's login is asked again about every token"
                .into(),
        );
    }
    let sessions = Sessions { seal_key };
    match (server, legacy, gateway, admin) {
        (Some(server), Some(legacy), Some(gateway), Some(admin)) if c.problems.is_empty() => {
            Ok(Config {
                server,
                limits,
                legacy,
                tenancy,
                audit,
                sessions,
                gateway,
                cache,
                burst,
                admin,
                issuers,
                warnings: checker.warnings,
            })
        }
        _ => Err(checker.problems),
    }
}

const ADDRESS: &str = "an IP address and port such as \"127.0.0.1:5050\"";

fn check_server(c: &mut Checker, settings: ServerSettings) -> Option<Server> {
    let ServerSettings {
        listen,
        threads,
        state_dir,
        access_log,
        drain,
        grace,
        trusted_proxies,
        allowed_hosts,
        internal_networks,
    } = settings;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let listen = c.parsed("server.listen", &listen, ADDRESS, str::parse);
    let trusted = networks(c, "server.trusted_proxies", &trusted_proxies);
    let internal_networks = networks(c, "server.internal_networks", &internal_networks);
    if access_log.is_empty() {
        c.problem(
            "server.access_log",
            "\"\": expected \"stdout\", \"off\" or a file".into(),
        );
    }
    let allowed_hosts = allowed_hosts
        .iter()
        .filter_map(|host| {
            let expected = "a host without a port such as \"app.example\"";
            c.parsed("server.allowed_hosts", host, expected, |host| {
                let bare = !host.contains(':') || host.ends_with(']');
                let fits = bare && is_host(host.as_bytes());
                fits.then(|| host.to_ascii_lowercase()).ok_or(())
            })
        })
        .collect();
    Some(Server {
        listen: listen?,
        threads: match c.within("server.threads", threads, 0, 256) {
            0 => cores,
            n => n,
        },
        state_dir: state_dir.into(),
        access_log,
        drain: c.within("server.drain", drain.0, Duration::ZERO, 10 * MINUTE),
        grace: c.within("server.grace", grace.0, Duration::ZERO, 10 * MINUTE),
        trusted_proxies: trusted,
        allowed_hosts,
        internal_networks,
    })
}

fn networks(c: &mut Checker, key: &str, written: &[String]) -> Vec<IpNet> {
    let expected = "networks such as \"10.0.0.0/8\"";
    let networks = written
        .iter()
        .filter_map(|net| c.parsed(key, net, expected, str::parse));
    networks.collect()
}

fn check_legacy(c: &mut Checker, settings: LegacySettings) -> Option<Legacy> {
    let LegacySettings {
        url,
        connect_timeout,
        read_timeout,
    } = settings;
    let authority = c.parsed(
        "legacy.url",
        &url,
        "an http:// URL of host and port, without a path, such as \"http://127.0.0.1:5051\"",
        |text| {
            let url = Url::parse(text).map_err(|_| ())?;
            let host = url.host_str().ok_or(())?;
            let plain = url.scheme() == "http"
                && url.path() == "/"
                && url.query().is_none()
                && url.username().is_empty();
            plain
                .then(|| format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
                .ok_or(())
        },
    );
    let at_least = Duration::from_millis(10);
    Some(Legacy {
        authority: authority?,
        connect_timeout: c.within(
            "legacy.connect_timeout",
            connect_timeout.0,
            at_least,
            MINUTE,
        ),
        read_timeout: c.within("legacy.read_timeout", read_timeout.0, at_least, 60 * MINUTE),
    })
}

const MINUTE: Duration = Duration::from_secs(60);

fn check_gateway(
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

fn check_cache(c: &mut Checker, settings: CacheSettings) -> Cache {
    let CacheSettings {
        capacity_bytes,
        fallback_ttl,
        stale_if_error,
        ttl_percent,
        app_reads,
    } = settings;
    Cache {
        capacity_bytes: c.within("cache.capacity_bytes", capacity_bytes, 0, 1 << 40),
        fallback_ttl: c.within(
            "cache.fallback_ttl",
            fallback_ttl.0,
            Duration::ZERO,
            Duration::from_secs(5),
        ),
        stale_if_error: c.within(
            "cache.stale_if_error",
            stale_if_error.0,
            Duration::ZERO,
            4 * MINUTE,
        ),
        ttl_percent: c.within("cache.ttl_percent", ttl_percent, 1, 100),
        app_reads,
    }
}

fn check_burst(c: &mut Checker, settings: BurstSettings) -> Burst {
    let BurstSettings {
        window,
        count,
        ratio,
        min_volume,
    } = settings;
    Burst {
        window: c.within("burst.window", window.0, Duration::from_secs(1), 5 * MINUTE),
        count: c.within("burst.count", count, 1, u64::MAX),
        ratio: c.within("burst.ratio", ratio, 0.001, 1.0),
        min_volume: c.within("burst.min_volume", min_volume, 1, u64::MAX),
    }
}

fn check_admin(c: &mut Checker, settings: AdminSettings) -> Option<Admin> {
    let AdminSettings {
        listen,
        token,
        token_file,
        hosts,
    } = settings;
    let listen: Option<SocketAddr> = c.parsed("admin.listen", &listen, ADDRESS, str::parse);
    let token = c.secret("admin.token", token, &token_file);
    if token.as_ref().is_some_and(|t| t.expose().len() < 16) {
        c.problem("admin.token", "expected at least 16 characters".into());
    }
    let listen = listen?;
    if !listen.ip().is_loopback() {
        c.warnings.push(format!(
            "admin.listen = {listen} is not a loopback address: metrics and probes are open to that network"
        ));
    }
    Some(Admin {
        listen,
        token,
        hosts: hosts.iter().map(|h| h.to_ascii_lowercase()).collect(),
    })
}
