//! Who is let in, as whom, and what of it reaches the app.

use crate::support::{Ask, Claims, SECRET, Setup, Sidecar, StandIn, alice, bob, now, once, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

fn signed(header: serde_json::Value, secret: &str) -> String {
    let message = [header, Claims::new(1, &[10]).0]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test]
async fn each_bad_token_is_refused_with_its_code() {
    let (sidecar, coolbits, legacy) =
        Sidecar::with_stand_ins(Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0")).await;
    let alg = |alg: &str| json!({"alg": alg, "typ": "JWT"});
    let unsigned = {
        let good = signed(alg("none"), SECRET);
        format!("{}.", good.rsplit_once('.').unwrap().0)
    };
    let rows = [
        (
            "wrong secret",
            signed(alg("HS256"), "another secret, longer than 32 bytes too"),
            "token_bad_signature",
        ),
        ("alg none", unsigned, "token_algorithm_not_allowed"),
        (
            "alg none with a signature",
            signed(alg("none"), SECRET),
            "token_algorithm_not_allowed",
        ),
        (
            "alg RS256",
            signed(alg("RS256"), SECRET),
            "token_algorithm_not_allowed",
        ),
        (
            "expired",
            token(Claims::new(1, &[10]).with("exp", json!(now() - 3600))),
            "token_expired",
        ),
        (
            "no exp",
            token(Claims::new(1, &[10]).without("exp")),
            "token_claims_invalid",
        ),
        (
            "not yet",
            token(Claims::new(1, &[10]).with("nbf", json!(now() + 3600))),
            "token_not_yet_valid",
        ),
        (
            "no user",
            token(Claims::new(1, &[10]).without("uid")),
            "token_claims_invalid",
        ),
        (
            "user 0",
            token(Claims::new(0, &[10])),
            "token_claims_invalid",
        ),
        ("no token at all", "garbage".to_owned(), "token_malformed"),
    ];
    for target in [
        "/api/connectors/google-ads/campaigns",
        "/api/flows",
        "/api/clients",
    ] {
        for (name, token, code) in &rows {
            // A good cookie does not make up for a bad bearer.
            let cookie = format!("camarad_cb_token={}; camarad_user_id=1", alice());
            let got = sidecar
                .get(target)
                .bearer(token)
                .with("Cookie", &cookie)
                .client("10")
                .send()
                .await;
            assert_eq!(
                (got.status, got.code()),
                (401, (*code).to_owned()),
                "{name} {target}"
            );
            assert_eq!(got.json()["error"], "Authentication required");
            assert_eq!(got.json()["request_id"], got.header("x-request-id"));
            assert!(
                got.header("www-authenticate").starts_with("Bearer "),
                "{name}"
            );
            let by_cookie = format!("camarad_cb_token={token}; camarad_user_id=1");
            let got = sidecar
                .get(target)
                .with("Cookie", &by_cookie)
                .client("10")
                .send()
                .await;
            assert_eq!(
                (got.status, got.code()),
                (401, (*code).to_owned()),
                "{name} by cookie"
            );
        }
        let got = sidecar.get(target).client("10").send().await;
        assert_eq!((got.status, got.code()), (401, "token_missing".to_owned()));
    }
    assert!(coolbits.calls().await.is_empty() && legacy.calls().await.is_empty());
}

#[tokio::test]
async fn clients_outside_the_claim_are_refused_in_the_apps_words() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let rows = [
        (
            "20",
            "",
            404,
            "client_not_allowed",
            "Client not found or not owned",
        ),
        (
            "999",
            "",
            404,
            "client_not_allowed",
            "Client not found or not owned",
        ),
        ("abc", "", 400, "client_unreadable", "Invalid X-Client-ID"),
        ("1,2", "", 400, "client_unreadable", "Invalid X-Client-ID"),
        ("10.0", "", 400, "client_unreadable", "Invalid X-Client-ID"),
        ("-10", "", 400, "client_unreadable", "Invalid X-Client-ID"),
        ("", "", 400, "client_required", "Client scope required"),
        ("none", "", 400, "client_required", "Client scope required"),
        (
            "10",
            "?client_id=11",
            400,
            "client_conflict",
            "Conflicting client scope",
        ),
        (
            "",
            "?client_id=10",
            400,
            "client_conflict",
            "Conflicting client scope",
        ),
        (
            "10",
            "?client_id=10&client_id=10",
            400,
            "query_malformed",
            "Malformed query string",
        ),
    ];
    for target in ["/api/connectors/google-ads/campaigns", "/api/flows"] {
        for (client, query, status, code, words) in rows {
            let got = sidecar
                .get(&format!("{target}{query}"))
                .bearer(&alice())
                .client(client)
                .send()
                .await;
            let what = format!("{client:?} {query:?} {target}");
            assert_eq!(
                (got.status, got.code()),
                (status, code.to_owned()),
                "{what}"
            );
            assert_eq!(got.json()["error"], words, "{what}");
        }
        let got = sidecar.get(target).bearer(&alice()).send().await;
        assert_eq!(got.code(), "client_required", "two clients and none named");
    }
    assert!(coolbits.calls().await.is_empty() && legacy.calls().await.is_empty());
    // A token for one client needs no name.
    assert_eq!(
        sidecar.get("/api/flows").bearer(&bob()).send().await.status,
        200
    );
    assert_eq!(legacy.calls().await[0]["headers"]["x-client-id"], "20");
}

async fn last(legacy: &StandIn) -> serde_json::Value {
    let mut calls = legacy.calls().await;
    calls.pop().unwrap()["headers"].take()
}

#[tokio::test]
async fn a_forged_identity_does_not_reach_the_app() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let forged = "camarad_user_id=2; camarad_user_id=\"2\"; theme=dark; camarad_client_id=20";
    let got = sidecar
        // A read that is not kept: with one that is, no cookie of the caller's own goes on.
        .get("/api/active-context")
        .bearer(&alice())
        .client("10")
        .with("Cookie", forged)
        .with("X-User-ID", "2")
        .with("X-Internal-Token", "guess")
        .with("X-Camarad-Source", "coolbits")
        .send()
        .await;
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "legacy")
    );
    let headers = last(&legacy).await;
    assert_eq!(headers["x-user-id"], "1");
    assert_eq!(headers["x-client-id"], "10");
    let hash = headers["authorization"]
        .as_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    assert_eq!(
        headers["cookie"],
        format!("camarad_user_id=1; camarad_cb_token={hash}; theme=dark")
    );
    for ours in ["x-internal-token", "x-camarad-source"] {
        assert!(headers.get(ours).is_none(), "{ours} went through");
    }
    assert_eq!(sidecar.metric("sidecar_forged_identity_total").await, 1.0);

    // Without a token: no identity at all, whatever is claimed.
    let page = sidecar.get("/app").with(
        "Cookie",
        "camarad_user_id=2; camarad_cb_token=x; theme=dark",
    );
    let got = page
        .with("X-User-ID", "2")
        .with("X-Client-ID", "20")
        .send()
        .await;
    assert_eq!(
        (got.status, got.header("location")),
        (302, "/signup?next=%2Fapp")
    );
    let headers = last(&legacy).await;
    assert_eq!(headers["cookie"], "theme=dark");
    for claimed in ["x-user-id", "x-client-id", "authorization"] {
        assert!(headers.get(claimed).is_none(), "{claimed} went through");
    }
}

#[tokio::test]
async fn a_session_by_cookie_works_as_the_pages_use_it() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let cookie = format!("camarad_user_id=1; camarad_cb_token={}", alice());
    let page = sidecar.get("/app").with("Cookie", &cookie).send().await;
    assert_eq!((page.status, page.header("x-marks")), (200, "u1.c0"));
    let status = sidecar
        .get("/api/auth/status")
        .with("Cookie", &cookie)
        .client("20")
        .send()
        .await;
    assert_eq!(
        status.json()["user_id"],
        1,
        "a stale client does not keep anybody out"
    );
    assert!(last(&legacy).await.get("x-client-id").is_none());
    let clients = sidecar
        .get("/api/clients")
        .with("Cookie", &cookie)
        .send()
        .await
        .json();
    assert_eq!(clients.as_array().unwrap().len(), 2);
    let flow = json!({"flow": {"nodes": []}, "name": "mine"}).to_string();
    let stored = Ask::new("POST", &sidecar.url("/api/flows"))
        .with("Cookie", &cookie)
        .client("10");
    assert_eq!(stored.body(flow).send().await.json()["client_id"], 10);
    let theirs = sidecar
        .get("/api/flows")
        .bearer(&bob())
        .client("20")
        .send()
        .await;
    let theirs = theirs.json();
    let clients = theirs.as_array().unwrap().iter();
    assert_eq!(
        clients.map(|row| &row["client_id"]).collect::<Vec<_>>(),
        [20]
    );
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_round_the_guard() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut statuses = Vec::new();
    for target in [
        "/api/flows",
        "//api/flows",
        "/%61pi/flows",
        "/api/%66lows",
        "/./api/flows",
        "/x/../api/flows",
        "/x/%2e%2e/api/flows",
        "/api//flows",
        "/api%2fflows",
        "/api%2Fflows",
        "/api\\flows",
        "/api%5cflows",
        "/api/flows%00",
        "/api/flows#x",
        "http://app/api/flows",
        "/api/flows?client_id=10&client%5Fid=20",
        "/static/../api/flows",
        "*",
        "/api/fl%6fws%",
        "/api/connectors/google-ads/campaigns/../campaigns",
    ] {
        let status = raw(
            &sidecar,
            &format!("GET {target} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"),
        )
        .await;
        statuses.push((target, status));
    }
    for (target, status) in &statuses {
        assert!(matches!(status, 400 | 401), "{target} gave {status}");
    }
    for (line, expected) in [
        ("X_Client_ID: 10", 400),
        // gunicorn cuts its value off the path, and the app is elsewhere then.
        ("SCRIPT_NAME: /api", 400),
        ("X-Client-ID: 10\r\nX-Client-ID: 10", 400),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b", 400),
        ("Cookie: a=1\r\nCookie: b=2", 400),
        ("Host: other", 400),
    ] {
        let request =
            format!("GET /api/flows HTTP/1.1\r\nHost: app\r\n{line}\r\nConnection: close\r\n\r\n");
        assert_eq!(raw(&sidecar, &request).await, expected, "{line}");
    }
    assert_eq!(
        raw(&sidecar, "GET /app HTTP/1.1\r\nConnection: close\r\n\r\n").await,
        400
    );
    assert!(coolbits.calls().await.is_empty() && legacy.calls().await.is_empty());
    // The spellings that mean the same place are forwarded in one form.
    let request = format!(
        "GET //x/../api/%66lows HTTP/1.1\r\nHost: app\r\nX-Client-ID: 10\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        alice()
    );
    assert_eq!(raw(&sidecar, &request).await, 200);
    assert_eq!(legacy.calls().await[0]["path"], "/api/flows");
}

#[tokio::test]
async fn a_caller_cannot_have_our_headers_taken_off_as_hop_by_hop() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for target in ["/api/flows", "/api/connectors/aws/ec2"] {
        legacy.forget().await;
        let got = sidecar
            .get(target)
            .bearer(&alice())
            .client("10")
            .with(
                "Connection",
                "close, X-Client-ID, X-User-ID, Cookie, Authorization, X-Request-Id",
            )
            .send()
            .await;
        assert_eq!(got.status, 200, "{target}");
        let headers = last(&legacy).await;
        assert_eq!(
            (&headers["x-client-id"], &headers["x-user-id"]),
            (&json!("10"), &json!("1"))
        );
        assert!(
            headers["cookie"]
                .as_str()
                .unwrap()
                .starts_with("camarad_user_id=1; ")
        );
        assert_eq!(headers["x-request-id"], got.header("x-request-id"));
    }
    let host = sidecar.get("/app").with("Connection", "host").send().await;
    assert_eq!(
        (host.status, host.header("x-camarad-source")),
        (400, "sidecar")
    );
}

/// The status of a request sent as it is.
async fn raw(sidecar: &Sidecar, request: &str) -> u16 {
    once(sidecar, request).await.status
}

#[tokio::test]
async fn a_managed_client_must_be_ones_own_in_the_path_too() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let ask = |target: &'static str| sidecar.get(target).bearer(&alice()).client("10").send();
    assert_eq!(ask("/api/clients/20").await.code(), "client_not_allowed");
    assert_eq!(
        ask("/api/client_connectors?client_id=20").await.code(),
        "client_not_allowed"
    );
    assert!(legacy.calls().await.is_empty());
    // The drawer on the other own client, as the UI opens it.
    ask("/api/client_connectors?client_id=11").await;
    let call = &legacy.forwarded().await[0];
    assert_eq!(
        (&call["query"], &call["headers"]["x-client-id"]),
        (&json!("client_id=11"), &json!("11"))
    );
}

#[tokio::test]
async fn no_token_and_no_secret_is_ever_told() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits
        .faults(crate::support::fault("text_in_numbers"))
        .await;
    let (good, bad) = (
        alice(),
        signed(
            json!({"alg": "HS256"}),
            "another secret, longer than 32 bytes too",
        ),
    );
    let mut answers = String::new();
    for token in [&good, &bad] {
        for target in [
            "/api/connectors/google-ads/campaigns",
            "/api/flows",
            "/app",
            "/api/connectors/aws/ec2",
        ] {
            let got = sidecar.get(target).bearer(token).client("10").send().await;
            sidecar.record(got.header("x-request-id")).await;
            answers.push_str(&String::from_utf8_lossy(&got.body));
        }
    }
    let told = format!(
        "{answers}{}{}",
        sidecar.everything_told(),
        sidecar.metrics().await
    );
    for secret in [&good[..], &bad[..], SECRET, Sidecar::ADMIN_TOKEN] {
        assert!(!told.contains(secret));
    }
    let signature = good.rsplit('.').next().unwrap();
    assert!(!told.contains(signature));
    assert!(told.contains("token_hash"));
}
