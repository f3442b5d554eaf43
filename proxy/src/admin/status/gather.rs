//! Where the facts of the status page come from: the parts of the process that know them.
//! Reads alone; nothing here changes anything.

use super::blind::{Blind, Kind};
use super::facts::{
    Cache, CacheRow, Configuration, Event, Facts, Gateway, Origin, Process, Refusal, Refusals, Rule,
};
use super::{rules, runs, snapshots};
use crate::admin::{Admin, generation, is_ready};
use crate::drill;
use crate::gateway::{Gateway as Coolbits, stamp};
use crate::observe::{self, CacheCounts, Traffic};
use camarad_policies::operation::Operation;
use camarad_policies::record::rfc3339;
use camarad_policies::route::Switch;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Rules of the cache that are shown.
const CACHED: usize = 10;

/// Everything that is known now. `search` chooses rules of the matrix; runs have names only
/// where `named` says so. Waits for the disk.
pub(super) fn gather(admin: &Admin, search: &str, named: bool) -> Facts {
    let now = SystemTime::now();
    let (current, switch) = (admin.current.load_full(), admin.switch.current());
    let (refused, total) = admin.observer.refusals();
    let hide = |refusal| hidden(refusal, &admin.blind);
    let traffic = admin.observer.traffic();
    Facts {
        time: stamp(now),
        gateway: gateway(&current.gateway, &switch, now),
        traffic: traffic.into_iter().map(origin).collect(),
        cache: cache(admin, &current.table),
        refusals: Refusals {
            total,
            newest: refused.into_iter().map(hide).collect(),
        },
        matrix: rules::search(&current.table, search),
        runs: runs::newest(&admin.state_dir, named),
        configuration: Configuration {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: admin.observer.uptime().as_secs(),
            config_generation: generation(&current, &switch),
            snapshots: snapshots::newest(&admin.state_dir),
            difference: snapshots::difference(&admin.state_dir, named),
        },
        process: process(admin),
    }
}

fn gateway(gateway: &Coolbits, switch: &Switch, now: SystemTime) -> Gateway {
    let checkup = gateway.checkup(switch.enabled);
    let event = |at: SystemTime, code| Event {
        at: stamp(at),
        age_seconds: now.duration_since(at).unwrap_or_default().as_secs(),
        code,
    };
    Gateway {
        enabled: switch.enabled,
        mock_only: switch.mock_only.iter().map(|one| one.name()).collect(),
        operations: Operation::ALL.len(),
        status: checkup.status.as_str(),
        breaker: checkup.breaker.as_str(),
        breaker_since: stamp(checkup.since),
        failures: checkup.failures,
        last_success: checkup.last_success.map(|at| event(at, "ok")),
        // Not its path, which may hold an account.
        last_failure: checkup.last_failure.map(|last| event(last.at, last.code)),
        last_probe: checkup
            .last_probe
            .map(|last| event(last.at, last.failure.unwrap_or("ok"))),
        probe_interval_seconds: gateway.probe_interval().as_secs_f64(),
        latency_p50_ms: checkup.latency.p50_ms,
        latency_p95_ms: checkup.latency.p95_ms,
        fallback_ratio_5m: checkup.fallback_ratio,
    }
}

fn origin(traffic: Traffic) -> Origin {
    Origin {
        origin: traffic.origin.as_str(),
        minutes: traffic.minutes,
        burst: traffic.burst,
        burst_window: traffic.window,
        burst_window_seconds: traffic.window_seconds,
    }
}

fn hidden(refusal: observe::Refusal, blind: &Blind) -> Refusal {
    Refusal {
        time: refusal.time.map(rfc3339).unwrap_or_default(),
        code: refusal.code.to_owned(),
        rule: refusal.rule.to_string(),
        status: refusal.status,
        user: refusal.user.map(|id| blind.hide(Kind::User, id)),
        client: refusal.client.map(|id| blind.hide(Kind::Client, id)),
        request_id: refusal.request_id.to_string(),
    }
}

fn cache(admin: &Admin, table: &[Rule]) -> Cache {
    let (classes, rules) = cached(&admin.observer.cache_counts(), table);
    Cache {
        entries: admin.cache.entries(),
        bytes: admin.cache.bytes(),
        evictions: admin.observer.metrics.cache_evictions_total.get(),
        more_rules: rules.len().saturating_sub(CACHED),
        rules: rules.into_iter().take(CACHED).collect(),
        classes,
    }
}

/// What the cache did by class, and by rule: those that were asked most first.
fn cached(
    counts: &BTreeMap<String, CacheCounts>,
    rules: &[Rule],
) -> (Vec<CacheRow>, Vec<CacheRow>) {
    let class = |name: &str| {
        let rule = rules.iter().find(|rule| rule.name == name);
        rule.map_or("-", |rule| rule.cache)
    };
    let mut classes = BTreeMap::<&'static str, CacheCounts>::new();
    let mut rows = Vec::new();
    for (name, counts) in counts {
        let class = class(name);
        for (result, count) in counts {
            *classes
                .entry(class)
                .or_default()
                .entry(result.clone())
                .or_default() += count;
        }
        rows.push(cache_row(name, class, counts));
    }
    rows.sort_by(|a, b| (b.requests, &a.name).cmp(&(a.requests, &b.name)));
    let classes = classes
        .iter()
        .map(|(class, counts)| cache_row(class, class, counts));
    (classes.collect(), rows)
}

fn cache_row(name: &str, class: &'static str, counts: &CacheCounts) -> CacheRow {
    let of = |result| counts.get(result).copied().unwrap_or_default();
    let (hits, collapsed, bypassed) = (of("hit") + of("stale"), of("collapsed"), of("bypass"));
    let requests: u64 = counts.values().sum();
    let could = requests - bypassed;
    let ratio = (could > 0).then(|| (hits + collapsed) as f64 / could as f64);
    CacheRow {
        name: name.to_owned(),
        class,
        requests,
        hits,
        collapsed,
        bypassed,
        hit_ratio: ratio.map(|ratio| (ratio * 1000.0).round() / 1000.0),
    }
}

fn process(admin: &Admin) -> Process {
    let metrics = &admin.observer.metrics;
    let (system, backlog) = (admin.observer.system(), admin.observer.backlog());
    let drill = drill::last_success(&admin.state_dir);
    let drill = UNIX_EPOCH
        .checked_add(Duration::from_secs(drill))
        .filter(|_| drill > 0);
    Process {
        in_flight: metrics.in_flight.get(),
        buffered_bytes: metrics.buffered_bytes.get(),
        resident_bytes: system.resident_bytes,
        descriptors: system.descriptors,
        most_descriptors: system.most_descriptors,
        access_log_waiting_bytes: backlog.access_bytes,
        audit_log_waiting_bytes: backlog.audit_bytes,
        log_lines_dropped: backlog.dropped,
        ledger_errors: metrics.ledger_errors_total.get(),
        panics: metrics.panics_total.get(),
        ready: is_ready(admin).all(),
        last_restore_drill: drill.map(stamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::text::Text;

    fn counts(counts: &[(&str, u64)]) -> CacheCounts {
        counts
            .iter()
            .map(|(result, n)| ((*result).to_owned(), *n))
            .collect()
    }

    #[test]
    fn a_hit_ratio_is_of_what_could_be_answered_by_the_cache() {
        let rule = |name: &str, cache| Rule {
            name: name.to_owned(),
            cache,
            ..Rule::default()
        };
        let rules = [
            rule("a", "tenant"),
            rule("b", "tenant"),
            rule("c", "shared"),
        ];
        let all: BTreeMap<String, CacheCounts> = [
            (
                "a",
                counts(&[
                    ("hit", 5),
                    ("stale", 1),
                    ("collapsed", 2),
                    ("miss", 1),
                    ("expired", 1),
                    ("bypass", 10),
                ]),
            ),
            ("b", counts(&[("bypass", 3)])),
            ("c", counts(&[("miss", 4)])),
        ]
        .map(|(name, counts)| (name.to_owned(), counts))
        .into();
        let (classes, rows) = cached(&all, &rules);
        let brief = |rows: &[CacheRow]| -> Vec<(String, u64, Option<f64>)> {
            rows.iter()
                .map(|r| (r.name.clone(), r.requests, r.hit_ratio))
                .collect()
        };
        let expected = [
            ("a".into(), 20, Some(0.8)),
            ("c".into(), 4, Some(0.0)),
            ("b".into(), 3, None),
        ];
        assert_eq!(brief(&rows), expected);
        let expected = [
            ("shared".into(), 4, Some(0.0)),
            ("tenant".into(), 23, Some(0.8)),
        ];
        assert_eq!(brief(&classes), expected);
        assert_eq!(
            (rows[0].hits, rows[0].collapsed, rows[0].bypassed),
            (6, 2, 10)
        );
    }

    #[test]
    fn nobody_is_named_in_a_refusal() {
        let refusal = observe::Refusal {
            time: None,
            code: "client_not_allowed",
            rule: Text::Ours("flows"),
            status: 404,
            user: Some(7001),
            client: Some(9009),
            request_id: camarad_policies::record::RequestId::from("r").unwrap(),
        };
        let told = hidden(refusal, &Blind::new().unwrap());
        let user = told.user.unwrap();
        assert!(user.starts_with("u-") && !user.contains("7001"), "{user}");
        assert!(told.client.unwrap().starts_with("c-"));
    }
}
