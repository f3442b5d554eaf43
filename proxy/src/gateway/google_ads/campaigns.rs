//! `campaigns`: rows with their derived figures, and the summary over them.

use super::{Answer, MapError, Params};
use crate::gateway::rows::{self, Found, Mapped, Row, ratio, round};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One campaign as the page reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) budget_daily: f64,
    pub(crate) budget_total: f64,
    pub(crate) spent: f64,
    pub(crate) impressions: i64,
    pub(crate) clicks: i64,
    pub(crate) conversions: i64,
    pub(crate) cost_per_conv: f64,
    pub(crate) roas: f64,
    /// Per cent.
    pub(crate) ctr: f64,
    pub(crate) avg_cpc: f64,
}

/// Sums and means over the campaigns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summary {
    total_campaigns: usize,
    active_campaigns: usize,
    total_spent: f64,
    total_budget: f64,
    pub(crate) total_clicks: i64,
    total_conversions: i64,
    total_impressions: i64,
    avg_roas: f64,
    /// Per cent.
    budget_utilization: f64,
}

pub(super) fn map(payload: &Value, params: &Params) -> Result<Answer, MapError> {
    let found = find(payload)?;
    let campaigns = found.map(campaign)?;
    if campaigns.is_empty() {
        return Err(MapError::Empty);
    }
    Ok(answer(found.whole(), campaigns, params))
}

/// The campaigns of a payload, for reports.
pub(super) fn campaigns(payload: &Value) -> Result<Vec<Campaign>, MapError> {
    let mapped = find(payload)?.map(campaign)?;
    Ok(mapped.into_iter().map(|mapped| mapped.figures).collect())
}

fn find(payload: &Value) -> Result<Found<'_>, MapError> {
    rows::find(
        payload,
        ["data", "campaigns", "rows"],
        "campaigns",
        &["items", "results"],
    )
}

pub(super) fn answer(
    whole: Map<String, Value>,
    campaigns: Vec<Mapped<Campaign>>,
    params: &Params,
) -> Answer {
    let summary = summary(&campaigns);
    let rows = campaigns.into_iter().map(Mapped::into_value).collect();
    let mut answer = whole;
    answer.insert("account_id".into(), json!(params.account));
    answer.insert("campaigns".into(), Value::Array(rows));
    answer.insert("summary".into(), json!(summary));
    answer
}

/// A row without an id is no campaign.
fn campaign(row: &Row<'_>) -> Result<Option<Campaign>, MapError> {
    let Some(id) = row.text(&["id", "campaignId"])? else {
        return Ok(None);
    };
    let spent = row.figure(&["spent", "cost"])?.unwrap_or(0.0);
    let impressions = row.count(&["impressions"])?;
    let clicks = row.count(&["clicks"])?;
    let conversions = row.figure(&["conversions"])?.unwrap_or(0.0);
    let value = row
        .figure(&["convValue", "conversionValue"])?
        .unwrap_or(0.0);
    // Worked out when absent or 0, from the figures before they are rounded or cut off.
    let given_or = |key: &str, worked_out: f64| -> Result<f64, MapError> {
        let given = row.figure(&[key])?.filter(|given| *given != 0.0);
        Ok(given.unwrap_or_else(|| round(worked_out, 2)))
    };
    let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
    Ok(Some(Campaign {
        id,
        name: or(row.text(&["name", "campaign"])?, "Campaign"),
        status: or(row.text(&["status"])?, "UNKNOWN"),
        kind: or(row.text(&["type", "channel"])?, "Search"),
        budget_daily: row.figure(&["budget_daily", "budgetDaily"])?.unwrap_or(0.0),
        budget_total: row.figure(&["budget_total", "budgetTotal"])?.unwrap_or(0.0),
        spent: round(spent, 2),
        impressions,
        clicks,
        conversions: conversions as i64,
        cost_per_conv: given_or("cost_per_conv", ratio(spent, conversions))?,
        roas: given_or("roas", ratio(value, spent))?,
        ctr: given_or("ctr", ratio(100.0 * clicks as f64, impressions as f64))?,
        avg_cpc: given_or("avg_cpc", ratio(spent, clicks as f64))?,
    }))
}

fn summary(campaigns: &[Mapped<Campaign>]) -> Summary {
    let all = || campaigns.iter().map(|mapped| &mapped.figures);
    let spent: f64 = all().map(|c| c.spent).sum();
    let budget: f64 = all().map(|c| c.budget_total).sum();
    let roas: f64 = all().map(|c| c.roas).sum();
    Summary {
        total_campaigns: campaigns.len(),
        active_campaigns: all().filter(|c| c.status == "ENABLED").count(),
        total_spent: round(spent, 2),
        total_budget: round(budget, 2),
        total_clicks: all().map(|c| c.clicks).fold(0, i64::saturating_add),
        total_conversions: all().map(|c| c.conversions).fold(0, i64::saturating_add),
        total_impressions: all().map(|c| c.impressions).fold(0, i64::saturating_add),
        // The plain mean, idle campaigns included.
        avg_roas: round(ratio(roas, campaigns.len() as f64), 2),
        budget_utilization: round(ratio(100.0 * spent, budget), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::params;
    use super::*;
    use camarad_policies::operation::Operation;

    fn mapped(payload: Value) -> Answer {
        map(&payload, &params(Operation::GoogleAdsCampaigns, "")).unwrap()
    }

    #[test]
    fn figures_are_derived_before_they_are_cut_off() {
        let answer = mapped(json!({"data": {"campaigns": {"rows": [
            {"campaignId": 7, "campaign": "A", "status": "ENABLED", "channel": "Video",
             "budgetDaily": "10", "budgetTotal": 300, "cost": 99.999, "impressions": "2000",
             "clicks": 50, "conversions": 2.5, "convValue": 250},
            {"id": "idle"},
            {"campaign": "without an id"},
        ]}}}));
        let first = &answer["campaigns"][0];
        assert_eq!(first["id"], "7");
        assert_eq!(first["type"], "Video");
        assert_eq!(first["spent"], 100.0);
        assert_eq!(first["conversions"], 2);
        assert_eq!(first["cost_per_conv"], 40.0);
        assert_eq!(first["roas"], 2.5);
        assert_eq!(first["ctr"], 2.5);
        assert_eq!(first["avg_cpc"], 2.0);
        let idle = &answer["campaigns"][1];
        assert_eq!(idle["name"], "Campaign");
        assert_eq!(idle["status"], "UNKNOWN");
        assert_eq!(idle["cost_per_conv"], 0.0);
        let summary = &answer["summary"];
        assert_eq!(summary["total_campaigns"], 2);
        assert_eq!(summary["active_campaigns"], 1);
        assert_eq!(summary["avg_roas"], 1.25);
        assert_eq!(summary["budget_utilization"], 33.3);
        assert_eq!(answer["account_id"], "123-456-7890");
    }

    #[test]
    fn figures_that_are_given_are_kept() {
        let answer = mapped(json!({"data": {"campaigns": {"rows": [
            {"id": 1, "cost": 10, "clicks": 5, "impressions": 100, "ctr": 9.5, "avg_cpc": "3", "roas": 0},
        ]}}}));
        let first = &answer["campaigns"][0];
        assert_eq!(
            (&first["ctr"], &first["avg_cpc"]),
            (&json!(9.5), &json!(3.0))
        );
        assert_eq!(first["roas"], 0.0);
    }

    #[test]
    fn a_payload_in_the_apps_shape_is_kept_whole_with_every_number_a_number() {
        let answer = mapped(json!({
            "campaigns": [{"id": "c-1", "name": "A", "label": "kept", "spent": "5"}],
            "summary": "replaced", "note": "kept",
        }));
        assert_eq!(answer["note"], "kept");
        assert_eq!(answer["campaigns"][0]["label"], "kept");
        assert_eq!(answer["campaigns"][0]["spent"], 5.0);
        assert_eq!(answer["campaigns"][0]["clicks"], 0);
        assert_eq!(answer["summary"]["total_spent"], 5.0);
    }

    #[test]
    fn lists_under_other_names_are_found() {
        for payload in [
            json!({"items": [{"id": 1}]}),
            json!({"results": [{"id": 1}]}),
            json!([{"id": 1}]),
        ] {
            assert_eq!(
                mapped(payload.clone())["campaigns"][0]["id"],
                "1",
                "{payload}"
            );
        }
    }
}
