use super::*;
use crate::identity::{Issuer, KeyedIssuer, identify};
use crate::keys::Algorithm;
use crate::keys::KeySet;
use crate::matrix::Matrix;
use crate::normalise::{RawRequest, normalise};
use jsonwebtoken::{EncodingKey, Header};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// An identity made the only way there is: from a signed token.
pub(crate) fn identity(user: u64, clients: Option<&[u64]>) -> Identity {
    let mut claims = serde_json::json!({"uid": user, "exp": 2_000_000_000u64});
    if let Some(clients) = clients {
        claims["clients"] = serde_json::json!(clients);
    }
    let key = EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    let issuer = Issuer {
        name: "test".into(),
        algorithms: vec![Algorithm::HS256],
        issuer: None,
        audience: None,
        leeway: 0,
        user_claim: Some("uid".into()),
        clients_claim: "clients".into(),
        forward_to_coolbits: true,
    };
    let keys = KeySet::secret(SECRET).unwrap();
    identify(
        &token,
        &[KeyedIssuer {
            issuer: &issuer,
            keys: &keys,
        }],
        1_800_000_000,
    )
    .unwrap()
    .bound_to(crate::ids::UserId::parse(&user.to_string()).unwrap())
}

pub(crate) fn permit(
    identity: Option<Identity>,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Permit, Refusal> {
    permit_of("GET", identity, target, headers)
}

fn asked(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Asked, Refusal> {
    let headers: Vec<(&[u8], &[u8])> = std::iter::once(("Host", "app"))
        .chain(headers.iter().copied())
        .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
        .collect();
    normalise(RawRequest {
        method,
        target: target.as_bytes(),
        headers,
    })
}

pub(crate) fn permit_of(
    method: &str,
    identity: Option<Identity>,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Permit, Refusal> {
    let asked = asked(method, target, headers)?;
    let found = Matrix::built_in().unwrap().find(method, &asked.path);
    let listed = [10, 11].map(|id| ClientId::parse(&id.to_string()).unwrap());
    let listed = ClientIds::from(listed.to_vec());
    let tenancy = Tenancy {
        directory: Some(&listed),
        ..Tenancy::default()
    };
    authorise(asked, Ok(identity), found, &tenancy)
}

const FLOWS: &str = "/api/flows";

#[test]
fn who_may_use_which_client() {
    use Refusal::*;
    type Case<'a> = (
        &'a str,
        Option<&'a [u64]>,
        &'a str,
        &'a [(&'a str, &'a str)],
        Result<Option<u64>, Refusal>,
    );
    let h = "X-Client-ID";
    let cases: &[Case] = &[
        (
            "named in the header",
            Some(&[10, 11]),
            FLOWS,
            &[(h, "10")],
            Ok(Some(10)),
        ),
        (
            "named in the query",
            Some(&[10, 11]),
            "/api/flows?client_id=11",
            &[],
            Ok(Some(11)),
        ),
        (
            "named in both alike",
            Some(&[10]),
            "/api/flows?client_id=10",
            &[(h, "10")],
            Ok(Some(10)),
        ),
        (
            "named in both differently",
            Some(&[10, 11]),
            "/api/flows?client_id=11",
            &[(h, "10")],
            Err(ClientConflict),
        ),
        (
            "no client against a client",
            Some(&[10]),
            "/api/flows?client_id=10",
            &[(h, "")],
            Err(ClientConflict),
        ),
        (
            "not in the claim",
            Some(&[10]),
            FLOWS,
            &[(h, "20")],
            Err(ClientNotAllowed),
        ),
        (
            "not in the claim, by query",
            Some(&[10]),
            "/api/flows?client%5fid=20",
            &[],
            Err(ClientNotAllowed),
        ),
        (
            "an empty claim",
            Some(&[]),
            FLOWS,
            &[(h, "10")],
            Err(ClientNotAllowed),
        ),
        (
            "no claim, one of the app's list",
            None,
            FLOWS,
            &[(h, "10")],
            Ok(Some(10)),
        ),
        (
            "no claim, not on the app's list",
            None,
            FLOWS,
            &[(h, "20")],
            Err(ClientNotAllowed),
        ),
        (
            "no claim, required",
            None,
            "/api/conversations/1/messages",
            &[],
            Err(ClientRequired),
        ),
        (
            "a route that spans the user",
            Some(&[10]),
            "/api/maturity",
            &[(h, "10")],
            Err(UserWideDenied),
        ),
        (
            "the same without a claim",
            None,
            "/api/maturity",
            &[(h, "10")],
            Ok(None),
        ),
        (
            "the active client of the cookie",
            Some(&[10, 11]),
            "/api/app/search",
            &[("Cookie", "camarad_client_id=11")],
            Ok(Some(11)),
        ),
        (
            "a foreign client in the cookie is no name",
            Some(&[10, 11]),
            "/api/app/search",
            &[("Cookie", "camarad_client_id=20")],
            Err(ClientRequired),
        ),
        (
            "a page whose cookie is stale",
            Some(&[10]),
            "/chat",
            &[("Cookie", "camarad_client_id=20")],
            Ok(Some(10)),
        ),
        (
            "the cookie does not conflict",
            Some(&[10, 11]),
            "/chat",
            &[("Cookie", "camarad_client_id=11"), (h, "10")],
            Ok(Some(10)),
        ),
        (
            "a place that is not read must not contradict",
            Some(&[10, 11]),
            "/api/app/search?client_id=10",
            &[("Cookie", "camarad_client_id=10"), (h, "11")],
            Err(ClientConflict),
        ),
        (
            "two in one header",
            Some(&[1, 2]),
            FLOWS,
            &[(h, "1,2")],
            Err(ClientUnreadable),
        ),
        (
            "text",
            Some(&[1]),
            FLOWS,
            &[(h, "abc")],
            Err(ClientUnreadable),
        ),
        (
            "a fraction",
            Some(&[1]),
            FLOWS,
            &[(h, "1.0")],
            Err(ClientUnreadable),
        ),
        (
            "none named, one allowed",
            Some(&[10]),
            FLOWS,
            &[],
            Ok(Some(10)),
        ),
        (
            "none by word, one allowed",
            Some(&[10]),
            FLOWS,
            &[(h, "null")],
            Ok(Some(10)),
        ),
        (
            "none named, two allowed",
            Some(&[10, 11]),
            FLOWS,
            &[],
            Err(ClientRequired),
        ),
        (
            "none named, none claimed: everything of the user",
            None,
            FLOWS,
            &[],
            Ok(None),
        ),
        (
            "user route, none named",
            Some(&[10, 11]),
            "/api/clients",
            &[],
            Ok(None),
        ),
        (
            "a route that reads no client, and a stale one",
            Some(&[10]),
            "/api/clients",
            &[(h, "20")],
            Ok(None),
        ),
        (
            "drawer on the other own client",
            Some(&[10, 11]),
            "/api/clients/11",
            &[(h, "10")],
            Ok(Some(11)),
        ),
        (
            "drawer on a foreign client",
            Some(&[10]),
            "/api/clients/20",
            &[(h, "10")],
            Err(ClientNotAllowed),
        ),
        (
            "drawer, odd id",
            Some(&[10]),
            "/api/clients/+10",
            &[(h, "10")],
            Err(ClientUnreadable),
        ),
        (
            "links of the other own client",
            Some(&[10, 11]),
            "/api/client_connectors?client_id=11",
            &[(h, "10")],
            Ok(Some(11)),
        ),
        (
            "links of a foreign client",
            Some(&[10]),
            "/api/client_connectors?client_id=20",
            &[(h, "10")],
            Err(ClientNotAllowed),
        ),
        (
            "a public route with a stale client",
            Some(&[10]),
            "/api/auth/status",
            &[(h, "20")],
            Ok(None),
        ),
    ];
    for (name, clients, target, headers, expected) in cases {
        let decided = permit(Some(identity(1, *clients)), target, headers);
        let decided = decided.map(|p| p.client().map(ClientId::get));
        assert_eq!(decided, *expected, "{name}");
    }
}

#[test]
fn without_a_token_only_public_rules_pass() {
    let cases = [
        ("/api/flows", false),
        ("/api/users", false),
        ("/api/new-and-unknown", false),
        ("/api/auth/status", true),
        ("/", true),
        ("/static/app.css", true),
    ];
    for (target, passes) in cases {
        let refusal = permit(None, target, &[]).err();
        assert_eq!(
            refusal,
            (!passes).then_some(Refusal::TokenMissing),
            "{target}"
        );
    }
}

#[test]
fn what_was_decided_is_what_is_forwarded() {
    let forged = [
        (
            "Cookie",
            "camarad_user_id=2; theme=dark; camarad_client_id=20",
        ),
        ("X-User-ID", "2"),
        ("X-Client-ID", "10"),
    ];
    let permit = permit(
        Some(identity(1, Some(&[10]))),
        "//api/%66lows?client_id=10",
        &forged,
    );
    let permit = permit.unwrap();
    assert_eq!(permit.target(), "/api/flows?client_id=10");
    assert!(permit.forged_user());
    let token = permit.identity().unwrap().token().expose().to_owned();
    let upstream = permit.upstream_identity();
    assert_eq!(upstream.client_id.as_deref(), Some("10"));
    assert_eq!(upstream.user_id.as_deref(), Some("1"));
    assert_eq!(upstream.bearer, Some(token.as_str()));
    assert_eq!(
        upstream.cookie().concat(),
        format!("camarad_user_id=1; camarad_cb_token={token}; theme=dark")
    );
    let bare = permit.clone().without_own_cookies();
    let bare = bare.upstream_identity();
    assert_eq!(
        bare.cookie().concat(),
        format!("camarad_user_id=1; camarad_cb_token={token}")
    );
    assert_eq!(bare.client_id.as_deref(), Some("10"));
}

#[test]
fn an_anonymous_caller_forwards_no_identity() {
    let forged = [
        (
            "Cookie",
            "camarad_user_id=2; camarad_cb_token=x; theme=dark; camarad_client_id=20",
        ),
        ("X-User-ID", "2"),
        ("X-Client-ID", "20"),
    ];
    let permit = permit(None, "/chat?client_id=20&a=1", &forged).unwrap();
    let upstream = permit.upstream_identity();
    assert_eq!(permit.target(), "/chat?a=1");
    assert_eq!(upstream.cookie().concat(), "theme=dark");
    assert!(upstream.client_id.is_none() && upstream.user_id.is_none());
    assert!(upstream.bearer.is_none());
}

#[test]
fn the_clients_cookie_goes_on_only_where_it_is_read_and_allowed() {
    let cookie = |target: &str, value: &str| {
        let header = format!("camarad_client_id={value}");
        let who = identity(1, Some(&[10, 11]));
        let permit = permit(Some(who), target, &[("Cookie", &header)])?;
        Ok(permit.upstream_identity().cookie().concat())
    };
    let read = cookie("/api/app/search", "11").unwrap();
    assert!(read.ends_with("camarad_client_id=11"), "{read}");
    let not_read = cookie("/app", "11").unwrap();
    assert!(!not_read.contains("camarad_client_id"), "{not_read}");
    assert_eq!(
        cookie("/api/app/search", "20"),
        Err(Refusal::ClientRequired)
    );
}

fn with_mode(mode: Mode, headers: &[(&str, &str)], token: bool) -> Result<Permit, Refusal> {
    let headers: Vec<(&[u8], &[u8])> = std::iter::once(("Host", "app"))
        .chain(headers.iter().copied())
        .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
        .collect();
    let asked = normalise(RawRequest {
        method: "GET",
        target: b"/api/flows?client_id=20",
        headers,
    })?;
    let mut matrix = Matrix::built_in().unwrap();
    matrix.set_modes(Some(mode), &Default::default()).unwrap();
    let found = matrix.find("GET", &asked.path);
    let who = token.then(|| identity(1, Some(&[10])));
    authorise(asked, Ok(who), found, &Tenancy::default())
}

#[test]
fn what_is_only_reported_goes_on_as_it_was_asked_and_identity_is_never_relaxed() {
    let foreign = [
        ("X-Client-ID", "abc"),
        ("X-User-ID", "2"),
        ("Cookie", "camarad_user_id=2"),
    ];
    for (mode, reported) in [
        (Mode::Report, Some(Refusal::ClientUnreadable)),
        (Mode::Off, None),
    ] {
        let permit = with_mode(mode, &foreign, true).unwrap();
        assert_eq!(permit.reported(), reported);
        assert!(!permit.is_scoped());
        assert_eq!(permit.target(), "/api/flows?client_id=20");
        let upstream = permit.upstream_identity();
        assert_eq!(upstream.client_id.as_deref(), Some("abc"));
        assert_eq!(upstream.user_id.as_deref(), Some("1"));
        assert_eq!(
            with_mode(mode, &foreign, false).err(),
            Some(Refusal::TokenMissing)
        );
    }
    let refused = with_mode(Mode::Enforce, &foreign, true).err();
    assert_eq!(refused, Some(Refusal::ClientUnreadable));
}

#[test]
fn an_internal_route_needs_the_operators_own_network() {
    let ask = |internal| {
        let asked = normalise(RawRequest {
            method: "GET",
            target: b"/api/billing/cost-telemetry",
            headers: [(&b"Host"[..], &b"app"[..]), (b"X-Internal-Token", b"t")],
        })?;
        let found = Matrix::built_in().unwrap().find("GET", &asked.path);
        let tenancy = Tenancy {
            internal,
            ..Tenancy::default()
        };
        authorise(asked, Ok(None), found, &tenancy)
    };
    assert_eq!(ask(false).err(), Some(Refusal::InternalOnly));
    let permit = ask(true).unwrap();
    assert_eq!(permit.upstream_identity().internal_token, Some("t"));
    let elsewhere = super::tests::permit(
        Some(identity(1, Some(&[10]))),
        FLOWS,
        &[("X-Internal-Token", "t")],
    );
    assert!(
        elsewhere
            .unwrap()
            .upstream_identity()
            .internal_token
            .is_none()
    );
}

#[test]
fn a_created_client_is_in_reach_while_the_app_lists_it() {
    let ids = |ids: &[u64]| -> Vec<ClientId> {
        ids.iter()
            .map(|id| ClientId::parse(&id.to_string()).unwrap())
            .collect()
    };
    let created = ids(&[12]);
    let listed = |all: &[u64]| Some(ClientIds::from(ids(all)));
    for (directory, expected) in [
        (listed(&[12, 10]), true),
        (listed(&[10]), false),
        (None, false),
    ] {
        let tenancy = Tenancy {
            directory: directory.as_ref(),
            created: &created,
            ..Tenancy::default()
        };
        let reach = Reach::new(identity(1, Some(&[10])).clients(), &tenancy);
        assert_eq!(reach.allows(created[0]), expected, "{directory:?}");
        assert!(reach.is_limited());
    }
}

#[test]
fn what_each_place_names_is_told_and_the_first_client_found() {
    let places = |target: &str, headers: &[(&str, &str)]| {
        let asked = asked("GET", target, headers).unwrap();
        let found = Matrix::built_in().unwrap().find("GET", &asked.path);
        let places = Places::of(&asked, &found);
        let client = places.client().map(ClientId::get);
        (serde_json::to_string(&places).unwrap(), client)
    };
    let told = |text: &str, client| (text.to_owned(), client);
    assert_eq!(places(FLOWS, &[]), told("{}", None));
    assert_eq!(
        places(FLOWS, &[("X-Client-ID", "20")]),
        told(r#"{"header":"20"}"#, Some(20))
    );
    assert_eq!(
        places("/api/flows?client_id=21", &[("X-Client-ID", "none")]),
        told(r#"{"header":"none","query":"21"}"#, Some(21))
    );
    assert_eq!(
        places(
            FLOWS,
            &[("X-Client-ID", "2x"), ("Cookie", "camarad_client_id=7")]
        ),
        told(r#"{"cookie":"7","header":"unreadable"}"#, Some(7))
    );
    assert_eq!(
        places("/api/clients/12", &[]),
        told(r#"{"path":"12"}"#, Some(12))
    );
}
