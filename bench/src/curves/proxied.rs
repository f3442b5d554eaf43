//! One point of a curve whose work the sidecar does: a process of its own, one round.

use super::Figure;
use crate::peers::http::once;
use crate::peers::rounds::capacity;
use crate::peers::scenario::{PAGE, Setup, request};
use crate::peers::sidecar;
use crate::peers::site::Site;
use crate::peers::upstream::MANY_CLIENTS;
use crate::peers::wire::{Ask, Load, Turn};
use std::io;
use std::time::Duration;

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Clients of the user who asks.
    Clients,
    /// Answers that are kept.
    Entries,
    /// Bytes of an answer that is looked through.
    Bytes,
    /// Open connections.
    Connections,
}

const CONNECTIONS: usize = 32;
/// Of large answers, which the sidecar holds whole.
const FEW: usize = 4;

impl Work {
    fn setup(self) -> Setup {
        match self {
            Self::Clients => Setup::Cached,
            Self::Entries => Setup::CachedMany,
            Self::Bytes => Setup::Hs256,
            Self::Connections => Setup::Idle,
        }
    }

    fn connections(self, at: u64) -> io::Result<usize> {
        match self {
            Self::Clients | Self::Entries => Ok(CONNECTIONS),
            Self::Bytes => Ok(FEW),
            Self::Connections => usize::try_from(at).map_err(io::Error::other),
        }
    }

    fn requests(self, at: u64, site: &Site) -> io::Result<Vec<Vec<u8>>> {
        let token = site.token(self.setup().algorithm(), |claims| {
            // Without the claim the app's list of clients decides.
            if let (Self::Clients, Some(claims)) = (self, claims.as_object_mut()) {
                claims.insert("uid".to_owned(), (MANY_CLIENTS + at - 1).into());
                claims.remove("clients");
            }
        })?;
        let list = |line: &str| request(line, Some(&token), Some(10), 0);
        Ok(match self {
            Self::Clients => vec![list("GET /api/flows")],
            Self::Entries => (0..at)
                .map(|n| list(&format!("GET /api/flows?n={n}")))
                .collect(),
            Self::Bytes => vec![list(&format!("GET /api/flows?bytes={at}"))],
            Self::Connections => vec![request(PAGE, None, None, 0)],
        })
    }
}

/// CPU µs per request.
///
/// # Errors
/// If the sidecar does not start or answers something else, or what is to be hits is not.
pub(super) fn cost(
    work: Work,
    at: u64,
    round: usize,
    length: Duration,
    site: &Site,
) -> io::Result<Figure> {
    let running = sidecar::start(&format!("{work:?} {at} {round}"), work.setup(), site, &[])?;
    let ask = Ask {
        target: running.address,
        requests: work.requests(at, site)?,
        turn: Turn::Round,
        status: 200,
    };
    let first = ask.requests.first().map_or(&[][..], Vec::as_slice);
    let (status, body) = once(running.address, first)?;
    if status != 200 {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        return Err(io::Error::other(format!("answered {status}, {text}")));
    }
    if work == Work::Entries {
        Load::new(&ask, CONNECTIONS)?.times(at)?;
    }
    let before = site.asked()?;
    let done = capacity(
        round,
        work.connections(at)?,
        &ask,
        (&running, &site.upstream),
        length,
    )?;
    let hits = matches!(work, Work::Clients | Work::Entries);
    // The upstream is asked again for answers that were too old by then.
    let misses = site.asked()? - before;
    if hits && misses > 0 {
        let words = format!("{misses} were no hits: too old by then, or no room for them");
        return Err(io::Error::other(words));
    }
    Ok(Figure {
        cost: done.cpu_micros,
        disturbed: done.noise.disturbed,
    })
}
