//! What can be wrong inside an answer, whichever connector it is of. Pure; faults
//! of the line and of the status are the server's.

use super::super::faults::Fault;
use serde_json::{Map, Value, json};

/// The answer with this fault in it, and as it is with any other.
pub(super) fn spoil(mut answer: Value, fault: Fault) -> Value {
    match fault {
        Fault::EmptyRows => {
            for (name, value) in fields(&mut answer) {
                match name.as_str() {
                    "data" => fields(value).for_each(|(_, block)| empty(block)),
                    _ => empty(value),
                }
            }
            answer
        }
        Fault::TextInNumbers => {
            put_words(&mut answer);
            answer
        }
        Fault::ListData => {
            for key in ["properties", "containers"] {
                if answer.get(key).is_some() {
                    return json!({ key: {} });
                }
            }
            match answer.get("data") {
                Some(_) => json!({"data": []}),
                None => answer,
            }
        }
        _ => answer,
    }
}

/// A list loses its rows, a block that holds lists those of its lists, and any
/// other object all it has.
fn empty(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.clear(),
        Value::Object(block) if block.values().any(Value::is_array) => {
            block.values_mut().for_each(empty);
        }
        Value::Object(block) => block.clear(),
        _ => {}
    }
}

/// Counts are the whole numbers.
fn put_words(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => *value = json!("many"),
        Value::Array(rows) => rows.iter_mut().for_each(put_words),
        Value::Object(object) => object.values_mut().for_each(put_words),
        _ => {}
    }
}

fn fields(answer: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    answer.as_object_mut().into_iter().flat_map(Map::iter_mut)
}
