//! An agent's brief, with the caller's own figures in the place of those that the app read.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::super::context::Context;
use super::super::decide::Decision;
use crate::edge::exchange::Exchange;
use camarad_policies::authorise::Permit;
use camarad_policies::briefs::{Briefed, asked, composed};
use camarad_policies::matrix::Mode;
use camarad_policies::path::CanonicalPath;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{Plan, Switch, route};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Sidecar {
    /// The app's brief, with what our own connector routes answer; what is no brief goes on
    /// as it is.
    pub(super) async fn brief(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let (permit, switch) = (decision.permit.clone(), decision.switch.clone());
        let answer = self.whole(exchange, context, decision).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let Ok(brief) = serde_json::from_slice::<Value>(&answer.body) else {
            return Ok(answer);
        };
        let briefed = asked(&brief);
        if briefed.is_empty() {
            return Ok(answer);
        }
        let mut answers = BTreeMap::new();
        for briefed in briefed {
            let read = self.own_read(context, &permit, &switch, briefed).await;
            answers.extend(read.map(|read| (briefed.slug, read)));
        }
        let brief = composed(brief, &|slug| answers.get(slug).cloned());
        Ok(Answer {
            body: crate::json::to_body(&brief),
            ..answer
        })
    }

    /// What the caller is answered on a connector's route; `None` where that is a refusal, or
    /// where no client was decided, and so no account.
    async fn own_read(
        &self,
        context: &mut Context,
        permit: &Permit,
        switch: &Arc<Switch>,
        briefed: &Briefed,
    ) -> Option<Value> {
        let path = CanonicalPath::parse(briefed.path.as_bytes()).ok()?;
        let rule = self.matrix.find("GET", &path).rule;
        // Without it the read would not be held to the client's own accounts.
        let is_enforced = rule.mode == Mode::Enforce;
        let permit = permit.towards(rule, path).filter(|_| is_enforced)?;
        let plan = route(&permit, switch);
        let permit = Arc::new(permit);
        let guarded = self.guarded(context, permit, &plan, None, &mut None).await;
        let (permit, looked) = guarded.ok()?;
        let plan = match looked.seen.as_ref().is_some_and(|seen| seen.is_open) {
            true => plan.without_account().ok()?,
            false => plan,
        };
        let Plan::Connector(operation, answerer) = plan else {
            return None;
        };
        let decision = Decision {
            permit,
            plan: Plan::Whole,
            switch: switch.clone(),
            body: None,
            looked,
        };
        // The record is of the brief, which is kept nowhere.
        let kept = (context.record.cache.take(), context.record.cache_key.take());
        let answer = self
            .connector(context, &decision, operation, &answerer)
            .await;
        (context.record.cache, context.record.cache_key) = kept;
        serde_json::from_slice(&answer.ok()?.body).ok()
    }
}
