//! An answer of the app as it goes on to a caller while it comes in: which of its header
//! lines do, and how its body is framed anew (RFC 9110, section 7.6.1; RFC 9112, section 6).
//!
//! What concerns one connection stays on it, what we say ourselves is said once, and
//! everything else goes on as it came, in its order and spelling. Not here: reading the
//! body (see [`crate::rest`]), what an answer means, and sockets.

use crate::answer_head::{AnswerHead, Framing, MOST_FIELDS, values};
use crate::names::{Names, OF_CONNECTION, bit};
use httparse::Header;

/// Header lines that say what only we say.
const OURS: Names = Names::new(&["x-camarad-source", "x-request-id"]);

/// How a body is framed towards a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As its head says: by a length, or there is none.
    Said,
    /// In chunks.
    Chunked,
    /// It ends with the connection.
    ToEnd,
}

/// How the body of this answer goes on; HTTP/1.0 knows no chunks.
pub fn delivery(framing: Framing, is_1_0: bool) -> Delivery {
    match (framing, is_1_0) {
        (Framing::Length(_), _) => Delivery::Said,
        (Framing::Chunked | Framing::Close, false) => Delivery::Chunked,
        (Framing::Chunked | Framing::Close, true) => Delivery::ToEnd,
    }
}

/// Writes the status line and the header lines that go on, without the blank line; true if
/// they say when the answer was made.
pub fn write_lines(answer: &AnswerHead<'_>, out: &mut Vec<u8>) -> bool {
    let status = [100, 10, 1].map(|unit| b'0' + (answer.status / unit % 10) as u8);
    for piece in [
        b"HTTP/1.1 ",
        status.as_slice(),
        b" ",
        answer.reason.as_bytes(),
        b"\r\n",
    ] {
        out.extend_from_slice(piece);
    }
    // Neither has a body, and a length would announce one (RFC 9110, section 8.6).
    let is_lengthless = matches!(answer.status, 100..=199 | 204);
    let mut is_dated = false;
    for field in of_message(answer.fields) {
        if !is_lengthless || !is_length(field) {
            is_dated |= field.name.eq_ignore_ascii_case("date");
            push(out, field);
        }
    }
    is_dated
}

/// The header lines of the message itself.
fn of_message<'a>(fields: &'a [Header<'a>]) -> impl Iterator<Item = &'a Header<'a>> {
    let goes_on = goes_on(fields);
    let of_it = move |field: &&Header<'_>| goes_on(bit(field.name.as_bytes()), field);
    fields.iter().filter(of_it)
}

/// Whether one of these lines, with the bit of its name, is of the message itself.
fn goes_on<'a>(fields: &'a [Header<'a>]) -> impl Fn(u64, &Header<'_>) -> bool {
    let names_more = options(fields).any(|option| !is_usual(option));
    move |bit, field| {
        let name = field.name.as_bytes();
        let stays = OF_CONNECTION.has_at(bit, name)
            || OURS.has_at(bit, name)
            || (names_more && is_named(fields, field.name) && !is_length(field));
        !stays
    }
}

/// It says where the body ends, which `Connection` must not take off.
fn is_length(field: &Header<'_>) -> bool {
    field.name.eq_ignore_ascii_case("content-length")
}

fn push(out: &mut Vec<u8>, field: &Header<'_>) {
    for piece in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

/// The header lines of an answer whose body is given whole, as they go on: without date and
/// length, which are said anew, in three parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeLines {
    bytes: Vec<u8>,
    kind: usize,
    freshness: usize,
    /// The body is in a coding (RFC 9110, section 8.4).
    pub is_coded: bool,
    /// A cookie is set.
    pub sets_cookie: bool,
}

/// Behind the last part.
const NO_PART: u8 = 3;

/// What a cache that keeps an answer says itself.
const FRESHNESS: Names = Names::new(&["cache-control", "expires", "age", "vary", "etag"]);

impl WholeLines {
    /// Of the head of an answer.
    pub fn of(answer: &AnswerHead<'_>) -> Self {
        let goes_on = goes_on(answer.fields);
        let is = |field: &Header<'_>, name| field.name.eq_ignore_ascii_case(name);
        let part = |field: &Header<'_>| {
            let bit = bit(field.name.as_bytes());
            match () {
                () if !goes_on(bit, field) => NO_PART,
                () if is(field, "content-type") => 0,
                () if FRESHNESS.has_at(bit, field.name.as_bytes()) => 1,
                () if is(field, "date") || is(field, "content-length") => NO_PART,
                () => 2,
            }
        };
        let mut parts = [NO_PART; MOST_FIELDS];
        for (own, field) in parts.iter_mut().zip(answer.fields) {
            *own = part(field);
        }
        let mut lines = Self {
            bytes: Vec::with_capacity(answer.length),
            ..Self::default()
        };
        for wanted in 0..NO_PART {
            let fields = answer.fields.iter().zip(&parts);
            fields
                .filter(|(_, part)| **part == wanted)
                .for_each(|(field, _)| push(&mut lines.bytes, field));
            match wanted {
                0 => lines.kind = lines.bytes.len(),
                1 => lines.freshness = lines.bytes.len(),
                _ => {}
            }
        }
        // Whatever `Connection` names: what was set or coded was.
        let mut all = answer.fields.iter();
        lines.sets_cookie = all.any(|field| is(field, "set-cookie"));
        lines.is_coded =
            values(answer.fields, "content-encoding").any(|coding| coding != b"identity");
        lines
    }

    /// What the body is.
    pub fn kind(&self) -> &[u8] {
        &self.bytes[..self.kind]
    }

    /// All that is neither about what the body is nor about how long it may be kept.
    pub fn others(&self) -> &[u8] {
        &self.bytes[self.freshness..]
    }

    /// All of them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The values of all lines of a name that are text, joined by commas.
    pub fn said(&self, name: &str) -> String {
        let lines = self.bytes.split(|b| *b == b'\n');
        let lines = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
        let named = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let values: Vec<&str> = named.map(|(_, value)| value.trim()).collect();
        values.join(",")
    }
}

/// What the `Connection` lines say.
fn options<'a>(fields: &'a [Header<'a>]) -> impl Iterator<Item = &'a [u8]> {
    let values = values(fields, "connection");
    values.flat_map(|value| value.split(|b| *b == b',').map(<[u8]>::trim_ascii))
}

/// Names no header line.
fn is_usual(option: &[u8]) -> bool {
    let usual: [&[u8]; 3] = [b"", b"close", b"keep-alive"];
    usual.iter().any(|word| option.eq_ignore_ascii_case(word))
}

fn is_named(fields: &[Header<'_>], name: &str) -> bool {
    options(fields).any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

/// Room for a size line of any length.
pub type SizeRoom = [u8; 18];

/// What stands before and behind a piece of a body of so many bytes; the body ends with it
/// if it `is_last`.
pub fn frame(
    delivery: Delivery,
    size: usize,
    is_last: bool,
    room: &mut SizeRoom,
) -> (&[u8], &'static [u8]) {
    match (delivery, size, is_last) {
        (Delivery::Said | Delivery::ToEnd, _, _) | (_, 0, false) => (&[], &[]),
        // A chunk of nothing would be the last one.
        (Delivery::Chunked, 0, true) => (&[], b"0\r\n\r\n"),
        (Delivery::Chunked, size, false) => (size_line(size, room), b"\r\n"),
        (Delivery::Chunked, size, true) => (size_line(size, room), b"\r\n0\r\n\r\n"),
    }
}

fn size_line(mut size: usize, room: &mut SizeRoom) -> &[u8] {
    let mut at = room.len() - 2;
    room[at..].copy_from_slice(b"\r\n");
    loop {
        at -= 1;
        room[at] = b"0123456789abcdef"[size & 15];
        size >>= 4;
        // Sixteen digits are enough for any.
        if size == 0 || at == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer_head::{EMPTY, examine};
    use proptest::prelude::*;

    fn lines(head: &str, to_head: bool) -> (String, bool) {
        let mut room = EMPTY;
        let answer = examine(head.as_bytes(), to_head, &mut room);
        let mut out = Vec::new();
        let is_dated = write_lines(&answer.unwrap().unwrap(), &mut out);
        (String::from_utf8(out).unwrap(), is_dated)
    }

    #[test]
    fn what_is_the_answers_goes_on_as_it_came_and_the_rest_stays() {
        for (name, line, fields, goes_on, is_dated) in [
            ("nothing", "1.1 200 OK", "", "", false),
            ("no reason", "1.1 200", "", "", false),
            (
                "order, spelling and doubles",
                "1.0 404 Not here",
                "x-B: 1\r\nSet-Cookie: a=1\r\nX-a:2\r\nset-cookie: b=2\r\nEmpty:\r\n",
                "x-B: 1\r\nSet-Cookie: a=1\r\nX-a: 2\r\nset-cookie: b=2\r\nEmpty: \r\n",
                false,
            ),
            (
                "coding, length, conditions, date",
                "1.1 206 Partial Content",
                "Content-Encoding: br\r\nContent-Length: 0\r\nETag: \"a\"\r\nDATE: now\r\nContent-Range: bytes 0-0/1\r\n",
                "Content-Encoding: br\r\nContent-Length: 0\r\nETag: \"a\"\r\nDATE: now\r\nContent-Range: bytes 0-0/1\r\n",
                true,
            ),
            (
                "the connection's",
                "1.1 200 OK",
                "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nA: 1\r\n",
                "A: 1\r\n",
                false,
            ),
            (
                "what Connection names",
                "1.1 200 OK",
                "X-Hop: 1\r\nConnection: close, x-hop\r\nA: 1\r\nX-Other: 1\r\nConnection: X-OTHER, \"A\"\r\nDate: x\r\nConnection: date\r\n",
                "A: 1\r\n",
                false,
            ),
            (
                "a length that Connection names",
                "1.1 200 OK",
                "Connection: content-length, keep-alive\r\nContent-Length: 0\r\n",
                "Content-Length: 0\r\n",
                false,
            ),
            (
                "ours",
                "1.1 200 OK",
                "X-Request-ID: mine\r\nX-Camarad-Source: coolbits\r\nX-Request-Ids: 1\r\n",
                "X-Request-Ids: 1\r\n",
                false,
            ),
            (
                "no body",
                "1.1 204 No Content",
                "Content-Length: 0\r\nA: 1\r\n",
                "A: 1\r\n",
                false,
            ),
            (
                "not modified",
                "1.1 304 Not Modified",
                "Content-Length: 5\r\nETag: \"a\"\r\n",
                "Content-Length: 5\r\nETag: \"a\"\r\n",
                false,
            ),
            (
                "early hints",
                "1.1 103 Early Hints",
                "Link: </a>\r\n",
                "Link: </a>\r\n",
                false,
            ),
        ] {
            let (status, reason) = line[4..].split_once(' ').unwrap_or((&line[4..], ""));
            let expected = format!("HTTP/1.1 {status} {reason}\r\n{goes_on}");
            for to_head in [false, true] {
                let got = lines(&format!("HTTP/{line}\r\n{fields}\r\n"), to_head);
                assert_eq!(got, (expected.clone(), is_dated), "{name}");
            }
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert!(
            lines(head, true).0.ends_with("Content-Length: 5\r\n"),
            "to HEAD"
        );
    }

    #[test]
    fn lines_of_a_whole_answer_stand_in_three_parts() {
        let head = "HTTP/1.1 200 OK\r\nServer: a\r\nDate: x\r\nCache-Control: private\r\nX-Hop: 1\r\n\
                    Connection: close, X-Hop\r\nContent-Type: text/a\r\nContent-Length: 0\r\nVary: Cookie\r\n\
                    X-Request-Id: mine\r\nX-B: \u{e9}\r\ncache-control: max-age=1\r\n\r\n";
        let mut room = EMPTY;
        let answer = examine(head.as_bytes(), false, &mut room).unwrap().unwrap();
        let lines = WholeLines::of(&answer);
        assert_eq!(lines.kind(), b"Content-Type: text/a\r\n");
        assert_eq!(lines.others(), "Server: a\r\nX-B: \u{e9}\r\n".as_bytes());
        assert_eq!(lines.said("Cache-Control"), "private,max-age=1");
        assert_eq!(lines.said("content-type"), "text/a");
        assert_eq!(
            (lines.said("x-hop"), lines.said("date")),
            (String::new(), String::new())
        );
        assert!(!lines.sets_cookie && !lines.is_coded);
        let all = String::from_utf8(lines.into_bytes()).unwrap();
        let freshness = "Cache-Control: private\r\nVary: Cookie\r\ncache-control: max-age=1\r\n";
        assert!(all.contains(freshness), "{all}");
    }

    #[test]
    fn what_was_coded_or_set_is_noticed_whatever_connection_names() {
        for (fields, is_coded, sets_cookie) in [
            ("Content-Encoding: gzip\r\n", true, false),
            ("Content-Encoding: identity\r\n", false, false),
            (
                "Connection: content-encoding\r\nContent-Encoding: br\r\n",
                true,
                false,
            ),
            ("SET-COOKIE: a=1\r\n", false, true),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            let mut room = EMPTY;
            let answer = examine(head.as_bytes(), false, &mut room).unwrap().unwrap();
            let lines = WholeLines::of(&answer);
            assert_eq!(
                (lines.is_coded, lines.sets_cookie),
                (is_coded, sets_cookie),
                "{fields}"
            );
        }
    }

    #[test]
    fn each_caller_can_tell_where_a_body_ends() {
        use Delivery::{Chunked, Said, ToEnd};
        for (framing, to_1_1, to_1_0) in [
            (Framing::Length(0), Said, Said),
            (Framing::Length(5), Said, Said),
            (Framing::Chunked, Chunked, ToEnd),
            (Framing::Close, Chunked, ToEnd),
        ] {
            assert_eq!(delivery(framing, false), to_1_1, "{framing:?}");
            assert_eq!(delivery(framing, true), to_1_0, "{framing:?}");
        }
    }

    #[test]
    fn pieces_are_framed_and_only_the_last_one_ends_the_body() {
        for (delivery, size, is_last, before, behind) in [
            (Delivery::Said, 5, false, "", ""),
            (Delivery::Said, 5, true, "", ""),
            (Delivery::ToEnd, 5, true, "", ""),
            (Delivery::Chunked, 0, false, "", ""),
            (Delivery::Chunked, 0, true, "", "0\r\n\r\n"),
            (Delivery::Chunked, 5, false, "5\r\n", "\r\n"),
            (Delivery::Chunked, 0x1fa0, true, "1fa0\r\n", "\r\n0\r\n\r\n"),
            (
                Delivery::Chunked,
                usize::MAX,
                false,
                "ffffffffffffffff\r\n",
                "\r\n",
            ),
        ] {
            let mut room = SizeRoom::default();
            let framed = frame(delivery, size, is_last, &mut room);
            let expected = (before.as_bytes(), behind.as_bytes());
            assert_eq!(framed, expected, "{delivery:?} {size} {is_last}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_on_is_a_head_that_says_as_much(
            fields in "((A|Connection|Date|X-Request-Id|Upgrade): ?[a-d, -]{0,6}\r\n){0,6}",
        ) {
            let (out, _) = lines(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false);
            let again = lines(&format!("{out}\r\n"), false).0;
            prop_assert_eq!(again, out);
        }
    }
}
