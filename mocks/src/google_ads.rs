//! The embedded mock of Google Ads, in the shape of Coolbits' answers
//! (contract, section 4.1).
//!
//! What an account does not have is an empty list, as in the app's own made-up
//! data: an unknown account has no campaigns.

use crate::fixtures::fixture;
use crate::series;
use camarad_policies::operation::Operation;
use serde_json::{Value, json};
use std::sync::LazyLock;
use time::Date;

static ACCOUNTS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-ads/accounts.json")));
static CAMPAIGNS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-ads/campaigns.json")));
static KEYWORDS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-ads/keywords.json")));

/// What the mock would answer in Coolbits' place.
///
/// `account` is the account asked for, `campaign` the campaign for keywords,
/// `to` the last day of the window and `days` its length.
pub fn payload(operation: Operation, account: &str, campaign: &str, to: Date, days: u16) -> Value {
    let digits: String = account.chars().filter(char::is_ascii_digit).collect();
    match operation {
        Operation::GoogleAdsAccounts => ACCOUNTS.clone(),
        Operation::GoogleAdsCampaigns | Operation::GoogleAdsReports => {
            json!({"data": {"campaigns": {"rows": rows(&CAMPAIGNS["accounts"][&digits])}}})
        }
        Operation::GoogleAdsKeywords => {
            json!({"data": {"keywords": {"rows": rows(&KEYWORDS["campaigns"][campaign])}}})
        }
        Operation::GoogleAdsMetrics => {
            let known = CAMPAIGNS["accounts"].get(&digits).is_some();
            let daily = match known {
                true => series::daily(&digits, to, days),
                false => Vec::new(),
            };
            json!({"data": {"series": {"daily": daily}}})
        }
        _ => Value::Null,
    }
}

fn rows(value: &Value) -> Value {
    match value {
        Value::Array(_) => value.clone(),
        _ => json!([]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    const TODAY: Date = date!(2026 - 11 - 24);

    #[test]
    fn the_ids_that_the_pages_expect_are_there() {
        let payload = |operation, account: &str, campaign: &str| {
            super::payload(operation, account, campaign, TODAY, 7).to_string()
        };
        let accounts = payload(Operation::GoogleAdsAccounts, "", "");
        for id in [
            "MCC-000-111-2222",
            "123-456-7890",
            "234-567-8901",
            "345-678-9012",
        ] {
            assert!(accounts.contains(id), "{id}");
        }
        assert!(payload(Operation::GoogleAdsCampaigns, "123-456-7890", "").contains("c-1001"));
        assert!(payload(Operation::GoogleAdsKeywords, "", "c-1001").contains("northwind"));
        assert!(payload(Operation::GoogleAdsMetrics, "1234567890", "").contains("2026-11-24"));
    }

    #[test]
    fn keywords_add_up_to_their_campaign() {
        for campaigns in CAMPAIGNS["accounts"].as_object().unwrap().values() {
            for campaign in campaigns.as_array().unwrap() {
                let keywords = &KEYWORDS["campaigns"][campaign["id"].as_str().unwrap()];
                let keywords = keywords.as_array().unwrap();
                for field in ["impressions", "clicks", "cost", "conversions"] {
                    let sum: f64 = keywords.iter().map(|k| k[field].as_f64().unwrap()).sum();
                    let whole = campaign[field].as_f64().unwrap();
                    assert!(
                        (sum - whole).abs() < 0.01,
                        "{} {field}: {sum} != {whole}",
                        campaign["id"]
                    );
                }
            }
        }
    }

    #[test]
    fn an_unknown_account_has_nothing() {
        let none = payload(Operation::GoogleAdsCampaigns, "999-999-9999", "", TODAY, 7);
        assert_eq!(none["data"]["campaigns"]["rows"], json!([]));
        let none = payload(Operation::GoogleAdsMetrics, "999-999-9999", "", TODAY, 7);
        assert_eq!(none["data"]["series"]["daily"], json!([]));
    }
}
