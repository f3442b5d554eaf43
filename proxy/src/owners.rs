//! Whose conversations are: an index in the state directory.
//!
//! The app's list of conversations ends at thirty rows and chat looks at nobody,
//! so what lists, new conversations and exports say is remembered here. Ids are
//! given out again once a conversation is deleted, and this may be behind: it says
//! where to look, and is never a proof. Whoever deletes says so ([`Owners::forget`]),
//! and what was asked for before that is not learnt after it, so that it is seldom
//! behind.
//!
//! SQLite; a file that is lost or deleted is learnt again.

use camarad_policies::conversations::Conversation;
use camarad_policies::guard::Owner;
use camarad_policies::ids::{ClientId, ObjectId, UserId};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The index; cheap to clone.
#[derive(Clone)]
pub(crate) struct Owners(Arc<Shared>);

struct Shared {
    file: Mutex<Connection>,
    /// Changes with every deletion.
    epoch: AtomicU64,
}

/// What was known of deletions when something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS conversations (
        id INTEGER PRIMARY KEY,
        user INTEGER NOT NULL,
        client INTEGER,
        workspace TEXT NOT NULL,
        agent TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS by_agent ON conversations (user, client, workspace, agent);
";

impl Owners {
    /// Opens the index, or begins a new one.
    pub(crate) fn open(state_dir: &Path) -> rusqlite::Result<Self> {
        let file = Connection::open(state_dir.join("owners.db"))?;
        file.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Shared {
            file: Mutex::new(file),
            epoch: AtomicU64::new(0),
        })))
    }

    /// To be taken before something is asked for that is learnt later.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::SeqCst))
    }

    /// Remembers whose these are, unless something was deleted since.
    pub(crate) async fn learn(
        &self,
        user: UserId,
        seen: Vec<Conversation>,
        since: Epoch,
    ) -> rusqlite::Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let shared = self.0.clone();
        self.with(move |file| {
            let change = file.transaction()?;
            if shared.epoch.load(Ordering::SeqCst) != since.0 {
                return Ok(());
            }
            {
                // Most is known already: only what differs is written.
                let mut known = change.prepare_cached(
                    "SELECT 1 FROM conversations WHERE id = ?1 AND user = ?2 AND client IS ?3
                     AND workspace = ?4 AND agent = ?5",
                )?;
                let mut write = change.prepare_cached(
                    "INSERT OR REPLACE INTO conversations VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                for one in seen {
                    let client = one.client.map(|client| client.get() as i64);
                    let row = params![
                        one.id.get() as i64,
                        user.get() as i64,
                        client,
                        one.workspace,
                        one.agent
                    ];
                    if !known.exists(row)? {
                        write.execute(row)?;
                    }
                }
            }
            change.commit()
        })
        .await
    }

    /// What is known of a conversation: whose user's, and of which client.
    pub(crate) async fn find(&self, id: ObjectId) -> rusqlite::Result<Option<(u64, Owner)>> {
        self.with(move |file| {
            let mut find =
                file.prepare_cached("SELECT user, client FROM conversations WHERE id = ?1")?;
            find.query_row([id.get() as i64], |row| {
                let client: Option<i64> = row.get(1)?;
                let owner = match client {
                    None => Owner::User,
                    Some(client) => {
                        ClientId::parse(&client.to_string()).map_or(Owner::Nobody, Owner::Client)
                    }
                };
                Ok((row.get::<_, i64>(0)? as u64, owner))
            })
            .optional()
        })
        .await
    }

    /// The newest conversation with an agent within a client, or within none.
    pub(crate) async fn newest(
        &self,
        user: UserId,
        client: Option<ClientId>,
        workspace: String,
        agent: String,
    ) -> rusqlite::Result<Option<ObjectId>> {
        self.with(move |file| {
            let mut find = file.prepare_cached(
                "SELECT max(id) FROM conversations
                 WHERE user = ?1 AND client IS ?2 AND workspace = ?3 AND agent = ?4",
            )?;
            let client = client.map(|client| client.get() as i64);
            let newest: Option<i64> = find.query_row(
                params![user.get() as i64, client, workspace, agent],
                |row| row.get(0),
            )?;
            Ok(newest.and_then(|id| ObjectId::parse(&id.to_string()).ok()))
        })
        .await
    }

    /// The conversation is about to be deleted, or everything of the user; nobody
    /// learns it again from what was asked for before.
    pub(crate) async fn forget(&self, user: UserId, one: Option<ObjectId>) -> rusqlite::Result<()> {
        let shared = self.0.clone();
        self.with(move |file| {
            shared.epoch.fetch_add(1, Ordering::SeqCst);
            match one {
                Some(id) => {
                    file.execute("DELETE FROM conversations WHERE id = ?1", [id.get() as i64])?
                }
                None => file.execute(
                    "DELETE FROM conversations WHERE user = ?1",
                    [user.get() as i64],
                )?,
            };
            Ok(())
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let shared = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut shared.file.lock().unwrap_or_else(PoisonError::into_inner))
        });
        // A task that broke has nothing to say; whoever asked fails closed.
        done.await.unwrap_or(Err(rusqlite::Error::InvalidQuery))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u64) -> UserId {
        UserId::parse(&id.to_string()).unwrap()
    }

    fn seen(id: u64, client: u64) -> Conversation {
        Conversation {
            id: ObjectId::parse(&id.to_string()).unwrap(),
            client: ClientId::parse(&client.to_string()).ok(),
            workspace: "business".into(),
            agent: "seo".into(),
        }
    }

    #[tokio::test]
    async fn what_was_seen_is_known_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let owners = Owners::open(dir.path()).unwrap();
        let rows = vec![seen(5, 10), seen(9, 10), seen(7, 0)];
        owners.learn(user(1), rows, owners.epoch()).await.unwrap();
        drop(owners);
        let owners = Owners::open(dir.path()).unwrap();
        let find = |id| {
            let owners = owners.clone();
            async move { owners.find(seen(id, 0).id).await.unwrap() }
        };
        assert_eq!(find(5).await, Some((1, seen(5, 10).owner())));
        assert_eq!(find(7).await, Some((1, Owner::User)));
        assert_eq!(find(8).await, None);
        let newest = |client| {
            let owners = owners.clone();
            async move {
                let (workspace, agent) = ("business".to_owned(), "seo".to_owned());
                owners
                    .newest(user(1), client, workspace, agent)
                    .await
                    .unwrap()
            }
        };
        assert_eq!(newest(seen(1, 10).client).await, Some(seen(9, 0).id));
        assert_eq!(newest(None).await, Some(seen(7, 0).id));
        assert_eq!(newest(seen(1, 11).client).await, None);
    }

    #[tokio::test]
    async fn what_was_asked_for_before_a_deletion_is_not_learnt_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let owners = Owners::open(dir.path()).unwrap();
        let before = owners.epoch();
        owners
            .learn(user(1), vec![seen(5, 10)], before)
            .await
            .unwrap();
        owners.forget(user(1), Some(seen(5, 0).id)).await.unwrap();
        owners
            .learn(user(1), vec![seen(5, 10)], before)
            .await
            .unwrap();
        assert_eq!(owners.find(seen(5, 0).id).await.unwrap(), None);
        // The id is somebody else's now.
        let now = owners.epoch();
        owners.learn(user(2), vec![seen(5, 20)], now).await.unwrap();
        let found = owners.find(seen(5, 0).id).await.unwrap();
        assert_eq!(found, Some((2, seen(5, 20).owner())));
        owners.forget(user(2), None).await.unwrap();
        assert_eq!(owners.find(seen(5, 0).id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_file_that_is_no_index_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("owners.db"), vec![b'x'; 5000]).unwrap();
        assert!(Owners::open(dir.path()).is_err());
    }
}
