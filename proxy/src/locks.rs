//! Locks by name: many readers or one writer of whatever the key stands for,
//! waited for up to a deadline. Who is first in line is first served.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::{Instant, timeout_at};

/// The locks in use; one that nobody holds or awaits is forgotten.
pub(crate) struct Locks<K> {
    used: Mutex<HashMap<K, Arc<RwLock<()>>>>,
}

/// A lock that is held until this is dropped.
pub(crate) enum Held {
    Shared(#[allow(dead_code)] OwnedRwLockReadGuard<()>),
    Alone(#[allow(dead_code)] OwnedRwLockWriteGuard<()>),
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
        let waiting = self.lock(key).read_owned();
        let held = timeout_at(deadline, waiting).await.ok()?;
        Some(Held::Shared(held))
    }

    /// Waits to hold it alone; `None` when the deadline comes first.
    pub(crate) async fn alone(&self, key: K, deadline: Instant) -> Option<Held> {
        let waiting = self.lock(key).write_owned();
        let held = timeout_at(deadline, waiting).await.ok()?;
        Some(Held::Alone(held))
    }

    fn lock(&self, key: K) -> Arc<RwLock<()>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // One strong count is the map's own: nobody is there.
        used.retain(|_, lock| Arc::strong_count(lock) > 1);
        used.entry(key).or_default().clone()
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
        let two = locks.shared(1, soon()).await;
        assert!(one.is_some() && two.is_some());
        assert!(locks.alone(1, soon()).await.is_none());
        drop((one, two));
        assert!(locks.alone(1, soon()).await.is_some());
    }
}
