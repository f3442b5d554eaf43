//! Keys whose answers turned out to be their callers' alone.
//!
//! Who asks for one does not wait for anybody else: what cannot be shared must not
//! queue those who ask for it. A mark is a hint and no promise: a wrong one costs a
//! fetch, never an answer, so the hash of a key is enough.

use camarad_policies::cache_key::CacheKey;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use std::hash::BuildHasher;
use std::time::Duration;
use tokio::time::Instant;

/// How long a mark holds.
const HOLDS: Duration = Duration::from_secs(10);
/// Marks at most.
const MOST: usize = 10_000;

/// The marks, by their keys' hashes.
pub(super) struct Alone<S> {
    until: Cache<u64, Instant, UnitWeighter, S>,
    hasher: S,
}

impl<S: BuildHasher + Clone> Alone<S> {
    pub(super) fn new(hasher: S) -> Self {
        let lifecycle = DefaultLifecycle::default();
        let until = Cache::with(MOST, MOST as u64, UnitWeighter, hasher.clone(), lifecycle);
        Self { until, hasher }
    }

    /// An answer of this key was its caller's alone.
    pub(super) fn mark(&self, key: &CacheKey) {
        let until = Instant::now() + HOLDS;
        self.until.insert(self.hasher.hash_one(key), until);
    }

    /// An answer of this key could be shared.
    pub(super) fn clear(&self, key: &CacheKey) {
        self.until.remove(&self.hasher.hash_one(key));
    }

    /// Whether answers of this key are their callers' alone, as far as is known.
    pub(super) fn has(&self, key: &CacheKey) -> bool {
        let until = self.until.get(&self.hasher.hash_one(key));
        until.is_some_and(|until| until > Instant::now())
    }
}
