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
mod users;

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

/// The same, asking Coolbits at this address (`http://host:port`) where the app does.
///
/// Without Coolbits the app makes everything up and tells every login by its token
/// alone, as [`legacy()`] does. An error of the kind `InvalidInput` for an address
/// that is none.
pub async fn legacy_with_coolbits(
    listener: TcpListener,
    faults: Faults,
    coolbits_url: &str,
) -> std::io::Result<()> {
    let app = legacy::Legacy::with_coolbits(coolbits_url)?;
    server::serve(listener, app, faults).await
}
