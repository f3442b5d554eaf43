//! Every reason for which the sidecar itself says no, and the words it says.
//!
//! One reason, one stable code, one status. The words tell the caller what was
//! wrong with *their* request and nothing about anybody else's data: a client of
//! another user and a client that does not exist get the same answer.
//! What operators need beyond that goes into the record, not into the answer.

use crate::record::Origin;

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

/// The table of refusals: why, then status, code and words.
macro_rules! refusals {
    ($($(#[doc = $why:literal])+ $name:ident = $status:literal, $code:literal, $words:literal;)*) => {
        /// A reason to refuse. The code is stable: metrics, audit and tests rely on it.
        // As wide as a word: a `Result` with an error of one byte is moved in odd parts, and
        // what reads it again has to wait for those that overlap.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum Refusal {
            $($(#[doc = $why])+ $name,)*
        }

        impl Refusal {
            /// All refusals, for tables and tests.
            pub const ALL: &[Refusal] = &[$(Self::$name,)*];

            /// Status, code and words of this refusal.
            pub fn answer(self) -> Answer {
                let (status, code, words) = match self {
                    $(Self::$name => ($status, $code, $words),)*
                };
                Answer { status, code, words }
            }

            /// Why it is refused, for operators.
            pub fn why(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($why),+).trim_ascii(),)*
                }
            }
        }
    };
}

// The words for 400, 401 and 404 are those of the app (contract, section 2).
refusals! {
    /// The head breaks RFC 9112, or could be read in two ways.
    HeadMalformed = 400, "head_malformed", "Malformed request head";
    /// The head is larger than its limit, or has too many lines.
    HeadTooLarge = 431, "head_too_large", "Request head too large";
    /// The head did not arrive in time.
    HeadTimeout = 408, "head_timeout", "The request head did not arrive in time";
    /// The request target is longer than its limit.
    TargetTooLong = 414, "target_too_long", "Request URL too long";
    /// Where the body ends could be read in two ways.
    FramingAmbiguous = 400, "framing_ambiguous", "Ambiguous message framing";
    /// A transfer coding besides `chunked`.
    TransferCodingUnknown = 501, "transfer_coding_unknown", "Only the chunked transfer coding is supported";
    /// Neither HTTP/1.0 nor HTTP/1.1.
    VersionUnsupported = 505, "version_unsupported", "Only HTTP/1.0 and HTTP/1.1 are supported";
    /// A method that no route of the app has.
    MethodNotAllowed = 405, "method_not_allowed", "Method not allowed";
    /// The request target is not a path we would forward.
    PathMalformed = 400, "path_malformed", "Malformed request path";
    /// The query names a managed parameter twice, or holds bytes no URL may hold.
    QueryMalformed = 400, "query_malformed", "Malformed query string";
    /// A managed header stands twice, or in a spelling that servers fold together.
    HeaderAmbiguous = 400, "header_ambiguous", "Ambiguous request header";
    /// No `Host`, or more than one (RFC 9112, section 3.2).
    HostInvalid = 400, "host_invalid", "Exactly one Host header is required";
    /// A host that is not among `server.allowed_hosts`.
    HostNotAllowed = 421, "host_not_allowed", "This host is not served here";
    /// Werkzeug's debugger, which the app may have left on.
    DebuggerRefused = 404, "debugger_refused", "Not found";
    /// An internal route, asked for from outside `server.internal_networks`.
    InternalOnly = 403, "internal_only", "Forbidden";
    /// An unsafe request with the session cookie, from another site.
    CrossSite = 403, "cross_site", "Cross-site request refused";
    /// A login whose content type is not JSON, as a form of another site would send it.
    LoginNotJson = 415, "login_not_json", "Login needs Content-Type: application/json";
    /// An `Expect` that is not `100-continue`.
    ExpectationUnknown = 417, "expectation_unknown", "Only Expect: 100-continue is supported";
    /// More at once than the limits on connections, requests or buffered bytes allow.
    Overloaded = 503, "overloaded", "Too many requests at once";
    /// The request body is larger than the lane takes.
    BodyTooLarge = 413, "body_too_large", "Request body too large";
    /// The request body did not arrive whole.
    BodyIncomplete = 400, "body_incomplete", "Request body incomplete";
    /// The request body did not arrive in time.
    BodyTimeout = 408, "body_timeout", "The request body did not arrive in time";
    /// A GET or HEAD with a body, which servers differ in reading.
    BodyUnexpected = 400, "body_unexpected", "GET and HEAD have no body here";
    /// A body that a rule reads is not strict JSON.
    BodyMalformed = 400, "body_malformed", "The request body is not strict JSON";
    /// No token where the rule asks for one.
    TokenMissing = 401, "token_missing", "Authentication required";
    /// Not a compact JWS with JSON objects inside.
    TokenMalformed = 401, "token_malformed", "Authentication required";
    /// `exp` has passed.
    TokenExpired = 401, "token_expired", "Authentication required";
    /// `nbf` lies ahead.
    TokenNotYetValid = 401, "token_not_yet_valid", "Authentication required";
    /// `iss` is not the issuer's.
    TokenWrongIssuer = 401, "token_wrong_issuer", "Authentication required";
    /// `aud` does not name us.
    TokenWrongAudience = 401, "token_wrong_audience", "Authentication required";
    /// No key of ours made this signature.
    TokenBadSignature = 401, "token_bad_signature", "Authentication required";
    /// The key id is not among the issuer's keys.
    TokenUnknownKey = 401, "token_unknown_key", "Authentication required";
    /// `alg` is not one that the issuer is pinned to.
    TokenAlgorithmNotAllowed = 401, "token_algorithm_not_allowed", "Authentication required";
    /// The app's login, which decides about tokens of this kind, does not take it.
    TokenNotAccepted = 401, "token_not_accepted", "Authentication required";
    /// An operator ended it, or the sessions of its user.
    TokenRevoked = 401, "token_revoked", "Authentication required";
    /// A required claim is missing or not of its type.
    TokenClaimsInvalid = 401, "token_claims_invalid", "Authentication required";
    /// The issuer's keys could not be had yet.
    KeysUnavailable = 503, "keys_unavailable", "Tokens cannot be verified right now";
    /// The app could not say whose token it is.
    BindingUnavailable = 503, "binding_unavailable", "Sessions cannot be verified right now";
    /// A place names a client in a form that is not an id.
    ClientUnreadable = 400, "client_unreadable", "Invalid X-Client-ID";
    /// A client has to be named and none is.
    ClientRequired = 400, "client_required", "Client scope required";
    /// Two places name different clients.
    ClientConflict = 400, "client_conflict", "Conflicting client scope";
    /// The client is not one that the identity may use.
    ClientNotAllowed = 404, "client_not_allowed", "Client not found or not owned";
    /// An id in a path, query or body that is no id.
    ObjectUnreadable = 400, "object_unreadable", "Invalid id";
    /// Two places name different objects.
    ObjectConflict = 400, "object_conflict", "Conflicting ids";
    /// The object is not there, or not within what was decided; nobody is told which.
    ObjectNotFound = 404, "object_not_found", "Not found or not owned";
    /// The account is not linked to the decided client.
    AccountNotLinked = 404, "account_not_linked", "Account not found or not linked to this client";
    /// Whose an object or account is could not be had.
    GuardUnavailable = 503, "guard_unavailable", "Ownership cannot be verified right now";
    /// Too many refused requests of this user, or of this address without one.
    RateLimited = 429, "rate_limited", "Too many refused requests";
    /// A route of the whole user, asked for with a token that is limited to clients.
    UserWideDenied = 403, "user_wide_denied", "This token is limited to clients";
    /// The app's list of the user's clients could not be had.
    DirectoryUnavailable = 503, "directory_unavailable", "Clients cannot be verified right now";
    /// A flow that the guardrails block; the answer lists what is wrong with it.
    FlowBlocked = 400, "flow_blocked", "This flow cannot run";
    /// The app did not book the credits for a replay.
    CreditsRefused = 402, "credits_refused", "Execution blocked: the credits were not booked";
    /// The run that is to be replayed was made past the sidecar, which has no flow of it.
    FlowNotRecorded = 409, "flow_not_recorded", "The flow of this run was not recorded, so it cannot be run again";
    /// A trace in a form that there is none of.
    FormatUnknown = 400, "format_unknown", "format must be json or csv";
    /// An `Idempotency-Key` that is none, or two.
    IdempotencyKeyInvalid = 400, "idempotency_key_invalid", "Idempotency-Key must be one text of 1 to 255 visible characters";
    /// An `Idempotency-Key` that came with another body within a day.
    IdempotencyKeyReused = 422, "idempotency_key_reused", "This Idempotency-Key was used with another request";
    /// The first request with this `Idempotency-Key` is still being answered.
    IdempotencyInProgress = 409, "idempotency_in_progress", "The first request with this Idempotency-Key is still running";
    /// The first request with this `Idempotency-Key` ended without an answer that was kept.
    IdempotencyOutcomeUnknown = 409, "idempotency_outcome_unknown", "The first request with this Idempotency-Key was interrupted; look into the history before sending it again with a new key";
    /// A run could not be written down, and is therefore not made.
    LedgerUnavailable = 503, "ledger_unavailable", "Runs cannot be recorded right now, so none is started";
    /// The caller left before there was an answer; 499, as nginx counts it.
    ClientClosed = 499, "client_closed", "The caller left";
    /// The app could not be connected to, or broke the connection off.
    LegacyUnreachable = 502, "legacy_unreachable", "The application is not reachable";
    /// The app did not answer in time.
    LegacyTimeout = 504, "legacy_timeout", "The application did not answer in time";
    /// The app's answer cannot be passed on.
    LegacyBadAnswer = 502, "legacy_bad_answer", "The application's answer could not be passed on";
    /// The app's answer holds an id of somebody else.
    TenantLeakBlocked = 502, "tenant_leak_blocked", "The application's answer was withheld";
    /// Something of ours broke.
    Internal = 500, "internal_error", "Internal error";
}

impl Refusal {
    /// True for the refusals of a token: they carry `WWW-Authenticate` (RFC 6750, section 3).
    pub fn is_authentication(self) -> bool {
        self.answer().status == 401
    }

    /// Whose failure an answer of 500 or more is; `None` where it is the caller's
    /// (501 and 505), which must not raise an alarm.
    pub fn fault(self) -> Option<Origin> {
        match self {
            Self::LegacyUnreachable
            | Self::LegacyTimeout
            | Self::LegacyBadAnswer
            | Self::BindingUnavailable
            | Self::DirectoryUnavailable
            | Self::GuardUnavailable
            | Self::TenantLeakBlocked => Some(Origin::Legacy),
            Self::Internal | Self::KeysUnavailable | Self::Overloaded | Self::LedgerUnavailable => {
                Some(Origin::Sidecar)
            }
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
                | Self::BodyUnexpected
                | Self::ExpectationUnknown
        )
    }

    /// True for what a rule in `report` mode counts and does not refuse.
    pub fn is_scope(self) -> bool {
        matches!(
            self,
            Self::ClientUnreadable
                | Self::ClientRequired
                | Self::ClientConflict
                | Self::ClientNotAllowed
                | Self::UserWideDenied
                | Self::DirectoryUnavailable
                | Self::BodyMalformed
                | Self::ObjectUnreadable
                | Self::ObjectConflict
                | Self::ObjectNotFound
                | Self::AccountNotLinked
                | Self::GuardUnavailable
        )
    }

    /// True for what somebody gets who tries names and tokens: too many of these
    /// are answered [`Refusal::RateLimited`]. Failures of ours or of the app are not
    /// the caller's, and count for nobody.
    pub fn is_limited(self) -> bool {
        let is_scope = self.is_scope() && self.fault().is_none();
        // A session that ended is none that was tried: its page has to hear of it.
        let is_tried = !matches!(self, Self::TokenExpired | Self::TokenRevoked);
        // Not `CrossSite`: any page could make the caller's browser use them up.
        is_scope || (self.is_authentication() && is_tried) || self == Self::InternalOnly
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
        for &refusal in Refusal::ALL {
            let status = refusal.answer().status;
            if refusal.fault().is_some() {
                assert!(status >= 500, "{refusal:?}");
            } else {
                assert!(status < 500 || matches!(status, 501 | 505), "{refusal:?}");
            }
        }
    }

    #[test]
    fn what_is_limited_is_the_callers_own_fault() {
        for refusal in Refusal::ALL.iter().filter(|r| r.is_limited()) {
            assert!(refusal.answer().status < 500, "{refusal:?}");
        }
        assert!(!Refusal::RateLimited.is_limited());
    }

    #[test]
    fn the_words_about_a_token_do_not_say_what_was_wrong_with_it() {
        for refusal in Refusal::ALL.iter().filter(|r| r.is_authentication()) {
            assert_eq!(refusal.answer().words, "Authentication required");
        }
    }
}
