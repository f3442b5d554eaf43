//! From a bearer token to an [`Identity`], or to the reason why not.
//!
//! [`identify`] is where every token of a keyed issuer goes through: one
//! verification, one strictness. It checks form, pinned algorithm, signature,
//! then claims, in that order, so that no claim of an unverified token is ever
//! acted on (RFC 8725, 3.1, 3.10). What it gives is [`Verified`]; that becomes an
//! `Identity` with the user of its claim or, where its issuer names none, with
//! the one that the app's own login says.
//!
//! Misuse to beware of: `iss` is compared *after* the signature was verified
//! with that issuer's keys. Choosing an issuer by the token's own `iss` first
//! would let the caller choose who vouches for it.

mod subject;

pub use subject::{Clients, Identity, ShortHash, Token, Verified};

use crate::ids::{ClientId, UserId};
use crate::keys::{Algorithm, KeySet};
use crate::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// What an issuer's tokens have to fulfil. All of it comes from configuration.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Name in logs and metrics.
    pub name: String,
    /// Algorithms the issuer is pinned to.
    pub algorithms: Vec<Algorithm>,
    /// Required `iss`, when set.
    pub issuer: Option<String>,
    /// Required `aud` (the token's may be one or many), when set.
    pub audience: Option<String>,
    /// Clock skew allowed on `exp` and `nbf`, in seconds.
    pub leeway: u64,
    /// The claim that holds the app's user id; `None`: the app's login says whose a token is.
    pub user_claim: Option<String>,
    /// The claim that holds the client ids.
    pub clients_claim: String,
    /// Whether Coolbits may be given this issuer's tokens.
    pub forward_to_coolbits: bool,
}

/// An issuer together with the keys it has at the moment.
pub struct KeyedIssuer<'a> {
    /// What its tokens have to fulfil.
    pub issuer: &'a Issuer,
    /// What they are signed with.
    pub keys: &'a KeySet,
}

/// Verifies a compact JWS (RFC 7515, 7.1) against the configured issuers.
///
/// `now` is seconds since the epoch. When no issuer accepts the token, the
/// error is that of the issuer it got furthest with, so that an expired token
/// of one issuer is not reported as badly signed by another.
pub fn identify(token: &str, issuers: &[KeyedIssuer<'_>], now: u64) -> Result<Verified, Refusal> {
    let parts = Parts::split(token)?;
    // Before any key: what has no claims is no token, whoever signed it.
    parts.claims()?;
    furthest(issuers, |keyed| verify(&parts, keyed, now))
}

/// Verifies the signature alone, and gives the payload, which may be anything (RFC 7515, 5.2).
pub fn check_signed(token: &str, issuers: &[KeyedIssuer<'_>]) -> Result<Vec<u8>, Refusal> {
    let parts = Parts::split(token)?;
    furthest(issuers, |keyed| check_signature(&parts, keyed))?;
    Ok(parts.payload)
}

/// What the first issuer says that takes it, or else the one it got furthest with.
fn furthest<T>(
    issuers: &[KeyedIssuer<'_>],
    attempt: impl Fn(&KeyedIssuer<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut worst = Refusal::TokenUnknownKey;
    let mut furthest = 0;
    for keyed in issuers {
        match attempt(keyed) {
            Ok(taken) => return Ok(taken),
            Err(refusal) if depth(refusal) >= furthest => {
                furthest = depth(refusal);
                worst = refusal;
            }
            Err(_) => {}
        }
    }
    Err(worst)
}

/// How far a token came before it was refused.
fn depth(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::KeysUnavailable => 1,
        Refusal::TokenAlgorithmNotAllowed => 2,
        Refusal::TokenUnknownKey => 3,
        Refusal::TokenBadSignature => 4,
        _ => 5,
    }
}

/// A token taken apart, nothing of it believed yet.
struct Parts<'a> {
    token: &'a str,
    message: &'a str,
    signature: &'a str,
    algorithm: Option<Algorithm>,
    kid: Option<String>,
    payload: Vec<u8>,
    claims: Option<Map<String, Value>>,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, Refusal> {
        let malformed = Refusal::TokenMalformed;
        if token.len() > LONGEST_TOKEN {
            return Err(malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = message.split_once('.').ok_or(malformed)?;
        if payload.contains('.') {
            return Err(malformed);
        }
        let header = object(&decode(header)?).ok_or(malformed)?;
        let payload = decode(payload)?;
        let claims = object(&payload);
        // RFC 7515, 4.1.11: an extension that we do not understand must be refused.
        if header.contains_key("crit") {
            return Err(malformed);
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(alg)) => Algorithm::parse(alg),
            _ => return Err(malformed),
        };
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed),
        };
        Ok(Self {
            token,
            message,
            signature,
            algorithm,
            kid,
            payload,
            claims,
        })
    }

    fn claims(&self) -> Result<&Map<String, Value>, Refusal> {
        self.claims.as_ref().ok_or(Refusal::TokenMalformed)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::TokenMalformed)
}

/// A JSON object without a name twice (RFC 7515, section 4; RFC 7519, section 4).
fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match crate::body::strict(bytes) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn check_signature(parts: &Parts<'_>, keyed: &KeyedIssuer<'_>) -> Result<(), Refusal> {
    let issuer = keyed.issuer;
    if keyed.keys.is_empty() {
        return Err(Refusal::KeysUnavailable);
    }
    // `none` and every other algorithm we do not know parse to nothing.
    let algorithm = parts
        .algorithm
        .filter(|alg| issuer.algorithms.contains(alg))
        .ok_or(Refusal::TokenAlgorithmNotAllowed)?;
    let kid = parts.kid.as_deref();
    if !keyed.keys.knows(kid) {
        return Err(Refusal::TokenUnknownKey);
    }
    let mut candidates = keyed.keys.candidates(kid, algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(Refusal::TokenAlgorithmNotAllowed);
    }
    let message = parts.message.as_bytes();
    match candidates.any(|key| key.verify(algorithm, message, parts.signature)) {
        true => Ok(()),
        false => Err(Refusal::TokenBadSignature),
    }
}

fn verify(parts: &Parts<'_>, keyed: &KeyedIssuer<'_>, now: u64) -> Result<Verified, Refusal> {
    check_signature(parts, keyed)?;
    let issuer = keyed.issuer;
    let claims = parts.claims()?;
    let expires = check_times(claims, issuer.leeway, now)?;
    check_parties(claims, issuer)?;
    let claim = issuer.user_claim.as_deref();
    Ok(Verified {
        user: claim.map(|claim| user(claims, claim)).transpose()?,
        expires: Some(expires),
        issued: claims
            .get("iat")
            .and_then(Value::as_f64)
            .map(|iat| iat as u64),
        by_login: false,
        clients: clients(claims, &issuer.clients_claim)?,
        token: Token::new(parts.token),
        issuer: issuer.name.as_str().into(),
        forward_to_coolbits: issuer.forward_to_coolbits,
    })
}

/// `exp` is required; both are NumericDates (RFC 7519, section 2).
///
/// Gives the second from which on it is no longer good, leeway included.
fn check_times(claims: &Map<String, Value>, leeway: u64, now: u64) -> Result<u64, Refusal> {
    let date = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refusal::TokenClaimsInvalid),
    };
    let (now, leeway) = (now as f64, leeway as f64);
    let expires = date("exp")?.ok_or(Refusal::TokenClaimsInvalid)?;
    if now >= expires + leeway {
        return Err(Refusal::TokenExpired);
    }
    if date("nbf")?.is_some_and(|begins| now + leeway < begins) {
        return Err(Refusal::TokenNotYetValid);
    }
    Ok((expires + leeway).ceil() as u64)
}

/// Takes a token whose only judge is the app's login: no key is needed and no claim
/// read. Only its form is looked at (`b64token`, RFC 6750, 2.1).
pub fn by_login(token: &str, issuer: &str, forward_to_coolbits: bool) -> Result<Verified, Refusal> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(is_token) {
        return Err(Refusal::TokenMalformed);
    }
    Ok(Verified {
        user: None,
        clients: Clients::Unclaimed,
        token: Token::new(token),
        issuer: issuer.into(),
        forward_to_coolbits,
        expires: None,
        issued: None,
        by_login: true,
    })
}

fn check_parties(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Refusal> {
    if let Some(expected) = &issuer.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(expected)
    {
        return Err(Refusal::TokenWrongIssuer);
    }
    if let Some(expected) = &issuer.audience {
        let named = match claims.get("aud") {
            Some(Value::String(one)) => one == expected,
            Some(Value::Array(many)) => many.iter().any(|a| a.as_str() == Some(expected)),
            _ => false,
        };
        if !named {
            return Err(Refusal::TokenWrongAudience);
        }
    }
    Ok(())
}

fn user(claims: &Map<String, Value>, claim: &str) -> Result<UserId, Refusal> {
    let text = claims.get(claim).and_then(id_text);
    text.and_then(|t| UserId::parse(&t).ok())
        .ok_or(Refusal::TokenClaimsInvalid)
}

fn clients(claims: &Map<String, Value>, claim: &str) -> Result<Clients, Refusal> {
    let one = |value: &Value| {
        id_text(value)
            .and_then(|t| ClientId::parse(&t).ok())
            .ok_or(Refusal::TokenClaimsInvalid)
    };
    let ids = match claims.get(claim) {
        None => return Ok(Clients::Unclaimed),
        Some(Value::Array(many)) => many.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        Some(single) => vec![one(single)?],
    };
    Ok(Clients::Claimed(ids.into()))
}

/// A JSON integer or string, as the text that the id grammar reads.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|n| n.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
