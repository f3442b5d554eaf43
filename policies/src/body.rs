//! A JSON body that a rule reads, read so that nobody behind us reads it otherwise.
//!
//! The app's parser takes UTF-16, a BOM, `NaN` and duplicate keys (the last
//! wins), reads `true` and `1.9` as the client 1, and takes what does not parse
//! for `{}`. So a body that decides anything is strict JSON (RFC 8259): UTF-8,
//! no key twice (compared unescaped), nested no deeper than [`DEEPEST`], and the
//! client is an integer, a digit string or null. Whatever the `Content-Type`
//! says, since the app does not look at it.
//!
//! Not here: bodies that no rule reads; they pass as they are.

use crate::ids::{Named, Unreadable};
use crate::pointer::Pointer;
use crate::refusal::Refusal;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Levels of nesting at most.
pub const DEEPEST: usize = 64;

/// What a body says about the client, once for each place that says something;
/// nothing for an empty body.
///
/// Errors with [`Refusal::BodyMalformed`] for what is not one strict JSON object.
pub fn clients(body: &[u8], places: &[Pointer]) -> Result<Vec<Result<Named, Unreadable>>, Refusal> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    match strict(body) {
        Some(value @ Value::Object(_)) => Ok(places
            .iter()
            .flat_map(|place| place.find(&value).into_iter().map(named))
            .collect()),
        _ => Err(Refusal::BodyMalformed),
    }
}

/// One strict JSON object, an empty one where there is no body; `None` for anything else.
pub fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match strict(body) {
        Some(Value::Object(fields)) => Some(fields),
        None if body.is_empty() => Some(Map::new()),
        _ => None,
    }
}

/// One JSON value, and nothing that could be read as another.
pub(crate) fn strict(text: &[u8]) -> Option<Value> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(value)
}

/// An integer, a digit string or null.
fn named(value: &Value) -> Result<Named, Unreadable> {
    match value {
        Value::Null => Ok(Named::NoClient),
        Value::String(text) => Named::parse(text),
        Value::Number(number) if number.is_u64() => Named::parse(&number.to_string()),
        _ => Err(Unreadable),
    }
}

/// Reads one value, and refuses what two parsers could read in two ways.
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { depth })?;
            if members.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed(Strict { depth })? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

fn deeper<E: Error>(depth: usize) -> Result<usize, E> {
    match depth < DEEPEST {
        true => Ok(depth + 1),
        false => Err(E::custom("nested too deep")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClientId;
    use proptest::prelude::*;

    fn read(body: &[u8]) -> Result<Option<Result<Named, Unreadable>>, Refusal> {
        let found = clients(body, &[Pointer::parse("/client_id").unwrap()])?;
        Ok(found.into_iter().next())
    }

    #[test]
    fn a_client_is_an_integer_or_a_digit_string() {
        let ten = Ok(Some(Ok(Named::Client(ClientId::parse("10").unwrap()))));
        let none = Ok(Some(Ok(Named::NoClient)));
        let unreadable = Ok(Some(Err(Unreadable)));
        let cases = [
            (r#"{"client_id": 10}"#, ten),
            (r#" {"a": [{}], "client_id": "10", "b": 1.5} "#, ten),
            (r#"{"client\u005fid": 10}"#, ten),
            (r#"{"client_id": null}"#, none),
            (r#"{"client_id": 0}"#, none),
            (r#"{"client_id": ""}"#, none),
            (r#"{"a": {"client_id": 10}}"#, Ok(None)),
            (r#"{"Client_id": 10}"#, Ok(None)),
            ("{}", Ok(None)),
            ("", Ok(None)),
            // What the app would read as some client, and we do not read at all.
            (r#"{"client_id": true}"#, unreadable),
            (r#"{"client_id": 10.0}"#, unreadable),
            (r#"{"client_id": 1e1}"#, unreadable),
            (r#"{"client_id": -10}"#, unreadable),
            (r#"{"client_id": " 10"}"#, unreadable),
            (r#"{"client_id": "010"}"#, unreadable),
            (r#"{"client_id": [10]}"#, unreadable),
            (r#"{"client_id": {"a": 10}}"#, unreadable),
            (r#"{"client_id": 99999999999999999999}"#, unreadable),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn what_two_parsers_could_read_in_two_ways_is_refused() {
        let utf16: Vec<u8> =
            r#"{"client_id": 10}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let cases: Vec<Vec<u8>> = vec![
            br#"{"client_id": 10, "client_id": 11}"#.to_vec(),
            br#"{"client_id": 10, "client\u005fid": 11}"#.to_vec(),
            br#"{"a": {"b": 1, "b": 2}}"#.to_vec(),
            b"\xef\xbb\xbf{\"client_id\": 10}".to_vec(),
            utf16,
            br#"{"client_id": NaN}"#.to_vec(),
            br#"{"client_id": 10"#.to_vec(),
            br#"{"client_id": 10} x"#.to_vec(),
            br#"{"client_id": 10}{"client_id": 11}"#.to_vec(),
            br#"{"client_id": 10,}"#.to_vec(),
            br#"{'client_id': 10}"#.to_vec(),
            b"{\"client_id\": \"\xff\"}".to_vec(),
            br#"[{"client_id": 10}]"#.to_vec(),
            br#""client_id""#.to_vec(),
            b"client_id=10".to_vec(),
            b" ".to_vec(),
            format!("{{\"a\": {}}}", deep(DEEPEST)).into_bytes(),
        ];
        for body in cases {
            assert_eq!(
                read(&body),
                Err(Refusal::BodyMalformed),
                "{:?}",
                String::from_utf8_lossy(&body)
            );
        }
        let deepest = format!("{{\"a\": {}}}", deep(DEEPEST - 1));
        assert_eq!(read(deepest.as_bytes()), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_a_plain_parser_reads(body in "\\{(\"(client_id|a)\": ?(1[0-9]?|\"1\"|null|\\[\\])){0,1}(,\"(client_id|b)\":[1-9])?\\}") {
            if let Ok(named) = read(body.as_bytes()) {
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                prop_assert_eq!(named.is_some(), value.get("client_id").is_some());
                if let Some(Ok(Named::Client(id))) = named {
                    let text = value["client_id"].to_string();
                    prop_assert_eq!(text.trim_matches('"'), id.to_string());
                }
            }
        }
    }
}
