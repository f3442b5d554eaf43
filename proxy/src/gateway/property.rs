//! Choosing the GA4 property that Coolbits reads where none is named (contract, 4.2).
//!
//! Unlike the reads this has an effect and no made-up answer: what failed is told.

use super::failure::{Failure, Miss};
use super::ga4;
use super::{Gateway, finish};
use crate::gateway::Outcome;
use crate::gateway::mapping::Answer;
use camarad_policies::operation::Operation;
use camarad_policies::record::Source;
use camarad_policies::route::{Answerer, CoolbitsCredential, MockReason};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Longest id of a property, in bytes.
const LONGEST: usize = 200;

/// What came of choosing.
pub(crate) struct Chosen {
    pub(crate) outcome: Outcome,
    /// The property that was chosen, for the app to store.
    pub(crate) property: Option<String>,
}

impl Gateway {
    /// Chooses a property at Coolbits with the caller's own token.
    pub(crate) async fn choose_property(
        &self,
        answerer: &Answerer,
        caller: u64,
        property: Option<&str>,
    ) -> Chosen {
        let property = property.map(str::trim).filter(|id| {
            !id.is_empty() && id.len() <= LONGEST && !id.chars().any(char::is_control)
        });
        let Some(property) = property else {
            return refused(400, "invalid_property");
        };
        let token = match answerer {
            Answerer::Coolbits(CoolbitsCredential::Caller(token)) => token,
            Answerer::Mock(MockReason::Disabled | MockReason::MockOnly) => {
                return refused(400, "gateway_disabled");
            }
            // Nobody chooses for the service account: what it reads stands in the operator's table.
            Answerer::Mock(_) | Answerer::Coolbits(CoolbitsCredential::Service) => {
                return refused(400, Failure::Unauthorized.code());
            }
        };
        let Some(endpoint) = self.endpoints.of(Operation::Ga4Property) else {
            return refused(400, "gateway_disabled");
        };
        let Ok(admitted) = self.vitals.admit(caller) else {
            return refused(502, Failure::BreakerOpen.code());
        };
        let reading = self
            .client
            .reading(token.expose(), caller, Instant::now() + self.deadline);
        let mut outcome = Err(Miss::from(Failure::Http4xx));
        for path in endpoint.paths(false) {
            outcome = reading.post(&path, &json!({"propertyId": property})).await;
            // Only a path that is not there leaves anything to be tried.
            if !matches!(&outcome, Err(miss) if miss.status == Some(404)) {
                break;
            }
        }
        admitted.end(&outcome);
        self.observer
            .coolbits_read(outcome.as_ref().err().map(|miss| miss.failure));
        let miss = match outcome {
            Ok(reply) => {
                let gateway =
                    json!({"enabled": true, "path": &*reply.path, "status": reply.status});
                let mut answer = said(&reply.payload, json!({"ok": true}));
                ga4::say_selected(&mut answer, Some(property));
                return Chosen {
                    outcome: finish(200, answer, Source::Coolbits, gateway, None),
                    property: Some(property.to_owned()),
                };
            }
            Err(miss) => miss,
        };
        // Its own error goes on as it is; where there is none, no answer came in time, or a broken one.
        match (miss.status, miss.answer) {
            (Some(status @ 400..=599), Some(answer)) => Chosen {
                outcome: finish(
                    status,
                    said(&answer, json!({"ok": false, "error": miss.failure.code()})),
                    Source::Coolbits,
                    json!({"enabled": true, "status": status}),
                    Some(miss.failure),
                ),
                property: None,
            },
            _ => refused(502, miss.failure.code()),
        }
    }
}

/// What Coolbits' object says of it, or ours where it sent something else.
fn said(payload: &Value, otherwise: Value) -> Answer {
    match (ga4::plain(payload), otherwise) {
        (none, Value::Object(ours)) if none.is_empty() => ours,
        (said, _) => said,
    }
}

fn refused(status: u16, error: &str) -> Chosen {
    let answer = json!({"ok": false, "error": error});
    let outcome = Outcome {
        status,
        body: crate::json::to_body(&answer),
        source: Source::Sidecar,
        failure: None,
        waited: Duration::ZERO,
    };
    Chosen {
        outcome,
        property: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_an_object_is_not_told_as_a_success() {
        let failed = json!({"ok": false, "error": "http_4xx"});
        let own = json!({"error": "invalid_property"});
        for (payload, told) in [
            (own.clone(), &own),
            (json!(["wrong"]), &failed),
            (json!(null), &failed),
            (json!({"property": {"id": "G-OTHER"}}), &failed),
        ] {
            let answer = Value::Object(said(&payload, failed.clone()));
            assert_eq!(&answer, told, "{payload}");
        }
    }
}
