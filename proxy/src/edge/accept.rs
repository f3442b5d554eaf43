//! The listener: accepting connections, and draining them.
//!
//! Pingora's own server binds by name and cannot tell which port 0 became, and
//! its shutdown always sleeps the whole grace period. `HttpProxy` is made for a
//! loop of one's own (its documentation says so), and that is this.

use super::Sidecar;
use super::connection::Host;
use super::hooks::StreamLane;
use crate::observe::Observer;
use crate::panics::kept_up;
use arc_swap::{ArcSwap, Guard};
use camarad_config::Config;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Connections that are being told that there are too many; beyond that they are only closed.
const MOST_TURNED_AWAY: usize = 256;

/// Where the listener stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// New connections are taken.
    Open,
    /// They are not, and connections end with the request under way.
    Closing,
}

/// A listener that is being served.
pub(crate) struct Listening {
    /// The address it is bound to, with the real port.
    pub(crate) address: SocketAddr,
    /// Who serves its requests.
    pub(crate) front: Arc<Front>,
    phase: watch::Sender<Phase>,
    stopping: watch::Sender<bool>,
    connections: TaskTracker,
}

/// Tells hooks whether the process is about to stop.
pub(crate) type Stopping = watch::Receiver<bool>;

/// Who serves requests: one looks as it begins, and keeps what it saw.
pub(crate) struct Front {
    serving: ArcSwap<Serving>,
    stopping: Stopping,
}

/// What one generation of the settings serves with.
pub(super) struct Serving {
    pub(super) sidecar: Arc<Sidecar>,
    /// For what it streams.
    pub(super) proxy: Arc<HttpProxy<StreamLane>>,
    pub(super) config: Arc<Config>,
}

impl Serving {
    fn new(config: Arc<Config>, sidecar: Sidecar) -> Self {
        let conf = ServerConf {
            threads: config.server.threads,
            // One attempt, and one more for reads that a stale pooled connection broke.
            max_retries: 2,
            ..ServerConf::default()
        };
        let sidecar = Arc::new(sidecar);
        let lane = StreamLane(sidecar.clone());
        Self {
            sidecar,
            proxy: Arc::new(http_proxy(&Arc::new(conf), lane)),
            config,
        }
    }
}

impl Front {
    pub(super) fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// The same into what was serving: most often it still does, and to look costs less.
    pub(super) fn renew(&self, serving: &mut Arc<Serving>) {
        let now = self.serving.load();
        if !Arc::ptr_eq(&now, serving) {
            *serving = Guard::into_inner(now);
        }
    }

    pub(super) fn stopping(&self) -> &Stopping {
        &self.stopping
    }

    /// From the next request on another sidecar serves, on every connection.
    pub(crate) fn swap(&self, config: Arc<Config>, sidecar: impl FnOnce(Stopping) -> Sidecar) {
        let serving = Serving::new(config, sidecar(self.stopping.clone()));
        self.serving.store(Arc::new(serving));
    }
}

/// Serves who comes to this listener; `sidecar` is made with what it is to watch.
pub(crate) fn listen(
    listener: TcpListener,
    config: Arc<Config>,
    observer: Arc<Observer>,
    sidecar: impl FnOnce(Stopping) -> Sidecar,
) -> io::Result<Listening> {
    let listener = Arc::new(listener);
    let (phase, phase_watch) = watch::channel(Phase::Open);
    let (stopping, stopping_watch) = watch::channel(false);
    let serving = Serving::new(config, sidecar(stopping_watch.clone()));
    let front = Arc::new(Front {
        serving: ArcSwap::from_pointee(serving),
        stopping: stopping_watch,
    });
    let host = Arc::new(Host {
        front: front.clone(),
        observer,
        phase: phase_watch,
    });
    let listening = Listening {
        address: listener.local_addr()?,
        front,
        phase,
        stopping,
        connections: TaskTracker::new(),
    };
    let connections = listening.connections.clone();
    tokio::spawn(kept_up(host.observer.clone(), move || {
        accept(listener.clone(), host.clone(), connections.clone())
    }));
    Ok(listening)
}

impl Listening {
    /// From now on every answer says `Connection: close`; everything is still served.
    pub(crate) fn stop_keeping(&self) {
        // Fails only when nobody listens any more, which is what is wanted.
        let _ = self.stopping.send(true);
    }

    /// Takes no new connection, lets requests under way end, and comes back
    /// when they have or when `grace` is over; true when all have ended.
    pub(crate) async fn close(self, grace: Duration) -> bool {
        self.stop_keeping();
        let _ = self.phase.send(Phase::Closing);
        self.connections.close();
        tokio::time::timeout(grace, self.connections.wait())
            .await
            .is_ok()
    }
}

async fn accept(listener: Arc<TcpListener>, host: Arc<Host>, connections: TaskTracker) {
    let mut phase = host.phase.clone();
    let turned_away = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase == Phase::Closing) => return,
        };
        match accepted {
            Ok((stream, _))
                if connections.len() >= host.front.serving().config.limits.connections =>
            {
                turn_away(&host, &turned_away, stream);
            }
            Ok((stream, _)) => {
                let host = host.clone();
                connections.spawn(async move { host.serve(stream).await });
            }
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                // Out of descriptors, most likely: wait for some to be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn turn_away(host: &Arc<Host>, turned_away: &TaskTracker, stream: TcpStream) {
    if turned_away.len() < MOST_TURNED_AWAY {
        let host = host.clone();
        turned_away.spawn(async move { host.turn_away(stream).await });
    }
}
