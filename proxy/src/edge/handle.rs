//! A request's life on one page: decided, then answered here, relayed, or left to Pingora.
//!
//! Not here: how each plan is carried out, and who catches a panic; the connection does,
//! and answers 500 for a request that was not answered.

use super::Sidecar;
use super::answer::Answer;
use super::context::Context;
use super::decide::Decision;
use super::exchange::Exchange;
use crate::gateway::Audience;
use crate::panics::{BREAK_AT, break_where_asked};
use camarad_policies::authorise::Permit;
use camarad_policies::health::Status;
use camarad_policies::operation::Operation;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Plan;
use http::header;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the wall clock is taken to go on as it went: it may be set, and machines sleep.
const CLOCK_STAYS: Duration = Duration::from_secs(1);

/// What became of a request.
pub(super) enum Handled {
    /// It was answered.
    Answered,
    /// It was decided, and is Pingora's to carry out.
    Stream,
}

/// What came of carrying a plan out.
enum Carried {
    Answer(Answer),
    /// It is the app's answer, to be streamed under this permit.
    Stream(Arc<Permit>),
}

impl Sidecar {
    /// Decides, and answers what Pingora is not needed for.
    ///
    /// # Errors
    /// If the answer could not be written.
    pub(super) async fn handle(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
    ) -> io::Result<Handled> {
        break_where_asked("handle", || exchange.head().get(BREAK_AT));
        if context.in_flight() > self.config.limits.requests as i64 {
            exchange.refuse(context, Refusal::Overloaded).await?;
            return Ok(Handled::Answered);
        }
        let decision = match self.decide(exchange, context).await {
            Ok(decision) => decision,
            Err(refusal) => {
                let refusal = self.counted(context, refusal);
                self.let_go(context, false);
                exchange.refuse(context, refusal).await?;
                return Ok(Handled::Answered);
            }
        };
        context.permit = Some(decision.permit.clone());
        if let Some(target) = &decision.looked.redirect {
            self.let_go(context, false);
            exchange.answer(context, Answer::redirect(target)).await?;
            return Ok(Handled::Answered);
        }
        let answer = match self.carry_out(exchange, context, decision).await {
            Ok(Carried::Answer(answer)) => Ok(answer),
            Ok(Carried::Stream(permit)) => {
                self.change(&permit);
                if !exchange.is_relayed() {
                    return Ok(Handled::Stream);
                }
                self.relay(exchange, context, &permit).await?;
                return Ok(Handled::Answered);
            }
            Err(refusal) => Err(refusal),
        };
        if self.is_stopping() {
            exchange.close_after();
        }
        // What was named may be deleted again; only the answer is left to be written.
        let is_safe = exchange.head().is_safe();
        let unfinished = matches!(&answer, Err(refusal) if refusal.is_legacy_fault());
        self.let_go(context, unfinished && !is_safe);
        match answer.map_err(|refusal| self.counted(context, refusal)) {
            Ok(answer) => exchange.answer(context, answer).await?,
            Err(Refusal::ClientClosed) => {
                context.record.refuse(Refusal::ClientClosed);
                exchange.close_after();
            }
            Err(refusal) => exchange.refuse(context, refusal).await?,
        }
        Ok(Handled::Answered)
    }

    /// The answer, or that it is to be streamed.
    async fn carry_out(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Carried, Refusal> {
        match &decision.plan {
            Plan::Stream => {
                self.check_body(exchange, context, self.config.limits.upload)?;
                return Ok(Carried::Stream(decision.permit));
            }
            Plan::Health => Ok(self.health(&decision)),
            Plan::Whole | Plan::MadeUp
                if self.is_kept(&decision.permit) && context.record.reported.is_none() =>
            {
                let work = pin!(self.app_read(context, &decision));
                exchange.unless_left(work).await.and_then(|answer| answer)
            }
            Plan::Whole => self.whole(exchange, context, decision).await,
            Plan::Runs(act) => {
                let act = *act;
                Box::pin(self.runs(exchange, context, decision, act)).await
            }
            Plan::MadeUp => Box::pin(self.made_up(exchange, context, decision)).await,
            // A write, and carried out to its end; reads are for as long as the caller waits.
            Plan::Connector(Operation::Ga4Property, answerer) => {
                Box::pin(self.choose_property(context, &decision, answerer)).await
            }
            Plan::Connector(operation, answerer) => {
                let work = pin!(self.connector(context, &decision, *operation, answerer));
                exchange.unless_left(work).await.and_then(|answer| answer)
            }
        }
        .map(Carried::Answer)
    }

    /// How the gateway is doing; 503 where that was asked for strictly and it is not well.
    fn health(&self, decision: &Decision) -> Answer {
        let audience = match decision.permit.identity() {
            Some(_) => Audience::Caller,
            None => Audience::Anonymous,
        };
        let switch = &decision.switch;
        let (status, told) = self.gateway.health(switch, audience);
        let strict = decision.permit.query().get("strict") == Some("1");
        let status = match strict && switch.enabled && status != Status::Connected {
            true => 503,
            false => 200,
        };
        Answer::json(status, crate::json::to_body(&told), Source::Sidecar)
            .with(header::CACHE_CONTROL, "no-store")
    }

    /// A process that is about to stop keeps no connection.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells what became of a request, by whichever lane; gives when it ended.
    pub(super) fn tell(&self, context: &mut Context, status: u16, bytes_sent: usize) -> Instant {
        context.record.status = status;
        context.record.bytes_sent = bytes_sent;
        if let Some(started) = context.legacy_started {
            context.waits(context.legacy_took.unwrap_or_else(|| started.elapsed()));
        }
        let waited_ms = context.waited_ms();
        let record = &mut context.record;
        record.upstream_ms = waited_ms;
        let now = Instant::now();
        let took = now.saturating_duration_since(context.started);
        record.duration_ms = took.as_secs_f64() * 1000.0;
        record.time = Some(match took < CLOCK_STAYS {
            true => UNIX_EPOCH + context.since_epoch + took,
            false => SystemTime::now(),
        });
        let permit = context.permit.as_ref();
        if let Some(permit) = permit.filter(|permit| permit.rule().changes(permit.method())) {
            // However it ended: a write that failed may have been carried out.
            self.change(permit);
        }
        let rule = permit.map(|permit| &**permit.rule());
        self.observer.tell(record, rule, now);
        if let Some(started) = context.legacy_started {
            let took = context.legacy_took.unwrap_or_else(|| started.elapsed());
            self.observer
                .upstream("legacy", context.legacy_outcome, took);
        }
        now
    }
}
