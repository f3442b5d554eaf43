//! The layout of the ledger's file, and how it is brought up to date.

use super::LedgerError;
use rusqlite::Connection;

/// The layout that this version writes.
pub(super) const VERSION: i64 = 2;

const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 4194304;
";

const LAYOUT_1: &str = "
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        execution_id INTEGER,
        trace_execution_id TEXT,
        user INTEGER NOT NULL,
        client INTEGER NOT NULL,
        flow_id INTEGER,
        flow_name TEXT NOT NULL,
        flow TEXT NOT NULL,
        request_hash TEXT NOT NULL,
        findings TEXT NOT NULL,
        sources TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        finished_at INTEGER,
        status TEXT NOT NULL CHECK (status IN ('running', 'success', 'warning', 'error', 'blocked', 'interrupted')),
        replay_of TEXT,
        answer TEXT,
        -- Bytes of what is large in this row.
        size INTEGER NOT NULL,
        -- SHA-256 of tenant and Idempotency-Key; the same once more within a day is answered alike.
        once BLOB,
        -- What the caller was answered, where it may be asked for again.
        answered_status INTEGER,
        answered TEXT
    ) STRICT;
    CREATE INDEX runs_by_execution ON runs (user, client, execution_id);
    CREATE INDEX runs_by_client ON runs (user, client, started_at);
    CREATE INDEX runs_by_user ON runs (user, started_at, size);
    CREATE INDEX runs_by_start ON runs (started_at);
    CREATE UNIQUE INDEX runs_once ON runs (once) WHERE once IS NOT NULL;
    -- Which metrics runs were seen to deliver, so that no condition on one is called wrong.
    CREATE TABLE delivered (
        connector TEXT NOT NULL,
        metric TEXT NOT NULL,
        PRIMARY KEY (connector, metric)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// What the app was given in place of accounts. Not with the runs: the app keeps its history longer
/// than the ledger keeps them.
const LAYOUT_2: &str = "
    CREATE TABLE handles (
        handle TEXT PRIMARY KEY,
        user INTEGER NOT NULL,
        client INTEGER NOT NULL,
        account TEXT NOT NULL,
        made_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX handles_by_user ON handles (user, client);
    CREATE INDEX handles_by_age ON handles (made_at);
    PRAGMA user_version = 2;
";

/// Makes the file ready to be written.
pub(super) fn prepare(file: &mut Connection, bytes: u64) -> Result<(), LedgerError> {
    file.execute_batch(PRAGMAS)?;
    let page: i64 = file.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = (bytes / page.max(1).unsigned_abs()).max(16);
    file.pragma_update(None, "max_page_count", pages as i64)?;
    let change = file.transaction()?;
    let layout: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match layout {
        0 => {
            change.execute_batch(LAYOUT_1)?;
            change.execute_batch(LAYOUT_2)?;
        }
        1 => change.execute_batch(LAYOUT_2)?,
        VERSION => {}
        newer => return Err(LedgerError::Newer(newer)),
    }
    Ok(change.commit()?)
}

/// Whether a file that is only read has a layout that this version knows.
pub(super) fn check(file: &Connection) -> Result<(), LedgerError> {
    let layout: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match layout {
        VERSION => Ok(()),
        older @ ..VERSION => Err(LedgerError::Older(older)),
        newer => Err(LedgerError::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_first_layout_is_brought_up_to_date_with_its_runs() {
        let mut file = Connection::open_in_memory().unwrap();
        file.execute_batch(LAYOUT_1).unwrap();
        let row = "INSERT INTO runs (run_id, user, client, flow_name, flow, request_hash, findings, sources,
            started_at, status, size) VALUES ('a', 1, 10, 'x', '{}', '', '[]', '[]', 1, 'success', 2)";
        file.execute_batch(row).unwrap();
        assert!(matches!(check(&file), Err(LedgerError::Older(1))));
        prepare(&mut file, 1 << 20).unwrap();
        check(&file).unwrap();
        let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM runs WHERE run_id = 'a'"), 1);
        assert_eq!(count("SELECT count(*) FROM handles"), 0);
        prepare(&mut file, 1 << 20).unwrap();
    }
}
