//! Google Search Console (contract, section 4.3). Pure.
//!
//! The app makes these up and never asks Coolbits; what Coolbits is asked is our
//! assumption and stands in `tables/gateway.toml`. Rows keep what else they hold;
//! the fields that the pages read are made sure of.

use super::mapping::{Answer, MapError, check_named, list, list_of, rows};
use super::params::Params;
use super::rows::{Row, ratio, round};
use camarad_policies::endpoints::Endpoint;
use camarad_policies::operation::Operation;
use serde_json::{Map, Value, json};

pub(super) fn map(
    operation: Operation,
    endpoint: &Endpoint,
    payload: &Value,
    params: &Params,
) -> Result<Answer, MapError> {
    if operation == Operation::SearchConsoleProperties {
        return list_of("properties", endpoint, payload, site);
    }
    check_named(
        payload,
        &["siteUrl", "site_url", "property_id"],
        &params.account,
    )?;
    let rows = rows(endpoint, payload)?;
    let each = |map: &Mapping| {
        let mapped = rows.iter().map(|row| map(row).map(Value::Object));
        mapped.collect::<Result<Vec<_>, _>>()
    };
    let named = |name: &'static str, others: &'static [&'static str]| {
        each(&move |row| {
            let mut found = searched(row)?;
            let text = row.text(others)?.unwrap_or_default();
            found.insert(name.to_owned(), json!(text));
            Ok(found)
        })
    };
    let mut answer = match operation {
        Operation::SearchConsoleOverview => overview(&rows[0])?,
        Operation::SearchConsoleQueries => list("queries", named("query", &["query", "key"])?),
        Operation::SearchConsolePages => list("pages", named("page", &["page", "key"])?),
        Operation::SearchConsoleCountries => list("countries", each(&country)?),
        Operation::SearchConsoleDevices => list("devices", devices(&rows)?),
        Operation::SearchConsoleIndexCoverage => coverage(&rows)?,
        Operation::SearchConsoleSitemaps => list("sitemaps", each(&sitemap)?),
        _ => {
            let mut answer = list("daily", named("date", &["date", "key"])?);
            answer.insert("days".into(), json!(params.days));
            answer
        }
    };
    answer.insert("property_id".into(), json!(params.account));
    Ok(answer)
}

/// From a row to what goes on of it.
type Mapping = dyn Fn(&Row<'_>) -> Result<Map<String, Value>, MapError>;

/// A row without an id is no property.
fn site(row: &Row<'_>) -> Result<Option<Value>, MapError> {
    let Some(id) = row.text(&["id", "siteUrl", "site_url"])? else {
        return Ok(None);
    };
    let kind = match id.starts_with("sc-domain:") {
        true => "Domain",
        false => "URL prefix",
    };
    let name = id.strip_prefix("sc-domain:").unwrap_or(&id).to_owned();
    Ok(Some(json!({
        "name": row.text(&["name"])?.unwrap_or(name),
        "type": row.text(&["type"])?.unwrap_or_else(|| kind.to_owned()),
        "permission_level": row.text(&["permission_level", "permissionLevel"])?
            .unwrap_or_else(|| "siteUnverifiedUser".to_owned()),
        "verified": row.flag(&["verified"]),
        "id": id,
    })))
}

/// The row with its four figures; `ctr` is in per cent, worked out when absent.
fn searched(row: &Row<'_>) -> Result<Map<String, Value>, MapError> {
    let clicks = row.count(&["clicks"])?;
    let impressions = row.count(&["impressions"])?;
    let rate = round(ratio(100.0 * clicks as f64, impressions as f64), 2);
    let mut found = row.whole();
    found.insert("clicks".into(), json!(clicks));
    found.insert("impressions".into(), json!(impressions));
    found.insert("ctr".into(), json!(row.figure(&["ctr"])?.unwrap_or(rate)));
    let position = row.figure(&["position"])?.unwrap_or(0.0);
    found.insert("position".into(), json!(position));
    Ok(found)
}

/// Flat figures; the contract does not name them, so they stand under both usual names.
fn overview(row: &Row<'_>) -> Result<Answer, MapError> {
    let mut figures = searched(row)?;
    for (name, other) in [
        ("total_clicks", "clicks"),
        ("total_impressions", "impressions"),
        ("avg_ctr", "ctr"),
        ("avg_position", "position"),
    ] {
        let given = row.figure(&[name])?;
        let value = given.map_or_else(|| figures[other].clone(), |given| json!(given));
        figures.insert(name.to_owned(), value);
    }
    Ok(figures)
}

fn country(row: &Row<'_>) -> Result<Map<String, Value>, MapError> {
    let mut found = searched(row)?;
    let country = row.text(&["country", "key"])?.unwrap_or_default();
    let code = row.text(&["code", "countryCode"])?;
    found.insert("code".into(), json!(code.unwrap_or_default()));
    found.insert("country".into(), json!(country));
    Ok(found)
}

/// With each one's share of the clicks, in per cent.
fn devices(rows: &[Row<'_>]) -> Result<Vec<Value>, MapError> {
    let all = rows.iter().try_fold(0i64, |sum, row| {
        Ok(sum.saturating_add(row.count(&["clicks"])?))
    })?;
    let device = |row: &Row<'_>| {
        let mut found = searched(row)?;
        let worked_out = round(ratio(100.0 * row.count(&["clicks"])? as f64, all as f64), 1);
        let share = row.figure(&["share"])?.unwrap_or(worked_out);
        found.insert("share".into(), json!(share));
        let name = row.text(&["device", "key"])?.unwrap_or_default();
        found.insert("device".into(), json!(name));
        Ok(Value::Object(found))
    };
    rows.iter().map(device).collect()
}

/// Sums by state, and the rows of each state but the valid ones.
fn coverage(rows: &[Row<'_>]) -> Result<Answer, MapError> {
    let mut summary = [
        ("valid", 0i64),
        ("warning", 0),
        ("error", 0),
        ("excluded", 0),
    ];
    let mut lists: [(&str, &str, Vec<Value>); 3] = [
        ("warning", "warnings", Vec::new()),
        ("error", "errors", Vec::new()),
        ("excluded", "excluded", Vec::new()),
    ];
    for row in rows {
        let state = row.text(&["state"])?.unwrap_or_default().to_lowercase();
        let pages = row.count(&["pages", "count"])?;
        if let Some((_, sum)) = summary.iter_mut().find(|(name, _)| *name == state) {
            *sum = sum.saturating_add(pages);
        }
        if let Some((_, _, list)) = lists.iter_mut().find(|(name, ..)| *name == state) {
            let mut found = row.whole();
            let reason = row.text(&["reason", "type"])?.unwrap_or_default();
            found.insert("reason".into(), json!(reason));
            found.insert("pages".into(), json!(pages));
            list.push(Value::Object(found));
        }
    }
    let summary: Map<String, Value> = summary
        .map(|(name, sum)| (name.to_owned(), json!(sum)))
        .into_iter()
        .collect();
    let mut answer = Answer::from_iter([("summary".to_owned(), Value::Object(summary))]);
    answer.extend(lists.map(|(_, name, rows)| (name.to_owned(), Value::Array(rows))));
    Ok(answer)
}

fn sitemap(row: &Row<'_>) -> Result<Map<String, Value>, MapError> {
    let mut found = row.whole();
    found.insert(
        "path".into(),
        json!(row.text(&["path"])?.unwrap_or_default()),
    );
    for name in ["submitted", "indexed", "warnings", "errors"] {
        found.insert(name.to_owned(), json!(row.count(&[name])?));
    }
    let status = row.text(&["status"])?.unwrap_or_else(|| "UNKNOWN".into());
    found.insert("status".into(), json!(status));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::mapping::tests::mapped;
    use super::*;

    fn report(preset: &str, rows: Value) -> Value {
        json!({"siteUrl": "sc-domain:camarad.ai", "data": {preset: {"rows": rows}}})
    }

    #[test]
    fn properties_are_told_apart_by_their_ids() {
        let payload = json!({"properties": [{"siteUrl": "sc-domain:a.example", "permissionLevel": "Owner", "verified": true},
                                            {"siteUrl": "https://a.example/"}, {"name": "no id"}]});
        let answer = mapped(Operation::SearchConsoleProperties, payload, "").unwrap();
        let expected = json!({"properties": [
            {"id": "sc-domain:a.example", "name": "a.example", "type": "Domain", "permission_level": "Owner", "verified": true},
            {"id": "https://a.example/", "name": "https://a.example/", "type": "URL prefix",
             "permission_level": "siteUnverifiedUser", "verified": false},
        ]});
        assert_eq!(answer, expected);
    }

    #[test]
    fn rows_have_their_four_figures_and_keep_what_else_they_hold() {
        let rows = json!([{"query": "garden", "clicks": "5", "impressions": 200, "position": 3.5, "note": 1}]);
        let answer = mapped(Operation::SearchConsoleQueries, report("queries", rows), "").unwrap();
        let expected = json!({"query": "garden", "clicks": 5, "impressions": 200, "ctr": 2.5, "position": 3.5, "note": 1});
        assert_eq!(answer["queries"][0], expected);
        assert_eq!(answer["property_id"], "sc-domain:camarad.ai");
        let rows = json!([{"clicks": 10, "impressions": 100, "position": 2}]);
        let overview = mapped(
            Operation::SearchConsoleOverview,
            report("overview", rows),
            "",
        )
        .unwrap();
        assert_eq!(
            (&overview["total_clicks"], &overview["avg_ctr"]),
            (&json!(10), &json!(10.0))
        );
        let rows = json!([{"device": "MOBILE", "clicks": 3}, {"device": "DESKTOP", "clicks": 1}]);
        let devices = mapped(Operation::SearchConsoleDevices, report("devices", rows), "").unwrap();
        assert_eq!(
            (
                &devices["devices"][0]["share"],
                &devices["devices"][1]["ctr"]
            ),
            (&json!(75.0), &json!(0.0))
        );
        let rows = json!([{"date": "2026-11-01", "clicks": 1}]);
        let daily = mapped(
            Operation::SearchConsoleTimeseries,
            report("timeseries", rows),
            "",
        )
        .unwrap();
        assert_eq!(
            (&daily["days"], &daily["daily"][0]["date"]),
            (&json!(28), &json!("2026-11-01"))
        );
    }

    #[test]
    fn coverage_is_summed_by_state() {
        let rows = json!([{"state": "valid", "pages": 90}, {"state": "error", "reason": "404", "pages": 2},
                          {"state": "Error", "reason": "500", "pages": 1}, {"state": "excluded", "pages": 7}]);
        let answer = mapped(
            Operation::SearchConsoleIndexCoverage,
            report("index_coverage", rows),
            "",
        )
        .unwrap();
        assert_eq!(
            answer["summary"],
            json!({"valid": 90, "warning": 0, "error": 3, "excluded": 7})
        );
        assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&answer["warnings"], &answer["excluded"][0]["pages"]),
            (&json!([]), &json!(7))
        );
    }

    #[test]
    fn another_property_or_words_do_not_fit() {
        let other = report("queries", json!([{"query": "a", "clicks": 1}]));
        let outcome = mapped(
            Operation::SearchConsoleQueries,
            other,
            "property_id=sc-domain:b.example",
        );
        assert!(matches!(outcome, Err(MapError::BadPayload(_))));
        let words = report("queries", json!([{"query": "a", "clicks": "many"}]));
        assert!(matches!(
            mapped(Operation::SearchConsoleQueries, words, ""),
            Err(MapError::BadPayload(_))
        ));
    }
}
