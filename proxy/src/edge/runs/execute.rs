//! Running a flow: looked at, written down, forwarded, completed.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::super::context::Context;
use super::super::decide::Decision;
use super::super::legacy::Fetched;
use super::super::upstream_request::{Sender, UpstreamHead, of_caller};
use super::asked::{Flow, violations, warnings};
use super::leased::{Told, told_answer};
use super::once::{digest, past_answer};
use super::own_json;
use crate::behind::Lease;
use crate::budget::By;
use crate::edge::exchange::Exchange;
use crate::edge::request_head::RequestHead;
use crate::ledger::{Begun, Completion, NewRun, now_ms};
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use camarad_policies::guardrails::Verdict;
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::run::{Source as RunSource, Status, WITHHELD, annotate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A run that is about to be made.
pub(super) struct Ready {
    pub(super) run_id: String,
    pub(super) replay_of: Option<String>,
    pub(super) warnings: Value,
}

/// A run that the app has answered.
pub(super) struct Ran {
    pub(super) status: u16,
    /// The header lines of the app's answer.
    pub(super) lines: Vec<u8>,
    pub(super) body: Bytes,
    /// The app's answer as it came, where it is JSON.
    pub(super) answer: Option<Value>,
}

impl Ran {
    /// The answer for the caller, with the app's own head.
    pub(super) fn answered(self) -> Answer {
        Answer {
            status: self.status,
            headers: Vec::new(),
            lines: self.lines,
            body: self.body,
            source: Source::Legacy,
            held: None,
        }
    }
}

impl Sidecar {
    /// Looks at a flow, and has the app run it.
    pub(super) async fn execute(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let asking = self.asking(exchange, context, decision).await?;
        let (permit, tenant, named) = (&asking.permit, asking.tenant, &asking.named);
        let asked = self.flow_asked(context, &asking).await?;
        let hash = asked.hash(permit.path().as_str());
        let once = digest(exchange, &asking, "execute")?;
        if let Some(answer) = self.once(once, &hash).await? {
            return self.passed(context, permit, named, answer).await;
        }
        let seen = self.look_at(context, &asking, &asked.flow).await?;
        let run = NewRun {
            run_id: uuid::Uuid::now_v7().to_string(),
            user: tenant.user,
            client: tenant.client,
            flow_id: asked.id,
            flow_name: asked.name.clone(),
            flow: asked.flow.clone(),
            request_hash: hash,
            findings: Value::Null,
            replay_of: None,
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
        let head = head(exchange.head(), permit, context, &body);
        let head = head.ok_or(Refusal::Internal);
        self.change(permit);
        let ran = self
            .run(context, permit, ready, leased.lease, head, body)
            .await;
        self.change(permit);
        let answer = ran?.answered();
        self.passed(context, permit, named, answer).await
    }

    /// Looks at a flow, and says what would be said of it.
    pub(super) async fn validate(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let asking = self.asking(exchange, context, decision).await?;
        let asked = self.flow_asked(context, &asking).await?;
        let seen = self.look_at(context, &asking, &asked.flow).await?;
        Ok(own_json(200, &told(&asked, &seen.verdict)))
    }

    /// Refuses a flow, with everything that is wrong with it, and writes that down.
    pub(super) async fn blocked(
        &self,
        context: &mut Context,
        mut run: NewRun,
        verdict: &Verdict,
    ) -> Result<Answer, Refusal> {
        let refusal = Refusal::FlowBlocked;
        let words = refusal.answer();
        let violations = violations(&verdict.violations);
        let body = json!({
            "error": verdict.sentence().unwrap_or_else(|| words.words.to_owned()),
            "code": words.code,
            "violations": violations,
            "warnings": warnings(&verdict.warnings),
            "run_id": run.run_id,
            "request_id": context.record.request_id,
        });
        context.record.run = Some(run.run_id.clone());
        run.findings = violations;
        if !self
            .config
            .orchestrator
            .guardrails
            .fits(&run.flow, run.flow.to_string().len())
        {
            // What is too large to run is too large to be kept.
            run.flow = Value::Null;
        }
        let told = String::from_utf8_lossy(&crate::json::to_body(&body)).into_owned();
        let begun = self
            .runs
            .ledger
            .begin(run, Some((words.status, told)))
            .await;
        match begun {
            Ok(Begun::Past(past)) => {
                if let Some(answer) = past_answer(past)? {
                    return Ok(answer);
                }
            }
            Ok(Begun::Written) => {}
            // It is not made, so there is nothing that could be lost.
            Err(error) => drop(self.broken_ledger(&error)),
        }
        self.count_run(Status::Blocked);
        context.record.refuse(refusal);
        Ok(own_json(words.status, &body))
    }

    /// Writes a run down before it is made; or gives the answer that it had already.
    pub(super) async fn write_down(
        &self,
        context: &mut Context,
        mut run: NewRun,
        verdict: &Verdict,
    ) -> Result<Result<Ready, Answer>, Refusal> {
        run.findings = warnings(&verdict.warnings);
        let ready = Ready {
            run_id: run.run_id.clone(),
            replay_of: run.replay_of.clone(),
            warnings: run.findings.clone(),
        };
        let is_once = run.once.is_some();
        match self.runs.ledger.begin(run, None).await {
            Ok(Begun::Written) => {}
            Ok(Begun::Past(past)) => {
                if let Some(answer) = past_answer(past)? {
                    return Ok(Err(answer));
                }
            }
            Err(error) => {
                let refusal = self.broken_ledger(&error);
                if self.config.ledger.required || is_once {
                    return Err(refusal);
                }
            }
        }
        context.record.run = Some(ready.run_id.clone());
        Ok(Ok(ready))
    }

    /// Has the app run a flow that is written down, and writes down what it answered. A
    /// caller that leaves ends nothing.
    pub(super) async fn run(
        &self,
        context: &mut Context,
        permit: &Permit,
        ready: Ready,
        lease: Option<Lease>,
        head: Result<UpstreamHead, Refusal>,
        body: Bytes,
    ) -> Result<Ran, Refusal> {
        let time = self.run_time(permit);
        let (legacy, ledger) = (self.legacy.clone(), self.runs.ledger.clone());
        let guardrails = self.config.orchestrator.guardrails.clone();
        let started = Instant::now();
        let work = async move {
            let fetched = match head {
                Ok(head) => legacy.fetch(head, body, time, By::Us).await,
                Err(refusal) => Err(refusal),
            };
            let (ran, done) = completed(fetched, &ready, lease.as_ref());
            if done.sources.iter().any(|one| one.source == WITHHELD) {
                // What the app keeps of it stays untold, also when this row is forgotten.
                let handles = lease.iter().flat_map(Lease::all);
                let handles = handles.map(|(id, _)| id.clone()).collect();
                if let Err(error) = ledger.forget_handles(handles).await {
                    tracing::error!("runs.db: handles of a withheld run stay: {error}");
                }
            }
            // From here on its handles are nobody's.
            drop(lease);
            let status = done.status;
            let delivered = ran.as_ref().ok().and_then(|ran| ran.answer.as_ref());
            let delivered = delivered.map(annotate::figures_delivered).map(|mut seen| {
                // Any other slug is the caller's to choose.
                seen.retain(|slug, _| guardrails.connector_name(slug).is_some());
                seen
            });
            let mut written = ledger.complete(ready.run_id, done).await;
            if let (Ok(()), Some(delivered)) = (&written, delivered) {
                written = ledger.learn(delivered).await;
            }
            (ran, status, written)
        };
        let joined = self.runs.tasks.spawn(work).await;
        let Ok((ran, status, written)) = joined else {
            // It broke, and the run stays as it was written: interrupted after a restart.
            self.observer.metrics.panics_total.inc();
            return Err(Refusal::Internal);
        };
        if let Err(error) = written {
            // The run was made: its answer goes on, and what is missing is told.
            let _ = self.broken_ledger(&error);
        }
        self.count_run(status);
        let code = match &ran {
            Ok(ran) if ran.status >= 500 => "http_5xx",
            Ok(_) => "ok",
            Err(refusal) => refusal.answer().code,
        };
        self.observer.upstream("legacy", code, started.elapsed());
        context.waits(started.elapsed());
        let ran = ran?;
        if ran.status >= 500 {
            context.record.origin = Some(Origin::Legacy);
        }
        Ok(ran)
    }

    /// How long the app may take for a run.
    fn run_time(&self, permit: &Permit) -> Duration {
        let own = permit.rule().answer_seconds.map(Duration::from_secs);
        let time = self.config.legacy.read_timeout;
        own.map_or(time, |own| own.max(time))
    }

    pub(super) fn count_run(&self, status: Status) {
        let runs = &self.observer.metrics.runs_total;
        runs.with_label_values(&[status.as_str()]).inc();
    }

    /// An answer about a run, looked through like any other of the app's.
    pub(super) async fn passed(
        &self,
        context: &mut Context,
        permit: &Permit,
        looked: &super::super::guard::Looked,
        mut answer: Answer,
    ) -> Result<Answer, Refusal> {
        if (200..300).contains(&answer.status) {
            answer.body = self
                .egress(context, permit, looked, answer.body, None)
                .await?;
        }
        Ok(answer)
    }

    /// The metrics that connectors were seen to deliver, beyond the table's.
    pub(super) fn delivered(
        &self,
    ) -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
        self.runs.ledger.delivered()
    }
}

/// What a look at a flow is told as.
pub(super) fn told(asked: &Flow, verdict: &Verdict) -> Value {
    let (read, _) = camarad_policies::flow::Flow::read(&asked.flow);
    let order = read.order();
    let steps = order.iter().map(|at| {
        let node = &read.nodes[*at];
        json!({"node_id": node.id, "node_label": node.label, "type": node.kind.name()})
    });
    json!({
        "ok": verdict.violations.is_empty(),
        "error": verdict.sentence(),
        "violations": violations(&verdict.violations),
        "warnings": warnings(&verdict.warnings),
        "nodes_total": read.nodes.len(),
        "connections_total": read.connections.len(),
        "steps": steps.collect::<Value>(),
    })
}

/// In the ledger, what marks a run whose figures are somebody else's.
fn withheld() -> Vec<RunSource> {
    vec![RunSource {
        node_id: String::new(),
        connector: String::new(),
        source: WITHHELD.to_owned(),
        account: None,
        gateway: None,
    }]
}

/// The head of a request that runs a flow, from the caller's own.
fn head(
    own: &RequestHead,
    permit: &Permit,
    context: &Context,
    body: &Bytes,
) -> Option<UpstreamHead> {
    let (sender, json) = (Sender::of(context), Some("application/json"));
    of_caller(own, permit, sender, body.len(), json, &["idempotency-key"])
}

/// What a run is answered, and what is written down of it.
fn completed(
    fetched: Result<Fetched, Refusal>,
    ready: &Ready,
    lease: Option<&Lease>,
) -> (Result<Ran, Refusal>, Completion) {
    let rows: &[Value] = ready.warnings.as_array().map_or(&[], Vec::as_slice);
    let mut done = Completion {
        status: Status::Error,
        execution_id: None,
        trace_execution_id: None,
        sources: Vec::new(),
        answer: None,
        answered: None,
        finished_ms: now_ms(),
    };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(refusal) => return (Err(refusal), done),
    };
    let answer: Option<Value> = serde_json::from_slice(&fetched.body).ok();
    let answer = match (answer, lease) {
        (Some(answer), Some(lease)) => {
            let Told { answer, is_foreign } = told_answer(answer, lease);
            if is_foreign {
                tracing::error!(
                    run = ready.run_id,
                    "the app told figures as real that it did not ask for here: is behind.listen its COOLBITS_URL?"
                );
                (done.execution_id, done.sources) = (answer["execution_id"].as_u64(), withheld());
                return (Err(Refusal::TenantLeakBlocked), done);
            }
            Some(answer)
        }
        (answer, _) => answer,
    };
    done.status = annotate::status(fetched.status, answer.as_ref(), !rows.is_empty());
    done.answer = Some(match (&answer, lease) {
        (Some(answer), Some(_)) => answer.to_string(),
        _ => String::from_utf8_lossy(&fetched.body).into_owned(),
    });
    let mut body = fetched.body;
    let lines = fetched.lines.into_bytes();
    if let Some(answer) = &answer {
        done.execution_id = answer["execution_id"].as_u64();
        done.trace_execution_id = match &answer["trace_execution_id"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        done.sources = annotate::sources(answer);
        let told = annotate::execute(
            answer.clone(),
            &ready.run_id,
            ready.replay_of.as_deref(),
            rows,
        );
        body = crate::json::to_body(&told);
        let text = String::from_utf8_lossy(&body).into_owned();
        done.answered = Some((fetched.status, text));
    }
    let ran = Ran {
        status: fetched.status,
        lines,
        body,
        answer,
    };
    (Ok(ran), done)
}
