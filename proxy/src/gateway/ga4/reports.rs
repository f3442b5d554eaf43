//! The reports of GA4, row by row.

use crate::gateway::mapping::{Answer, MapError};
use crate::gateway::rows::{Row, ratio, round};
use serde_json::{Value, json};

/// What the app shows for a figure that Coolbits does not give.
const UNKNOWN: &str = "—";

/// The key figures, and how they changed.
pub(super) fn overview(row: &Row<'_>) -> Result<Answer, MapError> {
    let users = row.count(&["users", "totalUsers"])?;
    let sessions = row.count(&["sessions"])?;
    let given = |name: &str, otherwise: Value| -> Result<Value, MapError> {
        Ok(row.shown(&[name])?.unwrap_or(otherwise))
    };
    let per_user = round(ratio(sessions as f64, users as f64), 2);
    let figures = [
        ("sessions", json!(sessions)),
        ("users", json!(users)),
        ("conversions", json!(row.count(&["conversions"])?)),
        ("revenue", json!(revenue(row)?)),
        ("new_users", given("new_users", json!(users))?),
        ("active_users", given("active_users", json!(users))?),
        (
            "sessions_per_user",
            given("sessions_per_user", json!(per_user))?,
        ),
        (
            "avg_engagement_time",
            given("avg_engagement_time", json!(UNKNOWN))?,
        ),
        ("engagement_rate", given("engagement_rate", Value::Null)?),
        ("bounce_rate", given("bounce_rate", Value::Null)?),
        ("event_count", given("event_count", Value::Null)?),
        (
            "views_per_session",
            given("views_per_session", Value::Null)?,
        ),
        ("comparison", comparison(row)?),
    ];
    Ok(figures
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect())
}

/// `+4.3%` for each key figure whose change is known.
fn comparison(row: &Row<'_>) -> Result<Value, MapError> {
    let deltas = row.inner("deltas")?;
    let mut comparison = json!({});
    for name in ["sessions", "users", "conversions", "revenue"] {
        let delta = match &deltas {
            Some(deltas) => deltas.figure(&[name])?,
            None => None,
        };
        comparison[name] = json!(delta.map(|delta| format!("{delta:+.1}%")));
    }
    Ok(comparison)
}

pub(super) fn pages(rows: &[Row<'_>]) -> Result<Vec<Value>, MapError> {
    each(rows, |row| {
        Ok(json!({
            "path": text(row, &["path", "pagePath"])?,
            "title": text(row, &["title", "pageTitle"])?,
            "views": row.count(&["views", "screenPageViews"])?,
            "sessions": row.count(&["sessions"])?,
            "users": row.count(&["users", "totalUsers"])?,
            "conversions": row.count(&["conversions"])?,
            "avg_time": UNKNOWN,
            "bounce_rate": bounce_rate(row)?,
        }))
    })
}

pub(super) fn sources(rows: &[Row<'_>]) -> Result<Vec<Value>, MapError> {
    each(rows, |row| {
        Ok(json!({
            "source": text(row, &["source", "sessionSource"])?,
            "medium": text(row, &["medium", "sessionMedium"])?,
            "sessions": row.count(&["sessions"])?,
            "users": row.count(&["users", "totalUsers"])?,
            "conversions": row.count(&["conversions"])?,
            "revenue": revenue(row)?,
            "bounce_rate": bounce_rate(row)?,
        }))
    })
}

/// Events; where a session is counted among them, how many there were in one.
pub(super) fn events(rows: &[Row<'_>]) -> Result<Vec<Value>, MapError> {
    let mut sessions = 0;
    for row in rows {
        if name_of(row)? == "session_start" {
            sessions = count_of(row)?;
        }
    }
    each(rows, |row| {
        let (name, count) = (name_of(row)?, count_of(row)?);
        let per_session = row.figure(&["per_session", "eventCountPerSession"])?;
        let worked_out = round(ratio(count as f64, sessions as f64), 2);
        Ok(json!({
            "category": category(&name),
            "name": name,
            "count": count,
            "users": row.count(&["users", "totalUsers"])?,
            "per_session": per_session.unwrap_or(worked_out),
            "value": row.figure(&["value", "eventValue"])?,
        }))
    })
}

pub(super) fn name_of(row: &Row<'_>) -> Result<String, MapError> {
    text(row, &["name", "eventName"])
}

pub(super) fn count_of(row: &Row<'_>) -> Result<i64, MapError> {
    row.count(&["count", "eventCount"])
}

/// Which kind of event it is, by the names that GA4 gives them itself.
fn category(name: &str) -> &'static str {
    const AUTO: [&str; 14] = [
        "page_view",
        "session_start",
        "first_visit",
        "first_open",
        "user_engagement",
        "scroll",
        "click",
        "file_download",
        "form_start",
        "form_submit",
        "video_start",
        "video_progress",
        "video_complete",
        "view_search_results",
    ];
    const ECOMMERCE: [&str; 14] = [
        "purchase",
        "refund",
        "add_to_cart",
        "remove_from_cart",
        "add_to_wishlist",
        "view_cart",
        "view_item",
        "view_item_list",
        "select_item",
        "begin_checkout",
        "add_payment_info",
        "add_shipping_info",
        "view_promotion",
        "select_promotion",
    ];
    match name {
        name if AUTO.contains(&name) => "Auto",
        name if ECOMMERCE.contains(&name) => "Ecommerce",
        _ => "Custom",
    }
}

pub(super) fn devices(rows: &[Row<'_>], whole: Option<&Value>) -> Result<Vec<Value>, MapError> {
    let whole = whole_of(rows, whole)?;
    each(rows, |row| {
        let sessions = row.count(&["sessions"])?;
        let category = text(row, &["category", "deviceCategory", "device", "name"])?;
        Ok(json!({
            "category": category.to_lowercase(),
            "sessions": sessions,
            "users": sessions,
            "conversions": row.count(&["conversions"])?,
            "bounce_rate": UNKNOWN,
            "pct": share(sessions, whole),
        }))
    })
}

pub(super) fn countries(rows: &[Row<'_>], whole: Option<&Value>) -> Result<Vec<Value>, MapError> {
    let whole = whole_of(rows, whole)?;
    each(rows, |row| {
        let sessions = row.count(&["sessions"])?;
        let mut country = json!({
            "country": text(row, &["country", "name"])?,
            "sessions": sessions,
            "users": sessions,
            "conversions": row.count(&["conversions"])?,
            "revenue": 0,
            "pct": share(sessions, whole),
        });
        if let Some(code) = row.text(&["code"])? {
            country["code"] = json!(code);
        }
        Ok(country)
    })
}

pub(super) fn days(rows: &[Row<'_>]) -> Result<Vec<Value>, MapError> {
    each(rows, |row| {
        let sessions = row.count(&["sessions"])?;
        Ok(json!({
            "date": text(row, &["date"])?,
            "sessions": sessions,
            "users": sessions,
            "new_users": sessions,
            "conversions": row.count(&["conversions"])?,
            "revenue": row.figure(&["revenue", "totalRevenue"])?,
            "engagement_rate": row.figure(&["engagement_rate", "engagementRate"])?,
            "bounce_rate": row.figure(&["bounce_rate", "bounceRate"])?,
        }))
    })
}

/// All sessions, as the overview says, else as many as there are in the rows.
fn whole_of(rows: &[Row<'_>], whole: Option<&Value>) -> Result<i64, MapError> {
    match whole.and_then(Value::as_i64).filter(|whole| *whole > 0) {
        Some(whole) => Ok(whole),
        None => rows.iter().try_fold(0i64, |sum, row| {
            Ok(sum.saturating_add(row.count(&["sessions"])?))
        }),
    }
}

/// Per cent, one place.
fn share(part: i64, whole: i64) -> f64 {
    round(ratio(100.0 * part as f64, whole as f64), 1)
}

fn revenue(row: &Row<'_>) -> Result<f64, MapError> {
    let revenue = row.figure(&["revenue", "totalRevenue"])?;
    Ok(round(revenue.unwrap_or(0.0), 2))
}

/// What is left of the engagement rate, which is in per cent.
fn bounce_rate(row: &Row<'_>) -> Result<String, MapError> {
    let rate = row.figure(&["engagementRate", "engagement_rate"])?;
    Ok(rate.map_or_else(
        || UNKNOWN.to_owned(),
        |rate| format!("{:.1}%", 100.0 - rate),
    ))
}

fn text(row: &Row<'_>, names: &[&str]) -> Result<String, MapError> {
    Ok(row.text(names)?.unwrap_or_default())
}

fn each(
    rows: &[Row<'_>],
    map: impl Fn(&Row<'_>) -> Result<Value, MapError>,
) -> Result<Vec<Value>, MapError> {
    rows.iter().map(map).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::mapping::tests::mapped;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn the_overview_of_coolbits_has_the_apps_dashes_and_nulls() {
        let payload = json!({"data": {"overview": {
            "sessions": "1200", "users": 900, "conversions": 12.9, "revenue": 10.004,
            "deltas": {"sessions": 4.26, "revenue": -1},
        }}});
        let answer = mapped(Operation::Ga4Overview, payload, "property_id=G-1").unwrap();
        let expected = json!({
            "property_id": "G-1", "sessions": 1200, "users": 900, "conversions": 12, "revenue": 10.0,
            "new_users": 900, "active_users": 900, "sessions_per_user": 1.33,
            "avg_engagement_time": "—", "engagement_rate": null, "bounce_rate": null,
            "event_count": null, "views_per_session": null,
            "comparison": {"sessions": "+4.3%", "users": null, "conversions": null, "revenue": "-1.0%"},
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn pages_and_sources_have_the_bounce_rate_that_is_left() {
        let row = json!({"pagePath": "/", "pageTitle": "Home", "screenPageViews": 9, "sessions": 5,
                         "totalUsers": 4, "conversions": 1, "engagementRate": 61.25,
                         "sessionSource": "google", "sessionMedium": "organic", "totalRevenue": "3.5"});
        let both = json!({"data": {"pages_screens": {"rows": [row, {"pagePath": "/b"}]},
                                   "traffic_acquisition": {"rows": [row]}}});
        let pages = mapped(Operation::Ga4Pages, both.clone(), "").unwrap();
        let first = json!({"path": "/", "title": "Home", "views": 9, "sessions": 5, "users": 4,
                           "conversions": 1, "avg_time": "—", "bounce_rate": "38.8%"});
        assert_eq!(pages["pages"][0], first);
        assert_eq!(pages["pages"][1]["bounce_rate"], "—");
        let sources = mapped(Operation::Ga4Sources, both, "").unwrap();
        let first = json!({"source": "google", "medium": "organic", "sessions": 5, "users": 4,
                           "conversions": 1, "revenue": 3.5, "bounce_rate": "38.8%"});
        assert_eq!(sources["sources"][0], first);
    }

    #[test]
    fn events_are_told_apart_by_name() {
        let payload = json!({"data": {"events": {"rows": [
            {"eventName": "session_start", "eventCount": 200, "totalUsers": 150},
            {"eventName": "purchase", "eventCount": 50, "totalUsers": 40, "eventValue": 99.5},
            {"eventName": "newsletter", "eventCount": "3"},
        ]}}});
        let answer = mapped(Operation::Ga4Events, payload, "").unwrap();
        let kinds: Vec<_> = (0..3)
            .map(|n| answer["events"][n]["category"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["Auto", "Ecommerce", "Custom"]);
        assert_eq!(answer["events"][1]["per_session"], 0.25);
        assert_eq!(
            (&answer["events"][1]["value"], &answer["events"][2]["value"]),
            (&json!(99.5), &Value::Null)
        );
    }

    #[test]
    fn shares_are_of_all_sessions_where_they_are_known() {
        let rows = json!([{"deviceCategory": "Mobile", "sessions": 60}, {"deviceCategory": "desktop", "sessions": 30}]);
        let device = |overview: Value| json!({"data": {"device": {"deviceCategory": rows}, "overview": overview}});
        let known = mapped(Operation::Ga4Devices, device(json!({"sessions": 120})), "").unwrap();
        assert_eq!(
            (
                &known["devices"][0]["category"],
                &known["devices"][0]["pct"]
            ),
            (&json!("mobile"), &json!(50.0))
        );
        let summed = mapped(Operation::Ga4Devices, device(json!({})), "").unwrap();
        assert_eq!(summed["devices"][0]["pct"], 66.7);
        let countries =
            json!({"data": {"geo": {"countries": [{"country": "Romania", "sessions": 4}]}}});
        let answer = mapped(Operation::Ga4Countries, countries, "").unwrap();
        let expected = json!({"country": "Romania", "sessions": 4, "users": 4, "conversions": 0, "revenue": 0, "pct": 100.0});
        assert_eq!(answer["countries"][0], expected);
    }

    #[test]
    fn a_day_has_its_sessions_under_three_names() {
        let payload = json!({"data": {"series": {"daily": [{"date": "2026-11-01", "sessions": 7, "conversions": 1.5}]}}});
        let answer = mapped(Operation::Ga4Timeseries, payload, "days=7").unwrap();
        let day = &answer["daily"][0];
        assert_eq!(
            (&day["users"], &day["new_users"], &day["conversions"]),
            (&json!(7), &json!(7), &json!(1))
        );
        assert_eq!(
            (&answer["days"], &day["revenue"]),
            (&json!(7), &Value::Null)
        );
    }

    #[test]
    fn words_where_counts_belong_do_not_fit() {
        for (operation, payload) in [
            (
                Operation::Ga4Overview,
                json!({"data": {"overview": {"sessions": "many"}}}),
            ),
            (
                Operation::Ga4Overview,
                json!({"data": {"overview": {"sessions": 1, "deltas": []}}}),
            ),
            (
                Operation::Ga4Overview,
                json!({"data": {"overview": {"sessions": 1, "engagement_rate": {}}}}),
            ),
            (
                Operation::Ga4Pages,
                json!({"data": {"pages_screens": {"rows": [{"sessions": {}}]}}}),
            ),
            (
                Operation::Ga4Events,
                json!({"data": {"events": {"rows": ["click"]}}}),
            ),
            (
                Operation::Ga4Devices,
                json!({"data": {"device": {"deviceCategory": [{"sessions": true}]}}}),
            ),
        ] {
            let outcome = mapped(operation, payload, "");
            assert!(
                matches!(outcome, Err(MapError::BadPayload(_))),
                "{operation:?} {outcome:?}"
            );
        }
    }
}
