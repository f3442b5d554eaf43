//! Every reason for which the sidecar itself says no, and the words it says.
//!
//! One reason, one stable code, one status. The words tell the caller what was
//! wrong with *their* request and nothing about anybody else's data: a client of
//! another user and a client that does not exist get the same answer.
//! What operators need beyond that goes into the record, not into the answer.

use crate::record::Origin;

/// A reason to refuse. The code is stable: metrics, audit and tests rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The head breaks RFC 9112, or could be read in two ways.
    HeadMalformed,
    /// The head is larger than its limit, or has too many lines.
    HeadTooLarge,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The request target is longer than its limit.
    TargetTooLong,
    /// Where the body ends could be read in two ways.
    FramingAmbiguous,
    /// A transfer coding besides `chunked`.
    TransferCodingUnknown,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    VersionUnsupported,
    /// The request target is not a path we would forward.
    PathMalformed,
    /// The query names a managed parameter twice, or holds bytes no URL may hold.
    QueryMalformed,
    /// A managed header stands twice, or in a spelling that servers fold together.
    HeaderAmbiguous,
    /// No `Host`, or more than one (RFC 9112, section 3.2).
    HostInvalid,
    /// A host that is not among `server.allowed_hosts`.
    HostNotAllowed,
    /// An `Expect` that is not `100-continue`.
    ExpectationUnknown,
    /// More at once than the limits on connections, requests or buffered bytes allow.
    Overloaded,
    /// The request body is larger than the lane takes.
    BodyTooLarge,
    /// The request body did not arrive whole.
    BodyIncomplete,
    /// The request body did not arrive in time.
    BodyTimeout,
    /// A body that a rule reads is not strict JSON.
    BodyMalformed,
    /// No token where the rule asks for one.
    TokenMissing,
    /// Not a compact JWS with JSON objects inside.
    TokenMalformed,
    /// `exp` has passed.
    TokenExpired,
    /// `nbf` lies ahead.
    TokenNotYetValid,
    /// `iss` is not the issuer's.
    TokenWrongIssuer,
    /// `aud` does not name us.
    TokenWrongAudience,
    /// No key of ours made this signature.
    TokenBadSignature,
    /// The key id is not among the issuer's keys.
    TokenUnknownKey,
    /// `alg` is not one that the issuer is pinned to.
    TokenAlgorithmNotAllowed,
    /// A required claim is missing or not of its type.
    TokenClaimsInvalid,
    /// The issuer's keys could not be had yet.
    KeysUnavailable,
    /// A place names a client in a form that is not an id.
    ClientUnreadable,
    /// A client has to be named and none is.
    ClientRequired,
    /// Two places name different clients.
    ClientConflict,
    /// The client is not one that the identity may use.
    ClientNotAllowed,
    /// The caller left before there was an answer; 499, as nginx counts it.
    ClientClosed,
    /// The app could not be connected to, or broke the connection off.
    LegacyUnreachable,
    /// The app did not answer in time.
    LegacyTimeout,
    /// The app's answer cannot be passed on.
    LegacyBadAnswer,
    /// Something of ours broke.
    Internal,
}

/// What a refusal looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Stable code, snake case.
    pub code: &'static str,
    /// One sentence for the caller.
    pub words: &'static str,
}

impl Refusal {
    /// All refusals, for tables and tests.
    pub const ALL: [Refusal; 38] = {
        use Refusal::*;
        [
            HeadMalformed,
            HeadTooLarge,
            HeadTimeout,
            TargetTooLong,
            FramingAmbiguous,
            TransferCodingUnknown,
            VersionUnsupported,
            PathMalformed,
            QueryMalformed,
            HeaderAmbiguous,
            HostInvalid,
            HostNotAllowed,
            ExpectationUnknown,
            Overloaded,
            BodyTooLarge,
            BodyIncomplete,
            BodyTimeout,
            BodyMalformed,
            TokenMissing,
            TokenMalformed,
            TokenExpired,
            TokenNotYetValid,
            TokenWrongIssuer,
            TokenWrongAudience,
            TokenBadSignature,
            TokenUnknownKey,
            TokenAlgorithmNotAllowed,
            TokenClaimsInvalid,
            KeysUnavailable,
            ClientUnreadable,
            ClientRequired,
            ClientConflict,
            ClientNotAllowed,
            ClientClosed,
            LegacyUnreachable,
            LegacyTimeout,
            LegacyBadAnswer,
            Internal,
        ]
    };

    /// Status, code and words of this refusal.
    pub fn answer(self) -> Answer {
        // The words for 400, 401 and 404 are those of the app (contract, section 2).
        let (status, code, words) = match self {
            Self::HeadMalformed => (400, "head_malformed", "Malformed request head"),
            Self::HeadTooLarge => (431, "head_too_large", "Request head too large"),
            Self::HeadTimeout => (
                408,
                "head_timeout",
                "The request head did not arrive in time",
            ),
            Self::TargetTooLong => (414, "target_too_long", "Request URL too long"),
            Self::FramingAmbiguous => (400, "framing_ambiguous", "Ambiguous message framing"),
            Self::TransferCodingUnknown => (
                501,
                "transfer_coding_unknown",
                "Only the chunked transfer coding is supported",
            ),
            Self::VersionUnsupported => (
                505,
                "version_unsupported",
                "Only HTTP/1.0 and HTTP/1.1 are supported",
            ),
            Self::PathMalformed => (400, "path_malformed", "Malformed request path"),
            Self::QueryMalformed => (400, "query_malformed", "Malformed query string"),
            Self::HeaderAmbiguous => (400, "header_ambiguous", "Ambiguous request header"),
            Self::HostInvalid => (400, "host_invalid", "Exactly one Host header is required"),
            Self::HostNotAllowed => (421, "host_not_allowed", "This host is not served here"),
            Self::ExpectationUnknown => (
                417,
                "expectation_unknown",
                "Only Expect: 100-continue is supported",
            ),
            Self::Overloaded => (503, "overloaded", "Too many requests at once"),
            Self::BodyTooLarge => (413, "body_too_large", "Request body too large"),
            Self::BodyIncomplete => (400, "body_incomplete", "Request body incomplete"),
            Self::BodyTimeout => (
                408,
                "body_timeout",
                "The request body did not arrive in time",
            ),
            Self::BodyMalformed => (400, "body_malformed", "The request body is not strict JSON"),
            Self::TokenMissing => (401, "token_missing", "Authentication required"),
            Self::TokenMalformed => (401, "token_malformed", "Authentication required"),
            Self::TokenExpired => (401, "token_expired", "Authentication required"),
            Self::TokenNotYetValid => (401, "token_not_yet_valid", "Authentication required"),
            Self::TokenWrongIssuer => (401, "token_wrong_issuer", "Authentication required"),
            Self::TokenWrongAudience => (401, "token_wrong_audience", "Authentication required"),
            Self::TokenBadSignature => (401, "token_bad_signature", "Authentication required"),
            Self::TokenUnknownKey => (401, "token_unknown_key", "Authentication required"),
            Self::TokenAlgorithmNotAllowed => (
                401,
                "token_algorithm_not_allowed",
                "Authentication required",
            ),
            Self::TokenClaimsInvalid => (401, "token_claims_invalid", "Authentication required"),
            Self::KeysUnavailable => (
                503,
                "keys_unavailable",
                "Tokens cannot be verified right now",
            ),
            Self::ClientUnreadable => (400, "client_unreadable", "Invalid X-Client-ID"),
            Self::ClientRequired => (400, "client_required", "Client scope required"),
            Self::ClientConflict => (400, "client_conflict", "Conflicting client scope"),
            Self::ClientNotAllowed => (404, "client_not_allowed", "Client not found or not owned"),
            Self::ClientClosed => (499, "client_closed", "The caller left"),
            Self::LegacyUnreachable => (
                502,
                "legacy_unreachable",
                "The application is not reachable",
            ),
            Self::LegacyTimeout => (
                504,
                "legacy_timeout",
                "The application did not answer in time",
            ),
            Self::LegacyBadAnswer => (
                502,
                "legacy_bad_answer",
                "The application's answer could not be passed on",
            ),
            Self::Internal => (500, "internal_error", "Internal error"),
        };
        Answer {
            status,
            code,
            words,
        }
    }

    /// True for the refusals of a token: they carry `WWW-Authenticate` (RFC 6750, section 3).
    pub fn is_authentication(self) -> bool {
        self.answer().status == 401
    }

    /// Whose failure an answer of 500 or more is; `None` where it is the caller's
    /// (501 and 505), which must not raise an alarm.
    pub fn fault(self) -> Option<Origin> {
        match self {
            Self::LegacyUnreachable | Self::LegacyTimeout | Self::LegacyBadAnswer => {
                Some(Origin::Legacy)
            }
            Self::Internal | Self::KeysUnavailable | Self::Overloaded => Some(Origin::Sidecar),
            _ => None,
        }
    }

    /// True where the request's body was left unread in the middle, so that nothing
    /// can follow it on the connection.
    pub fn leaves_body(self) -> bool {
        matches!(
            self,
            Self::BodyTooLarge
                | Self::BodyIncomplete
                | Self::BodyTimeout
                | Self::ExpectationUnknown
        )
    }

    /// True where the app, not the caller and not the sidecar, is at fault.
    pub fn is_legacy_fault(self) -> bool {
        self.fault() == Some(Origin::Legacy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Refusal::ALL.iter().map(|r| r.answer().code).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
    }

    #[test]
    fn what_is_somebodys_fault_is_a_5xx() {
        for refusal in Refusal::ALL {
            let status = refusal.answer().status;
            if refusal.fault().is_some() {
                assert!(status >= 500, "{refusal:?}");
            } else {
                assert!(status < 500 || matches!(status, 501 | 505), "{refusal:?}");
            }
        }
    }

    #[test]
    fn the_words_about_a_token_do_not_say_what_was_wrong_with_it() {
        for refusal in Refusal::ALL.iter().filter(|r| r.is_authentication()) {
            assert_eq!(refusal.answer().words, "Authentication required");
        }
    }
}
