//! `keywords` of a campaign.

use super::{Answer, MapError, Params};
use crate::gateway::rows::{Mapped, Row, find, ratio, round};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One keyword as the page reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keyword {
    keyword: String,
    match_type: String,
    status: String,
    impressions: i64,
    clicks: i64,
    ctr: f64,
    avg_cpc: f64,
    cost: f64,
    quality_score: i64,
    campaign: Option<String>,
    ad_group: Option<String>,
    conversions: f64,
}

pub(super) fn map(payload: &Value, params: &Params) -> Result<Answer, MapError> {
    let found = find(
        payload,
        ["data", "keywords", "rows"],
        "keywords",
        &["items", "results"],
    )?;
    let rows = found.map(|row| keyword(row).map(Some))?;
    if rows.is_empty() {
        return Err(MapError::Empty);
    }
    Ok(answer(found.whole(), rows, params))
}

pub(super) fn answer(
    whole: Map<String, Value>,
    rows: Vec<Mapped<Keyword>>,
    params: &Params,
) -> Answer {
    let mut answer = whole;
    answer.insert("campaign_id".into(), json!(params.campaign));
    answer.insert(
        "keywords".into(),
        rows.into_iter().map(Mapped::into_value).collect(),
    );
    answer
}

fn keyword(row: &Row<'_>) -> Result<Keyword, MapError> {
    let (impressions, clicks) = (row.count(&["impressions"])?, row.count(&["clicks"])?);
    let cost = row.figure(&["cost", "spent"])?.unwrap_or(0.0);
    let given_or = |key: &str, worked_out: f64| -> Result<f64, MapError> {
        Ok(row.figure(&[key])?.unwrap_or_else(|| round(worked_out, 2)))
    };
    Ok(Keyword {
        keyword: row.text(&["keyword", "text"])?.unwrap_or_default(),
        match_type: row.text(&["match_type", "matchType"])?.unwrap_or_default(),
        status: row.text(&["status"])?.unwrap_or_else(|| "UNKNOWN".into()),
        ctr: given_or("ctr", ratio(100.0 * clicks as f64, impressions as f64))?,
        avg_cpc: given_or("avg_cpc", ratio(cost, clicks as f64))?,
        impressions,
        clicks,
        cost,
        quality_score: row.count(&["quality_score", "qualityScore"])?,
        campaign: row.text(&["campaign"])?,
        ad_group: row.text(&["adGroup", "ad_group"])?,
        conversions: row.figure(&["conversions"])?.unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::params;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn both_spellings_are_read() {
        let payload = json!({"data": {"keywords": {"rows": [
            {"text": "a", "matchType": "EXACT", "impressions": 100, "clicks": "4", "spent": 2,
             "qualityScore": "8", "adGroup": "G", "campaign": "C", "conversions": 1.5},
            {"keyword": "b", "match_type": "BROAD", "ctr": 1.25, "ad_group": "H"},
        ]}}});
        let params = params(Operation::GoogleAdsKeywords, "campaign_id=c-9");
        let answer = map(&payload, &params).unwrap();
        assert_eq!(answer["campaign_id"], "c-9");
        let first = &answer["keywords"][0];
        assert_eq!(
            (
                &first["keyword"],
                &first["quality_score"],
                &first["ctr"],
                &first["avg_cpc"]
            ),
            (&json!("a"), &json!(8), &json!(4.0), &json!(0.5))
        );
        assert_eq!(answer["keywords"][1]["ctr"], 1.25);
        assert_eq!(answer["keywords"][1]["campaign"], Value::Null);
    }
}
