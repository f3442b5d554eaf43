//! Tokens that do not say whose they are: the app's login says it, once.

use crate::support::{Ask, Claims, Got, Setup, Sidecar, StandIn, now, token};
use serde_json::{Value, json};

const ISSUER: &str =
    "[[issuers]]\nname = \"idp\"\nsecret = \"the secret of the tests, longer than 32 bytes\"\n";
const COOLBITS: &str =
    "[[issuers]]\nname = \"coolbits\"\nkind = \"coolbits\"\nforward_to_coolbits = true\n";
const KEY: &str = "a key for seals of at least 32 bytes";
const PROFILE: &str = "/api/settings/user";

/// A good token that names its user by e-mail only, as the identity provider knows them.
fn unbound(user: u64) -> String {
    let claims = json!({"email": format!("user{user}@example.com"), "exp": now() + 3600});
    token(Claims(claims))
}

async fn logins(legacy: &StandIn) -> usize {
    legacy.calls_to("/api/auth/session").await.len()
}

fn seal_of(got: &Got) -> Option<String> {
    let cookies = got.headers.get_all("set-cookie").iter();
    let mut cookies = cookies.map(|value| value.to_str().unwrap());
    let seal = cookies.find(|cookie| cookie.starts_with("camarad_seal="))?;
    assert!(
        seal.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"),
        "{seal}"
    );
    Some(seal.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_without_a_user_is_bound_once_by_the_apps_login() {
    let setup = Setup::default().file(ISSUER).set("SIDECAR_SEAL_KEY", KEY);
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let mine = unbound(1);
    let first = sidecar.get(PROFILE).bearer(&mine).send().await;
    assert_eq!((first.status, first.header("x-marks")), (200, "u1.c0"));
    assert!(seal_of(&first).is_some());
    let second = sidecar.get(PROFILE).bearer(&mine).send().await;
    assert_eq!((second.status, seal_of(&second)), (200, None));
    assert_eq!(logins(&legacy).await, 1);
    let calls = legacy.calls_to(PROFILE).await;
    assert_eq!(calls[0]["headers"]["x-user-id"], "1");
    let other = sidecar.get(PROFILE).bearer(&unbound(2)).send().await;
    assert_eq!(other.header("x-marks"), "u2.c0");
    assert!(!sidecar.everything_told().contains(&mine));
}

#[tokio::test]
async fn many_at_once_ask_the_login_once() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default().file(ISSUER)).await;
    legacy.faults(json!({"latency_ms": 50})).await;
    let mine = unbound(1);
    let asks = (0..20).map(|_| sidecar.get(PROFILE).bearer(&mine).send());
    for got in futures_util::future::join_all(asks).await {
        assert_eq!(got.status, 200);
    }
    assert_eq!(logins(&legacy).await, 1);
}

#[tokio::test]
async fn a_seal_stands_in_where_the_login_cannot_be_asked_and_nothing_else_does() {
    let setup = || Setup::default().file(ISSUER).set("SIDECAR_SEAL_KEY", KEY);
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup()).await;
    let mine = unbound(1);
    let first = sidecar.get(PROFILE).bearer(&mine).send().await;
    let seal = seal_of(&first).unwrap();
    let again = setup().start(&coolbits, &legacy).await;
    for faults in [
        json!({"fault": "status", "status": 500, "only": "/api/auth/session"}),
        json!({"fault": "status", "status": 401, "only": "/api/auth/session"}),
        json!({"fault": "html", "only": "/api/auth/session"}),
        json!({"fault": "reset", "only": "/api/auth/session"}),
    ] {
        legacy.faults(faults.clone()).await;
        let nothing = again.get(PROFILE).bearer(&unbound(2)).send().await;
        assert_eq!(
            (nothing.status, nothing.code()),
            (503, "binding_unavailable".into()),
            "{faults}"
        );
        // The seal of another token, and one that was changed.
        let changed = seal.replacen(".1.", ".2.", 1);
        for (token, cookie) in [(unbound(2), &seal), (mine.clone(), &changed)] {
            let ask = again.get(PROFILE).bearer(&token).with("Cookie", cookie);
            assert_eq!(ask.send().await.status, 503, "{faults} {cookie}");
        }
    }
    legacy.forget().await;
    let sealed = again
        .get(PROFILE)
        .bearer(&mine)
        .with("Cookie", &seal)
        .send()
        .await;
    assert_eq!((sealed.status, sealed.header("x-marks")), (200, "u1.c0"));
    let calls = legacy.calls().await;
    assert_eq!(calls.len(), 1);
    assert!(
        !calls[0]["headers"]["cookie"]
            .as_str()
            .unwrap()
            .contains("camarad_seal")
    );
    // Public pages do not fail for it: the caller is nobody there.
    let page = again.get("/pricing").bearer(&unbound(2)).send().await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn tokens_of_coolbits_are_judged_by_the_login_and_their_claims_are_never_read() {
    let (sidecar, _coolbits, legacy) =
        Sidecar::with_stand_ins(Setup::default().file(COOLBITS)).await;
    let ask = |token: String| {
        let ask = sidecar.get(PROFILE).bearer(&token);
        async move { ask.send().await }
    };
    assert_eq!(
        ask("session-of-user-3".into()).await.header("x-marks"),
        "u3.c0"
    );
    // Nobody's key; says that it is user 2, limited to client 20. The login knows user 1 by it.
    let claims = Claims(json!({"email": "user1@example.com", "uid": 2, "clients": [20], "exp": 1}));
    let got = ask(token(claims)).await;
    assert_eq!((got.status, got.header("x-marks")), (200, "u1.c0"));
    legacy.forget().await;
    for _ in 0..2 {
        let got = ask("nobody-knows-it".into()).await;
        assert_eq!((got.status, got.code()), (401, "token_not_accepted".into()));
        assert!(
            got.header("www-authenticate")
                .contains("token_not_accepted")
        );
    }
    assert_eq!(logins(&legacy).await, 1, "a refusal is kept for a moment");
    let odd = ask("not a token;".into()).await;
    assert_eq!((odd.status, odd.code()), (401, "token_malformed".into()));
}

#[tokio::test]
async fn what_a_keyed_issuer_made_and_refuses_does_not_come_in_by_the_login() {
    let file = format!("{ISSUER}user_claim = \"uid\"\n{COOLBITS}");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default().file(&file)).await;
    let expired =
        json!({"email": "user1@example.com", "uid": 1, "clients": [10], "exp": now() - 3600});
    let got = sidecar
        .get(PROFILE)
        .bearer(&token(Claims(expired)))
        .send()
        .await;
    assert_eq!((got.status, got.code()), (401, "token_expired".into()));
    assert_eq!(logins(&legacy).await, 0);
    let opaque = sidecar
        .get(PROFILE)
        .bearer("session-of-user-2")
        .send()
        .await;
    assert_eq!(opaque.header("x-marks"), "u2.c0");
}

#[tokio::test]
async fn what_an_operator_ended_is_over() {
    let file = format!("{ISSUER}user_claim = \"uid\"\n{COOLBITS}");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default().file(&file)).await;
    let issued = |user: u64, at: u64| {
        token(
            Claims::new(user, &[])
                .without("clients")
                .with("iat", json!(at)),
        )
    };
    let ask = |token: &str| sidecar.get(PROFILE).bearer(token).send();
    let (old, other) = (issued(1, now() - 60), issued(2, now() - 60));
    let later = issued(1, now() + 20);
    for token in [&old, &other, &later, "session-of-user-1"] {
        assert_eq!(ask(token).await.status, 200);
    }
    assert_eq!(logins(&legacy).await, 1);
    assert_eq!(sidecar.revoke(json!({"user": 1})).await.status, 200);
    let got = ask(&old).await;
    assert_eq!((got.status, got.code()), (401, "token_revoked".into()));
    assert_eq!(ask(&other).await.status, 200);
    assert_eq!(ask(&later).await.status, 200, "issued after");
    assert_eq!(ask("session-of-user-1").await.status, 200);
    assert_eq!(
        logins(&legacy).await,
        2,
        "the binding is gone, so the login is asked"
    );
    assert_eq!(sidecar.revoke(json!({"token": other})).await.status, 200);
    assert_eq!(ask(&other).await.code(), "token_revoked");
    assert!(!sidecar.everything_told().contains(&other));
    assert_eq!(sidecar.revoke(json!({"all": true})).await.status, 200);
    assert_eq!(ask(&issued(3, now() - 1)).await.code(), "token_revoked");
    for bad in [
        json!({}),
        json!({"all": false}),
        json!({"user": "1"}),
        json!({"user": 1, "all": true}),
        json!({"token_sha256": "x"}),
        json!([]),
    ] {
        let got = sidecar.revoke(bad.clone()).await;
        assert_eq!(
            (got.status, got.code()),
            (400, "order_invalid".into()),
            "{bad}"
        );
    }
    let url = format!("http://{}/sessions/revoke", sidecar.admin);
    let denied = Ask::new("POST", &url)
        .with("Content-Type", "application/json")
        .body("{\"all\": true}");
    assert_eq!(denied.send().await.status, 401);
}

/// The whole way of an honest user, with a login and nothing but the cookies it set.
#[tokio::test]
async fn an_honest_user_signs_in_and_works() {
    let setup = Setup::default().file(COOLBITS).set("SIDECAR_SEAL_KEY", KEY);
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let login = Ask::new("POST", &sidecar.url("/api/auth/session"))
        .with("Content-Type", "application/json")
        .with("Origin", &format!("http://{}", sidecar.address))
        .body(json!({"token": "session-of-user-1", "next": "/app"}).to_string())
        .send()
        .await;
    assert_eq!((login.status, &login.json()["user_id"]), (200, &json!(1)));
    let set = login.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = set
        .map(|c| c.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let cookie = cookies.join("; ");
    assert!(
        cookie.contains("camarad_user_id=1") && cookie.contains("camarad_cb_token="),
        "{cookie}"
    );
    // The UI adds both headers to every call, and says where it comes from.
    let ask = |method: &str, target: &str, client: &str, body: Value| {
        let ask = Ask::new(method, &sidecar.url(target))
            .with("Cookie", &format!("{cookie}; camarad_client_id={client}"))
            .with("X-User-ID", "1")
            .with("X-Client-ID", client)
            .with("Sec-Fetch-Site", "same-origin")
            .with("Content-Type", "application/json");
        let ask = if body.is_null() {
            ask
        } else {
            ask.body(body.to_string())
        };
        async move { ask.send().await }
    };
    for page in [
        "/app",
        "/connectors",
        "/orchestrator",
        "/chat",
        "/chat/business/seo?conv_id=4",
        "/settings",
        "/boardroom",
        "/agents",
    ] {
        assert_eq!(
            ask("GET", page, "10", Value::Null).await.status,
            200,
            "{page}"
        );
    }
    let made = ask(
        "POST",
        "/api/auth/onboarding",
        "10",
        json!({"company_name": "New"}),
    )
    .await;
    let id = made.json()["client_id"].to_string();
    let flow = json!({
        "nodes": [{"id": "a", "type": "agent", "slug": "seo"}, {"id": "o", "type": "output"}],
        "connections": [{"from": "a", "to": "o"}],
    });
    for (method, target, body) in [
        ("GET", "/api/auth/status", Value::Null),
        ("GET", "/api/clients", Value::Null),
        ("GET", "/api/connectors/list?all=1", Value::Null),
        ("GET", "/api/flows", Value::Null),
        ("POST", "/api/flows", json!({"flow": {}, "name": "f"})),
        ("GET", "/api/orchestrator/history", Value::Null),
        ("GET", "/api/conversations", Value::Null),
        ("POST", "/api/user/spend", json!({"amount": 1})),
        ("POST", "/api/orchestrator/execute", json!({"flow": flow})),
        ("GET", "/api/boardroom/meetings", Value::Null),
        ("POST", "/api/boardroom/meetings", json!({})),
        ("GET", "/api/app/search?q=x", Value::Null),
        ("GET", "/api/connectors/google-ads/campaigns", Value::Null),
        (
            "GET",
            "/api/connectors/ga4/overview?property_id=G-NEW0000001",
            Value::Null,
        ),
        // The drawer of another own client, while the new one is open.
        ("GET", "/api/clients/11", Value::Null),
        ("PATCH", "/api/clients/11", json!({"name": "n"})),
        ("GET", "/api/client_connectors?client_id=11", Value::Null),
        (
            "POST",
            "/api/client_connectors",
            json!({"client_id": 11, "connector_slug": "ga4"}),
        ),
        ("DELETE", "/api/clients/11", Value::Null),
        ("POST", "/api/auth/logout", json!({})),
    ] {
        let got = ask(method, target, &id, body).await;
        assert_eq!(
            got.status,
            200,
            "{method} {target}: {}",
            String::from_utf8_lossy(&got.body)
        );
        let marks = got.header("x-marks");
        assert!(
            marks
                .split(',')
                .all(|mark| mark.is_empty() || mark.starts_with("u1.")),
            "{target}: {marks}"
        );
    }
}
