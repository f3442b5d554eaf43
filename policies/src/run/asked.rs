//! Which flow a request for a run names.
//!
//! The app takes `flow`, else `flow_json`, else the stored one of `flow_id` (contract,
//! section 5). What is decided on is forwarded as `flow` and under no other name, so
//! that nobody behind us can choose otherwise.

use crate::body::strict;
use serde_json::{Map, Value};

/// The flow that a body names.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    /// It holds it.
    Inline(Value),
    /// It holds none; a `flow_id` may name one.
    Nothing,
}

/// The flow that a body names. A text is read as strict JSON; one that is none stays a
/// text, which is no flow.
pub fn named(fields: &Map<String, Value>) -> Named {
    let is_there = |value: &&Value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    };
    let found = ["flow", "flow_json"]
        .iter()
        .find_map(|name| fields.get(*name).filter(is_there));
    match found {
        None => Named::Nothing,
        Some(Value::String(text)) => {
            let parsed = strict(text.as_bytes());
            Named::Inline(parsed.unwrap_or_else(|| Value::String(text.clone())))
        }
        Some(flow) => Named::Inline(flow.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_that_is_there_is_the_flow() {
        let inline = |flow: Value| Named::Inline(flow);
        let cases = [
            (json!({}), Named::Nothing),
            (json!({"flow_id": 3}), Named::Nothing),
            (json!({"flow": null, "flow_json": ""}), Named::Nothing),
            (
                json!({"flow": {"a": 1}, "flow_json": {"b": 2}}),
                inline(json!({"a": 1})),
            ),
            (
                json!({"flow": "", "flow_json": {"b": 2}}),
                inline(json!({"b": 2})),
            ),
            (
                json!({"flow_json": "{\"nodes\": []}"}),
                inline(json!({"nodes": []})),
            ),
            (
                json!({"flow_json": "{\"a\": 1, \"a\": 2}"}),
                inline(json!("{\"a\": 1, \"a\": 2}")),
            ),
            (json!({"flow": []}), inline(json!([]))),
            (json!({"flow": false}), inline(json!(false))),
        ];
        for (body, expected) in cases {
            let Value::Object(fields) = &body else {
                unreachable!()
            };
            assert_eq!(named(fields), expected, "{body}");
        }
    }
}
