//! Tokens that must pass, and the many that look as if they should.

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
        user_claim: Some("uid".into()),
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
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
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
    .map(|verified| {
        let user = verified.user().unwrap();
        verified.bound_to(user)
    })
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
    assert!(printed.contains(&identity.token().short_hash().to_string()));
}

#[test]
fn an_issuer_without_a_user_claim_leaves_the_user_to_the_login() {
    let issuer = Issuer {
        user_claim: None,
        ..issuer()
    };
    let token = encode(&json!({"alg": "HS256"}), &claims(), SECRET);
    let keys = KeySet::secret(SECRET).unwrap();
    let keyed = KeyedIssuer {
        issuer: &issuer,
        keys: &keys,
    };
    let verified = identify(&token, &[keyed], NOW).unwrap();
    assert_eq!(
        (verified.user(), verified.expires()),
        (None, Some(NOW + 90))
    );
    let identity = verified.bound_to(crate::ids::UserId::parse("7").unwrap());
    assert_eq!(identity.user().get(), 7);
    assert!(matches!(identity.clients(), Clients::Claimed(ids) if ids.len() == 2));
}

#[test]
fn a_token_for_the_login_has_the_form_of_one_and_claims_nothing() {
    for good in ["abc", "a.b-c_d~e+f/g=="] {
        let verified = by_login(good, "coolbits", true).unwrap();
        let kept = verified.token().shared();
        assert_eq!(
            (&*kept, kept.as_ptr()),
            (good, verified.token().expose().as_ptr())
        );
        assert!(verified.is_by_login() && verified.user().is_none());
    }
    for bad in ["", "a b", "a\"b", "a;b", "\u{e9}"] {
        assert_eq!(
            by_login(bad, "coolbits", true).err(),
            Some(Refusal::TokenMalformed),
            "{bad}"
        );
    }
}

/// RFC 7515, appendix A.4: the library's algorithms end before ES512, ours do not.
#[test]
fn the_es512_example_of_the_rfc_verifies() {
    let jwks = br#"{"keys":[{"kty":"EC","crv":"P-521",
        "x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}]}"#;
    let token = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let keys = KeySet::jwks(jwks).unwrap();
    let issuer = Issuer {
        algorithms: vec![Algorithm::ES512],
        ..issuer()
    };
    let keyed = || KeyedIssuer {
        issuer: &issuer,
        keys: &keys,
    };
    assert_eq!(check_signed(token, &[keyed()]), Ok(b"Payload".to_vec()));
    assert_eq!(
        identify(token, &[keyed()], NOW).err(),
        Some(Refusal::TokenMalformed)
    );
    let changed = token.replacen("UGF5", "UGF4", 1);
    assert_eq!(
        check_signed(&changed, &[keyed()]),
        Err(Refusal::TokenBadSignature)
    );
}

#[test]
fn a_name_that_stands_twice_makes_no_token() {
    for (header, payload) in [
        (r#"{"alg":"none","alg":"HS256"}"#, r#"{"uid":1}"#),
        (r#"{"alg":"HS256"}"#, r#"{"uid":1,"uid":2}"#),
    ] {
        let parts = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let token = format!("{}.AAAA", parts.join("."));
        assert_eq!(
            check(&token, &issuer()).err(),
            Some(Refusal::TokenMalformed),
            "{header}"
        );
    }
}
