//! Google Tag Manager (contract, section 4.3). Pure.
//!
//! The app makes these up and never asks Coolbits; what Coolbits is asked is our
//! assumption and stands in `tables/gateway.toml`. The contract names the lists
//! and few of their fields, so rows are kept whole; what a page would call a
//! method on is made sure of.

use super::mapping::{Answer, MapError, check_named, list, list_of, rows};
use super::params::Params;
use super::rows::Row;
use camarad_policies::endpoints::Endpoint;
use camarad_policies::operation::Operation;
use serde_json::{Map, Value, json};

pub(super) fn map(
    operation: Operation,
    endpoint: &Endpoint,
    payload: &Value,
    params: &Params,
) -> Result<Answer, MapError> {
    if operation == Operation::TagManagerContainers {
        return list_of("containers", endpoint, payload, container);
    }
    check_named(payload, &["containerId", "container_id"], &params.account)?;
    let rows = rows(endpoint, payload)?;
    let named = |rows: &[Row<'_>]| {
        let mapped = rows.iter().map(|row| row_of(row).map(Value::Object));
        mapped.collect::<Result<Vec<_>, _>>()
    };
    let mut answer = match operation {
        Operation::TagManagerOverview => overview(&rows[0])?,
        Operation::TagManagerPreview => {
            let mut preview = rows[0].whole();
            let status = rows[0]
                .text(&["status"])?
                .unwrap_or_else(|| "unknown".into());
            preview.insert("status".into(), json!(status));
            Answer::from_iter([("preview".to_owned(), Value::Object(preview))])
        }
        _ => list(operation.short(), named(&rows)?),
    };
    answer.insert("container_id".into(), json!(params.account));
    Ok(answer)
}

/// A row without an id is no container.
fn container(row: &Row<'_>) -> Result<Option<Value>, MapError> {
    let Some(id) = row.text(&["id", "containerId", "publicId", "container_id"])? else {
        return Ok(None);
    };
    let mut container = json!({
        "name": row.text(&["name"])?.unwrap_or_else(|| id.clone()),
        "type": row.text(&["type", "usageContext"])?.unwrap_or_else(|| "Web".to_owned()),
    });
    for (name, names) in [
        ("account_id", &["account_id", "accountId"][..]),
        ("domain", &["domain"][..]),
    ] {
        if let Some(text) = row.text(names)? {
            container[name] = json!(text);
        }
    }
    container["id"] = json!(id);
    Ok(Some(container))
}

/// Counts of what is in the container, and whatever else is given.
fn overview(row: &Row<'_>) -> Result<Answer, MapError> {
    let mut overview = row.whole();
    for name in [
        "tags",
        "triggers",
        "variables",
        "versions",
        "workspace_changes",
    ] {
        overview.insert(name.to_owned(), json!(row.count(&[name])?));
    }
    Ok(overview)
}

/// A tag, trigger, variable or version: named and of a type, in words.
fn row_of(row: &Row<'_>) -> Result<Map<String, Value>, MapError> {
    let mut found = row.whole();
    for name in ["name", "type"] {
        found.insert(
            name.to_owned(),
            json!(row.text(&[name])?.unwrap_or_default()),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::mapping::tests::mapped;
    use super::*;

    fn report(preset: &str, rows: Value) -> Value {
        json!({"containerId": "GTM-WX4R7N2", "data": {preset: {"rows": rows}}})
    }

    #[test]
    fn containers_have_what_the_selector_needs() {
        let payload = json!({"containers": [{"containerId": "GTM-1", "usageContext": "iOS", "accountId": 7}, {"name": "no id"}]});
        let answer = mapped(Operation::TagManagerContainers, payload, "").unwrap();
        let expected = json!({"containers": [{"id": "GTM-1", "name": "GTM-1", "type": "iOS", "account_id": "7"}]});
        assert_eq!(answer, expected);
    }

    #[test]
    fn lists_keep_their_rows_and_counts_are_numbers() {
        for (operation, preset) in [
            (Operation::TagManagerTags, "tags"),
            (Operation::TagManagerTriggers, "triggers"),
            (Operation::TagManagerVariables, "variables"),
            (Operation::TagManagerVersions, "versions"),
        ] {
            let answer = mapped(
                operation,
                report(preset, json!([{"id": 1, "name": "A", "fired": 2}])),
                "",
            )
            .unwrap();
            let expected = json!({preset: [{"id": 1, "name": "A", "type": "", "fired": 2}], "container_id": "GTM-WX4R7N2"});
            assert_eq!(answer, expected);
        }
        let overview = mapped(
            Operation::TagManagerOverview,
            report("overview", json!([{"tags": "9", "note": "kept"}])),
            "",
        )
        .unwrap();
        assert_eq!(
            (&overview["tags"], &overview["triggers"], &overview["note"]),
            (&json!(9), &json!(0), &json!("kept"))
        );
        let preview = mapped(
            Operation::TagManagerPreview,
            report("preview", json!([{"fired": 3}])),
            "",
        )
        .unwrap();
        assert_eq!(preview["preview"], json!({"fired": 3, "status": "unknown"}));
    }

    #[test]
    fn another_container_or_words_do_not_fit() {
        let other = mapped(
            Operation::TagManagerTags,
            report("tags", json!([{"name": "A"}])),
            "container_id=GTM-2",
        );
        assert!(matches!(other, Err(MapError::BadPayload(_))));
        let words = mapped(
            Operation::TagManagerOverview,
            report("overview", json!([{"tags": "many"}])),
            "",
        );
        assert!(matches!(words, Err(MapError::BadPayload(_))));
    }
}
