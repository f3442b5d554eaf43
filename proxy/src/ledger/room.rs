//! Room in the ledger: what goes before another run is written.
//!
//! By age, by count of a client, by bytes of a user; and where the file is as large as it
//! may be, of whoever holds most. Nobody can push out another tenant's runs, save one who
//! holds more. What still runs is never touched.

use super::write::NewRun;
use super::{LedgerError, Retention};
use camarad_policies::idempotency;
use rusqlite::{Connection, Transaction, params};

/// No run is under way for so long, in milliseconds.
const LONGEST_RUN_MS: i64 = 60 * 60 * 1000;
/// How many times as long as runs their handles are kept.
const KEPT_LONGER: i64 = 4;
/// Times that room is made for one write.
const MOST_EVICTIONS: usize = 8;

/// Makes room by age, count and size before another run is written. What still runs
/// stays, and what a key may ask for again stays for its day where only the count is over.
pub(super) fn prune(
    change: &Transaction,
    run: &NewRun,
    retention: Retention,
) -> rusqlite::Result<()> {
    let (user, now) = (run.user.get() as i64, run.started_ms);
    // No run takes so long: its end was not written.
    change
        .prepare_cached(
            "UPDATE runs SET status = 'interrupted', finished_at = ?1
             WHERE status = 'running' AND started_at < ?2",
        )?
        .execute([now, now - LONGEST_RUN_MS])?;
    change
        .prepare_cached("DELETE FROM runs WHERE started_at < ?1 AND status <> 'running'")?
        .execute([now - retention.age_ms])?;
    // The app may keep its history longer; what is left over there is blanked.
    change
        .prepare_cached("DELETE FROM handles WHERE made_at < ?1")?
        .execute([now - KEPT_LONGER * retention.age_ms])?;
    // One client's runs make room for its own only: nobody can push out another's.
    change
        .prepare_cached(
            "DELETE FROM runs WHERE user = ?1 AND client = ?2 AND status <> 'running'
             AND (once IS NULL OR started_at <= ?4) AND run_id IN (
                SELECT run_id FROM runs WHERE user = ?1 AND client = ?2
                ORDER BY started_at DESC, run_id DESC LIMIT -1 OFFSET ?3)",
        )?
        .execute(params![
            user,
            run.client.get() as i64,
            retention.runs_per_client.saturating_sub(1),
            now - idempotency::LIFE * 1000,
        ])?;
    // However many clients a user makes, they share this.
    change
        .prepare_cached(
            "DELETE FROM runs WHERE status <> 'running' AND run_id IN (
                SELECT run_id FROM (
                    SELECT run_id, sum(size) OVER (ORDER BY started_at DESC, run_id DESC) AS total
                    FROM runs WHERE user = ?1)
                WHERE total > ?2)",
        )?
        .execute(params![user, retention.user_bytes as i64])?;
    Ok(())
}

/// Writes; where the file is as large as it may be, room is made and it is tried again. A
/// disk that is full, or what is itself too large, is an error and costs nobody a run.
pub(super) fn with_room<T>(
    file: &mut Connection,
    most: u64,
    size: usize,
    write: impl Fn(&mut Connection) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let fits = (size as u64) < most / 4;
    for _ in 0..MOST_EVICTIONS {
        match write(file) {
            // It was rolled back, whatever it had done.
            Err(LedgerError::Sqlite(error)) if fits && is_full(&error) => {
                if !is_at_limit(file)? || !evict(file)? {
                    return Err(error.into());
                }
            }
            outcome => return outcome,
        }
    }
    write(file)
}

/// The file, or the disk, took no more.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// Whether it is our own bound that is reached, and not the disk's.
fn is_at_limit(file: &Connection) -> rusqlite::Result<bool> {
    let number = |name| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (used, most) = (number("page_count")?, number("max_page_count")?);
    Ok(used * 10 >= most * 8)
}

/// Takes out the oldest tenth of the runs of whoever holds most; false where there is none.
fn evict(file: &Connection) -> rusqlite::Result<bool> {
    let gone = file.execute(
        "DELETE FROM runs WHERE run_id IN (
            SELECT run_id FROM runs WHERE status <> 'running' AND user = (
                SELECT user FROM runs WHERE status <> 'running'
                GROUP BY user ORDER BY sum(size) DESC LIMIT 1)
            ORDER BY started_at, run_id
            LIMIT max(1, (SELECT count(*) FROM runs) / 10))",
        [],
    )?;
    Ok(gone > 0)
}
