//! Runs of the orchestrator: looked at before, written down, told and repeated.
//!
//! The rules are `policies::{flow, guardrails, run, idempotency, templates}`; the file is
//! `crate::ledger`; this asks the app what they need to know, and keeps the order:
//! look, write down, forward, complete. A flow that was looked at is the flow that goes
//! on: whatever named it, the app is sent it whole.

mod asked;
mod brief;
mod execute;
mod history;
mod leased;
mod once;
mod replay;
mod situation;
mod templates;
mod trace;

use super::Sidecar;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use crate::edge::exchange::Exchange;
use crate::kept::Kept;
use crate::ledger::{Ledger, LedgerError};
use camarad_policies::authorise::Permit;
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::matrix::{Act, ClientScope};
use camarad_policies::refusal::Refusal;
use http::header;
use serde_json::Value;
use situation::{Known, Links};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// What runs need; one for the process.
pub(crate) struct Runs {
    pub(crate) ledger: Ledger,
    /// Runs under way, which the shutdown waits for.
    tasks: TaskTracker,
    /// A client's own connectors, as the app lists them.
    connectors: Kept<(UserId, ClientId), Arc<Links>>,
    /// The connectors that the app knows, by user.
    catalogue: Kept<UserId, Known>,
    /// The agents that the app knows: the same for everybody.
    agents: Kept<(), Known>,
}

impl Runs {
    pub(crate) fn new(ledger: Ledger, tasks: TaskTracker, ttl: Duration) -> Self {
        Self {
            ledger,
            tasks,
            connectors: Kept::new(ttl),
            catalogue: Kept::new(ttl),
            agents: Kept::new(ttl),
        }
    }

    /// What is known of a user's connectors may have changed.
    pub(super) fn forget_connectors(&self, user: UserId) {
        self.connectors.forget_where(|(of, _)| *of == user);
        self.catalogue.forget(&user);
    }
}

/// Whose runs a request is about.
#[derive(Clone, Copy)]
struct Tenant {
    user: UserId,
    client: ClientId,
}

impl Tenant {
    /// Errors where no client was decided, as rules that are not enforced let happen.
    fn of(permit: &Permit) -> Result<Self, Refusal> {
        match (permit.user(), permit.client()) {
            (Some(user), Some(client)) => Ok(Self { user, client }),
            _ => Err(Refusal::ClientRequired),
        }
    }
}

impl Sidecar {
    /// Answers what is asked about runs.
    pub(super) async fn runs(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
        act: Act,
    ) -> Result<Answer, Refusal> {
        let reported = context.record.reported.is_some() || !decision.permit.is_scoped();
        match act {
            Act::Templates => self.templates(exchange, context, decision).await,
            Act::Brief => self.brief(exchange, context, decision).await,
            // A repetition could not be told from a new run.
            Act::Execute if reported && has_key(exchange) => Err(Refusal::LedgerUnavailable),
            // What would have been refused goes by as if nobody looked, and is not written down.
            Act::Execute if reported => self.whole(exchange, context, decision).await,
            Act::Execute => self.execute(exchange, context, decision).await,
            Act::Validate => self.validate(exchange, context, decision).await,
            Act::Trace => {
                self.trace(context, &decision.permit, &decision.looked)
                    .await
            }
            Act::Replay => self.replay(exchange, context, decision).await,
        }
    }

    /// What the ledger could not do, told and counted.
    fn broken_ledger(&self, error: &LedgerError) -> Refusal {
        tracing::error!("runs.db: {error}");
        self.observer.metrics.ledger_errors_total.inc();
        Refusal::LedgerUnavailable
    }

    /// The ids of what a request has deleted are given out again: recorded runs are not found
    /// by them any more. `answered` is the app's status; what failed may have deleted a
    /// client all the same, so the app is asked whether it is still there.
    pub(super) async fn forget_runs(
        &self,
        context: &Context,
        permit: &Permit,
        answered: Option<u16>,
    ) -> Result<(), Refusal> {
        let (Some(user), true) = (permit.user(), permit.rule().cascades(permit.method())) else {
            return Ok(());
        };
        // Of one client where that is what is deleted; else of everything of the user's.
        let is_one = permit.rule().client == ClientScope::Managed;
        let client = permit.client().filter(|_| is_one);
        let is_gone = match (answered, client, permit.identity()) {
            (Some(200..=299), ..) => true,
            (Some(500..) | None, Some(client), Some(identity)) => {
                let listed = self.ask_for_clients(identity, context).await;
                listed.is_ok_and(|listed| !listed.contains(&client))
            }
            _ => false,
        };
        if !is_gone {
            return Ok(());
        }
        let forgotten = self.runs.ledger.forget(user, client).await;
        forgotten.map_err(|error| self.broken_ledger(&error))
    }
}

/// JSON of ours, which is nobody else's to keep.
fn own_json(status: u16, body: &Value) -> Answer {
    use camarad_policies::record::Source;
    Answer::json(status, crate::json::to_body(body), Source::Sidecar)
        .with(header::CACHE_CONTROL, "no-store")
}

/// Whether a request wants to be made once.
fn has_key(exchange: &Exchange) -> bool {
    exchange.head().get("idempotency-key").is_some()
}

/// Texts that a list of rows has under a name, in lower case.
fn slugs(rows: &Value, name: &str) -> Option<BTreeSet<String>> {
    let slug = |row: &Value| Some(row.get(name)?.as_str()?.to_lowercase());
    rows.as_array()?.iter().map(slug).collect()
}
