//! The gateway: connector answers from Coolbits, or from the mock with an honest tag.
//!
//! [`Gateway::answer`] always gives an answer that the app's pages can show;
//! every way in which Coolbits can fail ends in the mock, `source: "mock"` and a
//! code in `gateway.error`. Whether the caller may have it was decided before:
//! it takes a [`Permit`].

mod client;
mod failure;
mod google_ads;
mod service_account;
mod switch;

pub(crate) use failure::Failure;
pub(crate) use switch::SwitchBoard;

use crate::budget::Budget;
use crate::json;
use crate::locks::Locks;
use crate::observe::Observer;
use bytes::Bytes;
use camarad_config::Gateway as Config;
use camarad_policies::authorise::Permit;
use camarad_policies::record::Source;
use camarad_policies::route::{CoolbitsCredential, MockReason, Operation};
use client::{Client, Reading, Reply};
use failure::Miss;
use futures_util::StreamExt;
use google_ads::{Answer, MapError, Params};
use serde_json::{Value, json};
use service_account::ServiceAccount;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, timeout_at};

/// Names looked up for one answer at most; the rest keep their placeholder.
const MOST_NAMES: usize = 50;

/// Answers connector routes.
pub(crate) struct Gateway {
    client: Client,
    /// Selecting a customer at Coolbits and reading its report are one step, and
    /// Coolbits keeps one selection per user.
    selections: Locks<Holder>,
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
    pub(crate) body: Bytes,
    pub(crate) source: Source,
    /// Why Coolbits did not answer although it was to be asked.
    pub(crate) failure: Option<Failure>,
}

/// Who answers, as planned.
#[derive(Clone, Debug)]
pub(crate) enum Answerer {
    Coolbits(CoolbitsCredential),
    Mock(MockReason),
}

impl Gateway {
    pub(crate) fn new(
        config: &Config,
        observer: Arc<Observer>,
        budget: Arc<Budget>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: Client::new(config, observer.clone(), budget)?,
            selections: Locks::default(),
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
    ) -> Outcome {
        let now = OffsetDateTime::now_utc();
        // Formatting a valid time into a String cannot fail.
        let stamp = now.format(&Rfc3339).unwrap_or_default();
        let params = Params::read(operation, permit.query(), now.date());
        let credential = match answerer {
            Answerer::Mock(reason) => return mock(operation, &params, &stamp, described(*reason)),
            Answerer::Coolbits(credential) => credential,
        };
        match self
            .coolbits(operation, &params, &stamp, credential, permit)
            .await
        {
            Ok((mut answer, reply)) => {
                self.observer.coolbits_read(None);
                let gateway = json!({"enabled": true, "path": reply.path, "status": reply.status});
                finish(&mut answer, Source::Coolbits, gateway, None)
            }
            Err(miss) => {
                self.observer.coolbits_read(Some(miss.failure));
                let mut gateway = json!({"enabled": true, "error": miss.failure.code()});
                if let Some(path) = miss.path {
                    gateway["path"] = json!(path);
                }
                if let Some(status) = miss.status {
                    gateway["status"] = json!(status);
                }
                let because = Because {
                    gateway,
                    failure: Some(miss.failure),
                };
                mock(operation, &params, &stamp, because)
            }
        }
    }

    async fn coolbits(
        &self,
        operation: Operation,
        params: &Params,
        stamp: &str,
        credential: &CoolbitsCredential,
        permit: &Permit,
    ) -> Result<(Answer, Reply), Miss> {
        let deadline = Instant::now() + self.deadline;
        match credential {
            CoolbitsCredential::Caller(token) => {
                let user = permit.user().map_or(0, |user| user.get());
                let reading = self.client.reading(token.expose(), deadline);
                self.read(operation, params, stamp, &reading, Holder::User(user))
                    .await
            }
            CoolbitsCredential::Service => {
                self.read_as_service(operation, params, stamp, permit, deadline)
                    .await
            }
        }
    }

    /// Reads with the service account, within the operator's table; a refused
    /// token is renewed once (contract, section 4).
    async fn read_as_service(
        &self,
        operation: Operation,
        params: &Params,
        stamp: &str,
        permit: &Permit,
        deadline: Instant,
    ) -> Result<(Answer, Reply), Miss> {
        let may_read = |id: &str| {
            let digits: String = id.chars().filter(char::is_ascii_digit).collect();
            self.service.may_read(permit.client(), &digits)
        };
        let names = [Some(&params.account), params.manager.as_ref()];
        let names = match operation {
            Operation::GoogleAdsAccounts => &names[1..],
            _ => &names[..],
        };
        if !names.iter().flatten().all(|name| may_read(name)) {
            return Err(Failure::NotConnected.into());
        }
        let mut refused = None;
        loop {
            let token = self
                .service
                .token(&self.client, refused.as_deref(), deadline)
                .await?;
            let reading = self.client.reading(&token, deadline);
            match self
                .read(operation, params, stamp, &reading, Holder::Service)
                .await
            {
                Err(miss) if miss.failure == Failure::Unauthorized && refused.is_none() => {
                    refused = Some(token);
                }
                Ok((answer, reply)) if operation == Operation::GoogleAdsAccounts => {
                    let own = google_ads::keep(&answer, may_read);
                    return own
                        .map(|answer| (answer, reply))
                        .ok_or(Failure::Empty.into());
                }
                outcome => return outcome,
            }
        }
    }

    /// Selects and reads as one step, then maps; looks names up where they are missing.
    async fn read(
        &self,
        operation: Operation,
        params: &Params,
        stamp: &str,
        reading: &Reading<'_>,
        holder: Holder,
    ) -> Result<(Answer, Reply), Miss> {
        let candidates = google_ads::candidates(operation, params);
        let query = params.query(operation);
        let reply = match operation {
            Operation::GoogleAdsAccounts => reading.first(candidates, &query).await?,
            _ => {
                let _lock = self
                    .selections
                    .alone(holder, reading.deadline())
                    .await
                    .ok_or(Failure::Timeout)?;
                select(reading, params).await?;
                reading.first(candidates, &query).await?
            }
        };
        let answer = google_ads::map(operation, &reply.payload, params, stamp);
        let answer = answer.map_err(|error| {
            let failure = match error {
                MapError::Empty => Failure::Empty,
                MapError::BadPayload(words) => {
                    tracing::warn!(
                        operation = operation.name(),
                        path = reply.path,
                        "payload does not fit: {words}"
                    );
                    Failure::BadPayload
                }
            };
            Miss {
                failure,
                path: Some(reply.path),
                status: Some(reply.status),
            }
        })?;
        let answer = match operation {
            Operation::GoogleAdsAccounts => self.with_names(answer, params, reading).await,
            _ => answer,
        };
        Ok((answer, reply))
    }

    /// Replaces names that only repeat an id; one that cannot be had stays as it is.
    async fn with_names(&self, answer: Answer, params: &Params, reading: &Reading<'_>) -> Answer {
        let missing: Vec<String> = google_ads::placeholders(&answer);
        let lookups = missing.into_iter().take(MOST_NAMES).map(|id| async move {
            let query = params.name_query(&id);
            let reply = reading.get(google_ads::REPORT, &query).await.ok()?;
            Some((id, reply.payload))
        });
        let mut running = futures_util::stream::iter(lookups).buffer_unordered(self.name_lookups);
        let mut reports = Vec::new();
        while let Ok(Some(found)) = timeout_at(reading.deadline(), running.next()).await {
            reports.extend(found);
        }
        google_ads::rename(&answer, &reports)
    }
}

/// Selects the customer that is read next.
///
/// The app ignores the outcome. Here a selection that failed ends the read, as
/// Coolbits would answer for whoever was selected before; only a Coolbits that
/// has no such endpoint (404, 405) is read by the query alone.
async fn select(reading: &Reading<'_>, params: &Params) -> Result<(), Miss> {
    let selection = params.selection().ok_or(Failure::Empty)?;
    let mut body = json!({"customerId": selection.customer});
    if let Some(manager) = selection.manager {
        body["loginCustomerId"] = json!(manager);
    }
    match reading.post(google_ads::SELECT, &body).await {
        Ok(_) => Ok(()),
        Err(miss) if matches!(miss.status, Some(404 | 405)) => Ok(()),
        // Its answer is not read: any 2xx has selected.
        Err(miss) if matches!(miss.status, Some(200..=299)) => Ok(()),
        Err(miss) => Err(miss),
    }
}

/// Why the mock answers, for the caller and for the record.
struct Because {
    gateway: Value,
    failure: Option<Failure>,
}

fn described(reason: MockReason) -> Because {
    match reason {
        MockReason::Disabled => Because {
            gateway: json!({"enabled": false, "reason": "disabled"}),
            failure: None,
        },
        MockReason::MockOnly => Because {
            gateway: json!({"enabled": true, "reason": "mock_only"}),
            failure: None,
        },
        MockReason::NoAccount => Because {
            gateway: json!({"enabled": true, "error": Failure::NotConnected.code()}),
            failure: Some(Failure::NotConnected),
        },
        MockReason::NoCredential => Because {
            gateway: json!({"enabled": true, "error": Failure::Unauthorized.code()}),
            failure: Some(Failure::Unauthorized),
        },
    }
}

fn mock(operation: Operation, params: &Params, stamp: &str, because: Because) -> Outcome {
    let payload = camarad_mocks::google_ads::payload(
        operation,
        &params.account,
        &params.campaign,
        params.window.to,
        params.window.days,
    );
    let answer = google_ads::map(operation, &payload, params, stamp);
    let mut answer = answer.unwrap_or_else(|_| google_ads::nothing(operation, params, stamp));
    finish(&mut answer, Source::Mock, because.gateway, because.failure)
}

fn finish(
    answer: &mut Answer,
    source: Source,
    gateway: Value,
    failure: Option<Failure>,
) -> Outcome {
    answer.insert("source".into(), json!(source.as_str()));
    answer.insert("gateway".into(), gateway);
    Outcome {
        body: json::to_body(&Value::Object(std::mem::take(answer))),
        source,
        failure,
    }
}
