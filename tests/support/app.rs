//! An app that does what its test says, byte by byte.

use super::{Setup, Sidecar};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Nothing here waits longer: an app that is not asked is a failed test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where it listens.
pub struct App(pub TcpListener);

impl App {
    /// The app, and a sidecar in front of it.
    pub async fn with_sidecar() -> (Self, Sidecar) {
        Self::with(Setup::default()).await
    }

    /// The same with a sidecar of this setup.
    pub async fn with(setup: Setup) -> (Self, Sidecar) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sidecar = setup.set("LEGACY_URL", url).start_alone().await;
        (Self(listener), sidecar)
    }

    /// The next connection to it.
    pub async fn accept(&self) -> TcpStream {
        let next = tokio::time::timeout(PATIENCE, self.0.accept()).await;
        let (socket, _) = next.expect("nobody asks").unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }
}

/// Reads a head up to its end; false where the connection ends instead.
pub async fn asked(socket: &mut TcpStream) -> bool {
    read_to(socket, b"\r\n\r\n").await.is_some()
}

/// Reads until it has come to this; `None` where the connection ends before.
pub async fn read_to(socket: &mut TcpStream, end: &[u8]) -> Option<String> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        let read = tokio::time::timeout(PATIENCE, socket.read_buf(&mut all)).await;
        if read.expect("neither bytes nor the end").unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&all).into_owned())
}
