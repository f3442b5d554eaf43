//! The run ledger: every run of the orchestrator, in a file of the state directory.
//!
//! A run is written before it is forwarded and completed after it is answered, so a
//! process that ends in the middle leaves it `interrupted` and never lost. SQLite, WAL,
//! synced at each write; one connection writes, and everything that waits for the
//! disk runs on threads that may block. Whose a run is stands in its row and is part of
//! every question: nothing is found by a run's id alone but by operators
//! ([`read::Reader`]).
//!
//! What goes wrong if misused: a run that is forwarded without [`Ledger::begin`] is one
//! nobody can replay or account for. Two processes with one state directory call each
//! other's runs interrupted until they complete.

mod read;
mod room;
mod rows;
mod schema;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::{Filter, Reader};
pub(crate) use write::{Begun, Completion, NewRun, Once, Past};

use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Its file in the state directory.
pub(crate) const FILE: &str = "runs.db";
/// How long a write waits for somebody else who holds the file (a backup does).
const PATIENCE: Duration = Duration::from_secs(3);
/// RFC 3339 with milliseconds, UTC, as the app writes times.
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("it was written by a newer version (layout {0}); this one knows up to {known}", known = schema::VERSION)]
    Newer(i64),
    #[error("it has the layout {0} of an older version; a start of this one brings it up to date")]
    Older(i64),
    #[error("row {0} cannot be read: {1}")]
    Row(String, &'static str),
    #[error("the thread that wrote it broke")]
    Broken,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Runs of one client of a user at most.
    pub(crate) runs_per_client: u32,
    /// Bytes of one user's runs at most; a run that is larger by itself is kept alone.
    pub(crate) user_bytes: u64,
    /// Oldest run, in milliseconds.
    pub(crate) age_ms: i64,
    /// Largest file, in bytes; a run that does not fit is refused.
    pub(crate) bytes: u64,
}

/// The ledger; cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Shared>);

struct Shared {
    file: Mutex<Connection>,
    retention: Retention,
    delivered: Mutex<Delivered>,
}

/// Metrics by connector.
pub(crate) type Delivered = BTreeMap<String, BTreeSet<String>>;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Opens the ledger, or begins a new one. What was running when the process
    /// ended is interrupted now; gives how many were.
    pub(crate) fn open(
        state_dir: &Path,
        retention: Retention,
        now_ms: i64,
    ) -> Result<(Self, usize), LedgerError> {
        let mut file = Connection::open(state_dir.join(FILE))?;
        file.busy_timeout(PATIENCE)?;
        schema::prepare(&mut file, retention.bytes)?;
        let interrupted = file.execute(
            "UPDATE runs SET status = 'interrupted', finished_at = ?1 WHERE status = 'running'",
            [now_ms],
        )?;
        let delivered = read_delivered(&file)?;
        let shared = Shared {
            file: Mutex::new(file),
            retention,
            delivered: Mutex::new(delivered),
        };
        Ok((Self(Arc::new(shared)), interrupted))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, Retention) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = self.0.clone();
        let done =
            tokio::task::spawn_blocking(move || work(&mut lock(&shared.file), shared.retention));
        done.await.unwrap_or(Err(LedgerError::Broken))
    }
}

fn read_delivered(file: &Connection) -> Result<Delivered, LedgerError> {
    let mut delivered = Delivered::new();
    let mut find = file.prepare("SELECT connector, metric FROM delivered")?;
    let rows = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (connector, metric) = row?;
        delivered.entry(connector).or_default().insert(metric);
    }
    Ok(delivered)
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

/// A time in milliseconds as text.
pub(crate) fn time_text(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    // Times are ours and within range; formatting one into a String cannot fail.
    time.ok()
        .and_then(|time| time.format(MILLIS).ok())
        .unwrap_or_default()
}
