//! Taking other settings without a restart: read, checked, built, and then swapped whole.
//!
//! A file that is not good, that changes what takes a new process, or whose issuers have no
//! keys leaves everything as it is, and everything that is wrong is told. What was cached
//! under the old settings is given to nobody any more.

use crate::edge::Front;
use crate::generation::{BuildError, Current, Generation, Lasting, Made};
use crate::snapshots::{Applied, Order, Outcome, Snapshots, short};
use camarad_config::{Change, Config, Inputs, Problems, changes, load, told_keys};
use camarad_policies::purge::Purge;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How long issuers may take to give their keys.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes other settings.
pub(crate) struct Reloader {
    /// Where the settings are read again; `None` where they came from nowhere.
    pub(crate) inputs: Option<Inputs>,
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) current: Current,
    pub(crate) front: Arc<Front>,
    /// Whoever works for a generation is told that there is another one.
    pub(crate) changed: watch::Sender<u64>,
    /// One at a time.
    pub(crate) alone: Mutex<()>,
    /// Where what was applied is kept.
    pub(crate) snapshots: Arc<Snapshots>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Reloaded {
    /// Other settings are in force.
    Applied(u64, Vec<Change>),
    /// Nothing was another one; what their files hold was read again all the same.
    Same(u64),
}

/// Why the settings in force stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("{0}")]
    Settings(Problems),
    #[error("{}: takes a restart", .0.join(", "))]
    Restart(Vec<String>),
    #[error("no keys could be had of every issuer: see the warnings")]
    Keys,
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("reading or building them broke off")]
    Broke,
    #[error("this one was not started from settings that could be read again")]
    NoSettings,
}

impl ReloadError {
    /// Each thing that is wrong, by itself.
    pub(crate) fn problems(&self) -> Vec<String> {
        match self {
            Self::Settings(problems) => problems.0.iter().map(ToString::to_string).collect(),
            Self::Restart(keys) => {
                let told = |key: &String| format!("{key}: a change of it takes a restart");
                keys.iter().map(told).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

impl Reloaded {
    /// As it is answered.
    pub(crate) fn told(&self) -> Value {
        let (generation, changed) = match self {
            Self::Applied(generation, changes) => (generation, &changes[..]),
            Self::Same(generation) => (generation, &[][..]),
        };
        let changed = changed.iter().map(
            |change| json!({"key": change.key, "before": change.before, "after": change.after}),
        );
        json!({"generation": generation, "changed": changed.collect::<Value>()})
    }
}

impl Reloader {
    /// Reads the settings again and puts them in force, or tells why not.
    pub(crate) async fn reload(&self, asked_by: &str) -> Result<Reloaded, ReloadError> {
        let _alone = self.alone.lock().await;
        let order = self.off_the_threads(Snapshots::take_order).await.flatten();
        let outcome = self.attempt().await;
        if let Ok(reloaded) = &outcome {
            self.keep(asked_by, reloaded, order.clone()).await;
        }
        let metrics = &self.lasting.observer.metrics;
        let word = match &outcome {
            Ok(Reloaded::Applied(generation, changes)) => {
                let keys = told_keys(changes).join(",");
                tracing::info!(asked_by, generation, keys, "other settings are in force");
                "applied"
            }
            Ok(Reloaded::Same(generation)) => {
                tracing::info!(asked_by, generation, "the settings are as they were");
                "unchanged"
            }
            Err(error) => {
                for problem in error.problems() {
                    tracing::error!(asked_by, problem, "the settings in force stay");
                }
                "refused"
            }
        };
        metrics
            .config_reloads_total
            .with_label_values(&[word])
            .inc();
        metrics.config_refused.set(i64::from(outcome.is_err()));
        if let Some(order) = order {
            self.answer(order, &outcome).await;
        }
        outcome
    }

    /// Keeps what the process began with.
    pub(crate) async fn started(&self) {
        let generation = self.current.load().number;
        let reloaded = Reloaded::Applied(generation, Vec::new());
        self.keep("start", &reloaded, None).await;
    }

    /// Keeps what is in force now. What cannot be kept is told, and is in force all the same.
    async fn keep(&self, asked_by: &str, reloaded: &Reloaded, order: Option<Order>) {
        let config = self.current.load().config.clone();
        let (changed, is_same) = match reloaded {
            Reloaded::Applied(_, changes) => (&changes[..], false),
            Reloaded::Same(_) => (&[][..], true),
        };
        let changed = told_keys(changed);
        let reason = asked_by.to_owned();
        let kept = self.off_the_threads(move |snapshots| {
            let how = Applied {
                order: order.as_ref(),
                is_same,
                changed,
            };
            snapshots.applied(&config, &reason, how)
        });
        match kept.await {
            Some(Ok(entry)) => {
                let metrics = &self.lasting.observer.metrics;
                metrics.config_rolled_back.set(i64::from(entry.rolled_back));
                let (snapshot, since) = (short(&entry.id), &entry.time);
                if entry.rolled_back {
                    tracing::warn!(snapshot, since, "a configuration from before is in force");
                } else {
                    tracing::debug!(snapshot, since, "the configuration is kept");
                }
            }
            Some(Err(error)) => tracing::error!("the configuration cannot be kept: {error}"),
            None => tracing::error!("the configuration cannot be kept: keeping it broke off"),
        }
    }

    /// Tells whoever ordered to go back what came of it.
    async fn answer(&self, order: Order, outcome: &Result<Reloaded, ReloadError>) {
        let outcome = Outcome {
            nonce: order.nonce,
            generation: self.current.load().number,
            problems: outcome
                .as_ref()
                .err()
                .map(ReloadError::problems)
                .unwrap_or_default(),
        };
        let told = self.off_the_threads(move |snapshots| snapshots.answer(&outcome));
        if let Some(Err(error)) = told.await {
            tracing::error!("whoever ordered the rollback cannot be told: {error}");
        }
    }

    /// Reads or writes where nobody is served meanwhile.
    async fn off_the_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshots) -> T + Send + 'static,
    ) -> Option<T> {
        let snapshots = self.snapshots.clone();
        tokio::task::spawn_blocking(move || work(&snapshots))
            .await
            .ok()
    }

    async fn attempt(&self) -> Result<Reloaded, ReloadError> {
        let inputs = self.inputs.clone().ok_or(ReloadError::NoSettings)?;
        // Reading and building take a while, and the threads here serve.
        let read = tokio::task::spawn_blocking(move || load(&inputs)).await;
        let config = read.map_err(|_| ReloadError::Broke)?;
        let config = config.map_err(ReloadError::Settings)?;
        let before = self.current.load_full();
        let changes = changes(&before.config.settings, &config.settings);
        let mut at_start: Vec<String> = changes
            .iter()
            .filter(|change| change.needs_restart())
            .map(|change| change.key.clone())
            .collect();
        if at_start.is_empty() && before.config.sessions.seal_key != config.sessions.seal_key {
            at_start.push("the secret of sessions.seal_key_file".to_owned());
        }
        if !at_start.is_empty() {
            return Err(ReloadError::Restart(at_start));
        }
        let (lasting, old) = (self.lasting.clone(), before.clone());
        let build = move || lasting.build(Arc::new(config), Some(&old));
        let built = tokio::task::spawn_blocking(build).await;
        let (generation, sidecar) = built.map_err(|_| ReloadError::Broke)??;
        let fetch = generation.keys.fetch_missing();
        let fetched = tokio::time::timeout(PATIENCE, fetch).await;
        if fetched.is_err() || !generation.keys.ready() {
            return Err(ReloadError::Keys);
        }
        Ok(self.swap(&before, generation, sidecar, changes))
    }

    fn swap(
        &self,
        before: &Generation,
        generation: Generation,
        sidecar: Made,
        changes: Vec<Change>,
    ) -> Reloaded {
        let config = generation.config.clone();
        let number = generation.number;
        self.front.swap(config.clone(), sidecar);
        self.current.store(Arc::new(generation));
        self.turn(&before.config, &config);
        // An issuer that is gone has no keys that could be old.
        self.lasting.observer.metrics.key_age_seconds.reset();
        // Fetches of the old generation that are under way are not kept either.
        self.lasting.cache.purge(&Purge::All);
        self.changed.send_replace(number);
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        match changes.is_empty() {
            true => Reloaded::Same(number),
            false => Reloaded::Applied(number, changes),
        }
    }

    /// The gateway's switch follows the file where the file says something else than before;
    /// an order given at run time stays otherwise.
    fn turn(&self, before: &Config, now: &Config) {
        let (old, new) = (&before.gateway, &now.gateway);
        let enabled = (old.enabled != new.enabled).then_some(new.enabled);
        let mock_only = (old.mock_only != new.mock_only).then_some(&new.mock_only);
        self.lasting.switch.set(enabled, mock_only);
        self.lasting.switch.allow_service(new.service_account);
    }
}
