//! The panels of the status page that are small: gateway, process, traffic, cache,
//! configuration. Pure.

use super::chart::chart;
use super::facts::{Cache, CacheRow, Configuration, Event, Gateway, Origin, Process};
use super::page::pill;
use super::words::{bytes, count, cut, moment, share, span};
use crate::observe::Count;
use maud::{Markup, Render, html};

/// Minutes that are one row of the table beneath the charts.
const ROW: usize = 10;

/// Name and value, as rows of a description list.
fn row(name: &str, value: impl Render) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn event(event: Option<&Event>, none: &str) -> Markup {
    html! {
        @match event {
            Some(event) => {
                (pill(if event.code == "ok" { "ok" } else { "bad" }, event.code))
                " " (span(event.age_seconds)) " ago" span.muted { " (" (moment(&event.at)) ")" }
            }
            None => { span.muted { (none) } }
        }
    }
}

/// How the gateway is, in one word.
pub(super) fn gateway_pill(gateway: &Gateway) -> Markup {
    let kind = match gateway.status {
        "connected" => "ok",
        "degraded" => "warn",
        "disabled" => "off",
        "" => "off",
        _ => "bad",
    };
    pill(kind, &format!("gateway {}", gateway.status))
}

pub(super) fn gateway(gateway: &Gateway) -> Markup {
    let switch = match gateway.enabled {
        true => pill("ok", "on"),
        false => pill("off", "off"),
    };
    let breaker = match gateway.breaker {
        "closed" => "ok",
        "open" => "bad",
        _ => "warn",
    };
    html! {
        dl {
            (row("Switch", switch))
            (row("Status", gateway_pill(gateway)))
            (row("Breaker", html! {
                (pill(breaker, &gateway.breaker.replace('_', "-")))
                " since " (moment(&gateway.breaker_since)) ", " (count(u64::from(gateway.failures))) " failures in a row"
            }))
            (row("Last success", event(gateway.last_success.as_ref(), "none yet")))
            (row("Last failure", event(gateway.last_failure.as_ref(), "none yet")))
            (row("Probe", html! {
                (event(gateway.last_probe.as_ref(), "none yet"))
                ", about every " (gateway.probe_interval_seconds) " s"
            }))
            (row("Latency", format!("p50 {:.0} ms, p95 {:.0} ms", gateway.latency_p50_ms, gateway.latency_p95_ms)))
            (row("Fallback", format!("{} of reads in 5 min", share(gateway.fallback_ratio_5m))))
            (row("Mock only", html! {
                @if gateway.mock_only.is_empty() { "none" } @else {
                    details {
                        summary { (count(gateway.mock_only.len() as u64)) " of " (count(gateway.operations as u64)) " operations" }
                        ul { @for name in &gateway.mock_only { li { code { (name) } } } }
                    }
                }
            }))
        }
    }
}

pub(super) fn process(process: &Process) -> Markup {
    let known = |size: Option<u64>| size.map_or("not known".to_owned(), bytes);
    let number = |number: Option<u64>| number.map_or("not known".to_owned(), count);
    let counted = |number: u64| html! { span.bad[number > 0] { (count(number)) } };
    html! {
        dl {
            (row("In flight", format!("{} requests", count(process.in_flight))))
            (row("Memory", known(process.resident_bytes)))
            (row("Bodies held", bytes(process.buffered_bytes.unsigned_abs())))
            (row("Descriptors", format!("{} of {}", number(process.descriptors), number(process.most_descriptors))))
            (row("Log backlog", format!("access {}, audit {}",
                bytes(process.access_log_waiting_bytes as u64), bytes(process.audit_log_waiting_bytes as u64))))
            (row("Log lines dropped", counted(process.log_lines_dropped as u64)))
            (row("Ledger errors", counted(process.ledger_errors)))
            (row("Panics", counted(process.panics)))
            (row("Last restore drill", process.last_restore_drill.as_deref().map_or("none known".to_owned(), moment)))
        }
    }
}

pub(super) fn traffic(origins: &[Origin]) -> Markup {
    let what = |origin: &Origin| match origin.origin {
        "legacy" => "answers of the app",
        "coolbits" => "reads of Coolbits, with those the mock answered",
        _ => "all requests, failures by the sidecar's own fault",
    };
    html! {
        p.muted { "One bar a minute. Up: answers. Down: those that failed, on a scale of their own." }
        div.charts {
            @for origin in origins {
                div {
                    h3 { (origin.origin) " " @if origin.burst { (pill("bad", "burst of 5xx")) } }
                    p.muted { (what(origin)) }
                    (chart(origin))
                    @if origin.burst {
                        p { (count(origin.burst_window.failed)) " of " (count(origin.burst_window.answers))
                            " failed within " (origin.burst_window_seconds) " s" }
                    }
                }
            }
        }
        details {
            summary { "As a table" }
            (scroll("Traffic by ten minutes", html! {
                table {
                    caption { "Answers, and those of them that failed, by ten minutes" }
                    thead { tr {
                        th scope="col" { "Minutes ago" }
                        @for origin in origins { th scope="col" { (origin.origin) } th scope="col" { "failed" } }
                    } }
                    tbody { @for part in (0..60).step_by(ROW) { tr {
                        th scope="row" { (60 - part) " to " (60 - part - ROW) }
                        @for origin in origins {
                            td { (count(part_of(origin, part, |c| c.answers))) }
                            td { (count(part_of(origin, part, |c| c.failed))) }
                        }
                    } } }
                }
            }))
        }
    }
}

fn part_of(origin: &Origin, from: usize, of: impl Fn(&Count) -> u64) -> u64 {
    origin.minutes.iter().skip(from).take(ROW).map(of).sum()
}

/// Something wide that is scrolled within itself, by keyboard too.
pub(super) fn scroll(name: &str, content: Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(name) tabindex="0" { (content) } }
}

pub(super) fn cache(cache: &Cache) -> Markup {
    let cells = |row: &CacheRow| {
        html! {
            td { (count(row.requests)) }
            td { (row.hit_ratio.map_or("-".to_owned(), share)) }
            td { (count(row.hits)) }
            td { (count(row.collapsed)) }
            td { (count(row.bypassed)) }
        }
    };
    html! {
        p { b { (count(cache.entries)) } " entries, " b { (bytes(cache.bytes)) } ", "
            (count(cache.evictions)) " evicted for lack of room" }
        @if cache.rules.is_empty() {
            p.muted { "Nothing was asked of the cache yet." }
        } @else {
            (scroll("Cache by class and rule", html! {
                table {
                    caption { "Hit ratio by class, and by the rules that were asked most"
                        @if cache.more_rules > 0 { " (" (count(cache.more_rules as u64)) " more have been asked)" } }
                    thead { tr {
                        th scope="col" { "Class or rule" } th scope="col" { "Class" } th scope="col" { "Requests" }
                        th scope="col" { "Hit ratio" } th scope="col" { "Hits" } th scope="col" { "Collapsed" } th scope="col" { "Bypassed" }
                    } }
                    tbody {
                        @for row in &cache.classes { tr.total { th scope="row" { "all " (row.class) } td { (row.class) } (cells(row)) } }
                        @for row in &cache.rules { tr { th scope="row" { (cut(&row.name, 32)) } td { (row.class) } (cells(row)) } }
                    }
                }
            }))
        }
    }
}

pub(super) fn configuration(configuration: &Configuration) -> Markup {
    html! {
        dl {
            (row("Version", configuration.version))
            (row("Uptime", span(configuration.uptime_seconds)))
            (row("Generation", html! { (count(configuration.config_generation)) span.muted { " (1 at the start; one more for each reload and each switch of the gateway)" } }))
        }
        h3 { "Snapshots" }
        @if configuration.snapshots.is_empty() {
            p.muted { "There are none yet." }
        } @else {
            (scroll("Snapshots", html! {
                table {
                    caption { "The last snapshots of the settings" }
                    thead { tr { th scope="col" { "Snapshot" } th scope="col" { "Time (UTC)" } th scope="col" { "Reason" } } }
                    tbody { @for one in &configuration.snapshots { tr {
                        th scope="row" { code { (cut(&one.id, 40)) } }
                        td { (moment(&one.time)) }
                        td { bdi { (cut(&one.reason, 48)) }
                            @if one.in_force { " (in force)" } @if one.rolled_back { " (rolled back)" } }
                    } } }
                }
            }))
        }
        @if let Some(difference) = &configuration.difference {
            (scroll("What the last change changed", html! {
                table {
                    caption { "From " code { (cut(&difference.from, 40)) } " to " code { (cut(&difference.to, 40)) }
                        @if difference.more > 0 { " (" (count(difference.more as u64)) " more)" } }
                    thead { tr { th scope="col" { "Setting" } th scope="col" { "Before" } th scope="col" { "Now" } } }
                    tbody {
                        @if difference.changes.is_empty() { tr { td colspan="3" { "No setting: comments, secrets, or files that are kept along." } } }
                        @for one in &difference.changes { tr {
                            th scope="row" { code { (cut(&one.key, 40)) } }
                            td { bdi { (cut(&one.before, 32)) } }
                            td { bdi { (cut(&one.after, 32)) } }
                        } }
                    }
                }
            }))
        }
    }
}
