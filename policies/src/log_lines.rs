//! Lines of the logs as they are read again: access, audit and the application's own.
//!
//! They are what [`crate::record`] and the audit log write, with every member optional:
//! an older or a newer version wrote fewer or more. What is not named here is not
//! told to anybody, so a line that somebody else wrote into the file cannot make us
//! repeat a secret. Texts are as the line has them: [`mod@crate::shown`] before anybody sees
//! them. No decision may be taken from these: whoever can write into a log
//! can write anything.

use crate::refusal::Refusal;
use memchr::memmem::Finder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One line of the access log; see [`crate::record::Record`] for the members.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[allow(missing_docs)] // They are the record's.
pub struct Access {
    pub time: String,
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    pub method: String,
    pub path: String,
    pub route: String,
    pub area: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub duration_ms: f64,
    pub upstream_ms: f64,
    pub bytes_sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
    pub forged_user: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// One line of the audit log: about a request, or about none (`event`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[allow(missing_docs)] // They are the audit log's.
pub struct Audit {
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `refuse`, `report` or `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_asked: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_allowed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forged_user: bool,
    /// What happened, where it is about no request: `burst_5xx` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// `raised` or `cleared` of a burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
}

/// What a request named by id.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Object {
    pub kind: String,
    pub id: String,
}

/// One line of the application's log, as far as anything is made of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Application {
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// `ERROR`, `WARN`, `INFO`, …
    pub level: String,
    /// What happened, in words.
    pub message: String,
    /// The request that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// State of the breaker before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// State of the breaker now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The gateway is switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Operations that are left to the mock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mock_only: Option<String>,
    /// Who had the settings read again: `SIGHUP`, or the control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Settings that are others since they were read again, by their keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Why settings were not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Reads a line; `None` where it is no JSON object of this shape.
pub fn read<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    // A list would be taken for the members in their order.
    line.starts_with(b"{")
        .then(|| serde_json::from_slice(line).ok())?
}

/// When a line was written, in milliseconds since 1970: `time`, or `timestamp` of the
/// application's log. Quick where it stands first, as in everything that we write.
pub fn time_of(line: &[u8]) -> Option<i64> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Times {
        time: Option<String>,
        timestamp: Option<String>,
    }
    let first = [&b"{\"time\":\""[..], b"{\"timestamp\":\""];
    let first = first.iter().find_map(|begin| line.strip_prefix(*begin));
    let quick = first.and_then(|rest| {
        let text = &rest[..rest.iter().take(40).position(|b| *b == b'"')?];
        millis(std::str::from_utf8(text).ok()?)
    });
    quick.or_else(|| {
        let times: Times = read(line)?;
        millis(&times.time.or(times.timestamp)?)
    })
}

/// Looks for a text in lines without reading them, as it stands in JSON.
pub struct Mentions(Finder<'static>);

impl Mentions {
    /// Of this text.
    pub fn of(text: &str) -> Self {
        // A text always serialises.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        Self(Finder::new(quoted.as_bytes()).into_owned())
    }

    /// Whether the line has it as a whole value or name.
    pub fn is_in(&self, line: &[u8]) -> bool {
        self.0.find(line).is_some()
    }
}

/// RFC 3339 as milliseconds since 1970.
pub fn millis(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// The refusal of this code, if it is one of this version.
pub fn refusal(code: &str) -> Option<Refusal> {
    let all = Refusal::ALL.iter().copied();
    all.into_iter().find(|one| one.answer().code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Origin, Record, RequestId, Source};
    use serde_json::Value;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut record = Record {
            time: Some(UNIX_EPOCH + Duration::from_millis(1_795_694_400_500)),
            request_id: RequestId::from("a").unwrap(),
            client_request_id: Some("mine".into()),
            peer: Some("127.0.0.1".into()),
            client_address: Some("192.0.2.1".into()),
            method: "GET".into(),
            status: 502,
            duration_ms: 1.25,
            user: Some(1),
            run: Some("r".into()),
            fallback: Some("timeout"),
            ..Record::default()
        };
        record.refuse(Refusal::LegacyTimeout);
        let line = serde_json::to_vec(&record).unwrap();
        let read: Access = read(&line).unwrap();
        assert_eq!(read.time, "2026-11-26T12:00:00.5Z");
        assert_eq!(
            (read.source.as_deref(), read.origin.as_deref()),
            (
                Some(Source::Sidecar.as_str()),
                Some(Origin::Legacy.as_str())
            )
        );
        // Nothing of the record is lost, and nothing is added but what was left out as false.
        let mut again = serde_json::to_value(&read).unwrap();
        again.as_object_mut().unwrap().remove("forged_user");
        assert_eq!(again, serde_json::from_slice::<Value>(&line).unwrap());
        assert_eq!(time_of(&line), Some(1_795_694_400_500));
    }

    #[test]
    fn times_are_found_wherever_they_stand() {
        let rows: [(&str, Option<i64>); 9] = [
            (r#"{"time":"1970-01-01T00:00:01Z","x":1}"#, Some(1000)),
            (
                r#"{"timestamp":"1970-01-01T00:00:00.002999Z","level":"INFO"}"#,
                Some(2),
            ),
            (
                r#"{"new": [1], "time": "1970-01-01T01:00:01+01:00"}"#,
                Some(1000),
            ),
            (r#"{"time":"1970-01-01T00:00"#, None),
            (r#"{"time":"yesterday"}"#, None),
            (r#"{"time":7}"#, None),
            (r#"["1970-01-01T00:00:01Z"]"#, None),
            ("", None),
            ("Listening on 5050", None),
        ];
        for (line, expected) in rows {
            assert_eq!(time_of(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn more_members_and_fewer_are_read_and_other_shapes_are_not() {
        let access = |line: &str| read::<Access>(line.as_bytes());
        let line = r#"{"time":"x","status":200,"of_tomorrow":{"a":[1]}}"#;
        assert_eq!(access(line).unwrap().status, 200);
        assert!(
            !serde_json::to_string(&access(line))
                .unwrap()
                .contains("tomorrow")
        );
        assert_eq!(access("{}"), Some(Access::default()));
        for broken in [
            "",
            "null",
            "[]",
            "[\"x\"]",
            "{\"status\":\"ok\"}",
            "{\"status\":200",
        ] {
            assert_eq!(access(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_text_is_looked_for_as_json_has_it() {
        let line = br#"{"a":"x\"y","b":"z1"}"#;
        for (text, expected) in [("x\"y", true), ("z1", true), ("z", false), ("", false)] {
            assert_eq!(Mentions::of(text).is_in(line), expected, "{text}");
        }
    }

    #[test]
    fn refusals_are_known_by_their_codes() {
        assert_eq!(
            refusal("client_not_allowed"),
            Some(Refusal::ClientNotAllowed)
        );
        assert_eq!(refusal("of_tomorrow"), None);
    }
}
