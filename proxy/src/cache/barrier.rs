//! What was purged, and when: an answer whose fetch began before a purge that hits
//! it is worthless, wherever it is and whenever it is looked at.
//!
//! A fetch takes a number when it begins ([`Barriers::sequence`]), and every purge
//! takes the next one. Whoever reads or stores an answer asks whether a purge came
//! after its number ([`Barriers::kills`]). So nothing has to be locked between a
//! check and a store: an answer that slips in is still never given.
//!
//! What is remembered is bounded; what does not fit is remembered as a purge of
//! everything, which costs fetches and is never wrong.

use camarad_policies::cache_key::CacheKey;
use camarad_policies::purge::Purge;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long a purge is remembered; longer than anything is kept. A fetch may take
/// longer all the same: see `Known::floor`.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Purges remembered at most.
const MOST: usize = 10_000;

/// How many purges there were when something began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sequence(u64);

/// The purges of the last minutes.
#[derive(Default)]
pub(super) struct Barriers {
    latest: AtomicU64,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// What began before this is worthless: the purges up to it are forgotten.
    floor: Sequence,
    marks: HashMap<Shelf, Vec<Mark>>,
    count: usize,
}

/// A purge that was made, the last time it was.
struct Mark {
    purge: Purge,
    at: Sequence,
    when: Instant,
}

/// Where a purge is looked for, so that an answer is compared with few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shelf {
    /// By every answer.
    All,
    /// By the answers of this user.
    User(u64),
    /// By the answers about this client.
    Client(u64),
}

impl Shelf {
    fn of(purge: &Purge) -> Self {
        match purge {
            Purge::All | Purge::Key(_) | Purge::Route(_) => Self::All,
            Purge::User(user) | Purge::Choice { user } | Purge::App { user } => Self::User(*user),
            Purge::Client(client) => Self::Client(*client),
        }
    }
}

impl Barriers {
    /// The number to take before a fetch begins.
    pub(super) fn sequence(&self) -> Sequence {
        Sequence(self.latest.load(Ordering::SeqCst))
    }

    /// From now on, what began before and is hit is worthless.
    pub(super) fn raise(&self, purge: &Purge, now: Instant) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Numbers are given out under the lock only.
        let at = Sequence(self.latest.load(Ordering::SeqCst) + 1);
        known.add(purge, at, now);
        if known.count > MOST {
            known.forget(now);
        }
        // Last: whoever sees the number finds the purge.
        self.latest.store(at.0, Ordering::SeqCst);
    }

    /// Whether something of this key that began then was purged since.
    pub(super) fn kills(&self, key: &CacheKey, born: Sequence) -> bool {
        if self.sequence() == born {
            return false;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if born < known.floor {
            return true;
        }
        let scope = key.scope();
        let shelves = [
            Some(Shelf::All),
            scope.user.map(Shelf::User),
            scope.client.map(Shelf::Client),
        ];
        let mut marks = shelves
            .iter()
            .flatten()
            .filter_map(|shelf| known.marks.get(shelf))
            .flatten();
        marks.any(|mark| mark.at > born && mark.purge.hits(scope, || key.digest()))
    }
}

impl Known {
    fn add(&mut self, purge: &Purge, at: Sequence, when: Instant) {
        let marks = self.marks.entry(Shelf::of(purge)).or_default();
        match marks.iter_mut().find(|mark| mark.purge == *purge) {
            Some(mark) => (mark.at, mark.when) = (at, when),
            None => {
                let purge = purge.clone();
                marks.push(Mark { purge, at, when });
                self.count += 1;
            }
        }
    }

    /// Forgets old purges, and all of them where that does not make room enough.
    fn forget(&mut self, now: Instant) {
        let all = |marks: &HashMap<Shelf, Vec<Mark>>, old: &dyn Fn(&Mark) -> bool| {
            let marks = marks.values().flatten().filter(|mark| old(mark));
            marks.map(|mark| mark.at).max()
        };
        let is_old = |mark: &Mark| now.saturating_duration_since(mark.when) > REMEMBERED;
        self.floor = self
            .floor
            .max(all(&self.marks, &is_old).unwrap_or_default());
        self.marks.retain(|_, marks| {
            marks.retain(|mark| !is_old(mark));
            !marks.is_empty()
        });
        self.count = self.marks.values().map(Vec::len).sum();
        // Half, so that this walk is not made for every purge.
        if self.count > MOST / 2 {
            self.floor = self
                .floor
                .max(all(&self.marks, &|_| true).unwrap_or_default());
            self.marks.clear();
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, key_of};
    use super::*;
    use camarad_policies::cache_key::Class;
    use proptest::prelude::*;

    const FLOWS: &str = "/api/flows";

    fn purge() -> impl Strategy<Value = Purge> {
        prop_oneof![
            Just(Purge::All),
            (1u64..3).prop_map(|user| Purge::Key(key(user, 10, FLOWS).digest().to_owned())),
            Just(Purge::Route("flows".into())),
            (1u64..4).prop_map(Purge::User),
            (10u64..13).prop_map(Purge::Client),
            (1u64..3).prop_map(|user| Purge::Choice { user }),
            (1u64..3).prop_map(|user| Purge::App { user }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However purges are shelved: an answer is worthless if one of those after it hits it.
        #[test]
        fn what_is_remembered_is_what_was_purged(
            purges in prop::collection::vec(purge(), 0..8),
            born in 0usize..8,
        ) {
            let (barriers, now) = (Barriers::default(), Instant::now());
            let mut numbers = vec![barriers.sequence()];
            for purge in &purges {
                barriers.raise(purge, now);
                numbers.push(barriers.sequence());
            }
            let born = born.min(purges.len());
            let keys = [
                key(1, 10, FLOWS),
                key(2, 11, FLOWS),
                key(1, 11, "/api/connectors/google-ads/campaigns"),
                key_of(Class::User, 1, 10, FLOWS, ""),
                key_of(Class::Shared, 1, 10, FLOWS, ""),
            ];
            for key in keys {
                let hits = |purge: &Purge| purge.hits(key.scope(), || key.digest());
                prop_assert_eq!(
                    barriers.kills(&key, numbers[born]),
                    purges[born..].iter().any(hits)
                );
            }
        }
    }

    #[test]
    fn however_many_purges_there_are_a_bounded_number_is_remembered_and_none_is_missed() {
        let (barriers, now) = (Barriers::default(), Instant::now());
        let key = key(1, 10, FLOWS);
        let before = barriers.sequence();
        barriers.raise(&Purge::User(1), now);
        let after = barriers.sequence();
        for user in 2..=MOST as u64 {
            barriers.raise(&Purge::User(user), now);
        }
        assert!(barriers.kills(&key, before) && !barriers.kills(&key, after));
        barriers.raise(&Purge::User(0), now);
        assert_eq!(barriers.known.read().unwrap().count, 0);
        // Remembered as a purge of everything.
        assert!(barriers.kills(&key, before) && barriers.kills(&key, after));
        assert!(!barriers.kills(&key, barriers.sequence()));
    }

    #[test]
    fn the_same_purge_over_and_over_is_one() {
        let (barriers, now) = (Barriers::default(), Instant::now());
        let key = key(1, 10, FLOWS);
        for _ in 0..MOST * 2 {
            let before = barriers.sequence();
            barriers.raise(&Purge::User(1), now);
            assert!(barriers.kills(&key, before));
        }
        let known = barriers.known.read().unwrap();
        assert_eq!((known.count, known.floor), (1, Sequence(0)));
    }

    #[test]
    fn old_purges_make_room_for_new_ones() {
        let (barriers, now) = (Barriers::default(), Instant::now());
        let long_ago = barriers.sequence();
        for user in 0..MOST as u64 - 10 {
            barriers.raise(&Purge::User(user), now);
        }
        let later = now + REMEMBERED + Duration::from_secs(1);
        let lately = barriers.sequence();
        for user in 0..11 {
            barriers.raise(&Purge::Client(10 + user), later);
        }
        assert_eq!(barriers.known.read().unwrap().count, 11);
        let (hit, other) = (key(1, 10, FLOWS), key_of(Class::User, 1, 10, FLOWS, ""));
        assert!(barriers.kills(&hit, lately) && !barriers.kills(&other, lately));
        assert!(
            barriers.kills(&other, long_ago),
            "older than what is remembered"
        );
    }
}
