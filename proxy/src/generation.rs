//! What one configuration makes, and what lasts as long as the process.
//!
//! A reload builds a whole new generation beside the old one and swaps it in; requests
//! under way keep the one that they began with. What knows of users, objects, runs and
//! sessions lasts, and so does the lock under which customers are selected at Coolbits: two
//! generations at once select for the same users.

use crate::admin::status;
use crate::behind::Handles;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::edge::{Content, KeptAgents, Legacy, ObjectLock, Runs, Sidecar, Stopping, Targets};
use crate::gateway::{Gateway, SwitchBoard};
use crate::kept::Kept;
use crate::keys::KeyStore;
use crate::limiter::Limiter;
use crate::locks::Locks;
use crate::observe::Observer;
use crate::owners::Owners;
use crate::sessions::SharedSessions;
use crate::tenants::Tenants;
use arc_swap::ArcSwap;
use camarad_config::Config;
use camarad_policies::ids::{ObjectId, UserId};
use camarad_policies::matrix::{Matrix, MatrixError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What lasts.
pub(crate) struct Lasting {
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) objects: Arc<Locks<ObjectLock>>,
    pub(crate) exported: Arc<Kept<UserId, Arc<BTreeSet<ObjectId>>>>,
    pub(crate) agents: Arc<KeptAgents>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) handles: Option<Arc<Handles>>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) sessions: SharedSessions,
    pub(crate) switch: Arc<SwitchBoard>,
    pub(crate) cache: Arc<Cache<Content>>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) budget: Arc<Budget>,
    /// For fetching keys.
    pub(crate) http: reqwest::Client,
}

/// What one configuration made.
pub(crate) struct Generation {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) legacy: Arc<Legacy>,
    /// The names of rules, for orders that name one.
    pub(crate) rules: BTreeSet<String>,
    /// The rules as they are enforced, for the status page.
    pub(crate) table: Vec<status::Rule>,
}

/// The generation in force.
pub(crate) type Current = Arc<ArcSwap<Generation>>;

/// Makes the sidecar of a generation, once it is known what that has to watch.
pub(crate) type Made = Box<dyn FnOnce(Stopping) -> Sidecar + Send>;

/// A gateway that would be the same goes on, with what it knows of Coolbits.
fn is_same_gateway(before: &Config, now: &Config) -> bool {
    let (old, new) = (&before.settings, &now.settings);
    // A table of one's own may say something else under the same name.
    old.gateway == new.gateway && old.breaker == new.breaker && new.gateway.table.is_empty()
}

/// Why none could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("the built-in matrix: {0}")]
    Matrix(#[from] MatrixError),
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

impl Lasting {
    /// Builds a generation, and what makes its sidecar. Keys that the one before had
    /// are taken over; the others are still to be fetched. Takes a while: not for a
    /// thread that serves.
    pub(crate) fn build(
        &self,
        config: Arc<Config>,
        before: Option<&Generation>,
    ) -> Result<(Generation, Made), BuildError> {
        let observer = &self.observer;
        let keys = KeyStore::new(
            &config.issuers,
            config.limits.verified_tokens,
            observer.clone(),
            self.http.clone(),
        );
        if let Some(before) = before {
            keys.take_over(&before.keys);
        }
        let gateway = match before.filter(|before| is_same_gateway(&before.config, &config)) {
            Some(before) => before.gateway.clone(),
            None => Arc::new(Gateway::new(
                &config.gateway,
                observer.clone(),
                self.budget.clone(),
                before.map(|before| &*before.gateway),
            )?),
        };
        let legacy = match before.filter(|before| before.config.legacy == config.legacy) {
            Some(before) => before.legacy.clone(),
            None => Arc::new(Legacy::new(config.legacy.clone(), self.budget.clone())),
        };
        let mut matrix = Matrix::built_in()?;
        // Names were checked with the settings.
        let _ = matrix.set_modes(config.tenancy.mode, &config.tenancy.modes);
        observer.tell_budgets(&matrix);
        let rules = matrix.rules().iter().map(|rule| rule.name.to_string());
        let generation = Generation {
            number: before.map_or(1, |before| before.number + 1),
            keys: Arc::new(keys),
            gateway,
            rules: rules.collect(),
            table: status::rules(&matrix),
            legacy,
            config,
        };
        let sidecar = self.sidecar(&generation, matrix);
        Ok((generation, Box::new(sidecar)))
    }

    fn sidecar(
        &self,
        generation: &Generation,
        matrix: Matrix,
    ) -> impl FnOnce(Stopping) -> Sidecar + use<> {
        let (config, keys) = (generation.config.clone(), generation.keys.clone());
        let (gateway, legacy) = (generation.gateway.clone(), generation.legacy.clone());
        let (tenants, owners) = (self.tenants.clone(), self.owners.clone());
        let (objects, exported) = (self.objects.clone(), self.exported.clone());
        let (agents, runs) = (self.agents.clone(), self.runs.clone());
        let (handles, limiter) = (self.handles.clone(), self.limiter.clone());
        let (sessions, switch) = (self.sessions.clone(), self.switch.clone());
        let (cache, observer) = (self.cache.clone(), self.observer.clone());
        let budget = self.budget.clone();
        move |stopping| Sidecar {
            config,
            matrix,
            targets: Targets::new(),
            keys,
            tenants,
            owners,
            objects,
            exported,
            agents,
            runs,
            handles,
            limiter,
            sessions,
            switch,
            gateway,
            cache,
            observer,
            legacy,
            budget,
            stopping,
        }
    }
}
