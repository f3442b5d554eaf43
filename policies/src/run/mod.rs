//! A run of the orchestrator as the ledger has it, and what is told of it.

pub mod annotate;
pub mod asked;
pub mod diff;
pub mod trace;

use serde_json::Value;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was sent to the app, which has not answered.
    Running,
    /// The app says that all went well, and the guardrails found nothing.
    Success,
    /// It went through, and something should be looked at.
    Warning,
    /// The app, or what is between, failed.
    Error,
    /// The guardrails refused it; the app was not asked.
    Blocked,
    /// The sidecar ended in the middle of it; what became of it is not known.
    Interrupted,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Success,
        Self::Warning,
        Self::Error,
        Self::Blocked,
        Self::Interrupted,
    ];

    /// Its name in the ledger, in answers and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Blocked => "blocked",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What the ledger has of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Ours, a UUIDv7.
    pub run_id: String,
    /// The app's, by which its history names the run; `None` where it gave none.
    pub execution_id: Option<u64>,
    /// The app's other name for it.
    pub trace_execution_id: Option<String>,
    /// Whose it is.
    pub user: u64,
    /// Within which client.
    pub client: u64,
    /// The stored flow that was run, if one was.
    pub flow_id: Option<u64>,
    /// What the flow is called; may be empty.
    pub flow_name: String,
    /// The flow as it was asked for.
    pub flow: Value,
    /// SHA-256 of the request in hex.
    pub request_hash: String,
    /// What the guardrails said: warnings, or the violations of a blocked run; a list of objects.
    pub findings: Value,
    /// Where each connector's figures came from; a list of [`Source`] as JSON.
    pub sources: Vec<Source>,
    /// RFC 3339, UTC, milliseconds.
    pub started_at: String,
    /// The same; `None` while it runs.
    pub finished_at: Option<String>,
    /// How it stands.
    pub status: Status,
    /// The run that this one repeats, by our id.
    pub replay_of: Option<String>,
    /// The app's answer as it came; `None` where there was none that is JSON.
    pub answer: Option<Value>,
}

/// Where the figures of one connector step came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The node.
    pub node_id: String,
    /// The connector's slug.
    pub connector: String,
    /// `coolbits`, `mock`, or what else the app says.
    pub source: String,
    /// The account or property that was read, where the app says so.
    pub account: Option<String>,
    /// What came of asking Coolbits, where that went through the sidecar: `{enabled, path, status}`
    /// or `{enabled, error, …}`.
    pub gateway: Option<Value>,
}

/// The source of a run whose figures were somebody else's: nothing of it is told.
pub const WITHHELD: &str = "withheld";

impl Run {
    /// Whether nothing of what the app keeps of it may be told.
    pub fn is_withheld(&self) -> bool {
        self.sources.iter().any(|one| one.source == WITHHELD)
    }
}

/// Whether the figures of a run are real: `real` where all came from Coolbits, `mock` where
/// none did, `mixed` in between; `None` where no connector was read.
pub fn data(sources: &[Source]) -> Option<&'static str> {
    let real = sources
        .iter()
        .filter(|one| one.source == "coolbits")
        .count();
    match (real, sources.len()) {
        (_, 0) => None,
        (0, _) => Some("mock"),
        (real, all) if real == all => Some("real"),
        _ => Some("mixed"),
    }
}
