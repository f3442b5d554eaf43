//! The keys of an issuer, each with the algorithms it may verify.
//!
//! An algorithm is never taken from a token (RFC 8725, 3.1): the issuer is
//! pinned to a list, each key adds what its kind can do, and the token's `alg`
//! must lie in both. That is what makes the classic confusion of an RSA public
//! key with an HMAC secret impossible to write down here.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// One verification key.
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// An issuer's verification keys, as of one moment.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a key source gave no usable keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a JWK set (RFC 7517, section 5).
    #[error("not a JWK set: {0}")]
    NotAJwkSet(#[from] serde_json::Error),
    /// A set without one key that could verify a signature.
    #[error("no usable signature key (need RSA, EC or OKP, `use` absent or \"sig\")")]
    NoUsableKey,
    /// Not the PEM of a public key.
    #[error("not a public key in PEM (RSA, EC with P-256 or P-384, or Ed25519)")]
    NotAPem,
    /// RFC 7518, 3.2: a secret at least as long as the hash.
    #[error("an HMAC secret needs at least 32 bytes, this one has {0}")]
    SecretTooShort(usize),
}

impl KeySet {
    /// A set of one HS256 secret of at least 32 bytes.
    pub fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < 32 {
            return Err(KeyError::SecretTooShort(secret.len()));
        }
        let key = Key {
            kid: None,
            algorithms: vec![Algorithm::HS256],
            key: DecodingKey::from_secret(secret),
        };
        Ok(Self { keys: vec![key] })
    }

    /// The one public key of a PEM text (RFC 7468): RSA, EC or Ed25519.
    pub fn pem(text: &[u8]) -> Result<Self, KeyError> {
        use Algorithm::*;
        type Read = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;
        let kinds: [(Read, &[Algorithm]); 3] = [
            (
                DecodingKey::from_rsa_pem,
                &[RS256, RS384, RS512, PS256, PS384, PS512],
            ),
            // A signature of the other curve does not verify.
            (DecodingKey::from_ec_pem, &[ES256, ES384]),
            (DecodingKey::from_ed_pem, &[EdDSA]),
        ];
        let found = kinds
            .iter()
            .find_map(|(read, algorithms)| Some((read(text).ok()?, algorithms)));
        let (key, algorithms) = found.ok_or(KeyError::NotAPem)?;
        let key = Key {
            kid: None,
            algorithms: algorithms.to_vec(),
            key,
        };
        Ok(Self { keys: vec![key] })
    }

    /// The usable keys of a JWK set. Symmetric and encryption keys are passed
    /// over: a published set must never make a shared secret trusted.
    pub fn jwks(text: &[u8]) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_slice(text)?;
        let keys: Vec<Key> = set
            .keys
            .iter()
            .filter(|jwk| {
                matches!(
                    jwk.common.public_key_use,
                    None | Some(PublicKeyUse::Signature)
                )
            })
            .filter_map(|jwk| {
                let possible = algorithms_of(&jwk.algorithm);
                let algorithms = match jwk.common.key_algorithm.map(pinned) {
                    None => possible,
                    Some(alg) => possible.into_iter().filter(|a| Some(*a) == alg).collect(),
                };
                (!algorithms.is_empty()).then_some(())?;
                Some(Key {
                    kid: jwk.common.key_id.clone(),
                    algorithms,
                    key: DecodingKey::from_jwk(jwk).ok()?,
                })
            })
            .collect();
        if keys.is_empty() {
            return Err(KeyError::NoUsableKey);
        }
        Ok(Self { keys })
    }

    /// The keys that a token with this `kid` and algorithm may have been signed with.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        self.keys
            .iter()
            .filter(move |key| key.fits(kid) && key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
    }

    /// True when the token's `kid` is one that this set could hold.
    pub(crate) fn knows(&self, kid: Option<&str>) -> bool {
        self.keys.iter().any(|key| key.fits(kid))
    }

    /// True before the first keys arrived.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Key {
    /// A key without an id fits any token; a token without one fits any key.
    fn fits(&self, kid: Option<&str>) -> bool {
        match (self.kid.as_deref(), kid) {
            (Some(own), Some(asked)) => own == asked,
            _ => true,
        }
    }
}

fn algorithms_of(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::*;
    match parameters {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => vec![ES256],
            EllipticCurve::P384 => vec![ES384],
            _ => vec![],
        },
        AlgorithmParameters::OctetKeyPair(_) => vec![EdDSA],
        _ => vec![],
    }
}

/// The JWS algorithm that a JWK's own `alg` pins it to; `None` for those that cannot sign.
fn pinned(alg: KeyAlgorithm) -> Option<Algorithm> {
    alg.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_refused() {
        assert!(matches!(
            KeySet::secret(&[7; 31]),
            Err(KeyError::SecretTooShort(31))
        ));
        assert!(KeySet::secret(&[7; 32]).is_ok());
    }

    #[test]
    fn a_shared_secret_in_a_published_set_is_not_trusted() {
        let set =
            br#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}"#;
        assert!(matches!(KeySet::jwks(set), Err(KeyError::NoUsableKey)));
    }

    #[test]
    fn an_encryption_key_does_not_verify() {
        let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","use":"enc","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        assert!(matches!(KeySet::jwks(set), Err(KeyError::NoUsableKey)));
        let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        assert!(KeySet::jwks(set).is_ok());
    }

    #[test]
    fn what_is_not_a_set_says_so() {
        assert!(matches!(
            KeySet::jwks(b"<html>"),
            Err(KeyError::NotAJwkSet(_))
        ));
        assert!(matches!(
            KeySet::jwks(b"{\"keys\":[]}"),
            Err(KeyError::NoUsableKey)
        ));
    }
}
