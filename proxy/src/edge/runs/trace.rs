//! The trace of one run, to be kept or looked at elsewhere.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::super::context::Context;
use super::super::guard::Looked;
use super::super::look_through::in_mode;
use super::super::own::Question;
use super::{Tenant, own_json};
use camarad_policies::authorise::Permit;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use camarad_policies::run::trace::{Trace, trace, trace_of_history};
use http::header::{self, HeaderName, HeaderValue};
use serde_json::Value;

const SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

impl Sidecar {
    /// Tells a run as JSON or CSV: from the ledger, else from the app's history.
    pub(super) async fn trace(
        &self,
        context: &mut Context,
        permit: &Permit,
        looked: &Looked,
    ) -> Result<Answer, Refusal> {
        let tenant = Tenant::of(permit)?;
        let is_csv = match permit.query().get("format").unwrap_or("json") {
            "json" => false,
            "csv" => true,
            _ => return Err(Refusal::FormatUnknown),
        };
        let execution = looked.object.ok_or(Refusal::ObjectNotFound)?;
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let target = format!("/api/orchestrator/history/{execution}");
        let question = Question::get(&target, Some(tenant.client));
        let read = |status, body: &[u8]| match status {
            200 => Some(Some(body.to_vec())),
            404 => Some(None),
            _ => None,
        };
        let detail = self.look_up(question, identity, context, "guard_unavailable", read);
        let detail = detail.await.ok_or(Refusal::GuardUnavailable)?;
        let detail = detail.ok_or(Refusal::ObjectNotFound)?;
        // The app finds a run by its user alone.
        let admitted = self.admit_by_answer(context, permit, &detail).await;
        in_mode(context, permit, admitted)?;
        let recorded = self
            .runs
            .ledger
            .find(tenant.user, tenant.client, execution.get())
            .await;
        let recorded = recorded.map_err(|error| self.broken_ledger(&error))?;
        let detail: Value =
            serde_json::from_slice(&detail).map_err(|_| Refusal::LegacyBadAnswer)?;
        let told = match &recorded {
            Some(run) => trace(run),
            None => {
                let detail = self.with_accounts(tenant.user, detail).await;
                trace_of_history(&detail, tenant.client.get())
            }
        };
        Ok(given(&told, is_csv))
    }
}

fn given(told: &Trace, is_csv: bool) -> Answer {
    let extension = if is_csv { "csv" } else { "json" };
    let name = format!("attachment; filename=\"{}\"", told.file_name(extension));
    let mut answer = own_json(200, &told.to_json());
    if is_csv {
        let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        answer
            .headers
            .retain(|(name, _)| *name != header::CONTENT_TYPE);
        answer.headers.push((header::CONTENT_TYPE, csv));
        answer.body = told.to_csv().into();
    }
    Answer {
        source: Source::Sidecar,
        ..answer
    }
    .with(header::CONTENT_DISPOSITION, &name)
    .with(SNIFF, "nosniff")
}
