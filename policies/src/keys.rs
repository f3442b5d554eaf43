//! The keys of an issuer, each with the algorithms it may verify.
//!
//! An algorithm is never taken from a token (RFC 8725, 3.1): the issuer is
//! pinned to a list, each key adds what its kind can do, and the token's `alg`
//! must lie in both. That is what makes the classic confusion of an RSA public
//! key with an HMAC secret impossible to write down here.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, KeyAlgorithm,
    KeyOperations, PublicKeyUse,
};
use serde::Deserialize;
use serde_json::Value;

/// A signature algorithm that tokens may have (RFC 7518, 3.1; RFC 8037, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[allow(missing_docs)] // The names are the definition.
pub enum Algorithm {
    HS256,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

impl Algorithm {
    /// Every algorithm that verifies with a public key.
    pub const PUBLIC: [Algorithm; 10] = {
        use Algorithm::*;
        [
            RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA,
        ]
    };

    /// The algorithm of a JWS name; `none` and everything else is not one.
    pub fn parse(name: &str) -> Option<Self> {
        let name = Value::from(name);
        Self::deserialize(name).ok()
    }

    /// As the library calls it; it does not know all of them.
    fn library(self) -> Option<jsonwebtoken::Algorithm> {
        format!("{self:?}").parse().ok()
    }
}

/// One verification key.
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: Material,
}

enum Material {
    Library(DecodingKey),
    /// An uncompressed point of P-521, which the library does not verify with.
    P521(Vec<u8>),
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
            key: Material::Library(DecodingKey::from_secret(secret)),
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
            key: Material::Library(key),
        };
        Ok(Self { keys: vec![key] })
    }

    /// The usable keys of a JWK set. Keys of kinds that we do not know are passed
    /// over (RFC 7517, section 5), and so are symmetric and encryption keys: a
    /// published set must never make a shared secret trusted.
    pub fn jwks(text: &[u8]) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text)?;
        let keys: Vec<Key> = set.keys.into_iter().filter_map(of_jwk).collect();
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
    ) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| key.fits(kid) && key.algorithms.contains(&algorithm))
    }

    /// True when the token's `kid` is one that this set could hold.
    pub(crate) fn knows(&self, kid: Option<&str>) -> bool {
        self.keys.iter().any(|key| key.fits(kid))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True before the first keys arrived.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The key of one JWK, if it is one that verifies signatures.
fn of_jwk(value: Value) -> Option<Key> {
    // The library knows no ES512, so it is read here.
    let is_es512 = value.get("alg").and_then(Value::as_str) == Some("ES512");
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    let verifies = match (&common.public_key_use, &common.key_operations) {
        (Some(usage), _) if *usage != PublicKeyUse::Signature => false,
        (_, Some(operations)) => operations.contains(&KeyOperations::Verify),
        _ => true,
    };
    let possible = algorithms_of(&jwk.algorithm);
    let pinned = match common.key_algorithm {
        None => None,
        Some(_) if is_es512 => Some(Some(Algorithm::ES512)),
        Some(alg) => Some(pinned(alg)),
    };
    let algorithms: Vec<Algorithm> = match pinned {
        None => possible,
        Some(alg) => possible.into_iter().filter(|a| Some(*a) == alg).collect(),
    };
    if !verifies || algorithms.is_empty() {
        return None;
    }
    let key = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P521 => {
            Material::P521(point(ec)?)
        }
        _ => Material::Library(DecodingKey::from_jwk(&jwk).ok()?),
    };
    Some(Key {
        kid: common.key_id.clone(),
        algorithms,
        key,
    })
}

/// The uncompressed point (SEC 1, 2.3.3) of a P-521 key: two coordinates of 66 octets.
fn point(ec: &EllipticCurveKeyParameters) -> Option<Vec<u8>> {
    let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|c| c.len() == 66);
    Some([vec![4], coordinate(&ec.x)?, coordinate(&ec.y)?].concat())
}

impl Key {
    /// Whether this key made the signature, which is base64url.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        match (&self.key, algorithm) {
            (Material::P521(point), Algorithm::ES512) => {
                let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
                let signature = URL_SAFE_NO_PAD.decode(signature);
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            (Material::Library(key), algorithm) => algorithm.library().is_some_and(|algorithm| {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap_or(false)
            }),
            _ => false,
        }
    }

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
            EllipticCurve::P521 => vec![ES512],
            _ => vec![],
        },
        AlgorithmParameters::OctetKeyPair(_) => vec![EdDSA],
        _ => vec![],
    }
}

/// The JWS algorithm that a JWK's own `alg` pins it to; `None` for those that cannot sign.
fn pinned(alg: KeyAlgorithm) -> Option<Algorithm> {
    Algorithm::parse(&alg.to_string())
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
