//! How many calls to an upstream may be made again: a share of all calls, and a reserve.
//!
//! Without it every call is made twice just when an upstream has least room for that.
//! Every request deposits its share and every retry takes a whole one out; what is not
//! used is kept up to ten reserves. Not here: what may be made again at all, and when.
//!
//! Misuse to beware of: one budget is for one upstream, and a retry is no request.

/// Parts of one retry. Counted whole, since shares like 0.2 do not add up exactly.
const WHOLE: u64 = 1_000_000;
/// Reserves that are kept at most.
const KEPT: u64 = 10;

/// A budget of retries; it holds the reserve in the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    held: u64,
    deposit: u64,
    most: u64,
}

impl RetryBudget {
    /// `share` is retries for each request (0.2 is one for five), `reserve` the retries
    /// there are without any request. Below zero is zero; without a reserve nothing is
    /// kept, so that there are no retries.
    pub fn new(share: f64, reserve: f64) -> Self {
        let held = parts(reserve);
        Self {
            held,
            deposit: parts(share),
            most: held.saturating_mul(KEPT),
        }
    }

    /// A request is made for the first time.
    pub fn request(&mut self) {
        self.held = self.held.saturating_add(self.deposit).min(self.most);
    }

    /// Whether one may be made again, which is then taken.
    pub fn retry(&mut self) -> bool {
        let left = self.held.checked_sub(WHOLE);
        self.held = left.unwrap_or(self.held);
        left.is_some()
    }
}

/// Rounded down, so that there are never more retries than asked for.
fn parts(retries: f64) -> u64 {
    (retries * WHOLE as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retries(budget: &mut RetryBudget) -> usize {
        (0..10_000).take_while(|_| budget.retry()).count()
    }

    #[test]
    fn requests_pay_for_retries() {
        for (share, reserve, requests, expected) in [
            (0.2, 10.0, 0, 10),
            (0.2, 10.0, 4, 10),
            (0.2, 10.0, 5, 11),
            (0.2, 10.0, 100, 30),
            // No more than ten reserves are kept.
            (0.2, 10.0, 100_000, 100),
            (0.0, 3.0, 100_000, 3),
            (0.1, 0.9, 0, 0),
            (0.1, 0.9, 1, 1),
            (0.1, 0.999_999_9, 0, 0),
            (0.2, 0.0, 100_000, 0),
            (-1.0, -1.0, 100, 0),
            (f64::NAN, f64::NAN, 100, 0),
        ] {
            let mut budget = RetryBudget::new(share, reserve);
            (0..requests).for_each(|_| budget.request());
            let made = retries(&mut budget);
            assert_eq!(made, expected, "{share} {reserve} {requests}");
        }
    }

    #[test]
    fn a_refused_retry_takes_nothing() {
        let mut budget = RetryBudget::new(0.5, 1.0);
        assert!(budget.retry());
        budget.request();
        assert!(!budget.retry());
        budget.request();
        assert!(budget.retry());
    }

    proptest! {
        #[test]
        fn retries_are_never_more_than_reserve_and_share(
            share in 0.0..1.0f64, reserve in 0.0..20.0f64,
            steps in prop::collection::vec(any::<bool>(), 0..400),
        ) {
            let mut budget = RetryBudget::new(share, reserve);
            let (mut requests, mut retries) = (0u32, 0u32);
            for is_request in steps {
                match is_request {
                    true => {
                        budget.request();
                        requests += 1;
                    }
                    false => retries += u32::from(budget.retry()),
                }
                prop_assert!(f64::from(retries) <= reserve + share * f64::from(requests));
            }
        }
    }
}
