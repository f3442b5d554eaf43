//! One SQLite file: copied while others write to it, and what can be said of a copy.
//!
//! Copying takes one read transaction for the whole file, so that the copy is a state that
//! was committed. In WAL mode nobody waits for it; in the other modes writers do, for as long
//! as the copy takes. Facts are read of copies only: reading opens for writing, since SQLite
//! may have to tidy up.

use camarad_policies::hex::hex;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// How a SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How many lines of `integrity_check` are told.
const MOST_LINES: usize = 3;

/// What has to be the same in a copy of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Rows of each table.
    pub(crate) rows: BTreeMap<String, u64>,
    /// SHA-256 of what `sqlite_master` says, whitespace aside, in hex.
    pub(crate) schema_sha256: String,
    /// `PRAGMA user_version`.
    pub(crate) user_version: i64,
    /// What `PRAGMA integrity_check` says: `ok`.
    pub(crate) integrity: String,
    /// Rows that name a row which is not there. SQLite lets them be where an application
    /// does not turn `foreign_keys` on.
    pub(crate) foreign_key_violations: u64,
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("there is no such file")]
    Missing,
    #[error("it is not a SQLite file")]
    NotSqlite,
    #[error("somebody held it locked for {}: stop what holds it, or wait longer (--wait)", humantime::format_duration(*.0))]
    Locked(Duration),
    #[error(
        "this user cannot open it: it has to be readable, and where it is in WAL mode and nobody uses it, its directory writable: {0}"
    )]
    CannotOpen(rusqlite::Error),
    #[error("no space is left for the copy")]
    NoSpace,
    #[error("it is damaged; integrity_check says: {0}")]
    Damaged(String),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sqlite(rusqlite::Error),
}

impl DatabaseError {
    fn of(error: rusqlite::Error, patience: Duration) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(patience),
            Some(ErrorCode::NotADatabase) => Self::NotSqlite,
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Self::CannotOpen(error),
            Some(ErrorCode::DiskFull) => Self::NoSpace,
            _ => Self::Sqlite(error),
        }
    }
}

/// Whether a file begins as SQLite's do.
pub(super) fn is_sqlite(path: &Path) -> io::Result<bool> {
    let mut head = Vec::with_capacity(MAGIC.len());
    let mut file = File::open(path)?.take(MAGIC.len() as u64);
    file.read_to_end(&mut head)?;
    Ok(head == MAGIC)
}

/// Copies the last committed state of `from` into the new file `to`, and says what is in it.
/// Waits this long for somebody who holds it; the source is only read.
pub(super) fn copy(from: &Path, to: &Path, patience: Duration) -> Result<Facts, DatabaseError> {
    let failed = |error| DatabaseError::of(error, patience);
    match is_sqlite(from) {
        Ok(true) => {}
        Ok(false) => return Err(DatabaseError::NotSqlite),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DatabaseError::Missing);
        }
        Err(error) => return Err(error.into()),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(failed)?;
    source.busy_timeout(patience).map_err(failed)?;
    let mut target = Connection::open(to).map_err(failed)?;
    // What the archive is made of need not survive a crash.
    target
        .pragma_update(None, "synchronous", "OFF")
        .map_err(failed)?;
    let backup = Backup::new(&source, &mut target).map_err(failed)?;
    // All pages in one step: with several, whatever was written in between begins it anew, and
    // it never ends while the app is busy.
    match backup.step(-1).map_err(failed)? {
        StepResult::Done => {}
        _ => return Err(DatabaseError::Locked(patience)),
    }
    drop(backup);
    target.close().map_err(|(_, error)| failed(error))?;
    let facts = Facts::read(to)?;
    match facts.integrity.as_str() {
        "ok" => Ok(facts),
        words => Err(DatabaseError::Damaged(words.to_owned())),
    }
}

impl Facts {
    /// Reads everything of a copy that nobody else uses.
    pub(crate) fn read(path: &Path) -> Result<Self, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read = || -> rusqlite::Result<Self> {
            let file = Connection::open_with_flags(path, flags)?;
            // The schema is somebody else's.
            file.pragma_update(None, "trusted_schema", "OFF")?;
            let facts = Self {
                integrity: integrity(&file)?,
                rows: rows(&file)?,
                schema_sha256: schema(&file)?,
                user_version: file.pragma_query_value(None, "user_version", |row| row.get(0))?,
                foreign_key_violations: count(
                    &file,
                    "SELECT count(*) FROM pragma_foreign_key_check",
                )?,
            };
            file.close().map_err(|(_, error)| error)?;
            Ok(facts)
        };
        read().map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => DatabaseError::Damaged(error.to_string()),
            _ => DatabaseError::of(error, Duration::ZERO),
        })
    }

    /// Compares what was found in a copy with what these say: for each thing its name, and
    /// what was seen, good or not.
    pub(super) fn compare(&self, found: &Facts) -> [(&'static str, Result<String, String>); 4] {
        let same = |is_same: bool, words: String| if is_same { Ok(words) } else { Err(words) };
        let (told, seen) = (self.foreign_key_violations, found.foreign_key_violations);
        let rows: u64 = found.rows.values().sum();
        let other = self.other_rows(found);
        [
            (
                "integrity",
                same(
                    found.integrity == "ok",
                    format!("integrity_check: {}", found.integrity),
                ),
            ),
            (
                "foreign keys",
                same(
                    seen == told,
                    match (seen, told) {
                        (0, 0) => "every row that is named is there".to_owned(),
                        _ => format!(
                            "{seen} rows name one that is not there; {told} when it was taken"
                        ),
                    },
                ),
            ),
            (
                "rows",
                match other.as_slice() {
                    [] => Ok(format!("{rows} in {} tables", found.rows.len())),
                    other => Err(other.join(", ")),
                },
            ),
            (
                "schema",
                match (
                    found.schema_sha256 == self.schema_sha256,
                    found.user_version == self.user_version,
                ) {
                    (true, true) => Ok(format!("as it was, version {}", found.user_version)),
                    (false, _) => Err("it differs from when it was taken".to_owned()),
                    (true, false) => Err(format!(
                        "version {}, and {} when it was taken",
                        found.user_version, self.user_version
                    )),
                },
            ),
        ]
    }

    fn other_rows(&self, found: &Facts) -> Vec<String> {
        let tables: std::collections::BTreeSet<&String> =
            self.rows.keys().chain(found.rows.keys()).collect();
        let of = |facts: &Facts, table| facts.rows.get(table).copied();
        let words = |count: Option<u64>| count.map_or("none".to_owned(), |n| n.to_string());
        tables
            .into_iter()
            .map(|table| (table, of(self, table), of(found, table)))
            .filter(|(_, told, seen)| told != seen)
            .map(|(table, told, seen)| {
                format!(
                    "{table}: {} rows, {} when it was taken",
                    words(seen),
                    words(told)
                )
            })
            .collect()
    }
}

fn integrity(file: &Connection) -> rusqlite::Result<String> {
    let mut check = file.prepare("PRAGMA integrity_check")?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let lines: rusqlite::Result<Vec<String>> = lines.take(MOST_LINES).collect();
    Ok(lines?.join("; "))
}

fn rows(file: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    // Not virtual ones: their modules may be the app's; what they keep is in plain tables.
    let mut find = file.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main'
         AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let tables = find.query_map([], |row| row.get::<_, String>(0))?;
    let mut rows = BTreeMap::new();
    for table in tables {
        let table = table?;
        let quoted = table.replace('"', "\"\"");
        let sql = format!("SELECT count(*) FROM \"{quoted}\"");
        rows.insert(table, count(file, &sql)?);
    }
    Ok(rows)
}

fn count(file: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let count: i64 = file.query_row(sql, [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn schema(file: &Connection) -> rusqlite::Result<String> {
    let mut find = file.prepare(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name",
    )?;
    let mut hash = Sha256::new();
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let text: String = row.get(column)?;
            let words: Vec<&str> = text.split_whitespace().collect();
            hash.update(words.join(" "));
            hash.update([0]);
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests;
