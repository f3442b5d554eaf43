//! What a proxy in front of us says about the caller, and how much of it is believed.
//!
//! Anybody can write these headers. Each hop appends what it saw, so reading from
//! the right, everything up to the first address that is no trusted proxy was
//! written by somebody we trust, and everything before it by somebody we do not.

use std::net::IpAddr;
use std::sync::Arc;

/// Where a request came from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The rightmost address that is no trusted proxy; the peer's, when it is none.
    pub client: IpAddr,
    /// The believed part of the chain, from the client to the peer; empty where no hop before
    /// the peer is believed, which is the client then.
    pub chain: Vec<IpAddr>,
    /// `https` or `http`.
    pub proto: &'static str,
    /// The host that the caller asked for, where a trusted peer says so.
    pub host: Option<Arc<str>>,
}

/// The headers as they came; several lines of a name joined by `, `.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// `X-Forwarded-For`.
    pub x_for: Option<&'a str>,
    /// `X-Forwarded-Proto`.
    pub x_proto: Option<&'a str>,
    /// `X-Forwarded-Host`.
    pub x_host: Option<&'a str>,
    /// `Forwarded` (RFC 7239); looked at for what the others do not say.
    pub forwarded: Option<&'a str>,
}

/// Reads the chain; `is_trusted` says whether an address is one of our proxies.
pub fn read(peer: IpAddr, said: Said<'_>, is_trusted: impl Fn(IpAddr) -> bool) -> Forwarded {
    if !is_trusted(peer) {
        return Forwarded {
            client: peer,
            chain: Vec::new(),
            proto: "http",
            host: None,
        };
    }
    let elements = said.forwarded.map(elements).unwrap_or_default();
    let hops: Vec<Option<IpAddr>> = match said.x_for {
        Some(list) => list.split(',').map(|item| address(item.trim())).collect(),
        None => elements
            .iter()
            .map(|e| e.get("for").and_then(address))
            .collect(),
    };
    let mut chain = Vec::new();
    for hop in hops.iter().rev() {
        // What is no address ends what can be believed.
        let Some(hop) = hop else { break };
        if chain.is_empty() {
            chain.push(peer);
        }
        chain.push(*hop);
        if !is_trusted(*hop) {
            break;
        }
    }
    chain.reverse();
    let last = elements.last();
    let proto = said.x_proto.or_else(|| last.and_then(|e| e.get("proto")));
    let host = said.x_host.or_else(|| last.and_then(|e| e.get("host")));
    Forwarded {
        client: chain.first().copied().unwrap_or(peer),
        proto: match proto.map(str::to_ascii_lowercase).as_deref() {
            Some("https") => "https",
            _ => "http",
        },
        host: host
            .filter(|host| crate::host::is_host(host.as_bytes()))
            .map(Into::into),
        chain,
    }
}

/// An address, with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// One element of `Forwarded`: pairs of a name and a value without its quotes.
struct Element<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Element<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// No value that we look at may hold a comma, a semicolon or an escape, so a
/// quoted one that does reads as no address and ends the belief.
fn elements(header: &str) -> Vec<Element<'_>> {
    header
        .split(',')
        .map(|element| {
            let pairs = element.split(';').filter_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                Some((name.trim(), value.trim().trim_matches('"')))
            });
            Element(pairs.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, said: Said<'_>) -> (String, String, &'static str, Option<Arc<str>>) {
        let is_trusted = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(v6) => v6.is_loopback(),
        };
        let read = read(peer.parse().unwrap(), said, is_trusted);
        let chain: Vec<String> = read.chain.iter().map(ToString::to_string).collect();
        (
            read.client.to_string(),
            chain.join(", "),
            read.proto,
            read.host,
        )
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let cases = [
            ("192.0.2.1", Some("203.0.113.9"), "192.0.2.1", ""),
            ("10.0.0.1", None, "10.0.0.1", ""),
            (
                "10.0.0.1",
                Some("203.0.113.9"),
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                Some("1.1.1.1, 203.0.113.9, 10.0.0.2"),
                "203.0.113.9",
                "203.0.113.9, 10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                Some("10.0.0.3"),
                "10.0.0.3",
                "10.0.0.3, 10.0.0.1",
            ),
            ("10.0.0.1", Some("1.1.1.1, unknown"), "10.0.0.1", ""),
            ("10.0.0.1", Some("1.1.1.1,"), "10.0.0.1", ""),
            (
                "10.0.0.1",
                Some("203.0.113.9:4711"),
                "203.0.113.9",
                "203.0.113.9, 10.0.0.1",
            ),
            (
                "::1",
                Some("2001:db8::1"),
                "2001:db8::1",
                "2001:db8::1, ::1",
            ),
        ];
        for (peer, x_for, client, chain) in cases {
            let got = check(
                peer,
                Said {
                    x_for,
                    ..Said::default()
                },
            );
            assert_eq!(
                (got.0.as_str(), got.1.as_str()),
                (client, chain),
                "{peer} {x_for:?}"
            );
        }
    }

    #[test]
    fn only_a_trusted_peer_says_how_it_was_asked() {
        let said = Said {
            x_proto: Some("https"),
            x_host: Some("public.example"),
            ..Said::default()
        };
        let trusted = check("10.0.0.1", said);
        assert_eq!(
            (trusted.2, trusted.3.as_deref()),
            ("https", Some("public.example"))
        );
        let other = check("192.0.2.1", said);
        assert_eq!((other.2, other.3), ("http", None));
        let odd = Said {
            x_proto: Some("javascript"),
            x_host: Some("a/b"),
            ..Said::default()
        };
        let odd = check("10.0.0.1", odd);
        assert_eq!((odd.2, odd.3), ("http", None));
    }

    #[test]
    fn forwarded_says_what_the_others_do_not() {
        let forwarded =
            Some("for=1.1.1.1, For=\"[2001:db8::7]:4711\";Proto=https;host=public.example");
        let got = check(
            "::1",
            Said {
                forwarded,
                ..Said::default()
            },
        );
        assert_eq!(
            (got.0.as_str(), got.2, got.3.as_deref()),
            ("2001:db8::7", "https", Some("public.example"))
        );
        let both = Said {
            forwarded,
            x_for: Some("203.0.113.9"),
            ..Said::default()
        };
        assert_eq!(check("::1", both).0, "203.0.113.9");
        for hidden in ["for=_gateway", "for=unknown", "proto=https", "for=\"a,b\""] {
            let got = check(
                "::1",
                Said {
                    forwarded: Some(hidden),
                    ..Said::default()
                },
            );
            assert_eq!(got.0, "::1", "{hidden}");
        }
    }
}
