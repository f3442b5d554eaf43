//! Small servers that behave like the real ones, for the demo and the tests.
//!
//! Both can be told to misbehave (`POST /_faults`, [`faults::Faults`]) and tell
//! what they were asked (`GET /_calls`; `DELETE /_calls` forgets it). Tokens
//! are told as hashes.

mod coolbits;
pub mod faults;
mod legacy;
mod routes;
mod server;

use faults::Faults;
pub use server::Call;
use tokio::net::TcpListener;

/// Serves Coolbits' side of the contract until the future is dropped.
pub async fn coolbits(listener: TcpListener, faults: Faults) -> std::io::Result<()> {
    server::serve(listener, coolbits::Coolbits::default(), faults).await
}

/// Serves the app's side of the contract until the future is dropped.
pub async fn legacy(listener: TcpListener, faults: Faults) -> std::io::Result<()> {
    server::serve(listener, legacy::Legacy::default(), faults).await
}
