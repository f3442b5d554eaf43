//! What is kept under one key: the last real answer, and beside it, for a short
//! time, what was given in its place when a fetch failed.
//!
//! Nothing here changes once it is made: an entry is replaced as a whole, and its
//! weight stays what the store was told.

use super::barrier::Sequence;
use super::{Cached, Keepable};
use camarad_policies::cache_key::CacheKey;
use camarad_policies::record::CacheResult;
use prometheus::IntCounter;
use quick_cache::{Lifecycle, Weighter};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time anything is kept; barriers are remembered for twice as long.
const LONGEST: Duration = Duration::from_secs(300);
/// Bytes that an entry takes besides its key and its values.
const OVERHEAD: usize = 512;

/// What is kept under one key.
pub(super) struct Slot<V> {
    pub(super) real: Option<Arc<Part<V>>>,
    pub(super) failure: Option<Arc<Part<V>>>,
}

/// A value and its times.
pub(super) struct Part<V> {
    pub(super) value: V,
    /// When its fetch began.
    pub(super) born: Sequence,
    /// When it was fetched.
    pub(super) since: Instant,
    /// Until when it is given without a fetch.
    pub(super) fresh: Instant,
    /// Until when it may stand in.
    pub(super) usable: Instant,
}

/// An answer, of the store or of a fetch.
pub(super) struct Answer<V> {
    pub(super) given: Given<V>,
    pub(super) stored: bool,
}

pub(super) enum Given<V> {
    One(Arc<Part<V>>),
    /// A fetch failed, and what was kept stands in for it.
    StandIn {
        kept: Arc<Part<V>>,
        failed: Arc<Part<V>>,
    },
}

#[derive(Clone)]
pub(super) struct Weigh;

/// Counts what is dropped for lack of room.
#[derive(Clone)]
pub(super) struct Evictions(pub(super) IntCounter);

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self {
            real: self.real.clone(),
            failure: self.failure.clone(),
        }
    }
}

impl<V> Slot<V> {
    pub(super) fn parts(&self) -> impl Iterator<Item = &Arc<Part<V>>> {
        self.real.iter().chain(&self.failure)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.parts()
            .map(Arc::as_ptr)
            .eq(other.parts().map(Arc::as_ptr))
    }
}

impl<V: Keepable> Weighter<CacheKey, Slot<V>> for Weigh {
    fn weight(&self, key: &CacheKey, slot: &Slot<V>) -> u64 {
        let values: usize = slot.parts().map(|part| part.value.weight()).sum();
        (values + key.weight() + OVERHEAD) as u64
    }
}

impl<V> Lifecycle<CacheKey, Slot<V>> for Evictions {
    type RequestState = ();

    // Not `on_evict`, which is told about values that are replaced, too.
    fn before_evict(&self, (): &mut (), _: &CacheKey, _: &mut Slot<V>) {
        self.0.inc();
    }
}

impl<V> Part<V> {
    pub(super) fn new(value: V, born: Sequence, ttl: Duration, stale: Duration) -> Arc<Self> {
        let since = Instant::now();
        let fresh = since + ttl.min(LONGEST);
        Arc::new(Self {
            value,
            born,
            since,
            fresh,
            usable: (fresh + stale.min(LONGEST)).min(since + LONGEST),
        })
    }
}

impl<V: Clone> Answer<V> {
    /// One that is not kept.
    pub(super) fn passing(value: V, born: Sequence) -> Self {
        Self {
            given: Given::One(Part::new(value, born, Duration::ZERO, Duration::ZERO)),
            stored: false,
        }
    }

    /// It as a caller gets it; `result` holds unless something stands in.
    pub(super) fn cached(
        &self,
        result: CacheResult,
        now: Instant,
        stand_in: impl FnOnce(&V, &V) -> V,
    ) -> Cached<V> {
        let (part, value, result) = match &self.given {
            Given::One(part) => (part, part.value.clone(), result),
            Given::StandIn { kept, failed } => {
                let value = stand_in(&kept.value, &failed.value);
                (kept, value, CacheResult::Stale)
            }
        };
        let left = part.fresh.saturating_duration_since(now);
        Cached {
            value,
            result,
            age: now.saturating_duration_since(part.since),
            ttl: (self.stored && !left.is_zero()).then_some(left),
            overdue: now.saturating_duration_since(part.fresh),
            stored: self.stored,
        }
    }
}
