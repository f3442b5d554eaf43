//! Sets of names, of headers and of parameters, that are quick to look in.
//!
//! Most names that are looked for are not there, and every request asks for dozens. So each
//! name has one bit of 64, whatever its case, and a set has those of its names: only where
//! the bit is there names are compared. A bit alone says nothing; who goes by it finds names
//! that are not there.

/// Names of headers in lower case, or of parameters as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    names: &'static [&'static str],
    bits: u64,
}

/// Headers of one connection, in either direction (RFC 9110, section 7.6.1).
pub const OF_CONNECTION: Names = Names::new(&[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
]);

impl Names {
    /// A set of these names.
    pub const fn new(names: &'static [&'static str]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < names.len() {
            bits |= bit(names[at].as_bytes());
            at += 1;
        }
        Self { names, bits }
    }

    /// All of them.
    pub fn all(&self) -> &'static [&'static str] {
        self.names
    }

    /// Whether one of them may be among names with these bits ([`bit`]) in all.
    pub fn may_be_in(&self, bits: u64) -> bool {
        self.bits & bits != 0
    }

    /// Whether this name is among them, in any case.
    pub fn has(&self, name: &[u8]) -> bool {
        self.has_at(bit(name), name)
    }

    /// The same for a name whose bit is known: with another one than [`bit`] gives for it, names
    /// are missed.
    pub fn has_at(&self, bit: u64, name: &[u8]) -> bool {
        let is = |one: &&str| name.eq_ignore_ascii_case(one.as_bytes());
        self.bits & bit != 0 && self.names.iter().any(is)
    }

    /// Whether this name is among them as it is written; its bit as for [`Self::has_at`].
    pub fn has_exactly(&self, bit: u64, name: &[u8]) -> bool {
        let is = |one: &&str| one.as_bytes() == name;
        self.bits & bit != 0 && self.names.iter().any(is)
    }
}

/// The bit of a name, the same in any case. Of the factors, which are as good as any others, those
/// with which fewest names of usual requests have a bit of a set they are not in.
pub const fn bit(name: &[u8]) -> u64 {
    if name.is_empty() {
        return 1;
    }
    // The last five bits of a letter do not hold its case.
    let (first, last) = (name[0] & 0x1f, name[name.len() - 1] & 0x1f);
    1 << ((first as usize + 35 * last as usize + 48 * name.len()) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOME: Names = Names::new(&["host", "x-client-id", "te", ""]);

    #[test]
    fn names_are_found_in_any_case_and_no_others() {
        for name in ["host", "Host", "HOST", "x-Client-ID", "TE", ""] {
            assert!(SOME.has(name.as_bytes()), "{name:?}");
            let is_lower = !name.bytes().any(|b| b.is_ascii_uppercase());
            let is_there = SOME.has_exactly(bit(name.as_bytes()), name.as_bytes());
            assert_eq!(is_there, is_lower, "{name:?}");
        }
        for name in ["hos", "hosts", "x_client_id", "et", "x-client-i", "\u{e9}"] {
            assert!(!SOME.has(name.as_bytes()), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_has_one_bit_in_every_case(name in "[!-~]{0,40}") {
            let bit = bit(name.as_bytes());
            prop_assert_eq!(bit.count_ones(), 1);
            prop_assert_eq!(bit, super::bit(name.to_ascii_uppercase().as_bytes()));
            prop_assert_eq!(bit, super::bit(name.to_ascii_lowercase().as_bytes()));
        }

        #[test]
        fn nothing_is_found_that_is_not_there(name in "[a-z-]{0,6}") {
            let is_there = SOME.names.contains(&name.as_str());
            prop_assert_eq!(SOME.has(name.as_bytes()), is_there);
            let bit = super::bit(name.as_bytes());
            prop_assert_eq!(SOME.has_exactly(bit, name.as_bytes()), is_there);
            prop_assert!(!is_there || SOME.may_be_in(super::bit(name.as_bytes())));
        }
    }
}
