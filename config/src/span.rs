//! A length of time as it is written in settings: `"12s"`, `"500ms"`, `"5m"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// A duration with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    pub(crate) const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As people write it: 35 days are not "1month 4days 13h 26m 24s".
        let (days, rest) = (self.0.as_secs() / DAY, self.0.as_secs() % DAY);
        match days > 0 && rest == 0 && self.0.subsec_nanos() == 0 {
            true => serializer.collect_str(&format_args!("{days}d")),
            false => serializer.collect_str(&humantime::format_duration(self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| de::Error::custom("expected a duration such as \"12s\" or \"500ms\""))
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number with a unit: ms, s, m, h, d.",
            "examples": ["500ms", "12s", "5m"]
        })
    }
}
