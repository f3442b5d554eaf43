//! Chat: which conversation it goes on with, and whose.

use crate::support::{Ask, Got, Setup, Sidecar, StandIn, alice, bob, unlimited};
use serde_json::{Value, json};

pub const SEO: &str = "/chat/business/seo";

/// As the page does it: the active client stands in the cookie alone.
pub async fn page(sidecar: &Sidecar, token: &str, active: &str, target: &str) -> Got {
    let cookie = format!("camarad_client_id={active}");
    let ask = sidecar.get(target).bearer(token);
    ask.with("Cookie", &cookie).send().await
}

pub async fn say(sidecar: &Sidecar, token: &str, active: &str, target: &str, body: Value) -> Got {
    let cookie = format!("camarad_client_id={active}");
    let ask = Ask::new("POST", &sidecar.url(target)).bearer(token);
    let ask = ask
        .with("Cookie", &cookie)
        .with("Content-Type", "application/json");
    ask.body(body.to_string()).send().await
}

pub fn text(got: &Got) -> String {
    String::from_utf8_lossy(&got.body).into_owned()
}

#[tokio::test]
async fn without_a_name_it_goes_on_with_the_newest_of_the_active_client() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for caller in [alice(), unlimited()] {
        for (active, id) in [("10", 4), ("11", 6)] {
            let got = page(&sidecar, &caller, active, SEO).await;
            assert_eq!(got.status, 302);
            assert_eq!(got.header("location"), format!("{SEO}?conv_id={id}"));
            assert_eq!(got.header("cache-control"), "no-store");
            let said = say(&sidecar, &caller, active, SEO, json!({"message": "hello"})).await;
            assert_eq!(said.json()["conv_id"], id, "{}", text(&said));
        }
    }
    // Without an active client: what belongs to none, and no limited token's.
    let got = sidecar.get(SEO).bearer(&unlimited()).send().await;
    assert_eq!(got.header("location"), format!("{SEO}?conv_id=2"));
    let got = sidecar.get(SEO).bearer(&alice()).send().await;
    assert_eq!(got.status, 400, "two clients, and none is active");
    // The header of a caller that sends one wins over the cookie.
    let ask = sidecar.get(SEO).bearer(&alice()).client("11");
    let got = ask.with("Cookie", "camarad_client_id=10").send().await;
    assert_eq!(got.header("location"), format!("{SEO}?conv_id=6"));
    // A stale cookie names nobody.
    let got = page(&sidecar, &unlimited(), "20", SEO).await;
    assert_eq!(got.header("location"), format!("{SEO}?conv_id=2"));
    // Nobody is sent to sign up by us.
    let anonymous = sidecar.get(SEO).send().await;
    assert_eq!(anonymous.header("x-camarad-source"), "legacy");
}

#[tokio::test]
async fn where_there_is_none_one_is_begun_for_the_client_and_only_once() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let ads = "/chat/business/ads?theme=dark";
    let alice = alice();
    let (one, two) = tokio::join!(
        page(&sidecar, &alice, "10", ads),
        page(&sidecar, &alice, "10", ads)
    );
    assert_eq!(one.header("location"), two.header("location"));
    let (kept, id) = one.header("location").rsplit_once('=').unwrap();
    assert_eq!(kept, "/chat/business/ads?theme=dark&conv_id");
    let begun = legacy.calls_to("/api/conversations/new").await;
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["headers"]["x-client-id"], "10");
    let said = say(
        &sidecar,
        &alice,
        "10",
        "/chat/business/ads",
        json!({"message": "m"}),
    )
    .await;
    assert_eq!(said.json()["conv_id"].to_string(), id);
    let objects = objects(&legacy).await;
    let made = objects
        .iter()
        .find(|c| c["id"].as_u64() == id.parse().ok())
        .unwrap();
    assert_eq!((&made["user"], &made["client"]), (&json!(1), &json!(10)));
}

async fn objects(legacy: &StandIn) -> Vec<Value> {
    let got = Ask::get(&format!("{}/judge/objects", legacy.url()))
        .send()
        .await;
    got.json()["conversations"].as_array().unwrap().clone()
}

/// Conversations 4 (client 10), 6 (client 11), 2 (no client), 10 (user 2).
#[tokio::test]
async fn a_conversation_out_of_scope_is_neither_read_nor_written_wherever_it_is_named() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let gone = "object_not_found";
    for (caller, id, expected) in [
        (alice(), 4, ""),
        (alice(), 6, gone),
        (alice(), 2, gone),
        (alice(), 10, gone),
        (unlimited(), 2, ""),
        (unlimited(), 6, gone),
        (unlimited(), 10, gone),
        (unlimited(), 8, gone),
    ] {
        let target = format!("{SEO}?conv_id={id}");
        let got = page(&sidecar, &caller, "10", &target).await;
        let (status, mark) = match expected {
            "" => (200, if id == 4 { "u1.c10" } else { "u1.c0" }),
            // The page was left open while another client became the active one.
            _ if id == 6 => (302, ""),
            _ => (404, "Not found"),
        };
        if id == 6 {
            assert_eq!(got.header("location"), format!("{SEO}?conv_id=4"));
        }
        assert_eq!(got.status, status, "{target}");
        assert!(text(&got).contains(mark), "{target}: {}", text(&got));
        legacy.forget().await;
        let form = format!("message=hello&conv_id={id}");
        let cookie = "camarad_client_id=10";
        let ask = Ask::new("POST", &sidecar.url(SEO)).bearer(&caller);
        let ask = ask
            .with("Cookie", cookie)
            .with("Content-Type", "application/x-www-form-urlencoded");
        let by_form = ask.body(form).send().await;
        let number = say(
            &sidecar,
            &caller,
            "10",
            SEO,
            json!({"message": "m", "conv_id": id}),
        )
        .await;
        let digits = json!({"message": "m", "conv_id": id.to_string()});
        let digits = say(&sidecar, &caller, "10", SEO, digits).await;
        let query = say(&sidecar, &caller, "10", &target, json!({"message": "m"})).await;
        for got in [by_form, number, digits, query] {
            match expected {
                "" => {
                    let answer = got.json();
                    assert_eq!(answer["conv_id"], id);
                    assert!(
                        answer["response"].as_str().unwrap().contains(mark),
                        "{answer}"
                    );
                }
                code => assert_eq!((got.status, got.code()), (404, code.to_owned()), "{id}"),
            }
        }
        for call in legacy.calls_to("/chat/").await {
            assert_eq!(call["query"], "", "named in the body alone");
        }
    }
    let two = json!({"message": "m", "conv_id": 4});
    let got = say(&sidecar, &alice(), "10", &format!("{SEO}?conv_id=6"), two).await;
    assert_eq!((got.status, got.code()), (400, "object_conflict".into()));
    let got = page(
        &sidecar,
        &alice(),
        "10",
        &format!("{SEO}?conv_id=4&conv_id=6"),
    )
    .await;
    assert_eq!(got.status, 400);
}

#[tokio::test]
async fn the_page_shows_no_title_of_another_client() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let straight = Ask::get(&format!("{}{SEO}?conv_id=4", legacy.url()));
    let session = "camarad_user_id=1; camarad_cb_token=t";
    let straight = text(&straight.with("Cookie", session).send().await);
    assert!(
        straight.contains("u1.c11") && straight.contains("u1.c0"),
        "{straight}"
    );
    let got = text(&page(&sidecar, &alice(), "10", &format!("{SEO}?conv_id=4")).await);
    assert!(
        got.contains("u1.c10") && !got.contains("u1.c11") && !got.contains("u1.c0"),
        "{got}"
    );
    let got = text(&page(&sidecar, &unlimited(), "10", &format!("{SEO}?conv_id=4")).await);
    assert!(
        got.contains("u1.c10") && got.contains("u1.c0") && !got.contains("u1.c11"),
        "{got}"
    );
    // Without an active client everything of the user is there.
    let ask = sidecar
        .get(&format!("{SEO}?conv_id=4"))
        .bearer(&unlimited());
    let got = text(&ask.send().await);
    assert!(got.contains("u1.c11") && got.contains("u1.c0"), "{got}");
}

#[tokio::test]
async fn a_request_id_is_the_users_own_and_comes_back_as_it_was() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let spend = |caller: String, client: &'static str, id: Value| {
        let ask = Ask::new("POST", &sidecar.url("/api/user/spend"))
            .bearer(&caller)
            .client(client);
        let body = json!({"amount": 1, "event_type": "run_flow", "request_id": id});
        async move { ask.body(body.to_string()).send().await.json() }
    };
    for id in [json!("pay-1"), json!("caf\u{e9} \"1\""), json!(7)] {
        let first = spend(alice(), "10", id.clone()).await;
        assert_eq!(
            (&first["request_id"], &first["duplicate"]),
            (&id, &Value::Null),
            "{first}"
        );
        let theirs = spend(bob(), "20", id.clone()).await;
        assert_eq!(
            (&theirs["request_id"], &theirs["duplicate"]),
            (&id, &Value::Null),
            "{theirs}"
        );
        assert!(
            theirs["balance"].as_str().unwrap().contains("u2."),
            "{theirs}"
        );
        // Nor does another client of one's own get what one was answered.
        let other = spend(alice(), "11", id.clone()).await;
        assert_eq!(other["duplicate"], Value::Null, "{other}");
        let again = spend(alice(), "10", id.clone()).await;
        assert_eq!(
            (&again["request_id"], &again["duplicate"]),
            (&id, &json!(true)),
            "{again}"
        );
    }
    for call in legacy.calls_to("/api/user/spend").await {
        let id = call["body"]["request_id"].as_str().unwrap().to_owned();
        assert!(
            id.is_ascii() && (id.starts_with("u1") || id.starts_with("u2")),
            "{id}"
        );
    }
    // By the header, as the app takes it where the body has none.
    let by_header = |caller: String| {
        let ask = Ask::new("POST", &sidecar.url("/api/user/spend")).bearer(&caller);
        let ask = ask.with("X-Request-ID", "head-1").body(r#"{"amount": 1}"#);
        async move { ask.send().await.json()["duplicate"] == true }
    };
    let everything = unlimited();
    assert!(!by_header(everything.clone()).await);
    assert!(by_header(everything).await);
    assert!(!by_header(bob()).await);
    // And in chat.
    let message = |id: u64| json!({"message": "m", "conv_id": id, "request_id": "chat-1"});
    let one = say(&sidecar, &alice(), "10", SEO, message(4)).await.json();
    let two = say(&sidecar, &bob(), "20", SEO, message(10)).await.json();
    assert_eq!(
        (&one["request_id"], &two["request_id"]),
        (&json!("chat-1"), &json!("chat-1"))
    );
    assert!(
        two["response"].as_str().unwrap().contains("u2.c20"),
        "{two}"
    );
}

#[tokio::test]
async fn a_chat_may_take_longer_than_other_answers() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "1s");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    legacy
        .faults(json!({"latency_ms": 1600, "latency_only": "/chat/"}))
        .await;
    let got = say(&sidecar, &alice(), "10", SEO, json!({"message": "m"})).await;
    assert_eq!(got.status, 200, "{}", text(&got));
    legacy
        .faults(json!({"latency_ms": 1600, "latency_only": "/api/flows"}))
        .await;
    let got = sidecar
        .get("/api/flows")
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(got.status, 504);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_says_nothing_to_anybody() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (kind, body, code) in [
        ("application/json", "{", "body_malformed"),
        ("application/json", "[]", "body_malformed"),
        (
            "application/json",
            r#"{"message": "m", "conv_id": {}}"#,
            "object_unreadable",
        ),
        (
            "application/json",
            r#"{"message": "m", "conv_id": -4}"#,
            "object_unreadable",
        ),
        (
            "application/json",
            r#"{"message": "m", "request_id": []}"#,
            "body_malformed",
        ),
        (
            "application/json",
            r#"{"conv_id": 4, "conv_id": 6}"#,
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x--\r\n",
            "body_malformed",
        ),
        // JSON to the app, and a form to whoever goes by what it calls itself.
        (
            "application/x-www-form-urlencoded",
            r#"{"conv_id":10,"message":"x&conv_id=4&b"}"#,
            "body_malformed",
        ),
        (
            "application/x-www-form-urlencoded",
            "message=m&conv_id=4&conv_id=6",
            "object_unreadable",
        ),
        ("text/plain", "message=m", "body_malformed"),
    ] {
        let ask = Ask::new("POST", &sidecar.url(SEO))
            .bearer(&alice())
            .client("10");
        let got = ask.with("Content-Type", kind).body(body).send().await;
        assert_eq!(
            (got.status, got.code()),
            (400, code.to_owned()),
            "{kind} {body}"
        );
    }
    assert!(legacy.calls_to("/chat/").await.is_empty());
}

#[tokio::test]
async fn a_get_with_a_body_is_refused_since_the_app_might_read_it() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for target in [
        &format!("{SEO}?conv_id=4")[..],
        "/api/flows",
        "/static/app.js",
    ] {
        let ask = sidecar.get(target).bearer(&alice()).client("10");
        let got = ask.body(r#"{"conv_id": 10}"#).send().await;
        assert_eq!(got.status, 400, "{target}");
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn in_report_mode_nothing_is_chosen_or_begun() {
    let report = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(report).await;
    assert_eq!(page(&sidecar, &alice(), "10", SEO).await.status, 200);
    let said = say(
        &sidecar,
        &alice(),
        "10",
        "/chat/business/ads",
        json!({"message": "m"}),
    )
    .await;
    assert_eq!(said.status, 200);
    assert!(legacy.calls_to("/api/conversations/new").await.is_empty());
}

#[tokio::test]
async fn an_answer_about_another_conversation_is_withheld() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"fault": "other_conversation", "only": "/chat/"}))
        .await;
    let got = say(&sidecar, &alice(), "10", SEO, json!({"message": "m"})).await;
    assert_eq!(
        (got.status, got.code()),
        (502, "tenant_leak_blocked".into())
    );
    assert!(!text(&got).contains("Reply"), "{}", text(&got));
    let series = "sidecar_egress_blocked_total{route=\"chat.send\"}";
    assert_eq!(sidecar.metric(series).await, 1.0);
}
