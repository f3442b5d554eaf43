//! The cache: answers kept for a short time, bounded in bytes, one fetch per key at a time.
//!
//! A fetch that others may wait for is a task of its own with its own deadline: the
//! caller that started it may go away without hurting those who wait, a panic in it
//! wakes them with an error, and it ends when the last of them has left. Keys come from a permit ([`CacheKey`]); what may be
//! kept, how long and with whom it is shared is said by the fetch ([`Keep`]). What a
//! purge hits is never given to anybody who comes after it, whatever is under way.
//!
//! Not here: HTTP headers, what an answer is made of, and when to purge. Whoever
//! changes something purges after the change: a fetch that begins before that may
//! have read the old state, and only a purge that comes later can tell.

mod alone;
mod barrier;
mod flight;
mod hashing;
mod slot;
mod store;
#[cfg(test)]
mod tests;

use alone::Alone;
use camarad_policies::cache_key::CacheKey;
use camarad_policies::purge::Purge;
use camarad_policies::record::CacheResult;
use flight::{Boarding, Flights, Landed};
use futures_util::FutureExt;
use hashing::KeyHashing;
use prometheus::IntCounter;
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Look, Store};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// What counts against the cache's bound.
pub(crate) trait Weighed {
    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

/// What can be kept: cheap to clone, and of a known weight.
pub(crate) trait Keepable: Weighed + Clone + Send + Sync + 'static {}

impl<V: Weighed + Clone + Send + Sync + 'static> Keepable for V {}

/// What a fetch brings, and what may be done with it.
pub(crate) struct Fetched<V> {
    pub(crate) value: V,
    pub(crate) keep: Keep,
}

/// What may be done with what was fetched. Times come with their jitter; what is
/// longer than five minutes together is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It belongs to whoever fetched it. Those who wait fetch their own, and for ten
    /// seconds nobody who asks the same waits for anybody.
    No,
    /// It is not kept; those who wait may have it.
    Shared,
    /// It is kept for `ttl`, and for `stale` more it may stand in where a fetch fails.
    For { ttl: Duration, stale: Duration },
    /// It is in place of the real answer: kept for `ttl` (zero: not kept), and given
    /// only where no real one may stand in. It never takes a real one's place.
    Failure { ttl: Duration },
}

/// An answer of the cache.
#[derive(Clone, Debug)]
pub(crate) struct Cached<V> {
    pub(crate) value: V,
    pub(crate) result: CacheResult,
    /// Time since it was fetched.
    pub(crate) age: Duration,
    /// Time for which it is still given without a fetch; `None` when it is not kept,
    /// or past its time.
    pub(crate) ttl: Option<Duration>,
    /// Time since it was given without a fetch the last time; zero before that.
    pub(crate) overdue: Duration,
    /// It is kept.
    pub(crate) stored: bool,
}

/// The fetch panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchBroke;

/// The cache of values `V`; `S` hashes keys and may do so badly, but not in vain:
/// keys are compared whole.
pub(crate) struct Cache<V, S = KeyHashing> {
    store: Store<V, S>,
    flights: Mutex<Flights<V, S>>,
    alone: Alone<S>,
    tracker: TaskTracker,
}

impl<V: Keepable> Cache<V> {
    /// A cache of at most this many bytes; 0 keeps nothing, but still joins equal
    /// fetches. What is dropped for lack of room is counted in `evictions`.
    pub(crate) fn new(capacity_bytes: u64, tracker: TaskTracker, evictions: IntCounter) -> Self {
        Self::with_hasher(capacity_bytes, tracker, evictions, KeyHashing::new())
    }
}

impl<V: Keepable, S: BuildHasher + Clone + Send + Sync + 'static> Cache<V, S> {
    fn with_hasher(
        capacity_bytes: u64,
        tracker: TaskTracker,
        evictions: IntCounter,
        hasher: S,
    ) -> Self {
        Self {
            store: Store::new(capacity_bytes, evictions, hasher.clone()),
            flights: Mutex::new(Flights::with_hasher(hasher.clone())),
            alone: Alone::new(hasher),
            tracker,
        }
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Answers kept.
    pub(crate) fn entries(&self) -> u64 {
        self.store.entries()
    }

    /// Drops what the purge hits, now and from what is under way; how many were dropped.
    /// Walks over everything that is kept: for operators.
    pub(crate) fn purge(&self, purge: &Purge) -> usize {
        self.store.purge(purge)
    }

    /// The same without the walk: what is hit is never given again, and its room is
    /// found when it is needed. For every request that changes something.
    pub(crate) fn invalidate(&self, purge: &Purge) {
        self.store.invalidate(purge);
    }

    /// The kept answer of a key, or the one that `fetch` brings; `now` is a look at the clock
    /// that was taken just now.
    ///
    /// `stand_in(kept, failed)` makes the answer where a kept one is given although its
    /// time is over, because the fetch brought `failed` ([`CacheResult::Stale`]).
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        now: Instant,
        key: &CacheKey,
        fetch: impl FnOnce() -> F,
        stand_in: impl FnOnce(&V, &V) -> V,
    ) -> Result<Cached<V>, FetchBroke>
    where
        F: Future<Output = Fetched<V>> + Send + 'static,
    {
        let was_old = match self.store.look(key, now) {
            Look::Found(answer) => return Ok(answer.cached(CacheResult::Hit, now, stand_in)),
            Look::Nothing { was_old } => was_old,
        };
        // A hit must not pay for what a miss needs room for.
        Box::pin(self.miss(key.clone(), was_old, fetch, stand_in)).await
    }

    async fn miss<F>(
        self: &Arc<Self>,
        key: CacheKey,
        was_old: bool,
        fetch: impl FnOnce() -> F,
        stand_in: impl FnOnce(&V, &V) -> V,
    ) -> Result<Cached<V>, FetchBroke>
    where
        F: Future<Output = Fetched<V>> + Send + 'static,
    {
        if self.alone.has(&key) {
            return self.fetch_alone(key, fetch, stand_in).await;
        }
        match self.board(&key, fetch) {
            Boarding::Found(answer) => {
                Ok(answer.cached(CacheResult::Hit, Instant::now(), stand_in))
            }
            Boarding::Leads(flight) => {
                let result = match was_old {
                    true => CacheResult::Expired,
                    false => CacheResult::Miss,
                };
                match &*flight.await? {
                    Landed::Open(answer) => Ok(answer.cached(result, Instant::now(), stand_in)),
                    // Nobody else takes it, so it is there.
                    Landed::Alone(value) => value.take(result).ok_or(FetchBroke),
                }
            }
            Boarding::Waits(flight, fetch) => match &*flight.await? {
                Landed::Open(answer) => {
                    Ok(answer.cached(CacheResult::Collapsed, Instant::now(), stand_in))
                }
                Landed::Alone(_) => self.fetch_alone(key, fetch, stand_in).await,
            },
        }
    }

    /// Fetches for this caller alone, and no longer than they wait.
    async fn fetch_alone<F>(
        &self,
        key: CacheKey,
        fetch: impl FnOnce() -> F,
        stand_in: impl FnOnce(&V, &V) -> V,
    ) -> Result<Cached<V>, FetchBroke>
    where
        F: Future<Output = Fetched<V>>,
    {
        let born = self.store.sequence();
        let fetched = AssertUnwindSafe(fetch()).catch_unwind().await;
        let fetched = fetched.map_err(|_| FetchBroke)?;
        match self.land(&key, None, born, fetched) {
            Landed::Open(answer) => {
                Ok(answer.cached(CacheResult::Bypass, Instant::now(), stand_in))
            }
            Landed::Alone(value) => value.take(CacheResult::Bypass).ok_or(FetchBroke),
        }
    }
}
