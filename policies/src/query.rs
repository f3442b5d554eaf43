//! The query string, read the way the app reads it and forwarded the way it was read.
//!
//! Pairs are split on `&` only, names are compared decoded (`client%5Fid` is
//! `client_id`), and a managed name that stands twice is refused, since servers
//! differ in which one wins. Other pairs are kept byte for byte.

use crate::refusal::Refusal;
use std::borrow::Cow;

/// The query parameter that can name the client.
pub const CLIENT_ID: &str = "client_id";

/// The pairs of a query string in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    /// As it is forwarded.
    raw: String,
    /// Bytes of its name in that; what follows is the value, behind a `=`.
    named: usize,
    /// Name and value as they are read, where that is another text.
    name: Option<String>,
    value: Option<String>,
}

impl Pair {
    fn read(raw: &str) -> Self {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        Self {
            raw: raw.to_owned(),
            named: name.len(),
            name: decoded(name),
            value: decoded(value),
        }
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.raw[..self.named])
    }

    fn value(&self) -> &str {
        let plain = || self.raw.get(self.named + 1..).unwrap_or_default();
        self.value.as_deref().unwrap_or_else(plain)
    }
}

impl Query {
    /// Reads the part of the target after `?`.
    ///
    /// Errors with [`Refusal::QueryMalformed`] on controls, spaces, `#`, and on
    /// `client_id` standing twice. Octets above ASCII are kept as `%XX`.
    pub fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        let is_wrong = |byte: &u8| matches!(byte, 0..=0x20 | 0x7f | b'#');
        if raw.iter().any(is_wrong) {
            return Err(Refusal::QueryMalformed);
        }
        let text = match std::str::from_utf8(raw) {
            Ok(text) if text.is_ascii() => Cow::Borrowed(text),
            _ => Cow::Owned(in_ascii(raw)),
        };
        let pieces = text.split('&').filter(|piece| !piece.is_empty());
        let pairs: Vec<Pair> = pieces.map(Pair::read).collect();
        if pairs.iter().filter(|p| p.name() == CLIENT_ID).count() > 1 {
            return Err(Refusal::QueryMalformed);
        }
        Ok(Self { pairs })
    }

    /// The decoded value of the first parameter of this name, as the app reads it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|p| p.name() == name)
            .map(Pair::value)
    }

    /// The decoded values of every parameter with one of these names, in order.
    pub fn values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.values_where(move |name| names.contains(&name))
    }

    /// The same of every parameter whose name is one that is asked for.
    pub fn values_where<'a>(
        &'a self,
        is_one: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a str> {
        let named = self.pairs.iter().filter(move |p| is_one(p.name()));
        named.map(Pair::value)
    }

    /// The query with its `client_id` set to this text where it has one, or taken out.
    pub fn with_client(self, client: Option<String>) -> Self {
        match (client, self.get(CLIENT_ID)) {
            (Some(client), Some(_)) => self.with(CLIENT_ID, &client),
            _ => self.without(CLIENT_ID),
        }
    }

    /// The query with exactly one parameter of this name: where the first stood, or at the end.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let mut raw = String::with_capacity(name.len() + value.len() + 1);
        raw.push_str(name);
        raw.push('=');
        encode_into(&mut raw, value);
        let mut named = self
            .pairs
            .iter()
            .enumerate()
            .filter(|(_, p)| p.name() == name);
        match (named.next(), named.next()) {
            // As nearly always.
            (Some((_, pair)), None) if pair.raw == raw => {}
            (Some((at, _)), _) => {
                self = self.without(name);
                self.pairs.insert(at, Pair::read(&raw));
            }
            (None, _) => self.pairs.push(Pair::read(&raw)),
        }
        self
    }

    /// The query without any parameter of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.pairs.retain(|p| p.name() != name);
        self
    }

    /// The text of the first parameter of each of these names, in the order of the names.
    pub fn text_of(&self, names: &[&str]) -> String {
        let first = |name: &&str| self.pairs.iter().find(|pair| pair.name() == *name);
        joined(names.iter().filter_map(first))
    }

    /// The same pairs with nothing left of how they were written: all but what is
    /// plain is encoded, so that nobody can read the text as anything but pairs.
    pub fn rewritten(&self) -> String {
        let pairs = self.pairs.iter();
        let mut text = String::new();
        for pair in pairs {
            if !text.is_empty() {
                text.push('&');
            }
            encode_into(&mut text, pair.name());
            text.push('=');
            encode_into(&mut text, pair.value());
        }
        text
    }

    /// The text that is forwarded, without `?`.
    pub fn to_text(&self) -> String {
        joined(self.pairs.iter())
    }
}

fn joined<'a>(pairs: impl Iterator<Item = &'a Pair>) -> String {
    let mut text = String::new();
    for pair in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&pair.raw);
    }
    text
}

/// Encodes all but what is plain in every query (RFC 3986, section 2.3), and `:`, as in account ids.
fn encode_into(out: &mut String, text: &str) {
    let is_plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b':');
    if text.bytes().all(is_plain) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        match byte {
            b if is_plain(b) => out.push(b as char),
            b => {
                use std::fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
}

/// The octets that are no ASCII as `%XX`.
fn in_ascii(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for &byte in raw {
        match byte {
            0x80.. => {
                use std::fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
            ascii => text.push(ascii as char),
        }
    }
    text
}

/// What a text decodes to, where that is another one.
fn decoded(text: &str) -> Option<String> {
    let is_coded = text.bytes().any(|b| matches!(b, b'%' | b'+'));
    is_coded.then(|| decode(text)).filter(|read| read != text)
}

/// Decodes `+` and `%XX`; a bad escape stays as it is, as it does in the app.
/// Octets that are no UTF-8 become U+FFFD, as they do there.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|two| {
                let high = (two[0] as char).to_digit(16)?;
                let low = (two[1] as char).to_digit(16)?;
                Some((high * 16 + low) as u8)
            });
        match (escape, bytes[at]) {
            (Some(octet), _) => {
                out.push(octet);
                at += 3;
                continue;
            }
            (None, b'+') => out.push(b' '),
            (None, other) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_of(raw: &str) -> Result<Option<String>, Refusal> {
        Query::parse(raw.as_bytes()).map(|q| q.get(CLIENT_ID).map(str::to_owned))
    }

    #[test]
    fn the_client_is_found_in_every_spelling_and_once_only() {
        let some = |s: &str| Ok(Some(s.to_owned()));
        let cases = [
            ("", Ok(None)),
            ("client_id=5", some("5")),
            ("a=1&client_id=5&b", some("5")),
            ("client%5fid=5", some("5")),
            ("%63lient_id=%35", some("5")),
            ("client_id", some("")),
            ("client_id=+5", some(" 5")),
            ("client_id=%zz", some("%zz")),
            ("Client_id=5", Ok(None)),
            ("a;client_id=5", Ok(None)),
            ("client_id=1&client_id=1", Err(Refusal::QueryMalformed)),
            ("client_id=1&client%5Fid=2", Err(Refusal::QueryMalformed)),
            ("a=b c", Err(Refusal::QueryMalformed)),
            ("a=b#c", Err(Refusal::QueryMalformed)),
            ("a=\u{1}", Err(Refusal::QueryMalformed)),
        ];
        for (raw, expected) in cases {
            assert_eq!(client_of(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn the_decided_client_replaces_the_one_named() {
        let query = || Query::parse(b"a=1&client%5Fid=07&b=%20").unwrap();
        assert_eq!(
            query().with_client(Some("7".into())).to_text(),
            "a=1&client_id=7&b=%20"
        );
        assert_eq!(query().with_client(None).to_text(), "a=1&b=%20");
        let none = Query::parse(b"a=1").unwrap();
        assert_eq!(none.with_client(Some("7".into())).to_text(), "a=1");
    }

    #[test]
    fn a_parameter_that_is_set_stands_once_and_reads_as_it_was_set() {
        let query = || Query::parse(b"a=1&%61=2&b=3").unwrap();
        assert_eq!(query().with("a", "x&y=%").to_text(), "a=x%26y%3D%25&b=3");
        assert_eq!(
            query().with("c", "sc-domain:x").to_text(),
            "a=1&%61=2&b=3&c=sc-domain:x"
        );
        assert_eq!(query().without("a").to_text(), "b=3");
        // However alike it stood there before.
        for raw in ["x=1&a=2", "x=1&a=%32", "x=1&a=2&a=2", "x=1&%61=2", "x=1&a"] {
            let query = Query::parse(raw.as_bytes()).unwrap();
            assert_eq!(query.with("a", "2").to_text(), "x=1&a=2", "{raw}");
        }
        let empty = Query::parse(b"x=1&a").unwrap();
        assert_eq!(empty.with("a", "").to_text(), "x=1&a=");
        let values: Vec<String> = query().values(&["b", "a"]).map(str::to_owned).collect();
        assert_eq!(values, ["1", "2", "3"]);
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_is_read(value in "\\PC{0,20}", raw in "[ab=&%0-9]{0,12}") {
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let text = query.with("a", &value).to_text();
                let again = Query::parse(text.as_bytes()).unwrap();
                let values: Vec<&str> = again.values(&["a"]).collect();
                prop_assert_eq!(values, [value.as_str()]);
            }
        }

        #[test]
        fn what_is_forwarded_reads_the_same(raw in "[a-z_=&%0-9+]{0,30}") {
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let again = Query::parse(query.to_text().as_bytes());
                prop_assert_eq!(again, Ok(query));
            }
        }
    }
}
