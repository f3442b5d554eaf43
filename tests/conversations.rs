//! Whose conversations are: the app's list, the index and the export.

use crate::chat::{SEO, page, say, text};
use crate::support::{Ask, Setup, Sidecar, alice, unlimited};
use serde_json::json;

/// More conversations of client 11 than the list shows, past the sidecar.
async fn push_out(legacy: &str) {
    for n in 0..32 {
        let ask = Ask::new("POST", &format!("{legacy}/api/conversations/new"));
        let ask = ask
            .with("Cookie", "camarad_user_id=1; camarad_cb_token=t")
            .client("11");
        let body = json!({"workspace": "business", "agent": "cto", "title": format!("t{n}")});
        assert_eq!(ask.body(body.to_string()).send().await.status, 200);
    }
}

#[tokio::test]
async fn a_conversation_that_the_list_no_longer_shows_is_found_in_index_and_export() {
    let setup = Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    // Nothing of these is known.
    push_out(&legacy.url()).await;
    let exports = || async { legacy.calls_to("/api/export").await.len() };
    let alice = alice();
    let ask = |id: u64| {
        let body = json!({"message": "m", "conv_id": id});
        say(&sidecar, &alice, "10", SEO, body)
    };
    assert_eq!(ask(4).await.json()["conv_id"], 4);
    assert_eq!(exports().await, 1, "neither list nor index knew it");
    assert_eq!(ask(4).await.json()["conv_id"], 4);
    assert_eq!(
        ask(6).await.code(),
        "object_not_found",
        "the other client's"
    );
    assert_eq!(exports().await, 1, "the index knows both now");
    for id in [9999, 9998, 10] {
        assert_eq!(ask(id).await.code(), "object_not_found", "{id}");
    }
    assert_eq!(
        exports().await,
        1,
        "who asks for what is not there makes us read no more"
    );
    // One that is made through us is known from then on, in the list or not.
    let made = Ask::new("POST", &sidecar.url("/api/conversations/new"));
    let made = made.bearer(&alice).client("10");
    let body = json!({"workspace": "business", "agent": "seo", "title": "kept"});
    let made = made.body(body.to_string()).send().await.json();
    let made = made["conv_id"].as_u64().unwrap();
    push_out(&legacy.url()).await;
    assert_eq!(ask(made).await.json()["conv_id"], made);
    // The newest of client 10 is out of the list that shows all, and in its own.
    let got = page(&sidecar, &alice, "10", SEO).await;
    assert_eq!(got.header("location"), format!("{SEO}?conv_id={made}"));
    // Links that cannot be told apart are not shown, and the page is.
    let opened = || page(&sidecar, &alice, "10", "/chat/business/seo?conv_id=4");
    assert!(text(&opened().await).contains(&format!("?conv_id={made}\"")));
    let fault = json!({"fault": "status", "only": "/api/export"});
    legacy.faults(fault).await;
    let got = opened().await;
    assert_eq!(got.status, 200);
    assert!(!text(&got).contains("?conv_id="), "{}", text(&got));
    assert!(text(&got).contains("u1.c10"), "{}", text(&got));
    legacy.faults(json!({})).await;
    // What is deleted past us is looked for once more, and then no longer.
    let gone = Ask::new(
        "DELETE",
        &format!("{}/api/conversations/{made}", legacy.url()),
    );
    let gone = gone.with("Cookie", "camarad_user_id=1; camarad_cb_token=t");
    assert_eq!(gone.client("10").send().await.status, 200);
    assert_eq!(ask(made).await.code(), "object_not_found");
    let before = exports().await;
    assert_eq!(ask(made).await.code(), "object_not_found");
    assert_eq!(exports().await, before);
}

#[tokio::test]
async fn a_list_has_one_row_for_each_and_no_agents_of_other_clients() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let list = |caller: String, client: &'static str| {
        let ask = sidecar
            .get("/api/conversations?include_global=1")
            .bearer(&caller);
        let ask = if client.is_empty() {
            ask
        } else {
            ask.client(client)
        };
        async move { ask.send().await.json().as_array().unwrap().clone() }
    };
    for (caller, client, mark, other) in [
        (unlimited(), "10", "u1.c10", "u1.c11"),
        (unlimited(), "11", "u1.c11", "u1.c10"),
        (alice(), "10", "u1.c10", "u1.c11"),
    ] {
        let rows = list(caller.clone(), client).await;
        let mut ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "one row each");
        let text = json!(rows).to_string();
        assert!(!text.contains(other), "{client}: {text}");
        // What belongs to no client is no limited token's.
        assert_eq!(
            text.contains("u1.c0"),
            caller != alice(),
            "{client}: {text}"
        );
        let seo = rows.iter().find(|row| row["agent_slug"] == "seo").unwrap();
        assert_eq!(seo["agent_name"], format!("SEO helper {mark}"));
    }
    // Over all clients each row has the name of its own.
    for row in list(unlimited(), "").await {
        let (name, client) = (row["agent_name"].to_string(), row["client_id"].as_u64());
        let own = client.map_or("u1.c0".to_owned(), |id| format!("u1.c{id}"));
        assert!(!name.contains("u1.c") || name.contains(&own), "{row}");
    }
    let asked = legacy.calls_to("/api/agents/seo").await.len();
    list(unlimited(), "10").await;
    assert_eq!(
        legacy.calls_to("/api/agents/seo").await.len(),
        asked,
        "kept for a while"
    );
}

/// The index holds what is no longer true: the conversation was deleted past the
/// sidecar and its id given to somebody else. Nothing is believed of it.
#[tokio::test]
async fn an_index_that_is_behind_opens_nothing() {
    let setup = Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let coach = "/chat/personal/life-coach";
    let past = |method: &'static str, path: String, user: u64, client: &'static str| {
        let ask = Ask::new(method, &format!("{}{path}", legacy.url())).client(client);
        let session = format!("camarad_user_id={user}; camarad_cb_token=t");
        let ask = ask.with("Cookie", &session);
        let body = r#"{"workspace": "personal", "agent": "life-coach"}"#;
        async move { ask.body(body).send().await.json() }
    };
    let new = || "/api/conversations/new".to_owned();
    // Learnt as user 1's, of client 10, and then the list is full of others.
    let said = say(&sidecar, &alice(), "10", coach, json!({"message": "m"})).await;
    assert_eq!(said.json()["conv_id"], 3);
    for _ in 0..31 {
        past("POST", new(), 1, "10").await;
    }
    let said = say(
        &sidecar,
        &alice(),
        "10",
        coach,
        json!({"message": "m", "conv_id": 3}),
    )
    .await;
    assert_eq!(said.json()["conv_id"], 3, "{}", text(&said));
    assert!(
        legacy.calls_to("/api/export").await.is_empty(),
        "the index knew where to look"
    );
    let newest = past("POST", new(), 1, "10").await["conv_id"]
        .as_u64()
        .unwrap();
    let said = say(
        &sidecar,
        &alice(),
        "10",
        coach,
        json!({"message": "m", "conv_id": newest}),
    )
    .await;
    assert_eq!(said.json()["conv_id"], newest, "learnt as the newest");
    past("DELETE", format!("/api/conversations/{newest}"), 1, "10").await;
    assert_eq!(past("POST", new(), 2, "20").await["conv_id"], newest);
    let got = page(
        &sidecar,
        &alice(),
        "10",
        &format!("{coach}?conv_id={newest}"),
    )
    .await;
    assert_eq!(got.status, 404, "{}", text(&got));
    let said = say(
        &sidecar,
        &alice(),
        "10",
        coach,
        json!({"message": "m", "conv_id": newest}),
    )
    .await;
    assert_eq!(said.code(), "object_not_found");
}
