//! Parts that add up to their whole, so that made-up tables agree with the
//! totals above them.

use crate::fixtures::rows;
use crate::series::pick;
use serde_json::Value;

/// `total` in proportion to the weights, exactly; what rounding leaves goes to the first.
pub(crate) fn split(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().sum::<u64>().max(1);
    let mut parts: Vec<u64> = weights.iter().map(|weight| total * weight / sum).collect();
    let rest = total - parts.iter().sum::<u64>();
    if let Some(first) = parts.first_mut() {
        *first += rest;
    }
    parts
}

/// The `weight`s of a fixture's rows, each up to 15 per cent off, by `seed` and `what`.
pub(crate) fn weights(seed: &str, what: &str, list: &Value) -> Vec<u64> {
    let weights = rows(list).iter().enumerate().map(|(n, row)| {
        let weight = row["weight"].as_u64().unwrap_or_default();
        weight * (85 + pick(&[seed, what, &n.to_string()], 31))
    });
    weights.collect()
}

/// `part` of `whole` in per cent, rounded to 2 places; 0 of nothing.
pub(crate) fn per_cent(part: u64, whole: u64) -> f64 {
    ratio(part * 100, whole)
}

/// `part / whole` rounded to 2 places; 0 where there is no whole.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => (part as f64 * 100.0 / whole as f64).round() / 100.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        for (total, weights, parts) in [
            (10, &[1, 1, 1][..], &[4, 3, 3][..]),
            (100, &[50, 30, 20], &[50, 30, 20]),
            (7, &[0, 0], &[7, 0]),
            (0, &[3, 4], &[0, 0]),
            (5, &[], &[]),
        ] {
            assert_eq!(split(total, weights), parts, "{total} {weights:?}");
        }
    }

    #[test]
    fn per_cent_of_nothing_is_nothing() {
        assert_eq!(per_cent(1, 3), 33.33);
        assert_eq!(per_cent(3, 0), 0.0);
        assert_eq!(ratio(5, 4), 1.25);
    }
}
