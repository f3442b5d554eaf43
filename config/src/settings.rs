//! What can be written: one struct a section, one field a key, the doc comment
//! its description in the schema. `sidecar.toml` says the same for people, and
//! tests keep the two and the schema equal.
//!
//! An empty text means "not set"; what is then required is the business of
//! [`crate::check`].

use crate::secret::Secret;
use crate::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The process and its main listener.
    pub server: ServerSettings,
    /// Bounds on what callers may send and hold.
    pub limits: LimitsSettings,
    /// The existing app.
    pub legacy: LegacySettings,
    /// Who may use which client.
    pub tenancy: TenancySettings,
    /// What was refused, and who asked.
    pub audit: AuditSettings,
    /// Whose token it is, where the token does not say so.
    pub sessions: SessionsSettings,
    /// Coolbits, and when it is asked.
    pub gateway: GatewaySettings,
    /// When Coolbits is not asked for a while.
    pub breaker: BreakerSettings,
    /// The cache of answers.
    pub cache: CacheSettings,
    /// Behind the app: what it asks of Coolbits.
    pub behind: BehindSettings,
    /// Runs of the orchestrator: what is looked at before, and what a replay costs.
    pub orchestrator: OrchestratorSettings,
    /// The ledger of runs.
    pub ledger: LedgerSettings,
    /// Backups, and how long they are kept.
    pub backup: BackupSettings,
    /// When a run of 5xx answers is called a burst.
    pub burst: BurstSettings,
    /// The admin listener.
    pub admin: AdminSettings,
    /// What is kept of configurations that were applied.
    pub snapshots: SnapshotsSettings,
    /// One keyed issuer in two lines.
    pub jwt: JwtSettings,
    /// Any number of keyed issuers, with all their settings.
    pub issuers: Vec<IssuerSettings>,
}

/// The process and its main listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port that callers connect to; port 0 takes a free one.
    pub listen: String,
    /// Worker threads; 0 means one per core.
    pub threads: usize,
    /// Directory for what has to survive a restart.
    pub state_dir: String,
    /// Where the access log goes: `stdout`, `off`, or a file.
    pub access_log: String,
    /// Where the application's own log goes: `stderr`, `stdout`, `off`, or a file.
    pub log: String,
    /// How long after SIGTERM everything is still served, for load balancers to notice.
    pub drain: Span,
    /// How long requests under way may take to end once the listener is closed.
    pub grace: Span,
    /// Networks whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Hosts that are answered for, without ports; none means all.
    pub allowed_hosts: Vec<String>,
    /// Networks whose callers may use the app's internal routes; none means nobody.
    pub internal_networks: Vec<String>,
}

/// Who may use which client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenancySettings {
    /// How seriously the client scope of all rules is taken: `enforce`, `report`, `off`; empty: as the matrix says.
    pub mode: String,
    /// The same for single rules, by name.
    pub modes: BTreeMap<String, String>,
    /// On routes about clients themselves, whether the header must agree with the target: `ambient` or `strict`.
    pub management: String,
    /// How long the app's lists of a user's clients, and of a client's accounts, are kept.
    pub directory_ttl: Span,
    /// Whether accounts of connectors must be linked to the client that is named.
    pub bind_accounts: bool,
}

/// Whose token it is, where the token does not say so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsSettings {
    /// Key of at least 32 bytes for the sealed cookie; none keeps bindings in memory only.
    pub seal_key: Secret,
    /// File that holds the key.
    pub seal_key_file: String,
}

/// What was refused, and who asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Where the audit log goes: `stdout`, `off`, or a file; empty means `audit.jsonl` in the state directory.
    pub log: String,
    /// Whether writes that were let through are told too.
    pub allowed_writes: bool,
}

/// Bounds on what callers may send and hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSettings {
    /// Largest request head, in bytes; more is 431.
    pub head_bytes: usize,
    /// Longest request target, in bytes; more is 414.
    pub target_bytes: usize,
    /// Longest time for a request head to arrive in all; later is 408 and the end of the connection.
    pub head_timeout: Span,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Span,
    /// Requests on one connection.
    pub keepalive_requests: u32,
    /// Largest request body on routes that are read whole, in bytes; more is 413.
    pub body_bytes: usize,
    /// Longest time for such a body to arrive in all, and for the next bytes of any body; later is 408.
    pub body_timeout: Span,
    /// Largest request body on routes that stream, in bytes; more is 413.
    pub upload_bytes: u64,
    /// Longest time for such a body to arrive in all; later is 408.
    pub upload_timeout: Span,
    /// Longest wait for a caller to take the next bytes of an answer.
    pub write_timeout: Span,
    /// Bodies held in memory over all requests, in bytes; more is 503.
    pub buffered_bytes: usize,
    /// Connections at once; more are answered 503 and closed.
    pub connections: usize,
    /// Requests at once; more are 503.
    pub requests: usize,
    /// Refused requests in a row of one user, or of one address without a user; more are 429, and 0 limits nobody.
    pub refusals: u32,
    /// Time after which one more is allowed.
    pub refusal_refill: Span,
    /// Verified tokens remembered, each for five minutes at most; 0 verifies anew with every request.
    pub verified_tokens: usize,
}

/// The existing app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LegacySettings {
    /// Where the app listens; plain HTTP.
    pub url: String,
    /// Longest wait for a connection.
    pub connect_timeout: Span,
    /// Longest wait for the next bytes of an answer.
    pub read_timeout: Span,
}

/// Coolbits, and when it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Whether Coolbits is asked at all; off means made-up data.
    pub enabled: bool,
    /// Where Coolbits listens.
    pub url: String,
    /// Sent as `X-Workspace-Id`.
    pub workspace: String,
    /// The shared service account.
    pub email: String,
    /// Whether the service account may read for callers whose token Coolbits must not see.
    pub service_account: bool,
    /// Which accounts, properties, sites and containers the service account may read for a client: client id to ids.
    pub accounts: BTreeMap<String, Vec<String>>,
    /// Operations, or whole connectors, that the mock answers even when the gateway is on, such as `google-ads.keywords`.
    pub mock_only: Vec<String>,
    /// File with a table of your own of what Coolbits is asked; empty means the built-in `policies/tables/gateway.toml`.
    pub table: String,
    /// Longest time a caller waits for Coolbits in all, before the mock answers.
    pub deadline: Span,
    /// Longest time for one request to Coolbits.
    pub attempt_timeout: Span,
    /// Longest wait for a connection to Coolbits.
    pub connect_timeout: Span,
    /// Largest answer of Coolbits that is read, in bytes.
    pub response_limit_bytes: usize,
    /// How many account names are looked up at once.
    pub name_lookups: usize,
    /// How often Coolbits is asked whether it is there, when nobody else asks; with a jitter of a tenth.
    pub probe_interval: Span,
    /// The path at Coolbits that is asked; any answer below 500 is a good one.
    pub probe_path: String,
    /// How many reads may be tried again, as a share of all reads.
    pub retry_share: f64,
}

/// When Coolbits is not asked for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Reads that fail in a row before Coolbits is not asked for a while.
    pub consecutive: u32,
    /// Share of reads in the window that fail before it is not, given the minimum volume.
    pub rate: f64,
    /// Below this many reads in the window the share says nothing.
    pub min_volume: u32,
    /// Length of the sliding window.
    pub window: Span,
    /// How long Coolbits is not asked at first; doubled each time that a trial fails.
    pub open: Span,
    /// The longest that it is not asked.
    pub open_most: Span,
    /// Reads that try it at once, before all do again.
    pub trials: u32,
}

/// The cache of connector answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Upper bound of what is kept, in bytes; 0 keeps nothing.
    pub capacity_bytes: u64,
    /// How long an answer of the mock in Coolbits' place is kept; at most 5 s.
    pub fallback_ttl: Span,
    /// How long past its time a real answer may stand in where Coolbits fails, instead of the mock; at most 4 minutes, 0 not at all.
    pub stale_if_error: Span,
    /// Share of the matrix's times for which answers are kept, in per cent.
    pub ttl_percent: u32,
    /// Whether the app's own reads are kept too, as the matrix says.
    pub app_reads: bool,
}

/// Behind the app: what it asks of Coolbits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BehindSettings {
    /// Loopback address and port that the app is given as its own `COOLBITS_URL`; empty: none, port 0 takes a free one.
    pub listen: String,
}

/// Runs of the orchestrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrchestratorSettings {
    /// File with a table of your own of limits, rules and words before a run; empty means the built-in `policies/tables/guardrails.toml`.
    pub guardrails: String,
    /// Credits that a replay books before it runs, as the page does before a run; 0 books none.
    pub replay_credits: u32,
}

/// The ledger of runs, `runs.db` in the state directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSettings {
    /// Whether a run that cannot be written is refused; off lets it go on unrecorded.
    pub required: bool,
    /// How many days runs are kept.
    pub max_age_days: u32,
    /// How many runs of one client are kept.
    pub runs_per_client: u32,
    /// Bytes of the runs of one user that are kept, whatever the number of their clients.
    pub user_bytes: u64,
    /// Largest size of the file; room is made of the runs of whoever holds most, and a run that still does not fit is refused.
    pub max_bytes: u64,
}

/// Backups, and how long they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// Directory for archives; empty means `backups` in the state directory. Another disk is better.
    pub directory: String,
    /// The app's SQLite file, its `DATABASE`; empty: none is named, and `backup` asks for one.
    pub app_database: String,
    /// How many archives are kept.
    pub keep: u32,
    /// How long archives are kept; the newest always is.
    pub keep_for: Span,
}

/// When a run of 5xx answers is called a burst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BurstSettings {
    /// Length of the sliding window, at most 5 minutes.
    pub window: Span,
    /// This many failures of one origin in the window are a burst, given the minimum volume.
    pub count: u64,
    /// This share of failures is a burst, given the minimum volume.
    pub ratio: f64,
    /// Below this many answers of an origin in the window nothing is called a burst.
    pub min_volume: u64,
    /// A burst ends when number and share are below this share of what raised it.
    pub clear: f64,
}

/// What is kept of configurations that were applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotsSettings {
    /// Other files that are kept along, by their whole path: nginx's, PM2's.
    pub include: Vec<String>,
    /// How many applied configurations are remembered, 2 to 10,000.
    pub keep: usize,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port of metrics, probes and controls; port 0 takes a free one.
    pub listen: String,
    /// Bearer token for everything that changes something; none means nothing can be changed.
    pub token: Secret,
    /// File that holds the token.
    pub token_file: String,
    /// Host names besides the loopback ones under which controls may be called.
    pub hosts: Vec<String>,
}

/// One keyed issuer in two lines; its tokens may be sent to Coolbits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JwtSettings {
    /// HS256 secret of at least 32 bytes.
    pub secret: Secret,
    /// File that holds the secret.
    pub secret_file: String,
    /// URL of the issuer's JWK set.
    pub jwks_url: String,
    /// The claim that holds the app's user id; empty: the app's own login says whose a token is.
    pub user_claim: String,
}

/// A keyed issuer with all its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// Name in logs and metrics.
    pub name: String,
    /// `keyed`, or `coolbits`: no key; a token is good if the app's own login takes it.
    pub kind: String,
    /// HS256 secret of at least 32 bytes.
    pub secret: Secret,
    /// File that holds the secret.
    pub secret_file: String,
    /// URL of the issuer's JWK set.
    pub jwks_url: String,
    /// File that holds the issuer's JWK set.
    pub jwks_file: String,
    /// File with one public key in PEM.
    pub pem_file: String,
    /// How often the JWK set is fetched again.
    pub refresh: Span,
    /// Algorithms the issuer is pinned to; empty means HS256 for a secret, RS256, ES256 and EdDSA for public keys.
    pub algorithms: Vec<String>,
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// Clock skew allowed on `exp` and `nbf`.
    pub leeway: Span,
    /// The claim that holds the app's user id; empty: the app's own login says whose a token is.
    pub user_claim: String,
    /// The claim that holds the client ids.
    pub clients_claim: String,
    /// Whether Coolbits may be given this issuer's tokens.
    pub forward_to_coolbits: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5050".into(),
            threads: 0,
            state_dir: "./state".into(),
            access_log: "stdout".into(),
            log: "stderr".into(),
            drain: Span::seconds(5),
            grace: Span::seconds(10),
            trusted_proxies: vec!["127.0.0.0/8".into(), "::1/128".into()],
            allowed_hosts: Vec::new(),
            internal_networks: Vec::new(),
        }
    }
}

impl Default for TenancySettings {
    fn default() -> Self {
        Self {
            mode: String::new(),
            modes: BTreeMap::new(),
            management: "ambient".into(),
            directory_ttl: Span::seconds(30),
            bind_accounts: true,
        }
    }
}

impl Default for LimitsSettings {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            target_bytes: 8 * 1024,
            head_timeout: Span::seconds(10),
            // Longer than the 60 s after which nginx gives up an idle upstream connection.
            idle_timeout: Span::seconds(75),
            keepalive_requests: 10_000,
            body_bytes: 1024 * 1024,
            body_timeout: Span::seconds(30),
            upload_bytes: 64 * 1024 * 1024,
            upload_timeout: Span::seconds(600),
            write_timeout: Span::seconds(60),
            buffered_bytes: 64 * 1024 * 1024,
            connections: 2048,
            requests: 1024,
            refusals: 60,
            refusal_refill: Span::seconds(1),
            verified_tokens: 10_000,
        }
    }
}

impl Default for LegacySettings {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:5051".into(),
            connect_timeout: Span::seconds(2),
            read_timeout: Span::seconds(65),
        }
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            enabled: false,
            url: "http://127.0.0.1:8788".into(),
            workspace: "business".into(),
            email: "dev@camarad.ai".into(),
            service_account: false,
            accounts: BTreeMap::new(),
            // What Coolbits is asked for these is our assumption, until it has them.
            mock_only: ["google-search-console", "google-tag-manager", "stripe"]
                .map(str::to_owned)
                .into(),
            table: String::new(),
            deadline: Span::seconds(12),
            attempt_timeout: Span::seconds(10),
            connect_timeout: Span::seconds(1),
            response_limit_bytes: 8 * 1024 * 1024,
            name_lookups: 4,
            probe_interval: Span::seconds(15),
            probe_path: "/healthz".into(),
            retry_share: 0.2,
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive: 5,
            rate: 0.5,
            min_volume: 20,
            window: Span::seconds(30),
            open: Span::seconds(5),
            open_most: Span::seconds(60),
            trials: 2,
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            capacity_bytes: 64 * 1024 * 1024,
            fallback_ttl: Span::seconds(5),
            stale_if_error: Span::seconds(0),
            ttl_percent: 100,
            app_reads: true,
        }
    }
}

impl Default for OrchestratorSettings {
    fn default() -> Self {
        Self {
            guardrails: String::new(),
            replay_credits: 5,
        }
    }
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            required: true,
            max_age_days: 90,
            runs_per_client: 1000,
            user_bytes: 64 << 20,
            max_bytes: 2 << 30,
        }
    }
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self {
            directory: String::new(),
            app_database: String::new(),
            keep: 14,
            keep_for: Span::seconds(35 * 24 * 3600),
        }
    }
}

impl Default for BurstSettings {
    fn default() -> Self {
        Self {
            window: Span::seconds(60),
            count: 20,
            ratio: 0.2,
            min_volume: 5,
            clear: 0.5,
        }
    }
}

impl Default for SnapshotsSettings {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            keep: 200,
        }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9150".into(),
            token: Secret::default(),
            token_file: String::new(),
            hosts: Vec::new(),
        }
    }
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: "keyed".into(),
            secret: Secret::default(),
            secret_file: String::new(),
            jwks_url: String::new(),
            jwks_file: String::new(),
            pem_file: String::new(),
            refresh: Span::seconds(300),
            algorithms: Vec::new(),
            issuer: String::new(),
            audience: String::new(),
            leeway: Span::seconds(30),
            user_claim: String::new(),
            clients_claim: "clients".into(),
            forward_to_coolbits: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_built_in_defaults() {
        let documented: toml::Table = crate::DEFAULTS_TOML.parse().unwrap();
        let built_in = toml::Table::try_from(Settings::default()).unwrap();
        assert_eq!(documented, built_in);
    }

    #[test]
    fn the_documented_issuer_is_the_default_issuer() {
        let example: String = crate::DEFAULTS_TOML
            .lines()
            .skip_while(|line| *line != "# [[issuers]]")
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.contains(" = ") || line.starts_with("[["))
            .map(|line| format!("{line}\n"))
            .collect();
        let settings: Settings = toml::from_str(&example).unwrap();
        let named = IssuerSettings {
            name: "example".into(),
            ..IssuerSettings::default()
        };
        assert_eq!(settings.issuers, vec![named]);
    }

    #[test]
    fn every_key_has_a_sentence() {
        let mut before = "";
        for line in crate::DEFAULTS_TOML.lines() {
            let commented = line.strip_prefix("# ").unwrap_or(line);
            let is_key = commented
                .split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
            if is_key {
                assert!(before.starts_with("# "), "no sentence above {line:?}");
            }
            before = line;
        }
    }

    /// Regenerate with `UPDATE_SCHEMA=1 cargo test -p camarad-config`.
    #[test]
    fn the_schema_file_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sidecar.schema.json");
        let schema = serde_json::to_value(schemars::schema_for!(Settings)).unwrap();
        let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), current);
    }
}
