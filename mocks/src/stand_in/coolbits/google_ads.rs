//! Google Ads: one selected customer per token, as Coolbits keeps it.
//!
//! A report answers for the customer selected last, whatever `account_id` says,
//! save the `overview` preset, by which the app looks names up account by
//! account. That is the trap which makes selecting and reading one step.

use super::super::faults::Fault;
use super::super::server::{Asked, Body, lock};
use super::{bad_request, ok, seed, window};
use crate::series;
use http::Response;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// Customers of every token; the second has a name that only repeats its id.
const CUSTOMERS: [(&str, &str); 3] = [
    ("1234567890", "Northwind Store"),
    ("2345678901", "Account 234-567-8901"),
    ("3456789012", "Northwind Events"),
];

#[derive(Default)]
pub(super) struct GoogleAds {
    selected: Mutex<HashMap<String, String>>,
}

impl GoogleAds {
    /// `None` where there is no such route.
    pub(super) fn answer(
        &self,
        token: &str,
        what: &str,
        asked: &Asked,
        fault: Fault,
    ) -> Option<Response<Body>> {
        let answer = match (asked.method.as_str(), what) {
            ("POST", "customer") => self.select(token, asked),
            ("GET", "customers/clients") => customers("clients", fault),
            ("GET", "customers") => customers("customers", fault),
            ("GET", "report") => self.report(token, asked, fault),
            _ => return None,
        };
        Some(answer)
    }

    fn select(&self, token: &str, asked: &Asked) -> Response<Body> {
        let body = asked.json();
        let Some(customer) = body["customerId"].as_str() else {
            return bad_request("customerId is required");
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
        let seed = seed(token, &customer);
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
    let Some((to, days)) = window(asked) else {
        return Vec::new();
    };
    let mut days = series::daily(seed, to, days);
    if fault == Fault::TextInNumbers {
        days.iter_mut()
            .for_each(|day| day["clicks"] = json!("many"));
    }
    days
}
