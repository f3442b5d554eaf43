//! The stream lane: Pingora carries the bodies; we set the head and map errors.

use super::Sidecar;
use super::context::Context;
use super::upstream_request::managed;
use camarad_policies::refusal::Refusal;
use pingora::ErrorType::{self, ConnectTimedout, ReadTimedout, WriteTimedout};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorSource};
use std::time::Duration;

impl Sidecar {
    /// Where the app is.
    pub(super) async fn legacy_peer(&self) -> pingora::Result<Box<HttpPeer>> {
        let legacy = &self.config.legacy;
        let address = tokio::net::lookup_host(&legacy.authority)
            .await
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| Error::explain(ErrorType::ConnectNoRoute, "no address"))?;
        let mut peer = HttpPeer::new(address, false, String::new());
        let options = &mut peer.options;
        options.connection_timeout = Some(legacy.connect_timeout);
        options.total_connection_timeout = Some(legacy.connect_timeout);
        options.read_timeout = Some(legacy.read_timeout);
        options.write_timeout = Some(legacy.read_timeout);
        options.idle_timeout = Some(Duration::from_secs(30));
        // No rule allows an upgrade, so none is offered to the app.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        Ok(Box::new(peer))
    }

    /// Makes the upstream head say what was decided, and nothing else.
    pub(super) fn shape_upstream(
        &self,
        session: &Session,
        upstream: &mut RequestHeader,
        context: &Context,
    ) -> pingora::Result<()> {
        let Some(permit) = &context.permit else {
            return Error::e_explain(ErrorType::InternalError, "no permit");
        };
        upstream.set_raw_path(permit.target().as_bytes())?;
        let request_id = &context.record.request_id;
        for (name, value) in managed(
            session,
            permit,
            request_id,
            &self.config.server.trusted_proxies,
        ) {
            match value {
                Some(value) => upstream.insert_header(name, value)?,
                None => drop(upstream.remove_header(name)),
            }
        }
        Ok(())
    }
}

/// The refusal that an error of the transport means; `None` when the caller is
/// the one who broke off, and there is nobody to answer.
pub(super) fn refusal_of(error: &Error) -> Option<Refusal> {
    match (error.esource(), error.etype()) {
        // Such as `Connection: host`: Pingora looks at it only once it has a connection to the app.
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Some(Refusal::HeaderAmbiguous),
        (ErrorSource::Downstream, ReadTimedout | ErrorType::HTTPStatus(_)) => {
            Some(Refusal::BodyIncomplete)
        }
        (ErrorSource::Downstream, _) => None,
        (_, ConnectTimedout | ReadTimedout | WriteTimedout) => Some(Refusal::LegacyTimeout),
        (
            _,
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::BindError,
        ) => Some(Refusal::LegacyUnreachable),
        (
            ErrorSource::Upstream,
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError,
        ) => Some(Refusal::LegacyUnreachable),
        (ErrorSource::Upstream, _) => Some(Refusal::LegacyBadAnswer),
        _ => Some(Refusal::Internal),
    }
}
