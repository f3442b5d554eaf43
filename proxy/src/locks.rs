//! Locks by name: many who share or one alone, waited for up to a deadline.
//!
//! Whoever wants it alone does not hold up those who come to share it meanwhile:
//! a deletion that waits for a slow answer must not make everything behind it
//! slow too. It may wait in vain; then its deadline says so.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The locks in use; one that nobody holds or awaits is forgotten.
pub(crate) struct Locks<K> {
    used: Mutex<HashMap<K, Arc<Lock>>>,
}

#[derive(Default)]
struct Lock {
    holders: Mutex<Holders>,
    released: Notify,
}

#[derive(Default)]
struct Holders {
    sharing: usize,
    alone: bool,
}

/// A lock that is held until this is dropped.
pub(crate) struct Held {
    lock: Arc<Lock>,
    alone: bool,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self {
            used: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq> Locks<K> {
    /// Waits to hold it with others who share it; `None` when the deadline comes first.
    pub(crate) async fn shared(&self, key: K, deadline: Instant) -> Option<Held> {
        self.hold(key, false, deadline).await
    }

    /// Waits to hold it alone; `None` when the deadline comes first.
    pub(crate) async fn alone(&self, key: K, deadline: Instant) -> Option<Held> {
        self.hold(key, true, deadline).await
    }

    async fn hold(&self, key: K, alone: bool, deadline: Instant) -> Option<Held> {
        let lock = self.lock(key);
        loop {
            // Before looking, so that a release in between is not missed.
            let released = lock.released.notified();
            if lock.take(alone) {
                break;
            }
            timeout_at(deadline, released).await.ok()?;
        }
        Some(Held { lock, alone })
    }

    fn lock(&self, key: K) -> Arc<Lock> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // One strong count is the map's own: nobody is there.
        used.retain(|_, lock| Arc::strong_count(lock) > 1);
        used.entry(key).or_default().clone()
    }
}

impl Lock {
    fn take(&self, alone: bool) -> bool {
        let mut holders = self.holders();
        let free = !holders.alone && (!alone || holders.sharing == 0);
        match (free, alone) {
            (true, true) => holders.alone = true,
            (true, false) => holders.sharing += 1,
            (false, _) => {}
        }
        free
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        {
            let mut holders = self.lock.holders();
            match self.alone {
                true => holders.alone = false,
                false => holders.sharing -= 1,
            }
        }
        self.lock.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_waits_for_itself_until_the_deadline_and_for_nobody_else() {
        let locks = Locks::default();
        let first = locks.alone(1, soon()).await;
        assert!(first.is_some());
        assert!(locks.alone(1, soon()).await.is_none());
        assert!(locks.shared(1, soon()).await.is_none());
        assert!(locks.alone(2, soon()).await.is_some());
        drop(first);
        assert!(locks.alone(1, soon()).await.is_some());
        assert!(locks.used.lock().unwrap().len() <= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_share_and_nobody_is_alone_meanwhile() {
        let locks = Locks::default();
        let one = locks.shared(1, soon()).await;
        let (alone, two) = tokio::join!(locks.alone(1, soon()), locks.shared(1, soon()));
        assert!(two.is_some(), "not held up by who waits to be alone");
        assert!(one.is_some() && alone.is_none());
        drop((one, two));
        assert!(locks.alone(1, soon()).await.is_some());
    }

    #[tokio::test]
    async fn a_release_wakes_whoever_waits() {
        let locks = Arc::new(Locks::default());
        let total = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (locks, total) = (locks.clone(), total.clone());
                tokio::spawn(async move {
                    let held = locks
                        .alone(1, Instant::now() + Duration::from_secs(60))
                        .await;
                    let before = total.load(std::sync::atomic::Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    total.store(before + 1, std::sync::atomic::Ordering::SeqCst);
                    drop(held);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(
            total.load(std::sync::atomic::Ordering::SeqCst),
            50,
            "one at a time"
        );
    }
}
