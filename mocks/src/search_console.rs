//! The embedded mock of Search Console, in the shape that Coolbits' answers are
//! taken to have (contract, section 4.3, has the app's own).
//!
//! Rows stand at `data.<preset>.rows`, the preset being the operation's name with
//! `_`. Figures are made from the site and the days of the window; nothing here
//! knows which sites exist, or who may see which.

use crate::fixtures::{fixture, rows};
use crate::series::{dates, pick};
use crate::shares::{per_cent, split, weights};
use serde_json::{Value, json};
use std::sync::LazyLock;
use time::{Date, Duration};

static PROPERTIES: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/properties.json"
    ))
});
static QUERIES: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/queries.json"
    ))
});
static PAGES: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-search-console/pages.json")));
static COUNTRIES: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/countries.json"
    ))
});
static DEVICES: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/devices.json"
    ))
});
static INDEX_COVERAGE: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/index_coverage.json"
    ))
});
static SITEMAPS: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-search-console/sitemaps.json"
    ))
});

/// What the mock would answer in Coolbits' place; null for a `what` it does not know.
///
/// `what` is one of `properties`, `overview`, `queries`, `pages`, `countries`,
/// `devices`, `index-coverage`, `sitemaps`, `timeseries`; `id` the site, `to` the
/// last day of the window and `days` its length, at least one. `ctr` and `share`
/// are per cent.
pub fn payload(what: &str, id: &str, to: Date, days: u16) -> Value {
    seeded(what, id, id, to, days)
}

/// The same with figures made from `seed` instead of the site.
pub(crate) fn seeded(what: &str, site: &str, seed: &str, to: Date, days: u16) -> Value {
    if what == "properties" {
        return PROPERTIES.clone();
    }
    let figures = Figures::of(site, seed, to, days.max(1));
    let Some(rows) = figures.rows(what, to) else {
        return Value::Null;
    };
    let preset = what.replace('-', "_");
    json!({"data": { preset: {"rows": rows}}})
}

/// One site's window.
struct Figures<'a> {
    seed: &'a str,
    /// Where its pages are, with a final slash.
    base: String,
    days: Vec<(Date, Seen)>,
    whole: Seen,
}

/// How often something was shown and clicked, and the sum of its positions in
/// tenths over all impressions.
#[derive(Clone, Copy, Default)]
struct Seen {
    clicks: u64,
    impressions: u64,
    places: u64,
}

impl Seen {
    fn row(self, mut row: Value) -> Value {
        row["clicks"] = json!(self.clicks);
        row["impressions"] = json!(self.impressions);
        row["ctr"] = json!(per_cent(self.clicks, self.impressions));
        row["position"] = json!(self.position());
        row
    }

    fn position(self) -> f64 {
        let tenths = self.places as f64 / self.impressions.max(1) as f64;
        tenths.round() / 10.0
    }
}

impl<'a> Figures<'a> {
    fn of(site: &str, seed: &'a str, to: Date, days: u16) -> Self {
        let mut whole = Seen::default();
        let days = dates(to, days).map(|date| {
            let iso = date.to_string();
            let roll = |what: &str, bound| pick(&[seed, &iso, what], bound);
            let impressions = 800 + roll("impressions", 2_400);
            let day = Seen {
                clicks: impressions * (15 + roll("clicks", 45)) / 1_000,
                impressions,
                places: impressions * (60 + roll("position", 160)),
            };
            whole.clicks += day.clicks;
            whole.impressions += day.impressions;
            whole.places += day.places;
            (date, day)
        });
        let days = days.collect();
        let base = match site.strip_prefix("sc-domain:") {
            Some(domain) => format!("https://{domain}/"),
            None => format!("{}/", site.trim_end_matches('/')),
        };
        Self {
            seed,
            base,
            days,
            whole,
        }
    }

    fn rows(&self, what: &str, to: Date) -> Option<Vec<Value>> {
        let rows = match what {
            "overview" => vec![self.overview()],
            // Google leaves rare queries out, so the list is never the whole.
            "queries" => self.parts(what, &QUERIES, 25_000),
            "pages" => {
                let mut pages = self.parts(what, &PAGES, 0);
                for page in &mut pages {
                    let path = page["path"].as_str().unwrap_or_default();
                    page["page"] = json!(format!("{}{path}", self.base));
                    without(page, "path");
                }
                pages
            }
            "countries" => self.parts(what, &COUNTRIES, 4_000),
            "devices" => {
                let mut devices = self.parts(what, &DEVICES, 0);
                for device in &mut devices {
                    let clicks = device["clicks"].as_u64().unwrap_or_default();
                    device["share"] = json!(per_cent(clicks, self.whole.clicks));
                }
                devices
            }
            "index-coverage" => self.index_coverage(),
            "sitemaps" => self.sitemaps(to),
            "timeseries" => {
                let days = self.days.iter();
                let days = days.map(|(date, day)| day.row(json!({"date": date.to_string()})));
                days.collect()
            }
            _ => return None,
        };
        Some(rows)
    }

    fn overview(&self) -> Value {
        let mut row = self.whole.row(json!({"indexed_pages": self.indexed()}));
        for (total, field) in [
            ("total_clicks", "clicks"),
            ("total_impressions", "impressions"),
            ("avg_ctr", "ctr"),
            ("avg_position", "position"),
        ] {
            row[total] = row[field].clone();
        }
        row
    }

    /// Clicks and impressions by the rows of a fixture and `elsewhere`, a weight of
    /// its own; each weight of a fixture counts about a hundredfold.
    fn parts(&self, what: &str, list: &Value, elsewhere: u64) -> Vec<Value> {
        let shares = |of: &str| {
            let mut shares = weights(self.seed, &format!("{of} of {what}"), list);
            shares.push(elsewhere);
            shares
        };
        let clicks = split(self.whole.clicks, &shares("clicks"));
        let impressions = split(self.whole.impressions, &shares("impressions"));
        let parts = rows(list).iter().enumerate().zip(clicks).zip(impressions);
        let parts = parts.map(|(((n, row), clicks), impressions)| {
            let place = 10 + pick(&[self.seed, what, "position", &n.to_string()], 190);
            let mut row = row.clone();
            without(&mut row, "weight");
            let seen = Seen {
                clicks,
                impressions,
                places: impressions * place,
            };
            seen.row(row)
        });
        parts.collect()
    }

    fn index_coverage(&self) -> Vec<Value> {
        let states = rows(&INDEX_COVERAGE).iter().map(|state| {
            let reason = state["reason"].as_str().unwrap_or_default();
            let least = state["least"].as_u64().unwrap_or_default();
            let more = state["more"].as_u64().unwrap_or_default();
            json!({
                "state": state["state"], "reason": reason,
                "pages": least + pick(&[self.seed, "index", reason], more),
            })
        });
        states.collect()
    }

    /// Pages with a warning are indexed too.
    fn indexed(&self) -> u64 {
        let states = self.index_coverage();
        let indexed = states
            .iter()
            .filter(|row| row["state"] == "valid" || row["state"] == "warning");
        indexed.filter_map(|row| row["pages"].as_u64()).sum()
    }

    fn sitemaps(&self, to: Date) -> Vec<Value> {
        let shares = weights(self.seed, "sitemaps", &SITEMAPS);
        let indexed = split(self.indexed() * 9 / 10, &shares);
        let sitemaps = rows(&SITEMAPS)
            .iter()
            .zip(indexed)
            .map(|(sitemap, indexed)| {
                let path = sitemap["path"].as_str().unwrap_or_default();
                let roll = |what: &str, bound| pick(&[self.seed, path, what], bound);
                let warnings = roll("warnings", 4).saturating_sub(1);
                let read = to.saturating_sub(Duration::days(roll("age", 4).cast_signed()));
                json!({
                    "path": format!("{}{path}", self.base), "type": sitemap["type"],
                    "status": if warnings > 0 { "Has warnings" } else { "Success" },
                    "submitted": indexed + roll("waiting", 20), "indexed": indexed,
                    "last_downloaded": read.to_string(), "warnings": warnings, "errors": 0,
                })
            });
        sitemaps.collect()
    }
}

fn without(row: &mut Value, field: &str) {
    if let Some(row) = row.as_object_mut() {
        row.remove(field);
    }
}

#[cfg(test)]
mod tests;
