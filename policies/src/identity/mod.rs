//! From a bearer token to an [`Identity`], or to the reason why not.
//!
//! [`identify`] is the only function that makes an `Identity`, and every way a
//! token can arrive goes through it: one verification, one strictness. It checks
//! form, pinned algorithm, signature, then claims, in that order, so that no
//! claim of an unverified token is ever acted on (RFC 8725, 3.1, 3.10).
//!
//! Misuse to beware of: `iss` is compared *after* the signature was verified
//! with that issuer's keys. Choosing an issuer by the token's own `iss` first
//! would let the caller choose who vouches for it.

mod subject;

pub use subject::{Clients, Identity, Token};

use crate::ids::{ClientId, UserId};
use crate::keys::KeySet;
use crate::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
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
    /// The claim that holds the app's user id.
    pub user_claim: String,
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
pub fn identify(token: &str, issuers: &[KeyedIssuer<'_>], now: u64) -> Result<Identity, Refusal> {
    let parts = Parts::split(token)?;
    let mut worst = Refusal::TokenUnknownKey;
    let mut furthest = 0;
    for keyed in issuers {
        match verify(&parts, keyed, now) {
            Ok(identity) => return Ok(identity),
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
    claims: Map<String, Value>,
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
        let header = object(header)?;
        let claims = object(payload)?;
        // RFC 7515, 4.1.11: an extension that we do not understand must be refused.
        if header.contains_key("crit") {
            return Err(malformed);
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(alg)) => alg.parse().ok(),
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
            claims,
        })
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::TokenMalformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::TokenMalformed)
}

fn verify(parts: &Parts<'_>, keyed: &KeyedIssuer<'_>, now: u64) -> Result<Identity, Refusal> {
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
    let signed = candidates.any(|key| {
        jsonwebtoken::crypto::verify(parts.signature, parts.message.as_bytes(), key, algorithm)
            .unwrap_or(false)
    });
    if !signed {
        return Err(Refusal::TokenBadSignature);
    }
    check_times(&parts.claims, issuer.leeway, now)?;
    check_parties(&parts.claims, issuer)?;
    Ok(Identity {
        user: user(&parts.claims, &issuer.user_claim)?,
        clients: clients(&parts.claims, &issuer.clients_claim)?,
        token: Token::new(parts.token),
        issuer: issuer.name.clone(),
        forward_to_coolbits: issuer.forward_to_coolbits,
    })
}

/// `exp` is required; both are NumericDates (RFC 7519, section 2).
fn check_times(claims: &Map<String, Value>, leeway: u64, now: u64) -> Result<(), Refusal> {
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
    Ok(())
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
    let mut ids = match claims.get(claim) {
        None => return Ok(Clients::Unclaimed),
        Some(Value::Array(many)) => many.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        Some(single) => vec![one(single)?],
    };
    ids.sort_unstable();
    ids.dedup();
    Ok(Clients::Claimed(ids))
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
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

    fn issuer() -> Issuer {
        Issuer {
            name: "test".into(),
            algorithms: vec![Algorithm::HS256],
            issuer: Some("https://issuer.example".into()),
            audience: Some("camarad".into()),
            leeway: 30,
            user_claim: "uid".into(),
            clients_claim: "clients".into(),
            forward_to_coolbits: true,
        }
    }

    fn claims() -> Value {
        json!({"uid": 1, "clients": [10, "11"], "exp": NOW + 60,
               "iss": "https://issuer.example", "aud": ["x", "camarad"]})
    }

    fn encode(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let message = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
        format!("{message}.{}", signature.unwrap())
    }

    fn check(token: &str, issuer: &Issuer) -> Result<Identity, Refusal> {
        let keys = KeySet::secret(SECRET).unwrap();
        identify(
            token,
            &[KeyedIssuer {
                issuer,
                keys: &keys,
            }],
            NOW,
        )
    }

    fn with(change: impl Fn(&mut Value)) -> Result<Identity, Refusal> {
        let mut claims = claims();
        change(&mut claims);
        check(
            &encode(&json!({"alg": "HS256"}), &claims, SECRET),
            &issuer(),
        )
    }

    #[test]
    fn a_good_token_names_its_user_and_clients() {
        let identity = with(|_| {}).unwrap();
        assert_eq!(identity.user().get(), 1);
        let allowed = |n: &str| identity.clients().allow(ClientId::parse(n).unwrap());
        assert!(allowed("10") && allowed("11") && !allowed("12"));
    }

    #[test]
    fn each_fault_of_the_claims_has_its_own_refusal() {
        type Change = fn(&mut Value);
        let cases: &[(&str, Change, Option<Refusal>)] = &[
            (
                "expired",
                |c| c["exp"] = json!(NOW - 31),
                Some(Refusal::TokenExpired),
            ),
            (
                "expired within the leeway",
                |c| c["exp"] = json!(NOW - 29),
                None,
            ),
            (
                "expired a moment ago, as a fraction",
                |c| c["exp"] = json!(NOW as f64 - 30.5),
                Some(Refusal::TokenExpired),
            ),
            (
                "no exp",
                |c| {
                    c.as_object_mut().unwrap().remove("exp");
                },
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "exp as text",
                |c| c["exp"] = json!("9999999999"),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "not yet",
                |c| c["nbf"] = json!(NOW + 31),
                Some(Refusal::TokenNotYetValid),
            ),
            (
                "not yet within the leeway",
                |c| c["nbf"] = json!(NOW + 29),
                None,
            ),
            (
                "other issuer",
                |c| c["iss"] = json!("https://issuer.example/"),
                Some(Refusal::TokenWrongIssuer),
            ),
            (
                "issuer as list",
                |c| c["iss"] = json!(["https://issuer.example"]),
                Some(Refusal::TokenWrongIssuer),
            ),
            (
                "other audience",
                |c| c["aud"] = json!("camarad2"),
                Some(Refusal::TokenWrongAudience),
            ),
            ("audience as text", |c| c["aud"] = json!("camarad"), None),
            (
                "no user",
                |c| {
                    c.as_object_mut().unwrap().remove("uid");
                },
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "user 0",
                |c| c["uid"] = json!(0),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "user with sign",
                |c| c["uid"] = json!("+1"),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "user as fraction",
                |c| c["uid"] = json!(1.0),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "user as true",
                |c| c["uid"] = json!(true),
                Some(Refusal::TokenClaimsInvalid),
            ),
            ("one client", |c| c["clients"] = json!(10), None),
            (
                "client 0",
                |c| c["clients"] = json!([0]),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "clients null",
                |c| c["clients"] = json!(null),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "clients as object",
                |c| c["clients"] = json!({"a": 1}),
                Some(Refusal::TokenClaimsInvalid),
            ),
            (
                "one bad client among good",
                |c| c["clients"] = json!([10, "1,2"]),
                Some(Refusal::TokenClaimsInvalid),
            ),
        ];
        for (name, change, expected) in cases {
            assert_eq!(with(change).err(), *expected, "{name}");
        }
    }

    #[test]
    fn no_clients_claim_grants_no_client() {
        let identity = with(|c| {
            c.as_object_mut().unwrap().remove("clients");
        });
        let clients = identity.unwrap().clients().clone();
        assert_eq!(clients, Clients::Unclaimed);
        assert!(!clients.allow(ClientId::parse("10").unwrap()));
    }

    #[test]
    fn forms_and_signatures_that_must_not_pass() {
        let good = encode(&json!({"alg": "HS256"}), &claims(), SECRET);
        let (message, signature) = good.rsplit_once('.').unwrap();
        let other_payload = URL_SAFE_NO_PAD.encode(json!({"uid": 2}).to_string());
        let header = good.split('.').next().unwrap();
        let sign = |header: Value| encode(&header, &claims(), SECRET);
        let cases = [
            ("nothing", String::new(), Refusal::TokenMalformed),
            ("words", "abc".into(), Refusal::TokenMalformed),
            ("two parts", message.into(), Refusal::TokenMalformed),
            ("four parts", format!("{good}.x"), Refusal::TokenMalformed),
            (
                "padding",
                format!("{header}=.{message}.{signature}"),
                Refusal::TokenMalformed,
            ),
            (
                "no signature",
                format!("{message}."),
                Refusal::TokenBadSignature,
            ),
            (
                "signature of another",
                format!("{header}.{other_payload}.{signature}"),
                Refusal::TokenBadSignature,
            ),
            (
                "other secret",
                encode(
                    &json!({"alg": "HS256"}),
                    &claims(),
                    b"another secret of thirty-two bytes!!",
                ),
                Refusal::TokenBadSignature,
            ),
            (
                "alg none",
                sign(json!({"alg": "none"})),
                Refusal::TokenAlgorithmNotAllowed,
            ),
            (
                "alg None",
                sign(json!({"alg": "nOnE"})),
                Refusal::TokenAlgorithmNotAllowed,
            ),
            (
                "alg RS256",
                sign(json!({"alg": "RS256"})),
                Refusal::TokenAlgorithmNotAllowed,
            ),
            (
                "alg HS512",
                sign(json!({"alg": "HS512"})),
                Refusal::TokenAlgorithmNotAllowed,
            ),
            ("no alg", sign(json!({})), Refusal::TokenMalformed),
            (
                "critical extension",
                sign(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
                Refusal::TokenMalformed,
            ),
            (
                "kid as number",
                sign(json!({"alg": "HS256", "kid": 1})),
                Refusal::TokenMalformed,
            ),
            (
                "too long",
                "a".repeat(LONGEST_TOKEN + 1),
                Refusal::TokenMalformed,
            ),
        ];
        for (name, token, expected) in cases {
            assert_eq!(check(&token, &issuer()).err(), Some(expected), "{name}");
        }
    }

    #[test]
    fn an_unknown_kid_is_told_apart_from_a_bad_signature() {
        let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let keys = KeySet::jwks(jwks).unwrap();
        let issuer = Issuer {
            algorithms: vec![Algorithm::EdDSA],
            ..issuer()
        };
        let check = |header: Value| {
            let token = encode(&header, &claims(), SECRET);
            let keyed = KeyedIssuer {
                issuer: &issuer,
                keys: &keys,
            };
            identify(&token, &[keyed], NOW).err()
        };
        assert_eq!(
            check(json!({"alg": "EdDSA", "kid": "b"})),
            Some(Refusal::TokenUnknownKey)
        );
        assert_eq!(
            check(json!({"alg": "EdDSA", "kid": "a"})),
            Some(Refusal::TokenBadSignature)
        );
        assert_eq!(
            check(json!({"alg": "HS256", "kid": "a"})),
            Some(Refusal::TokenAlgorithmNotAllowed)
        );
    }

    #[test]
    fn a_token_never_prints_itself() {
        let identity = with(|_| {}).unwrap();
        let printed = format!("{identity:?}");
        assert!(!printed.contains(identity.token().expose()));
        assert!(printed.contains(&identity.token().short_hash()));
    }
}
