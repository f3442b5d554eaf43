//! `metrics`: one row a day.

use super::{Answer, MapError, Params};
use crate::gateway::rows::{Mapped, Row, find, ratio, round};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One day as the page reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Day {
    date: String,
    impressions: i64,
    clicks: i64,
    conversions: i64,
    cost: f64,
    ctr: f64,
    avg_cpc: f64,
    roas: f64,
}

pub(super) fn map(payload: &Value, params: &Params) -> Result<Answer, MapError> {
    let found = find(
        payload,
        ["data", "series", "daily"],
        "daily_metrics",
        &["timeseries", "rows", "results"],
    )?;
    let rows = found.map(|row| day(row).map(Some))?;
    if rows.is_empty() {
        return Err(MapError::Empty);
    }
    Ok(answer(found.whole(), rows, params))
}

pub(super) fn answer(whole: Map<String, Value>, rows: Vec<Mapped<Day>>, params: &Params) -> Answer {
    let mut answer = whole;
    answer.insert("account_id".into(), json!(params.account));
    answer.insert("days".into(), json!(params.days));
    answer.insert(
        "daily_metrics".into(),
        rows.into_iter().map(Mapped::into_value).collect(),
    );
    answer
}

fn day(row: &Row<'_>) -> Result<Day, MapError> {
    let (impressions, clicks) = (row.count(&["impressions"])?, row.count(&["clicks"])?);
    let cost = row.figure(&["cost"])?.unwrap_or(0.0);
    let value = row.figure(&["convValue"])?.unwrap_or(0.0);
    let given_or = |key: &str, worked_out: f64| -> Result<f64, MapError> {
        Ok(row.figure(&[key])?.unwrap_or_else(|| round(worked_out, 2)))
    };
    Ok(Day {
        date: row.text(&["date"])?.unwrap_or_default(),
        ctr: given_or("ctr", ratio(100.0 * clicks as f64, impressions as f64))?,
        avg_cpc: given_or("avg_cpc", ratio(cost, clicks as f64))?,
        roas: given_or("roas", ratio(value, cost))?,
        impressions,
        clicks,
        conversions: row.count(&["conversions"])?,
        cost,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::params;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn days_carry_their_derived_figures() {
        let payload = json!({"data": {"series": {"daily": [
            {"date": "2026-11-23", "impressions": 1000, "clicks": 20, "cost": 10.0,
             "conversions": 1.9, "convValue": 45},
        ]}}});
        let answer = map(&payload, &params(Operation::GoogleAdsMetrics, "days=7")).unwrap();
        let expected = json!({"date": "2026-11-23", "impressions": 1000, "clicks": 20, "cost": 10.0,
                              "conversions": 1, "ctr": 2.0, "avg_cpc": 0.5, "roas": 4.5});
        assert_eq!(answer["daily_metrics"][0], expected);
        assert_eq!(answer["days"], 7);
    }

    #[test]
    fn a_daily_list_in_the_apps_shape_is_kept_whole() {
        let payload = json!({"daily_metrics": [{"date": "d", "note": "kept"}], "currency": "EUR"});
        let answer = map(&payload, &params(Operation::GoogleAdsMetrics, "")).unwrap();
        assert_eq!(answer["currency"], "EUR");
        assert_eq!(answer["daily_metrics"][0]["note"], "kept");
        assert_eq!(answer["daily_metrics"][0]["clicks"], 0);
    }
}
