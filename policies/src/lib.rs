//! The rules of the sidecar, as pure functions over values.
//!
//! A *request* is normalised into what is [`normalise::Asked`]; its bearer is
//! identified as an [`identity::Identity`]; the identity is authorised for what
//! is asked, which gives an [`authorise::Permit`]; the permit is routed to a
//! [`route::Plan`]. At any step the outcome may be a [`refusal::Refusal`]
//! instead. [`record::Record`] is what is told about it afterwards.
//!
//! What this crate is not: it opens no file and no socket, reads no environment
//! and no clock (`now` is always an argument), and knows nothing of the proxy
//! that carries its decisions out. If I/O or a clock creeps in here, decisions
//! can no longer be tested as tables, and two requests can no longer be told to
//! have seen the same configuration.

pub mod accounts;
pub mod agents;
pub mod answer_head;
pub mod authorise;
pub mod backup;
pub mod behind;
pub mod body;
pub mod breaker;
pub mod briefs;
pub mod cache_key;
pub mod cache_status;
pub mod chunks;
pub mod conversations;
pub mod cookies;
pub mod csrf;
pub mod egress;
pub mod endpoints;
pub mod etag;
pub mod fields;
pub mod flow;
pub mod forwarded;
pub mod guard;
pub mod guardrails;
pub mod head;
pub mod health;
pub mod hex;
pub mod host;
pub mod idempotency;
pub mod identity;
pub mod ids;
pub mod incident;
pub mod keys;
pub mod limit;
pub mod log_lines;
pub mod matrix;
pub mod names;
pub mod normalise;
pub mod onward;
pub mod operation;
pub mod page;
pub mod path;
mod percent;
pub mod pointer;
pub mod purge;
pub mod query;
pub mod record;
pub mod refusal;
pub mod request_ids;
pub mod rest;
pub mod retry_budget;
pub mod route;
pub mod run;
pub mod seal;
pub mod short;
pub mod shown;
pub mod storable;
pub mod story;
pub mod target;
pub mod templates;
pub mod text;
pub mod ttl;
mod window;
