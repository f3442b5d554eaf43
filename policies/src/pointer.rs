//! JSON pointers with a wildcard: where ids stand in bodies and answers.
//!
//! `/a/b` is as in RFC 6901 without escapes; `*` stands for every element of an
//! array or member of an object. `*` never enters members whose content is not
//! the app's own ([`NOT_OURS`]): a stored connector setting may hold a
//! `client_id` that is somebody's OAuth credential.

use serde_json::Value;

/// Members that `*` does not enter; naming one literally does.
pub const NOT_OURS: [&str; 4] = ["config", "flow", "results", "data"];

/// Where values stand in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Any,
    Member(String),
}

impl Pointer {
    /// Reads `/name/*/name`; `None` for what does not begin with `/` or has an empty step.
    pub fn parse(text: &str) -> Option<Self> {
        let steps = text.strip_prefix('/')?.split('/');
        let steps = steps.map(|step| match step {
            "" => None,
            "*" => Some(Step::Any),
            name => Some(Step::Member(name.to_owned())),
        });
        steps.collect::<Option<Vec<_>>>().map(Self)
    }

    /// Every value it points at, in the order of the document.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|at| step.from(at)).collect();
        }
        found
    }

    /// Its steps, outermost first; `None` is `*`.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = Option<&str>> {
        self.0.iter().map(|step| match step {
            Step::Any => None,
            Step::Member(name) => Some(name.as_str()),
        })
    }

    /// True when it holds a `*`.
    pub(crate) fn is_wild(&self) -> bool {
        self.0.contains(&Step::Any)
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in &self.0 {
            match step {
                Step::Any => f.write_str("/*")?,
                Step::Member(name) => write!(f, "/{name}")?,
            }
        }
        Ok(())
    }
}

impl Step {
    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Member(name), value) => value.get(name).into_iter().collect(),
            (Self::Any, Value::Array(elements)) => elements.iter().collect(),
            (Self::Any, Value::Object(members)) => members
                .iter()
                .filter(|(name, _)| !NOT_OURS.contains(&name.as_str()))
                .map(|(_, value)| value)
                .collect(),
            (Self::Any, _) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_pointer_points_at() {
        let value = json!({"client_id": 1, "rows": [{"client_id": 2}, {"id": 3}, 4],
                           "config": {"client_id": "oauth"}, "data": {"client_id": 5}});
        let cases = [
            ("/client_id", json!([1])),
            ("/rows/*/client_id", json!([2])),
            ("/*/client_id", json!([])),
            ("/*/*/client_id", json!([2])),
            ("/data/client_id", json!([5])),
            ("/config/client_id", json!(["oauth"])),
            ("/none/*/x", json!([])),
        ];
        for (text, expected) in cases {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(json!(pointer.find(&value)), expected, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pointer() {
        for text in ["", "a", "/", "/a/", "//a"] {
            assert_eq!(Pointer::parse(text), None, "{text:?}");
        }
    }
}
