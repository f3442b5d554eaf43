//! Google Ads (contract, section 4.1): what is asked of Coolbits, and how its
//! payload becomes the answer that the app's pages expect. Pure.
//!
//! One mapping serves Coolbits and the mock alike. Whatever does not fit is
//! [`MapError::BadPayload`], never a guess: the pages call number methods on
//! every figure, so a null or a word that slipped through would break them.

mod accounts;
mod campaigns;
mod keywords;
mod metrics;
mod reports;

pub(super) use accounts::{placeholders, rename};

use super::mapping::{Answer, MapError};
use super::params::Params;
use super::rows;
use camarad_policies::operation::Operation;
use serde_json::{Map, Value};

/// Maps a payload of Coolbits, or of the mock, to the answer.
///
/// `generated_at` is RFC 3339 and only used by reports.
pub(super) fn map(
    operation: Operation,
    payload: &Value,
    params: &Params,
    generated_at: &str,
) -> Result<Answer, MapError> {
    if operation != Operation::GoogleAdsAccounts {
        rows::check_account(payload, &params.account)?;
    }
    match operation {
        Operation::GoogleAdsAccounts => accounts::map(payload),
        Operation::GoogleAdsCampaigns => campaigns::map(payload, params),
        Operation::GoogleAdsKeywords => keywords::map(payload, params),
        Operation::GoogleAdsMetrics => metrics::map(payload, params),
        // No other operation is Google Ads'.
        _ => reports::map(payload, params, generated_at),
    }
}

/// The answer where there is nothing: empty lists, and sums of zero.
pub(super) fn nothing(operation: Operation, params: &Params, generated_at: &str) -> Answer {
    match operation {
        Operation::GoogleAdsAccounts => accounts::answer(&[]),
        Operation::GoogleAdsCampaigns => campaigns::answer(Map::new(), Vec::new(), params),
        Operation::GoogleAdsKeywords => keywords::answer(Map::new(), Vec::new(), params),
        Operation::GoogleAdsMetrics => metrics::answer(Map::new(), Vec::new(), params),
        _ => reports::answer(&[], params, generated_at),
    }
}

/// The path of reports, by which names are looked up too.
pub(super) const REPORT: &str = "/api/connectors/googleads/report";

/// The path by which a customer is selected.
pub(super) const SELECT: &str = "/api/connectors/googleads/customer";

#[cfg(test)]
mod tests {
    use super::*;
    pub(super) use crate::gateway::mapping::tests::params;
    use serde::{Deserialize, de::DeserializeOwned};
    use serde_json::json;

    /// The types the pages rely on: no field may be missing, null or of another type.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Accounts {
        accounts: Vec<accounts::Account>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Campaigns {
        account_id: String,
        campaigns: Vec<campaigns::Campaign>,
        summary: campaigns::Summary,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Keywords {
        campaign_id: String,
        keywords: Vec<keywords::Keyword>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Metrics {
        account_id: String,
        days: i64,
        daily_metrics: Vec<metrics::Day>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Reports {
        report_type: String,
        rows: Vec<std::collections::BTreeMap<String, String>>,
        generated_at: String,
    }

    fn of_mock<T: DeserializeOwned>(operation: Operation, query: &str) -> T {
        let params = params(operation, query);
        let window = params.window;
        let payload = camarad_mocks::google_ads::payload(
            operation,
            &params.account,
            &params.campaign,
            window.to,
            window.days,
        );
        let answer = map(operation, &payload, &params, "2026-11-24T00:00:00Z").unwrap();
        serde_json::from_value(Value::Object(answer)).unwrap()
    }

    #[test]
    fn every_fixture_fits_the_types_of_the_mapping() {
        let accounts: Accounts = of_mock(Operation::GoogleAdsAccounts, "");
        assert_eq!(accounts.accounts.len(), 4);
        for account in accounts.accounts.iter().filter(|a| a.kind == "Client") {
            let query = format!("account_id={}", account.id);
            let campaigns: Campaigns = of_mock(Operation::GoogleAdsCampaigns, &query);
            let clicks: i64 = campaigns.campaigns.iter().map(|c| c.clicks).sum();
            assert_eq!(clicks, campaigns.summary.total_clicks);
            for campaign in &campaigns.campaigns {
                let follows = |figure: f64, dividend: f64, divisor: f64| {
                    assert!((figure - dividend / divisor).abs() < 0.006, "{campaign:?}");
                };
                let clicks = campaign.clicks as f64;
                follows(campaign.ctr, 100.0 * clicks, campaign.impressions as f64);
                follows(campaign.avg_cpc, campaign.spent, clicks);
                follows(
                    campaign.cost_per_conv,
                    campaign.spent,
                    campaign.conversions as f64,
                );
                let query = format!("campaign_id={}", campaign.id);
                let keywords: Keywords = of_mock(Operation::GoogleAdsKeywords, &query);
                assert!(!keywords.keywords.is_empty());
            }
            let metrics: Metrics = of_mock(Operation::GoogleAdsMetrics, &query);
            assert_eq!(metrics.daily_metrics.len(), 30);
            let reports: Reports = of_mock(Operation::GoogleAdsReports, &query);
            assert!(reports.rows.iter().all(|row| row["Cost"].starts_with('$')));
        }
    }

    #[test]
    fn what_does_not_fit_is_never_an_answer() {
        let bad = |operation, payload: Value| {
            let outcome = map(operation, &payload, &params(operation, ""), "");
            assert!(
                matches!(outcome, Err(MapError::BadPayload(_))),
                "{operation:?} {payload} gave {outcome:?}"
            );
        };
        let campaigns = |row: Value| json!({"data": {"campaigns": {"rows": [row]}}});
        use Operation::*;
        for row in [
            json!({"id": 1, "clicks": "many"}),
            json!({"id": 1, "clicks": "1.5"}),
            json!({"id": 1, "clicks": true}),
            json!({"id": 1, "clicks": [1]}),
            json!({"id": 1, "cost": "inf"}),
            json!({"id": 1, "cost": {}}),
            json!({"id": 1, "name": {}}),
            json!({"id": [1]}),
            json!("row"),
        ] {
            bad(GoogleAdsCampaigns, campaigns(row.clone()));
            bad(GoogleAdsReports, campaigns(row));
        }
        for operation in [
            GoogleAdsCampaigns,
            GoogleAdsKeywords,
            GoogleAdsMetrics,
            GoogleAdsReports,
        ] {
            bad(operation, json!({"data": []}));
            bad(operation, json!({"data": "x"}));
            bad(operation, json!("x"));
            bad(operation, json!({"customerId": "9999999999"}));
            bad(operation, json!({"data": {"account_id": "999-999-9999"}}));
        }
        bad(GoogleAdsCampaigns, json!({"data": {"campaigns": []}}));
        bad(
            GoogleAdsCampaigns,
            json!({"data": {"campaigns": {"rows": {}}}}),
        );
        bad(
            GoogleAdsKeywords,
            json!({"data": {"keywords": {"rows": [{"keyword": "a", "quality_score": "x"}]}}}),
        );
        bad(
            GoogleAdsMetrics,
            json!({"data": {"series": {"daily": [{"date": "d", "clicks": null, "cost": "x"}]}}}),
        );
        bad(GoogleAdsAccounts, json!({"customers": {}}));
        bad(GoogleAdsAccounts, json!({"customers": [1]}));
    }

    #[test]
    fn nothing_is_told_apart_from_nonsense() {
        use Operation::*;
        for (operation, payload) in [
            (
                GoogleAdsCampaigns,
                json!({"data": {"campaigns": {"rows": []}}}),
            ),
            (GoogleAdsCampaigns, json!({"data": {}})),
            (GoogleAdsCampaigns, json!({"campaigns": []})),
            (GoogleAdsKeywords, json!({})),
            (GoogleAdsMetrics, json!({"data": {"series": {"daily": []}}})),
            (
                GoogleAdsReports,
                json!({"data": {"campaigns": {"rows": []}}}),
            ),
            (GoogleAdsAccounts, json!({"customers": []})),
            (GoogleAdsAccounts, json!({"customers": [{"name": "no id"}]})),
        ] {
            let outcome = map(operation, &payload, &params(operation, ""), "");
            assert_eq!(outcome, Err(MapError::Empty), "{operation:?} {payload}");
        }
    }
}
