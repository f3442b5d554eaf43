//! `reports`: the campaigns again, as strings to be shown.
//!
//! The contract names one cell (`"Cost": "$50.13"`) and no more; the other
//! columns are our choice, figures of `campaigns` in the order of the page.

use super::campaigns::{Campaign, campaigns};
use super::{Answer, MapError, Params};
use crate::gateway::rows::ratio;
use serde_json::{Value, json};

pub(super) fn map(
    payload: &Value,
    params: &Params,
    generated_at: &str,
) -> Result<Answer, MapError> {
    let campaigns = campaigns(payload)?;
    if campaigns.is_empty() {
        return Err(MapError::Empty);
    }
    Ok(answer(&campaigns, params, generated_at))
}

pub(super) fn answer(campaigns: &[Campaign], params: &Params, generated_at: &str) -> Answer {
    let kind = params.kind.as_deref().unwrap_or("campaign_performance");
    let row = match kind {
        "budget_pacing" => pacing,
        _ => performance,
    };
    let rows: Vec<Value> = campaigns.iter().map(row).collect();
    let mut answer = Answer::new();
    answer.insert("report_type".into(), json!(kind));
    answer.insert("rows".into(), Value::Array(rows));
    answer.insert("generated_at".into(), json!(generated_at));
    answer
}

fn performance(campaign: &Campaign) -> Value {
    json!({
        "Campaign": campaign.name,
        "Status": campaign.status,
        "Impressions": campaign.impressions.to_string(),
        "Clicks": campaign.clicks.to_string(),
        "CTR": format!("{:.2}%", campaign.ctr),
        "Avg CPC": dollars(campaign.avg_cpc),
        "Cost": dollars(campaign.spent),
        "Conversions": campaign.conversions.to_string(),
        "Cost / Conv": dollars(campaign.cost_per_conv),
        "ROAS": format!("{:.2}", campaign.roas),
    })
}

fn pacing(campaign: &Campaign) -> Value {
    let used = ratio(100.0 * campaign.spent, campaign.budget_total);
    json!({
        "Campaign": campaign.name,
        "Status": campaign.status,
        "Daily Budget": dollars(campaign.budget_daily),
        "Total Budget": dollars(campaign.budget_total),
        "Cost": dollars(campaign.spent),
        "Utilization": format!("{used:.1}%"),
    })
}

fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::params;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn rows_hold_strings_to_be_shown() {
        let payload = json!({"data": {"campaigns": {"rows": [
            {"id": 1, "name": "A", "cost": 50.126, "budgetTotal": 200, "clicks": 10, "impressions": 100},
        ]}}});
        let of = |query| {
            let params = params(Operation::GoogleAdsReports, query);
            map(&payload, &params, "2026-11-24T08:00:00Z").unwrap()
        };
        let performance = of("");
        assert_eq!(performance["report_type"], "campaign_performance");
        assert_eq!(performance["rows"][0]["Cost"], "$50.13");
        assert_eq!(performance["rows"][0]["CTR"], "10.00%");
        assert_eq!(of("type=budget_pacing")["rows"][0]["Utilization"], "25.1%");
    }
}
