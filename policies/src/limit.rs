//! How many refused requests somebody may make: an exact token bucket.
//!
//! Kept as one point in time (the generic cell rate algorithm): when the bucket
//! would be full again. That is exact, eight bytes large, and needs no clock of
//! its own. Not here: who has which bucket, and what counts.

use std::time::Duration;

/// How large a bucket is and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Tokens of a full bucket; never 0.
    pub burst: u32,
    /// Time in which one token comes back; never 0.
    pub refill: Duration,
}

/// One bucket; full in the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full again, as time since some beginning.
    full_at: Duration,
}

/// What a bucket holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Tokens of a full bucket.
    pub limit: u32,
    /// Tokens left.
    pub remaining: u32,
    /// Until it is full.
    pub full_in: Duration,
    /// Until there is a token; zero when there is one.
    pub next_in: Duration,
}

impl Bucket {
    /// Takes a token; false where there is none, and then nothing changes.
    /// `now` is time since the same beginning in every call.
    pub fn take(&mut self, limit: Limit, now: Duration) -> bool {
        let full_at = self.full_at.max(now) + limit.refill;
        let fits = full_at - now <= limit.refill * limit.burst;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// What it holds now.
    pub fn level(&self, limit: Limit, now: Duration) -> Level {
        let full_in = self.full_at.saturating_sub(now);
        let missing = full_in.as_nanos().div_ceil(limit.refill.as_nanos().max(1));
        // Never more than the burst is missing.
        let missing = u32::try_from(missing).unwrap_or(u32::MAX).min(limit.burst);
        let most = limit.refill * (limit.burst - 1);
        Level {
            limit: limit.burst,
            remaining: limit.burst - missing,
            full_in,
            next_in: full_in.saturating_sub(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Limit = Limit {
        burst: 3,
        refill: Duration::from_secs(10),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn a_bucket_empties_and_fills_again_one_by_one() {
        let mut bucket = Bucket::default();
        for (second, taken, remaining, next_in) in [
            (0, true, 2, 0),
            (0, true, 1, 0),
            (0, true, 0, 10),
            (0, false, 0, 10),
            (9, false, 0, 1),
            (10, true, 0, 10),
            (19, false, 0, 1),
            (30, true, 1, 0),
            (100, true, 2, 0),
        ] {
            assert_eq!(bucket.take(LIMIT, at(second)), taken, "{second}");
            let level = bucket.level(LIMIT, at(second));
            assert_eq!(
                (level.remaining, level.next_in.as_secs()),
                (remaining, next_in),
                "{second}"
            );
        }
    }

    proptest! {
        /// The plain bucket: a number of tokens, a fraction and a time.
        #[test]
        fn it_is_exactly_a_token_bucket(steps in prop::collection::vec(0u64..25_000, 1..60), burst in 1u32..6) {
            let limit = Limit { burst, refill: Duration::from_millis(7_000) };
            let mut bucket = Bucket::default();
            let (mut now, mut full_tokens) = (1_000_000u64, u64::from(burst) * 7_000);
            let full = full_tokens;
            for step in steps {
                now += step;
                full_tokens = (full_tokens + step).min(full);
                let expected = full_tokens >= 7_000;
                if expected {
                    full_tokens -= 7_000;
                }
                let now = Duration::from_millis(now);
                prop_assert_eq!(bucket.take(limit, now), expected);
                let level = bucket.level(limit, now);
                prop_assert_eq!(u64::from(level.remaining), full_tokens / 7_000);
                prop_assert_eq!(level.next_in.is_zero(), level.remaining > 0);
            }
        }
    }
}
