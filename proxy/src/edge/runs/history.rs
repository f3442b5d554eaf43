//! What the app's history gains: what the ledger has of the runs in it.

use super::super::Sidecar;
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use camarad_policies::behind::{handle_like, is_handle, revealed};
use camarad_policies::ids::UserId;
use camarad_policies::matrix::Recorded;
use camarad_policies::run::annotate;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers in one answer that may be handles, at most.
const MOST_HANDLES: usize = 2000;

impl Sidecar {
    /// The answer with what the ledger has of its runs. A ledger that cannot be read says
    /// nothing: the history is the app's.
    pub(in super::super) async fn with_runs(&self, permit: &Permit, body: Bytes) -> Bytes {
        let (Some(recorded), Some(user)) = (permit.rule().recorded, permit.user()) else {
            return body;
        };
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            return body;
        };
        let mut answer = self.with_accounts(user, answer).await;
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
            if run.is_some_and(|run| run.is_withheld()) {
                // Its caller was not told either.
                withhold(row);
                row.insert("status".to_owned(), json!("error"));
            }
            annotate::history_row(row, run);
        }
        crate::json::to_body(&answer)
    }

    /// What the app keeps of runs, with the accounts that their handles stood for. A handle
    /// that nobody knows any more is nothing: it must not be taken for an account, and whose
    /// figures were read by it nobody can say, so they are not told.
    pub(super) async fn with_accounts(&self, user: UserId, kept: Value) -> Value {
        let all = handle_like(&kept, MOST_HANDLES);
        if all.is_empty() {
            return kept;
        }
        let known = self.runs.ledger.accounts_of(user, all).await;
        let known = known.unwrap_or_else(|error| {
            let _ = self.broken_ledger(&error);
            BTreeMap::new()
        });
        let named = named_as_accounts(&kept);
        let mut kept = kept;
        if named.iter().any(|id| !known.contains_key(id))
            && let Some(row) = kept.as_object_mut()
        {
            withhold(row);
        }
        let account = |id: &str| known.get(id).cloned();
        revealed(kept, &account)
    }
}

/// Takes everything off a run that figures may stand in.
fn withhold(row: &mut Map<String, Value>) {
    for name in ["results", "steps"] {
        row.insert(name.to_owned(), json!([]));
    }
}

/// What steps name as an account or a property, and has the form of a handle.
fn named_as_accounts(kept: &Value) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for result in kept["results"].as_array().into_iter().flatten() {
        for name in ["account_id", "property_id"] {
            let id = match &result["data"][name] {
                Value::Number(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            if is_handle(&id) {
                named.insert(id);
            }
        }
    }
    named
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
