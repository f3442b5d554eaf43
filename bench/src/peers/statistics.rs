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
    /// Within these the median of all such rounds lies, 95 times of 100.
    pub(crate) between: (f64, f64),
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
        between: between(&values),
    })
}

/// The interval of confidence of the median, at 95 %, of sorted values: by their ranks alone,
/// since nothing is known of how they are distributed. Of five or fewer it is all of them.
fn between(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len();
    let Some(last) = count.checked_sub(1) else {
        return (0.0, 0.0);
    };
    // The median is below the first, the second … with the probability that none, at most one …
    // of so many throws of a coin shows heads.
    let mut chance = 0.5_f64.powf(count as f64);
    let (mut below, mut rank) = (chance, 0);
    while rank < last / 2 {
        chance *= (count - rank) as f64 / (rank + 1) as f64;
        if 2.0 * (below + chance) > 0.05 {
            break;
        }
        (below, rank) = (below + chance, rank + 1);
    }
    (sorted[rank], sorted[last - rank])
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

/// What the figures of rounds with the same number make together, such as their ratio. A pair is
/// disturbed where one of its rounds is.
pub(crate) fn paired(
    ours: &[Figure],
    theirs: &[Figure],
    together: impl Fn(f64, f64) -> f64,
) -> Option<Spread> {
    let pairs = ours.iter().filter_map(|own| {
        let other = theirs.iter().find(|other| other.round == own.round)?;
        let value = together(own.value, other.value);
        Some((value, own.disturbed || other.disturbed))
    });
    let pairs: Vec<(f64, bool)> = pairs.collect();
    let counted = counted(&pairs, |(_, disturbed)| *disturbed);
    spread(counted.into_iter().map(|(value, _)| *value))
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
                most: 9.0,
                between: (1.0, 9.0)
            })
        );
    }

    /// As tables of the sign test have them.
    #[test]
    fn the_median_lies_between_ranks_that_are_in_tables() {
        for (count, ranks) in [
            (1, (1, 1)),
            (5, (1, 5)),
            (6, (1, 6)),
            (8, (1, 8)),
            (9, (2, 8)),
            (15, (4, 12)),
            (20, (6, 15)),
            (25, (8, 18)),
            (27, (8, 20)),
        ] {
            let spread = spread((1..=count).map(f64::from)).expect("some");
            let expected = (f64::from(ranks.0), f64::from(ranks.1));
            assert_eq!(spread.between, expected, "{count}");
        }
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
    fn pairs_are_of_rounds_with_the_same_number() {
        let ratio = |own: f64, other: f64| own / other;
        let of = |figures: &[(usize, f64)]| -> Vec<Figure> {
            let figure = |(round, value): &(usize, f64)| Figure {
                round: *round,
                value: *value,
                disturbed: *round > 3,
            };
            figures.iter().map(figure).collect()
        };
        let ours = of(&[(0, 10.0), (1, 30.0), (3, 8.0)]);
        let theirs = of(&[(0, 20.0), (1, 20.0), (2, 1.0), (3, 4.0)]);
        assert_eq!(
            paired(&ours, &theirs, ratio),
            Some(Spread {
                least: 0.5,
                median: 1.5,
                most: 2.0,
                between: (0.5, 2.0)
            })
        );
        assert_eq!(paired(&of(&[(0, 1.0)]), &[], ratio), None);
        // Of four pairs one is disturbed; of three it would count.
        let (ours, theirs) = ([1.0, 2.0, 3.0, 9.0], 1.0);
        let median = |rounds: std::ops::Range<usize>| {
            let own = rounds
                .clone()
                .zip(ours)
                .map(|(round, value)| (round + 1, value));
            let other = rounds.map(|round| (round + 1, theirs));
            let (own, other): (Vec<_>, Vec<_>) = (own.collect(), other.collect());
            paired(&of(&own), &of(&other), ratio).map(|spread| spread.median)
        };
        assert_eq!((median(0..4), median(1..4)), (Some(2.0), Some(2.0)));
    }
}
