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

/// Tokens whose creations are remembered at most.
const MOST: usize = 10_000;

/// What is known about users' clients.
pub(crate) struct Tenants {
    /// The clients of a user.
    pub(crate) clients: Kept<UserId, ClientIds>,
    /// The links of all the user's clients.
    pub(crate) links: Kept<UserId, Arc<[Link]>>,
    /// The stored settings of GA4, and whose they are.
    pub(crate) ga4: Kept<(UserId, Option<ClientId>), (Owner, Stored)>,
    created: Cache<[u8; 32], Arc<Vec<ClientId>>>,
}

impl Tenants {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            clients: Kept::new(ttl),
            links: Kept::new(ttl),
            ga4: Kept::new(ttl),
            created: Cache::new(MOST),
        }
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
