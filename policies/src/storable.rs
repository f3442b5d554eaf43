//! Whether an answer of the app may be kept, as it says itself (RFC 9111, section 3).
//!
//! What the matrix says of the route comes first: this can only say no.

/// What an answer says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its status.
    pub status: u16,
    /// It sets a cookie.
    pub sets_cookie: bool,
    /// `Cache-Control`, several lines joined by commas.
    pub cache_control: &'a str,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `Vary`, several lines joined by commas.
    pub vary: &'a str,
}

/// Whether an answer may be kept: 200, JSON, setting nothing, and not saying otherwise.
pub fn is_storable(said: &Said<'_>) -> bool {
    let media = said.content_type.split(';').next().unwrap_or_default();
    let forbids = |directive: &str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        ["no-store", "private", "no-cache"]
            .iter()
            .any(|no| name.eq_ignore_ascii_case(no))
    };
    said.status == 200
        && !said.sets_cookie
        && media.trim().eq_ignore_ascii_case("application/json")
        && !said.cache_control.split(',').any(forbids)
        // It depends on more than the key holds.
        && said.vary.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_otherwise_is_not_kept() {
        let good = Said {
            status: 200,
            content_type: "application/json; charset=utf-8",
            ..Said::default()
        };
        assert!(is_storable(&good));
        let fine = Said {
            cache_control: "max-age=5",
            ..good
        };
        assert!(is_storable(&fine));
        for bad in [
            Said {
                status: 201,
                ..good
            },
            Said {
                status: 404,
                ..good
            },
            Said {
                sets_cookie: true,
                ..good
            },
            Said {
                cache_control: "max-age=5, No-Store",
                ..good
            },
            Said {
                cache_control: "private=\"x\"",
                ..good
            },
            Said {
                cache_control: "no-cache",
                ..good
            },
            Said {
                content_type: "text/html",
                ..good
            },
            Said {
                content_type: "",
                ..good
            },
            Said {
                vary: "Accept-Language",
                ..good
            },
        ] {
            assert!(!is_storable(&bad), "{bad:?}");
        }
    }
}
