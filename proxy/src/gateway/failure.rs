//! Why Coolbits gave no usable answer: a closed set of codes, shown in
//! `gateway.error`, in the record and in metrics.

use serde_json::Value;
use std::sync::Arc;

/// A reason for which the mock answers in Coolbits' place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer within the attempt or the deadline.
    Timeout,
    /// No connection, or one that broke before an answer began.
    Unreachable,
    /// Another 4xx.
    Http4xx,
    /// A 5xx.
    Http5xx,
    /// The token was not accepted, or there is none to give.
    Unauthorized,
    /// Coolbits says that the account is not connected.
    NotConnected,
    /// Coolbits says that no property was chosen.
    PropertyNotSet,
    /// Coolbits says that the consent has to be given again.
    MissingRefreshToken,
    /// Coolbits says that there is no such property.
    InvalidProperty,
    /// The answer does not fit: HTML, broken JSON, wrong types, another account, too large.
    BadPayload,
    /// The answer fits and holds nothing.
    Empty,
    /// It failed too often, and is not asked for a while.
    BreakerOpen,
    /// There is no memory left to hold the answer in.
    Overloaded,
}

impl Failure {
    /// Stable code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Unauthorized => "unauthorized",
            Self::NotConnected => "not_connected",
            Self::PropertyNotSet => "property_not_set",
            Self::MissingRefreshToken => "missing_refresh_token",
            Self::InvalidProperty => "invalid_property",
            Self::BadPayload => "bad_payload",
            Self::Empty => "empty",
            Self::BreakerOpen => "breaker_open",
            Self::Overloaded => "overloaded",
        }
    }

    /// The failure that an error of Coolbits' names (contract, 4.2).
    pub(crate) fn recognised(error: &str) -> Option<Self> {
        const RECOGNISED: [Failure; 4] = [
            Failure::NotConnected,
            Failure::PropertyNotSet,
            Failure::MissingRefreshToken,
            Failure::InvalidProperty,
        ];
        RECOGNISED
            .into_iter()
            .find(|failure| failure.code() == error)
    }

    /// Whether it says nothing of the account: Coolbits may answer in a moment.
    pub(crate) fn is_passing(self) -> bool {
        self.is_coolbits_fault() || matches!(self, Self::BreakerOpen | Self::Overloaded)
    }

    /// Whether it is Coolbits' own fault and counts as a 5xx that the fallback hides.
    pub(crate) fn is_coolbits_fault(self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::Unreachable | Self::Http5xx | Self::BadPayload
        )
    }
}

/// A failure and where it happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Miss {
    pub(crate) failure: Failure,
    /// The path at Coolbits, once one was asked.
    pub(crate) path: Option<Arc<str>>,
    /// The status, where there was an answer.
    pub(crate) status: Option<u16>,
    /// What came with an error status, where it was JSON.
    pub(crate) answer: Option<Box<Value>>,
    /// The answer came; it is the mapping that it does not fit.
    pub(crate) is_of_mapping: bool,
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            path: None,
            status: None,
            answer: None,
            is_of_mapping: false,
        }
    }
}
