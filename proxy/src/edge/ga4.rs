//! What GA4 needs of the app besides: the connector's stored settings, read for
//! requests that name no property, and written when one is chosen.

use super::Sidecar;
use super::accounts::Seen;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use super::own::Question;
use crate::gateway::{Chosen, Hints, MayRead, Stored};
use camarad_policies::authorise::{Permit, Reach};
use camarad_policies::guard::{self, Owner};
use camarad_policies::identity::Identity;
use camarad_policies::operation::Operation;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Answerer;
use http::header;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// The stored settings of the connector.
const SETTINGS: &str = "/api/connectors/ga4";

/// The names by which a body can name the property that is chosen.
const NAMES: [&str; 2] = ["propertyId", "property_id"];

impl Sidecar {
    /// What the gateway has to know besides the permit for an operation of GA4.
    pub(super) async fn hints(
        &self,
        context: &Context,
        permit: &Permit,
        operation: Operation,
        seen: Option<&Seen>,
    ) -> Hints {
        let is_open = operation == Operation::Ga4Status
            || permit.query().get("property_id").is_none_or(str::is_empty);
        let asks = operation != Operation::Ga4Properties && is_open;
        let stored = match permit.identity().filter(|_| asks) {
            Some(identity) => self.stored(context, permit, identity).await,
            None => None,
        };
        let is_limited = permit.reach().is_some_and(Reach::is_limited);
        let of = |linked: bool| -> MayRead {
            let (seen, permit) = (seen.cloned(), permit.clone());
            Arc::new(move |id: &str| match &seen {
                Some(seen) if linked => seen.is_linked(id, &permit),
                Some(seen) => seen.allows(id, &permit),
                None => true,
            })
        };
        Hints {
            stored,
            may_read: of(false),
            may_select: of(is_limited),
        }
    }

    /// What the app has stored about GA4 for this client, at most `tenancy.directory_ttl` old.
    async fn stored(
        &self,
        context: &Context,
        permit: &Permit,
        identity: &Identity,
    ) -> Option<Stored> {
        let client = permit.client();
        let ask = || async {
            let read = |status, body: &[u8]| (status == 200).then(|| stored(body)).flatten();
            let question = Question::get(SETTINGS, client);
            self.look_up(question, identity, context, "guard_unavailable", read)
                .await
                .ok_or(())
        };
        let key = (identity.user(), client);
        let (owner, stored) = self.tenants.ga4.get(key, ask).await.ok()?;
        // Settings of no client are the user's own, and may name any client's property.
        let is_limited = permit.reach().is_some_and(Reach::is_limited);
        let is_clients = matches!(owner, Owner::Client(owner) if Some(owner) == client);
        let is_users = !matches!(owner, Owner::Client(_)) && !is_limited;
        (is_clients || is_users).then_some(Stored {
            is_clients,
            ..stored
        })
    }

    /// Chooses the property at Coolbits, and has the app store it as it does itself.
    pub(super) async fn choose_property(
        &self,
        context: &mut Context,
        decision: &Decision,
        answerer: &Answerer,
    ) -> Result<Answer, Refusal> {
        let Decision { permit, body, .. } = decision;
        let body = body.as_ref();
        let fields: Value = body
            .and_then(|body| serde_json::from_slice(&body.bytes).ok())
            .unwrap_or_default();
        let named = NAMES.iter().find_map(|name| match &fields[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        self.change(permit);
        let caller = permit.user().map_or(0, |user| user.get());
        let started = Instant::now();
        let Chosen { outcome, property } = self
            .gateway
            .choose_property(answerer, caller, named.as_deref())
            .await;
        context.waits(started.elapsed());
        if let (Some(property), Some(identity)) = (property, permit.identity()) {
            let settings = json!({
                "status": "connected",
                "config": {"property_id": property, "provider": "coolbits"},
            });
            let question = Question {
                method: "POST",
                target: SETTINGS,
                client: permit.client(),
                body: crate::json::to_body(&settings),
            };
            let read = |status, _: &[u8]| (status < 300).then_some(());
            let stored = self.look_up(question, identity, context, "not_stored", read);
            if stored.await.is_none() {
                // Coolbits reads it all the same; runs inside the app go by what it has stored.
                tracing::warn!(
                    request_id = &*context.record.request_id,
                    "the property was chosen at Coolbits, and the app did not store it"
                );
            }
        }
        self.change(permit);
        context.record.fallback = None;
        let answer = Answer::json(outcome.status, outcome.body, outcome.source);
        Ok(answer.with(header::CACHE_CONTROL, "no-store"))
    }
}

/// Whose settings the app answered with, and what they say.
fn stored(body: &[u8]) -> Option<(Owner, Stored)> {
    let owner = guard::owner_in(body)?;
    let settings: Value = serde_json::from_slice(body).ok()?;
    let config = &settings["config"];
    let property = NAMES.iter().rev().find_map(|name| match &config[name] {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let status = settings["status"].as_str().unwrap_or_default().to_owned();
    let stored = Stored {
        status,
        property,
        is_clients: false,
    };
    Some((owner, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_settings_are_read_with_their_owner() {
        let body = br#"{"status": "connected", "config": {"property_id": " G-1 ", "propertyId": "G-2"}, "client_id": 10}"#;
        let (owner, stored) = stored(body).unwrap();
        assert!(matches!(owner, Owner::Client(client) if client.get() == 10));
        assert_eq!(
            (stored.status.as_str(), stored.property.as_deref()),
            ("connected", Some("G-1"))
        );
        let body = br#"{"status": null, "config": [], "client_id": null}"#;
        let (owner, stored) = super::stored(body).unwrap();
        assert!(matches!(owner, Owner::User));
        assert_eq!((stored.status.as_str(), stored.property), ("", None));
        assert!(super::stored(b"[]").is_none());
    }
}
