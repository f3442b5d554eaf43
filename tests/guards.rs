//! Objects named by id: whose they are is looked up before anything goes on.

use crate::support::{Ask, Claims, Setup, Sidecar, alice, token, unlimited};
use serde_json::json;

/// Ids as in the stand-in's seed: of client 10, of 11, of no client, of user 2, of nobody.
#[tokio::test]
async fn an_object_of_another_client_or_user_is_not_there() {
    let setup = Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let gone = "object_not_found";
    let flow = r#"{"name": "renamed"}"#;
    let run = r#"{"flow_id": ID}"#;
    // Route, body, and the ids: own, the other client's, no client's, user 2's.
    let rows = [
        ("GET /api/flows/ID", "", ["2", "3", "1", "5"]),
        ("PUT /api/flows/ID", flow, ["2", "3", "1", "5"]),
        ("POST /api/flows/ID/duplicate", "{}", ["2", "3", "1", "5"]),
        ("HEAD /api/flows/ID", "", ["2", "3", "1", "5"]),
        ("GET /api/orchestrator/history/ID", "", ["2", "3", "1", "5"]),
        (
            "HEAD /api/orchestrator/history/ID",
            "",
            ["2", "3", "1", "5"],
        ),
        ("GET /api/boardroom/meetings/m-ID", "", ["2", "3", "1", "5"]),
        (
            "HEAD /api/boardroom/meetings/m-ID",
            "",
            ["2", "3", "1", "5"],
        ),
        ("POST /api/orchestrator/execute", run, ["2", "3", "1", "5"]),
        (
            "GET /api/conversations/ID/messages",
            "",
            ["4", "6", "2", "10"],
        ),
        ("DELETE /api/flows/ID", "", ["2", "3", "1", "5"]),
        ("DELETE /api/conversations/ID", "", ["4", "6", "2", "10"]),
    ];
    for (route, body, ids) in rows {
        let [own, other, none, foreign] = ids;
        // What belongs to no client is the user's own, and no limited token's.
        let no_client = match route {
            // The app itself wants a client for these, and has none for it.
            "GET /api/conversations/ID/messages" => "404",
            _ => "200",
        };
        for (caller, id, expected) in [
            (alice(), other, gone),
            (alice(), none, gone),
            (alice(), foreign, gone),
            (alice(), "9999", gone),
            (unlimited(), other, gone),
            (unlimited(), foreign, gone),
            (unlimited(), none, no_client),
            (alice(), own, "200"),
        ] {
            let (route, body) = (route.replace("ID", id), body.replace("ID", id));
            let got = sidecar.route(&caller, "10", &route, &body).await;
            // A HEAD has no body to say why.
            let expected = match (route.starts_with("HEAD"), expected) {
                (true, code) if code == gone => "404",
                (_, expected) => expected,
            };
            assert_eq!(got.outcome(), expected, "{route} {body}");
        }
    }
    for write in legacy.writes().await {
        let client = write["client"].as_u64();
        assert!(
            write["user"] == 1 && matches!(client, None | Some(10)),
            "{write}"
        );
    }
    let line = sidecar.audited("object_not_found").await;
    assert_eq!(
        (&line["decision"], &line["user"]),
        (&json!("refuse"), &json!(1))
    );
    assert_eq!(line["object"], json!({"kind": "flow", "id": "3"}));
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_before_anybody_is_asked() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for id in ["0", "+2", "02", "2.0", "%32%20", "-1", "1e3"] {
        let route = format!("PUT /api/flows/{id}");
        let got = sidecar.route(&alice(), "10", &route, "{}").await;
        let code = got.outcome();
        assert!(
            code == "object_unreadable" || code == "path_malformed",
            "{id}: {code}"
        );
        let body = format!(r#"{{"flow_id": "{id}"}}"#);
        let got = sidecar
            .route(&alice(), "10", "POST /api/orchestrator/execute", &body)
            .await;
        if id != "0" {
            assert_eq!(got.outcome(), "object_unreadable", "{id}");
        }
    }
    let flows = legacy.calls_to("/api/flows").await;
    assert!(flows.is_empty(), "{flows:?}");
}

#[tokio::test]
async fn in_the_drawer_of_another_own_client_its_links_can_be_changed() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let off = r#"{"status": "disconnected"}"#;
    for (caller, client, id, expected) in [
        (alice(), "10", "3", "200"),
        (unlimited(), "10", "4", "200"),
        (unlimited(), "", "1", "200"),
        (alice(), "10", "5", "object_not_found"),
        (unlimited(), "", "5", "object_not_found"),
        (token(Claims::new(1, &[10])), "10", "3", "object_not_found"),
        (alice(), "10", "9999", "object_not_found"),
    ] {
        legacy.forget().await;
        let route = format!("PATCH /api/client_connectors/{id}");
        let got = sidecar.route(&caller, client, &route, off).await;
        assert_eq!(got.outcome(), expected, "{client} {id}");
        if expected == "200" {
            // The link's own client, not the active one.
            let calls = legacy.calls_to(&format!("client_connectors/{id}")).await;
            let owner = if id == "1" { "10" } else { "11" };
            assert_eq!(calls[0]["headers"]["x-client-id"], owner);
        }
    }
    let strict = Setup::default().set("SIDECAR__TENANCY__MANAGEMENT", "strict");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(strict).await;
    let got = sidecar
        .route(&alice(), "10", "PATCH /api/client_connectors/3", off)
        .await;
    assert_eq!(got.outcome(), "object_not_found");
}

#[tokio::test]
async fn a_client_that_the_app_no_longer_lists_is_not_there_whatever_the_token_says() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let claims_more = token(Claims::new(1, &[10, 20, 77]));
    for (id, expected) in [
        ("10", "200"),
        ("20", "object_not_found"),
        ("77", "object_not_found"),
    ] {
        let got = sidecar
            .route(&claims_more, "", &format!("GET /api/clients/{id}"), "")
            .await;
        assert_eq!(got.outcome(), expected, "{id}");
    }
    // The app shows and makes links of any client, whoever asks.
    let got = sidecar
        .route(
            &claims_more,
            "",
            "GET /api/client_connectors?client_id=20",
            "",
        )
        .await;
    assert_eq!(got.outcome(), "object_not_found");
    let link = r#"{"client_id": 20, "connector_slug": "google-ads", "account_id": "1"}"#;
    let got = sidecar
        .route(&claims_more, "", "POST /api/client_connectors", link)
        .await;
    assert_eq!(got.outcome(), "object_not_found");
    assert!(legacy.writes().await.is_empty());
}

#[tokio::test]
async fn settings_of_no_client_are_there_for_a_limited_token_and_empty() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let session = "camarad_user_id=1; camarad_cb_token=t";
    let body = r#"{"status": "connected", "config": {"secret": "s3"}, "custom_name": "mine"}"#;
    let straight = Ask::new("POST", &format!("{}/api/connectors/paypal", legacy.url()));
    let straight = straight
        .with("Cookie", session)
        .with("Content-Type", "application/json");
    assert_eq!(straight.body(body).send().await.status, 200);
    let shown = sidecar
        .route(&alice(), "10", "GET /api/connectors/paypal", "")
        .await;
    let told = shown.json();
    assert_eq!((shown.status, &told["status"]), (200, &json!("connected")));
    assert_eq!(
        (&told["config"], &told["custom_name"]),
        (&json!({}), &json!(""))
    );
    assert!(!String::from_utf8_lossy(&shown.body).contains("s3"));
    // An agent's are the same, and so are rows of lists.
    let everything = unlimited();
    let agent = r#"{"name": "Project Falcon"}"#;
    let saved = sidecar
        .route(&everything, "", "POST /api/agents/cto", agent)
        .await;
    assert_eq!(saved.status, 200);
    for (route, reads) in [
        ("GET /api/agents/cto", json!({"slug": "cto", "name": ""})),
        ("GET /api/agents/seo", json!({"slug": "seo"})),
    ] {
        let shown = sidecar.route(&alice(), "10", route, "").await.json();
        for (name, expected) in reads.as_object().unwrap() {
            assert_eq!(&shown[name], expected, "{route} {name}");
        }
    }
    let own = sidecar
        .route(&everything, "", "GET /api/agents/cto", "")
        .await;
    assert_eq!(own.json()["name"], "Project Falcon u1.c0");
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_503_and_does_not_go_on() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (fault, only, route, body) in [
        (json!("status"), "/api/flows/2", "PUT /api/flows/2", "{}"),
        (json!("html"), "/api/flows/2", "DELETE /api/flows/2", ""),
        (
            json!("cut_off_json"),
            "/api/conversations",
            "DELETE /api/conversations/4",
            "",
        ),
        (
            json!("reset"),
            "/api/conversations",
            "POST /chat/business/seo",
            r#"{"message": "x", "conv_id": 4}"#,
        ),
        (
            json!("status"),
            "/api/conversations",
            "POST /chat/business/seo",
            r#"{"message": "x"}"#,
        ),
        (
            json!("html"),
            "/api/client_connectors",
            "PATCH /api/client_connectors/1",
            "{}",
        ),
        (
            json!("status"),
            "/api/clients",
            "DELETE /api/clients/10",
            "",
        ),
        (
            json!("status"),
            "/api/client_connectors",
            "GET /api/connectors/ga4/overview",
            "",
        ),
    ] {
        legacy
            .faults(json!({"fault": fault, "status": 500, "only": only}))
            .await;
        let got = sidecar.route(&alice(), "10", route, body).await;
        assert_eq!(
            (got.status, got.outcome()),
            (503, "guard_unavailable".into()),
            "{route}"
        );
        assert_eq!(got.header("retry-after"), "5");
        assert!(
            got.header("ratelimit-remaining").is_empty(),
            "not the caller's fault"
        );
    }
    assert!(legacy.writes().await.is_empty());
    let line = sidecar.audited("guard_unavailable").await;
    assert_eq!(line["decision"], "refuse");
}

#[tokio::test]
async fn in_report_mode_objects_pass_and_are_told_of() {
    let setup = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    for (route, body) in [
        ("GET /api/flows/3", ""),
        ("PUT /api/flows/3", r#"{"name": "n"}"#),
        (
            "POST /chat/business/seo",
            r#"{"message": "m", "conv_id": 10}"#,
        ),
    ] {
        let got = sidecar.route(&alice(), "10", route, body).await;
        assert_eq!(got.status, 200, "{route}");
        let record = sidecar.record(got.header("x-request-id")).await;
        assert_eq!(record["reported"], "object_not_found", "{route}");
    }
}
