//! Times to live, spread a little, so that what was fetched together does not expire together.
//!
//! Only ever shorter: nobody is to be answered with what is older than the rule allows.

use std::time::Duration;

const NANOS: u128 = 1_000_000;

/// Between 90 % and 100 % of `ttl`, in whole milliseconds; `jitter` is random, 0.0 to 1.0.
///
/// Where no whole millisecond lies between the two (below 10 ms), it is `ttl` rounded down.
pub fn jittered(ttl: Duration, jitter: f64) -> Duration {
    let most = ttl.as_nanos() / NANOS;
    let least = (ttl.as_nanos() * 9).div_ceil(10 * NANOS).min(most);
    let whole = |millis: u128| u64::try_from(millis).unwrap_or(u64::MAX);
    let (least, most) = (whole(least), whole(most));
    // Every millisecond from the least to the most is as likely.
    let more = ((most - least + 1) as f64 * jitter.clamp(0.0, 1.0)) as u64;
    Duration::from_millis(least.saturating_add(more).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_goes_from_nine_tenths_to_the_whole() {
        for (micros, jitter, millis) in [
            (45_000_000, 0.0, 40_500),
            (45_000_000, 0.5, 42_750),
            (45_000_000, 0.999_999, 45_000),
            (45_000_000, 1.0, 45_000),
            (10_000, 0.0, 9),
            (10_000, 0.49, 9),
            (10_000, 0.5, 10),
            (10_900, 0.0, 10),
            (1_000, 0.0, 1),
            (1_900, 0.0, 1),
            (900, 0.9, 0),
            (0, 0.9, 0),
            // Outside of what is random, it is still within its bounds.
            (45_000_000, -3.0, 40_500),
            (45_000_000, 7.0, 45_000),
            (45_000_000, f64::NAN, 40_500),
        ] {
            let ttl = jittered(Duration::from_micros(micros), jitter);
            assert_eq!(ttl, Duration::from_millis(millis), "{micros} {jitter}");
        }
    }

    proptest! {
        #[test]
        fn it_is_whole_and_within_bounds(nanos in 10_000_000u64..10_000_000_000_000, jitter in 0.0..1.0f64) {
            let ttl = Duration::from_nanos(nanos);
            let spread = jittered(ttl, jitter);
            prop_assert!(spread <= ttl && spread * 10 >= ttl * 9);
            prop_assert_eq!(spread.as_nanos() % NANOS, 0);
        }

        #[test]
        fn no_time_makes_it_panic(secs in any::<u64>(), nanos in 0u32..1_000_000_000, jitter in any::<f64>()) {
            let ttl = Duration::new(secs, nanos);
            prop_assert!(jittered(ttl, jitter) <= ttl);
        }
    }
}
