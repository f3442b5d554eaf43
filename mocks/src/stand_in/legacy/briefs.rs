//! `GET /api/orchestrator/agent-brief/<slug>`: an agent's connectors, and figures of the
//! one that the app can read for it.
//!
//! Answers only where Coolbits was asked; without it the route is one of the many that
//! tell the scope and nothing else. Google Ads is always `planned`: the route that the
//! app would read does not exist.

use super::conversations;
use super::errand::Fetched;
use super::fetch::{Read, Want};
use super::figures;
use super::request::{Request, Told, ok};
use super::routing;
use super::store::Store;
use serde_json::{Value, json};

pub(super) const BRIEF: &str = "/api/orchestrator/agent-brief/<slug>";

/// No node names a property, so it is the one selected at Coolbits.
pub(super) fn want() -> Want {
    Want::Ga4 {
        property: None,
        range: "30days".to_owned(),
    }
}

pub(super) fn answer(_: &mut Store, request: &Request) -> Option<Told> {
    match (request.names(), request.fetched) {
        (
            ("GET", BRIEF),
            Fetched {
                brief: Some(read), ..
            },
        ) => Some(brief(request, read)),
        _ => None,
    }
}

fn brief(request: &Request, read: &Read) -> Told {
    let slug = request.variable("<slug").unwrap_or_default();
    let connectors = routing::connectors_of(slug).iter();
    let summaries: Vec<Value> = connectors.map(|slug| summary(slug, read)).collect();
    let count = |status| {
        summaries
            .iter()
            .filter(|row| row["status"] == status)
            .count()
    };
    ok(json!({
        "agent": slug, "total_live": count("live"), "total_planned": count("planned"),
        "connector_summaries": summaries,
    }))
}

fn summary(slug: &str, read: &Read) -> Value {
    let (status, kpis) = match (slug, read) {
        ("ga4", Read::Figures(figures, _)) => ("live", figures::kpis(figures)),
        // As the app's own route answers: with figures, made up.
        ("ga4", Read::Nothing) => ("live", figures::kpis(&want().made_up(0))),
        ("ga4", Read::Failed) => ("error", json!({})),
        _ => ("planned", json!({})),
    };
    json!({"name": conversations::title(slug), "slug": slug, "status": status, "kpis": kpis})
}
