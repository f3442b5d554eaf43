//! Quantiles of durations in bounded memory.

use std::collections::BTreeMap;

/// Durations, kept in microseconds to three digits: at most 900 counts for each power of
/// ten, however many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Durations {
    /// Notes one, in milliseconds; what is no length of time is none of our lines.
    pub(super) fn note(&mut self, ms: f64) {
        if ms.is_finite() && ms >= 0.0 {
            *self
                .counts
                .entry(rounded((ms * 1000.0) as u64))
                .or_default() += 1;
            self.total += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (value, count) in &other.counts {
            *self.counts.entry(*value).or_default() += count;
        }
        self.total += other.total;
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The nearest rank: the smallest value that at least this share of all are not above,
    /// in milliseconds to three digits. Rounding keeps the order, so it is the exact one,
    /// rounded.
    pub(super) fn quantile(&self, percent: u64) -> Option<f64> {
        let rank = (u128::from(self.total) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        let at = self.counts.iter().find(|(_, count)| {
            seen += u128::from(**count);
            seen >= rank.max(1)
        });
        at.map(|(value, _)| *value as f64 / 1000.0)
    }
}

/// To three digits, half up.
fn rounded(value: u64) -> u64 {
    let mut unit = 1;
    while value / unit >= 1000 {
        unit *= 10;
    }
    (value / unit + u64::from(value % unit * 2 >= unit && unit > 1)) * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Durations {
        let mut all = Durations::default();
        values.iter().for_each(|ms| all.note(*ms));
        all
    }

    #[test]
    fn ranks_are_the_nearest() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let rows: [(&[f64], Option<f64>, Option<f64>); 5] = [
            (&[], None, None),
            (&[7.0], Some(7.0), Some(7.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(2.0), Some(4.0)),
            (&hundred, Some(50.0), Some(99.0)),
            (
                &[f64::NAN, -1.0, f64::INFINITY, 0.12345],
                Some(0.123),
                Some(0.123),
            ),
        ];
        for (values, p50, p99) in rows {
            let all = of(values);
            assert_eq!((all.quantile(50), all.quantile(99)), (p50, p99));
        }
    }

    #[test]
    fn three_digits_are_kept() {
        for (value, expected) in [
            (0, 0),
            (999, 999),
            (1234, 1230),
            (1235, 1240),
            (9999, 10_000),
        ] {
            assert_eq!(rounded(value), expected);
        }
        assert!(rounded(u64::MAX / 2) > 0);
    }

    proptest! {
        #[test]
        fn the_rank_is_that_of_all_values_rounded(
            micros in prop::collection::vec(0_u64..100_000_000, 1..300),
            percent in 1_u64..=100,
        ) {
            let all = of(&micros.iter().map(|us| *us as f64 / 1000.0).collect::<Vec<_>>());
            let mut sorted: Vec<u64> = micros.iter().map(|us| rounded((*us as f64 / 1000.0 * 1000.0) as u64)).collect();
            sorted.sort_unstable();
            let rank = (sorted.len() * percent as usize).div_ceil(100);
            prop_assert_eq!(all.quantile(percent), Some(sorted[rank - 1] as f64 / 1000.0));
        }
    }
}
