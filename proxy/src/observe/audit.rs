//! The audit log: one JSON line for each refusal, each `report` hit and, where
//! that is configured, each write that was let through; and one for each burst of
//! failures that begins or ends.
//!
//! It answers "who tried what, and what was decided", with ids and a token's
//! hash; never a token, a body or what a caller wrote in an id's place.

use camarad_policies::authorise::Places;
use camarad_policies::identity::ShortHash;
use camarad_policies::record::{Record, as_rfc3339};
use serde::Serialize;
use std::time::SystemTime;

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    #[serde(serialize_with = "as_rfc3339")]
    time: Option<SystemTime>,
    request_id: &'a str,
    /// `refuse`, `report` or `allow`.
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    mode: &'static str,
    rule: &'a str,
    area: &'a str,
    method: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u64>,
    /// What each place of the request named: an id, `none` or `unreadable`.
    client_asked: Places,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_allowed: Option<u64>,
    /// Kind and id of the object that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_hash: Option<ShortHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<&'a str>,
    forged_user: bool,
}

/// A line about no request.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    pub(super) time: &'a str,
    pub(super) event: &'static str,
    pub(super) origin: &'static str,
    /// `raised` or `cleared`.
    pub(super) state: &'static str,
    pub(super) failed: u64,
    pub(super) answers: u64,
    pub(super) window_seconds: u64,
}

#[derive(Debug, Serialize)]
struct Object<'a> {
    kind: &'static str,
    id: &'a str,
}

impl<'a> Entry<'a> {
    /// The line for a request, if it deserves one.
    pub(super) fn of(record: &'a Record, with_writes: bool) -> Option<Self> {
        let is_write = !matches!(&*record.method, "GET" | "HEAD" | "OPTIONS");
        let decision = match (record.refused(), record.reported) {
            (true, _) => "refuse",
            (_, Some(_)) => "report",
            _ if with_writes && is_write => "allow",
            _ => return None,
        };
        Some(Self {
            time: record.time,
            request_id: &record.request_id,
            decision,
            code: match decision {
                "report" => record.reported.or(record.code),
                _ => record.code.or(record.reported),
            },
            mode: record.mode,
            rule: &record.route,
            area: &record.area,
            method: &record.method,
            status: record.status,
            user: record.user,
            client_asked: record.client_asked,
            client_allowed: record.client,
            object: record.object.as_ref().map(|(kind, id)| Object { kind, id }),
            token_hash: record.token_hash,
            client_address: record.client_address.as_deref(),
            forged_user: record.forged_user,
        })
    }
}
