//! The sidecar in front: whether one runs with these settings, and whether one
//! could start where none does.

use super::machine::reached_at;
use super::probe::{Got, Prober, Question};
use super::report::{Check, Finding, Gate};
use camarad_config::Config;
use http::header;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// What is at an address that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A sidecar.
    Ours,
    /// Nobody, and it can be bound.
    Free,
    /// Somebody else.
    Taken,
    /// Nobody, and it cannot be bound.
    Unusable(String),
    /// Port 0: which one, is known only once it is taken.
    Any,
}

/// What is known about the sidecar in front.
pub(super) struct Front {
    pub(super) checks: Vec<Check>,
    /// One runs at `server.listen`.
    pub(super) runs: bool,
    /// Its page of metrics.
    pub(super) metrics: Option<String>,
}

/// Looks for a sidecar that runs with these settings.
pub(super) async fn look(config: &Config, prober: &Prober) -> Front {
    let (listen, admin) = (config.server.listen, config.admin.listen);
    let (main, operators, ready, metrics) = tokio::join!(
        prober.ask(main_question(config)),
        prober.get(format!("http://{}/healthz", reached_at(admin))),
        prober.get(format!("http://{}/readyz", reached_at(admin))),
        prober.get(format!("http://{}/metrics", reached_at(admin))),
    );
    let is_admin = |got: &Got| {
        let answer = got.as_ref().ok();
        answer.is_some_and(|answer| answer.json()["service"] == "camarad-sidecar")
    };
    let is_main = |got: &Got| got.as_ref().is_ok_and(|answer| answer.is_of_sidecar());
    let main = place(listen, &main, is_main(&main));
    let operators_place = place(admin, &operators, is_admin(&operators));
    let page = metrics.ok().filter(|_| operators_place == Place::Ours);
    let page = page.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    let check = |name: &str, finding: Finding| finding.of(Gate::A, name);
    let checks = vec![
        check("callers' address", at("server.listen", listen, &main)),
        check(
            "operators' address",
            match (&operators_place, listen == admin && listen.port() != 0) {
                (_, true) => Finding::fail(
                    format!("admin.listen and server.listen are both {listen}"),
                    "give each an address of its own",
                ),
                (place, false) => operators_at(admin, place, &main, &ready),
            },
        ),
        check("cache", cache(config.cache.capacity_bytes, page.as_deref())),
    ];
    Front {
        checks,
        runs: main == Place::Ours,
        metrics: page,
    }
}

fn main_question(config: &Config) -> Question<'static> {
    let url = format!("http://{}/healthz", reached_at(config.server.listen));
    match config.server.allowed_hosts.first() {
        Some(host) => Question::get(url).with(header::HOST, host),
        None => Question::get(url),
    }
}

fn place(address: SocketAddr, got: &Got, is_ours: bool) -> Place {
    if address.port() == 0 {
        return Place::Any;
    }
    if is_ours {
        return Place::Ours;
    }
    // Whoever answered may be another machine, or something in between.
    match (TcpListener::bind(address), got) {
        (Ok(_), Err(_)) => Place::Free,
        (Ok(_), Ok(_)) => Place::Taken,
        (Err(error), _) if error.kind() == io::ErrorKind::AddrInUse => Place::Taken,
        (Err(error), _) => Place::Unusable(error.to_string()),
    }
}

fn at(key: &str, address: SocketAddr, place: &Place) -> Finding {
    match place {
        Place::Ours => Finding::pass(format!("the sidecar answers at {address}")),
        Place::Free => Finding::pass(format!("no sidecar runs at {address}, and it can be bound")),
        Place::Taken => Finding::fail(
            format!("{address} is taken by something that is no sidecar"),
            format!("stop what listens there (ss -ltnp), or set {key} to another address"),
        ),
        Place::Unusable(why) => Finding::fail(
            format!("{address} cannot be bound: {why}"),
            format!("set {key} to an address of this machine and a port this user may bind"),
        ),
        Place::Any => Finding::warn(
            format!("{key} is {address}: whichever port is free is taken at start"),
            format!("set {key} to a port that can be known"),
        ),
    }
}

/// The second address, where one that runs has to be at both.
fn operators_at(address: SocketAddr, place: &Place, main: &Place, ready: &Got) -> Finding {
    let other = |seen: String| {
        Finding::fail(
            seen,
            "look with the settings of the one that runs, or start it again with these",
        )
    };
    match (place, main) {
        (Place::Free, Place::Ours) => other(format!(
            "a sidecar runs, but not with this admin.listen: nobody is at {address}"
        )),
        (Place::Ours, Place::Free) => other(format!(
            "a sidecar answers operators at {address}, but none answers callers at server.listen"
        )),
        (Place::Ours, _) => is_ready(address, ready),
        (place, _) => at("admin.listen", address, place),
    }
}

fn is_ready(address: SocketAddr, ready: &Got) -> Finding {
    let answer = match ready {
        Ok(answer) => answer,
        Err(trouble) => {
            return trouble.finding(
                &format!("GET /readyz of the sidecar at {address}"),
                "see its log",
            );
        }
    };
    let checks = &answer.json()["checks"];
    match (answer.status, checks["keys"].as_bool()) {
        (200, _) => Finding::pass(format!("the sidecar answers at {address} and is ready")),
        (_, Some(false)) => Finding::fail(
            "the sidecar is not ready: an issuer has no keys",
            "see \"keys\" below, and its log",
        ),
        (_, _) if checks["draining"] == true => Finding::fail(
            "the sidecar is about to stop",
            "look again when it was started",
        ),
        (status, _) => Finding::fail(
            format!("GET /readyz of the sidecar answers {status}"),
            "see its log",
        ),
    }
}

fn cache(capacity: u64, metrics: Option<&str>) -> Finding {
    if capacity == 0 {
        return Finding::warn(
            "cache.capacity_bytes is 0: every read goes to Coolbits",
            "set it to some megabytes",
        );
    }
    let capacity = capacity.div_ceil(1024);
    let used = metrics.map(|page| value(page, "sidecar_cache_bytes"));
    match used {
        None => Finding::pass(format!("it may hold {capacity} KiB")),
        Some(Some(used)) => Finding::pass(format!(
            "it holds {:.0} of {capacity} KiB",
            (used / 1024.0).ceil()
        )),
        Some(None) => Finding::warn(
            "the sidecar that runs does not say how much its cache holds",
            "compare its version with this one",
        ),
    }
}

/// The value of a series, by its name and labels as they stand on the page.
pub(super) fn value(page: &str, series: &str) -> Option<f64> {
    let of_line = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Answer, Trouble};
    use super::super::report::Outcome::{self, Fail, Pass, Warn};
    use super::*;

    fn address() -> SocketAddr {
        ([127, 0, 0, 1], 9150).into()
    }

    #[test]
    fn each_kind_of_place_has_its_finding() {
        for (place, outcome, word) in [
            (Place::Ours, Pass, "the sidecar answers"),
            (Place::Free, Pass, "can be bound"),
            (Place::Taken, Fail, "no sidecar"),
            (Place::Unusable("denied".into()), Fail, "denied"),
            (Place::Any, Warn, "server.listen"),
        ] {
            let finding = at("server.listen", address(), &place);
            assert_eq!(finding.outcome, outcome, "{place:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn one_that_runs_is_at_both_addresses_and_ready() {
        let ready = |status, body: &str| Ok(Answer::of(status, &[], body));
        let good = || ready(200, r#"{"status":"ready"}"#);
        let no_keys = || ready(503, r#"{"checks":{"keys":false,"draining":false}}"#);
        let draining = || ready(503, r#"{"checks":{"keys":true,"draining":true}}"#);
        let cases: [(Place, Place, Got, Outcome, &str); 8] = [
            (Place::Ours, Place::Ours, good(), Pass, "is ready"),
            (Place::Free, Place::Free, good(), Pass, "can be bound"),
            (
                Place::Free,
                Place::Ours,
                good(),
                Fail,
                "not with this admin.listen",
            ),
            (
                Place::Ours,
                Place::Free,
                good(),
                Fail,
                "none answers callers",
            ),
            (Place::Taken, Place::Ours, good(), Fail, "taken"),
            (Place::Ours, Place::Ours, no_keys(), Fail, "no keys"),
            (Place::Ours, Place::Ours, draining(), Fail, "about to stop"),
            (
                Place::Ours,
                Place::Ours,
                Err(Trouble::Refused),
                Fail,
                "refuses",
            ),
        ];
        for (place, main, ready, outcome, word) in cases {
            let finding = operators_at(address(), &place, &main, &ready);
            assert_eq!(finding.outcome, outcome, "{place:?} {main:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn a_port_is_free_taken_or_open() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let refused = || Err(Trouble::Refused);
        assert_eq!(place(address, &refused(), false), Place::Taken);
        let answer = || Ok(Answer::of(200, &[], ""));
        assert_eq!(place(address, &answer(), false), Place::Taken);
        assert_eq!(place(address, &answer(), true), Place::Ours);
        drop(held);
        assert_eq!(place(address, &refused(), false), Place::Free);
        // An address for documentation (RFC 5737), and no machine's.
        let foreign = "203.0.113.1:5050".parse().unwrap();
        let late = Err(Trouble::Timeout(super::super::probe::USUAL));
        assert!(matches!(place(foreign, &late, false), Place::Unusable(_)));
        assert_eq!(
            place(([127, 0, 0, 1], 0).into(), &refused(), false),
            Place::Any
        );
    }

    #[test]
    fn the_cache_is_told_with_what_it_holds() {
        let page = "# HELP x\nsidecar_cache_bytes 2049\nsidecar_key_age_seconds{issuer=\"a\"} 7\n";
        assert_eq!(
            value(page, "sidecar_key_age_seconds{issuer=\"a\"}"),
            Some(7.0)
        );
        assert_eq!(value(page, "sidecar_cache"), None);
        for (capacity, page, outcome, seen) in [
            (0, Some(page), Warn, "is 0"),
            (1 << 20, None, Pass, "may hold 1024 KiB"),
            (1 << 20, Some(page), Pass, "holds 3 of 1024 KiB"),
            (1 << 20, Some(""), Warn, "does not say"),
        ] {
            let finding = cache(capacity, page);
            assert_eq!(finding.outcome, outcome);
            assert!(finding.seen.contains(seen), "{finding:?}");
        }
    }
}
