//! Whether a request that changes something came from our own pages.
//!
//! A session cookie is sent by the browser whoever's page made the request. A
//! bearer token is not, so only requests that are identified by cookie are
//! looked at, and the login itself, which would let another site log its
//! visitor in as somebody. Browsers say where a request comes from in
//! `Sec-Fetch-Site` (Fetch Metadata) and `Origin` (RFC 6454); a caller that is no
//! browser sends neither and is not at risk.

use crate::refusal::Refusal;

/// What the request says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Origins<'a> {
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// The host that the caller asked for, such as `app.example:8443`.
    pub own_host: Option<&'a str>,
}

/// Whether such a request has to come from our own pages.
pub fn is_checked(method: &str, by_cookie: bool) -> bool {
    by_cookie && !matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// Refuses an unsafe method that was authenticated by cookie and comes from elsewhere.
pub fn check(method: &str, by_cookie: bool, origins: Origins<'_>) -> Result<(), Refusal> {
    match !is_checked(method, by_cookie) || is_own(origins) {
        true => Ok(()),
        false => Err(Refusal::CrossSite),
    }
}

/// Refuses a login that a page of another site could have made.
pub fn check_login(content_type: Option<&str>, origins: Origins<'_>) -> Result<(), Refusal> {
    let essence = content_type
        .and_then(|kind| kind.split(';').next())
        .map(str::trim);
    if !essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(Refusal::LoginNotJson);
    }
    match is_own(origins) {
        true => Ok(()),
        false => Err(Refusal::CrossSite),
    }
}

/// What is present has to say that it is our own; `none` is the address bar.
fn is_own(origins: Origins<'_>) -> bool {
    let by_site = origins
        .fetch_site
        .is_none_or(|site| matches!(site, "same-origin" | "none"));
    // A browser says the scheme it sees; a proxy in front may not tell us the same.
    let is_own_host = |origin: &str| match (origin.split_once("://"), origins.own_host) {
        (Some((_, host)), Some(own)) => host.eq_ignore_ascii_case(own),
        _ => false,
    };
    let by_origin = match (origins.origin, origins.fetch_site) {
        (None, _) => true,
        // The stronger of the two has spoken, and it knows the scheme.
        (Some(_), Some("same-origin")) => true,
        (Some(origin), _) => is_own_host(origin),
    };
    by_site && by_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_change_things_with_a_cookie() {
        let cases = [
            (None, None, true),
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://app.example"), true),
            (Some("none"), None, true),
            (None, Some("https://app.example"), true),
            (None, Some("http://APP.example"), true),
            (None, Some("https://app.example:8443"), false),
            (None, Some("https://app.example.evil"), false),
            (None, Some("null"), false),
            (None, Some("app.example"), false),
            (None, Some(""), false),
            (Some("same-site"), None, false),
            (Some("cross-site"), None, false),
            (Some("cross-site"), Some("https://app.example"), false),
            (Some("none"), Some("https://evil.example"), false),
            (Some("SAME-ORIGIN"), None, false),
            (Some(""), None, false),
        ];
        for (fetch_site, origin, passes) in cases {
            let origins = Origins {
                fetch_site,
                origin,
                own_host: Some("app.example"),
            };
            let expected = if passes {
                Ok(())
            } else {
                Err(Refusal::CrossSite)
            };
            assert_eq!(check("POST", true, origins), expected, "{origins:?}");
            assert_eq!(
                check_login(Some("application/json"), origins),
                expected,
                "{origins:?}"
            );
            assert_eq!(check("POST", false, origins), Ok(()), "{origins:?}");
            assert_eq!(check("GET", true, origins), Ok(()), "{origins:?}");
            assert!(is_checked("POST", true) && !is_checked("POST", false));
            assert!(!is_checked("HEAD", true));
        }
    }

    #[test]
    fn a_login_is_json() {
        let origins = Origins {
            fetch_site: None,
            origin: None,
            own_host: Some("a"),
        };
        for (kind, passes) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("text/plain"), false),
            (Some("text/plain; application/json"), false),
            (Some("application/jsonx"), false),
            (None, false),
        ] {
            let expected = if passes {
                Ok(())
            } else {
                Err(Refusal::LoginNotJson)
            };
            assert_eq!(check_login(kind, origins), expected, "{kind:?}");
        }
    }
}
