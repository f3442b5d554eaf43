//! Ids are given out again: nothing is deleted between being looked at and used.

use crate::support::{Claims, Raw, Setup, Sidecar, alice, request, token, unlimited};
use serde_json::json;

/// A conversation of user 1 in client 10: the newest of all, so that its id is the next to be given out again.
async fn newest(sidecar: &Sidecar) -> u64 {
    let body = r#"{"workspace": "business", "agent": "seo"}"#;
    let got = sidecar
        .route(&alice(), "10", "POST /api/conversations/new", body)
        .await;
    got.json()["conv_id"].as_u64().unwrap()
}

async fn begin_as_user_2(sidecar: &Sidecar) -> u64 {
    let two = token(Claims::new(2, &[20]));
    let body = r#"{"workspace": "business", "agent": "seo"}"#;
    let got = sidecar
        .route(&two, "20", "POST /api/conversations/new", body)
        .await;
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
        let got = sidecar
            .route(&alice(), "10", "POST /chat/business/seo", &body)
            .await;
        assert_eq!(got.json()["conv_id"], id);
        got
    };
    let delete = async {
        let reached = || async { !legacy.calls_to("/chat/").await.is_empty() };
        crate::support::eventually("the chat is at the app", reached).await;
        let route = format!("DELETE /api/conversations/{id}");
        let got = sidecar.route(&alice(), "10", &route, "").await;
        // The id goes to somebody else.
        (got, begin_as_user_2(&sidecar).await)
    };
    let (chat, (deleted, again)) = tokio::join!(chat, delete);
    assert_eq!((chat.status, deleted.status, again), (200, 200, id));
    let writes = legacy.writes().await;
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
    let delete = sidecar.route(&alice, "10", &remove, "");
    let body = format!(r#"{{"message": "too late", "conv_id": {id}}}"#);
    let chat = async {
        let reached = || async { !legacy.calls_to(&path).await.is_empty() };
        crate::support::eventually("the deletion is at the app", reached).await;
        sidecar
            .route(&alice, "10", "POST /chat/business/seo", &body)
            .await
    };
    let (deleted, chat) = tokio::join!(delete, chat);
    assert_eq!(
        (deleted.status, chat.outcome()),
        (200, "object_not_found".into())
    );
    assert_eq!(
        begin_as_user_2(&sidecar).await,
        id,
        "the id is somebody else's"
    );
    let got = sidecar
        .route(&alice, "10", "POST /chat/business/seo", &body)
        .await;
    assert_eq!(got.outcome(), "object_not_found");
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
        let chat = || sidecar.route(&alice, "10", "POST /chat/business/seo", &body);
        let (read, remove) = (
            format!("GET /api/conversations/{id}/messages"),
            format!("DELETE /api/conversations/{id}"),
        );
        let others = async {
            let deleted = sidecar.route(&alice, "10", &remove, "").await;
            let begun = begin_as_user_2(&sidecar).await;
            let body = format!(r#"{{"message": "of user two", "conv_id": {begun}}}"#);
            let said = sidecar
                .route(&two, "20", "POST /chat/business/seo", &body)
                .await;
            assert_eq!((deleted.status, said.status), (200, 200), "round {round}");
            assert_eq!(begun, id, "round {round}: it was given out again");
            begun
        };
        let (a, b, messages, begun) = tokio::join!(
            chat(),
            chat(),
            sidecar.route(&alice, "10", &read, ""),
            others
        );
        for got in [&a, &b, &messages] {
            let text = String::from_utf8_lossy(&got.body);
            assert!(!text.contains("of user two"), "round {round}: {text}");
        }
        let route = format!("GET /api/conversations/{begun}/messages");
        let theirs = sidecar.route(&two, "20", &route, "").await;
        let text = String::from_utf8_lossy(&theirs.body).into_owned();
        assert!(
            text.contains("of user two") && !text.contains("of user one"),
            "round {round}: {text}"
        );
        let route = format!("DELETE /api/conversations/{begun}");
        assert_eq!(sidecar.route(&two, "20", &route, "").await.status, 200);
    }
    let writes = legacy.writes().await;
    let chats = |user: u64| {
        let of = writes.iter().filter(|write| write["user"] == user);
        of.filter(|write| write["route"].as_str().unwrap().starts_with("POST /chat"))
            .count()
    };
    assert_eq!(chats(2), 25, "{writes:?}");
    assert!(chats(1) <= 50, "{}", chats(1));
}

/// What deletes everything of a user waits for what was looked at and is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_waits_too_and_leaves_nothing_behind() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let id = newest(&sidecar).await;
    let latency = json!({"latency_ms": 700, "latency_only": "/chat/"});
    legacy.faults(latency).await;
    let body = format!(r#"{{"message": "under way", "conv_id": {id}}}"#);
    let (alice, all) = (alice(), unlimited());
    let chat = sidecar.route(&alice, "10", "POST /chat/business/seo", &body);
    let reset = async {
        let reached = || async { !legacy.calls_to("/chat/").await.is_empty() };
        crate::support::eventually("the chat is at the app", reached).await;
        sidecar
            .route(&all, "", "POST /api/settings/user/reset", "{}")
            .await
    };
    let (chat, reset) = tokio::join!(chat, reset);
    assert_eq!((chat.status, reset.status), (200, 200));
    let writes = legacy.writes().await;
    let at = |what: &str| {
        let mut routes = writes.iter().map(|write| write["route"].as_str().unwrap());
        routes.position(|route| route.starts_with(what)).unwrap()
    };
    assert!(
        at("POST /chat") < at("POST /api/settings/user/reset"),
        "{writes:?}"
    );
    let route = format!("DELETE /api/conversations/{id}");
    let got = sidecar.route(&alice, "10", &route, "").await;
    assert_eq!(got.outcome(), "object_not_found");
}

/// The app gave no answer in time and may still be writing: nothing is deleted under it.
#[tokio::test]
async fn after_a_write_without_an_answer_the_object_stays_held() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "1s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let hang = json!({"fault": "hang", "only": "/api/flows/2/duplicate"});
    legacy.faults(hang).await;
    let got = sidecar
        .route(&alice(), "10", "POST /api/flows/2/duplicate", "{}")
        .await;
    assert_eq!(got.status, 504);
    let alice = alice();
    let delete = sidecar.route(&alice, "10", "DELETE /api/flows/2", "");
    let waits = tokio::time::timeout(std::time::Duration::from_secs(2), delete);
    assert!(waits.await.is_err(), "it waits for the flow");
    assert_eq!(
        legacy
            .forwarded()
            .await
            .iter()
            .filter(|call| call["method"] == "DELETE")
            .count(),
        0
    );
    // Others of the same user do not.
    let got = sidecar.route(&alice, "10", "PUT /api/flows/2", "{}").await;
    assert_eq!(got.status, 200);
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
    let reached = || async { sidecar.metric("sidecar_in_flight").await >= 2.0 };
    crate::support::eventually("both are under way", reached).await;
    for _ in 0..5 {
        let got = sidecar
            .route(&alice(), "10", "PUT /api/flows/2", "{}")
            .await;
        assert_eq!(got.status, 200);
    }
}
