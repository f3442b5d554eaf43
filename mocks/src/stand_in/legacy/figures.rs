//! The figures that runs deliver: of Google Ads and GA4 those of Coolbits, or made
//! up by account, window and client; of other connectors constants.
//!
//! The names are those of `policies/tables/guardrails.toml`, for a condition asks
//! by them. What is made up is the same in every run.

use crate::series;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static CONSTANTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("figures.json")).unwrap_or_default());

/// Metric name to number.
pub(super) type Figures = Map<String, Value>;

/// What a connector delivers that fetches nothing; nothing for an unknown one.
pub(super) fn constants(slug: &str) -> Figures {
    CONSTANTS[slug].as_object().cloned().unwrap_or_default()
}

/// `client` 0 is none.
pub(super) fn google_ads(account: &str, client: u64, days: u64) -> Figures {
    let digits: String = account.chars().filter(char::is_ascii_digit).collect();
    let client = client.to_string();
    let roll = |what: &str, bound| series::pick(&["run", &digits, &client, what], bound);
    let impressions = days * (2_000 + roll("impressions", 6_000));
    let clicks = impressions * (20 + roll("clicks", 50)) / 1_000;
    let conversions = clicks * (10 + roll("conversions", 60)) / 1_000;
    let spend = cents(clicks * (35 + roll("cost", 60)));
    let budget = cents(clicks * (100 + roll("budget", 40)));
    let value = cents(conversions * (2_000 + roll("value", 3_000)));
    ads([spend, budget, value], [impressions, clicks, conversions])
}

/// All of Google Ads' figures from the sums.
fn ads([spend, budget, value]: [f64; 3], counts: [u64; 3]) -> Figures {
    let [impressions, clicks, conversions] = counts;
    let (cpa, roas) = (ratio(spend, conversions as f64), ratio(value, spend));
    of(json!({
        "spend": spend, "total_spent": spend, "total_budget": budget,
        "budget_utilization": ratio(spend * 100.0, budget),
        "impressions": impressions, "total_impressions": impressions,
        "clicks": clicks, "total_clicks": clicks,
        "conversions": conversions, "total_conversions": conversions,
        "ctr": ratio(clicks as f64 * 100.0, impressions as f64),
        "avg_cpc": ratio(spend, clicks as f64),
        "cpa": cpa, "cost_per_conv": cpa, "roas": roas, "avg_roas": roas,
    }))
}

/// The figures of Coolbits' campaigns together; `None` where there are none, or a figure is
/// no number.
pub(super) fn of_campaigns(rows: &[Value]) -> Option<Figures> {
    let (mut money, mut counts, mut roas) = ([0.0; 3], [0; 3], 0.0);
    for row in rows {
        let spent = number(row, &["spent", "cost"])?;
        let value = number(row, &["convValue", "conversionValue"])?;
        let budget = number(row, &["budget_total", "budgetTotal"])?;
        for (sum, part) in money.iter_mut().zip([spent, budget, value]) {
            *sum += part;
        }
        let parts = ["impressions", "clicks", "conversions"];
        for (sum, name) in counts.iter_mut().zip(parts) {
            // Cut off, campaign by campaign.
            *sum += number(row, &[name])? as u64;
        }
        roas += match number(row, &["roas"])? {
            0.0 => ratio(value, spent),
            given => given,
        };
    }
    let mut figures = ads(money.map(|sum| ratio(sum, 1.0)), counts);
    // A plain mean, idle campaigns included.
    figures.insert("avg_roas".into(), json!(ratio(roas, rows.len() as f64)));
    (!rows.is_empty()).then_some(figures)
}

/// The figures of Coolbits' GA4 overview; `None` where it has none, or one is no number.
pub(super) fn of_overview(overview: &Value) -> Option<Figures> {
    let count = |name| number(overview, &[name]).map(|count| count as u64);
    overview.get("sessions")?;
    let (sessions, users, conversions) =
        (count("sessions")?, count("users")?, count("conversions")?);
    Some(of(json!({
        "sessions": sessions, "conversions": conversions, "revenue": number(overview, &["revenue"])?,
        "users": users, "total_users": users, "active_users": users, "new_users": users,
        "conversion_rate": ratio(conversions as f64 * 100.0, sessions as f64),
    })))
}

/// The first of these that is there, and 0 where none is; `None` where it is no number.
fn number(row: &Value, names: &[&str]) -> Option<f64> {
    let mut named = names.iter().map(|name| &row[*name]);
    match named.find(|value| !value.is_null()) {
        None => Some(0.0),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_f64(),
    }
}

/// `client` 0 is none.
pub(super) fn ga4(property: &str, client: u64, days: u64) -> Figures {
    let client = client.to_string();
    let roll = |what: &str, bound| series::pick(&["run", property, &client, what], bound);
    let sessions = days * (100 + roll("sessions", 900));
    let users = sessions * (600 + roll("users", 300)) / 1_000;
    let conversions = sessions * (5 + roll("conversions", 45)) / 1_000;
    let engaged = 4_000 + roll("engaged", 4_000);
    of(json!({
        "sessions": sessions, "users": users, "total_users": users, "active_users": users,
        "new_users": users * (300 + roll("new", 500)) / 1_000,
        "page_views": sessions * (15 + roll("views", 30)) / 10,
        "engagement_rate": cents(engaged), "bounce_rate": cents(10_000 - engaged),
        "avg_session_duration": 30 + roll("duration", 150),
        "conversions": conversions,
        "conversion_rate": ratio(conversions as f64 * 100.0, sessions as f64),
        "revenue": cents(conversions * (2_000 + roll("value", 6_000))),
    }))
}

/// Label to what a page shows: `"Avg Cpc": "$0.65"`.
pub(super) fn kpis(figures: &Figures) -> Value {
    let shown = figures.iter().map(|(name, value)| {
        let label = super::conversations::title(&name.replace('_', "-"));
        (label, json!(shown(name, value.as_f64().unwrap_or(0.0))))
    });
    Value::Object(shown.collect())
}

fn of(value: Value) -> Figures {
    value.as_object().cloned().unwrap_or_default()
}

fn cents(cents: u64) -> f64 {
    cents as f64 / 100.0
}

/// Two places; nothing by nothing is 0.
fn ratio(over: f64, under: f64) -> f64 {
    match under > 0.0 {
        true => (over / under * 100.0).round() / 100.0,
        false => 0.0,
    }
}

fn shown(name: &str, value: f64) -> String {
    match name {
        "spend"
        | "total_spent"
        | "total_budget"
        | "avg_cpc"
        | "cpa"
        | "cost_per_conv"
        | "revenue"
        | "mrr"
        | "cost"
        | "expenses"
        | "cash"
        | "pipeline_value"
        | "average_order_value" => format!("${value:.2}"),
        "ctr" | "budget_utilization" | "cpu" => format!("{value:.2}%"),
        _ if name.ends_with("_rate") => format!("{value:.2}%"),
        "roas" | "avg_roas" => format!("{value:.2}x"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The table of the guardrails: slug and metrics, one line each.
    fn table() -> BTreeMap<String, Vec<String>> {
        let text = include_str!("../../../../policies/tables/guardrails.toml");
        let mut table = BTreeMap::new();
        let mut slug = String::new();
        for line in text.lines() {
            if let Some(text) = line.strip_prefix("slug = ") {
                slug = serde_json::from_str(text).unwrap();
            } else if let Some(text) = line.strip_prefix("metrics = ") {
                table.insert(slug.clone(), serde_json::from_str(text).unwrap());
            }
        }
        table
    }

    fn names(figures: &Figures) -> Vec<&String> {
        figures.keys().collect()
    }

    #[test]
    fn the_names_are_those_that_the_guardrails_know() {
        let table = table();
        assert_eq!(table.len(), 20);
        for (slug, metrics) in &table {
            let mut metrics: Vec<&String> = metrics.iter().collect();
            metrics.sort();
            assert_eq!(names(&constants(slug)), metrics, "{slug}");
            assert!(constants(slug).values().all(Value::is_number), "{slug}");
        }
        assert_eq!(CONSTANTS.as_object().unwrap().len(), table.len());
        let ads = google_ads("123-456-7890", 10, 30);
        assert_eq!(names(&ads), names(&constants("google-ads")));
        let ga4 = ga4("G-ABC123DEF4", 10, 30);
        assert_eq!(names(&ga4), names(&constants("ga4")));
        assert!(constants("unheard-of").is_empty());
    }

    #[test]
    fn figures_hang_on_account_client_and_window_alone() {
        let ads = google_ads("123-456-7890", 10, 30);
        assert_eq!(ads, google_ads("1234567890", 10, 30));
        for other in [
            google_ads("234-567-8901", 10, 30),
            google_ads("123-456-7890", 11, 30),
            google_ads("123-456-7890", 10, 7),
        ] {
            assert_ne!(ads, other);
        }
        assert_ne!(ga4("G-ABC123DEF4", 10, 30), ga4("G-ABC123DEF4", 0, 30));
    }

    #[test]
    fn figures_of_coolbits_are_added_up() {
        let rows = json!([
            {"cost": 100.0, "impressions": 1000, "clicks": 40, "conversions": 2.9,
             "convValue": 300.0, "budgetTotal": 250.0},
            {"spent": "50.5", "impressions": "500", "clicks": 10, "conversions": 1.9, "roas": 2.0},
        ]);
        let rows = rows.as_array().unwrap();
        let got = of_campaigns(rows).unwrap();
        for (name, value) in [
            ("spend", json!(150.5)),
            ("total_budget", json!(250.0)),
            ("impressions", json!(1500)),
            ("clicks", json!(50)),
            ("conversions", json!(3)),
            ("ctr", json!(3.33)),
            ("roas", json!(1.99)),
            ("avg_roas", json!(2.5)),
        ] {
            assert_eq!(got[name], value, "{name}");
        }
        assert_eq!(names(&got), names(&constants("google-ads")));
        assert_eq!(of_campaigns(&[]), None);
        assert_eq!(of_campaigns(&[json!({"clicks": "many"})]), None);
        let overview = json!({"sessions": 200, "users": 150, "conversions": 5, "revenue": 9.5});
        let got = of_overview(&overview).unwrap();
        assert_eq!(
            (&got["new_users"], &got["conversion_rate"]),
            (&json!(150), &json!(2.5))
        );
        assert_eq!(got["revenue"], 9.5);
        for unusable in [
            json!({}),
            json!([]),
            json!({"sessions": "many"}),
            Value::Null,
        ] {
            assert_eq!(of_overview(&unusable), None, "{unusable}");
        }
    }

    #[test]
    fn figures_are_shown_with_their_units() {
        let figures = of(
            json!({"spend": 12.5, "ctr": 4.0, "clicks": 1920, "roas": 3.4,
                                "open_rate": 31.4, "position": 12.4}),
        );
        let expected = json!({"Spend": "$12.50", "Ctr": "4.00%", "Clicks": "1920", "Roas": "3.40x",
                              "Open Rate": "31.40%", "Position": "12.4"});
        assert_eq!(kpis(&figures), expected);
    }
}
