//! GA4, row by row of the contract's table 4.2: what the table says, for the tests
//! below it.

mod choice;
mod faults;
mod property;
mod reads;

use crate::support::{Got, Setup, Sidecar};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime};

/// Every report: the parameter that names what is read, and a figure in Coolbits'
/// payload with its place in the answer.
pub const REPORTS: [(&str, &str, &str, &str, &str); 8] = [
    (
        "overview",
        "blocks=overview",
        "overview",
        "overview/sessions",
        "/sessions",
    ),
    (
        "pages",
        "preset=pages_screens",
        "pages",
        "pages_screens/rows/0/screenPageViews",
        "/pages/0/views",
    ),
    (
        "sources",
        "preset=traffic_acquisition",
        "sources",
        "traffic_acquisition/rows/0/sessions",
        "/sources/0/sessions",
    ),
    (
        "events",
        "preset=events",
        "events",
        "events/rows/0/eventCount",
        "/events/0/count",
    ),
    (
        "funnel",
        "preset=events",
        "steps",
        "events/rows/0/eventCount",
        "/steps/0/users",
    ),
    (
        "devices",
        "blocks=device,overview",
        "devices",
        "device/deviceCategory/0/sessions",
        "/devices/0/sessions",
    ),
    (
        "countries",
        "blocks=geo,overview",
        "countries",
        "geo/countries/0/sessions",
        "/countries/0/sessions",
    ),
    (
        "timeseries",
        "blocks=series",
        "daily",
        "series/daily/0/sessions",
        "/daily/0/sessions",
    ),
];

pub const STATUS: &str = "GET /api/connectors/ga4/status";
pub const REPORT: &str = "GET /api/connectors/ga4/report";

/// Properties of all kinds, whoever is linked to them.
pub fn unbound() -> Setup {
    Setup::default()
        .without_breaker()
        .set("SIDECAR__TENANCY__BIND_ACCOUNTS", "false")
}

/// GA4 as this caller; an empty client is none.
pub async fn ga4(sidecar: &Sidecar, token: &str, client: &str, target: &str) -> Got {
    let route = format!("GET /api/connectors/ga4/{target}");
    sidecar.route(token, client, &route, "").await
}

/// The parameters of a call.
pub fn sent(call: &Value) -> BTreeMap<String, String> {
    let text = call["query"].as_str().unwrap();
    let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a name stands twice: {text}");
    map
}

pub fn date(text: &str) -> Date {
    Date::parse(text, &Iso8601::DATE).unwrap()
}

pub fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// What kind of value each field holds.
pub fn kinds(row: &Value) -> Map<String, Value> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "flag",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let fields = row.as_object().unwrap_or_else(|| panic!("no row: {row}"));
    let kinds = fields
        .iter()
        .map(|(name, value)| (name.clone(), json!(kind(value))));
    kinds.collect()
}

/// The kinds of the contract: of the answer's flat fields, and of a row of its list.
pub fn kinds_of(report: &str) -> Value {
    match report {
        "overview" => json!({
            "sessions": "int", "users": "int", "conversions": "int", "revenue": "float",
            "new_users": "int", "active_users": "int", "sessions_per_user": "float",
            "avg_engagement_time": "text", "engagement_rate": "null", "bounce_rate": "null",
            "event_count": "null", "views_per_session": "null", "comparison": "object",
            "property_id": "text", "source": "text", "gateway": "object",
        }),
        "pages" => json!({
            "path": "text", "title": "text", "views": "int", "sessions": "int", "users": "int",
            "conversions": "int", "avg_time": "text", "bounce_rate": "text",
        }),
        "sources" => json!({
            "source": "text", "medium": "text", "sessions": "int", "users": "int",
            "conversions": "int", "revenue": "float", "bounce_rate": "text",
        }),
        "events" => json!({
            "name": "text", "count": "int", "users": "int", "per_session": "float",
            "category": "text", "value": "float",
        }),
        "funnel" => json!({
            "name": "text", "event": "text", "users": "int", "pct": "float", "drop_off": "float",
        }),
        "devices" => json!({
            "category": "text", "sessions": "int", "users": "int", "conversions": "int",
            "bounce_rate": "text", "pct": "float",
        }),
        "countries" => json!({
            "country": "text", "sessions": "int", "users": "int", "conversions": "int",
            "revenue": "int", "pct": "float",
        }),
        "timeseries" => json!({
            "date": "text", "sessions": "int", "conversions": "int", "users": "int",
            "new_users": "int", "revenue": "null", "engagement_rate": "null", "bounce_rate": "null",
        }),
        other => panic!("no report: {other}"),
    }
}

/// The rows of an answer; the overview is its own one.
pub fn rows_of(answer: &Value, list: &str) -> Vec<Value> {
    match answer[list].as_array() {
        Some(rows) => rows.clone(),
        None => vec![answer.clone()],
    }
}
