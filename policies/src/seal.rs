//! The seal: our own cookie, by which a binding of a token to a user outlives the process.
//!
//! `v1.<epoch>.<user>.<seconds>.<mac>`, where the mac is HMAC-SHA-256 over version,
//! epoch, user, time and the token's SHA-256, each framed by its length (RFC 2104).
//! It is worth nothing without the token it names, and nothing after the epoch of
//! its user was raised. Whoever gets the key can be anybody.

use crate::ids::UserId;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long a seal is good, in seconds.
pub const LIFE: u64 = 24 * 3600;
/// How far another machine's clock may be ahead, in seconds.
const SKEW: u64 = 30;
const VERSION: &str = "v1";

/// What a good seal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Whose token it is.
    pub user: UserId,
    /// When the app said so, in seconds since the Unix epoch.
    pub at: u64,
}

/// The key that seals are made with.
pub struct SealKey(hmac::Key);

impl SealKey {
    /// A key from at least 32 bytes; `None` for fewer.
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= 32).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Seals a binding. `token` is the token's SHA-256.
    pub fn seal(&self, sealed: Sealed, epoch: u64, token: &[u8; 32]) -> String {
        let mac = hmac::sign(&self.0, &message(sealed, epoch, token));
        let mac = URL_SAFE_NO_PAD.encode(mac.as_ref());
        format!("{VERSION}.{epoch}.{}.{}.{mac}", sealed.user, sealed.at)
    }

    /// Opens a seal: ours, for this token, of the user's present epoch and not too old.
    pub fn open(
        &self,
        text: &str,
        token: &[u8; 32],
        now: u64,
        epoch_of: impl Fn(UserId) -> u64,
    ) -> Option<Sealed> {
        let parts: Vec<&str> = text.split('.').collect();
        let [VERSION, epoch, user, at, mac] = parts[..] else {
            return None;
        };
        let plain = |text: &str| {
            (text.len() <= 20)
                .then(|| text.parse::<u64>().ok())
                .flatten()
        };
        let sealed = Sealed {
            user: UserId::parse(user).ok()?,
            at: plain(at)?,
        };
        let epoch = plain(epoch)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(&self.0, &message(sealed, epoch, token), &mac).ok()?;
        let is_present = epoch == epoch_of(sealed.user);
        let is_young = sealed.at <= now + SKEW && now < sealed.at.saturating_add(LIFE);
        (is_present && is_young).then_some(sealed)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(***)")
    }
}

fn message(sealed: Sealed, epoch: u64, token: &[u8; 32]) -> Vec<u8> {
    let numbers = [epoch, sealed.user.get(), sealed.at].map(u64::to_be_bytes);
    let parts = [
        VERSION.as_bytes(),
        &numbers[0],
        &numbers[1],
        &numbers[2],
        token,
    ];
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> SealKey {
        SealKey::new(b"a key for seals of thirty-two bytes").unwrap()
    }

    fn sealed() -> Sealed {
        Sealed {
            user: UserId::parse("7").unwrap(),
            at: NOW,
        }
    }

    #[test]
    fn a_seal_opens_for_its_token_in_its_epoch_and_time() {
        let text = key().seal(sealed(), 3, &[1; 32]);
        let open =
            |token: u8, now: u64, epoch: u64| key().open(&text, &[token; 32], now, |_| epoch);
        assert_eq!(open(1, NOW, 3), Some(sealed()));
        assert_eq!(open(1, NOW + LIFE - 1, 3), Some(sealed()));
        assert_eq!(open(1, NOW + LIFE, 3), None);
        assert_eq!(open(1, NOW - SKEW, 3), Some(sealed()));
        assert_eq!(open(1, NOW - SKEW - 1, 3), None);
        assert_eq!(open(1, NOW, 4), None);
        assert_eq!(open(2, NOW, 3), None);
        let other = SealKey::new(b"another key of thirty-two bytes!").unwrap();
        assert_eq!(other.open(&text, &[1; 32], NOW, |_| 3), None);
        assert!(SealKey::new(&[0; 31]).is_none());
    }

    proptest! {
        #[test]
        fn no_changed_seal_opens(at in 0usize..80, with in "[0-9a-zA-Z._-]") {
            let text = key().seal(sealed(), 3, &[1; 32]);
            let mut changed = text.clone();
            let at = at % text.len();
            changed.replace_range(at..=at, &with);
            if changed != text {
                let opened = key().open(&changed, &[1; 32], NOW, |_| 3);
                prop_assert_eq!(opened, None, "{}", changed);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = key().open(&text, &[1; 32], NOW, |_| 3);
        }
    }
}
