//! What is measured.

use super::site::Site;
use super::upstream::LARGE;
use jsonwebtoken::Algorithm;
use std::io;
use std::time::Duration;

/// How a peer is set up; each is a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(super) enum Setup {
    /// HS256, nothing cached.
    Hs256,
    /// RS256, nothing cached.
    Rs256,
    /// HS256; lists are kept for 30 s, by user, client and target.
    Cached,
}

impl Setup {
    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Hs256 | Self::Cached => Algorithm::HS256,
        }
    }
}

/// One kind of work. All but S1 carry a token and `X-Client-ID`.
pub(super) struct Scenario {
    /// Short name, as the command line and the table have it.
    pub(super) id: &'static str,
    pub(super) words: &'static str,
    pub(super) setup: Setup,
    /// Whether it is only passed on, so that a bare proxy does the same work.
    pub(super) plain: bool,
    pub(super) connections: usize,
    /// Whether there is a round at a fixed rate.
    pub(super) timed: bool,
    pub(super) status: Status,
    line: &'static str,
    client: Option<u32>,
    body: usize,
}

/// What the answer must say; peers refuse a client each in their own way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Refused,
}

const CONNECTIONS: usize = 32;
const DOWNLOADS: usize = 4;

const fn small(id: &'static str, words: &'static str, setup: Setup) -> Scenario {
    Scenario {
        id,
        words,
        setup,
        plain: false,
        connections: CONNECTIONS,
        timed: true,
        status: Status::Good,
        line: "GET /api/flows",
        client: Some(10),
        body: 0,
    }
}

/// All scenarios that have peers, in the order of the table.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        plain: true,
        line: "GET /static/bench/small",
        client: None,
        ..small("S1", "passed on, 1 KB, no token", Setup::Hs256)
    },
    small("S2", "HS256, client in the claim, 1 KB", Setup::Hs256),
    small("S2b", "RS256, client in the claim, 1 KB", Setup::Rs256),
    small("S3", "S2 from the cache", Setup::Cached),
    Scenario {
        status: Status::Refused,
        client: Some(99),
        ..small("S4", "a client that is not in the claim", Setup::Hs256)
    },
    Scenario {
        plain: true,
        connections: DOWNLOADS,
        timed: false,
        line: "GET /static/bench/large",
        client: None,
        ..small("S9d", "5 MB download", Setup::Hs256)
    },
    Scenario {
        plain: true,
        connections: DOWNLOADS,
        timed: false,
        line: "POST /api/orchestrator/route",
        body: LARGE,
        ..small("S9u", "5 MB upload, with a token", Setup::Hs256)
    },
];

impl Scenario {
    /// The bytes of a request.
    pub(super) fn request(&self, site: &Site) -> io::Result<Vec<u8>> {
        let token = site.token(self.setup.algorithm(), |_| ())?;
        let token = self.client.map(|_| token);
        let mut bytes = request(self.line, token.as_deref(), self.client, self.body);
        bytes.resize(bytes.len() + self.body, b'x');
        Ok(bytes)
    }

    /// Rounds of large bodies are longer, so that there are enough requests in them.
    pub(super) fn length(&self, length: Duration) -> Duration {
        if self.timed {
            length
        } else {
            length.mul_f64(1.5)
        }
    }
}

/// A head: method and path, a bearer, a client, and the length of what follows.
pub(super) fn request(
    line: &str,
    token: Option<&str>,
    client: Option<u32>,
    body: usize,
) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n");
    if let Some(token) = token {
        text += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(client) = client {
        text += &format!("X-Client-ID: {client}\r\n");
    }
    if body > 0 {
        text += &format!("Content-Type: application/json\r\nContent-Length: {body}\r\n");
    }
    (text + "\r\n").into_bytes()
}
