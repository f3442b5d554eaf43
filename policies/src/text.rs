//! Texts that many hold, or that stand in the program.
//!
//! An empty `Arc<str>` is one counter for the whole process, and so is one made once for
//! everybody: every request on every worker would count it up and down. What is known when
//! the program is built is not counted here.

use serde::{Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// A text; cheap to clone.
#[derive(Clone, Debug)]
pub enum Text {
    /// Of the program.
    Ours(&'static str),
    /// Held together with others.
    Shared(Arc<str>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Ours("")
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Ours(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// Equal where they read the same, wherever they stand.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_reads_wherever_it_stands() {
        let shared = Text::from(Arc::<str>::from("flows.list"));
        assert_eq!(Text::Ours("flows.list"), shared);
        assert_ne!(Text::default(), shared);
        assert_eq!(serde_json::to_string(&shared).unwrap(), "\"flows.list\"");
        assert_eq!(serde_json::to_string(&Text::default()).unwrap(), "\"\"");
    }
}
