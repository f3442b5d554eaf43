//! The cache of connector answers: bounded in bytes, one fetch per key at a time.
//!
//! A fetch is a task of its own with its own deadline: the caller that started
//! it may go away without hurting those who wait, and a panic in it wakes them
//! with an error. Keys come from a permit ([`CacheKey`]); what may be kept, and
//! how long, is said by the fetch. Not here: HTTP headers.

use crate::gateway::Outcome;
use camarad_policies::cache_key::CacheKey;
use camarad_policies::record::CacheResult;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use quick_cache::Weighter;
use quick_cache::sync::Cache as Store;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// What a fetch brings, and for how long it may be kept; zero is not at all.
pub(crate) struct Fetched {
    pub(crate) outcome: Outcome,
    pub(crate) ttl: Duration,
}

/// An answer of the cache.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) outcome: Outcome,
    pub(crate) result: CacheResult,
    /// Time since it was fetched.
    pub(crate) age: Duration,
    /// Time it may still be kept; `None` when it is not kept.
    pub(crate) ttl: Option<Duration>,
}

/// The task that fetched broke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchBroke;

#[derive(Clone)]
struct Entry {
    outcome: Outcome,
    since: Instant,
    until: Instant,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<CacheKey, Arc<Entry>> for Weigh {
    fn weight(&self, key: &CacheKey, entry: &Arc<Entry>) -> u64 {
        // Body, key, and what an entry takes besides.
        (entry.outcome.body.len() + key.len() + 256) as u64
    }
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Entry>, FetchBroke>>>;

/// The cache.
pub(crate) struct Cache {
    store: Option<Store<CacheKey, Arc<Entry>, Weigh>>,
    flights: Mutex<HashMap<CacheKey, Flight>>,
    tracker: TaskTracker,
}

impl Cache {
    /// A cache of at most this many bytes; 0 keeps nothing, but still joins equal fetches.
    pub(crate) fn new(capacity_bytes: u64, tracker: TaskTracker) -> Self {
        let store = (capacity_bytes > 0).then(|| {
            let about = (capacity_bytes / 2048).clamp(16, 1 << 20) as usize;
            Store::with_weighter(about, capacity_bytes, Weigh)
        });
        Self {
            store,
            flights: Mutex::default(),
            tracker,
        }
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::weight)
    }

    /// The kept answer of a key, or the one that `fetch` brings.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        key: CacheKey,
        fetch: impl FnOnce() -> F,
    ) -> Result<Cached, FetchBroke>
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        if let Some(entry) = self.fresh(&key) {
            return Ok(cached(&entry, CacheResult::Hit));
        }
        let (flight, result) = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&key) {
                Some(flight) => (flight.clone(), CacheResult::Collapsed),
                // The flight before may have landed since we looked.
                None => match self.fresh(&key) {
                    Some(entry) => return Ok(cached(&entry, CacheResult::Hit)),
                    None => {
                        let flight = self.take_off(key.clone(), fetch());
                        flights.insert(key, flight.clone());
                        (flight, CacheResult::Miss)
                    }
                },
            }
        };
        flight.await.map(|entry| cached(&entry, result))
    }

    fn fresh(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let store = self.store.as_ref()?;
        let entry = store.get(key)?;
        match entry.until > Instant::now() {
            true => Some(entry),
            false => {
                store.remove(key);
                None
            }
        }
    }

    fn take_off<F>(self: &Arc<Self>, key: CacheKey, fetch: F) -> Flight
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let landing = Landing {
            cache: self.clone(),
            key,
        };
        let task = self.tracker.spawn(async move {
            let Fetched { outcome, ttl } = fetch.await;
            let since = Instant::now();
            let entry = Arc::new(Entry {
                outcome,
                since,
                until: since + ttl,
            });
            if let Some(store) = &landing.cache.store
                && !ttl.is_zero()
            {
                store.insert(landing.key.clone(), entry.clone());
            }
            drop(landing);
            entry
        });
        task.map(|joined| joined.map_err(|_| FetchBroke))
            .boxed()
            .shared()
    }
}

/// Clears the runway when a fetch ends, however it ends.
struct Landing {
    cache: Arc<Cache>,
    key: CacheKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self
            .cache
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.key);
    }
}

fn cached(entry: &Entry, result: CacheResult) -> Cached {
    let now = Instant::now();
    let left = entry.until.saturating_duration_since(now);
    Cached {
        outcome: entry.outcome.clone(),
        result,
        age: now.saturating_duration_since(entry.since),
        ttl: (!left.is_zero()).then_some(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::authorise::{Permit, Tenancy, authorise};
    use camarad_policies::matrix::Matrix;
    use camarad_policies::normalise::{RawRequest, normalise};
    use camarad_policies::record::Source;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    fn permit(query: &str) -> Permit {
        let asked = normalise(&RawRequest {
            method: "GET",
            path: b"/api/pricing/plans",
            query: query.as_bytes(),
            headers: &[("Host", b"app")],
        })
        .unwrap();
        let found = Matrix::built_in().unwrap().find("GET", &asked.path);
        authorise(asked, Ok(None), found, &Tenancy::default()).unwrap()
    }

    fn key(query: &str) -> CacheKey {
        CacheKey::new(&permit(query), 0).unwrap()
    }

    fn fetched(body: &'static str, seconds: u64) -> Fetched {
        Fetched {
            outcome: Outcome {
                status: 200,
                body: body.into(),
                source: Source::Coolbits,
                failure: None,
            },
            ttl: Duration::from_secs(seconds),
        }
    }

    fn cache(capacity: u64) -> Arc<Cache> {
        Arc::new(Cache::new(capacity, TaskTracker::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time_and_no_longer() {
        let cache = cache(1 << 20);
        let get = |body| cache.get(key("a"), move || async move { fetched(body, 45) });
        assert_eq!(get("one").await.unwrap().result, CacheResult::Miss);
        tokio::time::advance(Duration::from_secs(44)).await;
        let hit = get("two").await.unwrap();
        assert_eq!((hit.result, hit.age.as_secs()), (CacheResult::Hit, 44));
        assert_eq!(&hit.outcome.body[..], b"one");
        assert_eq!(hit.ttl, Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        let miss = get("two").await.unwrap();
        assert_eq!(
            (miss.result, &miss.outcome.body[..]),
            (CacheResult::Miss, &b"two"[..])
        );
    }

    #[tokio::test]
    async fn equal_requests_make_one_fetch_and_other_keys_their_own() {
        let cache = cache(1 << 20);
        let fetches = Arc::new(AtomicUsize::new(0));
        let (release, gate) = oneshot::channel::<()>();
        let gate = gate.shared();
        let mut waiting = Vec::new();
        for n in 0..200 {
            let query = if n % 2 == 0 { "a" } else { "b" };
            let (cache, fetches, gate) = (cache.clone(), fetches.clone(), gate.clone());
            waiting.push(tokio::spawn(async move {
                let fetch = || async move {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.await;
                    fetched("x", 0)
                };
                cache.get(key(query), fetch).await.unwrap().result
            }));
        }
        while cache.flights.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        let mut collapsed = 0;
        for task in waiting {
            collapsed += usize::from(task.await.unwrap() == CacheResult::Collapsed);
        }
        assert_eq!((fetches.load(Ordering::SeqCst), collapsed), (2, 198));
        assert!(cache.flights.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_leaves_does_not_hurt_those_who_wait() {
        let cache = cache(1 << 20);
        let (release, gate) = oneshot::channel::<()>();
        let leader = {
            let cache = cache.clone();
            tokio::spawn(async move {
                let fetch = || async move {
                    let _ = gate.await;
                    fetched("x", 0)
                };
                cache.get(key("a"), fetch).await
            })
        };
        while cache.flights.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        leader.abort();
        let waiter = cache.get(key("a"), || async { unreachable!("a second fetch") });
        let (waited, ()) = tokio::join!(waiter, async { release.send(()).unwrap() });
        assert_eq!(waited.unwrap().result, CacheResult::Collapsed);
    }

    #[tokio::test]
    async fn a_fetch_that_breaks_wakes_its_waiters_and_the_next_one_is_fine() {
        let cache = cache(1 << 20);
        let broken = cache.get(key("a"), || async { unreachable!("the fetch breaks here") });
        assert!(broken.await.is_err());
        let next = cache.get(key("a"), || async { fetched("x", 1) }).await;
        assert_eq!(next.unwrap().result, CacheResult::Miss);
    }

    #[tokio::test]
    async fn it_stays_within_its_bound() {
        let cache = cache(64 * 1024);
        let body: &'static str = "x".repeat(4096).leak();
        for n in 0..200 {
            let fetch = || async move { fetched(body, 60) };
            cache.get(key(&format!("n={n}")), fetch).await.unwrap();
        }
        assert!(cache.bytes() <= 64 * 1024, "{}", cache.bytes());
        assert!(cache.bytes() > 0);
    }
}
