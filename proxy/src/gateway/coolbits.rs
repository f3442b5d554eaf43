//! Reading from Coolbits: with whose token, of which account, and what comes of it.

use super::client::{Reading, Reply};
use super::failure::{Failure, Miss};
use super::ga4;
use super::google_ads;
use super::mapping::{self, Answer, MapError};
use super::params::{Params, Selection};
use super::{Call, Gateway, Holder};
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::route::CoolbitsCredential;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

/// Names looked up for one answer at most; the rest keep their placeholder.
const MOST_NAMES: usize = 50;

impl Gateway {
    pub(super) async fn coolbits(
        &self,
        call: &mut Call<'_>,
        credential: &CoolbitsCredential,
    ) -> Result<(Answer, Reply), Miss> {
        let deadline = Instant::now() + self.deadline;
        match credential {
            CoolbitsCredential::Caller(token) => {
                let user = call.permit.user().map_or(0, |user| user.get());
                let reading = self.client.reading(token.expose(), user, deadline);
                self.choose(call, &reading).await?;
                self.read(call, &reading, Holder::User(user)).await
            }
            CoolbitsCredential::Service => self.read_as_service(call, deadline).await,
        }
    }

    /// Reads with the service account, within the operator's table; a refused
    /// token is renewed once (contract, section 4).
    async fn read_as_service(
        &self,
        call: &mut Call<'_>,
        deadline: Instant,
    ) -> Result<(Answer, Reply), Miss> {
        let client = call.permit.client();
        let may_read = |id: &str| self.service.may_read(client, id);
        let list = mapping::listed(call.operation);
        if call.operation.connector() == Connector::Ga4 && !call.params.account_named {
            // What the service account has selected is whatever it read last.
            call.take_stored_property();
        }
        let names = [
            list.is_none().then_some(&call.params.account),
            call.params.manager.as_ref(),
        ];
        // These are about the service account itself, whatever a query names.
        let is_its_own = matches!(
            call.operation,
            Operation::Ga4Status | Operation::StripeOverview
        );
        if is_its_own || !names.iter().flatten().all(|name| may_read(name)) {
            return Err(Failure::NotConnected.into());
        }
        let mut refused = None;
        loop {
            let token = self
                .service
                .token(&self.client, refused.as_deref(), deadline)
                .await?;
            let user = call.permit.user().map_or(0, |user| user.get());
            let reading = self.client.reading(&token, user, deadline);
            match self.read(call, &reading, Holder::Service).await {
                Err(miss) if miss.failure == Failure::Unauthorized && refused.is_none() => {
                    refused = Some(token);
                }
                Ok((answer, reply)) => {
                    let Some(list) = list else {
                        return Ok((answer, reply));
                    };
                    let own = mapping::keep(answer, list, may_read);
                    return own
                        .map(|answer| (answer, reply))
                        .ok_or(Failure::Empty.into());
                }
                Err(miss) => return Err(miss),
            }
        }
    }

    /// Chooses the GA4 property that is read where the caller named none: the one
    /// selected at Coolbits, else the one that the app has stored, else the default.
    async fn choose(&self, call: &mut Call<'_>, reading: &Reading<'_>) -> Result<(), Miss> {
        let reads_one = !matches!(
            call.operation,
            Operation::Ga4Properties | Operation::Ga4Status
        );
        let is_open = call.operation.connector() == Connector::Ga4 && !call.params.account_named;
        if !is_open || !reads_one {
            return Ok(());
        }
        if let Some(own) = call.clients_own() {
            call.params.account = own.to_owned();
            return Ok(());
        }
        let Some(status) = self.endpoints.of(Operation::Ga4Status) else {
            return Ok(());
        };
        let selected = match reading.first(&status.paths(false), &[]).await {
            Ok(reply) => ga4::selected(&reply.payload),
            // It answers, and knows of none that could be read.
            Err(miss)
                if matches!(
                    miss.failure,
                    Failure::Http4xx
                        | Failure::Http5xx
                        | Failure::BadPayload
                        | Failure::PropertyNotSet
                        | Failure::InvalidProperty
                ) =>
            {
                None
            }
            Err(miss) => {
                // What goes on without figures names the property all the same.
                call.take_stored_property();
                return Err(miss);
            }
        };
        match selected.filter(|property| (call.hints.may_select)(property)) {
            Some(property) => call.params.account = property,
            None => call.take_stored_property(),
        }
        Ok(())
    }

    /// Selects and reads as one step, then maps; looks names up where they are missing.
    async fn read(
        &self,
        call: &Call<'_>,
        reading: &Reading<'_>,
        holder: Holder,
    ) -> Result<(Answer, Reply), Miss> {
        let params = &call.params;
        let candidates = call.endpoint.paths(params.manager.is_some());
        let query = params.query(call.endpoint);
        let selects = call.operation.connector() == Connector::GoogleAds
            && call.operation != Operation::GoogleAdsAccounts;
        let reply = match selects {
            false => reading.first(&candidates, &query).await?,
            true => {
                let _lock = self
                    .selections
                    .alone(holder, reading.deadline())
                    .await
                    .ok_or(Failure::Timeout)?;
                let selection = params.selection().ok_or(Failure::Empty)?;
                select(reading, selection).await?;
                reading.first(&candidates, &query).await?
            }
        };
        let payload = &reply.payload;
        let answer = mapping::map(call.operation, call.endpoint, payload, params, &call.stamp);
        let answer = answer.map_err(|error| {
            let failure = match error {
                MapError::Empty => Failure::Empty,
                MapError::BadPayload(words) => {
                    tracing::warn!(
                        operation = call.operation.name(),
                        path = &*reply.path,
                        "payload does not fit: {words}"
                    );
                    Failure::BadPayload
                }
            };
            Miss {
                path: Some(reply.path.clone()),
                status: Some(reply.status),
                is_of_mapping: true,
                ..failure.into()
            }
        })?;
        let answer = match call.operation {
            Operation::Ga4Status => call.own_status(answer),
            Operation::GoogleAdsAccounts => self.with_names(answer, params, reading).await,
            _ => answer,
        };
        Ok((answer, reply))
    }

    /// Replaces names that only repeat an id; one that cannot be had stays as it is.
    async fn with_names(&self, answer: Answer, params: &Params, reading: &Reading<'_>) -> Answer {
        let missing: Vec<String> = google_ads::placeholders(&answer);
        let report = google_ads::REPORT.into();
        let lookups = missing.into_iter().take(MOST_NAMES).map(|id| {
            let report = &report;
            async move {
                let query = params.name_query(&id);
                let reply = reading.get(report, &query).await.ok()?;
                Some((id, reply.payload))
            }
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
pub(super) async fn select(reading: &Reading<'_>, selection: Selection) -> Result<(), Miss> {
    let mut body = json!({"customerId": selection.customer});
    if let Some(manager) = selection.manager {
        body["loginCustomerId"] = json!(manager);
    }
    match reading.post(&google_ads::SELECT.into(), &body).await {
        Ok(_) => Ok(()),
        Err(miss) if matches!(miss.status, Some(404 | 405)) => Ok(()),
        // Its answer is not read: any 2xx has selected.
        Err(miss) if matches!(miss.status, Some(200..=299)) => Ok(()),
        Err(miss) => Err(miss),
    }
}
