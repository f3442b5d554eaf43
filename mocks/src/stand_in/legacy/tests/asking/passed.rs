//! What goes on as the caller: logging in, chat, and the way to Google and back.

use super::*;

#[tokio::test]
async fn coolbits_says_whose_token_it_is() {
    let house = House::new("{}").await;
    let login = async |token: &str| {
        let body = json!({"token": token, "next": "/connectors"});
        house.ask(0, 0, "POST /api/auth/session", body).await
    };
    let got = login("session-of-user-2").await;
    assert_eq!(got.status, 200);
    assert_eq!(
        (&got.body["user_id"], &got.body["email"]),
        (&json!(2), &json!("user2@example.com"))
    );
    assert_eq!(got.headers.get_all("set-cookie").iter().count(), 2);
    let got = login("service-dev@camarad.ai").await;
    let words = json!({"error": "auth_failed", "detail": "coolbits_auth_me_http_401"});
    assert_eq!((got.status, got.body), (401, words));
    assert_eq!(login("").await.status, 400);
    let calls = house.calls().await;
    assert_eq!(house.lines().await, ["GET /api/auth/me"; 2]);
    assert_eq!(calls[0].token_hash, hash("session-of-user-2"));
}

#[tokio::test]
async fn chat_asks_a_model_with_the_callers_token() {
    let house = House::new("{}").await;
    let chat = "POST /chat/business/seo";
    // Anybody's conversation goes to the model.
    let body = json!({"message": "why?", "conv_id": 10, "request_id": "r"});
    let got = house.ask(1, 0, chat, body.clone()).await;
    assert_eq!(got.body["response"], "Live reply to: why?");
    let calls = house.calls().await;
    assert_eq!(
        house.lines().await,
        ["POST /api/runs", "POST /api/runs/run-1/llm"]
    );
    assert!(
        calls
            .iter()
            .all(|call| call.token_hash == hash("session-of-user-1"))
    );
    assert_eq!(calls[0].body, json!({"title": "business/seo"}));
    assert_eq!(calls[1].headers["x-real-llm-confirm"], "true");
    let objective = "user: Question of u2.c20 to seo\nassistant: Answer of seo to u2.c20";
    let asked = json!({"profileName": "seo", "input": "why?", "real": true,
                       "promptEnvelope": {"envelopeVersion": 1, "objective": objective}});
    assert_eq!(calls[1].body, asked);
    // Paid once, asked once; nothing to ask, nobody asked.
    assert_eq!(house.ask(1, 0, chat, body).await.body["duplicate"], true);
    assert_eq!(house.ask(1, 0, chat, json!({})).await.status, 400);
    assert_eq!(house.calls().await.len(), 2);
    let messages = house
        .ask(2, 20, "GET /api/conversations/10/messages", Value::Null)
        .await
        .body;
    assert_eq!(
        messages[3],
        json!({"role": "assistant", "content": "Live reply to: why?"})
    );
    // The caller's token is not tried twice.
    let house = House::new(r#"{"fault": "unauthorized"}"#).await;
    let got = house
        .ask(1, 0, chat, json!({"message": "why?", "conv_id": 10}))
        .await;
    assert!(
        got.body["response"]
            .as_str()
            .unwrap()
            .starts_with("Reply in u2.c20 to: why?")
    );
    assert_eq!(house.lines().await, ["POST /api/runs"]);
}

#[tokio::test]
async fn the_way_to_google_is_passed_on_unchanged() {
    let house = House::new("{}").await;
    for (path, query, cookies) in [
        ("/api/auth/google/start", "next=%2Fapp", 1),
        ("/api/auth/google/callback", "code=a%2Fb%20c&state=s", 2),
        ("/api/connectors/ga4/oauth/callback", "code=x+y", 1),
    ] {
        let line = format!("GET {path}?{query}");
        let got = house.ask(1, 0, &line, Value::Null).await;
        let straight = house.http.get(format!("{}{path}?{query}", house.coolbits));
        let straight = straight.send().await.unwrap();
        assert_eq!(got.status, 302, "{path}");
        for name in ["location", "set-cookie"] {
            let of =
                |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(of(&got.headers), of(straight.headers()), "{path}");
            assert_eq!(
                of(&got.headers).len(),
                if name == "location" { 1 } else { cookies }
            );
        }
        let calls = house.calls().await;
        let call = &calls[calls.len() - 2];
        assert_eq!((call.path.as_str(), call.query.as_str()), (path, query));
        assert_eq!(call.token_hash, None, "{path}");
        let mine = hash("session-of-user-1").unwrap();
        let whole = format!("camarad_user_id=1; camarad_cb_token={mine}; theme=dark");
        let given = call.headers.get("cookie");
        assert_eq!(given, path.contains("callback").then_some(&whole), "{path}");
    }
    let house = House::alone().await;
    for (path, error) in [
        ("/api/auth/google/start", "oauth_start_unreachable"),
        ("/api/auth/google/callback", "oauth_callback_unreachable"),
        (
            "/api/connectors/ga4/oauth/callback",
            "oauth_callback_unreachable",
        ),
    ] {
        let got = house.ask(1, 0, &format!("GET {path}"), Value::Null).await;
        assert_eq!(
            (got.status, &got.body["error"]),
            (502, &json!(error)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn consent_is_asked_for_as_the_caller_and_leads_back_here() {
    let house = House::new("{}").await;
    let line = "GET /api/connectors/ga4/auth-url?popup_mode=1";
    let got = house.ask(1, 10, line, Value::Null).await.body;
    let back = format!("{}/api/connectors/ga4/oauth/callback", house.app);
    assert_eq!(
        (&got["callback_url"], &got["popup_mode"]),
        (&json!(back), &json!(true))
    );
    let url = url::Url::parse(got["url"].as_str().unwrap()).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [("state", "live-state"), ("redirect_uri", &back)];
    assert_eq!(
        pairs,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let calls = house.calls().await;
    assert_eq!(house.lines().await, ["GET /api/connectors/ga4/auth/url"]);
    assert_eq!(calls[0].token_hash, hash("session-of-user-1"));
    let house = House::new(r#"{"fault": "not_connected"}"#).await;
    let got = house.ask(1, 10, line, Value::Null).await;
    assert_eq!(
        (got.status, got.body),
        (400, json!({"error": "not_connected"}))
    );
}

#[tokio::test]
async fn the_token_is_the_cookies_else_the_headers_else_the_service_accounts() {
    let house = House::new("{}").await;
    let url = format!("{}/api/connectors/ga4/auth-url", house.app);
    for (cookie, bearer, token) in [
        ("camarad_cb_token=c", "b", "c"),
        ("camarad_cb_token=", "b", "b"),
        ("theme=dark", "b", "b"),
        ("theme=dark", "", "service-dev@camarad.ai"),
    ] {
        let request = house.http.get(&url).header("cookie", cookie);
        let request = match bearer {
            "" => request,
            bearer => request.bearer_auth(bearer),
        };
        assert_eq!(request.send().await.unwrap().status(), 200, "{cookie}");
        let call = house.calls().await.pop().unwrap();
        assert_eq!(call.token_hash, hash(token), "{cookie} {bearer}");
    }
}
