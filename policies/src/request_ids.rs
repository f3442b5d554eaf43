//! `request_id` of chat and spending, kept apart by user and client.
//!
//! The app looks the id up across all users and answers a known one as already
//! paid, with whatever it answered whoever used it first (contract, section 9).
//! So upstream it begins with user and client, and the answer gets the caller's own back.

use crate::hex::hex;
use crate::ids::{ClientId, UserId};
use memchr::memmem;
use sha2::{Digest, Sha256};

/// Longest id that goes on readable.
const LONGEST: usize = 100;

/// The id for upstream: plain ASCII, different for every user and client, the same for
/// the same id.
pub fn upstream(user: UserId, client: Option<ClientId>, own: &str) -> String {
    let of = match client {
        Some(client) => format!("u{user}c{client}"),
        None => format!("u{user}"),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    match own.len() <= LONGEST && own.bytes().all(plain) {
        true => format!("{of}:{own}"),
        // Hashed ids have a frame of their own, so that no readable one is equal to one.
        false => {
            format!("{of}#{}", hex(&Sha256::digest(own.as_bytes())))
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

    fn client(id: u64) -> Option<ClientId> {
        ClientId::parse(&id.to_string()).ok()
    }

    #[test]
    fn what_goes_up_comes_back() {
        assert_eq!(upstream(user(1), client(10), "pay-7"), "u1c10:pay-7");
        let up = upstream(user(1), None, "pay-7");
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
        fn two_users_clients_or_ids_never_meet(
            a in "\\PC{0,12}", b in "\\PC{0,12}", i in 1u64..30, j in 1u64..30, c in 0u64..3, d in 0u64..3,
        ) {
            let same = i == j && client(c) == client(d) && a == b;
            let (one, other) = (upstream(user(i), client(c), &a), upstream(user(j), client(d), &b));
            prop_assert!(one.is_ascii());
            prop_assert_eq!(one == other, same);
        }
    }
}
