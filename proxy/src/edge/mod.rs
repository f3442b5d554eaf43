//! The edge: where requests come in and answers go out.
//!
//! The only reader of raw headers, the only writer of our answers, and the only
//! caller of Pingora's hooks. It decides nothing: `policies` does, and this
//! carries the plan out in one of two lanes ([`stream_lane`], [`api_lane`]).

mod accept;
mod answer;
mod api_lane;
mod connection;
mod context;
mod decide;
mod hooks;
mod line;
mod stream_lane;
mod upstream_request;

pub(crate) use accept::{Listening, Stopping, listen};

use crate::cache::Cache;
use crate::gateway::{Gateway, SwitchBoard};
use crate::keys::KeyStore;
use crate::observe::Observer;
use camarad_config::Config;
use camarad_policies::matrix::Matrix;
use std::sync::Arc;

/// Everything a request may need; one for the process.
pub(crate) struct Sidecar {
    pub(crate) config: Arc<Config>,
    pub(crate) matrix: Matrix,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) switch: Arc<SwitchBoard>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) observer: Arc<Observer>,
    /// The API lane's client for the app.
    pub(crate) legacy: reqwest::Client,
    /// True from the beginning of a drain on.
    pub(crate) stopping: Stopping,
}
