//! The request to the app, in both lanes: what was decided, and of the caller's
//! head only what belongs to the message. Managed headers are set or removed;
//! nothing of the caller's survives by default.

use super::context::Context;
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use http::header::{self, HeaderMap, HeaderName};
use pingora::http::RequestHeader;

/// Headers of one connection (RFC 9110, section 7.6.1), and those that would keep
/// an answer from coming whole and plain.
const NOT_FORWARDED: [HeaderName; 15] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
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

/// Makes a head say what was decided.
pub(super) fn shape(
    head: &mut RequestHeader,
    permit: &Permit,
    context: &Context,
) -> pingora::Result<()> {
    head.set_raw_path(permit.target().as_bytes())?;
    // WSGI folds `_` and `-` in names: what looks like nothing we know may be something there.
    let folding = head
        .headers
        .keys()
        .filter(|name| name.as_str().contains('_'));
    for name in folding.cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    for name in NEVER_FORWARDED {
        head.remove_header(name);
    }
    for (name, value) in managed(permit, context) {
        match value {
            Some(value) => head.insert_header(name, value)?,
            None => drop(head.remove_header(name)),
        }
    }
    Ok(())
}

/// The head of a request whose answer is wanted whole and plain.
pub(super) fn whole(
    head: &RequestHeader,
    permit: &Permit,
    context: &Context,
    body: &Bytes,
) -> pingora::Result<RequestHeader> {
    let mut head = head.clone();
    for name in of_connection(&head.headers) {
        head.remove_header(&name);
    }
    shape(&mut head, permit, context)?;
    head.set_version(http::Version::HTTP_11);
    head.insert_header(header::ACCEPT_ENCODING, "identity")?;
    if !head.method.is_safe() || !body.is_empty() {
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
    }
    Ok(head)
}

/// The headers of an answer that may go on.
pub(super) fn forwardable(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in of_connection(headers) {
        kept.remove(name);
    }
    kept
}

/// The names that belong to one connection: the known ones and those it names.
fn of_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers.get_all(header::CONNECTION).iter();
    let named = named.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let named = named.filter_map(|name| name.trim().parse().ok());
    named
        .chain(NOT_FORWARDED)
        .chain([HeaderName::from_static("keep-alive")])
        .collect()
}

/// A header to set, or with `None` to remove.
type Managed = (&'static str, Option<String>);

fn managed(permit: &Permit, context: &Context) -> Vec<Managed> {
    let identity = permit.upstream_identity();
    let forwarded = context.forwarded.as_ref();
    let chain = forwarded.map(|said| {
        let chain: Vec<String> = said.chain.iter().map(ToString::to_string).collect();
        chain.join(", ")
    });
    vec![
        ("x-client-id", identity.client_id),
        ("x-user-id", identity.user_id),
        ("authorization", identity.authorization),
        ("cookie", identity.cookie),
        ("x-request-id", Some(context.record.request_id.clone())),
        ("x-camarad-source", None),
        ("x-internal-token", identity.internal_token),
        // Said with the names that the app's world knows; one form is enough.
        ("forwarded", None),
        ("x-forwarded-for", chain),
        (
            "x-forwarded-proto",
            forwarded.map(|said| said.proto.to_owned()),
        ),
        (
            "x-forwarded-host",
            forwarded.and_then(|said| said.host.clone()),
        ),
    ]
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
        let kept: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(kept, ["accept"]);
    }
}
