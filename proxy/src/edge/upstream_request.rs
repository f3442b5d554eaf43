//! The request to the app, in both lanes: what was decided, and of the caller's
//! head only what belongs to the message. Managed headers are set or removed;
//! nothing of the caller's survives by default.

use super::context::Context;
use super::request_head::RequestHead;
use camarad_policies::authorise::Permit;
use camarad_policies::forwarded::Forwarded;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;

/// Headers of one connection (RFC 9110, section 7.6.1), and those that would keep
/// an answer from coming whole and plain.
const NOT_FORWARDED: [&str; 16] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "if-match",
    "if-unmodified-since",
];

/// Headers by which some server or framework lets a caller say what it alone
/// should know: gunicorn goes by the first two, and refuses when they contradict ours.
const NEVER_FORWARDED: [&str; 12] = [
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
];

/// Headers that are ours to set, or nobody's.
const MANAGED: [&str; 11] = [
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
];

/// Where a request comes from and under which id it goes on.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) request_id: &'a str,
    /// `None`: the answer may be somebody else's as well.
    pub(super) forwarded: Option<&'a Forwarded>,
}

impl<'a> Sender<'a> {
    pub(super) fn of(context: &'a Context) -> Self {
        Self {
            request_id: &context.record.request_id,
            forwarded: context.forwarded.as_ref(),
        }
    }
}

/// Makes a head say what was decided; for what is streamed, where the rest stays.
pub(super) fn shape(
    head: &mut RequestHeader,
    permit: &Permit,
    sender: Sender<'_>,
) -> pingora::Result<()> {
    head.set_raw_path(permit.target().as_bytes())?;
    let names = head.headers.keys();
    let left = names.filter(|name| is_folding(name.as_str()) || is_ours_or_nobodys(name.as_str()));
    for name in left.cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    for (name, value) in decided(permit, sender) {
        head.append_header(name, value)?;
    }
    Ok(())
}

/// The head of a caller's request whose answer is wanted whole and plain.
pub(super) fn of_caller(
    head: &RequestHead,
    permit: &Permit,
    sender: Sender<'_>,
    body: usize,
) -> pingora::Result<RequestHeader> {
    let named: Vec<&[u8]> = head
        .all("connection")
        .flat_map(|value| value.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let goes_on = |name: &str| {
        let is_named = |named: &&[u8]| named.eq_ignore_ascii_case(name.as_bytes());
        // It is said anew, so that the answer comes plain.
        let is_coding = name.eq_ignore_ascii_case("accept-encoding");
        let stays = is_coding || is_among(name, &NOT_FORWARDED) || named.iter().any(is_named);
        !stays && !is_folding(name) && !is_ours_or_nobodys(name)
    };
    whole(head.method(), head.owned(goes_on), permit, sender, body)
}

/// The head of a request whose answer is wanted whole and plain, with these headers and
/// what was decided.
pub(super) fn whole(
    method: &str,
    fields: impl Iterator<Item = (HeaderName, HeaderValue)>,
    permit: &Permit,
    sender: Sender<'_>,
    body: usize,
) -> pingora::Result<RequestHeader> {
    let target = permit.target();
    let mut head = RequestHeader::build_no_case(method, target.as_bytes(), Some(24))?;
    for (name, value) in fields.chain(decided(permit, sender)) {
        head.append_header(name, value)?;
    }
    let identity = HeaderValue::from_static("identity");
    head.append_header(header::ACCEPT_ENCODING, identity)?;
    if !head.method.is_safe() || body > 0 {
        head.append_header(header::CONTENT_LENGTH, HeaderValue::from(body))?;
    }
    Ok(head)
}

/// The headers of an answer that may go on.
pub(super) fn forwardable(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let goes_on =
        |name: &HeaderName| !named.contains(name) && !NOT_FORWARDED.contains(&name.as_str());
    headers
        .iter()
        .filter(|(name, _)| goes_on(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// WSGI folds `_` and `-` in names: what looks like nothing we know may be something there.
fn is_folding(name: &str) -> bool {
    name.contains('_')
}

fn is_ours_or_nobodys(name: &str) -> bool {
    is_among(name, &NEVER_FORWARDED) || is_among(name, &MANAGED)
}

fn is_among(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// What was decided, as headers. What cannot be one is left out: it is not said then.
fn decided(
    permit: &Permit,
    sender: Sender<'_>,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let identity = permit.upstream_identity();
    let forwarded = sender.forwarded;
    let chain = forwarded.map(|said| {
        let chain: Vec<String> = said.chain.iter().map(ToString::to_string).collect();
        chain.join(", ")
    });
    let all = [
        (HeaderName::from_static("x-client-id"), identity.client_id),
        (HeaderName::from_static("x-user-id"), identity.user_id),
        (header::AUTHORIZATION, identity.authorization),
        (header::COOKIE, identity.cookie),
        (
            HeaderName::from_static("x-request-id"),
            Some(sender.request_id.to_owned()),
        ),
        (
            HeaderName::from_static("x-internal-token"),
            identity.internal_token,
        ),
        // Said with the names that the app's world knows; `Forwarded` is not said as well.
        (HeaderName::from_static("x-forwarded-for"), chain),
        (
            HeaderName::from_static("x-forwarded-proto"),
            forwarded.map(|said| said.proto.to_owned()),
        ),
        (
            HeaderName::from_static("x-forwarded-host"),
            forwarded.and_then(|said| said.host.clone()),
        ),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_does_not_go_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "X-Other, not a name"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("accept", "*/*"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let kept = forwardable(&headers);
        let kept: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["accept"]);
    }
}
