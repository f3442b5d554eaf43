//! From [`Settings`] to [`Config`]: every text becomes the type that is needed,
//! and what does not fit together is told.
//!
//! Conversions name every field of the written form, without `..`, so that a
//! new key asks for a decision here.

use crate::load::Problem;
use crate::secret::Secret;
use crate::settings::{
    AdminSettings, BurstSettings, CacheSettings, GatewaySettings, IssuerSettings, JwtSettings,
    LegacySettings, ServerSettings, Settings,
};
use camarad_policies::identity::Issuer;
use camarad_policies::ids::ClientId;
use camarad_policies::keys::KeySet;
use camarad_policies::route::Operation;
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything the process needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The process and its main listener.
    pub server: Server,
    /// The existing app.
    pub legacy: Legacy,
    /// Coolbits.
    pub gateway: Gateway,
    /// The cache.
    pub cache: Cache,
    /// The burst detector.
    pub burst: Burst,
    /// The admin listener.
    pub admin: Admin,
    /// Who may vouch for callers; never empty.
    pub issuers: Vec<IssuerConfig>,
    /// What is allowed but should be known.
    pub warnings: Vec<String>,
}

/// The process and its main listener.
#[derive(Clone, Debug)]
pub struct Server {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Worker threads.
    pub threads: usize,
    /// Directory for what survives a restart.
    pub state_dir: PathBuf,
    /// `stdout`, `off`, or a file.
    pub access_log: String,
    /// Bound of request bodies in the API lane, bytes.
    pub body_limit: usize,
    /// Time for requests under way after SIGTERM.
    pub grace: Duration,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The existing app.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// `host:port`.
    pub authority: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes.
    pub read_timeout: Duration,
}

/// Coolbits.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Asked at all, at start.
    pub enabled: bool,
    /// Base URL without a final slash.
    pub url: String,
    /// `X-Workspace-Id`.
    pub workspace: String,
    /// Service account.
    pub email: String,
    /// The service account may be used.
    pub service_account: bool,
    /// Accounts that the service account may read for a client, digits only.
    pub accounts: BTreeMap<ClientId, BTreeSet<String>>,
    /// Operations for the mock only.
    pub mock_only: BTreeSet<Operation>,
    /// Bound of everything done for one answer.
    pub deadline: Duration,
    /// Bound of one request.
    pub attempt_timeout: Duration,
    /// Bound of one connection attempt.
    pub connect_timeout: Duration,
    /// Bound of one answer, bytes.
    pub response_limit: usize,
    /// Names looked up at once.
    pub name_lookups: usize,
}

/// The cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Bound, bytes.
    pub capacity_bytes: u64,
    /// Life of a fallback answer.
    pub fallback_ttl: Duration,
}

/// The burst detector.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Whole seconds of the sliding window.
    pub window: Duration,
    /// Failures that make a burst.
    pub count: u64,
    /// Share of failures that makes a burst.
    pub ratio: f64,
    /// Least answers for either to count.
    pub min_volume: u64,
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Token for changes; `None` means nothing can be changed.
    pub token: Option<Secret>,
    /// Further host names, lower case.
    pub hosts: Vec<String>,
}

/// One issuer and where its keys are.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// What its tokens have to fulfil.
    pub issuer: Issuer,
    /// What they are signed with.
    pub keys: KeyConfig,
}

/// Where keys come from.
#[derive(Clone)]
pub enum KeyConfig {
    /// Known already: a secret or a file.
    Fixed(Arc<KeySet>),
    /// A JWK set to be fetched.
    Url {
        /// Where from.
        url: Url,
        /// How often.
        refresh: Duration,
    },
}

impl std::fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(***)"),
            Self::Url { url, .. } => write!(f, "Url({url})"),
        }
    }
}

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
        legacy,
        gateway,
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
    let server = check_server(c, server);
    let legacy = check_legacy(c, legacy);
    let gateway = check_gateway(c, gateway);
    let cache = check_cache(c, cache);
    let burst = check_burst(c, burst);
    let admin = check_admin(c, admin);
    let issuers = check_issuers(c, jwt, issuers);
    match (server, legacy, gateway, admin) {
        (Some(server), Some(legacy), Some(gateway), Some(admin)) if c.problems.is_empty() => {
            Ok(Config {
                server,
                legacy,
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
        body_limit_bytes,
        grace,
        trusted_proxies,
    } = settings;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let listen = c.parsed("server.listen", &listen, ADDRESS, str::parse);
    let trusted: Vec<IpNet> = trusted_proxies
        .iter()
        .filter_map(|net| {
            let expected = "networks such as \"10.0.0.0/8\"";
            c.parsed("server.trusted_proxies", net, expected, str::parse)
        })
        .collect();
    if access_log.is_empty() {
        c.problem(
            "server.access_log",
            "\"\": expected \"stdout\", \"off\" or a file".into(),
        );
    }
    Some(Server {
        listen: listen?,
        threads: match c.within("server.threads", threads, 0, 256) {
            0 => cores,
            n => n,
        },
        state_dir: state_dir.into(),
        access_log,
        body_limit: c.within("server.body_limit_bytes", body_limit_bytes, 1024, 64 << 20),
        grace: c.within(
            "server.grace",
            grace.0,
            Duration::ZERO,
            Duration::from_secs(600),
        ),
        trusted_proxies: trusted,
    })
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

fn check_gateway(c: &mut Checker, settings: GatewaySettings) -> Option<Gateway> {
    let GatewaySettings {
        enabled,
        url,
        workspace,
        email,
        service_account,
        accounts,
        mock_only,
        deadline,
        attempt_timeout,
        connect_timeout,
        response_limit_bytes,
        name_lookups,
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
    let names = Operation::ALL.map(|o| format!("{:?}", o.name())).join(", ");
    let mock_only = mock_only
        .iter()
        .filter_map(|name| {
            let expected = format!("any of {names}");
            c.parsed("gateway.mock_only", name, &expected, |n| {
                Operation::parse(n).ok_or(())
            })
        })
        .collect();
    let accounts: BTreeMap<ClientId, BTreeSet<String>> = accounts
        .into_iter()
        .filter_map(|(client, ids)| {
            let key = format!("gateway.accounts.{client}");
            let client = c.parsed(&key, &client, "a client id as the key", ClientId::parse)?;
            let ids = ids.iter().filter_map(|id| {
                c.parsed(&key, id, "account ids such as \"123-456-7890\"", |id| {
                    let digits: String = id.chars().filter(|ch| *ch != '-').collect();
                    let good = digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit());
                    good.then_some(digits).ok_or(())
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
    })
}

fn check_cache(c: &mut Checker, settings: CacheSettings) -> Cache {
    let CacheSettings {
        capacity_bytes,
        fallback_ttl,
    } = settings;
    Cache {
        capacity_bytes: c.within("cache.capacity_bytes", capacity_bytes, 0, 1 << 40),
        fallback_ttl: c.within(
            "cache.fallback_ttl",
            fallback_ttl.0,
            Duration::ZERO,
            Duration::from_secs(5),
        ),
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

fn check_issuers(
    c: &mut Checker,
    jwt: JwtSettings,
    issuers: Vec<IssuerSettings>,
) -> Vec<IssuerConfig> {
    let mut checked = Vec::new();
    let mut names = BTreeSet::new();
    if jwt != JwtSettings::default() {
        let JwtSettings {
            secret,
            secret_file,
            jwks_url,
            user_claim,
        } = jwt;
        let written = IssuerSettings {
            name: "default".into(),
            secret,
            secret_file,
            jwks_url,
            user_claim,
            forward_to_coolbits: true,
            ..IssuerSettings::default()
        };
        names.insert(written.name.clone());
        checked.extend(check_issuer(c, "jwt", written));
    } else if issuers.is_empty() {
        c.problem(
            "jwt",
            "no issuer: set SIDECAR_JWT_SECRET (HS256, at least 32 bytes) or SIDECAR_JWKS_URL, and \
             SIDECAR_JWT_USER_CLAIM to the claim that holds the app's user id; or try `run --demo`"
                .into(),
        );
    }
    for (at, written) in issuers.into_iter().enumerate() {
        let key = format!("issuers[{at}]");
        let name = written.name.clone();
        if name.is_empty() || !names.insert(name.clone()) {
            c.problem(
                &format!("{key}.name"),
                format!("{name:?}: expected a name of its own"),
            );
        }
        checked.extend(check_issuer(c, &key, written));
    }
    checked
}

fn check_issuer(c: &mut Checker, key: &str, settings: IssuerSettings) -> Option<IssuerConfig> {
    let IssuerSettings {
        name,
        secret,
        secret_file,
        jwks_url,
        jwks_file,
        refresh,
        algorithms,
        issuer,
        audience,
        leeway,
        user_claim,
        clients_claim,
        forward_to_coolbits,
    } = settings;
    let given = [
        !secret.is_empty() || !secret_file.is_empty(),
        !jwks_url.is_empty(),
        !jwks_file.is_empty(),
    ];
    if given.iter().filter(|g| **g).count() != 1 {
        let wanted = "needs exactly one of secret (or secret_file), jwks_url, jwks_file";
        c.problem(key, wanted.into());
        return None;
    }
    for (field, claim) in [
        ("user_claim", &user_claim),
        ("clients_claim", &clients_claim),
    ] {
        if claim.is_empty() {
            let message = "is required: the name of a claim, such as \"uid\"";
            c.problem(&format!("{key}.{field}"), message.into());
        }
    }
    let symmetric = given[0];
    let allowed = match symmetric {
        true => &[Algorithm::HS256][..],
        false => {
            use Algorithm::*;
            &[
                RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA,
            ][..]
        }
    };
    let algorithms: Vec<Algorithm> = match (algorithms.is_empty(), symmetric) {
        (true, true) => vec![Algorithm::HS256],
        (true, false) => vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        (false, _) => algorithms
            .iter()
            .filter_map(|name| {
                let expected = format!("any of {allowed:?}");
                c.parsed(&format!("{key}.algorithms"), name, &expected, |name| {
                    let parsed = name.parse::<Algorithm>().map_err(|_| ())?;
                    allowed.contains(&parsed).then_some(parsed).ok_or(())
                })
            })
            .collect(),
    };
    for (field, value) in [("issuer", &issuer), ("audience", &audience)] {
        if value.is_empty() {
            let claim = &field[..3];
            c.warnings.push(format!(
                "{key}: no {field} is set: `{claim}` of its tokens is not checked"
            ));
        }
    }
    let keys = if symmetric {
        let secret = c.secret(&format!("{key}.secret"), secret, &secret_file)?;
        fixed(
            c,
            &format!("{key}.secret"),
            KeySet::secret(secret.expose().as_bytes()),
        )?
    } else if jwks_url.is_empty() {
        let file_key = format!("{key}.jwks_file");
        match std::fs::read(&jwks_file) {
            Ok(text) => fixed(c, &file_key, KeySet::jwks(&text))?,
            Err(error) => {
                c.problem(&file_key, format!("{jwks_file:?} cannot be read: {error}"));
                return None;
            }
        }
    } else {
        let expected = "an http:// or https:// URL";
        let url = c.parsed(&format!("{key}.jwks_url"), &jwks_url, expected, |text| {
            let url = Url::parse(text).map_err(|_| ())?;
            matches!(url.scheme(), "http" | "https")
                .then_some(url)
                .ok_or(())
        })?;
        let low = Duration::from_secs(10);
        let refresh = c.within(&format!("{key}.refresh"), refresh.0, low, 1440 * MINUTE);
        KeyConfig::Url { url, refresh }
    };
    let leeway = c.within(
        &format!("{key}.leeway"),
        leeway.0,
        Duration::ZERO,
        5 * MINUTE,
    );
    let set = |text: String| (!text.is_empty()).then_some(text);
    Some(IssuerConfig {
        issuer: Issuer {
            name,
            algorithms,
            issuer: set(issuer),
            audience: set(audience),
            leeway: leeway.as_secs(),
            user_claim,
            clients_claim,
            forward_to_coolbits,
        },
        keys,
    })
}

fn fixed(
    c: &mut Checker,
    key: &str,
    keys: Result<KeySet, camarad_policies::keys::KeyError>,
) -> Option<KeyConfig> {
    match keys {
        Ok(keys) => Some(KeyConfig::Fixed(Arc::new(keys))),
        Err(error) => {
            c.problem(key, error.to_string());
            None
        }
    }
}
