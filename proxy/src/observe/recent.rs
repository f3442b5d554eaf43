//! What happened lately, for whoever looks at the status page: answers by the minute, and
//! the last refusals. Pure: the minute is an argument.
//!
//! Not the metrics, which count for good and which Prometheus keeps. Memory is bounded
//! whatever callers do: an hour of minutes, and the last refusals.
//!
//! What goes wrong if misused: a [`Refusal`] holds the ids of user and client as they are;
//! whoever shows one hides them ([`crate::admin`]).

use camarad_policies::record::{Record, RequestId};
use camarad_policies::text::Text;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::SystemTime;

/// Minutes that are kept.
pub(crate) const MINUTES: usize = 60;
/// Refusals that are kept.
pub(crate) const REFUSALS: usize = 50;

/// Answers of one origin within one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// All of them.
    pub(crate) answers: u64,
    /// Those with a status of 500 or above, or, of Coolbits, reads that failed by its fault.
    pub(crate) failed: u64,
}

/// The last hour of one origin.
pub(crate) struct Minutes([(u64, Count); MINUTES]);

impl Minutes {
    pub(crate) fn new() -> Self {
        Self([(0, Count::default()); MINUTES])
    }

    /// Notes one answer in this minute.
    pub(crate) fn note(&mut self, minute: u64, failed: bool) {
        let (of, count) = &mut self.0[minute as usize % MINUTES];
        if *of != minute {
            (*of, *count) = (minute, Count::default());
        }
        count.answers += 1;
        count.failed += u64::from(failed);
    }

    /// The hour that ends with this minute, the oldest first; always [`MINUTES`] of them.
    pub(crate) fn until(&self, minute: u64) -> Vec<Count> {
        let ages = (0..MINUTES as u64).rev();
        let at = |age| {
            let wanted = minute.checked_sub(age)?;
            let (of, count) = self.0[wanted as usize % MINUTES];
            (of == wanted).then_some(count)
        };
        ages.map(|age| at(age).unwrap_or_default()).collect()
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) time: Option<SystemTime>,
    pub(crate) code: &'static str,
    /// Name of the rule.
    pub(crate) rule: Text,
    pub(crate) status: u16,
    pub(crate) user: Option<u64>,
    /// The client that was asked for, else the decided one.
    pub(crate) client: Option<u64>,
    pub(crate) request_id: RequestId,
}

impl Refusal {
    /// What is kept of a request that was refused.
    pub(super) fn of(record: &Record) -> Self {
        let asked = record.client_asked.client().map(|client| client.get());
        Self {
            time: record.time,
            code: record.code.unwrap_or("unknown"),
            rule: record.route.clone(),
            status: record.status,
            user: record.user,
            client: asked.or(record.client),
            request_id: record.request_id,
        }
    }
}

/// The last refusals.
#[derive(Default)]
pub(crate) struct Refusals {
    kept: VecDeque<Refusal>,
    total: u64,
}

impl Refusals {
    /// Keeps one more, in the place of the oldest.
    pub(crate) fn note(&mut self, refusal: Refusal) {
        self.kept.truncate(REFUSALS - 1);
        self.kept.push_front(refusal);
        self.total += 1;
    }

    /// Those that are kept, the newest first.
    pub(crate) fn newest(&self) -> Vec<Refusal> {
        self.kept.iter().cloned().collect()
    }

    /// How many there were since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn count(answers: u64, failed: u64) -> Count {
        Count { answers, failed }
    }

    #[test]
    fn an_hour_is_sixty_minutes_and_what_is_older_is_gone() {
        let mut minutes = Minutes::new();
        minutes.note(100, false);
        minutes.note(100, true);
        minutes.note(101, false);
        let hour = minutes.until(101);
        assert_eq!(hour.len(), MINUTES);
        assert_eq!(hour[58..], [count(2, 1), count(1, 0)]);
        assert_eq!(minutes.until(159)[0], count(2, 1), "59 minutes ago");
        assert_eq!(minutes.until(160)[0], count(1, 0), "an hour ago is gone");
        minutes.note(160, false);
        assert_eq!(minutes.until(160)[59], count(1, 0), "its place is used");
        assert_eq!(minutes.until(1000), vec![Count::default(); MINUTES]);
        assert_eq!(Minutes::new().until(3), vec![Count::default(); MINUTES]);
    }

    proptest! {
        #[test]
        fn the_ring_says_what_a_map_of_everything_says(
            noted in proptest::collection::vec((0u64..300, any::<bool>()), 0..400),
            after in 0u64..200,
        ) {
            let mut noted = noted;
            noted.sort_by_key(|(minute, _)| *minute);
            let (mut minutes, mut all) = (Minutes::new(), BTreeMap::<u64, Count>::new());
            for (minute, failed) in &noted {
                minutes.note(*minute, *failed);
                let of = all.entry(*minute).or_default();
                of.answers += 1;
                of.failed += u64::from(*failed);
            }
            let now = noted.last().map_or(0, |(minute, _)| *minute) + after;
            let ages = (0..MINUTES as u64).rev();
            let expected: Vec<Count> = ages
                .map(|age| now.checked_sub(age).and_then(|m| all.get(&m).copied()).unwrap_or_default())
                .collect();
            prop_assert_eq!(minutes.until(now), expected);
        }
    }

    #[test]
    fn fifty_refusals_are_kept_and_all_are_counted() {
        let mut refusals = Refusals::default();
        for n in 0..10_000u64 {
            let record = Record {
                request_id: RequestId::from(&format!("r-{n}")).unwrap(),
                user: Some(n),
                ..Record::default()
            };
            refusals.note(Refusal::of(&record));
        }
        let newest = refusals.newest();
        assert_eq!((newest.len(), refusals.total()), (REFUSALS, 10_000));
        assert_eq!(&*newest[0].request_id, "r-9999");
        assert_eq!(&*newest[REFUSALS - 1].request_id, "r-9950");
        assert_eq!(newest[0].code, "unknown");
    }
}
