//! From a payload to the answer that the app's pages expect: one mapping module
//! per connector, all pure, and the embedded mock's payloads through the same.
//!
//! Whatever does not fit is [`MapError::BadPayload`], never a guess: the pages
//! call number methods on their figures, so a null or a word that slipped through
//! would break them.

use super::params::Params;
use super::rows::Row;
use super::{ga4, google_ads, search_console, stripe, tag_manager};
use camarad_policies::endpoints::Endpoint;
use camarad_policies::operation::{Connector, Operation};
use serde_json::{Map, Value};

/// The answer of an operation, without `source` and `gateway`.
pub(crate) type Answer = Map<String, Value>;

/// Why a payload gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MapError {
    /// It does not fit; the words say where, for the log.
    BadPayload(String),
    /// It fits and holds nothing.
    Empty,
}

/// Maps a payload of Coolbits, or of the mock, to the answer.
///
/// `generated_at` is RFC 3339 and only used by reports.
pub(crate) fn map(
    operation: Operation,
    endpoint: &Endpoint,
    payload: &Value,
    params: &Params,
    generated_at: &str,
) -> Result<Answer, MapError> {
    match operation.connector() {
        Connector::GoogleAds => google_ads::map(operation, payload, params, generated_at),
        Connector::Ga4 => ga4::map(operation, endpoint, payload, params),
        Connector::SearchConsole => search_console::map(operation, endpoint, payload, params),
        Connector::TagManager => tag_manager::map(operation, endpoint, payload, params),
        Connector::Stripe => stripe::map(endpoint, payload, params),
    }
}

/// The answer of the mock.
pub(crate) fn made_up(
    operation: Operation,
    endpoint: &Endpoint,
    params: &Params,
    generated_at: &str,
) -> Answer {
    let (to, days) = (params.window.to, params.window.days);
    let (what, id) = (operation.short(), params.account.as_str());
    let payload = match operation.connector() {
        Connector::GoogleAds => {
            camarad_mocks::google_ads::payload(operation, id, &params.campaign, to, days)
        }
        Connector::Ga4 => camarad_mocks::ga4::payload(what, id, to, days),
        Connector::SearchConsole => camarad_mocks::search_console::payload(what, id, to, days),
        Connector::TagManager => camarad_mocks::tag_manager::payload(what, id, to, days),
        Connector::Stripe => camarad_mocks::stripe::payload(what, id, to, days),
    };
    let answer = map(operation, endpoint, &payload, params, generated_at);
    answer.unwrap_or_else(|_| nothing(operation, params, generated_at))
}

/// The answer where there is nothing: empty lists, and sums of zero.
fn nothing(operation: Operation, params: &Params, generated_at: &str) -> Answer {
    match operation.connector() {
        Connector::GoogleAds => google_ads::nothing(operation, params, generated_at),
        // Their mock has figures for every id.
        _ => Answer::new(),
    }
}

/// Where an answer lists accounts, and under which name a row has its id.
pub(crate) fn listed(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::GoogleAdsAccounts => Some("accounts"),
        Operation::Ga4Properties | Operation::SearchConsoleProperties => Some("properties"),
        Operation::TagManagerContainers => Some("containers"),
        _ => None,
    }
}

/// The answer with only the accounts that may be seen; `None` when there is none.
pub(crate) fn keep(
    mut answer: Answer,
    list: &str,
    may_see: impl Fn(&str) -> bool,
) -> Option<Answer> {
    let rows = answer.get_mut(list)?.as_array_mut()?;
    rows.retain(|row| row["id"].as_str().is_some_and(&may_see));
    (!rows.is_empty()).then_some(answer)
}

/// The rows of a payload as the table says; a single object is one row.
///
/// Errors with [`MapError::Empty`] where there is none.
pub(super) fn rows<'a>(endpoint: &Endpoint, payload: &'a Value) -> Result<Vec<Row<'a>>, MapError> {
    check_is_object(payload)?;
    let at = endpoint.rows_at();
    let rows = match endpoint.rows(payload) {
        None => return Err(gap(payload, at)),
        Some(Value::Array(rows)) => rows.iter().map(Row::new).collect::<Result<Vec<_>, _>>()?,
        Some(Value::Object(row)) if row.is_empty() => Vec::new(),
        Some(row @ Value::Object(_)) => vec![Row::new(row)?],
        Some(_) => {
            let words = format!("{at} is neither a list nor an object");
            return Err(MapError::BadPayload(words));
        }
    };
    match rows.is_empty() {
        true => Err(MapError::Empty),
        false => Ok(rows),
    }
}

/// Nothing where the rows should be is no rows, unless something else stands on the way.
fn gap(payload: &Value, at: &str) -> MapError {
    let mut value = payload;
    for step in at.split('/').skip(1) {
        match value {
            Value::Object(members) => value = members.get(step).unwrap_or(&Value::Null),
            Value::Null => return MapError::Empty,
            _ => return MapError::BadPayload(format!("something else than an object above {at}")),
        }
    }
    MapError::Empty
}

fn check_is_object(payload: &Value) -> Result<(), MapError> {
    match payload.is_object() {
        true => Ok(()),
        false => Err(MapError::BadPayload("the payload is no object".into())),
    }
}

/// An answer that says of which property, site or container it is must name the one
/// that was asked for.
pub(super) fn check_named(payload: &Value, names: &[&str], asked: &str) -> Result<(), MapError> {
    let bare = |id: &str| {
        let id = id.trim().to_lowercase();
        let kind = id.strip_prefix("properties/").map(str::to_owned);
        kind.unwrap_or(id)
    };
    for place in [Some(payload), payload.get("data")].into_iter().flatten() {
        for name in names {
            let named = match place.get(name) {
                Some(Value::String(text)) => bare(text),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            if !named.is_empty() && named != bare(asked) {
                return Err(MapError::BadPayload(format!("{name} names another one")));
            }
        }
    }
    Ok(())
}

/// The answer with the list of accounts that the rows are; `None` of a row is no account.
pub(super) fn list_of(
    name: &str,
    endpoint: &Endpoint,
    payload: &Value,
    account: impl Fn(&Row<'_>) -> Result<Option<Value>, MapError>,
) -> Result<Answer, MapError> {
    let rows = rows(endpoint, payload)?;
    let accounts = rows.iter().filter_map(|row| account(row).transpose());
    match accounts.collect::<Result<Vec<_>, _>>()? {
        none if none.is_empty() => Err(MapError::Empty),
        accounts => Ok(list(name, accounts)),
    }
}

/// The answer with one list in it.
pub(super) fn list(name: &str, rows: Vec<Value>) -> Answer {
    Answer::from_iter([(name.to_owned(), Value::Array(rows))])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use camarad_policies::endpoints::Endpoints;
    use camarad_policies::query::Query;
    use serde_json::json;
    use std::sync::LazyLock;
    use time::macros::date;

    pub(in super::super) fn params(operation: Operation, query: &str) -> Params {
        let query = Query::parse(query.as_bytes()).unwrap();
        Params::read(operation, &query, date!(2026 - 11 - 24))
    }

    pub(in super::super) fn endpoint(operation: Operation) -> &'static Endpoint {
        static TABLE: LazyLock<Endpoints> = LazyLock::new(|| Endpoints::built_in().unwrap());
        TABLE.of(operation).unwrap()
    }

    pub(in super::super) fn mapped(
        operation: Operation,
        payload: Value,
        query: &str,
    ) -> Result<Value, MapError> {
        let params = params(operation, query);
        let answer = map(operation, endpoint(operation), &payload, &params, "");
        answer.map(Value::Object)
    }

    fn has_no_null(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(items) => items.iter().all(has_no_null),
            Value::Object(members) => members.values().all(has_no_null),
            _ => true,
        }
    }

    #[test]
    fn the_mock_has_an_answer_for_every_operation_and_every_id() {
        for operation in Operation::ALL {
            if *operation == Operation::Ga4Property {
                continue;
            }
            for query in ["", "property_id=x&container_id=x&days=3"] {
                let params = params(*operation, query);
                let answer = made_up(*operation, endpoint(*operation), &params, "now");
                assert!(!answer.is_empty(), "{} {query}", operation.name());
                let gaps = matches!(
                    operation,
                    // The contract's own nulls.
                    Operation::Ga4Events | Operation::Ga4Timeseries | Operation::Ga4Status
                ) || operation.connector() == Connector::GoogleAds;
                let answer = Value::Object(answer);
                assert!(
                    gaps || has_no_null(&answer),
                    "{} {answer}",
                    operation.name()
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_apart_from_nothing() {
        for operation in Operation::ALL {
            let reads_rows = !endpoint(*operation).rows_at().is_empty();
            if !reads_rows {
                continue;
            }
            let name = operation.name();
            for payload in [json!("x"), json!([]), json!(null)] {
                let outcome = mapped(*operation, payload, "");
                assert!(
                    matches!(outcome, Err(MapError::BadPayload(_))),
                    "{name}: {outcome:?}"
                );
            }
            assert_eq!(
                mapped(*operation, json!({}), ""),
                Err(MapError::Empty),
                "{name}"
            );
            if endpoint(*operation).rows_at().starts_with("/data/") {
                let list = mapped(*operation, json!({"data": []}), "");
                assert!(
                    matches!(list, Err(MapError::BadPayload(_))),
                    "{name}: {list:?}"
                );
            }
        }
    }
}
