//! Pingora's phases, as far as we use them: a request's life on one page.
//!
//! `request_filter` decides and, in the API lane, answers; the others serve the
//! stream lane. Hooks that decide catch panics themselves, so that the record is
//! whole; the connection catches what is left.

use super::Sidecar;
use super::answer::{Answer, refuse, tag, write};
use super::api_lane::unless_left;
use super::connection::Arrival;
use super::context::Context;
use super::decide::Decision;
use super::failure::refusal_of;
use super::upstream_request::shape;
use crate::gateway::{Answerer, Audience};
use crate::panics::{break_for_test, caught};
use async_trait::async_trait;
use bytes::Bytes;
use camarad_policies::health::Status;
use camarad_policies::operation::Operation;
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Plan;
use http::{Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use std::any::Any;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[async_trait]
impl ProxyHttp for Sidecar {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(&self.observer.metrics.in_flight)
    }

    /// Pingora means this for what a connection carries over; our connection tells with it what it knows.
    fn on_connection_reuse(
        &self,
        session: &mut Session,
        context: &mut Context,
        arrival: Box<dyn Any + Send + Sync>,
    ) {
        break_for_test("on_connection_reuse", &session.req_header().headers);
        if let Ok(arrival) = arrival.downcast::<Arrival>() {
            arrival.told.met.store(true, Ordering::Relaxed);
            context.told = Some(arrival.told.clone());
            context.framing = arrival.framing;
            if arrival.last {
                session.set_keepalive(None);
            }
        }
    }

    /// Decides; answers itself (`true`) unless the stream lane is to carry on.
    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        match caught(&self.observer, self.handle(session, context)).await {
            Some(outcome) => outcome,
            None => {
                if begun(session).is_none() {
                    session.set_keepalive(None);
                    refuse(session, context, Refusal::Internal).await?;
                }
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        context.legacy_started = Some(Instant::now());
        let peer = async {
            break_for_test("upstream_peer", &session.req_header().headers);
            self.legacy.peer().await
        };
        caught(&self.observer, peer).await.unwrap_or_else(broke)
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let shaped = async {
            break_for_test("upstream_request_filter", &upstream.headers);
            match &context.permit {
                Some(permit) => shape(upstream, permit, context),
                None => Error::e_explain(ErrorType::InternalError, "no permit"),
            }
        };
        caught(&self.observer, shaped).await.unwrap_or_else(broke)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        context: &mut Context,
    ) -> Result<()> {
        break_for_test("request_body_filter", &session.req_header().headers);
        let chunk = body.as_ref().map_or(0, Bytes::len);
        match self.watch_upload(context, chunk) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                context.failed = Some(refusal);
                Error::e_explain(ErrorType::HTTPStatus(refusal.answer().status), "the upload")
            }
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        break_for_test("response_filter", &session.req_header().headers);
        if head.status.is_informational() {
            return Ok(());
        }
        self.close_when_stopping(session);
        if let Some(permit) = &context.permit {
            self.change(permit);
        }
        context.record.source = Some(Source::Legacy);
        if head.status.is_server_error() {
            context.record.origin = Some(Origin::Legacy);
            context.legacy_outcome = "http_5xx";
        }
        context.legacy_took = context.legacy_started.map(|started| started.elapsed());
        tag(head, context)
    }

    /// After a connection was made: only reads that a stale pooled connection
    /// broke are sent again, never anything with an effect.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        _: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        break_for_test("error_while_proxy", &session.req_header().headers);
        let mut error = error.more_context(format!("peer {peer}"));
        // Always decided, or Pingora panics later.
        error.retry.decide_reuse(reused);
        let untouched = begun(session).is_none() && !session.as_ref().retry_buffer_truncated();
        if reused && *error.etype() == ErrorType::WriteError {
            // The app closed while we were writing to it.
            error.set_retry(true);
        }
        if !session.req_header().method.is_safe() || !untouched {
            error.set_retry(false);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        break_for_test("fail_to_proxy", &session.req_header().headers);
        let refusal = context.failed.or_else(|| refusal_of(error));
        let begun = begun(session);
        // HTTP/1.0 knows no chunks: without a length the end of the connection is the end.
        let is_framed = session.req_header().version != Version::HTTP_10
            || begun.is_some_and(|head| head.headers.contains_key(header::CONTENT_LENGTH));
        let begun = begun.is_some();
        let refusal = match refusal {
            // An app that was there and broke off in the middle.
            Some(Refusal::LegacyUnreachable) if begun => Some(Refusal::LegacyBadAnswer),
            other => other,
        };
        if let Some(refusal) = refusal.filter(|refusal| refusal.is_legacy_fault()) {
            context.legacy_outcome = refusal.answer().code;
        }
        match refusal {
            Some(refusal) if !begun => {
                if let Some(permit) = &context.permit {
                    // Before the caller knows: it may have been carried out.
                    self.change(permit);
                }
                // Pingora would announce keep-alive and then close.
                session.set_keepalive(None);
                // The caller may be gone; the record is told either way.
                let _ = caught(&self.observer, refuse(session, context, refusal)).await;
            }
            Some(refusal) => {
                // The head is out: the answer breaks off, and the record says why.
                context.record.code = Some(refusal.answer().code);
                if let Some(told) = context.told.as_ref().filter(|_| !is_framed) {
                    told.broke_off.store(true, Ordering::Relaxed);
                }
            }
            None => context.record.refuse(Refusal::ClientClosed),
        }
        FailToProxy {
            error_code: refusal.map_or(499, |refusal| refusal.answer().status),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Context) {
        let tell = async {
            break_for_test("logging", &session.req_header().headers);
            // 499: the caller left before there was an answer.
            context.record.status = begun(session).map_or(499, |head| head.status.as_u16());
            context.record.bytes_sent = session.body_bytes_sent();
            if let Some(started) = context.legacy_started {
                context.waits(context.legacy_took.unwrap_or_else(|| started.elapsed()));
            }
            let waited_ms = context.waited_ms();
            let record = &mut context.record;
            record.upstream_ms = waited_ms;
            record.duration_ms = context.started.elapsed().as_secs_f64() * 1000.0;
            record.peer = session.client_addr().map(ToString::to_string);
            let permit = context.permit.as_ref();
            if let Some(permit) = permit.filter(|permit| permit.rule().changes(permit.method())) {
                // However it ended: a write that failed may have been carried out.
                self.change(permit);
            }
            let rule = permit.map(|permit| permit.rule());
            self.observer.tell(record, rule);
            if let Some(started) = context.legacy_started {
                let took = context.legacy_took.unwrap_or_else(|| started.elapsed());
                self.observer
                    .upstream("legacy", context.legacy_outcome, took);
            }
        };
        // Counted where it is caught; there is nobody left to answer.
        let _ = caught(&self.observer, tell).await;
    }

    /// Errors are told by the record; Pingora's own lines would tell them twice.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }
}

impl Sidecar {
    async fn handle(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        break_for_test("request_filter", &session.req_header().headers);
        if session.req_header().version == Version::HTTP_10 {
            // It knows no expectations (RFC 9110, section 10.1.1), and would not know a 100 either.
            session.req_header_mut().remove_header(&header::EXPECT);
        }
        if context.in_flight() > self.config.limits.requests as i64 {
            refuse(session, context, Refusal::Overloaded).await?;
            return Ok(true);
        }
        let decision = match self.decide(session, context).await {
            Ok(decision) => decision,
            Err(refusal) => {
                let refusal = self.counted(context, refusal);
                self.let_go(context, false);
                refuse(session, context, refusal).await?;
                return Ok(true);
            }
        };
        context.permit = Some(decision.permit.clone());
        if let Some(target) = &decision.looked.redirect {
            self.let_go(context, false);
            write(session, context, Answer::redirect(target)).await?;
            return Ok(true);
        }
        let answer = match &decision.plan {
            Plan::Stream => match self.check_body(session, context, self.config.limits.upload) {
                Ok(()) => {
                    self.change(&decision.permit);
                    // A caller that goes away ends a read, never a write.
                    let safe = session.req_header().method.is_safe();
                    session.as_downstream_mut().set_abort_on_close(safe);
                    return Ok(false);
                }
                Err(refusal) => Err(refusal),
            },
            Plan::Health => Ok(self.health(&decision)),
            Plan::Whole | Plan::MadeUp
                if self.is_kept(&decision.permit) && context.record.reported.is_none() =>
            {
                let work = pin!(self.app_read(context, decision));
                unless_left(session, work).await.and_then(|answer| answer)
            }
            Plan::Whole => self.whole(session, context, decision).await,
            Plan::Runs(act) => {
                let act = *act;
                Box::pin(self.runs(session, context, decision, act)).await
            }
            Plan::MadeUp => Box::pin(self.made_up(session, context, decision)).await,
            Plan::Coolbits(operation, credential) => {
                let (operation, answerer) = (*operation, Answerer::Coolbits(credential.clone()));
                self.connect(session, context, decision, operation, answerer)
                    .await
            }
            Plan::Mock(operation, reason) => {
                let (operation, answerer) = (*operation, Answerer::Mock(*reason));
                self.connect(session, context, decision, operation, answerer)
                    .await
            }
        };
        self.close_when_stopping(session);
        // What was named may be deleted again; only the answer is left to be written.
        let is_safe = session.req_header().method.is_safe();
        let unfinished = matches!(&answer, Err(refusal) if refusal.is_legacy_fault());
        self.let_go(context, unfinished && !is_safe);
        let answer = answer.map_err(|refusal| self.counted(context, refusal));
        match answer {
            Ok(answer) => write(session, context, answer).await?,
            Err(Refusal::ClientClosed) => {
                context.record.refuse(Refusal::ClientClosed);
                session.set_keepalive(None);
            }
            Err(refusal) => refuse(session, context, refusal).await?,
        }
        Ok(true)
    }

    /// Answers a connector route: reads for as long as the caller waits, writes to their end.
    async fn connect(
        &self,
        session: &mut Session,
        context: &mut Context,
        decision: Decision,
        operation: Operation,
        answerer: Answerer,
    ) -> std::result::Result<Answer, Refusal> {
        match operation {
            Operation::Ga4Property => {
                Box::pin(self.choose_property(context, decision, &answerer)).await
            }
            _ => {
                let work = pin!(self.connector(context, decision, operation, answerer));
                unless_left(session, work).await.and_then(|answer| answer)
            }
        }
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
    fn close_when_stopping(&self, session: &mut Session) {
        if *self.stopping.borrow() {
            session.set_keepalive(None);
        }
    }
}

/// The head that the caller has been sent; an interim one is none.
fn begun(session: &Session) -> Option<&ResponseHeader> {
    let head = session.response_written()?;
    (!head.status.is_informational()).then_some(head)
}

fn broke<T>() -> Result<T> {
    Error::e_explain(ErrorType::InternalError, "a hook panicked")
}
