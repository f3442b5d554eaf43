//! The one value that tells what happened to a request.
//!
//! Log, metrics and, later, audit and ledger are all told this and nothing else,
//! so they cannot disagree. It holds ids but never a token (its hash at most),
//! a cookie, a query string or a body.

use crate::authorise::Places;
use crate::cache_key::CacheKey;
use crate::identity::ShortHash;
use crate::refusal::Refusal;
use crate::text::Text;
use arrayvec::ArrayString;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Who produced the figures of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Real data.
    Coolbits,
    /// Made-up data, ours or the app's.
    Mock,
    /// The app.
    Legacy,
    /// An answer of the sidecar's own: a refusal or an error.
    Sidecar,
}

impl Source {
    /// Value of `X-Camarad-Source` and of the `source` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coolbits => "coolbits",
            Self::Mock => "mock",
            Self::Legacy => "legacy",
            Self::Sidecar => "sidecar",
        }
    }
}

/// Who is to blame for a 5xx, the hidden ones of Coolbits included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The app.
    Legacy,
    /// The gateway.
    Coolbits,
    /// The sidecar.
    Sidecar,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Origin; 3] = [Self::Legacy, Self::Coolbits, Self::Sidecar];

    /// Value of the `origin` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Coolbits => "coolbits",
            Self::Sidecar => "sidecar",
        }
    }
}

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheResult {
    /// Answered from the store.
    Hit,
    /// Nothing was kept: fetched, and kept if it may be.
    Miss,
    /// Waited for somebody else's fetch.
    Collapsed,
    /// The fetch failed, and what was kept stands in for it, past its time.
    Stale,
    /// What was kept was too old: fetched afresh.
    Expired,
    /// Fetched for this caller alone: it may not be shared, not even with who asks the same.
    Bypass,
}

impl CacheResult {
    /// Value of the `result` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Bypass => "bypass",
        }
    }
}

/// Our own id of a request: a UUID with its hyphens.
pub type RequestId = ArrayString<36>;

/// What happened to one request.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// When it ended; written as RFC 3339, UTC.
    #[serde(serialize_with = "as_rfc3339")]
    pub time: Option<SystemTime>,
    /// Our own id of it.
    pub request_id: RequestId,
    /// The id the caller gave, logged only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// Address of the connection's other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Arc<str>>,
    /// The caller's own address, as far as the proxies in front are believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<Arc<str>>,
    /// Method.
    pub method: Cow<'static, str>,
    /// Canonical path, or nothing where there is none.
    pub path: Text,
    /// Name of the rule.
    pub route: Text,
    /// Area of the rule.
    pub area: Text,
    /// Status sent.
    pub status: u16,
    /// Who produced the figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Who is to blame, for 5xx answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// From the request's head to the answer's end, in milliseconds.
    pub duration_ms: f64,
    /// Of that, waiting for upstreams, in milliseconds.
    pub upstream_ms: f64,
    /// Bytes of the answer's body.
    pub bytes_sent: usize,
    /// Verified user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// Decided client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u64>,
    /// First digits of the token's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<ShortHash>,
    /// Code of the refusal, ours or the one a public rule looked past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The request was allowed.
    pub allowed: bool,
    /// What would have been refused if the rule were enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<&'static str>,
    /// How seriously the client scope of the rule is taken.
    #[serde(skip)]
    pub mode: &'static str,
    /// What each place of the request named as its client; for the audit log.
    #[serde(skip)]
    pub client_asked: Places,
    /// The object that the request named by id, and its kind; for the audit log.
    #[serde(skip)]
    pub object: Option<(&'static str, String)>,
    /// Refused for what it asked, or for what its answer held, after it had been allowed.
    #[serde(skip)]
    pub withheld: bool,
    /// The caller claimed another user than the token proves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forged_user: bool,
    /// What the cache did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheResult>,
    /// The key of the cache, written as the SHA-256 by which an operator purges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<CacheKey>,
    /// The run that it made, by the ledger's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why the mock answered in Coolbits' place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<&'static str>,
}

/// A time as RFC 3339 has it, UTC.
pub fn rfc3339(time: SystemTime) -> String {
    // Formatting a valid time into a String cannot fail.
    let text = OffsetDateTime::from(time).format(&Rfc3339);
    text.unwrap_or_default()
}

/// Written as [`rfc3339`]; no time is no text.
pub fn as_rfc3339<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.map(rfc3339).unwrap_or_default())
}

/// Where no rule applied.
const NO_RULE: Text = Text::Ours("none");

impl Record {
    /// Of a request with this id, of which nothing is known yet.
    pub fn begun(request_id: RequestId) -> Self {
        Self {
            request_id,
            route: NO_RULE,
            area: NO_RULE,
            ..Self::default()
        }
    }

    /// Notes why there is no answer but ours. Whether the request was *allowed*
    /// was decided before: an app that is gone does not make it a refused one.
    pub fn refuse(&mut self, refusal: Refusal) {
        let answer = refusal.answer();
        self.code = Some(answer.code);
        self.source = Some(Source::Sidecar);
        self.origin = refusal.fault();
        self.withheld |= refusal.is_scope()
            || matches!(refusal, Refusal::TenantLeakBlocked | Refusal::RateLimited);
    }

    /// Whether the request, or its answer, was refused for what it asked.
    pub fn refused(&self) -> bool {
        !self.allowed || self.withheld
    }
}
