//! The shared service account: its token, kept as the app keeps it, and the
//! operator's table of what it may read.
//!
//! Without that table the account would read any client's figures for anybody;
//! so what the table does not name is not asked for at all.

use super::client::Client;
use super::failure::Miss;
use camarad_policies::accounts;
use camarad_policies::ids::ClientId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a token of the service account is used (contract, section 4).
const KEPT: Duration = Duration::from_secs(6 * 60 * 60);

/// The service account.
pub(crate) struct ServiceAccount {
    email: String,
    accounts: BTreeMap<ClientId, BTreeSet<String>>,
    token: Mutex<Option<(String, Instant)>>,
}

impl ServiceAccount {
    pub(crate) fn new(email: String, accounts: BTreeMap<ClientId, BTreeSet<String>>) -> Self {
        Self {
            email,
            accounts,
            token: Mutex::default(),
        }
    }

    /// Whether the operator lets it read this account for this client.
    pub(crate) fn may_read(&self, client: Option<ClientId>, account: &str) -> bool {
        client
            .and_then(|client| self.accounts.get(&client))
            .is_some_and(|accounts| accounts.contains(&accounts::bare(account)))
    }

    /// Its token; `refused` is one that Coolbits did not accept any more.
    pub(crate) async fn token(
        &self,
        client: &Client,
        refused: Option<&str>,
        deadline: Instant,
    ) -> Result<String, Miss> {
        // Held over the login, so that many callers make one.
        let mut kept = self.token.lock().await;
        if let Some((token, since)) = &*kept
            && since.elapsed() < KEPT
            && refused != Some(token)
        {
            return Ok(token.clone());
        }
        let token = client.mock_login(&self.email, deadline).await?;
        *kept = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}
