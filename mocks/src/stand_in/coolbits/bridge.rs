//! Search Console, Tag Manager and Stripe: the shapes that Coolbits' answers are
//! taken to have, by token and by the site or container asked for.

use super::super::faults::Fault;
use super::super::server::{Asked, Body};
use super::{account, bad_request, live, ok, seed, window, wrong};
use crate::{search_console, stripe, tag_manager};
use http::Response;
use serde_json::{Value, json};
use time::Date;

/// `None` where there is no such route.
pub(super) fn answer(
    token: &str,
    connector: &str,
    what: &str,
    asked: &Asked,
    fault: Fault,
) -> Option<Response<Body>> {
    if asked.method != http::Method::GET {
        return None;
    }
    let answer = match (connector, what) {
        ("gsc" | "gtm", "status") => json!({"connected": true}),
        ("gsc", "properties") => {
            let list = search_console::payload("properties", "", Date::MIN, 1);
            live(list, "properties", "name")
        }
        ("gtm", "containers") => {
            let list = tag_manager::payload("containers", "", Date::MIN, 1);
            live(list, "containers", "name")
        }
        ("gsc", "report") => return Some(report(token, asked, fault, "siteUrl")),
        ("gtm", "report") => return Some(report(token, asked, fault, "containerId")),
        ("stripe", "overview") => stripe::payload("overview", &seed(token, ""), Date::MIN, 1),
        _ => return None,
    };
    Some(ok(wrong::spoil(answer, fault)))
}

/// The preset asked for; `named` is the parameter with the account, and the field that repeats it.
fn report(token: &str, asked: &Asked, fault: Fault, named: &str) -> Response<Body> {
    let other = match named {
        "siteUrl" => "sc-domain:other.example",
        _ => "GTM-OTHER00",
    };
    let Some(id) = account(asked, named, other, fault) else {
        return bad_request("property_not_set");
    };
    let Some((to, days)) = window(asked) else {
        return bad_request("invalid_range");
    };
    let preset = asked.parameter("preset").unwrap_or_default();
    let seed = seed(token, &id);
    let mut payload = match named {
        "siteUrl" => search_console::seeded(&preset.replace('_', "-"), &id, &seed, to, days),
        _ => tag_manager::seeded(&preset, &id, &seed),
    };
    // Nothing for a preset that is none, or the list, which is no report.
    let data = match payload["data"].take() {
        Value::Null => json!({}),
        data => data,
    };
    ok(wrong::spoil(json!({ named: id, "data": data }), fault))
}
