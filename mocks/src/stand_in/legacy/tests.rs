//! The stand-in's weaknesses: what the sidecar is tested against has to be there.

mod asking;
mod runs;
mod templates;

use super::*;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;

struct App(Legacy);

/// An answer: status, marks, and the body as JSON (text where it is none).
struct Got(u16, String, Value);

impl App {
    fn new() -> Self {
        Self(Legacy::default())
    }

    async fn ask(&self, user: u64, client: u64, line: &str, body: &str) -> Got {
        self.with(user, client, line, body, Fault::None).await
    }

    async fn with(&self, user: u64, client: u64, line: &str, body: &str, fault: Fault) -> Got {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        let cookie = format!("camarad_user_id={user}; camarad_cb_token=t");
        headers.insert("cookie", cookie.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        if client > 0 {
            headers.insert("x-client-id", client.into());
        }
        let asked = Asked {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Bytes::from(body.to_owned()),
        };
        let answer = self.0.answer(&asked, fault);
        let marks = answer.headers().get("x-marks");
        let marks = marks
            .map_or("-", |marks| marks.to_str().unwrap())
            .to_owned();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        Got(status, marks, value)
    }
}

fn ids(rows: &Value) -> Vec<u64> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn ids_are_the_same_in_every_run_and_judged_by_their_owner() {
    let app = App::new();
    let all = app.ask(1, 0, "GET /judge/objects", "").await.2;
    for (kind, place, id, user, client) in [
        ("conversations", 3, json!(4), 1, json!(10)),
        ("flows", 2, json!(3), 1, json!(11)),
        ("runs", 4, json!(5), 2, json!(20)),
        ("meetings", 6, json!("m-7"), 3, json!(30)),
        ("links", 7, json!(8), 2, json!(20)),
        ("flows", 0, json!(1), 1, Value::Null),
    ] {
        let row = &all[kind][place];
        assert_eq!((&row["id"], &row["client"]), (&id, &client), "{kind}");
        assert_eq!(row["user"], user, "{kind}");
    }
    assert_eq!(ids(&all["conversations"]).len(), 16);
    assert_eq!(ids(&all["links"]), (1..=12).collect::<Vec<_>>());
    let row = &all["conversations"][9];
    assert_eq!(
        (&row["workspace"], &row["agent"]),
        (&json!("business"), &json!("seo"))
    );
}

#[tokio::test]
async fn chat_looks_at_neither_user_nor_client() {
    let app = App::new();
    let page = app
        .ask(1, 10, "GET /chat/business/seo?conv_id=10", "")
        .await;
    assert_eq!((page.0, &page.1[..]), (200, "u2.c20"));
    assert!(page.2.as_str().unwrap().contains("Question of u2.c20"));
    for body in [
        r#"{"message": "stolen", "conv_id": 10}"#,
        r#"{"message": "stolen", "conv_id": "10"}"#,
        "message=stolen&conv_id=10",
    ] {
        let sent = app.ask(1, 10, "POST /chat/business/seo", body).await;
        assert_eq!((sent.0, &sent.1[..]), (200, "u2.c20"), "{body}");
        assert_eq!(sent.2["conv_id"], 10);
    }
    let seen = app
        .ask(2, 20, "GET /api/conversations/10/messages", "")
        .await;
    assert_eq!(seen.2.as_array().unwrap().len(), 8);
    assert_eq!(seen.2[2], json!({"role": "user", "content": "stolen"}));
    // Without an id: the user's newest with that agent, under any client.
    let sent = app
        .ask(1, 10, "POST /chat/business/seo", r#"{"message": "m"}"#)
        .await;
    assert_eq!(
        (sent.2["conv_id"].as_u64(), &sent.1[..]),
        (Some(6), "u1.c11")
    );
    let sidebar = app.ask(1, 10, "GET /chat/business/seo", "").await.2;
    assert!(
        sidebar
            .as_str()
            .unwrap()
            .contains("data-conv-id=\"2\">Talk with seo of u1.c0</a>")
    );
    // One that is not there is made, under no client.
    let sent = app.ask(
        1,
        10,
        "POST /chat/business/seo",
        r#"{"message": "m", "conv_id": 99}"#,
    );
    let sent = sent.await;
    assert_eq!(
        (sent.2["conv_id"].as_u64(), &sent.1[..]),
        (Some(17), "u1.c0")
    );
    assert_eq!(app.ask(1, 10, "POST /chat/business/seo", "{}").await.0, 400);
    assert_eq!(app.ask(0, 0, "POST /chat/business/seo", "{}").await.0, 302);
}

#[tokio::test]
async fn a_request_id_known_from_anybody_is_answered_as_paid() {
    let app = App::new();
    let body = r#"{"message": "secret", "request_id": "r"}"#;
    let first = app.ask(2, 20, "POST /chat/business/seo", body).await;
    let body = r#"{"message": "mine", "request_id": "r"}"#;
    let again = app.ask(1, 10, "POST /chat/business/seo", body).await;
    assert_eq!(
        (&again.1[..], &again.2["duplicate"]),
        ("u2.c20", &json!(true))
    );
    assert_eq!(again.2["response"], first.2["response"]);
    let body = r#"{"amount": 1, "request_id": "r"}"#;
    let first = app.ask(2, 0, "POST /api/user/spend", body).await;
    assert_eq!(first.2["balance"], "999 credits of u2.c0");
    let again = app.ask(1, 0, "POST /api/user/spend", body).await;
    assert_eq!(
        (&again.2["balance"], &again.2["duplicate"]),
        (&first.2["balance"], &json!(true))
    );
}

#[tokio::test]
async fn ids_are_given_out_again() {
    let app = App::new();
    let new = r#"{"agent": "seo", "title": "t"}"#;
    let made = app.ask(1, 10, "POST /api/conversations/new", new).await;
    assert_eq!(made.2["redirect"], "/chat/business/seo?conv_id=17");
    // Deleted by its user under another client.
    let gone = app.ask(1, 11, "DELETE /api/conversations/17", "").await;
    assert_eq!((gone.0, &gone.1[..]), (200, "u1.c10"));
    let made = app.ask(2, 20, "POST /api/chats", new).await;
    assert_eq!((&made.2["conv_id"], &made.1[..]), (&json!(17), "u2.c20"));
    assert_eq!(
        app.ask(1, 10, "DELETE /api/conversations/17", "").await.0,
        404
    );
    assert_eq!(app.ask(1, 10, "POST /api/chats", "{}").await.0, 400);
    let flow = r#"{"flow": {}, "name": "f"}"#;
    assert_eq!(
        app.ask(1, 10, "POST /api/flows", flow).await.2["flow_id"],
        9
    );
    assert_eq!(app.ask(1, 0, "DELETE /api/flows/9", "").await.0, 200);
    assert_eq!(
        app.ask(3, 30, "POST /api/flows", flow).await.2["flow_id"],
        9
    );
    // With a client go its objects.
    assert_eq!(app.ask(3, 0, "DELETE /api/clients/31", "").await.0, 200);
    let all = app.ask(1, 0, "GET /judge/objects", "").await.2;
    for kind in ["conversations", "flows", "links"] {
        let rows = all[kind].as_array().unwrap();
        assert!(rows.iter().all(|row| row["client"] != 31), "{kind}");
    }
    let link = r#"{"client_id": 30, "connector_slug": "ga4", "account_id": "G-1"}"#;
    assert_eq!(
        app.ask(3, 0, "POST /api/client_connectors", link).await.2["id"],
        11
    );
    app.ask(1, 0, "POST /api/settings/user/reset", "{}").await;
    assert_eq!(app.ask(1, 0, "GET /api/chats", "").await.2, json!([]));
}

#[tokio::test]
async fn a_conversation_comes_once_for_each_settings_row_of_its_agent() {
    let app = App::new();
    let rows = app.ask(1, 10, "GET /api/conversations", "").await.2;
    assert_eq!(ids(&rows), [4, 4, 3]);
    assert_eq!(rows[0]["agent_name"], "SEO helper u1.c10");
    assert_eq!(rows[1]["agent_name"], "SEO helper u1.c11");
    assert_eq!(rows[2]["agent_name"], "Life Coach");
    let rows = app
        .ask(1, 10, "GET /api/chats?include_global=1", "")
        .await
        .2;
    assert_eq!(ids(&rows), [4, 4, 3, 2, 2, 1]);
    let rows = app.ask(1, 0, "GET /api/chats", "").await.2;
    assert_eq!(ids(&rows), [6, 6, 5, 4, 4, 3, 2, 2, 1]);
    for _ in 0..20 {
        app.ask(1, 10, "POST /api/chats", r#"{"agent": "seo"}"#)
            .await;
    }
    let rows = app.ask(1, 10, "GET /api/chats", "").await.2;
    assert_eq!(ids(&rows).len(), 30);
    let all = app.ask(1, 10, "GET /api/export", "").await.2;
    assert_eq!(ids(&all["conversations"]).len(), 22, "without a limit");
}

#[tokio::test]
async fn objects_by_id_are_the_users_under_any_client() {
    let app = App::new();
    for (line, body, marks) in [
        ("GET /api/flows/3", "", "u1.c11"),
        ("PUT /api/flows/3", r#"{"name": "n"}"#, "u1.c11"),
        ("POST /api/flows/3/duplicate", "", "u1.c11"),
        (
            "POST /api/orchestrator/execute",
            r#"{"flow_id": 3}"#,
            "u1.c11",
        ),
        ("GET /api/orchestrator/history/3", "", "u1.c11"),
        ("GET /api/boardroom/meetings/m-3", "", "u1.c11"),
        (
            "PATCH /api/client_connectors/3",
            r#"{"status": "disconnected"}"#,
            "u1.c11",
        ),
        ("DELETE /api/flows/3", "", "u1.c11"),
    ] {
        let theirs = app.ask(2, 20, line, body).await;
        assert_eq!(theirs.0, 404, "another user's: {line}");
        let got = app.ask(1, 10, line, body).await;
        assert_eq!((got.0, &got.1[..]), (200, marks), "{line}: {}", got.2);
    }
    let run = app.ask(1, 10, "GET /api/orchestrator/history", "").await.2;
    assert_eq!(
        (&run[0]["id"], &run[0]["flow_name"]),
        (&json!(9), &json!("n u1.c11 u1.c10"))
    );
    // Only this one looks at the client.
    assert_eq!(
        app.ask(1, 10, "GET /api/conversations/5/messages", "")
            .await
            .0,
        404
    );
    assert_eq!(
        app.ask(1, 11, "GET /api/conversations/5/messages", "")
            .await
            .0,
        200
    );
    let foreign = app
        .with(1, 10, "GET /api/flows/7", "", Fault::ForeignRow)
        .await;
    assert_eq!(
        (&foreign.2["client_id"], &foreign.1[..]),
        (&json!(20), "u2.c20")
    );
}

#[tokio::test]
async fn all_links_are_listed_under_any_client() {
    let app = App::new();
    let links = |rows: Value| {
        let rows = rows.as_array().unwrap().clone();
        let rows = rows.into_iter().filter(|row| row["client_id"].is_number());
        ids(&rows.collect())
    };
    let all = app.ask(1, 10, "GET /api/connectors/list?all=1", "").await.2;
    assert_eq!(all.as_array().unwrap().len(), 24);
    assert_eq!(links(all), [1, 2, 3, 4]);
    let own = app.ask(1, 10, "GET /api/connectors/list", "").await.2;
    assert_eq!(own.as_array().unwrap().len(), 2);
    let theirs = app
        .ask(1, 10, "GET /api/client_connectors?client_id=20", "")
        .await
        .2;
    assert_eq!(ids(&theirs), [5, 6, 7, 8]);
    let own = app.ask(1, 0, "GET /api/client_connectors", "").await.2;
    assert_eq!(ids(&own), [1, 2, 3, 4]);
}

#[tokio::test]
async fn settings_of_an_agent_fall_back_and_pages_are_whole() {
    let app = App::new();
    let name = async |client| app.ask(1, client, "GET /api/agents/seo", "").await.2["name"].clone();
    assert_eq!(name(11).await, "SEO helper u1.c11");
    assert_eq!(name(0).await, "Seo");
    app.ask(1, 0, "POST /api/agents/seo", r#"{"name": "Mine"}"#)
        .await;
    assert_eq!(name(0).await, "Mine u1.c0");
    let ga4 = app
        .ask(1, 10, "GET /api/connectors/ga4/pages?property_id=G-X", "")
        .await
        .2;
    assert_eq!(
        (&ga4["property_id"], &ga4["source"]),
        (&json!("G-X"), &json!("mock"))
    );
    for path in [
        "/app",
        "/login",
        "/settings",
        "/connectors",
        "/orchestrator",
        "/chat/seo/none",
    ] {
        let page = app.ask(1, 0, &format!("GET {path}"), "").await;
        let text = page.2.as_str().unwrap();
        assert!(page.0 == 200 && text.ends_with("</html>\n"), "{path}");
        assert!(!text.contains("{{"), "{path}");
    }
}
