//! The panels of the status page that are lists: refusals, runs, matrix. Pure.

use super::facts::{Matrix, Named, Refusals, Rule, Run, Runs};
use super::page::pill;
use super::panels::scroll;
use super::rules::{LONGEST_SEARCH, SHOWN};
use super::words::{count, cut, milliseconds, moment};
use maud::{Markup, html};

pub(super) fn refusals(refusals: &Refusals) -> Markup {
    if refusals.newest.is_empty() {
        return html! { p.muted { "Nothing was refused since the start." } };
    }
    let hash = |hash: &Option<String>| html! { @match hash { Some(hash) => code { (hash) }, None => "-" } };
    let shown = refusals.newest.len() as u64;
    scroll(
        "Recent refusals",
        html! {
            table {
                caption { "The last " (count(shown)) " of " (count(refusals.total)) " since the start, the newest first" }
                thead { tr {
                    th scope="col" { "Time (UTC)" } th scope="col" { "Status" } th scope="col" { "Code" } th scope="col" { "Rule" }
                    th scope="col" { "User" } th scope="col" { "Client" } th scope="col" { "Request" }
                } }
                tbody { @for one in &refusals.newest { tr {
                    td { (moment(&one.time)) }
                    td { (one.status) }
                    td { (cut(&one.code, 32)) }
                    td { (cut(&one.rule, 32)) }
                    td { (hash(&one.user)) }
                    td { (hash(&one.client)) }
                    td { code { (cut(&one.request_id, 36)) } }
                } } }
            }
        },
    )
}

pub(super) fn matrix(matrix: &Matrix) -> Markup {
    let shown = matrix.shown.len();
    let more = matrix.found.saturating_sub(shown);
    html! {
        // To this place, not to the top of the page.
        form role="search" method="get" action="/#matrix" {
            label for="search" { "Route, rule or area" }
            input #search type="search" name="matrix" value=(cut(&matrix.search, 6 * LONGEST_SEARCH)) maxlength=(LONGEST_SEARCH) autocomplete="off";
            button { "Search" }
            @if !matrix.search.is_empty() { " " a href="/#matrix" { "All rules" } }
        }
        p #found { @if matrix.search.is_empty() { (count(matrix.rules as u64)) " rules." } @else {
            (count(matrix.found as u64)) " of " (count(matrix.rules as u64)) " rules have every word of “" bdi { (cut(&matrix.search, 6 * LONGEST_SEARCH)) } "”."
        } }
        @if shown > 0 {
            (scroll("Rules of the matrix", html! {
                table {
                    caption { "Rules by area" @if more > 0 { ", the first " (SHOWN) } }
                    thead { tr {
                        th scope="col" { "Rule" } th scope="col" { "Area" } th scope="col" { "Auth" } th scope="col" { "Client" }
                        th scope="col" { "Serve" } th scope="col" { "Mode" } th scope="col" { "Cache" } th scope="col" { "Routes" }
                    } }
                    tbody { @for rule in &matrix.shown { (rule_row(rule)) } }
                }
            }))
        }
        @if more > 0 {
            p { b { (count(more as u64)) } " more are not shown: search for them, or print all with " code { "camarad-sidecar matrix" } "." }
        }
    }
}

fn rule_row(rule: &Rule) -> Markup {
    let more = rule.routes.len().saturating_sub(1);
    html! { tr {
        th scope="row" { (cut(&rule.name, 32)) }
        td { (cut(&rule.area, 20)) }
        td { (rule.auth) }
        td { (rule.client) }
        td { (cut(&rule.serve, 40)) }
        td { @if rule.mode == "enforce" { "enforce" } @else { (pill("warn", rule.mode)) } }
        td { (rule.cache) }
        td {
            @if let Some(route) = rule.routes.first() { code { (cut(route, 58)) } }
            @if more > 0 { " and " (more) " more" }
        }
    } }
}

pub(super) fn runs(runs: &Runs, host: &str) -> Markup {
    if let Some(error) = &runs.error {
        return html! { p { (pill("bad", error)) } };
    }
    if runs.newest.is_empty() {
        return html! { p.muted { "There are none yet." } };
    }
    let newest = runs.newest.first().map_or("", |run| &run.run_id);
    html! {
        (scroll("Runs", html! {
            table {
                caption { "The last " (count(runs.newest.len() as u64)) ", the newest first" }
                thead { tr {
                    th scope="col" { "Run" }
                    @if runs.named { th scope="col" { "Flow" } }
                    th scope="col" { "Status" } th scope="col" { "Started (UTC)" } th scope="col" { "Duration" }
                    th scope="col" { "Data" } th scope="col" { "Steps" }
                } }
                tbody { @for run in &runs.newest { (run_row(run)) } }
            }
        }))
        p { "Flows and figures are tenants'. "
            @if !runs.named { "Names are shown where the request for this page has the admin token. " }
            "One run whole, as JSON or CSV, with the admin token:" }
        (scroll("Commands to download a run", html! { pre { code {
            "run=" (cut(newest, 64)) "\n"
            "curl -O -H \"Authorization: Bearer $SIDECAR_ADMIN_TOKEN\" \"http://" (cut(host, 260)) "/runs/$run.json\"\n"
            "curl -O -H \"Authorization: Bearer $SIDECAR_ADMIN_TOKEN\" \"http://" (cut(host, 260)) "/runs/$run.csv\""
        } } }))
    }
}

fn run_row(run: &Run) -> Markup {
    let kind = match run.status {
        "success" => "ok",
        "running" => "off",
        "warning" => "warn",
        _ => "bad",
    };
    html! { tr {
        th scope="row" { code { (cut(&run.run_id, 36)) } }
        @if let Some(named) = &run.named { td { bdi { (cut(&named.flow, 48)) } } }
        td { (pill(kind, run.status)) }
        td { (moment(&run.started_at)) }
        td { (run.duration_ms.map_or("-".to_owned(), milliseconds)) }
        td { (run.data.unwrap_or("-")) }
        td { (steps(run)) }
    } }
}

fn steps(run: &Run) -> Markup {
    let total: usize = run.steps.values().sum();
    let counted = run.steps.iter();
    let mut told: Vec<String> = counted
        .map(|(status, number)| format!("{number} {}", cut(status, 20)))
        .collect();
    if run.findings > 0 {
        told.push(format!("{} found by guardrails", run.findings));
    }
    if run.is_replay {
        told.push("a replay".to_owned());
    }
    html! {
        details {
            summary { (total) @if total == 1 { " step" } @else { " steps" } }
            @if told.is_empty() { "none told" } @else { (told.join(", ")) }
            @if let Some(named) = &run.named { (names(named)) }
        }
    }
}

fn names(named: &Named) -> Markup {
    html! {
        ol { @for step in &named.steps { li {
            bdi { (cut(&step.label, 24)) } ": " (cut(&step.kind, 14)) ", " (cut(&step.status, 8))
            @if let Some(source) = &step.source { ", " (cut(source, 8)) }
        } } }
        @if named.more_steps > 0 { "and " (named.more_steps) " more" }
    }
}
