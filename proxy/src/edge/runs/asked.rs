//! Which flow is asked for, read once, and looked at by the guardrails.

use super::super::Sidecar;
use super::super::body::Whole;
use super::super::context::Context;
use super::super::decide::Decision;
use super::super::guard;
use super::super::own::Question;
use super::Tenant;
use crate::edge::exchange::Exchange;
use camarad_policies::authorise::Permit;
use camarad_policies::body::object;
use camarad_policies::guardrails::{Finding, Situation, Verdict};
use camarad_policies::hex::hex;
use camarad_policies::ids::ObjectId;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Switch;
use camarad_policies::run::asked::{Named, named};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A request about runs, as far as all of them are alike.
pub(super) struct Asking {
    pub(super) permit: Arc<Permit>,
    pub(super) tenant: Tenant,
    /// The gateway's switch as it stood.
    pub(super) switch: Arc<Switch>,
    /// What was looked up about the object that it names.
    pub(super) named: guard::Looked,
    pub(super) body: Whole,
}

/// A flow that is to run.
pub(super) struct Flow {
    /// As it was asked for; null where none was.
    pub(super) flow: Value,
    /// The stored flow that it is, if it is one.
    pub(super) id: Option<u64>,
    /// What it is called; may be empty.
    pub(super) name: String,
    /// The rest of the body.
    pub(super) fields: Map<String, Value>,
}

/// A flow that was looked at.
pub(super) struct Looked {
    /// With the client's own accounts where its nodes name none.
    pub(super) bound: Value,
    pub(super) verdict: Verdict,
}

impl Sidecar {
    /// Whose request it is, and its body.
    pub(super) async fn asking(
        &self,
        exchange: &mut Exchange,
        context: &Context,
        decision: Decision,
    ) -> Result<Asking, Refusal> {
        let body = match decision.body {
            Some(body) => body,
            None => self.read_body(exchange, context).await?,
        };
        Ok(Asking {
            tenant: Tenant::of(&decision.permit)?,
            permit: decision.permit,
            switch: decision.switch,
            named: decision.looked,
            body,
        })
    }

    /// Reads which flow a request asks for; a stored one is fetched.
    pub(super) async fn flow_asked(
        &self,
        context: &Context,
        asking: &Asking,
    ) -> Result<Flow, Refusal> {
        let Asking { permit, body, .. } = asking;
        let stored = asking.named.object;
        let fields = object(&body.bytes).ok_or(Refusal::BodyMalformed)?;
        let name = fields.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default().trim().to_owned();
        let id = stored.map(ObjectId::get);
        Ok(match (named(&fields), stored) {
            (Named::Inline(flow), _) => Flow {
                flow,
                id,
                name,
                fields,
            },
            (Named::Nothing, Some(object)) => {
                let (flow, called) = self.stored_flow(context, permit, object).await?;
                let name = if name.is_empty() { called } else { name };
                Flow {
                    flow,
                    id,
                    name,
                    fields,
                }
            }
            (Named::Nothing, None) => Flow {
                flow: Value::Null,
                id: None,
                name,
                fields,
            },
        })
    }

    /// A stored flow and its name. That the permit reaches it was decided already.
    async fn stored_flow(
        &self,
        context: &Context,
        permit: &Permit,
        id: ObjectId,
    ) -> Result<(Value, String), Refusal> {
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let target = format!("/api/flows/{id}");
        let question = Question::get(&target, None);
        let read = |status, body: &[u8]| match status {
            200 => {
                let row: Value = serde_json::from_slice(body).ok()?;
                let name = row["name"].as_str().unwrap_or_default().to_owned();
                Some(Some((row.get("flow")?.clone(), name)))
            }
            404 => Some(None),
            _ => None,
        };
        let found = self.look_up(question, identity, context, "flow_unavailable", read);
        let found = found.await.ok_or(Refusal::GuardUnavailable)?;
        found.ok_or(Refusal::ObjectNotFound)
    }

    /// Looks at a flow for a tenant.
    pub(super) async fn look_at(
        &self,
        context: &Context,
        asking: &Asking,
        flow: &Value,
    ) -> Result<Looked, Refusal> {
        let (permit, tenant) = (&asking.permit, asking.tenant);
        let guardrails = &self.config.orchestrator.guardrails;
        let bytes = flow.to_string().len();
        if !guardrails.fits(flow, bytes) {
            let size = Situation {
                bytes,
                ..Situation::default()
            };
            let verdict = guardrails.check(flow, &size);
            if !verdict.violations.is_empty() {
                // Nobody is asked about what is too large to be looked at.
                return Ok(Looked {
                    bound: Value::Null,
                    verdict,
                });
            }
        }
        let bound = self.bound_flow(context, permit, tenant, flow).await?;
        let situation = self.situation(context, asking, bytes, &bound).await?;
        let verdict = guardrails.check(&bound, &situation);
        Ok(Looked { bound, verdict })
    }
}

impl Flow {
    /// The body that is forwarded: the flow itself, whatever named it.
    pub(super) fn forwarded(&self, bound: Value) -> Value {
        let mut fields = self.fields.clone();
        fields.remove("flow_json");
        fields.insert("flow".to_owned(), bound);
        match self.id {
            Some(id) => drop(fields.insert("flow_id".to_owned(), id.into())),
            None => drop(fields.remove("flow_id")),
        }
        if !self.name.is_empty() {
            fields.insert("name".to_owned(), self.name.clone().into());
        }
        Value::Object(fields)
    }

    /// SHA-256 of what is asked, in hex.
    pub(super) fn hash(&self, path: &str) -> String {
        let asked = json!({"path": path, "fields": self.fields});
        hex(&Sha256::digest(asked.to_string().as_bytes()))
    }
}

/// Warnings or violations as they are told and kept.
pub(super) fn warnings(findings: &[Finding]) -> Value {
    findings.iter().map(Finding::to_warning_json).collect()
}

/// The same of what blocks.
pub(super) fn violations(findings: &[Finding]) -> Value {
    findings.iter().map(Finding::to_violation_json).collect()
}
