//! `Cache-Status` (RFC 9211): what the cache did with a request, for the caller to read.
//!
//! Not here: what the cache does. Misuse to beware of: the caller reads it, so it says
//! nothing of other callers but that one of them was just fetching the same.

/// The name by which the sidecar's cache goes.
pub const CACHE: &str = "camarad-sidecar";
/// The largest whole number of a structured field (RFC 8941, section 3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

/// Why the upstream was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Nothing was stored.
    Miss,
    /// The cache is not used for such a request.
    Bypass,
    /// What was stored was too old.
    Stale,
}

impl Forward {
    /// Value of `fwd`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Stale => "stale",
        }
    }
}

/// The field's value; [`CacheStatus::write_to`] writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Answered from the store without asking; `forward`, `stored` and `collapsed` then
    /// say nothing and are not written.
    pub hit: bool,
    /// Why the upstream was asked.
    pub forward: Option<Forward>,
    /// Seconds for which the answer is still fresh; below zero, since when it is not.
    pub ttl: Option<i64>,
    /// The answer was kept.
    pub stored: bool,
    /// It was fetched together with another request's.
    pub collapsed: bool,
    /// More, as a token (RFC 8941, section 3.3.4) such as `method`; what is none is not written.
    pub detail: Option<&'static str>,
}

impl CacheStatus {
    /// Writes the field's value.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
        say(CACHE);
        if self.hit {
            say("; hit");
        } else {
            if let Some(forward) = self.forward {
                say("; fwd=");
                say(forward.as_str());
            }
            if self.stored {
                say("; stored");
            }
            if self.collapsed {
                say("; collapsed");
            }
        }
        if let Some(ttl) = self.ttl {
            say("; ttl=");
            say(itoa::Buffer::new().format(ttl.clamp(-LARGEST, LARGEST)));
        }
        if let Some(detail) = self.detail.filter(|detail| is_token(detail)) {
            say("; detail=");
            say(detail);
        }
    }
}

/// Anything else would make the whole field unreadable.
fn is_token(text: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'*';
    let is_next = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b);
    text.bytes().next().is_some_and(is_first) && text.bytes().all(is_next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISS: CacheStatus = CacheStatus {
        hit: false,
        forward: Some(Forward::Miss),
        ttl: None,
        stored: false,
        collapsed: false,
        detail: None,
    };
    const HIT: CacheStatus = CacheStatus {
        hit: true,
        forward: None,
        ..MISS
    };

    fn text(status: &CacheStatus) -> String {
        let mut out = Vec::new();
        status.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn exactly_these_texts() {
        for (status, expected) in [
            (
                CacheStatus {
                    ttl: Some(44),
                    ..HIT
                },
                "camarad-sidecar; hit; ttl=44",
            ),
            (HIT, "camarad-sidecar; hit"),
            (MISS, "camarad-sidecar; fwd=miss"),
            (
                CacheStatus {
                    stored: true,
                    ttl: Some(45),
                    ..MISS
                },
                "camarad-sidecar; fwd=miss; stored; ttl=45",
            ),
            (
                CacheStatus {
                    collapsed: true,
                    ..MISS
                },
                "camarad-sidecar; fwd=miss; collapsed",
            ),
            (
                CacheStatus {
                    stored: true,
                    collapsed: true,
                    ttl: Some(0),
                    ..MISS
                },
                "camarad-sidecar; fwd=miss; stored; collapsed; ttl=0",
            ),
            (
                CacheStatus {
                    forward: Some(Forward::Bypass),
                    detail: Some("method"),
                    ..MISS
                },
                "camarad-sidecar; fwd=bypass; detail=method",
            ),
            (
                CacheStatus {
                    forward: Some(Forward::Stale),
                    ttl: Some(-12),
                    detail: Some("stale_if_error"),
                    ..MISS
                },
                "camarad-sidecar; fwd=stale; ttl=-12; detail=stale_if_error",
            ),
            // What would contradict a hit is not written.
            (
                CacheStatus {
                    hit: true,
                    stored: true,
                    collapsed: true,
                    ..MISS
                },
                "camarad-sidecar; hit",
            ),
            (
                CacheStatus {
                    ttl: Some(i64::MIN),
                    ..HIT
                },
                "camarad-sidecar; hit; ttl=-999999999999999",
            ),
            (CacheStatus::default(), "camarad-sidecar"),
        ] {
            assert_eq!(text(&status), expected);
        }
    }

    #[test]
    fn only_tokens_are_details() {
        for (detail, is_written) in [
            ("method", true),
            ("*", true),
            ("a:/b.c-d", true),
            ("", false),
            ("1st", false),
            ("two words", false),
            ("a;b", false),
            ("a,b", false),
            ("a\r\nb", false),
            ("é", false),
        ] {
            let status = CacheStatus {
                detail: Some(detail),
                ..HIT
            };
            let expected = match is_written {
                true => format!("camarad-sidecar; hit; detail={detail}"),
                false => "camarad-sidecar; hit".to_owned(),
            };
            assert_eq!(text(&status), expected, "{detail:?}");
        }
    }
}
