//! The checked form: what the process needs, in the types it needs it in.
//!
//! Nothing here can be written down wrong in a file; [`crate::check`] is the way in.

use crate::secret::Secret;
use crate::settings::Settings;
use camarad_policies::breaker;
use camarad_policies::endpoints::Endpoints;
use camarad_policies::guardrails::Guardrails;
use camarad_policies::head::Limits as HeadLimits;
use camarad_policies::identity::Issuer;
use camarad_policies::ids::ClientId;
use camarad_policies::keys::KeySet;
use camarad_policies::limit::Limit;
use camarad_policies::matrix::Mode;
use camarad_policies::operation::Operation;
use ipnet::IpNet;
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
    /// Bounds on what callers may send and hold.
    pub limits: Limits,
    /// The existing app.
    pub legacy: Legacy,
    /// Who may use which client.
    pub tenancy: Tenancy,
    /// The audit log.
    pub audit: Audit,
    /// Whose token it is, where the token does not say so.
    pub sessions: Sessions,
    /// Coolbits.
    pub gateway: Gateway,
    /// The cache.
    pub cache: Cache,
    /// Where the app asks Coolbits, if it is to ask us.
    pub behind: Option<SocketAddr>,
    /// Runs of the orchestrator.
    pub orchestrator: Orchestrator,
    /// The ledger of runs.
    pub ledger: Ledger,
    /// Backups.
    pub backup: Backup,
    /// The burst detector.
    pub burst: Burst,
    /// The admin listener.
    pub admin: Admin,
    /// Who may vouch for callers; never empty.
    pub issuers: Vec<IssuerConfig>,
    /// What is allowed but should be known.
    pub warnings: Vec<String>,
    /// What was written, with what was not filled in.
    pub settings: Settings,
    /// What it was read from.
    pub source: Source,
    /// What is kept of configurations that were applied.
    pub snapshots: Snapshots,
}

/// What settings were read from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file and its text, secrets and all.
    pub file: Option<(PathBuf, Secret)>,
    /// What the environment said, by name; secrets are `***`.
    pub environment: BTreeMap<String, String>,
    /// Where each key was set: the file, or the name in the environment. Others are defaults.
    pub origins: BTreeMap<String, String>,
}

/// What is kept of configurations that were applied.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// Other files that are kept along.
    pub include: Vec<PathBuf>,
    /// How many are kept.
    pub keep: usize,
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
    /// `stderr`, `stdout`, `off`, or a file.
    pub log: String,
    /// Time after SIGTERM in which everything is still served.
    pub drain: Duration,
    /// Time for requests under way after that.
    pub grace: Duration,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Hosts answered for, lower case, without ports; none means all.
    pub allowed_hosts: Vec<String>,
    /// Where callers of internal routes have to be.
    pub internal_networks: Vec<IpNet>,
}

/// Who may use which client.
#[derive(Clone, Debug)]
pub struct Tenancy {
    /// Mode of all rules, where it is not the table's.
    pub mode: Option<Mode>,
    /// Mode of single rules.
    pub modes: BTreeMap<String, Mode>,
    /// The header must agree with the target on rules about clients themselves.
    pub strict_management: bool,
    /// Life of a user's list of clients, and of a client's list of accounts.
    pub directory_ttl: Duration,
    /// Accounts must be linked to the client.
    pub bind_accounts: bool,
}

/// Whose token it is, where the token does not say so.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// Key of the sealed cookie, at least 32 bytes.
    pub seal_key: Option<Secret>,
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// `stdout`, `off`, or a file.
    pub log: String,
    /// Writes that were let through are told too.
    pub allowed_writes: bool,
}

/// Bounds on what callers may send and hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of a request head.
    pub head: HeadLimits,
    /// Time for a head to arrive in all.
    pub head_timeout: Duration,
    /// Time between requests of a connection.
    pub idle_timeout: Duration,
    /// Requests of a connection.
    pub keepalive_requests: u32,
    /// Bound of a body that is read whole, bytes.
    pub body: usize,
    /// Time for such a body in all, and for the next bytes of any.
    pub body_timeout: Duration,
    /// Bound of a body that streams, bytes.
    pub upload: u64,
    /// Time for such a body in all.
    pub upload_timeout: Duration,
    /// Time for a caller to take the next bytes.
    pub write_timeout: Duration,
    /// Bound of all bodies in memory, bytes.
    pub buffered: usize,
    /// Connections at once.
    pub connections: usize,
    /// Requests at once.
    pub requests: usize,
    /// Refused requests of one user or address; `None` limits nobody.
    pub refusals: Option<Limit>,
    /// Verified tokens remembered.
    pub verified_tokens: usize,
}

/// The existing app.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What it is asked for each operation.
    pub endpoints: Arc<Endpoints>,
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
    /// How often Coolbits is asked whether it is there.
    pub probe_interval: Duration,
    /// The path that is asked.
    pub probe_path: String,
    /// Share of reads that may be tried again.
    pub retry_share: f64,
    /// When it is not asked for a while.
    pub breaker: breaker::Settings,
}

/// The cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Bound, bytes.
    pub capacity_bytes: u64,
    /// Life of a fallback answer.
    pub fallback_ttl: Duration,
    /// How long past its time a real answer may stand in.
    pub stale_if_error: Duration,
    /// Share of the matrix's times, 1 to 100 per cent.
    pub ttl_percent: u32,
    /// Whether the app's own reads are kept.
    pub app_reads: bool,
}

/// Runs of the orchestrator.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    /// What is looked at before a run.
    pub guardrails: Arc<Guardrails>,
    /// Credits that a replay books.
    pub replay_credits: u32,
}

/// The ledger of runs.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// A run that cannot be written is refused.
    pub required: bool,
    /// How long runs are kept.
    pub max_age: Duration,
    /// How many of one client's are.
    pub runs_per_client: u32,
    /// Bytes of one user's runs.
    pub user_bytes: u64,
    /// Largest file, bytes.
    pub max_bytes: u64,
}

/// Backups.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where archives are.
    pub directory: PathBuf,
    /// The app's SQLite file, if it is named.
    pub app_database: Option<PathBuf>,
    /// How many archives are kept; never 0.
    pub keep: usize,
    /// How long they are.
    pub keep_for: Duration,
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
    /// Share of either below which a burst ends.
    pub clear: f64,
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
    /// None: the app's own login is asked, whether the token is good and whose it is.
    Login,
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
            Self::Login => f.write_str("Login"),
            Self::Url { url, .. } => write!(f, "Url({url})"),
        }
    }
}
