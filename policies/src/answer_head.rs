//! The head of an answer of the app as it stands on the wire (RFC 9112), and how its
//! body is framed.
//!
//! Stricter than what browsers take: an answer whose end could be seen in two places (two
//! lengths, a length beside chunks, a coding besides chunks) is none, since what follows
//! on the connection would be the next caller's answer. Not here: what a header means,
//! and reading sockets.

use httparse::{Header, ParserConfig, Response, Status};
use std::mem::MaybeUninit;

/// Header lines at most.
pub const MOST_FIELDS: usize = 128;
/// Bytes of a head at most.
pub const LARGEST: usize = 64 * 1024;

/// Room for header lines to be read into.
pub type Room<'a> = [MaybeUninit<Header<'a>>; MOST_FIELDS];

/// Room that is empty.
pub const EMPTY: Room<'static> = [const { MaybeUninit::uninit() }; MOST_FIELDS];

/// This is no head of an answer, or one that means two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; none for what has no body.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// A head that is there to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerHead<'a> {
    /// Bytes up to and including the blank line.
    pub length: usize,
    /// Status code, 100 to 999.
    pub status: u16,
    /// What is said beside it.
    pub reason: &'a str,
    /// How its body ends.
    pub framing: Framing,
    /// The connection can have another request after the body.
    pub keep_alive: bool,
    /// The header lines, in their order.
    pub fields: &'a [Header<'a>],
}

/// Looks at what has come in so far: `None` while the head has not ended. `to_head`: the
/// request was `HEAD`, so no body follows.
///
/// # Errors
/// For what is no head, or more than [`LARGEST`] bytes or [`MOST_FIELDS`] lines of one.
pub fn examine<'a>(
    bytes: &'a [u8],
    to_head: bool,
    room: &'a mut Room<'a>,
) -> Result<Option<AnswerHead<'a>>, Malformed> {
    let mut answer = Response::new(&mut []);
    let config = ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut answer, bytes, room);
    let length = match parsed {
        Ok(Status::Complete(length)) if length <= LARGEST => length,
        Ok(Status::Partial) if bytes.len() <= LARGEST => return Ok(None),
        _ => return Err(Malformed),
    };
    let (Some(status), Some(minor)) = (answer.code, answer.version) else {
        return Err(Malformed);
    };
    // What no class of statuses has is no interim answer either (RFC 9110, section 15).
    if status < 100 {
        return Err(Malformed);
    }
    let reason = answer.reason.unwrap_or_default();
    let fields: &'a [Header<'a>] = answer.headers;
    Ok(Some(AnswerHead {
        length,
        status,
        reason,
        framing: framing(fields, status, minor, to_head)?,
        keep_alive: minor == 1 && !says_close(fields),
        fields,
    }))
}

/// The values of all lines of a name.
pub(crate) fn values<'a>(
    fields: &'a [Header<'a>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let named = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

/// How the body ends of an answer in `HTTP/1.<minor>` with these values of `Content-Length` and
/// `Transfer-Encoding`, if it has one (RFC 9112, section 6.3).
///
/// # Errors
/// Where that could be read in two ways.
pub fn framed<'a>(
    mut lengths: impl Iterator<Item = &'a [u8]>,
    mut codings: impl Iterator<Item = &'a [u8]>,
    minor: u8,
) -> Result<Framing, Malformed> {
    let said = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() {
        return Err(Malformed);
    }
    match said {
        (None, None) => Ok(Framing::Close),
        (Some(length), None) => number(length).map(Framing::Length).ok_or(Malformed),
        (None, Some(coding)) if minor == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (_, Some(_)) => Err(Malformed),
    }
}

fn framing(
    fields: &[Header<'_>],
    status: u16,
    minor: u8,
    to_head: bool,
) -> Result<Framing, Malformed> {
    let (lengths, codings) = (
        values(fields, "content-length"),
        values(fields, "transfer-encoding"),
    );
    let framing = framed(lengths, codings, minor)?;
    match to_head || matches!(status, 100..=199 | 204 | 304) {
        true => Ok(Framing::Length(0)),
        false => Ok(framing),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number);
    text?.parse().ok()
}

fn says_close(fields: &[Header<'_>]) -> bool {
    values(fields, "connection")
        .flat_map(|value| value.split(|b| *b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, to_head: bool) -> Result<Option<(u16, Framing, bool)>, Malformed> {
        let mut room = EMPTY;
        let head = examine(text.as_bytes(), to_head, &mut room)?;
        Ok(head.map(|head| {
            assert_eq!(text.as_bytes().get(head.length..), Some(&b"rest"[..]));
            (head.status, head.framing, head.keep_alive)
        }))
    }

    #[test]
    fn an_answer_ends_in_one_place_or_is_none() {
        use Framing::{Chunked, Close, Length};
        for (line, fields, expected) in [
            ("1.1 200 OK", "", Ok((200, Close, true))),
            (
                "1.1 200",
                "Content-Length: 5\r\n",
                Ok((200, Length(5), true)),
            ),
            (
                "1.1 200 OK",
                "content-length: 0\r\n",
                Ok((200, Length(0), true)),
            ),
            (
                "1.0 200 OK",
                "Content-Length: 5\r\n",
                Ok((200, Length(5), false)),
            ),
            (
                "1.1 200 OK",
                "Transfer-Encoding: Chunked\r\n",
                Ok((200, Chunked, true)),
            ),
            (
                "1.1 200 OK",
                "Connection: x, Close\r\n",
                Ok((200, Close, false)),
            ),
            (
                "1.1 204 -",
                "Content-Length: 5\r\n",
                Ok((204, Length(0), true)),
            ),
            (
                "1.1 304 -",
                "Transfer-Encoding: chunked\r\n",
                Ok((304, Length(0), true)),
            ),
            ("1.1 103 -", "", Ok((103, Length(0), true))),
            ("1.1 099 -", "Content-Length: 5\r\n", Err(Malformed)),
            ("1.1 000 -", "", Err(Malformed)),
            (
                "1.1 200 OK",
                "Content-Length: 5\r\nContent-Length: 5\r\n",
                Err(Malformed),
            ),
            ("1.1 200 OK", "Content-Length: 5, 5\r\n", Err(Malformed)),
            ("1.1 200 OK", "Content-Length: +5\r\n", Err(Malformed)),
            ("1.1 200 OK", "Content-Length:\r\n", Err(Malformed)),
            ("1.1 204 -", "Content-Length: x\r\n", Err(Malformed)),
            (
                "1.1 200 OK",
                "Content-Length: 99999999999999999999\r\n",
                Err(Malformed),
            ),
            (
                "1.1 200 OK",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                Err(Malformed),
            ),
            (
                "1.1 200 OK",
                "Transfer-Encoding: gzip, chunked\r\n",
                Err(Malformed),
            ),
            (
                "1.1 200 OK",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(Malformed),
            ),
            (
                "1.0 200 OK",
                "Transfer-Encoding: chunked\r\n",
                Err(Malformed),
            ),
            ("1.1 200 OK", "X: a\r\n b\r\n", Err(Malformed)),
            ("1.1 200 OK", "X : a\r\n", Err(Malformed)),
            ("2.0 200 OK", "", Err(Malformed)),
            ("1.1 20 OK", "", Err(Malformed)),
        ] {
            let text = format!("HTTP/{line}\r\n{fields}\r\nrest");
            assert_eq!(read(&text, false), expected.map(Some), "{text:?}");
        }
        let to_head = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrest", true);
        assert_eq!(to_head, Ok(Some((200, Length(0), true))));
    }

    #[test]
    fn heads_are_bounded() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LARGEST));
        assert_eq!(read(&long, false), Err(Malformed));
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\nrest",
            "X: y\r\n".repeat(MOST_FIELDS + 1)
        );
        assert_eq!(read(&many, false), Err(Malformed));
        for part in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nX: y\r\n"] {
            assert_eq!(read(part, false), Ok(None), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), to_head in any::<bool>()) {
            let mut room = EMPTY;
            let _ = examine(&bytes, to_head, &mut room);
        }
    }
}
