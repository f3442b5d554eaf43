//! What a run fetches, and what becomes of a Coolbits that does not give it.

use super::*;

#[tokio::test]
async fn a_run_reads_whatever_account_a_node_names_as_the_service_account() {
    let house = House::new("{}").await;
    // Another user's account and property, under the caller's own client.
    let nodes = json!([
        {"id": "t", "type": "trigger"},
        {"id": "a", "type": "connector", "slug": "google-ads",
         "config": {"customerId": "345-678-9012", "mcc_id": "999-888-7777", "days": 7}},
        {"id": "g", "type": "connector", "slug": "ga4", "config": {"property_id": "G-JKL456MNO1"}},
        {"id": "h", "type": "connector", "slug": "ga4"},
        {"id": "s", "type": "connector", "slug": "stripe"},
        {"id": "f", "type": "connector", "slug": "ga4", "config": {"fail": true}},
    ]);
    let results = house.run(1, 10, nodes).await;
    let told = |n: usize, name: &str| results[n]["data"][name].clone();
    assert_eq!(
        (told(1, "source"), told(1, "account_id")),
        (json!("coolbits"), json!("345-678-9012"))
    );
    assert_eq!(
        (told(2, "source"), told(2, "property_id")),
        (json!("coolbits"), json!("G-JKL456MNO1"))
    );
    assert_eq!(
        (told(3, "source"), told(3, "property_id")),
        (json!("coolbits"), json!("G-ABC123DEF4"))
    );
    assert_eq!(told(4, "source"), "mock");
    assert_eq!(results[5]["fail_reason"], "Fetch failed");

    let calls = house.calls().await;
    let lines: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(
        lines,
        [
            "/api/auth/mock-login",
            "/api/connectors/googleads/customer",
            CAMPAIGNS,
            "/api/connectors/ga4/report",
            "/api/connectors/ga4/status",
            "/api/connectors/ga4/report",
        ]
    );
    assert_eq!(calls[0].token_hash, None);
    assert_eq!(calls[0].body, json!({"email": "dev@camarad.ai"}));
    for call in &calls[1..] {
        assert_eq!(call.token_hash, service(), "{}", call.path);
        assert_eq!(call.headers["x-workspace-id"], "business");
        assert_eq!(call.headers["content-type"], "application/json");
        assert!(!call.headers.contains_key("cookie"), "{}", call.path);
        assert!(!call.headers.contains_key("x-client-id"), "{}", call.path);
    }
    let choice = json!({"customerId": "3456789012", "loginCustomerId": 9_998_887_777_u64});
    assert_eq!(calls[1].body, choice);
    for (name, value) in [
        ("account_id", "345-678-9012"),
        ("preset", "campaigns"),
        ("blocks", "overview,campaigns"),
        ("mcc_id", "999-888-7777"),
        ("loginCustomerId", "9998887777"),
        ("include_children", "1"),
    ] {
        assert_eq!(named(&calls[2], name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        named(&calls[3], "propertyId").as_deref(),
        Some("G-JKL456MNO1")
    );
    assert_eq!(
        named(&calls[5], "propertyId").as_deref(),
        Some("G-ABC123DEF4")
    );
    assert_eq!(named(&calls[3], "blocks").as_deref(), Some("overview"));

    // The figures are those that Coolbits gives for the same question.
    let ask = async |call: &Call| -> Value {
        let url = format!("{}{}?{}", house.coolbits, call.path, call.query);
        let request = house.http.get(url).bearer_auth("service-dev@camarad.ai");
        request.send().await.unwrap().json().await.unwrap()
    };
    let campaigns = ask(&calls[2]).await;
    assert_eq!(campaigns["customerId"], "3456789012");
    let rows = campaigns["data"]["campaigns"]["rows"].as_array().unwrap();
    assert_eq!(told(1, "metric_values"), json!(figures::of_campaigns(rows)));
    let overview = ask(&calls[3]).await["data"]["overview"].take();
    assert_eq!(
        told(2, "metric_values"),
        json!(figures::of_overview(&overview))
    );
}

#[tokio::test]
async fn what_coolbits_refuses_or_garbles_is_made_up_and_no_failure() {
    for faults in [
        r#"{"fault": "not_connected"}"#,
        r#"{"fault": "unauthorized"}"#,
        r#"{"fault": "status", "status": 503, "only": "report"}"#,
        r#"{"fault": "html", "only": "report"}"#,
        r#"{"fault": "redirect", "only": "report"}"#,
        r#"{"fault": "cut_off_json", "only": "report"}"#,
        r#"{"fault": "empty_rows", "only": "report"}"#,
        r#"{"fault": "list_data", "only": "report"}"#,
        r#"{"fault": "text_in_numbers", "only": "report"}"#,
    ] {
        let house = House::new(faults).await;
        let plain = App::new();
        for nodes in [ads("123-456-7890"), ga4("G-ABC123DEF4")] {
            let results = house.run(1, 10, nodes.clone()).await;
            let told = plain.ask(1, 10, EXECUTE, &flow(nodes).to_string()).await.2;
            assert_eq!(json!(results), told["results"], "{faults}");
            assert_eq!(results[0]["data"]["source"], "mock");
        }
        assert!(house.lines().await.len() > 1, "{faults}");
    }
}

#[tokio::test]
async fn a_coolbits_that_does_not_answer_is_a_failed_fetch() {
    for faults in [
        r#"{"fault": "close", "only": "report"}"#,
        r#"{"fault": "cut_off_body", "only": "report"}"#,
    ] {
        let house = House::new(faults).await;
        for nodes in [ads("123-456-7890"), ga4("G-ABC123DEF4")] {
            let result = house.run(1, 10, nodes).await.remove(0);
            assert_eq!(
                (&result["status"], &result["fail_reason"]),
                (&json!("warning"), &json!("Fetch failed"))
            );
            assert_eq!(result["data"]["source"], "mock");
        }
    }
    let house = House::alone().await;
    let result = house.run(1, 10, ads("123-456-7890")).await.remove(0);
    assert_eq!(result["fail_reason"], "Fetch failed");
    let token = json!({"token": "session-of-user-2"});
    let login = house.ask(0, 0, "POST /api/auth/session", token).await;
    assert_eq!(login.status, 401);
    assert_eq!(login.body["detail"], "coolbits_auth_me_unreachable");
    let chat = house
        .ask(
            1,
            0,
            "POST /chat/business/seo",
            json!({"message": "m", "conv_id": 4}),
        )
        .await;
    assert!(
        chat.body["response"]
            .as_str()
            .unwrap()
            .starts_with("Reply in u1.c10 to: m")
    );
}

#[tokio::test]
async fn the_other_paths_are_tried_until_one_answers() {
    let house = House::new(r#"{"fault": "not_connected", "only": "googleads/"}"#).await;
    house.run(1, 10, ads("123-456-7890")).await;
    let lines = house.lines().await;
    let choice = "POST /api/connectors/googleads/customer";
    let rest = [
        "/api/google-ads/campaigns",
        "/api/connectors/google-ads/campaigns",
        "/googleads/campaigns",
    ];
    assert_eq!(lines[1..3], [choice.to_owned(), format!("GET {CAMPAIGNS}")]);
    assert_eq!(lines[3..], rest.map(|path| format!("GET {path}")));
}

#[tokio::test]
async fn a_service_token_no_longer_taken_is_fetched_anew_once() {
    let house = House::new(r#"{"fault": "unauthorized", "only": "ga4/report", "times": 1}"#).await;
    let login = "POST /api/auth/mock-login";
    let report = "GET /api/connectors/ga4/report";
    let result = house.run(1, 10, ga4("G-1")).await.remove(0);
    assert_eq!(result["data"]["source"], "coolbits");
    assert_eq!(house.lines().await, [login, report, login, report]);
    // The new one is kept.
    house.run(1, 10, ga4("G-1")).await;
    assert_eq!(house.lines().await[4..], [report]);
    let house = House::new(r#"{"fault": "unauthorized", "only": "ga4/report"}"#).await;
    let result = house.run(1, 10, ga4("G-1")).await.remove(0);
    assert_eq!(result["data"]["source"], "mock");
    assert_eq!(house.lines().await, [login, report, login, report]);
}
