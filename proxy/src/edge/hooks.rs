//! Pingora's phases, as far as we use them: bodies that stream in chunks, or wait for leave to
//! be sent, on one page.
//!
//! What has no body or tells its length is not seen here ([`super::relay`]). A request comes
//! here decided
//! ([`super::handle`]), with its context, and nothing of it may have been read but its
//! head. Hooks that may break catch panics themselves, so that the record is whole; the
//! connection catches what is left.

use super::Sidecar;
use super::answer::{REQUEST_ID, SOURCE, refuse_streamed, tag};
use super::connection::Arrival;
use super::context::Context;
use super::failure::refusal_of;
use super::upstream_request::{Sender, shape};
use crate::panics::{break_for_test, caught};
use async_trait::async_trait;
use bytes::Bytes;
use camarad_policies::answer_head::{Malformed, framed};
use camarad_policies::record::{Origin, Source};
use camarad_policies::refusal::Refusal;
use http::{HeaderValue, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The sidecar, as Pingora calls it.
pub(super) struct StreamLane(pub(super) Arc<Sidecar>);

#[async_trait]
impl ProxyHttp for StreamLane {
    type CTX = Context;

    /// Nothing yet: the one that the request was decided with comes with it.
    fn new_ctx(&self) -> Context {
        Context::none()
    }

    /// Pingora means this for what a connection carries over; our connection gives with it
    /// what was decided.
    fn on_connection_reuse(
        &self,
        session: &mut Session,
        context: &mut Context,
        arrival: Box<dyn Any + Send + Sync>,
    ) {
        break_for_test("on_connection_reuse", &session.req_header().headers);
        if let Ok(arrival) = arrival.downcast::<Arrival>() {
            arrival.told.met.store(true, Ordering::Relaxed);
            *context = arrival.context;
            context.told = Some(arrival.told);
            if arrival.last {
                session.set_keepalive(None);
            }
        }
        let head = session.req_header();
        if head.version == Version::HTTP_10 {
            // It knows no expectations (RFC 9110, section 10.1.1), and would not know a 100 either.
            session.req_header_mut().remove_header(&header::EXPECT);
        }
        // A caller that goes away never ends a write.
        session.as_downstream_mut().set_abort_on_close(false);
    }

    /// Lets nothing through that was not decided on.
    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        if context.permit.is_some() {
            return Ok(false);
        }
        refuse_streamed(session, context, Refusal::Internal).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        context.legacy_started = Some(Instant::now());
        let peer = async {
            break_for_test("upstream_peer", &session.req_header().headers);
            self.0.legacy.peer().await
        };
        caught(&self.0.observer, peer).await.unwrap_or_else(broke)
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
                Some(permit) => shape(upstream, permit, Sender::of(context)),
                None => Error::e_explain(ErrorType::InternalError, "no permit"),
            }
        };
        caught(&self.0.observer, shaped).await.unwrap_or_else(broke)
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
        match self.0.watch_upload(context, chunk) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                context.failed = Some(refusal);
                Error::e_explain(ErrorType::HTTPStatus(refusal.answer().status), "the upload")
            }
        }
    }

    /// Before anything is done to the head. Pingora takes what frames a body more leniently, and
    /// passes it on.
    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        break_for_test("upstream_response_filter", &session.req_header().headers);
        let values = |name| head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let (lengths, codings) = (
            values(header::CONTENT_LENGTH),
            values(header::TRANSFER_ENCODING),
        );
        let minor = u8::from(head.version == Version::HTTP_11);
        match framed(lengths, codings, minor) {
            Ok(_) => Ok(()),
            Err(Malformed) => {
                context.failed = Some(Refusal::LegacyBadAnswer);
                Error::e_explain(ErrorType::InvalidHTTPHeader, "a body with two ends")
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
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // What followed would be looked at by nobody.
            context.failed = Some(Refusal::LegacyBadAnswer);
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "an upgrade nobody asked for");
        }
        if head.status.is_informational() {
            head.remove_header(&SOURCE);
            head.remove_header(&REQUEST_ID);
            return Ok(());
        }
        if self.0.is_stopping() {
            session.set_keepalive(None);
        }
        if let Some(permit) = &context.permit {
            self.0.change(permit);
        }
        context.record.source = Some(Source::Legacy);
        if head.status.is_server_error() {
            context.record.origin = Some(Origin::Legacy);
            context.legacy_outcome = "http_5xx";
        }
        context.legacy_took = context.legacy_started.map(|started| started.elapsed());
        tag(head, context)
    }

    /// After a connection was made: what may have had an effect is never sent again.
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
        error.set_retry(false);
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
                    self.0.change(permit);
                }
                // The caller may be gone; the record is told either way.
                let refused = refuse_streamed(session, context, refusal);
                let _ = caught(&self.0.observer, refused).await;
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
            let status = begun(session).map_or(499, |head| head.status.as_u16());
            self.0.tell(context, status, session.body_bytes_sent());
        };
        // Counted where it is caught; there is nobody left to answer.
        let _ = caught(&self.0.observer, tell).await;
    }

    /// Errors are told by the record; Pingora's own lines would tell them twice.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
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
