//! Counts of good and bad events over a sliding window, in memory that is bounded.
//!
//! The window is ten buckets; the one that is being filled counts as a whole, so what
//! is seen is the last nine to ten tenths of the window and never more. Not here: what
//! is an event and what is bad about one. Misuse to beware of: `now` has to be time
//! since the same beginning in every call.

use std::time::Duration;

const BUCKETS: usize = 10;

/// A sliding window, empty in the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    width: Duration,
    newest: u64,
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    slot: u64,
    totals: Totals,
}

/// What a window holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Events, good and bad.
    pub(crate) all: u32,
    /// Bad ones.
    pub(crate) bad: u32,
}

impl Totals {
    /// Share of the bad ones, 0.0 to 1.0; 0.0 where there are none at all.
    pub(crate) fn ratio(self) -> f64 {
        match self.all {
            0 => 0.0,
            all => f64::from(self.bad) / f64::from(all),
        }
    }
}

impl Window {
    /// An empty window of this length.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            width: length / BUCKETS as u32,
            newest: 0,
            buckets: [Bucket::default(); BUCKETS],
        }
    }

    /// Counts an event. One that comes late counts in the newest bucket.
    pub(crate) fn note(&mut self, now: Duration, bad: bool) {
        self.newest = self.newest.max(self.slot(now));
        let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
        if bucket.slot != self.newest {
            bucket.slot = self.newest;
            bucket.totals = Totals::default();
        }
        bucket.totals.all = bucket.totals.all.saturating_add(1);
        bucket.totals.bad = bucket.totals.bad.saturating_add(bad.into());
    }

    /// What happened within the window.
    pub(crate) fn totals(&self, now: Duration) -> Totals {
        let newest = self.newest.max(self.slot(now));
        let is_within = |bucket: &&Bucket| newest - bucket.slot < BUCKETS as u64;
        let within = self.buckets.iter().filter(is_within);
        within.fold(Totals::default(), |sum, bucket| Totals {
            all: sum.all.saturating_add(bucket.totals.all),
            bad: sum.bad.saturating_add(bucket.totals.bad),
        })
    }

    fn slot(&self, now: Duration) -> u64 {
        let slot = now.as_nanos() / self.width.as_nanos().max(1);
        u64::try_from(slot).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn events_leave_the_window_a_tenth_at_a_time() {
        let mut window = Window::new(at(100));
        for (second, bad) in [(1_000, true), (1_009, false), (1_010, true), (1_050, false)] {
            window.note(at(second), bad);
        }
        for (second, all, bad) in [
            (1_050, 4, 2),
            (1_099, 4, 2),
            (1_100, 2, 1),
            (1_110, 1, 0),
            (1_150, 0, 0),
            (90_000, 0, 0),
        ] {
            let totals = window.totals(at(second));
            assert_eq!((totals.all, totals.bad), (all, bad), "{second}");
        }
        assert_eq!(window.totals(at(1_100)).ratio(), 0.5);
        assert_eq!(window.totals(at(1_150)).ratio(), 0.0);
    }

    #[test]
    fn a_late_event_counts_and_takes_no_other_one_away() {
        let mut window = Window::new(at(100));
        window.note(at(1_000), true);
        window.note(at(890), false);
        assert_eq!(window.totals(at(1_000)), Totals { all: 2, bad: 1 });
        assert_eq!(window.totals(at(880)), Totals { all: 2, bad: 1 });
    }

    proptest! {
        /// Against the list of all events.
        #[test]
        fn it_sees_what_is_nine_tenths_old_and_nothing_older_than_all(
            events in prop::collection::vec((0u64..40, any::<bool>()), 0..80), then in 0u64..150,
        ) {
            let mut window = Window::new(at(100));
            let mut now = 0;
            let mut list = Vec::new();
            for (step, bad) in events {
                now += step;
                window.note(at(now), bad);
                list.push((now, bad));
            }
            now += then;
            let count = |age: u64, bad: bool| {
                let is = |event: &&(u64, bool)| now - event.0 < age && (event.1 || !bad);
                list.iter().filter(is).count() as u32
            };
            let totals = window.totals(at(now));
            prop_assert!(count(91, false) <= totals.all && totals.all <= count(100, false));
            prop_assert!(count(91, true) <= totals.bad && totals.bad <= count(100, true));
        }
    }
}
