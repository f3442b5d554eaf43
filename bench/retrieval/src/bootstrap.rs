//! Means with percentile bootstrap intervals over queries. Pure: the seed is an argument.
//!
//! The interval says how much a mean would move with other queries of the same kind;
//! it says nothing about queries that the dataset has none of, or about the judgements.

use serde::Serialize;

/// How to resample.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Resampling {
    /// The same seed and values give the same interval.
    pub(crate) seed: u64,
    /// How often; at least 1.
    pub(crate) resamples: usize,
}

/// A mean and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The mean of `values`, `None` of none.
pub(crate) fn interval(values: &[f64], how: Resampling) -> Option<Interval> {
    let mean = mean(values.iter().copied(), values.len())?;
    let mut random = fastrand::Rng::with_seed(how.seed);
    let mut means: Vec<f64> = (0..how.resamples.max(1))
        .filter_map(|_| {
            let drawn = (0..values.len()).map(|_| values[random.usize(..values.len())]);
            self::mean(drawn, values.len())
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Some(Interval {
        mean,
        low: percentile(&means, 0.025)?,
        high: percentile(&means, 0.975)?,
    })
}

/// The nearest-rank percentile of sorted values; `share` from 0 to 1.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn mean(values: impl Iterator<Item = f64>, count: usize) -> Option<f64> {
    // From +0: an empty sum is -0, and would be told as such.
    (count > 0).then(|| values.fold(0.0, |sum, value| sum + value) / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Resampling = Resampling {
        seed: 11,
        resamples: 1000,
    };

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values: Vec<f64> = (0..50).map(|at| f64::from(at % 7) / 7.0).collect();
        let found = interval(&values, HOW).unwrap();
        assert_eq!(Some(found), interval(&values, HOW));
        assert!(found.low < found.mean && found.mean < found.high);
        let other = Resampling { seed: 12, ..HOW };
        assert_ne!(Some(found), interval(&values, other));
    }

    /// Of n zeros and ones with share p, the means of resamples are binomial: for
    /// n = 100, p = 0.5 the 2.5 % and 97.5 % points are 0.40 and 0.60.
    #[test]
    fn the_interval_is_the_binomials() {
        let values: Vec<f64> = (0..100).map(|at| f64::from(at % 2)).collect();
        let found = interval(&values, HOW).unwrap();
        assert!((found.low - 0.40).abs() <= 0.021, "{found:?}");
        assert!((found.high - 0.60).abs() <= 0.021, "{found:?}");
    }

    #[test]
    fn of_equal_values_there_is_no_spread_and_of_none_no_mean() {
        let same = interval(&[0.25; 9], HOW).unwrap();
        assert_eq!((same.low, same.mean, same.high), (0.25, 0.25, 0.25));
        assert_eq!(interval(&[], HOW), None);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        for (share, due) in [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (1.0, 4.0)] {
            assert_eq!(percentile(&sorted, share), Some(due), "{share}");
        }
        assert_eq!(percentile(&[], 0.5), None);
    }
}
