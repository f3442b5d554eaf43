//! End to end: the real binary on real sockets, between a caller of ours and the
//! stand-ins, which judge what they receive.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod support;

mod accept_and_stop;
mod accounts;
mod backup;
mod behind;
mod binding;
mod body_client;
mod bridge;
mod browser;
mod cache;
mod callers;
mod chat;
mod commands;
mod conversations;
mod deletions;
mod differential;
mod doctor;
mod drain;
mod ga4;
mod gateway_faults;
mod gateway_health;
mod google_ads;
mod guards;
mod h1;
mod identity;
mod incident;
mod jwks;
mod leaks;
mod legacy_faults;
mod limits;
mod observability;
mod operators;
mod rag;
mod refusals;
mod relay;
mod runs;
mod service_account;
mod status_page;
mod stream_lane;
mod tagging;
mod tenancy;
mod uploads;
