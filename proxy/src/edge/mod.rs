//! The edge: where requests come in and answers go out.
//!
//! The only reader of raw headers, the only writer of our answers, and the only
//! caller of Pingora's hooks. It decides nothing: `policies` does, and this
//! carries the plan out ([`handle`]) in one of two lanes: what is answered whole is an
//! [`exchange`] of ours on the caller's [`mod@line`], and so is what streams ([`relay`]) but
//! for bodies in chunks, which are Pingora's ([`hooks`]).

mod accept;
mod accounts;
mod agents;
mod answer;
mod api_lane;
mod binding;
mod body;
mod cached;
mod changes;
mod company;
mod connection;
mod content;
mod context;
mod conversations;
mod decide;
mod directory;
mod exchange;
mod failure;
mod ga4;
mod guard;
mod handle;
mod hooks;
mod keeping;
mod legacy;
mod line;
mod loan;
mod look_through;
mod own;
mod owner;
mod refusing;
mod relay;
mod request_head;
mod runs;
mod targets;
mod upload;
mod upstream_request;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use accept::{Front, Listening, Stopping, listen};
pub(crate) use content::Content;
pub(crate) use guard::ObjectLock;
pub(crate) use legacy::Legacy;
pub(crate) use runs::Runs;
pub(crate) use targets::Targets;

use crate::behind::Handles;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::gateway::{Gateway, SwitchBoard};
use crate::kept::Kept;
use crate::keys::KeyStore;
use crate::limiter::Limiter;
use crate::locks::Locks;
use crate::observe::Observer;
use crate::owners::Owners;
use crate::sessions::SharedSessions;
use crate::tenants::Tenants;
use camarad_config::Config;
use camarad_policies::agents::AgentNames;
use camarad_policies::ids::{ClientId, ObjectId, UserId};
use camarad_policies::matrix::Matrix;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names of agents, by user, client and workspace.
pub(crate) type KeptAgents = Kept<(UserId, Option<ClientId>, String), AgentNames>;

/// Everything a request may need; one for each generation of the settings.
pub(crate) struct Sidecar {
    pub(crate) config: Arc<Config>,
    pub(crate) matrix: Matrix,
    pub(crate) targets: Targets,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) tenants: Arc<Tenants>,
    /// Whose conversations are.
    pub(crate) owners: Arc<Owners>,
    /// Of users and of the objects they name, so that none is deleted between being looked at and used.
    pub(crate) objects: Arc<Locks<ObjectLock>>,
    /// The conversations that a user's export had a moment ago: what it had not, is not there.
    pub(crate) exported: Arc<Kept<UserId, Arc<BTreeSet<ObjectId>>>>,
    /// The names of agents, as a client's own settings have them.
    pub(crate) agents: Arc<KeptAgents>,
    /// Runs of the orchestrator.
    pub(crate) runs: Arc<Runs>,
    /// What runs may read, where the app asks Coolbits through us.
    pub(crate) handles: Option<Arc<Handles>>,
    /// Who used up how many refusals.
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) sessions: SharedSessions,
    pub(crate) switch: Arc<SwitchBoard>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) cache: Arc<Cache<Content>>,
    pub(crate) observer: Arc<Observer>,
    /// The app.
    pub(crate) legacy: Arc<Legacy>,
    /// Bytes of bodies held over all requests.
    pub(crate) budget: Arc<Budget>,
    /// True from the beginning of a drain on.
    pub(crate) stopping: Stopping,
}
