//! What the cache keeps: an answer of the gateway or of the app, before it is looked
//! through for whoever asks.

use super::legacy::Fetched;
use crate::budget::Together;
use crate::cache::Weighed;
use crate::gateway::{Failure, Outcome};
use crate::json;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use camarad_policies::egress::{Mine, Passed};
use camarad_policies::etag;
use camarad_policies::matrix::Rule;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use camarad_policies::storable::{Said, is_storable};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// An answer, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An answer; shared, for every hit has it in its hands.
    Whole(Arc<Whole>),
    /// The app gave none; never kept.
    Failed(Refusal),
}

/// An answer that can be given again.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(super) status: u16,
    /// What its body is, as header lines.
    pub(super) kind: Bytes,
    /// The other header lines that go on besides what every answer carries.
    pub(super) lines: Bytes,
    /// One of them sets a cookie: it is for one caller, even where it is an error.
    pub(super) sets_cookie: bool,
    pub(super) body: Bytes,
    pub(super) source: Source,
    /// Of the body as it stands here.
    pub(super) etag: String,
    /// Why Coolbits gave no figures although it was to be asked.
    pub(super) failure: Option<Failure>,
    /// How long the upstream took.
    pub(super) waited: Duration,
    /// It may be kept, by its status and by its own word: here and by the caller.
    pub(super) is_storable: bool,
    /// How its body was looked through the last time.
    pub(super) look: LastLook,
    /// Its body, where callers are sent it.
    pub(super) sent: Together,
}

/// The last look through a body that passed, and the rule it was made by.
#[derive(Debug, Default)]
pub(crate) struct LastLook(ArcSwapOption<(Arc<Rule>, Passed)>);

impl LastLook {
    /// Whether it says that the body passes by this rule for them, too.
    pub(super) fn holds_for(&self, rule: &Arc<Rule>, mine: &Mine<'_>) -> bool {
        let last = self.0.load();
        last.as_deref()
            .is_some_and(|(by, passed)| Arc::ptr_eq(by, rule) && passed.holds_for(mine))
    }

    pub(super) fn note(&self, rule: &Arc<Rule>, passed: Passed) {
        self.0.store(Some(Arc::new((rule.clone(), passed))));
    }
}

impl Weighed for Content {
    fn weight(&self) -> usize {
        match self {
            Self::Whole(whole) => {
                whole.body.len() + whole.kind.len() + whole.lines.len() + whole.etag.len()
            }
            Self::Failed(_) => 0,
        }
    }
}

impl Whole {
    /// Of the gateway.
    pub(super) fn of_gateway(outcome: Outcome) -> Self {
        Self {
            status: outcome.status,
            kind: Bytes::from_static(b"Content-Type: application/json\r\n"),
            lines: Bytes::new(),
            sets_cookie: false,
            etag: etag::of(&outcome.body),
            body: outcome.body,
            source: outcome.source,
            failure: outcome.failure,
            waited: outcome.waited,
            is_storable: outcome.status == 200,
            look: LastLook::default(),
            sent: Together::default(),
        }
    }

    /// Of the app.
    pub(super) fn of_app(fetched: Fetched, source: Source, waited: Duration) -> Self {
        let said = |name| fetched.lines.said(name);
        let is_storable = is_storable(&Said {
            status: fetched.status,
            sets_cookie: fetched.lines.sets_cookie,
            cache_control: &said("cache-control"),
            content_type: &said("content-type"),
            vary: &said("vary"),
        });
        Self {
            status: fetched.status,
            kind: Bytes::copy_from_slice(fetched.lines.kind()),
            lines: Bytes::copy_from_slice(fetched.lines.others()),
            sets_cookie: fetched.lines.sets_cookie,
            etag: etag::of(&fetched.body),
            body: fetched.body,
            source,
            failure: None,
            waited,
            is_storable,
            look: LastLook::default(),
            sent: Together::default(),
        }
    }

    /// The same in place of an answer that failed: real figures a little old, and said to be.
    pub(super) fn standing_in(&self, failed: Option<Failure>) -> Self {
        let mut body = self.body.clone();
        if let Ok(mut value) = serde_json::from_slice::<Value>(&self.body)
            && let Some(gateway) = value.get_mut("gateway").and_then(Value::as_object_mut)
        {
            gateway.insert("stale".into(), json!(true));
            if let Some(failure) = failed {
                gateway.insert("error".into(), json!(failure.code()));
            }
            body = json::to_body(&value);
        }
        Self {
            status: self.status,
            kind: self.kind.clone(),
            lines: self.lines.clone(),
            sets_cookie: self.sets_cookie,
            etag: etag::of(&body),
            body,
            source: self.source,
            failure: self.failure,
            waited: self.waited,
            is_storable: self.is_storable,
            look: LastLook::default(),
            sent: Together::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_says_that_it_is_old() {
        let body = json!({"campaigns": [], "source": "coolbits", "gateway": {"enabled": true, "status": 200}});
        let real = Whole::of_gateway(Outcome {
            status: 200,
            body: json::to_body(&body),
            source: Source::Coolbits,
            failure: None,
            waited: Duration::ZERO,
        });
        let old = real.standing_in(Some(Failure::Timeout));
        let told: Value = serde_json::from_slice(&old.body).unwrap();
        let gateway = json!({"enabled": true, "status": 200, "stale": true, "error": "timeout"});
        assert_eq!(
            (&told["gateway"], &told["source"]),
            (&gateway, &json!("coolbits"))
        );
        assert_ne!(old.etag, real.etag);
    }
}
