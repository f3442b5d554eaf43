//! Which clients a user has: the app's own list, kept for a short time, and the
//! clients that were created through us with a token that does not name them.
//!
//! A list that was asked for before a client was created or deleted is never
//! kept: whoever changes clients says so ([`Tenants::forget`]) before and after.

use camarad_policies::identity::Token;
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::refusal::Refusal;
use quick_cache::sync::Cache;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Users whose list is remembered at most, and tokens whose creations are.
const MOST: usize = 10_000;
/// Lists fetched at once at most; users of one lane wait for each other.
const LANES: usize = 64;

/// What is known about users' clients.
pub(crate) struct Tenants {
    lists: Cache<UserId, Listed>,
    ttl: Duration,
    /// Changes whenever somebody's clients may have changed.
    epoch: AtomicU64,
    lanes: [Mutex<()>; LANES],
    created: Cache<[u8; 32], Arc<Vec<ClientId>>>,
}

#[derive(Clone)]
struct Listed {
    at: Instant,
    ids: Arc<[ClientId]>,
}

impl Tenants {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            lists: Cache::new(MOST),
            ttl,
            epoch: AtomicU64::new(0),
            lanes: std::array::from_fn(|_| Mutex::default()),
            created: Cache::new(MOST),
        }
    }

    /// The user's clients; asks the app where that is not known freshly.
    pub(crate) async fn list<F: Future<Output = Result<Vec<ClientId>, Refusal>>>(
        &self,
        user: UserId,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<[ClientId]>, Refusal> {
        if let Some(ids) = self.fresh(user) {
            return Ok(ids);
        }
        let _one = self.lanes[user.get() as usize % LANES].lock().await;
        if let Some(ids) = self.fresh(user) {
            return Ok(ids);
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        let at = Instant::now();
        let ids: Arc<[ClientId]> = ask().await?.into();
        if self.epoch.load(Ordering::SeqCst) == epoch {
            self.lists.insert(
                user,
                Listed {
                    at,
                    ids: ids.clone(),
                },
            );
            if self.epoch.load(Ordering::SeqCst) != epoch {
                self.lists.remove(&user);
            }
        }
        Ok(ids)
    }

    fn fresh(&self, user: UserId) -> Option<Arc<[ClientId]>> {
        let listed = self.lists.get(&user)?;
        (listed.at.elapsed() < self.ttl).then_some(listed.ids)
    }

    /// The user's clients are changing, or have changed.
    pub(crate) fn forget(&self, user: UserId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.lists.remove(&user);
    }

    /// Remembers a client that was created with this token.
    pub(crate) fn create(&self, token: &Token, client: ClientId) {
        let mut ids = self.created(token).to_vec();
        ids.push(client);
        self.created.insert(*token.hash(), Arc::new(ids));
    }

    /// The client is gone; its id may be given to another one.
    pub(crate) fn delete(&self, client: ClientId) {
        self.created.retain(|_, ids| !ids.contains(&client));
    }

    /// The clients that were created with this token.
    pub(crate) fn created(&self, token: &Token) -> Arc<Vec<ClientId>> {
        self.created.get(token.hash()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> Vec<ClientId> {
        ids.iter()
            .map(|id| ClientId::parse(&id.to_string()).unwrap())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_kept_for_its_time() {
        let tenants = Tenants::new(Duration::from_secs(30));
        let user = UserId::parse("1").unwrap();
        let ask = |n: u64| tenants.list(user, move || async move { Ok(ids(&[n])) });
        assert_eq!(ask(1).await.unwrap()[..], ids(&[1]));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(ask(2).await.unwrap()[..], ids(&[1]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ask(2).await.unwrap()[..], ids(&[2]));
        tenants.forget(user);
        assert_eq!(ask(3).await.unwrap()[..], ids(&[3]));
    }

    #[tokio::test]
    async fn a_list_that_was_asked_for_before_a_change_is_not_kept() {
        let tenants = Tenants::new(Duration::from_secs(30));
        let user = UserId::parse("1").unwrap();
        let old = tenants.list(user, || async {
            tenants.forget(user);
            Ok(ids(&[1]))
        });
        assert_eq!(old.await.unwrap()[..], ids(&[1]));
        let new = tenants.list(user, || async { Ok(ids(&[2])) });
        assert_eq!(new.await.unwrap()[..], ids(&[2]));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let tenants = Tenants::new(Duration::from_secs(30));
        let user = UserId::parse("1").unwrap();
        let gone = tenants.list(user, || async { Err(Refusal::DirectoryUnavailable) });
        assert_eq!(gone.await, Err(Refusal::DirectoryUnavailable));
        let there = tenants.list(user, || async { Ok(ids(&[2])) });
        assert!(there.await.is_ok());
    }
}
