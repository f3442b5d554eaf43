//! What the app said about somebody, kept for a short time and asked for once at a time.
//!
//! An answer that was asked for before a change is never kept: whoever changes
//! something says so ([`Kept::forget`]) before and after.

use crate::locks::Locks;
use quick_cache::sync::Cache;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Answers remembered at most.
const MOST: usize = 10_000;
/// How long to wait for somebody else who asks the same, before asking oneself: behind an
/// app that does not answer, those who wait must not wait for one another in turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers by whom they are about.
pub(crate) struct Kept<K, V> {
    /// With the time until which each is known.
    answers: Cache<K, (Instant, V)>,
    ttl: Duration,
    /// Changes whenever somebody's answer may have changed.
    epoch: AtomicU64,
    asking: Locks<K>,
}

/// What was known of changes when something was asked for, and when that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(u64, Instant);

impl<K: Hash + Eq + Clone, V: Clone> Kept<K, V> {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            answers: Cache::new(MOST),
            ttl,
            epoch: AtomicU64::new(0),
            asking: Locks::default(),
        }
    }

    /// The answer; asks where it is not known freshly. A failure is not kept.
    pub(crate) async fn get<E, F: Future<Output = Result<V, E>>>(
        &self,
        key: K,
        ask: impl FnOnce() -> F,
    ) -> Result<V, E> {
        match self.known(&key) {
            Some(answer) => Ok(answer),
            // What is known must not pay for the room that asking needs.
            None => Box::pin(self.asked(key, ask)).await,
        }
    }

    async fn asked<E, F: Future<Output = Result<V, E>>>(
        &self,
        key: K,
        ask: impl FnOnce() -> F,
    ) -> Result<V, E> {
        let deadline = Instant::now() + PATIENCE;
        let _one = self.asking.alone(key.clone(), deadline).await;
        if let Some(answer) = self.known(&key) {
            return Ok(answer);
        }
        let before = self.epoch();
        let answer = ask().await?;
        self.set(key, answer.clone(), before);
        Ok(answer)
    }

    /// To be taken before something is asked for that is set later.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst), Instant::now())
    }

    /// Remembers an answer, unless something changed since it was asked for.
    pub(crate) fn set(&self, key: K, answer: V, since: Epoch) {
        if !self.ttl.is_zero() {
            self.set_until(key, answer, since, since.1 + self.ttl);
        }
    }

    /// The same for what is known for another time than what is asked for here.
    pub(crate) fn set_until(&self, key: K, answer: V, since: Epoch, until: Instant) {
        let is_current = || self.epoch.load(Ordering::SeqCst) == since.0;
        if is_current() {
            self.answers.insert(key.clone(), (until, answer));
            if !is_current() {
                self.answers.remove(&key);
            }
        }
    }

    /// The answer, if it is known freshly; asks nobody.
    pub(crate) fn known(&self, key: &K) -> Option<V> {
        self.known_at(key, Instant::now())
    }

    /// The same, by a look at the clock that was taken just now.
    pub(crate) fn known_at(&self, key: &K, now: Instant) -> Option<V> {
        self.known_until(key, now).map(|(_, answer)| answer)
    }

    /// The same with the time until which it is known.
    pub(crate) fn known_until(&self, key: &K, now: Instant) -> Option<(Instant, V)> {
        let known = self.answers.get(key)?;
        if now >= known.0 {
            self.answers.remove(key);
            return None;
        }
        Some(known)
    }

    /// What it is about is changing, or has changed.
    pub(crate) fn forget(&self, key: &K) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.answers.remove(key);
    }

    /// The same about everything with such a key.
    pub(crate) fn forget_where(&self, is_changing: impl Fn(&K) -> bool) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.answers.retain(|key, _| !is_changing(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time() {
        let kept = Kept::new(TTL);
        let ask = |n: u64| kept.get(1, move || async move { Ok::<_, ()>(n) });
        assert_eq!(ask(1).await, Ok(1));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(ask(2).await, Ok(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ask(2).await, Ok(2));
        kept.forget(&1);
        assert_eq!(ask(3).await, Ok(3));
    }

    #[tokio::test]
    async fn an_answer_that_was_asked_for_before_a_change_is_not_kept() {
        let kept = Kept::new(TTL);
        let old = kept.get(1, || async {
            kept.forget(&1);
            Ok::<_, ()>(1)
        });
        assert_eq!(old.await, Ok(1));
        assert_eq!(kept.get(1, || async { Ok::<_, ()>(2) }).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let kept = Kept::new(TTL);
        assert_eq!(kept.get(1, || async { Err("gone") }).await, Err("gone"));
        assert_eq!(kept.get(1, || async { Ok::<_, ()>(2) }).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_keeps_nothing_and_an_older_look_at_the_clock_finds_what_is_newer() {
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        for (ttl, known) in [(Duration::ZERO, None), (TTL, Some(1))] {
            let kept = Kept::new(ttl);
            kept.set(1, 1, kept.epoch());
            assert_eq!(kept.known_at(&1, before), known, "{ttl:?}");
            assert_eq!(kept.known(&1), known, "{ttl:?}");
        }
    }
}
