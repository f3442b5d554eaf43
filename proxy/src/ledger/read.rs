//! What operators read of the ledger, beside a sidecar that serves.

use super::rows::{Raw, SHORT, STEPS, WHOLE};
use super::{FILE, LedgerError, PATIENCE, schema};
use camarad_policies::run::{Run, Status};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;

/// The ledger of a state directory, for reading alone.
pub(crate) struct Reader(Connection);

/// Which runs are wanted; the newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    pub(crate) client: Option<u64>,
    pub(crate) user: Option<u64>,
    pub(crate) status: Option<Status>,
    /// Begun at or after this, in milliseconds.
    pub(crate) since_ms: i64,
    pub(crate) most: u32,
}

impl Reader {
    /// Opens it; nothing is written, and what runs stays as it is.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Connection::open_with_flags(state_dir.join(FILE), flags)?;
        file.busy_timeout(PATIENCE)?;
        schema::check(&file)?;
        Ok(Self(file))
    }

    /// Runs without their flows and answers.
    pub(crate) fn list(&self, filter: Filter) -> Result<Vec<Run>, LedgerError> {
        self.all(SHORT, filter)
    }

    /// Runs without their flows, and without answers of more than 64 KiB.
    pub(crate) fn with_steps(&self, filter: Filter) -> Result<Vec<Run>, LedgerError> {
        self.all(STEPS, filter)
    }

    /// Runs with everything.
    pub(crate) fn whole(&self, filter: Filter) -> Result<Vec<Run>, LedgerError> {
        self.all(WHOLE, filter)
    }

    /// The run of this id.
    pub(crate) fn find(&self, run_id: &str) -> Result<Option<Run>, LedgerError> {
        let sql = format!("SELECT {WHOLE} FROM runs WHERE run_id = ?1");
        let raw = self.0.query_row(&sql, [run_id], Raw::read).optional()?;
        raw.map(Raw::run).transpose()
    }

    /// The latest run that the app's history of a client calls so.
    pub(crate) fn find_execution(
        &self,
        client: u64,
        execution_id: u64,
    ) -> Result<Option<Run>, LedgerError> {
        let sql = format!(
            "SELECT {WHOLE} FROM runs WHERE client = ?1 AND execution_id = ?2
             ORDER BY started_at DESC, run_id DESC LIMIT 1"
        );
        let key = params![client as i64, execution_id as i64];
        let raw = self.0.query_row(&sql, key, Raw::read).optional()?;
        raw.map(Raw::run).transpose()
    }

    fn all(&self, columns: &str, filter: Filter) -> Result<Vec<Run>, LedgerError> {
        let sql = format!(
            "SELECT {columns} FROM runs
             WHERE (?1 IS NULL OR client = ?1) AND (?2 IS NULL OR user = ?2)
             AND (?3 IS NULL OR status = ?3) AND started_at >= ?4
             ORDER BY started_at DESC, run_id DESC LIMIT ?5"
        );
        let mut find = self.0.prepare(&sql)?;
        let key = params![
            filter.client.map(|id| id as i64),
            filter.user.map(|id| id as i64),
            filter.status.map(Status::as_str),
            filter.since_ms,
            filter.most,
        ];
        let rows = find.query_map(key, Raw::read)?;
        rows.map(|raw| raw?.run()).collect()
    }
}
