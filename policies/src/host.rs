//! The `Host` of a request: what can be one, and which ones we answer for.

use crate::refusal::Refusal;

/// Whether this is `uri-host [ ":" port ]` (RFC 9110, section 7.2), not empty.
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let (name, port) = split(text);
    let is_name = match name.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            !name.is_empty() && name.bytes().all(plain)
        }
    };
    is_name && port.is_none_or(|port| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether we answer for this host; `allowed` holds names in lower case, without
/// ports, and none means all.
///
/// Errors with [`Refusal::HostNotAllowed`].
pub fn allow(host: &str, allowed: &[String]) -> Result<(), Refusal> {
    let name = split(host).0;
    let is_named = |one: &String| name.eq_ignore_ascii_case(one);
    match allowed.is_empty() || allowed.iter().any(is_named) {
        true => Ok(()),
        false => Err(Refusal::HostNotAllowed),
    }
}

/// Name and port; an IPv6 address keeps its brackets.
fn split(host: &str) -> (&str, Option<&str>) {
    let start = memchr::memrchr(b']', host.as_bytes()).map_or(0, |at| at + 1);
    match memchr::memchr(b':', &host.as_bytes()[start..]) {
        Some(at) => (&host[..start + at], Some(&host[start + at + 1..])),
        None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_can_be() {
        for good in [
            "app",
            "app.example",
            "APP:80",
            "127.0.0.1:5050",
            "[::1]",
            "[::1]:80",
            "a_b",
            "a:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "a,b",
            "user@app",
            "app:80:81",
            "app:x",
            "[::1",
            "::1",
            "[x]",
            "a\\b",
            "app:123456",
            "a%00",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn only_the_hosts_that_are_listed() {
        let listed = ["app.example".to_owned(), "[::1]".to_owned()];
        for (host, fine) in [
            ("app.example", true),
            ("APP.example:8443", true),
            ("[::1]:5050", true),
            ("app.example.evil", false),
            ("evil.app.example", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(allow(host, &listed).is_ok(), fine, "{host}");
            assert!(allow(host, &[]).is_ok());
        }
    }
}
