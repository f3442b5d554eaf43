//! What is told of the gateway: to anybody that it works, to callers how, and to
//! operators where.

use super::{Gateway, vitals::Checkup};
use camarad_policies::breaker::State;
use camarad_policies::health::Status;
use camarad_policies::operation::Operation;
use camarad_policies::record::Source;
use camarad_policies::route::Switch;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// To whom it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Anybody.
    Anonymous,
    /// Somebody with a verified token.
    Caller,
    /// Whoever reaches the admin listener.
    Operator,
}

impl Gateway {
    /// What is known at this moment, for whoever shows it in another way.
    pub(crate) fn checkup(&self, enabled: bool) -> Checkup {
        self.vitals.checkup(enabled)
    }

    /// About how often Coolbits is probed.
    pub(crate) fn probe_interval(&self) -> Duration {
        self.probe_interval
    }

    /// Whether it is asked and known to answer in part, or not at all.
    pub(crate) fn falters(&self, enabled: bool) -> bool {
        let checkup = self.vitals.checkup(enabled);
        let is_known = checkup.last_success.is_some() || checkup.last_failure.is_some();
        enabled && is_known && checkup.status != Status::Connected
    }

    /// The status, and what this audience is told.
    pub(crate) fn health(&self, switch: &Switch, audience: Audience) -> (Status, Value) {
        let checkup = self.vitals.checkup(switch.enabled);
        let status = checkup.status;
        let mut told = json!({
            "status": status.as_str(),
            "enabled": switch.enabled,
            "checked_at": stamp(SystemTime::now()),
        });
        if audience == Audience::Anonymous {
            return (status, told);
        }
        told["workspace"] = json!(self.workspace);
        told["breaker"] = json!({
            "state": checkup.breaker.as_str(),
            "since": stamp(checkup.since),
            "failures": checkup.failures,
        });
        told["last_success"] = json!(checkup.last_success.map(stamp));
        told["last_failure"] = json!(checkup.last_failure.as_ref().map(|failure| {
            json!({"at": stamp(failure.at), "code": failure.code, "path": failure.path.as_deref()})
        }));
        told["latency_ms"] = json!({
            "p50": rounded(checkup.latency.p50_ms),
            "p95": rounded(checkup.latency.p95_ms),
            "samples": checkup.latency.samples,
        });
        told["fallback_ratio_5m"] = json!(rounded(checkup.fallback_ratio));
        told["service_account"] = json!(switch.service_account);
        told["routes"] = routes(switch, &checkup);
        if audience == Audience::Operator {
            told["url"] = json!(self.url);
            told["generation"] = json!(switch.generation);
        }
        (status, told)
    }
}

/// Every operation, how it is set, and who answers it now.
fn routes(switch: &Switch, checkup: &Checkup) -> Value {
    let route = |operation: &Operation| {
        let mode = match (switch.enabled, switch.mock_only.contains(operation)) {
            (false, _) => "disabled",
            (true, true) => "mock_only",
            (true, false) => "coolbits",
        };
        let source = match (mode, checkup.breaker) {
            ("coolbits", State::Closed | State::HalfOpen) => Source::Coolbits,
            _ => Source::Mock,
        };
        json!({"name": operation.name(), "mode": mode, "source_now": source.as_str()})
    };
    Operation::ALL.iter().map(route).collect()
}

/// RFC 3339, whole milliseconds.
pub(crate) fn stamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let at = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Three places.
fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}
