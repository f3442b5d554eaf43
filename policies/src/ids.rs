//! User, client and object ids, and the one grammar by which they are read.
//!
//! Grammar (design, "Client scope"): ASCII digits, no sign, no leading zero, at
//! most 18 of them. Empty, `0`, `none`, `null`, `undefined` name *no client*,
//! which is a value of its own and not the absence of a name. The app behind us
//! is far more lenient (`+2`, `0_2`, `" 2"` all mean 2 there); reading a wider
//! grammar than this would let two spellings of one id get two decisions.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The app's user id; never zero, since the app means "nobody" by 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct UserId(u64);

/// The app's client id; never zero, since the app means "no client" by 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ClientId(u64);

/// The id of something of a client's: a conversation, a flow, a link. Unique
/// among its kind only, and given out again once it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ObjectId(u64);

/// Clients, in order and each once; cheap to clone and quick to look in, however many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientIds(Arc<[ClientId]>);

impl From<Vec<ClientId>> for ClientIds {
    fn from(mut ids: Vec<ClientId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self(ids.into())
    }
}

impl Deref for ClientIds {
    type Target = [ClientId];

    fn deref(&self) -> &[ClientId] {
        &self.0
    }
}

impl ClientIds {
    /// Whether this client is among them.
    pub fn has(&self, client: ClientId) -> bool {
        self.0.binary_search(&client).is_ok()
    }
}

/// What one place in a request says about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// This client.
    Client(ClientId),
    /// Explicitly no client.
    NoClient,
}

/// The text is not an id of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl UserId {
    /// Reads a positive id; `0` and everything outside the grammar is [`Unreadable`].
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        digits(text.as_bytes()).map(Self)
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl ClientId {
    /// Reads a positive id; `0` and everything outside the grammar is [`Unreadable`].
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        digits(text.as_bytes()).map(Self)
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl ObjectId {
    /// Reads a positive id; `0` and everything outside the grammar is [`Unreadable`].
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        digits(text.as_bytes()).map(Self)
    }

    /// Reads what a place says: an id, or `None` for one of the words for none.
    pub fn named(text: &str) -> Result<Option<Self>, Unreadable> {
        match NONE.contains(&text) {
            true => Ok(None),
            false => Self::parse(text).map(Some),
        }
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// As many as fit a `u64` whatever they are.
const MOST_DIGITS: usize = 18;

/// What names nothing.
const NONE: [&str; 5] = ["", "0", "none", "null", "undefined"];

impl Named {
    /// Reads what a place says: an id, or one of the words for no client.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        match NONE.contains(&text) {
            true => Ok(Self::NoClient),
            false => ClientId::parse(text).map(Self::Client),
        }
    }

    /// The same, of bytes: what is no text is no id either.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes {
            // No word begins so.
            [b'1'..=b'9', ..] => digits(bytes).map(|id| Self::Client(ClientId(id))),
            other => std::str::from_utf8(other)
                .map_err(|_| Unreadable)
                .and_then(Self::parse),
        }
    }
}

fn digits(bytes: &[u8]) -> Result<u64, Unreadable> {
    let ([b'1'..=b'9', ..], ..=MOST_DIGITS) = (bytes, bytes.len()) else {
        return Err(Unreadable);
    };
    bytes.iter().try_fold(0, |id, byte| match byte {
        b'0'..=b'9' => Ok(id * 10 + u64::from(byte - b'0')),
        _ => Err(Unreadable),
    })
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_is_digits_and_five_words() {
        let client = |n| Ok(Named::Client(ClientId(n)));
        let cases = [
            ("1", client(1)),
            ("999999999999999999", client(999_999_999_999_999_999)),
            ("", Ok(Named::NoClient)),
            ("0", Ok(Named::NoClient)),
            ("none", Ok(Named::NoClient)),
            ("null", Ok(Named::NoClient)),
            ("undefined", Ok(Named::NoClient)),
            // Spellings that the app reads as a client, or as none, and we refuse.
            ("+1", Err(Unreadable)),
            ("-1", Err(Unreadable)),
            ("01", Err(Unreadable)),
            ("0_2", Err(Unreadable)),
            (" 1", Err(Unreadable)),
            ("1 ", Err(Unreadable)),
            ("1.0", Err(Unreadable)),
            ("1,2", Err(Unreadable)),
            ("1e3", Err(Unreadable)),
            ("None", Err(Unreadable)),
            ("NULL", Err(Unreadable)),
            ("\"2\"", Err(Unreadable)),
            ("٣", Err(Unreadable)),
            ("1000000000000000000", Err(Unreadable)),
        ];
        for (text, expected) in cases {
            assert_eq!(Named::parse(text), expected, "{text:?}");
            let bytes = text.as_bytes();
            assert_eq!(Named::parse_bytes(bytes), expected, "{text:?}");
        }
        for bytes in [&b"\xff"[..], b"1\xff", b"none\xff"] {
            assert_eq!(Named::parse_bytes(bytes), Err(Unreadable), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_their_text(text in "[0-9]{0,20}|[019a ]{1,4}|\\PC{0,8}") {
            prop_assert_eq!(Named::parse_bytes(text.as_bytes()), Named::parse(&text));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "\\PC{0,20}") {
            if let Ok(Named::Client(id)) = Named::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
