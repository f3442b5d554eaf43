//! Medians, spreads, percentiles, ratios; and which rounds count. Pure.

use std::time::Duration;

/// A round is disturbed when others used more than this share of the machine's CPU time.
pub(crate) const OTHERS: f64 = 0.05;
/// Disturbed rounds are left out when at least so many others are left.
pub(crate) const LEFT: usize = 3;

/// What a figure was over the rounds that count.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// The spread of these values; none of none.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let half = values.len() / 2;
    let median = match values.len() % 2 {
        0 => f64::midpoint(values[half - 1], values[half]),
        _ => values[half],
    };
    Some(Spread {
        least,
        median,
        most,
    })
}

/// The value that this share of the values does not exceed (nearest rank).
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// The rounds that count: the undisturbed ones if there are enough of them, else all.
pub(crate) fn counted<T>(rounds: &[T], disturbed: impl Fn(&T) -> bool) -> Vec<&T> {
    let quiet: Vec<&T> = rounds.iter().filter(|round| !disturbed(round)).collect();
    if quiet.len() >= LEFT {
        quiet
    } else {
        rounds.iter().collect()
    }
}

/// A figure of a round.
pub(crate) struct Figure {
    pub(crate) round: usize,
    pub(crate) value: f64,
    pub(crate) disturbed: bool,
}

/// Ratios of rounds with the same number, which ran soon after one another. A pair is disturbed
/// where one of its rounds is.
pub(crate) fn ratios(ours: &[Figure], theirs: &[Figure]) -> Option<Spread> {
    let pairs = ours.iter().filter_map(|own| {
        let other = theirs.iter().find(|other| other.round == own.round)?;
        let ratio = (other.value > 0.0).then(|| own.value / other.value)?;
        Some((ratio, own.disturbed || other.disturbed))
    });
    let pairs: Vec<(f64, bool)> = pairs.collect();
    let counted = counted(&pairs, |(_, disturbed)| *disturbed);
    spread(counted.into_iter().map(|(ratio, _)| *ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_the_middle_or_between_the_two_middles() {
        for (values, median) in [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 2.0, 3.0], 2.5),
            (vec![7.0], 7.0),
        ] {
            assert_eq!(spread(values).map(|spread| spread.median), Some(median));
        }
        assert_eq!(spread([]), None);
        assert_eq!(
            spread([2.0, 9.0, 1.0]),
            Some(Spread {
                least: 1.0,
                median: 2.0,
                most: 9.0
            })
        );
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values: Vec<Duration> = (1..=1000).rev().map(Duration::from_micros).collect();
        for (share, micros) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            assert_eq!(
                percentile(&mut values, share),
                Duration::from_micros(micros)
            );
        }
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn disturbed_rounds_are_left_out_only_while_three_others_are_left() {
        let disturbed = |round: &i32| *round < 0;
        assert_eq!(counted(&[1, -2, 3, 4], disturbed), [&1, &3, &4]);
        assert_eq!(counted(&[1, -2, 3, -4], disturbed), [&1, &-2, &3, &-4]);
    }

    #[test]
    fn ratios_compare_rounds_of_the_same_number() {
        let of = |figures: &[(usize, f64)]| -> Vec<Figure> {
            let figure = |(round, value): &(usize, f64)| Figure {
                round: *round,
                value: *value,
                disturbed: *round > 3,
            };
            figures.iter().map(figure).collect()
        };
        let ours = of(&[(0, 10.0), (1, 30.0), (3, 8.0)]);
        let theirs = of(&[(0, 20.0), (1, 20.0), (2, 1.0), (3, 0.0)]);
        assert_eq!(
            ratios(&ours, &theirs),
            Some(Spread {
                least: 0.5,
                median: 1.0,
                most: 1.5
            })
        );
        assert_eq!(ratios(&of(&[(0, 1.0)]), &[]), None);
        // Of four pairs one is disturbed; of three it would count.
        let (ours, theirs) = ([1.0, 2.0, 3.0, 9.0], 1.0);
        let median = |rounds: std::ops::Range<usize>| {
            let own = rounds
                .clone()
                .zip(ours)
                .map(|(round, value)| (round + 1, value));
            let other = rounds.map(|round| (round + 1, theirs));
            let (own, other): (Vec<_>, Vec<_>) = (own.collect(), other.collect());
            ratios(&of(&own), &of(&other)).map(|spread| spread.median)
        };
        assert_eq!((median(0..4), median(1..4)), (Some(2.0), Some(2.0)));
    }
}
