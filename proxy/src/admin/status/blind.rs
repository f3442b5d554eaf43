//! Ids of users and clients on a page that anybody may read: short keyed hashes.
//!
//! The key is drawn anew by each process and told to nobody, so that a hash says "the same as
//! there" and nothing else: the ids are small numbers, which a hash without a key would give
//! away. Not a name that lasts: it is another one after a restart.

use camarad_policies::hex::hex;
use sha2::{Digest, Sha256};

/// Whose id it is; the same number of another kind has another hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Client,
}

/// The key.
pub(crate) struct Blind([u8; 32]);

impl Blind {
    /// A new one; errors where the system has no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// `u-` or `c-` and eight hex digits.
    pub(super) fn hide(&self, kind: Kind, id: u64) -> String {
        let (mark, letter) = match kind {
            Kind::User => (b'u', 'u'),
            Kind::Client => (b'c', 'c'),
        };
        // All that is hashed has one length: nothing can be put behind it.
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update([mark])
            .chain_update(id.to_be_bytes())
            .finalize();
        format!("{letter}-{}", hex(&hash[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_id_has_one_hash_within_a_process_and_another_elsewhere() {
        let (blind, other) = (Blind([1; 32]), Blind([2; 32]));
        let hidden = blind.hide(Kind::User, 7);
        assert_eq!(hidden, blind.hide(Kind::User, 7));
        assert_eq!(hidden.len(), 10);
        assert!(hidden.starts_with("u-"));
        assert_ne!(hidden, blind.hide(Kind::User, 8));
        assert_ne!(hidden, other.hide(Kind::User, 7));
        assert_ne!(hidden[2..], blind.hide(Kind::Client, 7)[2..]);
        let drawn = Blind::new().unwrap();
        assert_ne!(
            drawn.hide(Kind::User, 7),
            Blind::new().unwrap().hide(Kind::User, 7)
        );
    }
}
