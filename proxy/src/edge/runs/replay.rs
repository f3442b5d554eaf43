//! Running a recorded flow again, under what the caller may do now.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::super::context::Context;
use super::super::decide::Decision;
use super::super::own::Question;
use super::asked::Flow;
use super::execute::told;
use super::once::digest;
use super::{Tenant, own_json};
use crate::edge::exchange::Exchange;
use crate::ledger::{Completion, NewRun, now_ms};
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use camarad_policies::body::object;
use camarad_policies::refusal::Refusal;
use camarad_policies::request_ids;
use camarad_policies::run::diff::diff;
use camarad_policies::run::trace::steps;
use camarad_policies::run::{Run, Status};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where runs are made.
const EXECUTE: &str = "/api/orchestrator/execute";

/// What the app said about credits.
enum Credits {
    Booked,
    Refused(String),
}

impl Sidecar {
    /// Runs the flow of a recorded run again, or says what would run.
    pub(super) async fn replay(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let asking = self.asking(exchange, context, decision).await?;
        let (permit, tenant, named) = (&asking.permit, asking.tenant, &asking.named);
        let fields = object(&asking.body.bytes).ok_or(Refusal::BodyMalformed)?;
        let dry_run = match fields.get("dry_run") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(dry_run)) => *dry_run,
            Some(_) => return Err(Refusal::BodyMalformed),
        };
        let execution = named.object.ok_or(Refusal::ObjectNotFound)?;
        let found = self
            .runs
            .ledger
            .find(tenant.user, tenant.client, execution.get())
            .await;
        let found = found.map_err(|error| self.broken_ledger(&error))?;
        let before = found.ok_or(Refusal::FlowNotRecorded)?;
        let asked = Flow {
            flow: before.flow.clone(),
            // The stored flow may be another one by now, or gone.
            id: None,
            name: before.flow_name.clone(),
            fields: Map::new(),
        };
        let hash = replay_hash(&before, &fields);
        let once = match dry_run {
            true => None,
            false => digest(exchange, &asking, "replay")?,
        };
        if let Some(answer) = self.once(once, &hash).await? {
            return self.passed(context, permit, named, answer).await;
        }
        let seen = self.look_at(context, &asking, &asked.flow).await?;
        if dry_run {
            let mut answer = told(&asked, &seen.verdict);
            answer["dry_run"] = json!(true);
            answer["replay_of"] = json!(before.run_id);
            answer["flow"] = asked.flow;
            answer["credits"] = json!(self.config.orchestrator.replay_credits);
            return Ok(own_json(200, &answer));
        }
        let run = NewRun {
            run_id: uuid::Uuid::now_v7().to_string(),
            user: tenant.user,
            client: tenant.client,
            flow_id: before.flow_id,
            flow_name: before.flow_name.clone(),
            flow: before.flow.clone(),
            request_hash: hash,
            findings: Value::Null,
            replay_of: Some(before.run_id.clone()),
            started_ms: now_ms(),
            handles: BTreeMap::new(),
            once,
        };
        if !seen.verdict.violations.is_empty() {
            let answer = self.blocked(context, run, &seen.verdict).await?;
            return self.passed(context, permit, named, answer).await;
        }
        let leased = self.leased(&asking, &asking.switch, seen.bound)?;
        let run = NewRun {
            handles: leased.told(),
            ..run
        };
        let ready = match self.write_down(context, run, &seen.verdict).await? {
            Ok(ready) => ready,
            Err(answer) => return self.passed(context, permit, named, answer).await,
        };
        let body = Bytes::from(asked.forwarded(leased.flow).to_string());
        let head = match self.head_of_run(context, permit, tenant, &body) {
            Ok(head) => head,
            Err(refusal) => {
                self.end_unrun(&ready.run_id, Status::Error, None).await;
                return Err(refusal);
            }
        };
        match self
            .book(context, permit, tenant, &before, &ready.run_id)
            .await
        {
            Ok(Credits::Booked) => {}
            Ok(Credits::Refused(words)) => {
                let refusal = Refusal::CreditsRefused;
                let answer = refusal.answer();
                let body = json!({
                    "error": format!("Execution blocked: {words}"),
                    "code": answer.code,
                    "run_id": ready.run_id,
                    "replay_of": before.run_id,
                    "request_id": context.record.request_id,
                });
                let status = Status::Blocked;
                self.end_unrun(&ready.run_id, status, Some((answer.status, &body)))
                    .await;
                context.record.refuse(refusal);
                return Ok(own_json(answer.status, &body));
            }
            Err(refusal) => {
                self.end_unrun(&ready.run_id, Status::Error, None).await;
                return Err(refusal);
            }
        }
        self.change(permit);
        let ran = self
            .run(context, permit, ready, leased.lease, Ok(head), body)
            .await;
        self.change(permit);
        let mut ran = ran?;
        if let (Some(after), Ok(Value::Object(mut answer))) =
            (&ran.answer, serde_json::from_slice::<Value>(&ran.body))
        {
            let earlier = before.answer.as_ref().map(steps).unwrap_or_default();
            answer.insert("diff".into(), diff(&earlier, &steps(after)).to_json());
            ran.body = crate::json::to_body(&Value::Object(answer));
        }
        let answer = ran.answered();
        self.passed(context, permit, named, answer).await
    }

    /// Books the credits of a run as the page does, with the run's id as `request_id`.
    async fn book(
        &self,
        context: &Context,
        permit: &Permit,
        tenant: Tenant,
        before: &Run,
        run_id: &str,
    ) -> Result<Credits, Refusal> {
        let amount = self.config.orchestrator.replay_credits;
        if amount == 0 {
            return Ok(Credits::Booked);
        }
        let identity = permit.identity().ok_or(Refusal::ClientRequired)?;
        let name = match before.flow_name.as_str() {
            "" => "a flow",
            name => name,
        };
        let body = json!({
            "amount": amount,
            "event_type": "run_flow",
            "description": format!("Replay of {name}"),
            "request_id": request_ids::upstream(tenant.user, Some(tenant.client), run_id),
        });
        let question = Question {
            method: "POST",
            target: "/api/user/spend",
            client: Some(tenant.client),
            body: crate::json::to_body(&body),
        };
        let read = |status: u16, body: &[u8]| {
            let answer: Value = serde_json::from_slice(body).ok()?;
            let said = || {
                ["message", "error"]
                    .iter()
                    .find_map(|name| answer[*name].as_str())
            };
            match (status, answer["success"].as_bool()) {
                (200..300, Some(true)) => Some(Credits::Booked),
                (500.., _) => None,
                _ => Some(Credits::Refused(said().unwrap_or("no credits").to_owned())),
            }
        };
        let booked = self.look_up(question, identity, context, "credits_unavailable", read);
        booked.await.ok_or(Refusal::LegacyBadAnswer)
    }

    /// Writes down the end of a run that the app was not asked to make.
    async fn end_unrun(&self, run_id: &str, status: Status, answered: Option<(u16, &Value)>) {
        let text = |body: &Value| String::from_utf8_lossy(&crate::json::to_body(body)).into_owned();
        let done = Completion {
            status,
            execution_id: None,
            trace_execution_id: None,
            sources: Vec::new(),
            answer: None,
            answered: answered.map(|(status, body)| (status, text(body))),
            finished_ms: now_ms(),
        };
        self.count_run(status);
        let is_refused = status == Status::Blocked;
        let mut ended = self.runs.ledger.complete(run_id.to_owned(), done).await;
        if let (Ok(()), true) = (&ended, is_refused) {
            // With credits it may be asked for again, by the same key.
            ended = self.runs.ledger.release(run_id.to_owned()).await;
        }
        if let Err(error) = ended {
            let _ = self.broken_ledger(&error);
        }
    }

    /// The head of the request that runs the flow, decided on like any other.
    fn head_of_run(
        &self,
        context: &Context,
        permit: &Permit,
        tenant: Tenant,
        body: &Bytes,
    ) -> Result<super::super::upstream_request::UpstreamHead, Refusal> {
        let question = Question {
            method: "POST",
            target: EXECUTE,
            client: Some(tenant.client),
            body: body.clone(),
        };
        let head = self.own_head(&question, permit.identity().cloned(), context);
        head.ok_or(Refusal::Internal)
    }
}

/// What is asked: which run, and with which words.
fn replay_hash(before: &Run, fields: &Map<String, Value>) -> String {
    let asked = Flow {
        flow: Value::Null,
        id: None,
        name: String::new(),
        fields: fields.clone(),
    };
    asked.hash(&format!("replay of {}", before.run_id))
}
