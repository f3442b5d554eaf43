//! From [`Settings`] to [`Config`]: every text becomes the type that is needed,
//! and what does not fit together is told.
//!
//! Conversions name every field of the written form, without `..`, so that a
//! new key asks for a decision here.

mod backup;
mod gateway;
mod issuers;
mod limits;
mod runs;
mod snapshots;
mod tenancy;

use crate::checked::{Admin, Audit, Burst, Cache, Config, Legacy, Server, Sessions, Source};
use crate::load::Problem;
use crate::secret::Secret;
use crate::settings::{
    AdminSettings, BurstSettings, CacheSettings, LegacySettings, ServerSettings, Settings,
};
use camarad_policies::host::is_host;
use ipnet::IpNet;
use std::net::SocketAddr;
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
    let whole = settings.clone();
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
        behind,
        orchestrator,
        ledger,
        backup,
        burst,
        admin,
        snapshots,
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
    let gateway = gateway::check_gateway(c, gateway, breaker);
    let cache = check_cache(c, cache);
    let listening = |address: &str| format!("http://{address}");
    let others = [
        ("gateway.url", whole.gateway.url.clone()),
        ("legacy.url", whole.legacy.url.clone()),
        ("server.listen", listening(&whole.server.listen)),
        ("admin.listen", listening(&whole.admin.listen)),
    ];
    let behind = runs::check_behind(c, behind, others);
    let orchestrator = runs::check_orchestrator(c, orchestrator);
    let ledger = runs::check_ledger(c, ledger);
    let backup = backup::check_backup(c, backup, &state_dir);
    let burst = check_burst(c, burst);
    let admin = check_admin(c, admin);
    let snapshots = snapshots::check_snapshots(c, snapshots);
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
    match (server, legacy, gateway, orchestrator, admin) {
        (Some(server), Some(legacy), Some(gateway), Some(orchestrator), Some(admin))
            if c.problems.is_empty() =>
        {
            Ok(Config {
                server,
                limits,
                legacy,
                tenancy,
                audit,
                sessions,
                gateway,
                cache,
                behind,
                orchestrator,
                ledger,
                backup,
                burst,
                admin,
                issuers,
                warnings: checker.warnings,
                settings: whole,
                source: Source::default(),
                snapshots,
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
        log,
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
    if log.is_empty() {
        c.problem(
            "server.log",
            "\"\": expected \"stderr\", \"stdout\", \"off\" or a file".into(),
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
        log,
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
        clear,
    } = settings;
    Burst {
        window: c.within("burst.window", window.0, Duration::from_secs(1), 5 * MINUTE),
        count: c.within("burst.count", count, 1, u64::MAX),
        ratio: c.within("burst.ratio", ratio, 0.001, 1.0),
        min_volume: c.within("burst.min_volume", min_volume, 1, u64::MAX),
        clear: c.within("burst.clear", clear, 0.0, 1.0),
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
