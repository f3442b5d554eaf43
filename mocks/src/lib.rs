//! Made-up figures, and stand-ins for the real servers.
//!
//! [`google_ads`], [`ga4`], [`search_console`], [`tag_manager`] and [`stripe`]
//! are the embedded mock: pure functions over fixtures of our own, in the shape
//! in which Coolbits answers, so that the one mapping of the gateway serves both
//! and the mock cannot drift from the contract.
//! [`stand_in`] are small servers that speak Coolbits' and the app's side of the
//! contract, with faults on demand.
//!
//! Nothing here is real data, and nothing here decides who may see what. The
//! stand-ins have the weaknesses of what they stand in for, on purpose; they
//! must never be reachable from outside.

mod fixtures;
pub mod ga4;
pub mod google_ads;
pub mod search_console;
pub mod series;
mod shares;
pub mod stand_in;
pub mod stripe;
pub mod tag_manager;
