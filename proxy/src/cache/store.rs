//! What is kept, under which key, and for how long.
//!
//! Every look asks the barriers, so that what was purged is never given, even where
//! it was stored after the purge. What is past its time stays for as long as it may
//! stand in where a fetch fails.

use super::Keepable;
use super::barrier::{Barriers, Sequence};
use super::slot::{Answer, Evictions, Given, Part, Slot, Weigh};
use camarad_policies::cache_key::CacheKey;
use camarad_policies::purge::Purge;
use prometheus::IntCounter;
use quick_cache::OptionsBuilder;
use quick_cache::sync::Cache as Quick;
use std::cell::Cell;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that a shard has at least, so that the largest answer (8 MiB) fits into one.
const SHARD: u64 = 16 * 1024 * 1024;

/// The kept answers; `None` keeps nothing.
pub(super) struct Store<V, S> {
    kept: Option<Kept<V, S>>,
    barriers: Barriers,
}

type Kept<V, S> = Quick<CacheKey, Slot<V>, Weigh, S, Evictions>;

/// What a look finds.
pub(super) enum Look<V> {
    Found(Answer<V>),
    /// Nothing that can be given without a fetch; `was_old`: only for its age.
    Nothing {
        was_old: bool,
    },
}

impl<V: Keepable, S: BuildHasher + Clone> Store<V, S> {
    pub(super) fn new(capacity: u64, evictions: IntCounter, hasher: S) -> Self {
        let about = (capacity / 2048).clamp(16, 1 << 20) as usize;
        let shards = 1 << (capacity / SHARD).clamp(1, 16).ilog2();
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(about)
            .weight_capacity(capacity)
            .build();
        // Both capacities are set, which is all it can complain about.
        let options = options.ok().filter(|_| capacity > 0);
        Self {
            kept: options
                .map(|options| Quick::with_options(options, Weigh, hasher, Evictions(evictions))),
            barriers: Barriers::default(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, Quick::weight)
    }

    pub(super) fn entries(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.len() as u64)
    }

    /// The number to take before a fetch begins.
    pub(super) fn sequence(&self) -> Sequence {
        self.barriers.sequence()
    }

    /// Whether something of this key that began then was purged since.
    pub(super) fn is_purged(&self, key: &CacheKey, born: Sequence) -> bool {
        self.barriers.kills(key, born)
    }

    pub(super) fn invalidate(&self, purge: &Purge) {
        self.barriers.raise(purge, Instant::now());
    }

    pub(super) fn purge(&self, purge: &Purge) -> usize {
        self.invalidate(purge);
        let dropped = Cell::new(0);
        if let Some(kept) = &self.kept {
            kept.retain(|key, _| {
                let hit = purge.hits(key.scope(), || key.digest());
                dropped.set(dropped.get() + usize::from(hit));
                !hit
            });
        }
        dropped.get()
    }

    /// What can be given without a fetch.
    pub(super) fn look(&self, key: &CacheKey, now: Instant) -> Look<V> {
        let slot = self.kept.as_ref().and_then(|kept| kept.get(key));
        let Some(slot) = slot else {
            return Look::Nothing { was_old: false };
        };
        let real = self.unpurged(key, &slot.real);
        let failed = self.unpurged(key, &slot.failure);
        let was_old = real.or(failed).is_some();
        let is_fresh = |part: &Arc<Part<V>>| part.fresh > now;
        let is_real = real.is_some_and(is_fresh);
        let is_kept = real.is_some_and(|real| real.usable > now);
        let is_failed = failed.is_some_and(is_fresh);
        // Out of the slot and not copied: this is every hit's.
        if is_real && let Some(real) = slot.real {
            return Look::found(Given::One(real));
        }
        if is_failed && let Some(failed) = slot.failure {
            return Look::found(match slot.real.filter(|_| is_kept) {
                Some(kept) => Given::StandIn { kept, failed },
                None => Given::One(failed),
            });
        }
        if !is_kept {
            self.drop_if(key, |there| there.is(&slot));
        }
        Look::Nothing { was_old }
    }

    /// Keeps a real answer. What was kept before has its time over or is replaced.
    pub(super) fn keep(
        &self,
        key: &CacheKey,
        value: V,
        born: Sequence,
        ttl: Duration,
        stale: Duration,
    ) -> Answer<V> {
        let part = Part::new(value, born, ttl, stale);
        let stored = match part.usable > part.since {
            true => self.insert(key, Some(part.clone()), None),
            false => {
                self.outdate(key, born);
                false
            }
        };
        Answer {
            given: Given::One(part),
            stored,
        }
    }

    /// Keeps what is given in a real answer's place, beside the real one.
    pub(super) fn keep_failure(
        &self,
        key: &CacheKey,
        value: V,
        born: Sequence,
        ttl: Duration,
    ) -> Answer<V> {
        let failed = Part::new(value, born, ttl, Duration::ZERO);
        let now = failed.since;
        let slot = self.kept.as_ref().and_then(|kept| kept.peek(key));
        let real = slot
            .as_ref()
            .and_then(|slot| self.unpurged(key, &slot.real));
        let real = real.filter(|real| real.usable > now).cloned();
        // A real answer that came meanwhile needs nothing beside it.
        let is_better = real.as_ref().is_some_and(|real| real.fresh > now);
        let stored =
            !ttl.is_zero() && !is_better && self.insert(key, real.clone(), Some(failed.clone()));
        match real {
            Some(kept) => Answer {
                given: Given::StandIn { kept, failed },
                stored: true,
            },
            None => Answer {
                given: Given::One(failed),
                stored,
            },
        }
    }

    /// There is a newer answer that is not kept: an older one may not stand in for it.
    pub(super) fn outdate(&self, key: &CacheKey, born: Sequence) {
        self.drop_if(key, |slot| slot.parts().all(|part| part.born <= born));
    }

    /// Whether it is kept now: it may have been purged, or be too large.
    fn insert(
        &self,
        key: &CacheKey,
        real: Option<Arc<Part<V>>>,
        failure: Option<Arc<Part<V>>>,
    ) -> bool {
        let slot = Slot { real, failure };
        let newest = slot.failure.as_ref().or(slot.real.as_ref());
        let is_purged = newest.is_none_or(|part| self.is_purged(key, part.born));
        let Some(kept) = self.kept.as_ref().filter(|_| !is_purged) else {
            return false;
        };
        kept.insert(key.clone(), slot.clone());
        let stored = kept.peek(key).is_some_and(|there| there.is(&slot));
        if !stored
            && let Slot {
                real: Some(real),
                failure: Some(_),
            } = slot
        {
            // Too large together, and the store dropped both: the real one comes first.
            let slot = Slot {
                real: Some(real),
                failure: None,
            };
            kept.insert(key.clone(), slot);
        }
        stored
    }

    fn drop_if(&self, key: &CacheKey, worthless: impl FnOnce(&Slot<V>) -> bool) {
        if let Some(kept) = &self.kept {
            kept.remove_if(key, worthless);
        }
    }

    fn unpurged<'a>(
        &self,
        key: &CacheKey,
        part: &'a Option<Arc<Part<V>>>,
    ) -> Option<&'a Arc<Part<V>>> {
        part.as_ref().filter(|part| !self.is_purged(key, part.born))
    }
}

impl<V> Look<V> {
    fn found(given: Given<V>) -> Self {
        Self::Found(Answer {
            given,
            stored: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{a, evictions};
    use super::*;
    use std::hash::RandomState;

    const LONG: Duration = Duration::from_secs(60);

    /// The walk of the purge is over, and the check before the store was before it.
    #[test]
    fn what_is_stored_behind_a_purges_back_is_not_given() {
        let store: Store<String, RandomState> =
            Store::new(1 << 20, evictions(), RandomState::new());
        let born = store.sequence();
        assert!(!store.is_purged(&a(), born));
        assert_eq!(store.purge(&Purge::All), 0);
        let part = || Some(Part::new("x".to_owned(), born, LONG, LONG));
        for (real, failure) in [(part(), None), (None, part()), (part(), part())] {
            let kept = store.kept.as_ref().unwrap();
            kept.insert(a(), Slot { real, failure });
            let look = store.look(&a(), Instant::now());
            assert!(matches!(look, Look::Nothing { was_old: false }));
            assert_eq!(store.entries(), 0, "its room is free again");
        }
    }
}
