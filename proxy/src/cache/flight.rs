//! Fetches under way: who starts one, who waits for one, and how it ends.
//!
//! The lock on the flights is held while an answer is stored, so that whoever finds
//! no flight finds what the last one brought.

use super::barrier::Sequence;
use super::slot::Answer;
use super::store::Look;
use super::{Cache, Cached, FetchBroke, Fetched, Keep, Keepable};
use camarad_policies::cache_key::CacheKey;
use camarad_policies::record::CacheResult;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The fetches under way, by key.
pub(super) struct Flights<V, S> {
    by_key: HashMap<CacheKey, Flight<V>, S>,
    last_id: u64,
}

struct Flight<V> {
    /// Tells it from the one that took its place after a purge.
    id: u64,
    born: Sequence,
    /// Held by those who wait, and by nobody else: when the last of them leaves, it ends.
    landing: WeakLanding<V>,
}

type WeakLanding<V> = WeakShared<BoxFuture<'static, Result<Arc<Landed<V>>, FetchBroke>>>;
type Landing<V> = Shared<BoxFuture<'static, Result<Arc<Landed<V>>, FetchBroke>>>;

/// How a fetch ended.
pub(super) enum Landed<V> {
    /// With an answer for everybody who waits.
    Open(Answer<V>),
    /// With one for its own caller.
    Alone(Own<V>),
}

/// An answer that one caller takes; the others find nothing.
pub(super) struct Own<V>(Mutex<Option<V>>);

/// How a caller comes to an answer.
pub(super) enum Boarding<V, T> {
    /// It is there already.
    Found(Answer<V>),
    /// By a fetch of their own, which others may wait for.
    Leads(Landing<V>),
    /// By waiting; their own fetch, if that is in vain.
    Waits(Landing<V>, T),
}

impl<V, S> Flights<V, S> {
    pub(super) fn with_hasher(hasher: S) -> Self {
        Self {
            by_key: HashMap::with_hasher(hasher),
            last_id: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl<V, S: BuildHasher> Flights<V, S> {
    /// Takes away this flight, not the one that took its place.
    fn end(&mut self, key: &CacheKey, id: u64) {
        if self.by_key.get(key).is_some_and(|flight| flight.id == id) {
            self.by_key.remove(key);
        }
    }
}

impl<V> Own<V> {
    /// The answer, for whoever comes first.
    pub(super) fn take(&self, result: CacheResult) -> Option<Cached<V>> {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        own.take().map(|value| Cached {
            value,
            result,
            age: Duration::ZERO,
            ttl: None,
            overdue: Duration::ZERO,
            stored: false,
        })
    }
}

impl<V: Keepable, S: BuildHasher + Clone + Send + Sync + 'static> Cache<V, S> {
    pub(super) fn flights(&self) -> MutexGuard<'_, Flights<V, S>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the fetch that is under way, or starts one.
    pub(super) fn board<F, T>(self: &Arc<Self>, key: &CacheKey, fetch: T) -> Boarding<V, T>
    where
        F: Future<Output = Fetched<V>> + Send + 'static,
        T: FnOnce() -> F,
    {
        let mut flights = self.flights();
        // The flight before may have landed since its caller looked.
        if let Look::Found(answer) = self.store.look(key, Instant::now()) {
            return Boarding::Found(answer);
        }
        if let Some(flight) = flights.by_key.get(key)
            && !self.store.is_purged(key, flight.born)
            && let Some(landing) = flight.landing.upgrade()
        {
            return Boarding::Waits(landing, fetch);
        }
        flights.last_id += 1;
        let id = flights.last_id;
        let born = self.store.sequence();
        let (waiters, landing) = oneshot::channel();
        let landing = landing.map(|landed| landed.map_err(|_| FetchBroke));
        let landing = landing.boxed().shared();
        // Nobody has polled it, so it can be held weakly.
        if let Some(landing) = landing.downgrade() {
            let flight = Flight { id, born, landing };
            flights.by_key.insert(key.clone(), flight);
        }
        drop(flights);
        let runway = Runway {
            cache: self.clone(),
            key: key.clone(),
            id,
            waiters: Some(waiters),
        };
        // Without the lock: a runtime that shuts down drops the task, and the runway, here.
        self.tracker.spawn(runway.used_by(fetch(), born));
        Boarding::Leads(landing)
    }

    /// Keeps what a fetch brought as far as it may be, and says whose it is.
    pub(super) fn land(
        &self,
        key: &CacheKey,
        flight: Option<u64>,
        born: Sequence,
        fetched: Fetched<V>,
    ) -> Landed<V> {
        let Fetched { value, keep } = fetched;
        let mut flights = self.flights();
        let landed = match keep {
            Keep::No => {
                self.alone.mark(key);
                self.store.outdate(key, born);
                Landed::Alone(Own(Mutex::new(Some(value))))
            }
            Keep::Shared => {
                self.alone.clear(key);
                self.store.outdate(key, born);
                Landed::Open(Answer::passing(value, born))
            }
            Keep::For { ttl, stale } => {
                self.alone.clear(key);
                Landed::Open(self.store.keep(key, value, born, ttl, stale))
            }
            // Says nothing about whose the real answer would be.
            Keep::Failure { ttl } => Landed::Open(self.store.keep_failure(key, value, born, ttl)),
        };
        if let Some(id) = flight {
            flights.end(key, id);
        }
        landed
    }
}

/// Clears itself when a fetch ends, however it ends, and only then wakes who waits.
struct Runway<V: Keepable, S: BuildHasher + Clone + Send + Sync + 'static> {
    cache: Arc<Cache<V, S>>,
    key: CacheKey,
    id: u64,
    /// Dropped where the fetch breaks, which tells those who wait.
    waiters: Option<oneshot::Sender<Arc<Landed<V>>>>,
}

impl<V: Keepable, S: BuildHasher + Clone + Send + Sync + 'static> Runway<V, S> {
    async fn used_by(mut self, fetch: impl Future<Output = Fetched<V>>, born: Sequence) {
        let Some(mut waiters) = self.waiters.take() else {
            return;
        };
        let fetched = tokio::select! {
            biased;
            fetched = fetch => fetched,
            // Everybody who waited has left: what nobody wants is not fetched to its end.
            () = waiters.closed() => return,
        };
        let landed = self.cache.land(&self.key, Some(self.id), born, fetched);
        // Nobody may be left to be told.
        let _ = waiters.send(Arc::new(landed));
    }
}

impl<V: Keepable, S: BuildHasher + Clone + Send + Sync + 'static> Drop for Runway<V, S> {
    fn drop(&mut self) {
        self.cache.flights().end(&self.key, self.id);
    }
}
