//! Figures of GA4, Search Console and Tag Manager, made up by the property asked for.
//!
//! Weak on purpose: any property may be named, linked or not. Google Ads is not
//! here: the sidecar answers for it.

use super::request::{Request, Told, ok};
use super::store::Store;
use crate::series;
use serde_json::{Value, json};

const GA4: [(&str, &str); 3] = [
    ("G-ABC123DEF4", "Store"),
    ("G-XYZ789GHI0", "Services"),
    ("G-JKL456MNO1", "Workshops"),
];
const SITES: [&str; 3] = [
    "sc-domain:camarad.ai",
    "https://blog.camarad.ai/",
    "sc-domain:contoso.example",
];
const CONTAINERS: [(&str, &str); 3] = [
    ("GTM-WX4R7N2", "Website"),
    ("GTM-K9L2M4P", "Landing pages"),
    ("GTM-CONTOSO", "Third"),
];

pub(super) fn answer(_: &mut Store, request: &Request) -> Option<Told> {
    let (method, path) = request.names();
    let path = path.strip_prefix("/api/connectors/")?;
    let (slug, what) = path.split_once('/')?;
    let named = |name: &str, default: &str| {
        let named = request.asked.parameter(name).filter(|id| !id.is_empty());
        named.unwrap_or_else(|| default.to_owned())
    };
    let value = match (method, slug, what) {
        ("POST", "ga4", "property") => {
            let id = &request.body["propertyId"];
            Some(json!({"ok": true, "selectedPropertyId": id, "propertyId": id}))
        }
        ("GET", "ga4", what) => ga4(&named("property_id", GA4[0].0), what),
        ("GET", "google-search-console", what) => {
            search_console(&named("property_id", SITES[0]), what)
        }
        ("GET", "google-tag-manager", what) => {
            tag_manager(&named("container_id", CONTAINERS[0].0), what)
        }
        _ => None,
    };
    value.map(ok)
}

/// A number that depends on the property and on what it counts.
fn figure(id: &str, what: &str) -> u64 {
    100 + series::pick(&[id, what], 9_000)
}

fn ga4(id: &str, what: &str) -> Option<Value> {
    let f = |what: &str| figure(id, what);
    let mut value = match what {
        "properties" => {
            let rows = GA4.iter().map(|(id, name)| {
                json!({"id": id, "name": name, "stream": "Web", "url": format!("https://{}.example", name.to_lowercase()),
                       "timezone": "Europe/Bucharest", "currency": "EUR", "created": "2024-03-01"})
            });
            return Some(json!({"properties": rows.collect::<Value>(), "source": "mock"}));
        }
        "status" => {
            json!({"connected": true, "status": "connected", "selectedPropertyId": id, "propertyId": id})
        }
        "overview" => json!({
            "sessions": f("sessions"), "users": f("users"), "new_users": f("new users"),
            "active_users": f("users"), "sessions_per_user": 1.4, "conversions": f("conversions") / 50,
            "revenue": f("revenue") as f64 + 0.5, "avg_engagement_time": "1m 12s",
            "engagement_rate": "61.2%", "bounce_rate": "38.8%", "event_count": f("events") * 7,
            "views_per_session": 2.6,
            "comparison": {"sessions": "+4.3%", "users": "+3.1%", "conversions": null, "revenue": "-1.0%"},
        }),
        "pages" => json!({"pages": [
            {"path": "/", "title": "Home", "views": f("/"), "sessions": f("/ sessions"), "users": f("/ users"),
             "conversions": 4, "avg_time": "0m 40s", "bounce_rate": "41.0%"},
            {"path": "/shop", "title": "Shop", "views": f("/shop"), "sessions": f("/shop sessions"),
             "users": f("/shop users"), "conversions": 9, "avg_time": "1m 30s", "bounce_rate": "30.2%"},
        ]}),
        "sources" => json!({"sources": [
            {"source": "google", "medium": "organic", "sessions": f("google"), "users": f("google users"),
             "conversions": 7, "revenue": 410.0, "bounce_rate": "37.1%"},
            {"source": "(direct)", "medium": "(none)", "sessions": f("direct"), "users": f("direct users"),
             "conversions": 3, "revenue": 120.0, "bounce_rate": "44.9%"},
        ]}),
        "events" => json!({"events": [
            {"name": "page_view", "count": f("page_view"), "users": f("users"), "per_session": 2.6,
             "category": "Auto", "value": null},
            {"name": "purchase", "count": f("purchase") / 50, "users": f("purchase") / 60, "per_session": 0.1,
             "category": "Ecommerce", "value": 530.0},
        ]}),
        "devices" => json!({"devices": [
            {"category": "mobile", "sessions": f("mobile"), "users": f("mobile"), "conversions": 5,
             "bounce_rate": "—", "pct": 64.0},
            {"category": "desktop", "sessions": f("desktop"), "users": f("desktop"), "conversions": 6,
             "bounce_rate": "—", "pct": 36.0},
        ]}),
        "countries" => json!({"countries": [
            {"country": "Romania", "code": "RO", "sessions": f("RO"), "users": f("RO"), "conversions": 8,
             "revenue": 310.0, "pct": 80.0},
            {"country": "Germany", "code": "DE", "sessions": f("DE"), "users": f("DE"), "conversions": 2,
             "revenue": 90.0, "pct": 20.0},
        ]}),
        "funnel" => json!({
            "name": "Ecommerce", "overall_conversion": 2.1,
            "steps": [
                {"name": "Visit", "event": "page_view", "users": f("users"), "pct": 100.0},
                {"name": "Purchase", "event": "purchase", "users": f("purchase") / 60, "pct": 2.1, "drop_off": 97.9},
            ],
        }),
        "timeseries" => json!({"days": 2, "daily": [
            {"date": "2026-01-04", "sessions": f("day 1"), "users": f("day 1"), "conversions": 1},
            {"date": "2026-01-05", "sessions": f("day 2"), "users": f("day 2"), "conversions": 2},
        ]}),
        _ => return None,
    };
    value["property_id"] = json!(id);
    value["source"] = json!("mock");
    Some(value)
}

/// No `source`: the app says nowhere that this is made up.
fn search_console(id: &str, what: &str) -> Option<Value> {
    let counts = |name: &str, value: &str| {
        json!({name: value, "clicks": figure(id, value), "impressions": figure(id, value) * 9,
               "ctr": 11.1, "position": 4.2})
    };
    let mut value = match what {
        "properties" => {
            let rows = SITES.iter().map(|id| {
                let kind = if id.starts_with("sc-domain:") { "Domain" } else { "URL prefix" };
                json!({"id": id, "name": id, "type": kind, "permission_level": "Owner", "verified": true})
            });
            return Some(json!({"properties": rows.collect::<Value>()}));
        }
        "overview" => counts("range", "28 days"),
        "queries" => json!({"queries": [counts("query", "garden")]}),
        "pages" => json!({"pages": [counts("page", "/")]}),
        "countries" => json!({"countries": [counts("country", "Romania")]}),
        "devices" => json!({"devices": [counts("device", "MOBILE")]}),
        "index-coverage" => json!({
            "summary": {"valid": figure(id, "valid"), "warning": 3, "error": 2, "excluded": 40},
            "errors": [], "warnings": [], "excluded": [],
        }),
        "sitemaps" => json!({"sitemaps": [{"path": "/sitemap.xml", "urls": figure(id, "urls")}]}),
        "timeseries" => json!({"days": 28, "daily": [counts("date", "2026-01-05")]}),
        _ => return None,
    };
    value["property_id"] = json!(id);
    Some(value)
}

fn tag_manager(id: &str, what: &str) -> Option<Value> {
    let rows =
        |kind: &str| json!([{"name": format!("First of {kind}"), "count": figure(id, kind)}]);
    let mut value = match what {
        "containers" => {
            let rows = CONTAINERS.iter();
            let rows = rows.map(|(id, name)| json!({"id": id, "name": name, "type": "Web"}));
            return Some(json!({"containers": rows.collect::<Value>()}));
        }
        "overview" => json!({"tags": figure(id, "tags"), "triggers": 7, "variables": 12}),
        "tags" | "triggers" | "variables" | "versions" => json!({what: rows(what)}),
        "preview" => json!({"preview": {"status": "ready", "fired": figure(id, "fired")}}),
        _ => return None,
    };
    value["container_id"] = json!(id);
    Some(value)
}
