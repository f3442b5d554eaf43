//! The listener: accepting connections for Pingora's proxy, and draining them.
//!
//! Pingora's own server binds by name and cannot tell which port 0 became, and
//! its shutdown always sleeps the whole grace period. `HttpProxy` is made for a
//! loop of one's own (its documentation says so), and that is this.

use super::Sidecar;
use pingora::apps::ServerApp;
use pingora::protocols::GetSocketDigest;
use pingora::protocols::SocketDigest;
use pingora::protocols::l4::stream::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// A listener that is being served.
pub(crate) struct Listening {
    /// The address it is bound to, with the real port.
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    proxy: Arc<HttpProxy<Sidecar>>,
    connections: TaskTracker,
}

/// Binds and serves.
pub(crate) async fn listen(address: SocketAddr, sidecar: Sidecar) -> io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let conf = ServerConf {
        threads: sidecar.config.server.threads,
        max_retries: 1,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(sidecar, Arc::new(conf));
    proxy.handle_init_modules();
    let (stop, stopping) = watch::channel(false);
    let listening = Listening {
        address: listener.local_addr()?,
        stop,
        proxy: Arc::new(proxy),
        connections: TaskTracker::new(),
    };
    let (proxy, connections) = (listening.proxy.clone(), listening.connections.clone());
    tokio::spawn(accept(listener, proxy, connections, stopping));
    Ok(listening)
}

impl Listening {
    /// Takes no new connection, lets requests under way end, and comes back
    /// when they have or when `grace` is over; true when all have ended.
    pub(crate) async fn drain(self, grace: Duration) -> bool {
        // Fails only when nobody listens any more, which is what is wanted.
        let _ = self.stop.send(true);
        // Wakes the connections that wait for a next request.
        ServerApp::cleanup(&*self.proxy).await;
        self.connections.close();
        tokio::time::timeout(grace, self.connections.wait())
            .await
            .is_ok()
    }
}

async fn accept(
    listener: TcpListener,
    proxy: Arc<HttpProxy<Sidecar>>,
    connections: TaskTracker,
    stopping: watch::Receiver<bool>,
) {
    let mut stopped = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (proxy, stopping) = (proxy.clone(), stopping.clone());
                connections.spawn(async move {
                    proxy
                        .process_new(Box::new(prepared(stream)), &stopping)
                        .await;
                });
            }
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                // Out of descriptors, most likely: wait for some to be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn prepared(stream: TcpStream) -> Stream {
    // Answers are written whole; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    let _ = digest.peer_addr();
    let mut stream = Stream::from(stream);
    stream.set_socket_digest(digest);
    stream
}
