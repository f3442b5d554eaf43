//! The head of a request, read once: its bytes, and where in them everything stands.
//!
//! Few requests need a map of headers; most are decided on a handful of them, which are
//! found faster where they stand. Names are compared without case, as they are on the
//! wire. Only for heads that
//! `policies::head` let through. Not here: what a header means.

use bytes::BytesMut;
use camarad_policies::head::Lines;
use camarad_policies::names::{Names, bit};
use camarad_policies::normalise::known_method;
use std::borrow::Cow;

/// Where something begins and ends in the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(u32, u32);

/// Where names and values stand: a connection's, for one head after the other.
#[derive(Debug, Default)]
pub(super) struct Room(Vec<(Span, Span)>);

/// Header lines that room is kept for while a connection is idle.
const MOST_KEPT: usize = 24;

/// A head that was read.
pub(super) struct RequestHead {
    raw: BytesMut,
    method: Span,
    /// The method, where routes of the app have it.
    known: Option<&'static str>,
    target: Span,
    fields: Room,
    /// The bits of all names: most of what is asked for is not there.
    named: u64,
    is_1_0: bool,
}

/// Where everything stands in a head, whose bytes are still to come.
pub(super) struct Found(RequestHead);

impl Found {
    /// Of a head and the lines that were found in it.
    pub(super) fn new(head: &[u8], lines: &Lines<'_>, mut room: Room) -> Self {
        let start = head.as_ptr() as usize;
        let span = |part: &[u8]| {
            let at = (part.as_ptr() as usize).saturating_sub(start);
            // Heads are far shorter than 4 GiB.
            Span(at as u32, (at + part.len()) as u32)
        };
        let is_1_0 = lines.minor == 0;
        let fields = lines.fields.iter();
        // HTTP/1.0 knows no expectations (RFC 9110, section 10.1.1), and would not know a 100 either.
        let fields = fields.filter(|field| !is_1_0 || !field.name.eq_ignore_ascii_case("expect"));
        room.0.clear();
        room.0.reserve_exact(lines.fields.len());
        let spans = fields.map(|field| (span(field.name.as_bytes()), span(field.value)));
        room.0.extend(spans);
        let method = std::str::from_utf8(lines.method).unwrap_or_default();
        Self(RequestHead {
            raw: BytesMut::new(),
            method: span(lines.method),
            known: known_method(method),
            target: span(lines.target),
            fields: room,
            named: lines.named,
            is_1_0,
        })
    }

    /// The head, with the bytes that it was found in.
    pub(super) fn in_bytes(self, raw: BytesMut) -> RequestHead {
        RequestHead { raw, ..self.0 }
    }
}

impl RequestHead {
    fn part(&self, span: Span) -> &[u8] {
        self.raw
            .get(span.0 as usize..span.1 as usize)
            .unwrap_or_default()
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.part(span)).unwrap_or_default()
    }

    /// The head as it stood on the wire.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The room that it took, for the next one.
    pub(super) fn into_room(self) -> Room {
        match self.fields.0.capacity() <= MOST_KEPT {
            true => self.fields,
            false => Room::default(),
        }
    }

    /// Upper case.
    pub(super) fn method(&self) -> &str {
        self.known.unwrap_or_else(|| self.text(self.method))
    }

    /// The same, to be kept.
    pub(super) fn method_owned(&self) -> Cow<'static, str> {
        match self.known {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(self.method().to_owned()),
        }
    }

    /// Of HTTP/1.0, which knows neither chunks nor interim answers.
    pub(super) fn is_1_0(&self) -> bool {
        self.is_1_0
    }

    /// RFC 9110, section 9.2.1.
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.method(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// Path and query, as they stood on the wire.
    pub(super) fn target(&self) -> &[u8] {
        self.part(self.target)
    }

    /// Header lines in their order; names in any case.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.fields.0.iter();
        fields.map(|(name, value)| (self.part(*name), self.part(*value)))
    }

    /// False where none of these names is in it.
    pub(super) fn may_have(&self, names: &Names) -> bool {
        names.may_be_in(self.named)
    }

    /// The values of all lines of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let may_be_there = self.named & bit(name.as_bytes()) != 0;
        let fields = match may_be_there {
            true => &self.fields.0[..],
            false => &[],
        };
        let named = fields
            .iter()
            .filter(move |(own, _)| self.part(*own).eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| self.part(*value))
    }

    /// The value of the first line of a name.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Several lines of a name as one (RFC 9110, section 5.3); lines that are not ASCII
    /// are left out.
    pub(super) fn joined(&self, name: &str) -> Option<String> {
        let mut joined: Option<String> = None;
        for value in self.all(name).filter_map(plain) {
            match &mut joined {
                Some(joined) => {
                    joined.push_str(", ");
                    joined.push_str(value);
                }
                None => joined = Some(value.to_owned()),
            }
        }
        joined
    }
}

/// A value as text, where it is ASCII.
pub(super) fn plain(value: &[u8]) -> Option<&str> {
    let is_plain = value.is_ascii();
    std::str::from_utf8(value).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::head::{EMPTY, lines};

    fn read(text: &str) -> RequestHead {
        let mut room = EMPTY;
        let lines = lines(text.as_bytes(), &mut room).unwrap();
        Found::new(text.as_bytes(), &lines, Room::default()).in_bytes(text.as_bytes().into())
    }

    #[test]
    fn a_head_is_found_where_it_stands() {
        let head = read(
            "\r\nPOST /a?b=%20 HTTP/1.1\r\nHost: app\r\nX-A: 1\r\nx-a:  two \r\nX-B: \u{e9}\r\nEmpty:\r\n\r\n",
        );
        assert_eq!((head.method(), head.target()), ("POST", &b"/a?b=%20"[..]));
        assert_eq!(head.get("X-a"), Some(&b"1"[..]));
        assert_eq!(head.joined("x-A").as_deref(), Some("1, two"));
        assert_eq!(head.get("empty"), Some(&b""[..]));
        assert_eq!((head.joined("x-b"), head.get("x-c")), (None, None));
        assert!(!head.is_safe());
        let names: Vec<_> = head.fields().map(|(name, _)| name).collect();
        let expected = ["Host", "X-A", "x-a", "X-B", "Empty"];
        assert_eq!(names, expected.map(str::as_bytes));
    }

    #[test]
    fn an_expectation_of_http_1_0_is_none() {
        for (version, there) in [("1.0", false), ("1.1", true)] {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
            let head = read(&text);
            assert_eq!(head.get("expect").is_some(), there, "{version}");
        }
    }
}
