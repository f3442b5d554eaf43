//! What the app says of a user's clients: which there are, which accounts they are
//! linked to, and which were created through us with a token that does not name them.

use crate::gateway::Stored;
use crate::kept::Kept;
use camarad_policies::accounts::Link;
use camarad_policies::guard::Owner;
use camarad_policies::identity::Token;
use camarad_policies::ids::{ClientId, ClientIds, UserId};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Tokens whose creations are remembered at most.
const MOST: usize = 10_000;

/// All clients of a user, and their links.
pub(crate) struct Around {
    pub(crate) clients: ClientIds,
    pub(crate) links: Arc<[Link]>,
}

/// What is known about users' clients.
pub(crate) struct Tenants {
    /// The clients of a user.
    clients: Kept<UserId, ClientIds>,
    /// The links of all the user's clients.
    links: Kept<UserId, Arc<[Link]>>,
    /// Both, for who asks for both: one look instead of two. Nothing in it is known for longer
    /// than there. What is forgotten there is forgotten here, after that; and so is what was asked
    /// for, since it may have been there for a moment though it had changed by then ([`Kept::set`]).
    around: Kept<UserId, Arc<Around>>,
    /// The stored settings of GA4, and whose they are.
    pub(crate) ga4: Kept<(UserId, Option<ClientId>), (Owner, Stored)>,
    created: Cache<[u8; 32], Arc<Vec<ClientId>>>,
}

impl Tenants {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            clients: Kept::new(ttl),
            links: Kept::new(ttl),
            around: Kept::new(ttl),
            ga4: Kept::new(ttl),
            created: Cache::new(MOST),
        }
    }

    /// The clients of a user; asks where they are not known freshly.
    pub(crate) async fn clients<E, F: Future<Output = Result<ClientIds, E>>>(
        &self,
        user: UserId,
        ask: impl FnOnce() -> F,
    ) -> Result<ClientIds, E> {
        self.asked(&self.clients, user, ask).await
    }

    /// The links of all the user's clients; asks where they are not known freshly.
    pub(crate) async fn links<E, F: Future<Output = Result<Arc<[Link]>, E>>>(
        &self,
        user: UserId,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<[Link]>, E> {
        self.asked(&self.links, user, ask).await
    }

    async fn asked<V: Clone, E, F: Future<Output = Result<V, E>>>(
        &self,
        kept: &Kept<UserId, V>,
        user: UserId,
        ask: impl FnOnce() -> F,
    ) -> Result<V, E> {
        let mut is_new = false;
        let ask = || {
            is_new = true;
            ask()
        };
        let answer = kept.get(user, ask).await;
        if is_new {
            self.around.forget(&user);
        }
        answer
    }

    /// Clients and links, where both are known freshly, by a look at the clock that was taken
    /// just now; asks nobody.
    pub(crate) fn around(&self, user: UserId, now: Instant) -> Option<Arc<Around>> {
        if let Some(around) = self.around.known_at(&user, now) {
            return Some(around);
        }
        // Before either is looked at: what is forgotten from here on is not kept.
        let since = self.around.epoch();
        let (until, clients) = self.clients.known_until(&user, now)?;
        let (or_until, links) = self.links.known_until(&user, now)?;
        let around = Arc::new(Around { clients, links });
        let until = until.min(or_until);
        self.around.set_until(user, around.clone(), since, until);
        Some(around)
    }

    /// The user's clients are changing, or have changed.
    pub(crate) fn forget_clients(&self, user: UserId) {
        self.clients.forget(&user);
        self.around.forget(&user);
    }

    /// The links of the user's clients are changing, or have changed.
    pub(crate) fn forget_links(&self, user: UserId) {
        self.links.forget(&user);
        self.around.forget(&user);
    }

    /// Remembers a client that was created with this token.
    pub(crate) fn create(&self, token: &Token, client: ClientId) {
        let mut ids = self
            .created(token)
            .map_or_else(Vec::new, |ids| ids.to_vec());
        ids.push(client);
        self.created.insert(*token.hash(), Arc::new(ids));
    }

    /// The client is gone; its id may be given to another one.
    pub(crate) fn delete(&self, client: ClientId) {
        self.created.retain(|_, ids| !ids.contains(&client));
    }

    /// The clients that were created with this token; `None` for nearly all tokens.
    pub(crate) fn created(&self, token: &Token) -> Option<Arc<Vec<ClientId>>> {
        self.created.get(token.hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn user() -> UserId {
        UserId::parse("1").unwrap()
    }

    async fn ask_for_clients(tenants: &Tenants, id: &str) {
        let clients: ClientIds = vec![ClientId::parse(id).unwrap()].into();
        let asked = tenants.clients(user(), || async { Ok::<_, ()>(clients) });
        assert!(asked.await.is_ok());
    }

    async fn ask_for_links(tenants: &Tenants) {
        let asked = tenants.links(user(), || async { Ok::<_, ()>(Arc::default()) });
        assert!(asked.await.is_ok());
    }

    /// Which client is known, where both are.
    fn around(tenants: &Tenants) -> Option<u64> {
        let around = tenants.around(user(), Instant::now())?;
        around.clients.iter().next().map(|client| client.get())
    }

    #[tokio::test(start_paused = true)]
    async fn both_are_known_for_as_long_as_each_is() {
        for clients_are_older in [true, false] {
            let tenants = Tenants::new(TTL);
            assert_eq!(around(&tenants), None);
            match clients_are_older {
                true => ask_for_clients(&tenants, "10").await,
                false => ask_for_links(&tenants).await,
            }
            assert_eq!(around(&tenants), None);
            tokio::time::advance(Duration::from_secs(20)).await;
            ask_for_clients(&tenants, "10").await;
            ask_for_links(&tenants).await;
            assert_eq!(around(&tenants), Some(10));
            tokio::time::advance(Duration::from_millis(9_999)).await;
            assert_eq!(around(&tenants), Some(10));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(around(&tenants), None, "the older one is too old");
        }
        let none = Tenants::new(Duration::ZERO);
        ask_for_clients(&none, "10").await;
        ask_for_links(&none).await;
        assert_eq!(around(&none), None);
    }

    #[tokio::test]
    async fn what_is_forgotten_of_either_is_not_known_of_both() {
        let tenants = Tenants::new(TTL);
        for (forget, id) in [(0, "11"), (1, "11"), (0, "12"), (1, "12")] {
            ask_for_clients(&tenants, id).await;
            ask_for_links(&tenants).await;
            assert!(around(&tenants).is_some());
            match forget {
                0 => tenants.forget_clients(user()),
                _ => tenants.forget_links(user()),
            }
            assert_eq!(around(&tenants), None, "{forget}");
            ask_for_clients(&tenants, id).await;
            ask_for_links(&tenants).await;
            assert_eq!(around(&tenants), Some(id.parse().unwrap()));
            tenants.forget_clients(user());
        }
    }
}
