//! What the app's history gains: what the ledger has of the runs in it.

use super::super::Sidecar;
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use camarad_policies::behind::revealed;
use camarad_policies::matrix::Recorded;
use camarad_policies::run::annotate;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

impl Sidecar {
    /// The answer with what the ledger has of its runs. A ledger that cannot be read says
    /// nothing: the history is the app's.
    pub(in super::super) async fn with_runs(&self, permit: &Permit, body: Bytes) -> Bytes {
        let (Some(recorded), Some(user)) = (permit.rule().recorded, permit.user()) else {
            return body;
        };
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
            return body;
        };
        let rows: Vec<&mut Map<String, Value>> = match (&mut answer, recorded) {
            (Value::Array(rows), Recorded::List) => {
                rows.iter_mut().filter_map(Value::as_object_mut).collect()
            }
            (Value::Object(row), Recorded::One) => vec![row],
            _ => return body,
        };
        let named = rows.iter().filter_map(|row| key(row, permit)).collect();
        let found = self.runs.ledger.find_all(user, named).await;
        let found = found.unwrap_or_else(|error| {
            let _ = self.broken_ledger(&error);
            BTreeMap::new()
        });
        for row in rows {
            let run = key(row, permit).and_then(|key| found.get(&key));
            if let Some(handles) = run
                .and_then(|run| run.handles.as_object())
                .filter(|all| !all.is_empty())
            {
                let account =
                    |id: &str| Some(handles.get(id)?.as_str().unwrap_or_default().to_owned());
                let kept = std::mem::take(row);
                if let Value::Object(told) = revealed(Value::Object(kept), &account) {
                    *row = told;
                }
            }
            annotate::history_row(row, run);
        }
        crate::json::to_body(&answer)
    }
}

/// Client and id of a row; the decided client where the row does not say.
fn key(row: &Map<String, Value>, permit: &Permit) -> Option<(u64, u64)> {
    let decided = || permit.client().map(|client| client.get());
    let client = row
        .get("client_id")
        .and_then(Value::as_u64)
        .or_else(decided)?;
    Some((client, row.get("id")?.as_u64()?))
}
