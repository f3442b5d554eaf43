//! From who asks and what is asked to a [`Permit`], or to the refusal.
//!
//! A `Permit` is the proof that the decision was taken: upstream requests, cache
//! keys and ledger rows are made from one and from nothing else, and
//! [`authorise`] is its only constructor. It also holds the *decided form* of
//! the request (one user, one client, one path), so that what was decided on is
//! what is forwarded.

mod permit;

pub use permit::{Permit, UpstreamIdentity};

use crate::identity::{Clients, Identity};
use crate::ids::{ClientId, Named, Unreadable};
use crate::matrix::{Auth, ClientScope, Found, Rule};
use crate::normalise::Asked;
use crate::refusal::Refusal;

/// Decides whether the identity may do what is asked.
///
/// `identity` is `Ok(None)` for a request without a token and `Err` for one
/// whose token was refused; on a public rule both mean an anonymous caller.
pub fn authorise(
    asked: Asked,
    identity: Result<Option<Identity>, Refusal>,
    found: Found,
) -> Result<Permit, Refusal> {
    let rule = found.rule;
    let (identity, client) = match rule.auth {
        Auth::Public => {
            let identity = identity.ok().flatten();
            let client = named_on_public(&asked, identity.as_ref());
            (identity, client)
        }
        Auth::Required => {
            let identity = identity?.ok_or(Refusal::TokenMissing)?;
            let in_path = found.client_in_path.as_deref();
            let client = client(&asked, in_path, identity.clients(), &rule)?;
            (Some(identity), client)
        }
    };
    let forged_user = match (&asked.claimed_user, &identity) {
        (None, _) => false,
        (Some(claimed), Some(identity)) => *claimed != identity.user().to_string(),
        (Some(_), None) => true,
    };
    Ok(Permit {
        rule,
        query: asked.query.with_client(client.map(|c| c.to_string())),
        identity,
        client,
        method: asked.method,
        path: asked.path,
        cookies: asked.cookies,
        forged_user,
    })
}

/// A public page is never refused for a client left over from another login; it is only not told it.
fn named_on_public(asked: &Asked, identity: Option<&Identity>) -> Option<ClientId> {
    let named = agreed(&[asked.client_header, asked.client_query]).ok()??;
    let identity = identity?;
    match named {
        Named::Client(client) if identity.clients().allow(client) => Some(client),
        _ => None,
    }
}

fn client(
    asked: &Asked,
    in_path: Option<&str>,
    clients: &Clients,
    rule: &Rule,
) -> Result<Option<ClientId>, Refusal> {
    let scope = rule.client;
    // Where a body is read, one that names no client says so, and conflicts like any other.
    let in_body = rule
        .client_in_body
        .as_ref()
        .map(|_| asked.client_body.unwrap_or(Ok(Named::NoClient)));
    let named = match scope {
        // The object's client decides; the header only says which client is open in the UI.
        ClientScope::Managed => agreed(&[in_path.map(Named::parse), asked.client_query, in_body])?,
        _ => agreed(&[asked.client_header, asked.client_query, in_body])?,
    };
    match (named, scope) {
        (Some(Named::Client(client)), _) if clients.allow(client) => Ok(Some(client)),
        (Some(Named::Client(_)), _) => Err(Refusal::ClientNotAllowed),
        (Some(Named::NoClient) | None, ClientScope::User | ClientScope::Managed) => Ok(None),
        (Some(Named::NoClient) | None, ClientScope::Scoped) => match clients {
            Clients::Claimed(ids) => match ids[..] {
                [only] => Ok(Some(only)),
                _ => Err(Refusal::ClientRequired),
            },
            Clients::Unclaimed => Err(Refusal::ClientRequired),
        },
    }
}

/// What all places that are present say together.
fn agreed(places: &[Option<Result<Named, Unreadable>>]) -> Result<Option<Named>, Refusal> {
    let mut decided = None;
    for place in places.iter().flatten() {
        let named = place.map_err(|Unreadable| Refusal::ClientUnreadable)?;
        if decided.is_some_and(|other| other != named) {
            return Err(Refusal::ClientConflict);
        }
        decided = Some(named);
    }
    Ok(decided)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identity::{Issuer, KeyedIssuer, identify};
    use crate::keys::KeySet;
    use crate::matrix::{BUILT_IN, Matrix};
    use crate::normalise::{RawRequest, normalise};
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

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
            user_claim: "uid".into(),
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
    }

    pub(crate) fn permit(
        identity: Option<Identity>,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Permit, Refusal> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: Vec<(&str, &[u8])> = std::iter::once(("Host", "app"))
            .chain(headers.iter().copied())
            .map(|(n, v)| (n, v.as_bytes()))
            .collect();
        let asked = normalise(&RawRequest {
            method: "GET",
            path: path.as_bytes(),
            query: query.as_bytes(),
            headers: &headers,
        })?;
        let found = Matrix::parse(BUILT_IN).unwrap().find("GET", &asked.path);
        authorise(asked, Ok(identity), found)
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
                "no claim at all",
                None,
                FLOWS,
                &[(h, "10")],
                Err(ClientNotAllowed),
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
                "none named, none claimed",
                None,
                FLOWS,
                &[],
                Err(ClientRequired),
            ),
            (
                "user route, none named",
                Some(&[10, 11]),
                "/api/clients",
                &[],
                Ok(None),
            ),
            (
                "user route, foreign client",
                Some(&[10]),
                "/api/clients",
                &[(h, "20")],
                Err(ClientNotAllowed),
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
        assert_eq!(upstream.authorization, Some(format!("Bearer {token}")));
        assert_eq!(
            upstream.cookie,
            Some(format!(
                "camarad_user_id=1; camarad_cb_token={token}; camarad_client_id=10; theme=dark"
            ))
        );
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
        assert_eq!(upstream.cookie.as_deref(), Some("theme=dark"));
        assert!(upstream.client_id.is_none() && upstream.user_id.is_none());
        assert!(upstream.authorization.is_none());
    }

    #[test]
    fn the_clients_cookie_goes_on_only_when_it_is_allowed() {
        let cookie = |value: &str| {
            let header = format!("camarad_client_id={value}");
            let permit = permit(
                Some(identity(1, Some(&[10, 11]))),
                "/app",
                &[("Cookie", &header)],
            );
            permit.unwrap().upstream_identity().cookie.unwrap()
        };
        assert!(cookie("11").ends_with("camarad_client_id=11"));
        assert!(!cookie("20").contains("camarad_client_id"));
    }
}
