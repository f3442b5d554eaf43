//! S8: what connections hold that do nothing.
//!
//! Each is opened, asks for the page of S1, has its answer, and waits. What the proxy's
//! processes hold more by then, over their number, is what one holds. Memory of the kernel
//! is no part of it: that is the same for all.

use super::http::{ask_on, connect};
use super::peer::Peer;
use super::process::Running;
use super::scenario::{PAGE, Setup, request};
use super::site::Site;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::TcpStream;
use std::time::Duration;

/// Its name on the command line and in the tables.
pub(super) const ID: &str = "S8";
/// Connections that are wanted.
pub(crate) const WANTED: usize = 10_000;
/// What proxies are told to make room for; nginx begins to close idle ones when the last
/// sixteenth of it is taken.
pub(super) const ROOM: usize = WANTED + WANTED / 5;
/// Descriptors that are not connections of ours, and more than enough.
const SPARE: usize = 200;
/// HAProxy counts two for each connection that it makes room for.
const DESCRIPTORS: u64 = 2 * ROOM as u64 + 2000;
/// Connections before the first look at the memory, which come and go.
const BEFORE: usize = 200;

/// What one peer held.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) peer: String,
    pub(super) connections: usize,
    before_kib: u64,
    after_kib: u64,
}

impl Held {
    /// KiB of one connection.
    pub(super) fn each(&self) -> f64 {
        self.after_kib.saturating_sub(self.before_kib) as f64 / self.connections.max(1) as f64
    }

    #[cfg(test)]
    pub(super) fn sample(peer: &str, connections: usize, kib: u64) -> Self {
        Self {
            peer: peer.to_owned(),
            connections,
            before_kib: 1000,
            after_kib: 1000 + kib,
        }
    }
}

/// All peers, one after the other.
///
/// # Errors
/// If one does not start, does not answer, or does not keep its connections.
pub(super) fn measure(peers: &[Box<dyn Peer>], site: &Site) -> io::Result<Vec<Held>> {
    let connections = room()?;
    let mut held = Vec::new();
    for peer in peers {
        let running = peer.start(Setup::Idle, site)?;
        let of = hold(peer.name(), &running, connections);
        held.push(of.map_err(|error| io::Error::other(format!("{}, {ID}: {error}", peer.name())))?);
    }
    Ok(held)
}

/// Makes room for as many connections as are wanted, and says for how many there is.
///
/// # Errors
/// If the limit of descriptors cannot be set at all.
pub(crate) fn room() -> io::Result<usize> {
    Ok(room_for(raise_descriptors()?))
}

/// Raises the limit of descriptors, which children inherit; what it is then.
fn raise_descriptors() -> io::Result<u64> {
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(hard.max(DESCRIPTORS)),
    };
    // Above the hard limit only root may go.
    if setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(DESCRIPTORS);
    }
    let current = Some(hard.min(DESCRIPTORS));
    setrlimit(Resource::Nofile, Rlimit { current, ..now })?;
    Ok(hard.min(DESCRIPTORS))
}

/// How many connections there can be with so many descriptors.
fn room_for(descriptors: u64) -> usize {
    let room = usize::try_from(descriptors).unwrap_or(usize::MAX);
    WANTED.min(room.saturating_sub(SPARE))
}

fn hold(peer: &str, running: &Running, connections: usize) -> io::Result<Held> {
    let page = request(PAGE, None, None, 0);
    let open = || -> io::Result<TcpStream> {
        let mut stream = connect(running.address)?;
        answered(&mut stream, &page)?;
        Ok(stream)
    };
    // What the first ones bring along for all is not theirs.
    drop(
        (0..BEFORE)
            .map(|_| open())
            .collect::<io::Result<Vec<_>>>()?,
    );
    settle();
    let before_kib = running.resident();
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(open()?);
    }
    settle();
    let after_kib = running.resident();
    // They were idle, not closed.
    for stream in streams.iter_mut().step_by(connections / 100 + 1) {
        answered(stream, &page)?;
    }
    Ok(Held {
        peer: peer.to_owned(),
        connections,
        before_kib,
        after_kib,
    })
}

fn answered(stream: &mut TcpStream, page: &[u8]) -> io::Result<()> {
    match ask_on(stream, page)? {
        (200, _) => Ok(()),
        (status, _) => Err(io::Error::other(format!("answered {status}"))),
    }
}

/// Ends of connections are noticed, and memory is given back a little later.
fn settle() {
    std::thread::sleep(Duration::from_secs(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_descriptors_are_few_there_are_fewer_connections() {
        for (descriptors, connections) in [
            (1024, 824),
            (100, 0),
            (10_199, 9_999),
            (10_200, WANTED),
            (u64::MAX, WANTED),
        ] {
            assert_eq!(room_for(descriptors), connections);
        }
    }

    #[test]
    fn what_was_held_before_is_no_connections() {
        assert!((Held::sample("sidecar", 100, 350).each() - 3.5).abs() < 1e-9);
    }
}
