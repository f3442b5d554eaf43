//! The embedded mock of GA4, in the shape of Coolbits' answers (contract,
//! section 4.2).
//!
//! Figures are made from the property's id and the days of the window, so that
//! one property tells the same story on every page: sessions of devices, sources
//! and days add up to those of the overview. Nothing here knows which properties
//! exist: an unknown one has figures of its own, and who may see which is decided
//! elsewhere.

use crate::fixtures::{fixture, rows};
use crate::series::{dates, pick};
use crate::shares::{ratio, split, weights};
use serde_json::{Value, json};
use std::sync::LazyLock;
use time::Date;

static PROPERTIES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/ga4/properties.json")));
static PAGES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/ga4/pages.json")));
static SOURCES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/ga4/sources.json")));
static DEVICES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/ga4/devices.json")));
static COUNTRIES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/ga4/countries.json")));

/// What the mock would answer in Coolbits' place; null for a `what` it does not know.
///
/// `what` is one of `properties`, `status`, `overview`, `pages`, `sources`,
/// `events`, `funnel` (as `events`), `devices`, `countries`, `timeseries`; `id`
/// the property, `to` the last day of the window and `days` its length, at least
/// one. Rates are per cent, revenue is in the property's currency.
pub fn payload(what: &str, id: &str, to: Date, days: u16) -> Value {
    match what {
        "properties" => PROPERTIES.clone(),
        "status" => json!({"connected": true, "status": "connected"}),
        _ => {
            let blocks = Figures::of(id, to, days.max(1)).blocks(what);
            blocks.map_or(Value::Null, |blocks| json!({"data": blocks}))
        }
    }
}

/// One property's window; the tables are parts of it.
struct Figures<'a> {
    id: &'a str,
    /// `date`, `sessions`, `conversions`.
    daily: Vec<Value>,
    sessions: u64,
    users: u64,
    conversions: u64,
    purchases: u64,
    revenue_cents: u64,
}

impl<'a> Figures<'a> {
    fn of(id: &'a str, to: Date, days: u16) -> Self {
        let (mut sessions, mut conversions) = (0, 0);
        let daily = dates(to, days).map(|date| {
            let iso = date.to_string();
            let visits = 400 + pick(&[id, &iso, "sessions"], 800);
            let goals = visits * (10 + pick(&[id, &iso, "conversions"], 40)) / 1_000;
            sessions += visits;
            conversions += goals;
            json!({"date": iso, "sessions": visits, "conversions": goals})
        });
        let daily = daily.collect();
        let purchases = conversions * (55 + pick(&[id, "purchases"], 15)) / 100;
        Self {
            id,
            daily,
            sessions,
            users: sessions * (680 + pick(&[id, "users"], 200)) / 1_000,
            conversions,
            purchases,
            revenue_cents: purchases * (3_000 + pick(&[id, "basket"], 6_000)),
        }
    }

    fn roll(&self, what: &str, bound: u64) -> u64 {
        pick(&[self.id, what], bound)
    }

    /// From `least` to below `least + more` per cent, 1 place.
    fn rate(&self, what: &str, least: u64, more: u64) -> f64 {
        (least * 10 + self.roll(what, more * 10)) as f64 / 10.0
    }

    fn blocks(&self, what: &str) -> Option<Value> {
        let blocks = match what {
            "overview" => json!({"overview": self.overview()}),
            "pages" => json!({"pages_screens": {"rows": self.pages()}}),
            "sources" => json!({"traffic_acquisition": {"rows": self.sources()}}),
            "events" | "funnel" => json!({"events": {"rows": self.events()}}),
            "devices" => json!({
                "device": {"deviceCategory": self.parts("devices", &DEVICES, 0)},
                "overview": {"sessions": self.sessions},
            }),
            // Some sessions come from countries that are not in the list.
            "countries" => json!({
                "geo": {"countries": self.parts("countries", &COUNTRIES, 4_000)},
                "overview": {"sessions": self.sessions},
            }),
            "timeseries" => json!({"series": {"daily": self.daily}}),
            _ => return None,
        };
        Some(blocks)
    }

    fn overview(&self) -> Value {
        let events = self.events();
        let count = |row: &Value| row["eventCount"].as_u64().unwrap_or_default();
        let engaged = 450 + self.roll("engagement", 300);
        let percent = |tenths: u64| format!("{}.{}%", tenths / 10, tenths % 10);
        let seconds = 45 + self.roll("engagement time", 120);
        let delta = |what: &str| (self.roll(what, 200) as f64 - 80.0) / 10.0;
        json!({
            "sessions": self.sessions,
            "users": self.users,
            "new_users": self.users * (500 + self.roll("new users", 300)) / 1_000,
            "active_users": self.users,
            "sessions_per_user": ratio(self.sessions, self.users),
            "conversions": self.conversions,
            "revenue": self.revenue_cents as f64 / 100.0,
            "avg_engagement_time": format!("{}m {:02}s", seconds / 60, seconds % 60),
            "engagement_rate": percent(engaged),
            "bounce_rate": percent(1_000 - engaged),
            "event_count": events.iter().map(count).sum::<u64>(),
            "views_per_session": ratio(self.page_views(), self.sessions),
            "deltas": {
                "sessions": delta("sessions then"), "users": delta("users then"),
                "conversions": delta("conversions then"), "revenue": delta("revenue then"),
            },
        })
    }

    fn page_views(&self) -> u64 {
        self.sessions * (180 + self.roll("page views", 80)) / 100
    }

    fn pages(&self) -> Vec<Value> {
        let views = split(self.page_views(), &weights(self.id, "pages", &PAGES));
        let goals = split(self.conversions, &weights(self.id, "page goals", &PAGES));
        let pages = rows(&PAGES).iter().zip(views).zip(goals);
        let pages = pages.map(|((page, views), goals)| {
            let path = page["pagePath"].as_str().unwrap_or_default();
            let sessions = (views * (600 + self.roll(path, 200)) / 1_000).min(self.sessions);
            json!({
                "pagePath": path, "pageTitle": page["pageTitle"],
                "screenPageViews": views, "sessions": sessions,
                "totalUsers": sessions * 9 / 10, "conversions": goals.min(sessions),
                "engagementRate": self.rate(&format!("rate of {path}"), 45, 30),
            })
        });
        pages.collect()
    }

    fn sources(&self) -> Vec<Value> {
        let shares = weights(self.id, "sources", &SOURCES);
        let sessions = split(self.sessions, &shares);
        let goals = split(self.conversions, &shares);
        let cents = split(self.revenue_cents, &shares);
        let sources = rows(&SOURCES).iter().enumerate();
        let sources = sources.zip(sessions).zip(goals).zip(cents);
        let sources = sources.map(|((((n, source), sessions), goals), cents)| {
            json!({
                "sessionSource": source["sessionSource"], "sessionMedium": source["sessionMedium"],
                "sessions": sessions, "totalUsers": sessions * self.users / self.sessions.max(1),
                "conversions": goals, "totalRevenue": cents as f64 / 100.0,
                "engagementRate": self.rate(&format!("rate of source {n}"), 45, 30),
            })
        });
        sources.collect()
    }

    /// Counts fall along the two funnels: each step is worked out from the one after it.
    fn events(&self) -> Vec<Value> {
        let of = |whole: u64, what: &str, least: u64, more: u64| {
            whole * (least + self.roll(what, more)) / 100
        };
        let leads = (self.conversions - self.purchases) * 6 / 10;
        let checkouts = 1 + of(self.purchases, "checkouts", 130, 60);
        let submits = 1 + of(leads, "submits", 110, 30);
        let views = self.page_views();
        let counts = [
            ("session_start", self.sessions),
            ("page_view", views),
            ("scroll", of(views, "scrolls", 40, 20)),
            ("click", of(views, "clicks", 8, 7)),
            ("user_engagement", of(self.sessions, "engagements", 120, 40)),
            ("view_item", of(self.sessions, "item views", 45, 15)),
            ("add_to_cart", 1 + of(checkouts, "carts", 130, 60)),
            ("begin_checkout", checkouts),
            ("purchase", self.purchases),
            ("form_start", 1 + of(submits, "form starts", 150, 100)),
            ("form_submit", submits),
            ("generate_lead", leads),
            (
                "newsletter_signup",
                self.conversions - self.purchases - leads,
            ),
        ];
        let events = counts.into_iter().map(|(name, count)| {
            let users = of(count, name, 70, 25).min(self.users);
            let mut row = json!({"eventName": name, "eventCount": count, "totalUsers": users});
            if name == "purchase" {
                row["eventValue"] = json!(self.revenue_cents as f64 / 100.0);
            }
            row
        });
        events.collect()
    }

    /// Sessions and conversions by the rows of a fixture and `elsewhere`, a weight
    /// of its own; each weight of a fixture counts about a hundredfold.
    fn parts(&self, what: &str, list: &Value, elsewhere: u64) -> Vec<Value> {
        let mut shares = weights(self.id, what, list);
        shares.push(elsewhere);
        let sessions = split(self.sessions, &shares);
        let goals = split(self.conversions, &shares);
        let parts = rows(list).iter().zip(sessions).zip(goals);
        let parts = parts.map(|((row, sessions), goals)| {
            let mut row = row.clone();
            if let Some(row) = row.as_object_mut() {
                row.remove("weight");
            }
            row["sessions"] = json!(sessions);
            row["conversions"] = json!(goals);
            row
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests;
