//! The status page as HTML: facts in, one document out. Pure.
//!
//! No scripts, no other files: one style sheet, which the answer's nonce lets through. Every
//! text is escaped by maud; what is not ours is cut to a length first ([`words::cut`]), so
//! that the page stays small whatever callers do.
//!
//! [`words::cut`]: super::words::cut

use super::facts::Facts;
use super::words::moment;
use super::{panels, tables};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// The panels, in order: anchor and heading.
const PANELS: [(&str, &str); 8] = [
    ("gateway", "Gateway and breaker"),
    ("process", "Process"),
    ("configuration", "Configuration"),
    ("traffic", "Traffic and 5xx"),
    ("cache", "Cache"),
    ("refusals", "Recent refusals"),
    ("runs", "Runs"),
    ("matrix", "Matrix"),
];

/// The document. `host` is where the caller reaches this listener, for lines to paste.
pub(super) fn page(facts: &Facts, nonce: &str, host: &str) -> Markup {
    let body = |anchor| match anchor {
        "gateway" => panels::gateway(&facts.gateway),
        "process" => panels::process(&facts.process),
        "traffic" => panels::traffic(&facts.traffic),
        "cache" => panels::cache(&facts.cache),
        "configuration" => panels::configuration(&facts.configuration),
        "refusals" => tables::refusals(&facts.refusals),
        "runs" => tables::runs(&facts.runs, host),
        _ => tables::matrix(&facts.matrix),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "camarad-sidecar: status" }
                // Or browsers ask for one.
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the panels" }
                header {
                    h1 { "camarad-sidecar" }
                    p { (standing(facts)) }
                    p.muted { "As of " (moment(&facts.time)) " UTC. " a href="/" { "Look again" } }
                    nav aria-label="Panels" {
                        ul { @for (anchor, heading) in PANELS { li { a href={ "#" (anchor) } { (heading) } } } }
                    }
                }
                main #main tabindex="-1" {
                    @for (anchor, heading) in PANELS {
                        section id=(anchor) aria-labelledby={ (anchor) "-heading" } {
                            h2 id={ (anchor) "-heading" } { (heading) }
                            (body(anchor))
                        }
                    }
                }
                footer {
                    p.muted {
                        "Read-only. The same facts: " a href="/status.json" { "status.json" }
                        "; counters: " a href="/metrics" { "metrics" }
                        ". Users and clients are told by hashes that hold until the next restart."
                    }
                }
            }
        }
    }
}

/// What should be seen at once.
fn standing(facts: &Facts) -> Markup {
    let bursts = facts.traffic.iter().filter(|origin| origin.burst);
    html! {
        @if facts.process.ready { (pill("ok", "ready")) } @else { (pill("bad", "not ready")) }
        " " (panels::gateway_pill(&facts.gateway))
        @for origin in bursts { " " (pill("bad", &format!("burst of 5xx: {}", origin.origin))) }
    }
}

/// A short word that stands out: `ok`, `warn`, `bad`, or `off`.
pub(super) fn pill(kind: &str, words: &str) -> Markup {
    html! { span class={ "pill " (kind) } { (words) } }
}
