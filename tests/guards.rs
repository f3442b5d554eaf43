//! Objects named by id: whose they are is looked up before anything goes on, and
//! nothing is deleted in between.

use crate::support::{Ask, Claims, Got, Raw, Setup, Sidecar, StandIn, alice, request, token};
use serde_json::{Value, json};

/// User 1 without a claim: everything of the user is in reach.
fn unlimited() -> String {
    token(Claims::new(1, &[]).without("clients"))
}

/// One request as this caller; an empty client is none.
async fn ask(sidecar: &Sidecar, token: &str, client: &str, route: &str, body: &str) -> Got {
    let (method, target) = route.split_once(' ').unwrap();
    let mut ask = Ask::new(method, &sidecar.url(target)).bearer(token);
    if !client.is_empty() {
        ask = ask.client(client);
    }
    if !body.is_empty() {
        ask = ask
            .with("Content-Type", "application/json")
            .body(body.to_owned());
    }
    ask.send().await
}

/// The code of a refusal, or the status of what came from the app.
fn outcome(got: &Got) -> String {
    let value: Value = serde_json::from_slice(&got.body).unwrap_or_default();
    match (got.header("x-camarad-source"), value["code"].as_str()) {
        ("sidecar", Some(code)) => code.to_owned(),
        _ => got.status.to_string(),
    }
}

async fn writes(legacy: &StandIn) -> Vec<Value> {
    let url = format!("{}/judge/writes", legacy.url());
    Ask::get(&url)
        .send()
        .await
        .json()
        .as_array()
        .unwrap()
        .clone()
}

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
            let got = ask(&sidecar, &caller, "10", &route, &body).await;
            // A HEAD has no body to say why.
            let expected = match (route.starts_with("HEAD"), expected) {
                (true, code) if code == gone => "404",
                (_, expected) => expected,
            };
            assert_eq!(outcome(&got), expected, "{route} {body}");
        }
    }
    for write in writes(&legacy).await {
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
    assert_eq!(line["object"], json!({"kind": "flow", "id": 3}));
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_before_anybody_is_asked() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for id in ["0", "+2", "02", "2.0", "%32%20", "-1", "1e3"] {
        let route = format!("PUT /api/flows/{id}");
        let got = ask(&sidecar, &alice(), "10", &route, "{}").await;
        let code = outcome(&got);
        assert!(
            code == "object_unreadable" || code == "path_malformed",
            "{id}: {code}"
        );
        let body = format!(r#"{{"flow_id": "{id}"}}"#);
        let got = ask(
            &sidecar,
            &alice(),
            "10",
            "POST /api/orchestrator/execute",
            &body,
        )
        .await;
        if id != "0" {
            assert_eq!(outcome(&got), "object_unreadable", "{id}");
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
        let got = ask(&sidecar, &caller, client, &route, off).await;
        assert_eq!(outcome(&got), expected, "{client} {id}");
        if expected == "200" {
            // The link's own client, not the active one.
            let calls = legacy.calls_to(&format!("client_connectors/{id}")).await;
            let owner = if id == "1" { "10" } else { "11" };
            assert_eq!(calls[0]["headers"]["x-client-id"], owner);
        }
    }
    let strict = Setup::default().set("SIDECAR__TENANCY__MANAGEMENT", "strict");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(strict).await;
    let got = ask(
        &sidecar,
        &alice(),
        "10",
        "PATCH /api/client_connectors/3",
        off,
    )
    .await;
    assert_eq!(outcome(&got), "object_not_found");
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
        let got = ask(
            &sidecar,
            &claims_more,
            "",
            &format!("GET /api/clients/{id}"),
            "",
        )
        .await;
        assert_eq!(outcome(&got), expected, "{id}");
    }
    // The app shows and makes links of any client, whoever asks.
    let got = ask(
        &sidecar,
        &claims_more,
        "",
        "GET /api/client_connectors?client_id=20",
        "",
    )
    .await;
    assert_eq!(outcome(&got), "object_not_found");
    let link = r#"{"client_id": 20, "connector_slug": "google-ads", "account_id": "1"}"#;
    let got = ask(
        &sidecar,
        &claims_more,
        "",
        "POST /api/client_connectors",
        link,
    )
    .await;
    assert_eq!(outcome(&got), "object_not_found");
    assert!(writes(&legacy).await.is_empty());
}

/// Nothing is locked for a request whose body is still to come.
#[tokio::test]
async fn a_body_that_does_not_come_holds_nobody_up() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut slow = Raw::to(sidecar.address).await;
    let head = request("DELETE /api/clients/10 HTTP/1.1", "Content-Length: 10\r\n");
    slow.send(head).await;
    let mut reset = Raw::to(sidecar.address).await;
    let token = unlimited();
    reset
        .send(format!(
            "POST /api/settings/user/reset HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 10\r\n\r\n{{"
        ))
        .await;
    // Whatever these two have reached by now, this one does not wait for them.
    for _ in 0..5 {
        let got = ask(&sidecar, &alice(), "10", "PUT /api/flows/2", "{}").await;
        assert_eq!(got.status, 200);
    }
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
    let shown = ask(&sidecar, &alice(), "10", "GET /api/connectors/paypal", "").await;
    assert_eq!(shown.status, 200);
    assert!(!String::from_utf8_lossy(&shown.body).contains("s3"));
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
        let got = ask(&sidecar, &alice(), "10", route, body).await;
        assert_eq!(
            (got.status, outcome(&got)),
            (503, "guard_unavailable".into()),
            "{route}"
        );
        assert_eq!(got.header("retry-after"), "5");
        assert!(
            got.header("ratelimit-remaining").is_empty(),
            "not the caller's fault"
        );
    }
    assert!(writes(&legacy).await.is_empty());
    let line = sidecar.audited("guard_unavailable").await;
    assert_eq!(line["decision"], "refuse");
}

/// A conversation of user 1 in client 10: the newest of all, so that its id is the next to be given out again.
async fn newest(sidecar: &Sidecar) -> u64 {
    let body = r#"{"workspace": "business", "agent": "seo"}"#;
    let got = ask(sidecar, &alice(), "10", "POST /api/conversations/new", body).await;
    got.json()["conv_id"].as_u64().unwrap()
}

async fn begin_as_user_2(sidecar: &Sidecar) -> u64 {
    let two = token(Claims::new(2, &[20]));
    let body = r#"{"workspace": "business", "agent": "seo"}"#;
    let got = ask(sidecar, &two, "20", "POST /api/conversations/new", body).await;
    got.json()["conv_id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_waits_for_what_was_looked_at_and_is_still_under_way() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let id = newest(&sidecar).await;
    legacy
        .faults(json!({"latency_ms": 700, "latency_only": "/chat/"}))
        .await;
    let body = format!(r#"{{"message": "under way", "conv_id": {id}}}"#);
    let chat = async {
        let got = ask(&sidecar, &alice(), "10", "POST /chat/business/seo", &body).await;
        assert_eq!(got.json()["conv_id"], id);
        got
    };
    let delete = async {
        let reached = || async { !legacy.calls_to("/chat/").await.is_empty() };
        crate::support::eventually("the chat is at the app", reached).await;
        let route = format!("DELETE /api/conversations/{id}");
        let got = ask(&sidecar, &alice(), "10", &route, "").await;
        // The id goes to somebody else.
        (got, begin_as_user_2(&sidecar).await)
    };
    let (chat, (deleted, again)) = tokio::join!(chat, delete);
    assert_eq!((chat.status, deleted.status, again), (200, 200, id));
    let writes = writes(&legacy).await;
    let routes: Vec<&str> = writes
        .iter()
        .map(|w| w["route"].as_str().unwrap())
        .collect();
    let at = |what: &str| {
        routes
            .iter()
            .position(|route| route.starts_with(what))
            .unwrap()
    };
    assert!(
        at("POST /chat") < at("DELETE /api/conversations"),
        "{routes:?}"
    );
    let chats = writes
        .iter()
        .filter(|w| w["route"].as_str().unwrap().starts_with("POST /chat"));
    assert!(
        chats.into_iter().all(|write| write["user"] == 1),
        "{writes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_deleted_is_not_there_any_more() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let id = newest(&sidecar).await;
    let path = format!("/api/conversations/{id}");
    legacy
        .faults(json!({"latency_ms": 500, "latency_only": path}))
        .await;
    let (alice, remove) = (alice(), format!("DELETE {path}"));
    let delete = ask(&sidecar, &alice, "10", &remove, "");
    let body = format!(r#"{{"message": "too late", "conv_id": {id}}}"#);
    let chat = async {
        let reached = || async { !legacy.calls_to(&path).await.is_empty() };
        crate::support::eventually("the deletion is at the app", reached).await;
        ask(&sidecar, &alice, "10", "POST /chat/business/seo", &body).await
    };
    let (deleted, chat) = tokio::join!(delete, chat);
    assert_eq!(
        (deleted.status, outcome(&chat)),
        (200, "object_not_found".into())
    );
    assert_eq!(
        begin_as_user_2(&sidecar).await,
        id,
        "the id is somebody else's"
    );
    let got = ask(&sidecar, &alice, "10", "POST /chat/business/seo", &body).await;
    assert_eq!(outcome(&got), "object_not_found");
}

/// No order is forced here: whatever happens first, nothing of user 1 ends up at user 2's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_are_given_out_again_never_mix_two_users() {
    let setup = Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let (alice, two) = (alice(), token(Claims::new(2, &[20])));
    for round in 0..25 {
        let id = newest(&sidecar).await;
        let body = format!(r#"{{"message": "of user one", "conv_id": {id}}}"#);
        let chat = || ask(&sidecar, &alice, "10", "POST /chat/business/seo", &body);
        let (read, remove) = (
            format!("GET /api/conversations/{id}/messages"),
            format!("DELETE /api/conversations/{id}"),
        );
        let others = async {
            let deleted = ask(&sidecar, &alice, "10", &remove, "").await;
            let begun = begin_as_user_2(&sidecar).await;
            let body = format!(r#"{{"message": "of user two", "conv_id": {begun}}}"#);
            let said = ask(&sidecar, &two, "20", "POST /chat/business/seo", &body).await;
            assert_eq!((deleted.status, said.status), (200, 200), "round {round}");
            begun
        };
        let (a, b, messages, begun) = tokio::join!(
            chat(),
            chat(),
            ask(&sidecar, &alice, "10", &read, ""),
            others
        );
        for got in [&a, &b, &messages] {
            let text = String::from_utf8_lossy(&got.body);
            assert!(!text.contains("of user two"), "round {round}: {text}");
        }
        let route = format!("GET /api/conversations/{begun}/messages");
        let theirs = ask(&sidecar, &two, "20", &route, "").await;
        let text = String::from_utf8_lossy(&theirs.body).into_owned();
        assert!(
            text.contains("of user two") && !text.contains("of user one"),
            "round {round}: {text}"
        );
        let route = format!("DELETE /api/conversations/{begun}");
        assert_eq!(ask(&sidecar, &two, "20", &route, "").await.status, 200);
    }
    let chats = writes(&legacy).await;
    let chats = chats
        .iter()
        .filter(|w| w["route"].as_str().unwrap().starts_with("POST /chat"));
    assert!(chats.count() >= 25);
}

#[tokio::test]
async fn what_resets_an_account_waits_too_and_what_was_known_is_forgotten() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let id = newest(&sidecar).await;
    let reset = ask(
        &sidecar,
        &unlimited(),
        "",
        "POST /api/settings/user/reset",
        "{}",
    )
    .await;
    assert_eq!(
        reset.status,
        200,
        "{}",
        String::from_utf8_lossy(&reset.body)
    );
    let route = format!("DELETE /api/conversations/{id}");
    let got = ask(&sidecar, &alice(), "10", &route, "").await;
    assert_eq!(outcome(&got), "object_not_found");
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
        let got = ask(&sidecar, &alice(), "10", route, body).await;
        assert_eq!(got.status, 200, "{route}");
        let record = sidecar.record(got.header("x-request-id")).await;
        assert_eq!(record["reported"], "object_not_found", "{route}");
    }
}
