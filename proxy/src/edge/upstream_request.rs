//! The managed headers of every request to the app, in both lanes: set from
//! what was decided, or removed. Nothing of the caller's survives by default.

use camarad_policies::authorise::Permit;
use http::HeaderMap;
use ipnet::IpNet;
use pingora::proxy::Session;
use std::net::IpAddr;

/// A header to set, or with `None` to remove.
pub(super) type Managed = (&'static str, Option<String>);

/// The managed headers for the app.
pub(super) fn managed(
    session: &Session,
    permit: &Permit,
    request_id: &str,
    trusted: &[IpNet],
) -> Vec<Managed> {
    let peer = session
        .client_addr()
        .and_then(|addr| addr.as_inet())
        .map(|addr| addr.ip());
    let identity = permit.upstream_identity();
    let mut managed = vec![
        ("x-client-id", identity.client_id),
        ("x-user-id", identity.user_id),
        ("authorization", identity.authorization),
        ("cookie", identity.cookie),
        ("x-request-id", Some(request_id.to_owned())),
        ("x-camarad-source", None),
        ("x-internal-token", None),
        ("x-real-ip", None),
        ("x-forwarded-prefix", None),
        ("forwarded", None),
    ];
    managed.extend(forwarded(&session.req_header().headers, peer, trusted));
    managed
}

/// `X-Forwarded-*`: continued for a trusted peer, begun anew for any other.
fn forwarded(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &[IpNet]) -> [Managed; 3] {
    let is_trusted = peer.is_some_and(|peer| trusted.iter().any(|net| net.contains(&peer)));
    let given = |name: &str| {
        let values: Vec<&str> = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        (is_trusted && !values.is_empty()).then(|| values.join(", "))
    };
    let peer = peer.map(|peer| peer.to_string());
    let chain = match (given("x-forwarded-for"), peer) {
        (Some(chain), Some(peer)) => Some(format!("{chain}, {peer}")),
        (chain, peer) => chain.or(peer),
    };
    let scheme = given("x-forwarded-proto").filter(|s| matches!(s.as_str(), "http" | "https"));
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    [
        ("x-forwarded-for", chain),
        (
            "x-forwarded-proto",
            Some(scheme.unwrap_or_else(|| "http".to_owned())),
        ),
        (
            "x-forwarded-host",
            given("x-forwarded-host").or(host.map(str::to_owned)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_peer_continues_the_chain() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "app.example"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "public.example"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str| {
            let peer = peer.parse().unwrap();
            forwarded(&headers, Some(peer), &trusted).map(|(_, value)| value.unwrap())
        };
        assert_eq!(
            of("10.1.2.3"),
            ["203.0.113.9, 10.1.2.3", "https", "public.example"]
        );
        assert_eq!(of("192.0.2.1"), ["192.0.2.1", "http", "app.example"]);
    }
}
