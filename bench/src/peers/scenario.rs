//! What is measured.

use super::site::Site;
use super::upstream::LARGE;
use jsonwebtoken::Algorithm;
use std::io;
use std::time::Duration;

/// How a peer is set up; each is a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Setup {
    /// HS256, nothing cached.
    Hs256,
    /// RS256, nothing cached.
    Rs256,
    /// HS256; lists are kept for 30 s, by user, client and target.
    Cached,
    /// HS256; connectors are read from Coolbits, nothing cached.
    Gateway,
    /// The same with the cache as it is shipped.
    GatewayCached,
    /// HS256; Coolbits is dead and its breaker open, the cache as it is shipped.
    Outage,
    /// The same with nothing cached.
    OutageUncached,
    /// HS256, nothing cached, and room for the connections of S8.
    Idle,
    /// As [`Self::Cached`], with room for a hundred thousand answers.
    CachedMany,
}

/// Who can do the work of a scenario.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Any proxy: it is only passed on.
    PassedOn,
    /// Whoever verifies tokens and decides on clients.
    Decided,
    /// The sidecar alone; goals compare it with itself.
    Own,
}

impl Setup {
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            _ => Algorithm::HS256,
        }
    }
}

/// One kind of work. All but S1 carry a token and `X-Client-ID`.
pub(crate) struct Scenario {
    /// Short name, as the command line and the table have it.
    pub(crate) id: &'static str,
    pub(crate) words: &'static str,
    pub(crate) setup: Setup,
    pub(crate) work: Work,
    pub(crate) connections: usize,
    /// Requests a second of each peer in rounds at a fixed rate, if there are any.
    pub(crate) rate: Option<f64>,
    /// Its bodies have 64 KiB and more: fewer of them go in a second.
    pub(crate) is_large: bool,
    pub(crate) status: Status,
    line: &'static str,
    client: Option<u32>,
    body: usize,
}

/// What the answer must say; peers refuse a client each in their own way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Refused,
}

/// Requests a second of each in rounds at a fixed rate; with all peers in turn, the proxies' CPU
/// is idle most of the time.
pub(super) const RATE: f64 = 500.0;
/// The same of those that pass 5 MB on.
pub(super) const LARGE_RATE: f64 = 20.0;

const CONNECTIONS: usize = 32;
const DOWNLOADS: usize = 4;

const fn small(id: &'static str, words: &'static str, setup: Setup) -> Scenario {
    Scenario {
        id,
        words,
        setup,
        work: Work::Decided,
        connections: CONNECTIONS,
        rate: Some(RATE),
        is_large: false,
        status: Status::Good,
        line: "GET /api/flows",
        client: Some(10),
        body: 0,
    }
}

/// All scenarios, in the order of the table.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        work: Work::PassedOn,
        line: PAGE,
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
        work: Work::PassedOn,
        connections: DOWNLOADS,
        rate: Some(LARGE_RATE),
        is_large: true,
        line: "GET /static/bench/large",
        client: None,
        ..small("S9d", "5 MB download", Setup::Hs256)
    },
    Scenario {
        work: Work::PassedOn,
        connections: DOWNLOADS,
        rate: Some(LARGE_RATE),
        is_large: true,
        line: "POST /api/orchestrator/route",
        body: LARGE,
        ..small("S9u", "5 MB upload, with a token", Setup::Hs256)
    },
    Scenario {
        line: CAMPAIGNS,
        ..own(
            "S5",
            "Google Ads campaigns mapped from Coolbits, a miss each time",
            Setup::Gateway,
        )
    },
    Scenario {
        line: CAMPAIGNS,
        ..own("S5h", "S5 from the cache", Setup::GatewayCached)
    },
    Scenario {
        line: CAMPAIGNS,
        ..own(
            "S6",
            "S5 with Coolbits dead and the breaker open: the mock's answer, kept for 5 s",
            Setup::Outage,
        )
    },
    Scenario {
        line: CAMPAIGNS,
        ..own("S6b", "S6 with nothing kept", Setup::OutageUncached)
    },
    Scenario {
        line: "GET /api/flows?bytes=65536",
        rate: None,
        is_large: true,
        ..own(
            "S7",
            "a list of 64 KiB, looked through for others' rows",
            Setup::Hs256,
        )
    },
    Scenario {
        line: "GET /static/bench/bytes?n=65536",
        client: None,
        rate: None,
        is_large: true,
        ..own("S7p", "the bytes of S7 passed on", Setup::Hs256)
    },
];

/// An account of which the mock has about as many bytes as the list of S3.
pub(crate) const CAMPAIGNS: &str =
    "GET /api/connectors/google-ads/campaigns?account_id=234-567-8901&days=30";

const fn own(id: &'static str, words: &'static str, setup: Setup) -> Scenario {
    Scenario {
        work: Work::Own,
        ..small(id, words, setup)
    }
}

impl Scenario {
    /// The bytes of the requests, one for each connection in turn. What is read from Coolbits
    /// each time is read by another user on each: reads that are alike wait for each other, and
    /// so do a user's reads of Google Ads. Hits, of S3, S5h and S6, are one user's.
    pub(crate) fn requests(&self, site: &Site) -> io::Result<Vec<Vec<u8>>> {
        let users = match self.setup {
            Setup::Gateway | Setup::OutageUncached => self.connections as u64,
            Setup::Hs256
            | Setup::Rs256
            | Setup::Cached
            | Setup::GatewayCached
            | Setup::Outage
            | Setup::Idle
            | Setup::CachedMany => 1,
        };
        (1..=users).map(|user| self.request(site, user)).collect()
    }

    fn request(&self, site: &Site, user: u64) -> io::Result<Vec<u8>> {
        let token = site.token(self.setup.algorithm(), |claims| claims["uid"] = user.into())?;
        let token = self.client.map(|_| token);
        let mut bytes = request(self.line, token.as_deref(), self.client, self.body);
        bytes.resize(bytes.len() + self.body, b'x');
        Ok(bytes)
    }

    /// Rounds of large bodies are longer, so that there are enough requests in them.
    pub(crate) fn length(&self, length: Duration) -> Duration {
        match self.is_large {
            true => length.mul_f64(1.5),
            false => length,
        }
    }

    /// Of the few requests in rounds of large bodies at a fixed rate the p99 would be the second
    /// slowest, which says little: in twice the time it is the third.
    pub(crate) fn timed_length(&self, length: Duration) -> Duration {
        match self.is_large {
            true => 2 * length,
            false => length,
        }
    }
}

/// What S1 and S8 ask.
pub(crate) const PAGE: &str = "GET /static/bench/small";

/// A head: method and path, a bearer, a client, and the length of what follows.
pub(crate) fn request(
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

#[cfg(test)]
mod tests {
    use super::super::upstream::MANY;
    use super::*;

    #[test]
    fn s7_asks_for_as_many_bytes_as_its_goal_counts() {
        for id in ["S7", "S7p"] {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.id == id);
            assert!(scenario.is_some_and(|scenario| scenario.line.ends_with(&format!("={MANY}"))));
        }
    }
}
