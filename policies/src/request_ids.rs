//! `request_id` of chat and spending, kept apart by user.
//!
//! The app looks the id up across all users and answers a known one as already
//! paid, with whatever it answered whoever used it first (contract, section 9).
//! So upstream it begins with the user, and the answer gets the caller's own back.

use crate::ids::UserId;
use memchr::memmem;
use sha2::{Digest, Sha256};

/// Longest id that goes on readable.
const LONGEST: usize = 100;

/// The id for upstream: plain ASCII, different for every user, the same for the same id.
pub fn upstream(user: UserId, own: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    match own.len() <= LONGEST && own.bytes().all(plain) {
        true => format!("u{user}:{own}"),
        // Hashed ids have a frame of their own, so that no readable one is equal to one.
        false => {
            let hash = Sha256::digest(own.as_bytes());
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("u{user}#{hex}")
        }
    }
}

/// The answer with the caller's own id wherever the upstream's stands as a whole text.
/// `own` is written as JSON (a text, or the number that it was).
pub fn restore(answer: &[u8], upstream: &str, own: &str) -> Option<Vec<u8>> {
    // Quoted inside another text, its quotes would be escaped: the last one is not found.
    let needle = format!("\"{upstream}\"");
    let mut places = memmem::find_iter(answer, needle.as_bytes()).peekable();
    places.peek()?;
    let mut restored = Vec::with_capacity(answer.len());
    let mut from = 0;
    for at in places {
        restored.extend_from_slice(&answer[from..at]);
        restored.extend_from_slice(own.as_bytes());
        from = at + needle.len();
    }
    restored.extend_from_slice(&answer[from..]);
    Some(restored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(id: u64) -> UserId {
        UserId::parse(&id.to_string()).unwrap()
    }

    #[test]
    fn what_goes_up_comes_back() {
        let up = upstream(user(1), "pay-7");
        assert_eq!(up, "u1:pay-7");
        let answer = br#"{"a":"u1:pay-7x","request_id":"u1:pay-7","t":"\"u1:pay-7\""}"#;
        let back = restore(answer, &up, "\"pay-7\"").unwrap();
        assert_eq!(
            String::from_utf8(back).unwrap(),
            r#"{"a":"u1:pay-7x","request_id":"pay-7","t":"\"u1:pay-7\""}"#
        );
        assert_eq!(restore(b"{}", &up, "\"pay-7\""), None);
    }

    proptest! {
        #[test]
        fn two_users_or_two_ids_never_meet(a in "\\PC{0,12}", b in "\\PC{0,12}", i in 1u64..30, j in 1u64..30) {
            let same = i == j && a == b;
            prop_assert_eq!(upstream(user(i), &a) == upstream(user(j), &b), same);
            prop_assert!(upstream(user(i), &a).is_ascii());
        }
    }
}
