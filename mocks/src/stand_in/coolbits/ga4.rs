//! GA4: reports for the property asked for, and one selected property per token,
//! which is only what `status` names.

use super::super::faults::Fault;
use super::super::server::{Asked, Body, lock};
use super::{account, bad_request, live, ok, seed, window, wrong};
use crate::ga4::payload;
use http::Response;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use time::Date;

/// Selected for a token that has selected none.
const FIRST: &str = "G-ABC123DEF4";

/// Where people consent; the redirect is Coolbits' own.
const CONSENT: &str = "https://accounts.example/consent?state=live-state&redirect_uri=\
                       https%3A%2F%2Fcoolbits.example%2Fapi%2Fconnectors%2Fga4%2Foauth%2Fcallback";

#[derive(Default)]
pub(super) struct Ga4 {
    selected: Mutex<HashMap<String, String>>,
}

impl Ga4 {
    /// `None` where there is no such route.
    pub(super) fn answer(
        &self,
        token: &str,
        what: &str,
        asked: &Asked,
        fault: Fault,
    ) -> Option<Response<Body>> {
        let answer = match (asked.method.as_str(), what) {
            ("GET", "properties") => ok(wrong::spoil(properties(), fault)),
            ("GET", "status") => {
                let selected = lock(&self.selected).get(token).cloned();
                ok(json!({
                    "connected": true, "status": "connected", "account": "live",
                    "selectedPropertyId": selected.as_deref().unwrap_or(FIRST),
                }))
            }
            ("POST", "property") => self.select(token, asked),
            ("GET", "report") => report(token, asked, fault),
            ("GET", "auth/url") => ok(json!({"url": CONSENT, "state": "live-state"})),
            _ => return None,
        };
        Some(answer)
    }

    fn select(&self, token: &str, asked: &Asked) -> Response<Body> {
        let body = asked.json();
        let property = body["propertyId"].as_str().unwrap_or_default();
        if property.is_empty() || property == "G-INVALID" {
            return bad_request("invalid_property");
        }
        lock(&self.selected).insert(token.to_owned(), property.to_owned());
        ok(json!({"ok": true, "selectedPropertyId": property}))
    }
}

/// The mock's three, which have no accounts but the day they were made.
fn properties() -> Value {
    let mut list = live(
        payload("properties", "", Date::MIN, 1),
        "properties",
        "displayName",
    );
    for row in list["properties"].as_array_mut().into_iter().flatten() {
        row["accountName"] = json!("Live account");
        without(row, "created");
    }
    list
}

fn report(token: &str, asked: &Asked, fault: Fault) -> Response<Body> {
    let Some(property) = account(asked, "propertyId", "G-OTHER00000", fault) else {
        return bad_request("property_not_set");
    };
    let Some((to, days)) = window(asked) else {
        return bad_request("invalid_range");
    };
    let seed = seed(token, &property);
    let wanted = asked
        .parameter("blocks")
        .or_else(|| asked.parameter("preset"));
    let wanted = wanted.unwrap_or_default();
    let blocks = wanted.split(',').filter_map(|block| {
        let value = self::block(block, &seed, to, days)?;
        Some((block.to_owned(), value))
    });
    let data: Map<String, Value> = blocks.collect();
    let answer = json!({"propertyId": property, "data": data});
    ok(wrong::spoil(answer, fault))
}

/// One block, without what only the mock makes up.
fn block(name: &str, seed: &str, to: Date, days: u16) -> Option<Value> {
    let what = match name {
        "overview" | "events" => name,
        "device" => "devices",
        "geo" => "countries",
        "series" => "timeseries",
        "pages_screens" => "pages",
        "traffic_acquisition" => "sources",
        _ => return None,
    };
    let mut block = payload(what, seed, to, days)["data"][name].take();
    if let ("overview", Some(overview)) = (name, block.as_object_mut()) {
        let known = ["sessions", "users", "conversions", "revenue", "deltas"];
        overview.retain(|field, _| known.contains(&field.as_str()));
    }
    let countries = block.get_mut("countries").and_then(Value::as_array_mut);
    for country in countries.into_iter().flatten() {
        without(country, "code");
    }
    Some(block)
}

fn without(row: &mut Value, field: &str) {
    if let Some(row) = row.as_object_mut() {
        row.remove(field);
    }
}

#[cfg(test)]
mod tests;
