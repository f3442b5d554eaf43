//! Reading loosely written rows strictly: which key, which type, and no third way.

use super::mapping::MapError;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One row of a report.
pub(super) struct Row<'a>(&'a Map<String, Value>);

impl<'a> Row<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, MapError> {
        match value {
            Value::Object(row) => Ok(Self(row)),
            other => Err(bad(format!("a row is {}", kind(other)))),
        }
    }

    /// The first of these keys that holds something.
    fn first(&self, keys: &[&str]) -> Option<(&'a str, &'a Value)> {
        keys.iter().find_map(|key| {
            let (key, value) = self.0.get_key_value(*key)?;
            (!value.is_null()).then_some((key.as_str(), value))
        })
    }

    /// A count: an integer, a fraction cut off, or a text of digits; absent is 0.
    pub(super) fn count(&self, keys: &[&str]) -> Result<i64, MapError> {
        let Some((key, value)) = self.first(keys) else {
            return Ok(0);
        };
        let count = match value {
            Value::Number(number) => number
                .as_i64()
                .or_else(|| number.as_f64().filter(|f| f.abs() < 9e15).map(|f| f as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        count.ok_or_else(|| bad(format!("{key} is {}, expected a count", kind(value))))
    }

    /// A figure: a number or a text of one; absent is `None`.
    pub(super) fn figure(&self, keys: &[&str]) -> Result<Option<f64>, MapError> {
        let Some((key, value)) = self.first(keys) else {
            return Ok(None);
        };
        let figure = match value {
            Value::Number(number) => number.as_f64(),
            // `inf` and `nan` are numbers to the parser but not to anybody else.
            Value::String(text) if text.bytes().any(|b| b.is_ascii_digit()) => {
                text.trim().parse().ok()
            }
            _ => None,
        };
        figure
            .filter(|f: &f64| f.is_finite())
            .map(Some)
            .ok_or_else(|| bad(format!("{key} is {}, expected a number", kind(value))))
    }

    /// A text, or a number written as one; absent and empty are `None`.
    pub(super) fn text(&self, keys: &[&str]) -> Result<Option<String>, MapError> {
        match self.first(keys) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok((!text.is_empty()).then(|| text.clone())),
            Some((_, Value::Number(number))) => Ok(Some(number.to_string())),
            Some((key, other)) => Err(bad(format!("{key} is {}, expected a text", kind(other)))),
        }
    }

    /// A figure or a text, as it is given, for what is only shown; absent is `None`.
    pub(super) fn shown(&self, keys: &[&str]) -> Result<Option<Value>, MapError> {
        match self.first(keys) {
            None => Ok(None),
            Some((_, value @ (Value::Number(_) | Value::String(_)))) => Ok(Some(value.clone())),
            Some((key, other)) => Err(bad(format!(
                "{key} is {}, expected a number or a text",
                kind(other)
            ))),
        }
    }

    /// The row that stands under a key; absent is `None`.
    pub(super) fn inner(&self, key: &str) -> Result<Option<Row<'a>>, MapError> {
        let inner = self.first(&[key]).map(|(_, value)| Row::new(value));
        inner.transpose()
    }

    /// Everything in it.
    pub(super) fn whole(&self) -> Map<String, Value> {
        self.0.clone()
    }

    /// Whether one of these keys says yes.
    pub(super) fn flag(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| match self.0.get(*key) {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "1",
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        })
    }
}

/// The rows of a payload, and the object they came in when that is kept whole.
pub(super) struct Found<'a> {
    rows: &'a [Value],
    /// The payload's other keys; `None` when only the rows are meant.
    whole: Option<&'a Map<String, Value>>,
}

/// The figures of a row, and the row itself where it is kept whole.
pub(super) struct Mapped<T> {
    pub(super) figures: T,
    row: Map<String, Value>,
}

impl Found<'_> {
    /// Maps every row; those that are none of ours (`None`) are dropped.
    pub(super) fn map<T>(
        &self,
        figures: impl Fn(&Row<'_>) -> Result<Option<T>, MapError>,
    ) -> Result<Vec<Mapped<T>>, MapError> {
        let mut mapped = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let row = Row::new(row)?;
            if let Some(figures) = figures(&row)? {
                // Lists in the app's own shape are handed on whole, with every figure made sure of.
                let row = self.whole.map(|_| row.0.clone()).unwrap_or_default();
                mapped.push(Mapped { figures, row });
            }
        }
        Ok(mapped)
    }

    /// The keys beside the rows, where the payload is kept whole.
    pub(super) fn whole(&self) -> Map<String, Value> {
        self.whole.cloned().unwrap_or_default()
    }
}

impl<T: Serialize> Mapped<T> {
    pub(super) fn into_value(self) -> Value {
        let mut row = self.row;
        if let Value::Object(figures) = json!(self.figures) {
            row.extend(figures);
        }
        Value::Object(row)
    }
}

/// Looks for rows: at `path`, else in a list under `own` (the payload is then
/// kept whole), else in a list under one of `others`, else the payload itself.
pub(super) fn find<'a>(
    payload: &'a Value,
    path: [&str; 3],
    own: &str,
    others: &[&str],
) -> Result<Found<'a>, MapError> {
    let object = match payload {
        Value::Array(rows) => return Ok(Found { rows, whole: None }),
        Value::Object(object) => object,
        other => return Err(bad(format!("the payload is {}", kind(other)))),
    };
    let mut at = payload;
    for (depth, key) in path.iter().enumerate() {
        at = match at {
            Value::Object(inner) => inner.get(*key).unwrap_or(&Value::Null),
            Value::Null => &Value::Null,
            other => {
                let place = path[..depth].join(".");
                return Err(bad(format!(
                    "{place} is {}, expected an object",
                    kind(other)
                )));
            }
        };
    }
    match at {
        Value::Null => {}
        Value::Array(rows) => return Ok(Found { rows, whole: None }),
        other => return Err(bad(format!("{} is {}", path.join("."), kind(other)))),
    }
    if let Some(Value::Array(rows)) = object.get(own) {
        return Ok(Found {
            rows,
            whole: Some(object),
        });
    }
    let list = others.iter().find_map(|key| object.get(*key)?.as_array());
    Ok(Found {
        rows: list.map_or(&[], Vec::as_slice),
        whole: None,
    })
}

/// An answer that names an account must name the one that was asked for.
///
/// Coolbits answers for the customer selected last; if another selection came
/// in between, this is where it shows.
pub(super) fn check_account(payload: &Value, asked: &str) -> Result<(), MapError> {
    const KEYS: [&str; 5] = [
        "customerId",
        "customer_id",
        "accountId",
        "account_id",
        "cid",
    ];
    let asked = digits(asked);
    for place in [Some(payload), payload.get("data")].into_iter().flatten() {
        for key in KEYS {
            let named = match place.get(key) {
                Some(Value::String(text)) => digits(text),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            if !named.is_empty() && named != asked {
                return Err(bad(format!("{key} names another account")));
            }
        }
    }
    Ok(())
}

pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `123-456-7890` for ten digits.
pub(super) fn dashed(digits: &str) -> String {
    match digits.len() {
        10 => format!("{}-{}-{}", &digits[..3], &digits[3..6], &digits[6..]),
        _ => digits.to_owned(),
    }
}

/// A quotient that is always a number.
pub(super) fn ratio(dividend: f64, divisor: f64) -> f64 {
    let quotient = dividend / divisor;
    match quotient.is_finite() {
        true => quotient,
        false => 0.0,
    }
}

pub(super) fn round(figure: f64, places: i32) -> f64 {
    let scale = 10f64.powi(places);
    let rounded = (figure * scale).round() / scale;
    match rounded.is_finite() {
        true => rounded,
        false => figure,
    }
}

pub(super) fn bad(words: String) -> MapError {
    MapError::BadPayload(words)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn digit_strings_are_numbers_and_fractions_are_cut_off() {
        let value = json!({"a": "12", "b": 12.9, "c": -3, "d": null, "e": "7.5", "f": 1e300});
        let row = Row::new(&value).unwrap();
        assert_eq!(row.count(&["a"]), Ok(12));
        assert_eq!(row.count(&["b"]), Ok(12));
        assert_eq!(row.count(&["c"]), Ok(-3));
        assert_eq!(row.count(&["d"]), Ok(0));
        assert_eq!(row.count(&["d", "a"]), Ok(12));
        assert_eq!(row.figure(&["e"]), Ok(Some(7.5)));
        assert!(row.count(&["e"]).is_err());
        assert!(row.count(&["f"]).is_err());
    }

    proptest! {
        #[test]
        fn a_figure_is_always_a_number(dividend in proptest::num::f64::ANY, divisor in proptest::num::f64::ANY) {
            prop_assert!(ratio(dividend, divisor).is_finite());
        }
    }
}
