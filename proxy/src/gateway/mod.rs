//! The gateway: connector answers from Coolbits, or from the mock with an honest tag.
//!
//! [`Gateway::answer`] always gives an answer that the app's pages can show;
//! every way in which Coolbits can fail ends in the mock, `source: "mock"` and a
//! code in `gateway.error` (GA4's `not_connected` is told as such: contract, 4.2).
//! Whether the caller may have it was decided before: it takes a [`Permit`].

mod client;
mod coolbits;
mod failure;
mod ga4;
mod google_ads;
mod handled;
mod health;
mod mapping;
mod mock;
mod params;
mod probe;
mod property;
mod rows;
mod search_console;
mod service_account;
mod stripe;
mod switch;
mod tag_manager;
mod vitals;

pub(crate) use client::Reply;
pub(crate) use failure::{Failure, Miss};
pub(crate) use ga4::Stored;
pub(crate) use health::{Audience, stamp};
pub(crate) use property::Chosen;
pub(crate) use switch::SwitchBoard;

use crate::budget::Budget;
use crate::json;
use crate::locks::Locks;
use crate::observe::Observer;
use bytes::Bytes;
use camarad_config::Gateway as Config;
use camarad_policies::authorise::Permit;
use camarad_policies::endpoints::{Endpoint, Endpoints};
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::record::Source;
use camarad_policies::route::Answerer;
use client::Client;
use mapping::Answer;
use params::Params;
use serde_json::{Value, json};
use service_account::ServiceAccount;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vitals::Vitals;

/// Answers connector routes.
pub(crate) struct Gateway {
    client: Client,
    vitals: Arc<Vitals>,
    url: String,
    workspace: String,
    probe_path: Arc<str>,
    probe_interval: Duration,
    endpoints: Arc<Endpoints>,
    /// Selecting a customer at Coolbits and reading its report are one step, and
    /// Coolbits keeps one selection per user.
    ///
    /// Shared with the gateway before and after, which select for the same users.
    selections: Arc<Locks<Holder>>,
    service: ServiceAccount,
    deadline: Duration,
    name_lookups: usize,
    observer: Arc<Observer>,
}

/// Whose selection is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    /// The selection of this app user.
    User(u64),
    /// The selection of the shared service account.
    Service,
}

/// An answer, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) source: Source,
    /// Why Coolbits gave no figures although it was to be asked.
    pub(crate) failure: Option<Failure>,
    /// How long Coolbits took, or was waited for.
    pub(crate) waited: Duration,
}

/// What is known besides of whoever asks.
#[derive(Clone)]
pub(crate) struct Hints {
    /// What the app has stored about the connector, where the operation may need it.
    pub(crate) stored: Option<Stored>,
    /// Whether an account that the caller did not name may be read.
    pub(crate) may_read: MayRead,
    /// The same of one that is selected at Coolbits, which is the user's selection and may
    /// be made for any client.
    pub(crate) may_select: MayRead,
}

impl Default for Hints {
    /// For operations that read what is named, and nothing that is chosen elsewhere.
    fn default() -> Self {
        static NONE: LazyLock<MayRead> = LazyLock::new(|| Arc::new(|_| false));
        Self {
            stored: None,
            may_read: NONE.clone(),
            may_select: NONE.clone(),
        }
    }
}

/// Whether an account may be read.
pub(crate) type MayRead = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// One operation for one caller.
struct Call<'a> {
    operation: Operation,
    endpoint: &'a Endpoint,
    params: Params,
    /// When it was asked, RFC 3339.
    stamp: String,
    permit: &'a Permit,
    hints: &'a Hints,
}

impl Gateway {
    /// `before` is the one whose users this one's are.
    pub(crate) fn new(
        config: &Config,
        observer: Arc<Observer>,
        budget: Arc<Budget>,
        before: Option<&Self>,
    ) -> Result<Self, reqwest::Error> {
        let selections = before.map(|before| before.selections.clone());
        let vitals = Arc::new(Vitals::new(config, observer.clone()));
        Ok(Self {
            client: Client::new(config, observer.clone(), budget, vitals.clone())?,
            vitals,
            url: config.url.clone(),
            workspace: config.workspace.clone(),
            probe_path: config.probe_path.as_str().into(),
            probe_interval: config.probe_interval,
            endpoints: config.endpoints.clone(),
            selections: selections.unwrap_or_default(),
            service: ServiceAccount::new(config.email.clone(), config.accounts.clone()),
            deadline: config.deadline,
            name_lookups: config.name_lookups,
            observer,
        })
    }

    /// Answers an operation. Never fails: what Coolbits does not give, the mock does.
    pub(crate) async fn answer(
        &self,
        operation: Operation,
        answerer: &Answerer,
        permit: &Permit,
        hints: &Hints,
    ) -> Outcome {
        let Some(endpoint) = self.endpoints.of(operation) else {
            // No table is without one.
            return finish(200, Answer::new(), Source::Mock, json!({}), None);
        };
        let now = OffsetDateTime::now_utc();
        let mut call = Call {
            operation,
            endpoint,
            params: Params::read(operation, permit.query(), now.date()),
            // Formatting a valid time into a String cannot fail.
            stamp: now.format(&Rfc3339).unwrap_or_default(),
            permit,
            hints,
        };
        let credential = match answerer {
            Answerer::Mock(reason) => return call.mock(mock::because(*reason)),
            Answerer::Coolbits(credential) => credential,
        };
        let started = Instant::now();
        let caller = permit.user().map_or(0, |user| user.get());
        let outcome = match self.vitals.admit(caller) {
            Ok(admitted) => {
                let outcome = self.coolbits(&mut call, credential).await;
                admitted.end(&outcome);
                self.observer
                    .coolbits_read(outcome.as_ref().err().map(|miss| miss.failure));
                outcome
            }
            Err(miss) => Err(miss),
        };
        self.vitals.answered(outcome.as_ref().map(|_| ()));
        let waited = started.elapsed();
        let outcome = match outcome {
            Ok((answer, reply)) => {
                let gateway =
                    json!({"enabled": true, "path": &*reply.path, "status": reply.status});
                finish(200, answer, Source::Coolbits, gateway, None)
            }
            Err(miss) => {
                let said_so = miss.failure == Failure::NotConnected && miss.status.is_some();
                match said_so && operation.connector() == Connector::Ga4 {
                    true => call.not_connected(&miss),
                    false => call.mock((told(&miss), Some(miss.failure))),
                }
            }
        };
        Outcome { waited, ..outcome }
    }
}

impl Call<'_> {
    /// What Coolbits said, in the shape of the endpoint.
    fn not_connected(&self, miss: &Miss) -> Outcome {
        let (status, mut answer) = ga4::not_connected(self.operation, &self.params);
        answer.insert("error".into(), json!(miss.failure.code()));
        let failure = Some(miss.failure);
        finish(status, answer, Source::Coolbits, told(miss), failure)
    }
}

/// `gateway` of an answer that Coolbits did not give.
pub(crate) fn told(miss: &Miss) -> Value {
    let mut gateway = json!({"enabled": true, "error": miss.failure.code()});
    if let Some(path) = &miss.path {
        gateway["path"] = json!(&**path);
    }
    if let Some(status) = miss.status {
        gateway["status"] = json!(status);
    }
    gateway
}

fn finish(
    status: u16,
    mut answer: Answer,
    source: Source,
    gateway: Value,
    failure: Option<Failure>,
) -> Outcome {
    answer.insert("source".into(), json!(source.as_str()));
    answer.insert("gateway".into(), gateway);
    Outcome {
        status,
        body: json::to_body(&Value::Object(answer)),
        source,
        failure,
        waited: Duration::ZERO,
    }
}
