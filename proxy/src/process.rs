//! The process: everything built from one checked configuration, served until a
//! signal, and stopped in order.

use crate::admin::status::Blind;
use crate::admin::{self, Admin};
use crate::behind::{self, Behind, Handles};
use crate::budget::Budget;
use crate::cache::Cache;
use crate::edge::{self, Runs};
use crate::gateway::SwitchBoard;
use crate::generation::{BuildError, Current, Generation, Lasting};
use crate::kept::Kept;
use crate::keys::KeyStore;
use crate::ledger::{self, Ledger, LedgerError, Retention};
use crate::limiter::Limiter;
use crate::observe::{JsonLines, Observer, Overflow, application};
use crate::owners::Owners;
use crate::panics::kept_up;
use crate::reload::Reloader;
use crate::sessions::Sessions;
use crate::snapshots::Snapshots;
use crate::supervisor::{self, PidFile, Presence};
use crate::tenants::Tenants;
use arc_swap::ArcSwap;
use camarad_config::{Config, Inputs};
use camarad_policies::run::Status;
use camarad_policies::seal::SealKey;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the signals: {0}")]
    Signals(std::io::Error),
    #[error(
        "owners.db in server.state_dir = {0}: {1}; it can be deleted, what it holds is learnt again"
    )]
    Owners(String, rusqlite::Error),
    #[error("{file} in server.state_dir = {0}: {1}; put it back from a backup, or move it away to begin a new one", file = ledger::FILE)]
    Ledger(String, LedgerError),
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("{key} = {value}: {error}")]
    Io {
        key: &'static str,
        value: String,
        error: std::io::Error,
    },
}

/// The signals that it listens for, before anything starts: one that came early would end
/// the process without a drain.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// SIGUSR1: the logs were moved away.
    reopen: Signal,
    /// SIGHUP: the settings are others.
    reload: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when somebody wants the process to end.
    pub(crate) async fn ended(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.reload.recv() => {}
        }
    }
}

/// A sidecar that serves.
pub(crate) struct Running {
    listening: edge::Listening,
    admin_address: SocketAddr,
    admin: Arc<Admin>,
    admin_task: JoinHandle<()>,
    behind_address: Option<SocketAddr>,
    behind_task: Option<JoinHandle<()>>,
    refresh_task: JoinHandle<()>,
    probe_task: JoinHandle<()>,
    watch_task: JoinHandle<()>,
    fetches: TaskTracker,
    config: Arc<Config>,
    _pid: PidFile,
    _presence: Presence,
}

/// Builds and starts everything.
///
/// `inputs` are where the settings can be read again.
pub(crate) async fn start(config: Config, inputs: Option<Inputs>) -> Result<Running, StartError> {
    let config = Arc::new(config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    raise_descriptors(config.limits.connections);
    let at = |key, value: &dyn ToString| {
        let value = value.to_string();
        move |error| StartError::Io { key, value, error }
    };
    let state_dir = &config.server.state_dir;
    std::fs::create_dir_all(state_dir).map_err(at("server.state_dir", &state_dir.display()))?;
    // Before anything of the state is touched: one that cannot serve must not take the
    // process id of one that does, nor call its runs interrupted.
    let admin_listener = TcpListener::bind(config.admin.listen).await;
    let admin_listener = admin_listener.map_err(at("admin.listen", &config.admin.listen))?;
    let admin_address = admin_listener.local_addr();
    let admin_address = admin_address.map_err(at("admin.listen", &config.admin.listen))?;
    // Kept from here on: who comes while the rest is made waits, and is not turned away.
    let listener = TcpListener::bind(config.server.listen).await;
    let listener = listener.map_err(at("server.listen", &config.server.listen))?;
    let presence = Presence::shared(state_dir);
    let presence =
        presence.map_err(at("sidecar.lock in server.state_dir", &state_dir.display()))?;
    let key = config.sessions.seal_key.as_ref();
    let key = key.and_then(|key| SealKey::new(key.expose().as_bytes()));
    let sessions = Sessions::open(key, state_dir);
    let sessions = Arc::new(sessions.map_err(at(
        "sessions.json in server.state_dir",
        &state_dir.display(),
    ))?);
    let pid = PidFile::write(state_dir);
    let pid = pid.map_err(at("sidecar.pid in server.state_dir", &state_dir.display()))?;
    let owners = Owners::open(state_dir)
        .map_err(|error| StartError::Owners(state_dir.display().to_string(), error))?;
    let retention = Retention {
        runs_per_client: config.ledger.runs_per_client,
        user_bytes: config.ledger.user_bytes,
        age_ms: config.ledger.max_age.as_millis() as i64,
        bytes: config.ledger.max_bytes,
    };
    let opened = Ledger::open(state_dir, retention, ledger::now_ms());
    let (ledger, interrupted) =
        opened.map_err(|error| StartError::Ledger(state_dir.display().to_string(), error))?;
    let target = &config.server.access_log;
    let log = JsonLines::open(target, Overflow::Drop).map_err(at("server.access_log", target))?;
    let target = &config.audit.log;
    let audit = JsonLines::open(target, Overflow::Keep).map_err(at("audit.log", target))?;
    let behind_listener = match config.behind {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.map_err(at("behind.listen", &address))?)
        }
        None => None,
    };
    let behind_address = behind_listener.as_ref().and_then(|l| l.local_addr().ok());
    let handles = behind_listener
        .as_ref()
        .map(|_| Arc::new(Handles::default()));

    let observer = Arc::new(Observer::new(
        &config.burst,
        log,
        audit,
        config.audit.allowed_writes,
    )?);
    let switch = Arc::new(SwitchBoard::new(&config.gateway));
    let budget = Budget::new(
        config.limits.buffered,
        observer.metrics.buffered_bytes.clone(),
    );
    let fetches = TaskTracker::new();
    let cache = Arc::new(Cache::new(
        config.cache.capacity_bytes,
        fetches.clone(),
        observer.metrics.cache_evictions_total.clone(),
    ));
    for status in Status::ALL
        .iter()
        .filter(|status| **status != Status::Running)
    {
        let runs = &observer.metrics.runs_total;
        runs.with_label_values(&[status.as_str()]).inc_by(0);
    }
    if interrupted > 0 {
        tracing::warn!(
            runs = interrupted,
            "runs were under way when the last process ended: they are interrupted"
        );
        let runs = &observer.metrics.runs_total;
        runs.with_label_values(&[Status::Interrupted.as_str()])
            .inc_by(interrupted as u64);
    }
    let ttl = config.tenancy.directory_ttl;
    let lasting = Arc::new(Lasting {
        tenants: Arc::new(Tenants::new(ttl)),
        owners: Arc::new(owners),
        objects: Arc::default(),
        exported: Arc::new(Kept::new(ttl)),
        agents: Arc::new(Kept::new(ttl)),
        runs: Arc::new(Runs::new(ledger, fetches.clone(), ttl)),
        handles: handles.clone(),
        limiter: Arc::new(Limiter::new(config.limits.refusals)),
        sessions: sessions.clone(),
        switch: switch.clone(),
        cache: cache.clone(),
        observer: observer.clone(),
        budget,
        http: KeyStore::client().map_err(BuildError::from)?,
    });
    let (generation, sidecar) = lasting.build(config.clone(), None)?;
    generation.keys.fetch_missing().await;
    let current: Current = Arc::new(ArcSwap::from_pointee(generation));
    let listening = edge::listen(listener, config.clone(), observer.clone(), sidecar);
    let listening = listening.map_err(at("server.listen", &config.server.listen))?;
    let (changed, _) = watch::channel(1);
    let reloader = Arc::new(Reloader {
        inputs,
        lasting,
        current: current.clone(),
        front: listening.front.clone(),
        changed,
        alone: Mutex::default(),
        snapshots: Arc::new(Snapshots::of(&config.server.state_dir)),
    });
    reloader.started().await;
    let behind_task = match (behind_listener, handles) {
        (Some(listener), Some(handles)) => {
            let behind = Behind {
                current: current.clone(),
                sessions: sessions.clone(),
                switch: switch.clone(),
                handles,
                observer: observer.clone(),
                nobody: behind::nobody()
                    .map_err(|error| at("behind.listen", &"randomness")(error.into()))?,
            };
            let router = behind::router(Arc::new(behind));
            Some(tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, router).await {
                    tracing::error!("the listener behind the app stopped: {error}");
                }
            }))
        }
        _ => None,
    };
    let admin = Arc::new(Admin {
        current: current.clone(),
        reloader: reloader.clone(),
        switch: switch.clone(),
        cache,
        sessions,
        observer,
        draining: AtomicBool::new(false),
        state_dir: config.server.state_dir.clone(),
        blind: Blind::new().map_err(|error| at("admin.listen", &"randomness")(error.into()))?,
    });
    let router = admin::router(admin.clone());
    let watched = admin.observer.clone();
    Ok(Running {
        listening,
        admin_address,
        admin: admin.clone(),
        behind_address,
        behind_task,
        admin_task: tokio::spawn(async move {
            if let Err(error) = axum::serve(admin_listener, router).await {
                tracing::error!("the admin listener stopped: {error}");
            }
        }),
        refresh_task: tokio::spawn(kept_up(admin.observer.clone(), {
            let reloader = reloader.clone();
            move || {
                for_each_generation(reloader.clone(), |generation| async move {
                    generation.keys.refresh_forever().await
                })
            }
        })),
        watch_task: tokio::spawn(kept_up(admin.observer.clone(), move || {
            let observer = watched.clone();
            async move {
                let mut second = tokio::time::interval(Duration::from_secs(1));
                loop {
                    second.tick().await;
                    observer.look_for_bursts();
                    supervisor::alive();
                }
            }
        })),
        probe_task: tokio::spawn(kept_up(admin.observer.clone(), move || {
            let switch = switch.clone();
            for_each_generation(reloader.clone(), move |generation| {
                let switch = switch.clone();
                async move { generation.gateway.probe_forever(switch).await }
            })
        })),
        fetches,
        config,
        _pid: pid,
        _presence: presence,
    })
}

/// Does the work of one generation after the other, until no more can come.
async fn for_each_generation<F: Future<Output = ()>>(
    reloader: Arc<Reloader>,
    work: impl Fn(Arc<Generation>) -> F,
) {
    let current = || work(reloader.current.load_full());
    at_each_change(reloader.changed.subscribe(), current).await;
}

/// Begins work anew at each change. Work that has ended, because there is nothing to do, is
/// not begun again before the next one: an issuer without a key set has none to fetch.
async fn at_each_change<F: Future<Output = ()>>(
    mut changed: watch::Receiver<u64>,
    work: impl Fn() -> F,
) {
    loop {
        let done_or_not = async {
            work().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = done_or_not => {}
            change = changed.changed() => if change.is_err() { return },
        }
    }
}

/// Takes as many descriptors as are allowed: a connection needs one, and one more to the app.
fn raise_descriptors(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = connections as u64 * 2 + 64;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "fewer descriptors are allowed than limits.connections may need: raise the hard limit (LimitNOFILE) or lower it"
        );
    }
}

impl Running {
    /// Where callers connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Where operators connect.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Where the app asks Coolbits, if it is to ask us.
    pub(crate) fn behind_address(&self) -> Option<SocketAddr> {
        self.behind_address
    }

    /// Who is told what happens.
    #[cfg(test)]
    pub(crate) fn observer(&self) -> &Observer {
        &self.admin.observer
    }

    /// Serves until SIGTERM (drains) or SIGINT (leaves at once); SIGUSR1 opens the logs again.
    pub(crate) async fn until_signal(self, signals: Signals) {
        let Signals {
            mut terminate,
            mut interrupt,
            mut reopen,
            mut reload,
        } = signals;
        let observer = self.admin.observer.clone();
        let reopened = observer.clone();
        // While it drains, too.
        let reopening = tokio::spawn(async move {
            while reopen.recv().await.is_some() {
                let reopened = reopened.clone();
                // A full queue is waited for.
                let all = move || {
                    reopened.reopen();
                    application().into_iter().for_each(JsonLines::reopen);
                };
                if tokio::task::spawn_blocking(all).await.is_ok() {
                    tracing::info!("the logs were opened again");
                }
            }
        });
        let reloader = self.admin.reloader.clone();
        let reloading = tokio::spawn(async move {
            while reload.recv().await.is_some() {
                // Told by the reloader itself.
                let _ = reloader.reload("SIGHUP").await;
            }
        });
        tokio::select! {
            _ = terminate.recv() => self.drain(&mut interrupt).await,
            _ = interrupt.recv() => tracing::info!("interrupted: leaving at once"),
        }
        reopening.abort();
        reloading.abort();
        observer.close();
    }

    /// Ends at once, for whoever started it and alone asks it.
    pub(crate) async fn stop(self) {
        self.listening.close(Duration::ZERO).await;
        self.refresh_task.abort();
        self.probe_task.abort();
        self.watch_task.abort();
        self.admin_task.abort();
        if let Some(task) = &self.behind_task {
            task.abort();
        }
        self.admin.observer.close();
    }

    async fn drain(self, interrupt: &mut Signal) {
        supervisor::stopping();
        self.admin.draining.store(true, Ordering::Relaxed);
        let (drain, grace) = (self.config.server.drain, self.config.server.grace);
        tracing::info!(
            drain_ms = drain.as_millis() as u64,
            grace_ms = grace.as_millis() as u64,
            "terminated: draining"
        );
        let ended = async {
            // Not ready any more, but serving: load balancers need time to notice.
            self.listening.stop_keeping();
            tokio::time::sleep(drain).await;
            self.fetches.close();
            let connections = self.listening.close(grace);
            let fetches = tokio::time::timeout(grace, self.fetches.wait());
            let (connections, fetches) = tokio::join!(connections, fetches);
            connections && fetches.is_ok()
        };
        tokio::select! {
            clean = ended => tracing::info!(clean, "drained"),
            _ = interrupt.recv() => tracing::info!("interrupted: leaving at once"),
        }
        self.refresh_task.abort();
        self.probe_task.abort();
        self.watch_task.abort();
        self.admin_task.abort();
        if let Some(task) = &self.behind_task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Without an issuer whose keys are fetched, the refresher had nothing to do, over and over,
    /// and took a whole core.
    #[tokio::test]
    async fn work_that_has_ended_begins_again_at_the_next_change_only() {
        let (change, watched) = watch::channel(0);
        let begun = Arc::new(AtomicU32::new(0));
        let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
        let count = begun.clone();
        let task = tokio::spawn(at_each_change(watched, move || {
            let begun = count.fetch_add(1, Ordering::Relaxed) + 1;
            let told = told.clone();
            async move { told.send(begun).unwrap() }
        }));
        for round in 1..=3 {
            assert_eq!(tell.recv().await, Some(round));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(begun.load(Ordering::Relaxed), round);
            change.send_replace(u64::from(round));
        }
        assert_eq!(tell.recv().await, Some(4));
        drop(change);
        task.await.unwrap();
        assert_eq!(tell.recv().await, None);
    }
}
