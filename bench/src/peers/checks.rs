//! Whether a peer does the work, before it is measured.

use super::http::once;
use super::peer::Peer;
use super::process::Running;
use super::scenario::{CAMPAIGNS, SCENARIOS, Setup, Work, request};
use super::site::Site;
use super::upstream::SMALL;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::io;

const LIST: &str = "GET /api/flows";

/// One peer in one setup, and what it is tried with.
struct Trial<'a> {
    who: String,
    running: &'a Running,
    site: &'a Site,
    algorithm: Algorithm,
}

/// Tries everything that this setup is measured for.
///
/// # Errors
/// Says which peer failed at what, with what it answered.
pub(super) fn check(
    peer: &dyn Peer,
    setup: Setup,
    running: &Running,
    site: &Site,
) -> io::Result<()> {
    let who = format!("{} ({setup:?})", peer.name());
    let trial = Trial {
        who,
        running,
        site,
        algorithm: setup.algorithm(),
    };
    let page = request("GET /static/bench/small", None, None, 0);
    trial.expect("a page without a token", &page, |status| status == 200)?;
    let verifies = SCENARIOS
        .iter()
        .any(|scenario| scenario.work == Work::Decided && peer.can(scenario));
    if !verifies {
        return Ok(());
    }
    trial.tokens()?;
    match setup {
        Setup::Cached | Setup::CachedMany => trial.cached(),
        Setup::Hs256 | Setup::Rs256 | Setup::Idle => trial.uncached(),
        Setup::Gateway => trial.read_from_coolbits(2),
        Setup::GatewayCached => trial.read_from_coolbits(0),
        Setup::Outage | Setup::OutageUncached => trial.answered_by_the_mock(),
    }
}

impl Trial<'_> {
    fn token(&self, change: impl FnOnce(&mut Value)) -> io::Result<String> {
        self.site.token(self.algorithm, change)
    }

    fn expect(
        &self,
        what: &str,
        request: &[u8],
        good: impl Fn(u16) -> bool,
    ) -> io::Result<Vec<u8>> {
        let answer = once(self.running.address, request);
        let (status, body) = answer.map_err(|error| self.failed(what, &error.to_string()))?;
        if good(status) {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        Err(self.failed(what, &format!("status {status}, {text}")))
    }

    fn failed(&self, what: &str, got: &str) -> io::Error {
        io::Error::other(format!("{} does not do the work: {what}: {got}", self.who))
    }

    /// Asks for the list, and whether the upstream was asked for it.
    fn list(&self, what: &str, token: &str, client: u32) -> io::Result<bool> {
        let before = self.site.asked()?;
        let body = self.expect(
            what,
            &request(LIST, Some(token), Some(client), 0),
            |status| status == 200,
        )?;
        let rows: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
        if body.len() != SMALL
            || rows.is_empty()
            || rows.iter().any(|row| row["client_id"] != client)
        {
            return Err(self.failed(what, "not the list of that client"));
        }
        Ok(self.site.asked()? > before)
    }

    /// Good tokens pass, others are refused without asking the upstream.
    fn tokens(&self) -> io::Result<()> {
        let good = self.token(|_| ())?;
        self.list("a good token", &good, 10)?;
        let several = self.token(|claims| claims["clients"] = json!([7, 11, 12]))?;
        self.list("one of several clients", &several, 11)?;
        let before = self.site.asked()?;
        for (token, client) in [(&good, 99), (&good, 1), (&several, 1), (&several, 10)] {
            let request = request(LIST, Some(token), Some(client), 0);
            let refused = |status| matches!(status, 403 | 404);
            self.expect(
                "a client that is not in the claim, to be 403 or 404",
                &request,
                refused,
            )?;
        }
        let mut forged = good.clone();
        // Not the last character, some of whose bits say nothing.
        let at = forged.len() - 5;
        let other = if forged.as_bytes().get(at) == Some(&b'A') {
            "B"
        } else {
            "A"
        };
        forged.replace_range(at..=at, other);
        let expired = self.token(|claims| claims["exp"] = json!(1_000_000_000))?;
        let unsigned = format!(
            "eyJhbGciOiJub25lIn0.{}.",
            good.split('.').nth(1).unwrap_or_default()
        );
        let elsewhere = match self.algorithm {
            Algorithm::RS256 => self.site.token(Algorithm::HS256, |_| ())?,
            _ => self.site.token(Algorithm::RS256, |_| ())?,
        };
        for (what, token) in [
            ("no token", None),
            ("a bad signature", Some(forged)),
            ("an expired token", Some(expired)),
            ("a token with alg none", Some(unsigned)),
            ("a token of another algorithm", Some(elsewhere)),
        ] {
            let request = request(LIST, token.as_deref(), Some(10), 0);
            self.expect(&format!("{what}, to be 401"), &request, |status| {
                status == 401
            })?;
        }
        match self.site.asked()? == before {
            true => Ok(()),
            false => Err(self.failed("refusing", "the upstream was asked all the same")),
        }
    }

    fn uncached(&self) -> io::Result<()> {
        let token = self.token(|_| ())?;
        for _ in 0..2 {
            if !self.list("a list that is not cached", &token, 10)? {
                return Err(self.failed("a list that is not cached", "the upstream was not asked"));
            }
        }
        Ok(())
    }

    /// The campaigns of this user's client 10.
    fn campaigns(&self, user: u64) -> io::Result<Value> {
        let token = self.token(|claims| claims["uid"] = json!(user))?;
        let request = request(CAMPAIGNS, Some(&token), Some(10), 0);
        let body = self.expect("campaigns", &request, |status| status == 200)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match answer["campaigns"].as_array().map_or(0, Vec::len) {
            0 => Err(self.failed("campaigns", &answer.to_string())),
            _ => Ok(answer),
        }
    }

    /// A read selects the customer and fetches the report; a second one asks this often.
    fn read_from_coolbits(&self, again: u64) -> io::Result<()> {
        self.campaigns(1)?;
        let before = self.site.asked()?;
        let answer = self.campaigns(1)?;
        let asked = self.site.asked()? - before;
        match (answer["source"].as_str(), asked) {
            (Some("coolbits"), asked) if asked == again => Ok(()),
            _ => Err(self.failed("campaigns from Coolbits", &format!("{asked}, {answer}"))),
        }
    }

    /// Users ask until the breaker is open; no caller opens it alone.
    fn answered_by_the_mock(&self) -> io::Result<()> {
        let mut last = Value::Null;
        // Not those whose requests are measured: what they were told before would be kept.
        for user in 1000..1100 {
            last = self.campaigns(user)?;
            if last["gateway"]["error"] == "breaker_open" && last["source"] == "mock" {
                return Ok(());
            }
        }
        Err(self.failed("the breaker", &last.to_string()))
    }

    /// Hits do without the upstream, and are nobody else's.
    fn cached(&self) -> io::Result<()> {
        let mine = self.token(|_| ())?;
        self.list("a first request", &mine, 10)?;
        if self.list("a second request", &mine, 10)? {
            return Err(self.failed("a second request", "the upstream was asked again"));
        }
        let both =
            self.token(|claims| (claims["uid"], claims["clients"]) = (json!(3), json!([10, 11])))?;
        for (what, client) in [("another user", 10), ("another client of that user", 11)] {
            if !self.list(what, &both, client)? {
                return Err(self.failed(what, "was answered from somebody else's entry"));
            }
        }
        let forged = request(LIST, Some(&format!("{mine}x")), Some(10), 0);
        self.expect(
            "a bad token for what is cached, to be 401",
            &forged,
            |status| status == 401,
        )?;
        let foreign = request(LIST, Some(&mine), Some(11), 0);
        let refused = |status| matches!(status, 403 | 404);
        self.expect(
            "another client for what is cached, to be 403 or 404",
            &foreign,
            refused,
        )
        .map(drop)
    }
}
