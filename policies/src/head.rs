//! The head of a request as it stands on the wire (RFC 9112), before anybody
//! else parses it.
//!
//! Servers disagree about heads that bend the rules: a bare LF, two lengths, a
//! length beside chunks, a space before the colon. One that we and the app frame
//! differently is a smuggled request. So everything that is not plainly one
//! request is refused here, with the limits on size beside it. What is let
//! through is a strict subset of what the proxy's own parser takes.
//!
//! Not here: what a header means (see [`crate::normalise`]), and reading sockets.

use crate::names::{Names, bit};
use crate::path::is_plain;
use crate::refusal::Refusal;
use http::uri::PathAndQuery;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whole head with its blank line, bytes.
    pub head: usize,
    /// Request target, bytes.
    pub target: usize,
}

/// Header lines at most. gunicorn, Werkzeug and hyper stop at 100, and some of
/// ours are added, so that the app never is the one to refuse.
pub const MOST_FIELDS: usize = 80;

/// How the body is framed (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`, or none at all, which is 0 bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A head that is there to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes up to and including the blank line.
    pub length: usize,
    /// What follows it.
    pub framing: Framing,
    /// The caller wants the connection kept: HTTP/1.1 without `close`, or HTTP/1.0 with `keep-alive`.
    pub keep_alive: bool,
}

/// Looks at what has come in so far: `None` while the head has not ended.
///
/// `seen` bytes were looked at by the call before, so that a head that drips in
/// is not read over and over.
///
/// Errors: [`Refusal::TargetTooLong`], [`Refusal::HeadTooLarge`],
/// [`Refusal::HeadMalformed`], [`Refusal::FramingAmbiguous`],
/// [`Refusal::TransferCodingUnknown`], [`Refusal::VersionUnsupported`],
/// [`Refusal::HostInvalid`]; [`Refusal::PathMalformed`] for
/// targets that are no path and query.
pub fn examine(bytes: &[u8], seen: usize, limits: &Limits) -> Result<Option<Head>, Refusal> {
    let head = examine_with(bytes, seen, limits, |_, _| ())?;
    Ok(head.map(|(head, ())| head))
}

/// The same, and what `read` makes of the head's bytes and lines.
pub fn examine_with<T>(
    bytes: &[u8],
    seen: usize,
    limits: &Limits,
    read: impl FnOnce(&[u8], &Lines<'_>) -> T,
) -> Result<Option<(Head, T)>, Refusal> {
    let from = seen.min(bytes.len());
    let mut end = None;
    for at in memchr::memchr_iter(b'\n', &bytes[from..]) {
        let line_end = &bytes[..=from + at];
        // Some servers end a line at LF alone, and would see another head than we do.
        if !line_end.ends_with(b"\r\n") {
            return Err(Refusal::HeadMalformed);
        }
        if line_end.ends_with(b"\r\n\r\n") {
            end = Some(line_end.len());
            break;
        }
    }
    let head = &bytes[..end.unwrap_or(bytes.len())];
    let line = RequestLine::of(head);
    if line.target.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    if head.len() > limits.head {
        return Err(Refusal::HeadTooLarge);
    }
    match end {
        Some(_) => parse(head, &line, read).map(Some),
        None => Ok(None),
    }
}

/// The method and target of a head that was refused, as far as they can be told.
pub fn method_of(head: &[u8]) -> &str {
    let method = RequestLine::of(head).method;
    let is_plain =
        !method.is_empty() && method.len() <= 16 && method.iter().all(u8::is_ascii_uppercase);
    std::str::from_utf8(method)
        .ok()
        .filter(|_| is_plain)
        .unwrap_or_default()
}

/// The request target, raw; empty while it has not begun.
pub fn target_of(head: &[u8]) -> &[u8] {
    RequestLine::of(head).target
}

/// The request line without its end, as far as it has come.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// What follows the second space.
    version: &'a [u8],
    /// Where it ends in the head.
    end: usize,
}

impl<'a> RequestLine<'a> {
    fn of(head: &'a [u8]) -> Self {
        // An empty line before it is let pass (section 2.2).
        let start = if head.starts_with(b"\r\n") { 2 } else { 0 };
        let line = &head[start..];
        let line = &line[..memchr::memchr(b'\r', line).unwrap_or(line.len())];
        let (method, behind) = split(line);
        let (target, version) = split(behind);
        Self {
            method,
            target,
            version,
            end: start + line.len(),
        }
    }
}

/// The word before the first space, and what follows it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr::memchr(b' ', line).unwrap_or(line.len());
    (&line[..at], line.get(at + 1..).unwrap_or_default())
}

/// The lines of a whole head.
pub struct Lines<'a> {
    /// Of the request line.
    pub method: &'a [u8],
    /// Of the request line, raw.
    pub target: &'a [u8],
    /// HTTP/1.`minor`: 0 or 1.
    pub minor: u8,
    /// The header lines, in their order.
    pub fields: &'a [httparse::Header<'a>],
    /// The bits of all their names ([`bit`]).
    pub named: u64,
}

/// Room for header lines to be read into.
pub type Room<'a> = [httparse::Header<'a>; MOST_FIELDS];

/// Room that is empty.
pub const EMPTY: Room<'static> = [httparse::EMPTY_HEADER; MOST_FIELDS];

/// Header lines that a usual head has at most; room is cleared for each head.
const FEW: usize = 24;

/// Octets that a target may have anywhere: no parser takes offence at them.
const UNDISPUTED: [bool; 256] = {
    let mut undisputed = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        undisputed[octet] = matches!(octet as u8, b'/' | b'?' | b'%') || is_plain(octet as u8);
        octet += 1;
    }
    undisputed
};

/// Splits a whole head into its lines.
///
/// # Errors
/// [`Refusal::HeadMalformed`], [`Refusal::HeadTooLarge`] for more lines than there is room,
/// [`Refusal::VersionUnsupported`], [`Refusal::PathMalformed`].
pub fn lines<'a>(
    head: &'a [u8],
    room: &'a mut [httparse::Header<'a>],
) -> Result<Lines<'a>, Refusal> {
    lines_behind(&RequestLine::of(head), head, room)
}

/// The same, its request line being read.
fn lines_behind<'a>(
    line: &RequestLine<'a>,
    head: &'a [u8],
    room: &'a mut [httparse::Header<'a>],
) -> Result<Lines<'a>, Refusal> {
    let RequestLine {
        method,
        target,
        version,
        end,
    } = *line;
    // Three words and two spaces: what a lenient parser could read otherwise is not let through.
    if method.is_empty() || target.is_empty() || version.is_empty() || version.contains(&b' ') {
        return Err(Refusal::HeadMalformed);
    }
    let is_undisputed = target
        .iter()
        .fold(true, |all, octet| all & UNDISPUTED[usize::from(*octet)])
        && target.len() < usize::from(u16::MAX);
    if !is_undisputed && target.iter().any(|b| *b < 0x21 || *b == 0x7f) {
        return Err(Refusal::HeadMalformed);
    }
    // Other forms of target (RFC 9112, section 3.2) are for proxies, tunnels and whole servers.
    let is_path = target.starts_with(b"/") && method != b"CONNECT";
    // The proxy's own parser takes no other, and would answer without a record.
    let is_uri = || std::str::from_utf8(target).is_ok() && PathAndQuery::try_from(target).is_ok();
    if !is_path || !(is_undisputed || is_uri()) {
        return Err(Refusal::PathMalformed);
    }
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        other if other.starts_with(b"HTTP/") => return Err(Refusal::VersionUnsupported),
        _ => return Err(Refusal::HeadMalformed),
    };
    // A CR alone ends no line: what follows it would be read as header lines of ours, and of
    // nobody who sees one long line there.
    let rest = &head[end..];
    let rest = rest.strip_prefix(b"\r\n").ok_or(Refusal::HeadMalformed)?;
    let fields = match httparse::parse_headers(rest, room) {
        Ok(httparse::Status::Complete((_, fields))) => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        _ => return Err(Refusal::HeadMalformed),
    };
    // Werkzeug takes `get` for GET, which is another method to everybody else.
    let is_method = |b: &u8| crate::cookies::is_token(*b) && !b.is_ascii_lowercase();
    if !method.iter().all(is_method) {
        return Err(Refusal::HeadMalformed);
    }
    let bits = fields.iter().map(|field| bit(field.name.as_bytes()));
    Ok(Lines {
        method,
        target,
        minor,
        fields,
        named: bits.fold(0, |all, one| all | one),
    })
}

fn parse<T>(
    head: &[u8],
    line: &RequestLine<'_>,
    read: impl FnOnce(&[u8], &Lines<'_>) -> T,
) -> Result<(Head, T), Refusal> {
    let mut few = [httparse::EMPTY_HEADER; FEW];
    match lines_behind(line, head, &mut few) {
        Err(Refusal::HeadTooLarge) => {
            let mut room = EMPTY;
            parsed(head, &lines_behind(line, head, &mut room)?, read)
        }
        lines => parsed(head, &lines?, read),
    }
}

fn parsed<T>(
    head: &[u8],
    lines: &Lines<'_>,
    read: impl FnOnce(&[u8], &Lines<'_>) -> T,
) -> Result<(Head, T), Refusal> {
    hosts(lines.fields)?;
    let examined = Head {
        length: head.len(),
        framing: framing(lines)?,
        keep_alive: keep_alive(lines),
    };
    Ok((examined, read(head, lines)))
}

fn values<'a>(fields: &'a [httparse::Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = fields
        .iter()
        .filter(move |f| f.name.eq_ignore_ascii_case(name));
    named.map(|f| f.value)
}

/// Exactly one `Host`, with something a host can be (RFC 9112, section 3.2).
fn hosts(fields: &[httparse::Header<'_>]) -> Result<(), Refusal> {
    let mut hosts = values(fields, "host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if crate::host::is_host(host) => Ok(()),
        _ => Err(Refusal::HostInvalid),
    }
}

/// Names of headers that frame a body, or that WSGI servers fold into these.
const FRAMING: Names = Names::new(&[
    "content-length",
    "transfer-encoding",
    "content_length",
    "transfer_encoding",
]);

fn framing(lines: &Lines<'_>) -> Result<Framing, Refusal> {
    if !FRAMING.may_be_in(lines.named) {
        return Ok(Framing::Length(0));
    }
    let (fields, minor) = (lines.fields, lines.minor);
    let mut lengths = values(fields, "content-length");
    let mut codings = values(fields, "transfer-encoding");
    // Names that WSGI servers fold into these two.
    let folded = fields.iter().any(|f| {
        f.name.eq_ignore_ascii_case("content_length")
            || f.name.eq_ignore_ascii_case("transfer_encoding")
    });
    if folded {
        return Err(Refusal::FramingAmbiguous);
    }
    match (
        lengths.next(),
        lengths.next(),
        codings.next(),
        codings.next(),
    ) {
        (None, None, None, None) => Ok(Framing::Length(0)),
        (Some(length), None, None, None) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).ok().filter(|_| digits);
            let length = text.and_then(|text| text.parse().ok());
            length.map(Framing::Length).ok_or(Refusal::FramingAmbiguous)
        }
        (None, None, Some(coding), None) if minor == 1 => match coding {
            chunked if chunked.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            other if ends_chunked(other) => Err(Refusal::TransferCodingUnknown),
            _ => Err(Refusal::FramingAmbiguous),
        },
        _ => Err(Refusal::FramingAmbiguous),
    }
}

/// `gzip, chunked`: well framed, but with a coding that nobody behind us undoes.
fn ends_chunked(coding: &[u8]) -> bool {
    let last = coding.rsplit(|b| *b == b',').next().unwrap_or_default();
    coding.contains(&b',') && last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

fn keep_alive(lines: &Lines<'_>) -> bool {
    let is_there = lines.named & bit(b"connection") != 0;
    let fields = if is_there { lines.fields } else { &[] };
    let says = |option: &str| {
        values(fields, "connection")
            .flat_map(|value| value.split(|b| *b == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    !says("close") && (lines.minor == 1 || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        head: 32 * 1024,
        target: 8 * 1024,
    };

    fn head(text: &str) -> Result<Option<Head>, Refusal> {
        examine(text.as_bytes(), 0, &LIMITS)
    }

    fn with(fields: &str) -> Result<Head, Refusal> {
        head(&format!("POST /a HTTP/1.1\r\nHost: app\r\n{fields}\r\n")).map(Option::unwrap)
    }

    #[test]
    fn framing_has_one_meaning_or_none() {
        use Refusal::{FramingAmbiguous, HeadMalformed, TransferCodingUnknown};
        let cases = [
            ("", Ok(Framing::Length(0))),
            ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
            ("content-length: 12\r\n", Ok(Framing::Length(12))),
            ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
            ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
            // Each of these has been a smuggled request somewhere.
            (
                "Content-Length: 1\r\nContent-Length: 1\r\n",
                Err(FramingAmbiguous),
            ),
            (
                "Content-Length: 1\r\nContent-Length: 2\r\n",
                Err(FramingAmbiguous),
            ),
            ("Content-Length: 1, 1\r\n", Err(FramingAmbiguous)),
            ("Content-Length: +1\r\n", Err(FramingAmbiguous)),
            ("Content-Length: -1\r\n", Err(FramingAmbiguous)),
            ("Content-Length: 0x10\r\n", Err(FramingAmbiguous)),
            ("Content-Length: 1 2\r\n", Err(FramingAmbiguous)),
            ("Content-Length:\r\n", Err(FramingAmbiguous)),
            (
                "Content-Length: 99999999999999999999\r\n",
                Err(FramingAmbiguous),
            ),
            ("Content_Length: 5\r\n", Err(FramingAmbiguous)),
            ("Transfer_Encoding: chunked\r\n", Err(FramingAmbiguous)),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                Err(FramingAmbiguous),
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(FramingAmbiguous),
            ),
            (
                "Transfer-Encoding: chunked, gzip\r\n",
                Err(FramingAmbiguous),
            ),
            ("Transfer-Encoding: xchunked\r\n", Err(FramingAmbiguous)),
            ("Transfer-Encoding: \"chunked\"\r\n", Err(FramingAmbiguous)),
            ("Transfer-Encoding: \x0bchunked\r\n", Err(HeadMalformed)),
            (
                "Transfer-Encoding: gzip, chunked\r\n",
                Err(TransferCodingUnknown),
            ),
            ("Transfer-Encoding : chunked\r\n", Err(HeadMalformed)),
            ("Content-Length : 5\r\n", Err(HeadMalformed)),
            (" Content-Length: 5\r\n", Err(HeadMalformed)),
            ("X: a\r\n b\r\n", Err(HeadMalformed)),
            ("X: a\nContent-Length: 5\r\n", Err(HeadMalformed)),
            ("X: a\rContent-Length: 5\r\n", Err(HeadMalformed)),
            ("X: \0\r\n", Err(HeadMalformed)),
            (": a\r\n", Err(HeadMalformed)),
            ("X\r\n", Err(HeadMalformed)),
            ("X(: a\r\n", Err(HeadMalformed)),
        ];
        for (fields, expected) in cases {
            assert_eq!(with(fields).map(|h| h.framing), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_request_line_is_three_words() {
        use Refusal::{HeadMalformed, HostInvalid, VersionUnsupported};
        let cases = [
            ("GET / HTTP/1.1", Ok(())),
            ("GET / HTTP/1.0", Ok(())),
            ("\r\nGET / HTTP/1.1", Ok(())),
            ("PURGE /x HTTP/1.1", Ok(())),
            ("GET /\u{e9} HTTP/1.1", Ok(())),
            ("GET / HTTP/2.0", Err(VersionUnsupported)),
            ("GET / HTTP/1.2", Err(VersionUnsupported)),
            ("GET / HTTP/11", Err(VersionUnsupported)),
            ("GET / http/1.1", Err(HeadMalformed)),
            ("GET /", Err(HeadMalformed)),
            ("GET  / HTTP/1.1", Err(HeadMalformed)),
            ("GET / HTTP/1.1 ", Err(HeadMalformed)),
            ("GET /a b HTTP/1.1", Err(HeadMalformed)),
            ("GET / HTTP/1.1\r", Err(HeadMalformed)),
            ("GET / HTTP/1.1\rXHost: app", Err(HeadMalformed)),
            ("GET / HTTP/1.1\rXContent-Length: 5", Err(HeadMalformed)),
            ("GET / HTTP/1.1\r:X: a", Err(HeadMalformed)),
            ("GET /a\tb HTTP/1.1", Err(HeadMalformed)),
            ("GET\t/ HTTP/1.1", Err(HeadMalformed)),
            (" GET / HTTP/1.1", Err(HeadMalformed)),
            ("CONNECT app:443 HTTP/1.1", Err(Refusal::PathMalformed)),
            ("GET http://app/ HTTP/1.1", Err(Refusal::PathMalformed)),
            ("GET app HTTP/1.1", Err(Refusal::PathMalformed)),
            ("GET /?a=\"b\" HTTP/1.1", Err(Refusal::PathMalformed)),
            ("GET /<a> HTTP/1.1", Err(Refusal::PathMalformed)),
            ("OPTIONS * HTTP/1.1", Err(Refusal::PathMalformed)),
            ("G@T / HTTP/1.1", Err(HeadMalformed)),
            ("G(T / HTTP/1.1", Err(HeadMalformed)),
            ("get / HTTP/1.1", Err(HeadMalformed)),
            ("Get / HTTP/1.1", Err(HeadMalformed)),
            ("\u{16}\u{3}\u{1}", Err(HeadMalformed)),
        ];
        for (line, expected) in cases {
            let text = format!("{line}\r\nHost: app\r\n\r\n");
            assert_eq!(
                head(&text).map(|h| assert!(h.is_some())),
                expected,
                "{line:?}"
            );
        }
        for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: a/b\r\n", "Host:\r\n"] {
            let text = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
            assert_eq!(head(&text), Err(HostInvalid), "{hosts:?}");
        }
    }

    #[test]
    fn the_limits_are_exact() {
        let sized = |target: usize, filler: usize| {
            let (target, filler) = ("a".repeat(target - 1), "x".repeat(filler));
            head(&format!(
                "GET /{target} HTTP/1.1\r\nHost: app\r\nX: {filler}\r\n\r\n"
            ))
        };
        assert!(sized(8192, 1).is_ok());
        assert_eq!(sized(8193, 1), Err(Refusal::TargetTooLong));
        let rest = sized(1, 0).unwrap().unwrap().length;
        assert!(sized(1, 32 * 1024 - rest).is_ok());
        assert_eq!(sized(1, 32 * 1024 - rest + 1), Err(Refusal::HeadTooLarge));
        assert!(with(&"X: 1\r\n".repeat(MOST_FIELDS - 1)).is_ok());
        assert_eq!(
            with(&"X: 1\r\n".repeat(MOST_FIELDS)),
            Err(Refusal::HeadTooLarge)
        );
        // Told as soon as it is known, not when the head has ended.
        assert_eq!(
            head(&format!("GET /{}", "a".repeat(8192))),
            Err(Refusal::TargetTooLong)
        );
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(32 * 1024));
        assert_eq!(head(&endless), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn the_connection_is_kept_when_both_would_keep_it() {
        let kept = |version: &str, fields: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: app\r\n{fields}\r\n");
            head(&text).unwrap().unwrap().keep_alive
        };
        assert!(kept("1.1", ""));
        assert!(kept("1.1", "Connection: upgrade\r\n"));
        assert!(!kept("1.1", "Connection: x, Close\r\n"));
        assert!(!kept(
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n"
        ));
        assert!(!kept("1.0", ""));
        assert!(kept("1.0", "Connection: Keep-Alive\r\n"));
    }

    #[test]
    fn what_is_undisputed_in_a_target_the_proxys_own_parser_takes_as_well() {
        for octet in (0..=255).filter(|octet| UNDISPUTED[usize::from(*octet)]) {
            let octet = char::from(octet);
            let target = format!("/{octet}a{octet}?{octet}b{octet}");
            let read = PathAndQuery::try_from(target.as_str()).unwrap();
            assert_eq!(read.as_str(), target);
        }
    }

    #[test]
    fn heads_of_few_lines_and_of_many_are_read_alike() {
        for count in [1, FEW - 1, FEW, FEW + 1, MOST_FIELDS - 1, MOST_FIELDS] {
            let fields = "A: 1\r\n".repeat(count - 1);
            let bytes = format!("GET / HTTP/1.1\r\n{fields}Host: app\r\n\r\n");
            let read = examine_with(bytes.as_bytes(), 0, &LIMITS, |_, lines| {
                let named = lines.fields.iter().filter(|field| field.name == "A");
                (lines.fields.len(), named.count(), lines.named)
            });
            let (_, read) = read.unwrap().unwrap();
            let bits = bit(b"host") | if count > 1 { bit(b"a") } else { 0 };
            assert_eq!(read, (count, count - 1, bits));
        }
        let fields = "A: 1\r\n".repeat(MOST_FIELDS);
        let refused = with(&fields).unwrap_err();
        assert_eq!(refused, Refusal::HeadTooLarge);
    }

    proptest! {
        #[test]
        fn a_head_that_drips_in_is_read_like_one_that_comes_whole(
            line in "(GET|POST) /[a-z%?]{0,6} HTTP/1\\.[01]",
            fields in "(Host: a\r\n|Content-Length: [0-9]{1,2}\r\n|X[: ]{1,2}y\r?\n|Transfer-Encoding: chunked\r\n){0,3}",
            rest in "[a-z\r\n]{0,8}",
        ) {
            let text = format!("{line}\r\n{fields}\r\n{rest}");
            let bytes = text.as_bytes();
            let mut dripped = Ok(None);
            for end in 1..=bytes.len() {
                dripped = examine(&bytes[..end], end - 1, &LIMITS);
                if !matches!(dripped, Ok(None)) {
                    break;
                }
            }
            prop_assert_eq!(dripped, examine(bytes, 0, &LIMITS));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = examine(&bytes, 0, &LIMITS);
            let _ = (method_of(&bytes), target_of(&bytes));
        }
    }
}
