//! The `Cookie` header, taken apart and put together again.
//!
//! The app takes the first cookie of a name, decodes quoted values and trusts
//! `camarad_user_id`. So nothing of the caller's header is passed on as it is:
//! the names that mean something ([`MANAGED`]) are set from what was decided,
//! and of the rest only pairs that are a plain `token=value` (RFC 6265, 4.1.1)
//! are kept. A pair that our reader and the app's could read differently
//! therefore never reaches the app.

use arrayvec::ArrayVec;

/// The app's plain cookie that says who the user is.
pub const USER_ID: &str = "camarad_user_id";
/// The session token, given to Coolbits by the app.
pub const TOKEN: &str = "camarad_cb_token";
/// The active client, written by the UI.
pub const CLIENT_ID: &str = "camarad_client_id";
/// Our own sealed binding; never leaves towards the app.
pub const SEAL: &str = "camarad_seal";

/// Cookies whose value upstream is ours to decide.
pub const MANAGED: [&str; 4] = [USER_ID, TOKEN, CLIENT_ID, SEAL];

/// Three pairs of three pieces, what is not ours, and what stands between the four.
pub type Pieces<'a> = ArrayVec<&'a str, 13>;

/// What a request's `Cookie` header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    managed: Vec<(&'static str, String)>,
    other: String,
}

impl Cookies {
    /// Reads one `Cookie` header; what is not a plain pair is left out.
    pub fn parse(header: &[u8]) -> Self {
        let mut cookies = Self::default();
        for piece in header.split(|&b| b == b';') {
            let Ok(piece) = std::str::from_utf8(piece) else {
                continue;
            };
            let Some((name, value)) = piece.trim_matches([' ', '\t']).split_once('=') else {
                continue;
            };
            if !name.bytes().all(is_token) || name.is_empty() || !value.bytes().all(is_value) {
                continue;
            }
            match MANAGED.iter().find(|managed| **managed == name) {
                Some(managed) => cookies.managed.push((managed, value.to_owned())),
                None => {
                    if !cookies.other.is_empty() {
                        cookies.other.push_str("; ");
                    }
                    cookies.other.push_str(name);
                    cookies.other.push('=');
                    cookies.other.push_str(value);
                }
            }
        }
        cookies
    }

    /// The first managed cookie of this name, as the app would take it.
    pub fn managed(&self, name: &str) -> Option<&str> {
        let (_, value) = self.managed.iter().find(|(n, _)| *n == name)?;
        Some(value)
    }

    /// The header to send upstream, in pieces: the given pairs that have a value first, then
    /// the plain rest; no piece where nothing is left to say.
    pub fn rebuild<'a>(&'a self, set: [(&'static str, Option<&'a str>); 3]) -> Pieces<'a> {
        let mut pieces = Pieces::new();
        let pairs = set
            .iter()
            .filter_map(|(name, value)| Some((name, (*value)?)));
        for (name, value) in pairs {
            if !pieces.is_empty() {
                pieces.push("; ");
            }
            pieces.extend([name, "=", value]);
        }
        if !self.other.is_empty() {
            if !pieces.is_empty() {
                pieces.push("; ");
            }
            pieces.push(&self.other);
        }
        pieces
    }
}

/// `token` of RFC 9110, 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `cookie-octet` of RFC 6265, 4.1.1.
fn is_value(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTHING: [(&str, Option<&str>); 3] = [(USER_ID, None), (TOKEN, None), (CLIENT_ID, None)];

    #[test]
    fn forged_and_odd_cookies_do_not_pass() {
        let cases = [
            ("", ""),
            ("theme=dark", "theme=dark"),
            ("a=1; b=2;c=3", "a=1; b=2; c=3"),
            ("camarad_user_id=2; a=1", "a=1"),
            ("camarad_user_id=\"2\"; camarad_user_id=\"\\062\"", ""),
            ("camarad_seal=x; camarad_client_id=4", ""),
            ("a=\"q\"; b=1,2; c d=1; =e; f", ""),
            ("session=ey.J_-9; _ga=GA1.1", "session=ey.J_-9; _ga=GA1.1"),
        ];
        for (header, expected) in cases {
            let cookies = Cookies::parse(header.as_bytes());
            assert_eq!(cookies.rebuild(NOTHING).concat(), expected, "{header:?}");
        }
    }

    #[test]
    fn managed_cookies_come_first() {
        let cookies = Cookies::parse(b"a=1; camarad_user_id=2");
        let set = [(USER_ID, Some("7")), (TOKEN, Some("t")), (CLIENT_ID, None)];
        let header = cookies.rebuild(set).concat();
        assert_eq!(header, "camarad_user_id=7; camarad_cb_token=t; a=1");
        let all = [USER_ID, TOKEN, CLIENT_ID].map(|name| (name, Some("7")));
        let header = cookies.rebuild(all).concat();
        let expected = "camarad_user_id=7; camarad_cb_token=7; camarad_client_id=7; a=1";
        assert_eq!(header, expected);
    }

    #[test]
    fn the_first_of_a_name_is_read() {
        let cookies = Cookies::parse(b"camarad_cb_token=one; camarad_cb_token=two");
        assert_eq!(cookies.managed(TOKEN), Some("one"));
    }

    proptest! {
        #[test]
        fn no_managed_name_is_ever_kept(header in "([a-z_\";= ]|camarad_user_id){0,40}") {
            let rebuilt = Cookies::parse(header.as_bytes()).rebuild(NOTHING).concat();
            for pair in rebuilt.split("; ").filter(|p| !p.is_empty()) {
                let name = pair.split('=').next().unwrap_or_default();
                prop_assert!(!MANAGED.contains(&name), "{}", rebuilt);
            }
        }
    }
}
