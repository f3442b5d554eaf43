//! Daily figures as a pure function of a name and a date.
//!
//! The app reseeds one generator for the whole process, which under several
//! threads gives other figures for the same day. Here a day of an account is
//! the same today and tomorrow, whoever asks, so that a chart does not jump
//! between two reads.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::Date;

/// A number in `0..bound` that depends on nothing but the parts.
pub fn pick(parts: &[&str], bound: u64) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first) % bound.max(1)
}

/// The days from `to - (days - 1)` to `to`, each with figures of its own:
/// `date` (ISO), `impressions`, `clicks`, `cost`, `conversions`, `convValue`.
pub fn daily(name: &str, to: Date, days: u16) -> Vec<Value> {
    dates(to, days).map(|date| day(name, date)).collect()
}

/// The days from `to - (days - 1)` to `to`, oldest first.
pub fn dates(to: Date, days: u16) -> impl Iterator<Item = Date> {
    (0..i64::from(days))
        .rev()
        .filter_map(move |back| to.checked_sub(time::Duration::days(back)))
}

fn day(name: &str, date: Date) -> Value {
    let iso = date.to_string();
    let roll = |what: &str, bound| pick(&[name, &iso, what], bound);
    let impressions = 2_000 + roll("impressions", 6_000);
    let clicks = impressions * (20 + roll("clicks", 50)) / 1_000;
    let cost = (clicks * (35 + roll("cost", 60))) as f64 / 100.0;
    let conversions = clicks * (10 + roll("conversions", 60)) / 1_000;
    let value = (conversions * (30 + roll("value", 70))) as f64;
    json!({
        "date": iso, "impressions": impressions, "clicks": clicks, "cost": cost,
        "conversions": conversions, "convValue": value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn a_day_is_the_same_in_every_window_and_differs_by_account() {
        let month = daily("a", date!(2026 - 11 - 24), 30);
        let week = daily("a", date!(2026 - 11 - 24), 7);
        assert_eq!(month[23..], week[..]);
        assert_eq!(month.len(), 30);
        assert_eq!(week[6]["date"], "2026-11-24");
        assert_ne!(week, daily("b", date!(2026 - 11 - 24), 7));
    }
}
