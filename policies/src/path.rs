//! The canonical form of a request path: what is decided on and what is forwarded.
//!
//! WSGI servers percent-decode a path and the router behind them sees the
//! decoded text, so `/%61pi/flows` and `/api/flows` are one place there. A rule
//! matched on the raw text would miss one of them; CVE-2019-9901 and
//! GHSA-p224-6x5r-fjpm are that mistake. Here a path is decoded once, brought
//! into one form, and that form alone goes on. What has no single meaning
//! (encoded slashes, control characters, bad escapes) is refused.

use crate::percent;
use crate::refusal::Refusal;
use std::fmt;
use std::sync::Arc;

/// An absolute path in canonical form: no dot segments, no repeated slashes,
/// every character that may stand unencoded unencoded, other octets as `%XX`
/// with upper-case digits. Canonicalising it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath(Arc<str>);

impl CanonicalPath {
    /// Canonicalises the path part of an origin-form target (RFC 9112, 3.2.1).
    ///
    /// Errors with [`Refusal::PathMalformed`] on anything that is not
    /// origin-form, `#`, `\`, controls and spaces (raw or encoded), an encoded
    /// slash, and escapes that are not two hex digits.
    pub fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        if raw.first() != Some(&b'/') {
            return Err(Refusal::PathMalformed);
        }
        match as_it_is(raw) {
            Some(path) => Ok(Self(path.into())),
            None => Ok(Self(resolve(&decode(raw)?).into())),
        }
    }

    /// The canonical text, always beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may stand plainly, by octet; a slash may.
const STAYS: [bool; 256] = {
    let mut stays = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        stays[octet] = octet == b'/' as usize || is_plain(octet as u8);
        octet += 1;
    }
    stays
};

/// The text, where it is in canonical form as it came: most are, and this costs less.
fn as_it_is(raw: &[u8]) -> Option<&str> {
    // Without a way out in the middle, so that this goes by many octets at once: this is
    // every request's.
    let stays = raw.iter().fold(true, |all, o| all & STAYS[usize::from(*o)]);
    // A segment that is empty or begins with a dot may be none that stays.
    let pairs = raw.iter().zip(raw.iter().skip(1));
    let is_odd = |one: u8, next: u8| (one == b'/') & ((next == b'/') | (next == b'.'));
    let is_resolved = pairs.fold(true, |all, (one, next)| all & !is_odd(*one, *next));
    std::str::from_utf8(raw)
        .ok()
        .filter(|_| stays & is_resolved)
}

/// Decodes what may stand plainly and writes every other octet as `%XX`.
fn decode(raw: &[u8]) -> Result<String, Refusal> {
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let (octet, escaped) = match byte {
            b'%' => {
                let digits = bytes.next().zip(bytes.next());
                let octet = digits.and_then(|(high, low)| percent::octet([high, low]));
                (octet.ok_or(Refusal::PathMalformed)?, true)
            }
            plain => (plain, false),
        };
        match (octet, escaped) {
            (b'/', false) => out.push('/'),
            // %2F is a slash to some servers and a letter to others; so is a backslash.
            (b'/' | b'\\', _) | (b'#' | b' ', false) | (0..=0x1f | 0x7f, _) => {
                return Err(Refusal::PathMalformed);
            }
            (b';', false) => out.push(';'),
            (plain, _) if is_plain(plain) => out.push(plain as char),
            (other, _) => percent::push(&mut out, other),
        }
    }
    Ok(out)
}

/// `pchar` without `%` and `;` (RFC 3986, 3.3). `%3B` stays as it is written,
/// because some servers cut parameters off at a plain `;`.
pub(crate) const fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// Removes `.` and `..` (RFC 3986, 5.2.4) and folds repeated slashes.
fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in path.split('/').skip(1) {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if directory || out.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(raw: &str) -> Option<String> {
        CanonicalPath::parse(raw.as_bytes())
            .ok()
            .map(|p| p.0.to_string())
    }

    #[test]
    fn each_spelling_has_one_form_or_none() {
        let cases = [
            ("/", Some("/")),
            ("/api/flows", Some("/api/flows")),
            ("/api/flows/", Some("/api/flows/")),
            ("//api/flows", Some("/api/flows")),
            ("/%61pi/flows", Some("/api/flows")),
            ("/api/%66%6Cows", Some("/api/flows")),
            ("/a/../api/./flows", Some("/api/flows")),
            ("/a/%2e%2E/api/flows", Some("/api/flows")),
            ("/../../etc", Some("/etc")),
            ("/a/..", Some("/")),
            ("/a/.", Some("/a/")),
            ("/caf\u{e9}", Some("/caf%C3%A9")),
            ("/caf%c3%a9", Some("/caf%C3%A9")),
            ("/a%20b", Some("/a%20b")),
            ("/a%25b", Some("/a%25b")),
            ("/a%3fb%23c%3bd", Some("/a%3Fb%23c%3Bd")),
            ("/a;b", Some("/a;b")),
            ("/a%40b:c", Some("/a@b:c")),
            // Refused: no single meaning.
            ("/api%2fflows", None),
            ("/api%2Fflows", None),
            ("/api%5cflows", None),
            ("/api\\flows", None),
            ("/a#b", None),
            ("/a%00b", None),
            ("/a%0ab", None),
            ("/a\tb", None),
            ("/a b", None),
            ("/a%", None),
            ("/a%4", None),
            ("/a%zz", None),
            ("", None),
            ("*", None),
            ("api/flows", None),
            ("http://host/api/flows", None),
        ];
        for (raw, expected) in cases {
            assert_eq!(canonical(raw).as_deref(), expected, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn canonicalising_twice_changes_nothing(raw in "/[a-z./%25#;A-F0-9]{0,30}") {
            if let Some(once) = canonical(&raw) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
            }
        }

        #[test]
        fn what_stays_as_it_is_is_what_the_long_way_makes(raw in "/[a-zA-Z0-9./%;~\u{e9} -]{0,20}") {
            if let Some(path) = as_it_is(raw.as_bytes()) {
                let long = decode(raw.as_bytes()).map(|decoded| resolve(&decoded));
                prop_assert_eq!(Ok(path.to_owned()), long);
            }
        }

        #[test]
        fn encoding_a_letter_changes_nothing(path in "/[a-z]{1,8}(/[a-z]{1,8}){0,3}", at in 1usize..8) {
            let spelled: String = path
                .char_indices()
                .map(|(i, c)| if i == at && c != '/' { format!("%{:02x}", c as u32) } else { c.to_string() })
                .collect();
            prop_assert_eq!(canonical(&spelled), Some(path));
        }

        #[test]
        fn no_dot_segment_and_no_double_slash_survives(raw in "/[a./%2eE]{0,24}") {
            if let Some(path) = canonical(&raw) {
                prop_assert!(!path.contains("//"));
                prop_assert!(path.split('/').all(|s| s != "." && s != ".."));
            }
        }
    }
}
