//! What the sidecar writes and asks while it serves.

use super::room::{prune, with_room};
use super::rows::{Raw, SHORT, WHOLE};
use super::{Delivered, Ledger, LedgerError, Retention, lock};
use camarad_policies::idempotency::{self, Earlier};
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::run::annotate::sources_json;
use camarad_policies::run::{Run, Source, Status};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Runs that are looked up at once.
const PART: usize = 200;
/// Bytes of a name that is remembered.
const LONGEST_NAME: usize = 64;
/// Metrics of one connector that are remembered at most.
const MOST_METRICS: usize = 200;

/// A run that is about to be forwarded, or was blocked.
#[derive(Clone, Debug)]
pub(crate) struct NewRun {
    pub(crate) run_id: String,
    pub(crate) user: UserId,
    pub(crate) client: ClientId,
    pub(crate) flow_id: Option<u64>,
    pub(crate) flow_name: String,
    pub(crate) flow: Value,
    pub(crate) request_hash: String,
    pub(crate) findings: Value,
    pub(crate) replay_of: Option<String>,
    pub(crate) started_ms: i64,
    /// What the app is given in place of accounts, and what that stands for.
    pub(crate) handles: BTreeMap<String, String>,
    /// The digest of its `Idempotency-Key`.
    pub(crate) once: Option<[u8; 32]>,
}

/// What a run was answered.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) status: Status,
    pub(crate) execution_id: Option<u64>,
    pub(crate) trace_execution_id: Option<String>,
    pub(crate) sources: Vec<Source>,
    /// The app's answer as it came.
    pub(crate) answer: Option<String>,
    /// What the caller was answered, status and body; `None` where it was no answer of the app's.
    pub(crate) answered: Option<(u16, String)>,
    pub(crate) finished_ms: i64,
}

/// Runs by client and the app's id.
pub(crate) type Found = BTreeMap<(u64, u64), Run>;

/// A request with an `Idempotency-Key`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Once<'a> {
    pub(crate) digest: [u8; 32],
    pub(crate) request_hash: &'a str,
}

/// What an earlier request with the same key leaves to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// There was none, or it was too long ago.
    Go,
    /// The same answer again: status and body.
    Again(u16, String),
    /// The key was used for another body.
    OtherBody,
    /// It is still being answered.
    InProgress,
    /// What became of it is not known.
    Lost,
}

/// Whether a run may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is written.
    Written,
    /// Another one with the same key came first.
    Past(Past),
}

impl Ledger {
    /// What an earlier request with the same key leaves to do.
    pub(crate) async fn past(&self, once: Once<'_>, now_ms: i64) -> Result<Past, LedgerError> {
        let (digest, hash) = (once.digest, once.request_hash.to_owned());
        self.with(move |file, _| past(file, &digest, &hash, now_ms))
            .await
    }

    /// Writes a run before it is forwarded. `blocked`: it is not going to be, and this
    /// was the answer.
    pub(crate) async fn begin(
        &self,
        run: NewRun,
        blocked: Option<(u16, String)>,
    ) -> Result<Begun, LedgerError> {
        self.with(move |file, retention| {
            let size = run.flow.to_string().len();
            with_room(file, retention.bytes, size, |file| {
                begin(file, &run, blocked.as_ref(), retention)
            })
        })
        .await
    }

    /// Writes what a run was answered.
    pub(crate) async fn complete(
        &self,
        run_id: String,
        done: Completion,
    ) -> Result<(), LedgerError> {
        self.with(move |file, retention| {
            let size = done.answer.as_ref().map_or(0, String::len);
            with_room(file, retention.bytes, size, |file| {
                update(file, &run_id, &done)
            })
        })
        .await
    }

    /// The run that the app's history calls so: the latest, since ids are given out again.
    pub(crate) async fn find(
        &self,
        user: UserId,
        client: ClientId,
        execution_id: u64,
    ) -> Result<Option<Run>, LedgerError> {
        self.with(move |file, _| {
            let sql = format!(
                "SELECT {WHOLE} FROM runs WHERE user = ?1 AND client = ?2 AND execution_id = ?3
                 ORDER BY started_at DESC, run_id DESC LIMIT 1"
            );
            let key = params![user.get() as i64, client.get() as i64, execution_id as i64];
            let mut find = file.prepare_cached(&sql)?;
            let raw = find.query_row(key, Raw::read).optional()?;
            raw.map(Raw::run).transpose()
        })
        .await
    }

    /// The same for many of one user's, by client and the app's id; without flows and
    /// answers. In parts, so that a long list keeps nobody's run waiting.
    pub(crate) async fn find_all(
        &self,
        user: UserId,
        named: Vec<(u64, u64)>,
    ) -> Result<Found, LedgerError> {
        let mut found = Found::new();
        for part in named.chunks(PART) {
            let part = part.to_vec();
            let more = self.with(move |file, _| find_part(file, user, &part));
            found.extend(more.await?);
        }
        Ok(found)
    }

    /// Nothing was run: its key is free again.
    pub(crate) async fn release(&self, run_id: String) -> Result<(), LedgerError> {
        self.with(move |file, _| {
            file.execute("UPDATE runs SET once = NULL WHERE run_id = ?1", [run_id])?;
            Ok(())
        })
        .await
    }

    /// The app's ids are about to be given out again, of a client or of everything of a
    /// user's: nothing of the old ones is found by them any more.
    pub(crate) async fn forget(
        &self,
        user: UserId,
        client: Option<ClientId>,
    ) -> Result<(), LedgerError> {
        self.with(move |file, _| {
            file.execute(
                "DELETE FROM handles WHERE user = ?1 AND (?2 IS NULL OR client = ?2)",
                params![user.get() as i64, client.map(|client| client.get() as i64)],
            )?;
            file.execute(
                "UPDATE runs SET execution_id = NULL, once = NULL
                 WHERE user = ?1 AND (?2 IS NULL OR client = ?2)",
                params![user.get() as i64, client.map(|client| client.get() as i64)],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets what handles stood for: what was read by them is nobody's to see.
    pub(crate) async fn forget_handles(&self, handles: Vec<String>) -> Result<(), LedgerError> {
        self.with(move |file, _| {
            let mut forget = file.prepare_cached("DELETE FROM handles WHERE handle = ?1")?;
            for handle in handles {
                forget.execute([handle])?;
            }
            Ok(())
        })
        .await
    }

    /// What handles of a user's runs stood for, as far as that is known.
    pub(crate) async fn accounts_of(
        &self,
        user: UserId,
        handles: BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, LedgerError> {
        if handles.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.with(move |file, _| {
            let sql = "SELECT account FROM handles WHERE handle = ?1 AND user = ?2";
            let mut find = file.prepare_cached(sql)?;
            let mut accounts = BTreeMap::new();
            for handle in handles {
                let key = params![handle, user.get() as i64];
                let account = find.query_row(key, |row| row.get(0)).optional()?;
                accounts.extend(account.map(|account| (handle, account)));
            }
            Ok(accounts)
        })
        .await
    }

    /// The metrics that connectors were seen to deliver.
    pub(crate) fn delivered(&self) -> Delivered {
        lock(&self.0.delivered).clone()
    }

    /// Remembers which metrics connectors delivered.
    pub(crate) async fn learn(&self, seen: Delivered) -> Result<(), LedgerError> {
        let mut new = Vec::new();
        {
            let mut known = lock(&self.0.delivered);
            for (connector, metrics) in seen {
                if metrics.is_empty() || connector.len() > LONGEST_NAME {
                    continue;
                }
                let known = known.entry(connector.clone()).or_default();
                for metric in metrics {
                    let fits = known.len() < MOST_METRICS && metric.len() <= LONGEST_NAME;
                    if fits && known.insert(metric.clone()) {
                        new.push((connector.clone(), metric));
                    }
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.with(move |file, _| {
            let change = file.transaction()?;
            for (connector, metric) in new {
                change
                    .prepare_cached("INSERT OR IGNORE INTO delivered VALUES (?1, ?2)")?
                    .execute([connector, metric])?;
            }
            Ok(change.commit()?)
        })
        .await
    }

    /// Breaks the file for as long as it is open, as a disk that became read-only does.
    #[cfg(test)]
    pub(super) async fn make_read_only(&self) -> Result<(), LedgerError> {
        self.with(|file, _| Ok(file.pragma_update(None, "query_only", true)?))
            .await
    }
}

fn find_part(file: &Connection, user: UserId, named: &[(u64, u64)]) -> Result<Found, LedgerError> {
    let sql = format!(
        "SELECT {SHORT} FROM runs WHERE user = ?1 AND client = ?2 AND execution_id = ?3
         ORDER BY started_at DESC, run_id DESC LIMIT 1"
    );
    let mut find = file.prepare_cached(&sql)?;
    let mut found = Found::new();
    for (client, execution) in named {
        let key = params![user.get() as i64, *client as i64, *execution as i64];
        if let Some(raw) = find.query_row(key, Raw::read).optional()? {
            found.insert((*client, *execution), raw.run()?);
        }
    }
    Ok(found)
}

fn past(
    file: &Connection,
    digest: &[u8; 32],
    request_hash: &str,
    now_ms: i64,
) -> Result<Past, LedgerError> {
    let mut find = file.prepare_cached(
        "SELECT request_hash, started_at, status, answered_status, answered FROM runs WHERE once = ?1",
    )?;
    type Row = (String, i64, String, Option<u16>, Option<String>);
    let found: Option<Row> = find
        .query_row([digest], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    let Some((body_hash, started, status, answered_status, answered)) = found else {
        return Ok(Past::Go);
    };
    let answer = answered_status.zip(answered);
    let earlier = Earlier {
        body_hash,
        started_seconds: started / 1000,
        status: Status::parse(&status).unwrap_or(Status::Interrupted),
        has_answer: answer.is_some(),
    };
    let decision = idempotency::decide(Some(&earlier), request_hash, now_ms / 1000);
    Ok(match (decision, answer) {
        (idempotency::Decision::Go, _) => Past::Go,
        (idempotency::Decision::Again, Some((status, body))) => Past::Again(status, body),
        (idempotency::Decision::OtherBody, _) => Past::OtherBody,
        (idempotency::Decision::InProgress, _) => Past::InProgress,
        (idempotency::Decision::Again | idempotency::Decision::Lost, _) => Past::Lost,
    })
}

fn begin(
    file: &mut Connection,
    run: &NewRun,
    blocked: Option<&(u16, String)>,
    retention: Retention,
) -> Result<Begun, LedgerError> {
    let change = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(digest) = &run.once {
        match past(&change, digest, &run.request_hash, run.started_ms)? {
            Past::Go => {}
            past => return Ok(Begun::Past(past)),
        }
        // Too long ago to count: the key is free again.
        change.execute("UPDATE runs SET once = NULL WHERE once = ?1", [digest])?;
    }
    prune(&change, run, retention)?;
    insert(&change, run, blocked)?;
    change.commit()?;
    Ok(Begun::Written)
}

fn update(file: &Connection, run_id: &str, done: &Completion) -> Result<(), LedgerError> {
    let sql = "UPDATE runs SET status = ?2, execution_id = ?3, trace_execution_id = ?4,
        sources = ?5, answer = ?6, finished_at = ?7,
        size = size + length(coalesce(?6, '')),
        answered_status = CASE WHEN once IS NULL THEN NULL ELSE ?8 END,
        answered = CASE WHEN once IS NULL THEN NULL ELSE ?9 END
        WHERE run_id = ?1";
    file.prepare_cached(sql)?.execute(params![
        run_id,
        done.status.as_str(),
        done.execution_id.map(|id| id as i64),
        done.trace_execution_id,
        sources_json(&done.sources).to_string(),
        done.answer,
        done.finished_ms,
        done.answered.as_ref().map(|(status, _)| status),
        done.answered.as_ref().map(|(_, body)| body),
    ])?;
    Ok(())
}

fn insert(
    change: &Transaction,
    run: &NewRun,
    blocked: Option<&(u16, String)>,
) -> rusqlite::Result<()> {
    let status = match blocked {
        Some(_) => Status::Blocked,
        None => Status::Running,
    };
    let mut insert = change.prepare_cached(
        "INSERT INTO runs (run_id, user, client, flow_id, flow_name, flow, request_hash, findings,
            sources, started_at, finished_at, status, replay_of, once, answered_status, answered, size)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '[]', ?9, ?10, ?11, ?12, ?13, ?14, ?15,
            length(?6) + length(?8) + length(coalesce(?15, '')))",
    )?;
    let kept = blocked.filter(|_| run.once.is_some());
    insert.execute(params![
        run.run_id,
        run.user.get() as i64,
        run.client.get() as i64,
        run.flow_id.map(|id| id as i64),
        run.flow_name,
        run.flow.to_string(),
        run.request_hash,
        run.findings.to_string(),
        run.started_ms,
        blocked.map(|_| run.started_ms),
        status.as_str(),
        run.replay_of,
        run.once,
        kept.map(|(status, _)| status),
        kept.map(|(_, body)| body),
    ])?;
    let mut insert = change.prepare_cached(
        "INSERT INTO handles (handle, user, client, account, made_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let (user, client) = (run.user.get() as i64, run.client.get() as i64);
    for (handle, account) in &run.handles {
        insert.execute(params![handle, user, client, account, run.started_ms])?;
    }
    Ok(())
}
