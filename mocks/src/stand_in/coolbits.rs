//! Coolbits' side of the contract, section 4: figures that differ by token and
//! customer, and one selected customer per token, as Coolbits keeps it.
//!
//! A report answers for the customer selected last, whatever `account_id` says,
//! save the `overview` preset, by which the app looks names up account by
//! account. That is the trap which makes selecting and reading one step.

use super::faults::Fault;
use super::server::{Asked, Body, StandIn, json_answer, lock};
use crate::series;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use time::Date;
use time::format_description::well_known::Iso8601;

/// Customers of every token; the second has a name that only repeats its id.
const CUSTOMERS: [(&str, &str); 3] = [
    ("1234567890", "Northwind Store"),
    ("2345678901", "Account 234-567-8901"),
    ("3456789012", "Northwind Events"),
];

#[derive(Default)]
pub(super) struct Coolbits {
    selected: Mutex<HashMap<String, String>>,
}

impl StandIn for Coolbits {
    fn answer(&self, asked: &Asked, fault: Fault) -> Response<Body> {
        if (asked.method.as_str(), asked.path.as_str()) == ("POST", "/api/auth/mock-login") {
            let email = asked.json()["email"].as_str().unwrap_or("").to_owned();
            return ok(json!({"token": format!("service-{email}")}));
        }
        let Some(token) = asked.bearer().filter(|token| !token.is_empty()) else {
            return json_answer(StatusCode::UNAUTHORIZED, &json!({"error": "unauthorized"}));
        };
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/api/connectors/googleads/customer") => self.select(token, asked),
            ("GET", "/api/connectors/googleads/customers/clients") => customers("clients", fault),
            ("GET", "/api/connectors/googleads/customers") => customers("customers", fault),
            ("GET", "/api/connectors/googleads/report") => self.report(token, asked, fault),
            _ => json_answer(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
        }
    }
}

impl Coolbits {
    fn select(&self, token: &str, asked: &Asked) -> Response<Body> {
        let body = asked.json();
        let Some(customer) = body["customerId"].as_str() else {
            let error = json!({"error": "customerId is required"});
            return json_answer(StatusCode::BAD_REQUEST, &error);
        };
        lock(&self.selected).insert(token.to_owned(), customer.to_owned());
        ok(json!({"ok": true, "customerId": customer}))
    }

    fn report(&self, token: &str, asked: &Asked, fault: Fault) -> Response<Body> {
        let preset = asked.parameter("preset").unwrap_or_default();
        let named = asked.parameter("account_id").unwrap_or_default();
        let customer = match preset.as_str() {
            "overview" => named.chars().filter(char::is_ascii_digit).collect(),
            _ => lock(&self.selected).get(token).cloned().unwrap_or_default(),
        };
        let customer = match fault {
            Fault::WrongAccount => "9999999999".to_owned(),
            _ => customer,
        };
        if fault == Fault::ListData {
            return ok(json!({"data": []}));
        }
        let seed = format!("{}|{customer}", super::server::sha256_hex(token.as_bytes()));
        let empty = fault == Fault::EmptyRows;
        let rows = |rows: Vec<Value>| match empty {
            true => json!({"rows": []}),
            false => json!({"rows": rows}),
        };
        let campaigns = (1..=3).map(|n| campaign(&seed, n, fault)).collect();
        let keywords = (1..=2).map(|n| keyword(&seed, n, fault)).collect();
        let daily = match empty {
            true => Vec::new(),
            false => daily(&seed, asked, fault),
        };
        let name = CUSTOMERS.iter().find(|(id, _)| *id == customer);
        let name = match name {
            Some((_, name)) if !name.starts_with("Account ") => (*name).to_owned(),
            _ => format!("Looked up {customer}"),
        };
        ok(json!({
            "customerId": customer,
            "data": {
                "overview": {"account_name": name},
                "campaigns": rows(campaigns),
                "keywords": rows(keywords),
                "series": {"daily": daily},
            },
        }))
    }
}

fn ok(value: Value) -> Response<Body> {
    json_answer(StatusCode::OK, &value)
}

fn customers(key: &str, fault: Fault) -> Response<Body> {
    let all = CUSTOMERS.iter().map(|(id, name)| {
        json!({"customerId": id, "descriptiveName": name, "currencyCode": "EUR",
               "timeZone": "Europe/Bucharest", "managerCustomerId": "0001112222"})
    });
    let manager = json!({"resource_name": "customers/0001112222", "descriptiveName": "Northwind Group",
                         "isManager": true, "currencyCode": "EUR", "timeZone": "Europe/Bucharest"});
    let list: Vec<Value> = match fault {
        Fault::EmptyRows => Vec::new(),
        Fault::ListData => return ok(json!({ key: {"first": {}} })),
        _ => std::iter::once(manager).chain(all).collect(),
    };
    ok(json!({ key: list }))
}

/// Figures that nobody else's token and no other customer gives.
fn figures(seed: &str, what: &str, fault: Fault) -> Value {
    let roll = |name: &str, bound| series::pick(&[seed, what, name], bound);
    let impressions = 10_000 + roll("impressions", 90_000);
    let clicks = impressions * (20 + roll("clicks", 60)) / 1_000;
    let impressions = match fault {
        Fault::TextInNumbers => json!("many"),
        _ => json!(impressions),
    };
    json!({
        "status": "ENABLED", "impressions": impressions, "clicks": clicks,
        "cost": (clicks * (30 + roll("cost", 70))) as f64 / 100.0,
        // Conversions come as fractions, as attribution makes them.
        "conversions": (clicks * (10 + roll("conversions", 50))) as f64 / 1_000.0,
        "convValue": (clicks * (20 + roll("value", 300))) as f64 / 100.0,
    })
}

fn campaign(seed: &str, n: u64, fault: Fault) -> Value {
    let mut row = figures(seed, &format!("campaign {n}"), fault);
    row["campaignId"] = json!(90_000_000 + series::pick(&[seed], 1_000_000) * 10 + n);
    row["campaign"] = json!(format!("Live campaign {n}"));
    row["channel"] = json!("Search");
    row["budgetDaily"] = json!(50.0 * n as f64);
    row["budgetTotal"] = json!(1500.0 * n as f64);
    row
}

fn keyword(seed: &str, n: u64, fault: Fault) -> Value {
    let mut row = figures(seed, &format!("keyword {n}"), fault);
    row["text"] = json!(format!("live keyword {n}"));
    row["matchType"] = json!("PHRASE");
    row["qualityScore"] = json!(7);
    row["campaign"] = json!("Live campaign 1");
    row["adGroup"] = json!("Live group");
    row
}

fn daily(seed: &str, asked: &Asked, fault: Fault) -> Vec<Value> {
    let date = |name: &str| {
        let text = asked.parameter(name)?;
        Date::parse(&text, &Iso8601::DATE).ok()
    };
    let (Some(from), Some(to)) = (date("from"), date("to")) else {
        return Vec::new();
    };
    let days = (to - from).whole_days().clamp(0, 400) as u16 + 1;
    let mut days = series::daily(seed, to, days);
    if fault == Fault::TextInNumbers {
        days.iter_mut()
            .for_each(|day| day["clicks"] = json!("many"));
    }
    days
}
