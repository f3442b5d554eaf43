//! The request to the app, in every lane: what was decided, and of the caller's
//! head only what belongs to the message. Managed headers are set or removed;
//! nothing of the caller's survives by default.

use super::answer::{push_line, push_line_of};
use super::context::Context;
use super::request_head::RequestHead;
use camarad_policies::authorise::Permit;
use camarad_policies::forwarded::Forwarded;
use camarad_policies::names::{Names, OF_CONNECTION, bit};
use http::header::HeaderValue;
use pingora::http::RequestHeader;

/// Bytes of a usual head.
const USUAL_HEAD: usize = 2048;

/// Headers about a body or an upgrade, which are said anew or by Pingora.
const SAID_ANEW: Names = Names::new(&["content-length", "expect", "http2-settings"]);

/// Headers that would keep an answer from coming whole and plain.
const NOT_WHOLE: Names = Names::new(&[
    "accept-encoding",
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "if-match",
    "if-unmodified-since",
]);

/// Headers by which some server or framework lets a caller say what it alone
/// should know: gunicorn goes by the first two, and refuses when they contradict ours.
const NEVER_FORWARDED: Names = Names::new(&[
    "x-forwarded-ssl",
    "x-forwarded-protocol",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-http-method-override",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-script-name",
    "front-end-https",
]);

/// Headers that are ours to set, or nobody's.
const MANAGED: Names = Names::new(&[
    "x-client-id",
    "x-user-id",
    "authorization",
    "cookie",
    "x-request-id",
    "x-camarad-source",
    "x-internal-token",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
]);

/// A head of a request to the app, as it goes on the wire.
pub(super) struct UpstreamHead {
    bytes: Vec<u8>,
    is_safe: bool,
    is_head: bool,
    is_repeatable: bool,
}

impl UpstreamHead {
    /// `None` for a target that would not be read as one.
    fn new(method: &str, permit: &Permit) -> Option<Self> {
        let query = permit.query().as_str();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = Self::bare(method, [permit.path().as_str(), mark, query])?;
        head.is_repeatable = head.is_safe && !permit.rule().changes(method);
        Some(head)
    }

    fn bare(method: &str, target: [&str; 3]) -> Option<Self> {
        let mut bytes = Vec::with_capacity(USUAL_HEAD);
        bytes.extend_from_slice(method.as_bytes());
        bytes.push(b' ');
        let start = bytes.len();
        for piece in target {
            bytes.extend_from_slice(piece.as_bytes());
        }
        let target = &bytes[start..];
        let is_target = target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        is_target.then_some(Self {
            bytes,
            is_safe: matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE"),
            is_head: method == "HEAD",
            is_repeatable: false,
        })
    }

    /// A header more. What cannot be one is left out: it is not said then.
    fn push(&mut self, name: impl AsRef<[u8]>, value: &[u8]) {
        if is_value(value) {
            push_line(&mut self.bytes, name, value);
        }
    }

    /// What was decided.
    fn push_decided(&mut self, permit: &Permit, sender: Sender<'_>) {
        decided(permit, sender, |name, pieces| {
            if pieces.iter().all(|piece| is_value(piece.as_bytes())) {
                push_line_of(&mut self.bytes, name, pieces);
            }
        });
    }

    /// Ends it, with the length of the body behind it.
    fn end(&mut self, body: u64) {
        if !self.is_safe || body > 0 {
            let mut digits = itoa::Buffer::new();
            self.push("Content-Length", digits.format(body).as_bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Whole, with the blank line.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// RFC 9110, section 9.2.1.
    pub(super) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// It can be asked twice: it is safe, and the matrix knows of nothing that it changes.
    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// No body follows its answer.
    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }
}

/// What a request goes on with.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) request_id: &'a str,
    /// Where it comes from; `None` where the answer may be somebody else's as well.
    pub(super) forwarded: Option<&'a Forwarded>,
    /// The address of `forwarded`'s client, as text.
    pub(super) client_address: Option<&'a str>,
    /// Whose it is and in which client; not said where everybody's answer is asked for.
    pub(super) says_who: bool,
}

impl<'a> Sender<'a> {
    pub(super) fn of(context: &'a Context) -> Self {
        Self {
            request_id: &context.record.request_id,
            forwarded: context.forwarded.as_ref(),
            client_address: context.record.client_address.as_deref(),
            says_who: true,
        }
    }
}

/// Makes a head say what was decided; for what Pingora streams, where the rest stays.
pub(super) fn shape(
    head: &mut RequestHeader,
    permit: &Permit,
    sender: Sender<'_>,
) -> pingora::Result<()> {
    head.set_raw_path(permit.target().as_bytes())?;
    let names = head.headers.keys();
    let left = names.filter(|name| {
        let name = name.as_ref();
        is_folding(name) || is_ours_or_nobodys(bit(name), name)
    });
    for name in left.cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    let mut said = Ok(true);
    decided(permit, sender, |name, pieces| {
        // What cannot be a header is left out: it is not said then.
        if let (Ok(value), Ok(_)) = (HeaderValue::try_from(pieces.concat()), &said) {
            said = head.append_header(name, value);
        }
    });
    said.map(|_| ())
}

/// The head of a caller's request whose answer is wanted whole and plain. `kind` is that
/// of the body, where it is not the caller's own; `left` are names that do not go on.
pub(super) fn of_caller(
    head: &RequestHead,
    permit: &Permit,
    sender: Sender<'_>,
    body: usize,
    kind: Option<&str>,
    left: &[&str],
) -> Option<UpstreamHead> {
    let goes_on = |bit: u64, name: &[u8]| {
        // It is said anew.
        let is_kind = kind.is_some() && name.eq_ignore_ascii_case(b"content-type");
        !is_kind
            && !left
                .iter()
                .any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
            && !NOT_WHOLE.has_at(bit, name)
    };
    let fields = of_message(head, goes_on);
    let kind = kind.map(|kind| (&b"Content-Type"[..], kind.as_bytes()));
    whole(head.method(), fields.chain(kind), permit, sender, body)
}

/// The head of a caller's request whose answer is handed on as it comes: in parts, on conditions
/// and coded, as the caller asks for it. `body` is the length of what follows, in bytes.
pub(super) fn streamed(
    head: &RequestHead,
    permit: &Permit,
    sender: Sender<'_>,
    body: u64,
) -> Option<UpstreamHead> {
    let mut onward = UpstreamHead::new(head.method(), permit)?;
    for (name, value) in of_message(head, |_, _| true) {
        onward.push(name, value);
    }
    onward.push_decided(permit, sender);
    onward.end(body);
    Some(onward)
}

/// What belongs to the message itself, is not ours to say, and `goes_on` by its name and the
/// bit of that.
fn of_message(
    head: &RequestHead,
    goes_on: impl Fn(u64, &[u8]) -> bool,
) -> impl Iterator<Item = (&[u8], &[u8])> {
    let named: Vec<&[u8]> = head
        .all("connection")
        .flat_map(|value| value.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    head.fields().filter(move |(name, _)| {
        let bit = bit(name);
        let is_named = |named: &&[u8]| named.eq_ignore_ascii_case(name);
        let stays = OF_CONNECTION.has_at(bit, name) || SAID_ANEW.has_at(bit, name);
        let stays = stays || named.iter().any(is_named);
        !stays && !is_folding(name) && !is_ours_or_nobodys(bit, name) && goes_on(bit, name)
    })
}

/// The head of a request whose answer is wanted whole and plain, with these headers and
/// what was decided.
pub(super) fn whole<'a>(
    method: &str,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    permit: &Permit,
    sender: Sender<'_>,
    body: usize,
) -> Option<UpstreamHead> {
    let mut head = UpstreamHead::new(method, permit)?;
    for (name, value) in fields {
        head.push(name, value);
    }
    head.push_decided(permit, sender);
    head.push("Accept-Encoding", b"identity");
    head.end(body as u64);
    Some(head)
}

/// WSGI folds `_` and `-` in names: what looks like nothing we know may be something there.
fn is_folding(name: &[u8]) -> bool {
    name.contains(&b'_')
}

fn is_ours_or_nobodys(bit: u64, name: &[u8]) -> bool {
    NEVER_FORWARDED.has_at(bit, name) || MANAGED.has_at(bit, name)
}

/// Whether this can be the value of a header.
fn is_value(value: &[u8]) -> bool {
    // Without a way out in the middle: this goes by many bytes at once.
    let is_control = |b: &u8| (*b < 0x20) & (*b != b'\t') | (*b == 0x7f);
    !value.iter().fold(false, |bad, b| bad | is_control(b))
}

/// What was decided, as headers: each with its name, and its value in pieces.
fn decided(permit: &Permit, sender: Sender<'_>, mut say: impl FnMut(&'static str, &[&str])) {
    if sender.says_who {
        let identity = permit.upstream_identity();
        let mut say_if = |name, prefix, value: Option<&str>| {
            if let Some(value) = value {
                say(name, &[prefix, value]);
            }
        };
        say_if("X-Client-ID", "", identity.client_id.as_deref());
        say_if("X-User-ID", "", identity.user_id.as_deref());
        say_if("Authorization", "Bearer ", identity.bearer);
        say_if("X-Internal-Token", "", identity.internal_token);
        let cookie = identity.cookie();
        if !cookie.is_empty() {
            say("Cookie", &cookie);
        }
    }
    say("X-Request-Id", &[sender.request_id]);
    // Said with the names that the app's world knows; `Forwarded` is not said as well.
    if let Some(forwarded) = sender.forwarded {
        match (&forwarded.chain[..], sender.client_address) {
            // The client is the peer, whose address its connection has as text.
            ([], Some(client)) => say("X-Forwarded-For", &[client]),
            ([], None) => say("X-Forwarded-For", &[&forwarded.client.to_string()]),
            (chain, _) => {
                let chain: Vec<String> = chain.iter().map(ToString::to_string).collect();
                say("X-Forwarded-For", &[&chain.join(", ")]);
            }
        }
        say("X-Forwarded-Proto", &[forwarded.proto]);
        if let Some(host) = forwarded.host.as_deref() {
            say("X-Forwarded-Host", &[host]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl UpstreamHead {
        /// With no headers.
        pub(crate) fn for_test(method: &str, target: &str) -> Self {
            let mut head = Self::bare(method, [target, "", ""]).unwrap();
            head.bytes.extend_from_slice(b"\r\n");
            head
        }
    }

    #[test]
    fn nothing_in_a_value_or_target_becomes_a_line() {
        for target in ["", "a", "/a b", "/a\r\nX: y", "/\u{e9}", "http://a/"] {
            let head = UpstreamHead::bare("GET", [target, "", ""]);
            assert!(head.is_none(), "{target:?}");
        }
        let mut head = UpstreamHead::bare("GET", ["/a", "?", "b=%20"]).unwrap();
        for value in ["a\r\nX-Client-ID: 20", "a\nb", "a\0", "a\u{7f}"] {
            head.push("X", value.as_bytes());
            head.push("X", format!("{}{value}", "a".repeat(64)).as_bytes());
        }
        head.push("Y", "a\tb \u{e9}".as_bytes());
        let expected = "GET /a?b=%20 HTTP/1.1\r\nY: a\tb \u{e9}\r\n";
        assert_eq!(head.bytes(), expected.as_bytes());
    }
}
