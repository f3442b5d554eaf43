//! Stripe's overview: the proof that a connector is a table entry, a mapping,
//! fixtures and tests. Pure.
//!
//! The app asks Coolbits for it itself; the contract names the paths and not the
//! fields, so the figures are kept as they are given, with the usual ones made
//! sure of.

use super::mapping::{Answer, MapError, check_named, rows};
use super::params::Params;
use camarad_policies::endpoints::Endpoint;
use serde_json::{Value, json};

const AMOUNTS: [&str; 4] = ["gross_volume", "net_volume", "mrr", "churn_rate"];
const COUNTS: [&str; 5] = [
    "active_subscriptions",
    "customers",
    "successful_payments",
    "failed_payments",
    "refunds",
];

pub(super) fn map(
    endpoint: &Endpoint,
    payload: &Value,
    params: &Params,
) -> Result<Answer, MapError> {
    if params.account_named {
        check_named(payload, &["account_id", "accountId"], &params.account)?;
    }
    let rows = rows(endpoint, payload)?;
    let row = &rows[0];
    let mut overview = row.whole();
    for name in AMOUNTS {
        let amount = row.figure(&[name])?.unwrap_or(0.0);
        overview.insert(name.to_owned(), json!(amount));
    }
    for name in COUNTS {
        overview.insert(name.to_owned(), json!(row.count(&[name])?));
    }
    let currency = row.text(&["currency"])?.unwrap_or_else(|| "USD".into());
    overview.insert("currency".into(), json!(currency.to_uppercase()));
    Ok(overview)
}

#[cfg(test)]
mod tests {
    use super::super::mapping::tests::mapped;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn the_figures_are_numbers_whatever_is_given() {
        let payload = json!({"data": {"overview": {"mrr": "120.5", "customers": 7, "currency": "eur", "note": "kept"}}});
        let answer = mapped(Operation::StripeOverview, payload, "").unwrap();
        assert_eq!(
            (&answer["mrr"], &answer["customers"], &answer["refunds"]),
            (&json!(120.5), &json!(7), &json!(0))
        );
        assert_eq!(
            (&answer["currency"], &answer["note"]),
            (&json!("EUR"), &json!("kept"))
        );
        let words = json!({"data": {"overview": {"mrr": "much"}}});
        assert!(matches!(
            mapped(Operation::StripeOverview, words, ""),
            Err(MapError::BadPayload(_))
        ));
    }
}
