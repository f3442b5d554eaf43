//! The embedded mock of Stripe, in the shape that Coolbits' answer is taken to
//! have. There is one operation, and the account is the token's own.

use crate::series::pick;
use serde_json::{Value, json};
use time::Date;

/// What the mock would answer in Coolbits' place; null for a `what` it does not know.
///
/// `what` is `overview`; `id` is whatever the figures are made from. They are
/// those of the last 30 days, whatever the window: volumes and `mrr` in
/// `currency`, with 2 places, `refunds` a number of payments, `churn_rate` per
/// cent a month.
pub fn payload(what: &str, id: &str, _to: Date, _days: u16) -> Value {
    if what != "overview" {
        return Value::Null;
    }
    let roll = |what: &str, bound| pick(&[id, what], bound);
    let customers = 200 + roll("customers", 1_800);
    let subscriptions = customers * (30 + roll("subscriptions", 40)) / 100;
    let mrr = subscriptions * (1_500 + roll("price", 6_000));
    let payments = subscriptions + roll("single payments", 400);
    let ticket = mrr / subscriptions.max(1);
    let refunds = payments * roll("refunds", 30) / 1_000;
    let gross = payments * ticket;
    // Fees of 1.5 per cent and 25 cents, and what was paid back.
    let net = gross.saturating_sub(gross * 15 / 1_000 + payments * 25 + refunds * ticket);
    let euros = |cents: u64| cents as f64 / 100.0;
    json!({"data": {"overview": {
        "currency": "EUR",
        "gross_volume": euros(gross),
        "net_volume": euros(net),
        "mrr": euros(mrr),
        "active_subscriptions": subscriptions,
        "customers": customers,
        "successful_payments": payments,
        "failed_payments": payments * (10 + roll("failures", 40)) / 1_000,
        "refunds": refunds,
        "churn_rate": (10 + roll("churn", 50)) as f64 / 10.0,
    }}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn volumes_and_counts_agree() {
        for id in ["a", "b", "c", ""] {
            let answer = payload("overview", id, date!(2026 - 11 - 23), 30);
            let overview = &answer["data"]["overview"];
            let n = |field: &str| overview[field].as_f64().unwrap();
            assert!(
                n("net_volume") > 0.0 && n("net_volume") < n("gross_volume"),
                "{id}"
            );
            assert!(n("mrr") <= n("gross_volume"), "{id}");
            assert!(n("active_subscriptions") <= n("customers"), "{id}");
            assert!(n("refunds") <= n("successful_payments"), "{id}");
            assert!(n("failed_payments") <= n("successful_payments"), "{id}");
            assert_eq!(overview["currency"], "EUR");
        }
        let of = |id| payload("overview", id, date!(2026 - 11 - 23), 30);
        assert_ne!(of("a"), of("b"));
        assert_eq!(
            payload("nonsense", "a", date!(2026 - 11 - 23), 30),
            Value::Null
        );
    }
}
