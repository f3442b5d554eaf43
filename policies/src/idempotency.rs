//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): reading it, and what
//! a second request with it gets.
//!
//! A key is good for a day, for one tenant and one kind of request. Not here: where
//! earlier requests are kept. What goes wrong if misused: a key that is compared without
//! its tenant gives one tenant's answer to another.

use crate::run::Status;
use sha2::{Digest, Sha256};

/// How long a key is remembered, in seconds.
pub const LIFE: i64 = 24 * 60 * 60;
/// Characters of a key at most.
const LONGEST: usize = 255;

/// A caller's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

/// A header that is no key, or more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Key {
    /// Reads the lines of the header; `None` where there are none.
    ///
    /// A key is a string of RFC 8941 (`"…"`); bare ones, as many callers send them, are
    /// taken too, and mean the same. 1 to 255 visible characters or blanks.
    pub fn read(lines: &[&str]) -> Result<Option<Self>, Unreadable> {
        let line = match lines {
            [] => return Ok(None),
            [line] => line.trim_matches([' ', '\t']),
            _ => return Err(Unreadable),
        };
        let key = match line.strip_prefix('"') {
            Some(rest) => quoted(rest)?,
            None if line.chars().all(is_bare) => line.to_owned(),
            None => return Err(Unreadable),
        };
        match (1..=LONGEST).contains(&key.len()) {
            true => Ok(Some(Self(key))),
            false => Err(Unreadable),
        }
    }

    /// SHA-256 over user, client, kind of request and key, each with its length.
    pub fn digest(&self, user: u64, client: u64, what: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (user, client) = (user.to_be_bytes(), client.to_be_bytes());
        let parts: [&[u8]; 5] = [
            b"idempotency",
            &user,
            &client,
            what.as_bytes(),
            self.0.as_bytes(),
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn is_bare(c: char) -> bool {
    c.is_ascii_graphic() && !['"', ',', ';', '\\'].contains(&c)
}

/// What stands before the closing quote, which must be the end.
fn quoted(rest: &str) -> Result<String, Unreadable> {
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next().ok_or(Unreadable)? {
            '"' if characters.as_str().is_empty() => return Ok(key),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err(Unreadable),
            },
            c if c != '"' && (c == ' ' || c.is_ascii_graphic()) => key.push(c),
            _ => return Err(Unreadable),
        }
    }
}

/// An earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Hash of what it asked.
    pub body_hash: String,
    /// When it came, in seconds since 1970.
    pub started_seconds: i64,
    /// How its run stands.
    pub status: Status,
    /// Its answer was kept.
    pub has_answer: bool,
}

/// What a request with a key gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is the first, or the first was too long ago.
    Go,
    /// The first one's answer.
    Again,
    /// 422: the key came with something else.
    OtherBody,
    /// 409: the first is still under way.
    InProgress,
    /// 409: the first ended without an answer that was kept.
    Lost,
}

/// Decides what a request with a key gets, by the earlier one with the same.
pub fn decide(earlier: Option<&Earlier>, body_hash: &str, now_seconds: i64) -> Decision {
    let Some(earlier) = earlier else {
        return Decision::Go;
    };
    // A clock that was set back makes nothing older.
    if now_seconds.saturating_sub(earlier.started_seconds) >= LIFE {
        return Decision::Go;
    }
    match (
        earlier.body_hash == body_hash,
        earlier.status,
        earlier.has_answer,
    ) {
        (false, ..) => Decision::OtherBody,
        (true, Status::Running, _) => Decision::InProgress,
        (true, _, true) => Decision::Again,
        (true, _, false) => Decision::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> Option<Key> {
        Some(Key(text.to_owned()))
    }

    #[test]
    fn a_key_is_one_text_quoted_or_bare() {
        let longest = "x".repeat(255);
        let cases: [(&[&str], Option<Key>); 7] = [
            (&[], None),
            (&["abc"], key("abc")),
            (&["\"abc\""], key("abc")),
            (&[" \"a b\" "], key("a b")),
            (&["\"a\\\"b\\\\c\""], key("a\"b\\c")),
            (
                &["8e03978e-40d5-43dd-bc93-6894a57f9324"],
                key("8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ),
            (&[&longest], key(&longest)),
        ];
        for (lines, expected) in cases {
            assert_eq!(Key::read(lines), Ok(expected), "{lines:?}");
        }
        let too_long = "x".repeat(256);
        let bad: [&[&str]; 14] = [
            &["a", "a"],
            &[""],
            &["\"\""],
            &["a b"],
            &["a,b"],
            &["a;b=1"],
            &["\"a\";b=1"],
            &["\"open"],
            &["a\""],
            &["\"a\\n\""],
            &["\"a\\"],
            &["\"caf\u{e9}\""],
            &["a\u{7f}"],
            &[&too_long],
        ];
        for lines in bad {
            assert_eq!(Key::read(lines), Err(Unreadable), "{lines:?}");
        }
    }

    #[test]
    fn a_key_is_one_tenants_for_one_kind_of_request() {
        let digest =
            |text: &str, user, client, what| Key(text.to_owned()).digest(user, client, what);
        let one = digest("a", 1, 10, "execute");
        assert_eq!(one, digest("a", 1, 10, "execute"));
        for other in [
            digest("b", 1, 10, "execute"),
            digest("a", 2, 10, "execute"),
            digest("a", 1, 11, "execute"),
            digest("a", 1, 10, "replay"),
            digest("ea", 1, 10, "execut"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_same_again_other_and_unknown_are_told_apart_for_a_day() {
        let earlier = |status, has_answer| Earlier {
            body_hash: "same".into(),
            started_seconds: 1000,
            status,
            has_answer,
        };
        let cases = [
            (
                earlier(Status::Success, true),
                "same",
                1000,
                Decision::Again,
            ),
            (
                earlier(Status::Blocked, true),
                "same",
                1000,
                Decision::Again,
            ),
            (
                earlier(Status::Running, false),
                "same",
                1000,
                Decision::InProgress,
            ),
            (
                earlier(Status::Interrupted, false),
                "same",
                1000,
                Decision::Lost,
            ),
            (earlier(Status::Error, false), "same", 1000, Decision::Lost),
            (
                earlier(Status::Success, true),
                "other",
                1000,
                Decision::OtherBody,
            ),
            (
                earlier(Status::Running, false),
                "other",
                1000,
                Decision::OtherBody,
            ),
            (
                earlier(Status::Success, true),
                "same",
                1000 + LIFE - 1,
                Decision::Again,
            ),
            (
                earlier(Status::Success, true),
                "other",
                1000 + LIFE,
                Decision::Go,
            ),
            (earlier(Status::Success, true), "same", 0, Decision::Again),
        ];
        for (earlier, hash, now, expected) in cases {
            assert_eq!(
                decide(Some(&earlier), hash, now),
                expected,
                "{earlier:?} {hash} {now}"
            );
        }
        assert_eq!(decide(None, "same", 0), Decision::Go);
    }

    proptest! {
        /// However a key is written, it is read as the text that it is.
        #[test]
        fn a_quoted_key_is_read_as_what_it_quotes(text in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(Key::read(&[&quoted]), Ok(key(&text)));
        }
    }
}
