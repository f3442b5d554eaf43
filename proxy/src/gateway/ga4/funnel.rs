//! The funnel, counted from events.
//!
//! The contract names the fields and not the steps; these are the events that GA4
//! recommends for a shop and for leads.

use super::reports::{count_of, name_of};
use crate::gateway::mapping::{Answer, MapError};
use crate::gateway::rows::{Row, ratio, round};
use serde_json::{Value, json};

const ECOMMERCE: [(&str, &str); 5] = [
    ("Sessions", "session_start"),
    ("Product views", "view_item"),
    ("Add to cart", "add_to_cart"),
    ("Checkout", "begin_checkout"),
    ("Purchase", "purchase"),
];
const LEADS: [(&str, &str); 4] = [
    ("Sessions", "session_start"),
    ("Form started", "form_start"),
    ("Form sent", "form_submit"),
    ("Lead", "generate_lead"),
];

/// The steps with their counts; an event that does not occur counts 0.
pub(super) fn map(rows: &[Row<'_>], kind: Option<&str>) -> Result<Answer, MapError> {
    let (name, steps): (_, &[(&str, &str)]) = match kind {
        Some("lead_gen") => ("Lead generation", &LEADS),
        _ => ("Ecommerce", &ECOMMERCE),
    };
    let mut counts = vec![0; steps.len()];
    for row in rows {
        let event = name_of(row)?;
        if let Some(at) = steps.iter().position(|(_, step)| *step == event) {
            counts[at] = count_of(row)?;
        }
    }
    let percent = |part: i64, whole: i64| round(ratio(100.0 * part as f64, whole as f64), 1);
    let mut told = Vec::with_capacity(steps.len());
    for (at, (label, event)) in steps.iter().enumerate() {
        let mut step = json!({
            "name": label, "event": event, "users": counts[at],
            "pct": percent(counts[at], counts[0]),
        });
        let before = at.checked_sub(1).map(|before| counts[before]);
        if let Some(before) = before.filter(|before| *before != 0) {
            step["drop_off"] = json!(round(100.0 - percent(counts[at], before), 1));
        }
        told.push(step);
    }
    let last = counts.last().copied().unwrap_or(0);
    let answer = [
        ("name", json!(name)),
        ("steps", Value::Array(told)),
        ("overall_conversion", json!(percent(last, counts[0]))),
    ];
    Ok(answer
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::mapping::tests::mapped;
    use super::*;
    use camarad_policies::operation::Operation;

    #[test]
    fn steps_are_counted_from_the_first_and_drop_from_the_one_before() {
        let events = json!({"data": {"events": {"rows": [
            {"eventName": "session_start", "eventCount": 1000},
            {"eventName": "view_item", "eventCount": 400},
            {"eventName": "begin_checkout", "eventCount": 50},
            {"eventName": "purchase", "eventCount": 20},
            {"eventName": "form_submit", "eventCount": 10},
        ]}}});
        let answer = mapped(Operation::Ga4Funnel, events.clone(), "").unwrap();
        assert_eq!(
            (&answer["name"], &answer["overall_conversion"]),
            (&json!("Ecommerce"), &json!(2.0))
        );
        assert!(answer.get("property_id").is_none());
        let steps = &answer["steps"];
        assert!(steps[0].get("drop_off").is_none());
        assert_eq!(
            (&steps[1]["pct"], &steps[1]["drop_off"]),
            (&json!(40.0), &json!(60.0))
        );
        assert_eq!(
            (&steps[2]["users"], &steps[2]["drop_off"]),
            (&json!(0), &json!(100.0))
        );
        assert!(
            steps[3].get("drop_off").is_none(),
            "the step before is zero"
        );
        let leads = mapped(Operation::Ga4Funnel, events, "type=lead_gen").unwrap();
        assert_eq!(
            (&leads["steps"][3]["event"], &leads["overall_conversion"]),
            (&json!("generate_lead"), &json!(0.0))
        );
    }
}
