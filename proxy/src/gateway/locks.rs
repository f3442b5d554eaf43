//! One lock per app user: selecting a customer at Coolbits and reading its
//! report are one step, and Coolbits keeps one selection per user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

/// Whose selection is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The selection of this app user.
    User(u64),
    /// The selection of the shared service account.
    Service,
}

/// The locks in use; one that nobody holds or awaits is forgotten.
#[derive(Default)]
pub(crate) struct Locks {
    held: Mutex<HashMap<Holder, Arc<tokio::sync::Mutex<()>>>>,
}

impl Locks {
    /// Waits for the lock; `None` when the deadline comes first.
    pub(crate) async fn acquire(
        &self,
        holder: Holder,
        deadline: Instant,
    ) -> Option<OwnedMutexGuard<()>> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            // One strong count is the map's own: nobody is there.
            held.retain(|_, lock| Arc::strong_count(lock) > 1);
            held.entry(holder).or_default().clone()
        };
        timeout_at(deadline, lock.lock_owned()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_user_waits_for_itself_until_the_deadline_and_for_nobody_else() {
        let locks = Locks::default();
        let deadline = || Instant::now() + Duration::from_secs(1);
        let first = locks.acquire(Holder::User(1), deadline()).await;
        assert!(first.is_some());
        assert!(locks.acquire(Holder::User(1), deadline()).await.is_none());
        assert!(locks.acquire(Holder::User(2), deadline()).await.is_some());
        drop(first);
        assert!(locks.acquire(Holder::User(1), deadline()).await.is_some());
        assert!(locks.held.lock().unwrap().len() <= 2);
    }
}
