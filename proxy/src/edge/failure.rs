//! What went wrong on the way to the app, in our words, for both lanes.

use camarad_policies::refusal::Refusal;
use pingora::ErrorType::{self, ConnectTimedout, ReadTimedout, WriteTimedout};
use pingora::{Error, ErrorSource};

/// The refusal that an error of the transport means; `None` when the caller is
/// the one who broke off, and there is nobody to answer.
pub(super) fn refusal_of(error: &Error) -> Option<Refusal> {
    match (error.esource(), error.etype()) {
        // Such as `Connection: host`: Pingora looks at it only once it has a connection to the app.
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Some(Refusal::HeaderAmbiguous),
        (ErrorSource::Downstream, ReadTimedout) => Some(Refusal::BodyTimeout),
        (
            ErrorSource::Downstream,
            ErrorType::ConnectionClosed
            | ErrorType::ConnectError
            | ErrorType::ReadError
            | ErrorType::WriteError
            | WriteTimedout,
        ) => None,
        // Such as a chunk that is none.
        (ErrorSource::Downstream, _) => Some(Refusal::BodyIncomplete),
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
