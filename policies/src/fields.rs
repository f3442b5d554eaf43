//! The fields of a request body that a rule reads and sets: a strict JSON object,
//! or a form where the matrix says that the route reads forms.
//!
//! What was read is what is forwarded: the body is written again from what was
//! read here, with the decided values in it, so that a server which reads bodies
//! more leniently cannot find another value. The app parses JSON whatever the
//! content type says, so no byte of a form goes on as it came: one that is JSON
//! around its pairs would name another object. Not here: what the values mean.

use crate::body::strict;
use crate::ids::{ObjectId, Unreadable};
use crate::query::Query;
use crate::refusal::Refusal;
use serde_json::{Map, Value};

/// A body's fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Fields {
    /// A JSON object.
    Json(Map<String, Value>),
    /// `application/x-www-form-urlencoded`.
    Form(Query),
}

impl Fields {
    /// Reads a body; an empty one is an object without fields.
    ///
    /// Errors with [`Refusal::BodyMalformed`]: not one strict JSON object, or a
    /// form (`content_type` says so) where none is read or which cannot be read.
    pub fn read(body: &[u8], content_type: Option<&str>, forms: bool) -> Result<Self, Refusal> {
        let media = content_type.unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if forms && media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let looks_like_json = body
                .trim_ascii_start()
                .first()
                .is_some_and(|first| b"{[\"".contains(first));
            return match Query::parse(body) {
                Ok(form) if !looks_like_json => Ok(Self::Form(form)),
                _ => Err(Refusal::BodyMalformed),
            };
        }
        if body.is_empty() {
            return Ok(Self::Json(Map::new()));
        }
        match strict(body) {
            Some(Value::Object(fields)) => Ok(Self::Json(fields)),
            _ => Err(Refusal::BodyMalformed),
        }
    }

    /// What the field names: nothing (`None`), no object (`Some(None)`), or an object.
    ///
    /// Errors where it stands twice, or is neither an id nor a word for none.
    pub fn object(&self, name: &str) -> Result<Option<Option<ObjectId>>, Unreadable> {
        match self {
            Self::Json(fields) => match fields.get(name) {
                None => Ok(None),
                Some(Value::Null) => Ok(Some(None)),
                Some(Value::String(text)) => ObjectId::named(text).map(Some),
                Some(Value::Number(number)) if number.is_u64() => {
                    ObjectId::named(&number.to_string()).map(Some)
                }
                Some(_) => Err(Unreadable),
            },
            Self::Form(form) => {
                let names = [name];
                let mut values = form.values(&names);
                let first = values.next();
                match values.next() {
                    Some(_) => Err(Unreadable),
                    None => first.map(ObjectId::named).transpose(),
                }
            }
        }
    }

    /// The text of a field, a number's digits too; `None` where there is none or it is empty.
    ///
    /// Errors with [`Refusal::BodyMalformed`] for anything else.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let text = match self {
            Self::Json(fields) => match fields.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(_) => return Err(Refusal::BodyMalformed),
            },
            Self::Form(form) => form.get(name).map(str::to_owned),
        };
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Every text and number that stands under one of the names, however deep.
    pub fn texts(&self, names: &[&str]) -> Vec<String> {
        fn collect(value: &Value, names: &[&str], named: bool, into: &mut Vec<String>) {
            match value {
                Value::String(text) if named => into.push(text.clone()),
                Value::Number(number) if named => into.push(number.to_string()),
                Value::Array(elements) => {
                    for one in elements {
                        collect(one, names, named, into);
                    }
                }
                Value::Object(members) => {
                    for (name, one) in members {
                        collect(one, names, names.contains(&name.as_str()), into);
                    }
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        match self {
            Self::Json(fields) => {
                for (name, value) in fields {
                    collect(value, names, names.contains(&name.as_str()), &mut found);
                }
            }
            Self::Form(form) => found.extend(form.values(names).map(str::to_owned)),
        }
        found
    }

    /// Names the object, and no other.
    pub fn set_object(&mut self, name: &str, id: ObjectId) {
        match self {
            Self::Json(fields) => drop(fields.insert(name.to_owned(), id.get().into())),
            Self::Form(_) => self.set_text(name, &id.to_string()),
        }
    }

    /// Sets a field.
    pub fn set_text(&mut self, name: &str, text: &str) {
        match self {
            Self::Json(fields) => drop(fields.insert(name.to_owned(), text.into())),
            Self::Form(form) => *form = std::mem::take(form).with(name, text),
        }
    }

    /// The body to forward.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(fields) => Value::Object(fields.clone()).to_string().into_bytes(),
            Self::Form(form) => form.rewritten().into_bytes(),
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
    const JSON: Option<&str> = Some("application/json");

    fn read(body: &str, kind: Option<&str>) -> Result<Fields, Refusal> {
        Fields::read(body.as_bytes(), kind, true)
    }

    #[test]
    fn an_object_is_named_by_an_integer_or_digits_in_json_and_in_forms() {
        let id = |n: &str| Ok(Some(Some(ObjectId::parse(n).unwrap())));
        let cases = [
            (r#"{"conv_id": 57}"#, JSON, id("57")),
            (r#"{"conv_id": "57"}"#, None, id("57")),
            (r#"{"conv\u005fid": 57}"#, JSON, id("57")),
            (r#"{"conv_id": 57}"#, Some("text/plain"), id("57")),
            ("conv_id=57&message=a+b", FORM, id("57")),
            ("conv%5Fid=%35%37", FORM, id("57")),
            ("{}", JSON, Ok(None)),
            ("", JSON, Ok(None)),
            ("message=x", FORM, Ok(None)),
            (r#"{"conv_id": null}"#, JSON, Ok(Some(None))),
            (r#"{"conv_id": 0}"#, JSON, Ok(Some(None))),
            ("conv_id=", FORM, Ok(Some(None))),
            (r#"{"conv_id": true}"#, JSON, Err(Unreadable)),
            (r#"{"conv_id": 57.0}"#, JSON, Err(Unreadable)),
            (r#"{"conv_id": [57]}"#, JSON, Err(Unreadable)),
            ("conv_id=57&conv_id=58", FORM, Err(Unreadable)),
            ("conv_id=+57", FORM, Err(Unreadable)),
        ];
        for (body, kind, expected) in cases {
            let fields = read(body, kind).unwrap();
            assert_eq!(fields.object("conv_id"), expected, "{body}");
        }
    }

    #[test]
    fn texts_are_found_however_deep_under_their_names_alone() {
        let body = r#"{"a": 1, "x": "a", "data": {"rows": [{"b": ["2", {"a": "3"}], "y": 4}]},
                       "b": {"z": "5"}, "c": null}"#;
        let found = read(body, JSON).unwrap().texts(&["a", "b", "c"]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            ["1", "2", "3"]
                .iter()
                .all(|text| found.contains(&(*text).to_owned()))
        );
        let form = read("a=1&b=2&x=3&a=4", FORM).unwrap();
        assert_eq!(form.texts(&["a", "b"]), ["1", "2", "4"]);
    }

    #[test]
    fn what_is_no_body_of_fields() {
        let multipart = Some("multipart/form-data; boundary=x");
        for (body, kind) in [
            ("[1]", JSON),
            ("conv_id=57", JSON),
            ("conv_id=57", None),
            ("--x\r\n", multipart),
            (r#"{"a": 1, "a": 2}"#, JSON),
            ("\u{feff}{}", JSON),
            ("a=b c", FORM),
            // JSON that calls itself a form, and JSON around a pair.
            (r#"{"conv_id":57}"#, FORM),
            (r#"{"conv_id":57,"message":"x&conv_id=3&b"}"#, FORM),
            ("[1]", FORM),
            ("\"a\"", FORM),
        ] {
            assert_eq!(read(body, kind), Err(Refusal::BodyMalformed), "{body}");
        }
        let refused = Fields::read(b"conv_id=57", FORM, false);
        assert_eq!(refused, Err(Refusal::BodyMalformed), "no forms here");
    }

    #[test]
    fn what_was_decided_stands_once_in_what_goes_on() {
        let id = ObjectId::parse("7").unwrap();
        for (body, kind, after) in [
            (r#"{"conv_id":"57","b":1}"#, JSON, r#"{"b":1,"conv_id":7}"#),
            ("", JSON, r#"{"conv_id":7}"#),
            ("conv_id=57&b=1", FORM, "conv_id=7&b=1"),
            (
                r#"a{"conv_id":57}=["1"]&b"#,
                FORM,
                "a%7B%22conv_id%22:57%7D=%5B%221%22%5D&b=&conv_id=7",
            ),
        ] {
            let mut fields = read(body, kind).unwrap();
            fields.set_object("conv_id", id);
            assert_eq!(String::from_utf8(fields.to_bytes()).unwrap(), after);
        }
    }

    proptest! {
        #[test]
        fn what_goes_on_reads_the_same(body in "\\{(\"[a-c]\":(1|\"x\"|null|\\[1,2\\]|1.5)){0,1}\\}|([a-c]=[0-9%&]{0,3}){0,4}", form in any::<bool>()) {
            let kind = if form { FORM } else { JSON };
            if let Ok(fields) = read(&body, kind) {
                let again = Fields::read(&fields.to_bytes(), Some(fields.content_type()), true);
                let same = again.map(|again| again.to_bytes());
                prop_assert_eq!(same, Ok(fields.to_bytes()));
            }
        }

        /// Nobody who parses JSON first finds any in a form.
        #[test]
        fn no_form_that_goes_on_is_json(body in "([{\\[\" a]|conv_id|:|[0-9]|,|&|=|[}\\]]){0,16}") {
            if let Ok(mut fields) = Fields::read(body.as_bytes(), FORM, true) {
                fields.set_object("conv_id", ObjectId::parse("7").unwrap());
                let sent = fields.to_bytes();
                let json = serde_json::from_slice::<Value>(&sent);
                prop_assert!(json.is_err(), "{}", String::from_utf8_lossy(&sent));
            }
        }
    }
}
