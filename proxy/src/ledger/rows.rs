//! A row of the ledger as a [`Run`], and back.

use super::{LedgerError, time_text};
use camarad_policies::run::{Run, Source, Status};
use rusqlite::Row;
use serde_json::Value;

/// The columns of a whole run.
pub(super) const WHOLE: &str = "run_id, execution_id, trace_execution_id, user, client, flow_id, \
    flow_name, flow, request_hash, findings, sources, started_at, finished_at, status, replay_of, answer";

/// The same without what is large: for lists.
pub(super) const SHORT: &str = "run_id, execution_id, trace_execution_id, user, client, flow_id, \
    flow_name, 'null', request_hash, findings, sources, started_at, finished_at, status, replay_of, NULL";

/// The same with answers that are small enough to look at the steps of many.
pub(super) const STEPS: &str = "run_id, execution_id, trace_execution_id, user, client, flow_id, \
    flow_name, 'null', request_hash, findings, sources, started_at, finished_at, status, replay_of, \
    CASE WHEN octet_length(answer) <= 65536 THEN answer END";

/// Texts of a row that are JSON inside, not parsed yet.
pub(super) struct Raw {
    run: Run,
    flow: String,
    findings: String,
    sources: String,
    status: String,
    answer: Option<String>,
}

impl Raw {
    /// Reads a row of [`WHOLE`], [`SHORT`] or [`STEPS`].
    pub(super) fn read(row: &Row) -> rusqlite::Result<Self> {
        let number = |value: i64| value.unsigned_abs();
        Ok(Self {
            flow: row.get(7)?,
            findings: row.get(9)?,
            sources: row.get(10)?,
            status: row.get(13)?,
            answer: row.get(15)?,
            run: Run {
                run_id: row.get(0)?,
                execution_id: row.get::<_, Option<i64>>(1)?.map(number),
                trace_execution_id: row.get(2)?,
                user: number(row.get(3)?),
                client: number(row.get(4)?),
                flow_id: row.get::<_, Option<i64>>(5)?.map(number),
                flow_name: row.get(6)?,
                flow: Value::Null,
                request_hash: row.get(8)?,
                findings: Value::Null,
                sources: Vec::new(),
                started_at: time_text(row.get(11)?),
                finished_at: row.get::<_, Option<i64>>(12)?.map(time_text),
                status: Status::Error,
                replay_of: row.get(14)?,
                answer: None,
            },
        })
    }

    /// The run; a row that is not of this shape is an error, not half a run.
    pub(super) fn run(self) -> Result<Run, LedgerError> {
        let Self {
            mut run,
            flow,
            findings,
            sources,
            status,
            answer,
        } = self;
        let broken = |what| LedgerError::Row(run.run_id.clone(), what);
        let json = |text: &str, what| serde_json::from_str(text).map_err(|_| broken(what));
        let flow = json(&flow, "its flow is no JSON")?;
        let findings = json(&findings, "its findings are no JSON")?;
        let sources: Value = json(&sources, "its sources are no JSON")?;
        let sources = read_sources(&sources).ok_or_else(|| broken("its sources are none"))?;
        let status = Status::parse(&status).ok_or_else(|| broken("its status is none"))?;
        // An answer that is no JSON was kept as it came, and tells no steps.
        run.answer = answer.and_then(|text| serde_json::from_str(&text).ok());
        (run.flow, run.findings, run.sources, run.status) = (flow, findings, sources, status);
        Ok(run)
    }
}

fn read_sources(rows: &Value) -> Option<Vec<Source>> {
    let text = |row: &Value, name: &str| Some(row.get(name)?.as_str()?.to_owned());
    let one = |row: &Value| {
        Some(Source {
            node_id: text(row, "node_id")?,
            connector: text(row, "connector")?,
            source: text(row, "source")?,
            account: text(row, "account"),
            gateway: row.get("gateway").cloned().filter(Value::is_object),
        })
    };
    rows.as_array()?.iter().map(one).collect()
}
