//! Accounts of connectors, tied to the client that is linked to them.

use crate::support::{Ask, Claims, Got, Setup, Sidecar, alice, bob, token};
use serde_json::{Value, json};

const GOOGLE: &str = "/api/connectors/google-ads";

async fn get(sidecar: &Sidecar, token: &str, client: &str, target: &str) -> Got {
    let mut ask = sidecar.get(target).bearer(token);
    if !client.is_empty() {
        ask = ask.client(client);
    }
    ask.send().await
}

fn ids(got: &Got, list: &str) -> Vec<String> {
    let value = got.json();
    let rows = value[list].as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Client 10 is linked to 123-456-7890 and G-ABC123DEF4, 11 to 234-567-8901 and G-XYZ789GHI0.
#[tokio::test]
async fn an_account_that_is_not_linked_to_the_client_is_not_there() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let unlinked = "account_not_linked";
    let ads = |rest: &str| format!("{GOOGLE}/{rest}");
    let ga4 = |rest: &str| format!("/api/connectors/ga4/{rest}");
    for (target, code) in [
        (ads("campaigns?account_id=123-456-7890"), ""),
        (ads("campaigns?account_id=customers/1234567890"), ""),
        (ads("metrics?account_id=1234567890&days=7"), ""),
        (ads("campaigns?account_id=234-567-8901"), unlinked),
        (ads("campaigns?account%5fid=2345678901"), unlinked),
        (ads("keywords?account_id=345-678-9012"), unlinked),
        (ads("reports?customerId=345-678-9012"), unlinked),
        // Spellings that the gateway or the app would read as one of these.
        (ads("campaigns?account_id=234%20567%208901"), unlinked),
        (ads("campaigns?account_id=123.456.7890"), unlinked),
        (
            ads("campaigns?account_id=customers/customers/2345678901"),
            unlinked,
        ),
        (ads("campaigns?mcc_id=0234-567-8901"), unlinked),
        (
            ads("campaigns?account_id=123-456-7890&mcc_id=000-111-2222"),
            unlinked,
        ),
        (ads("accounts?mcc_id=000-111-2222"), unlinked),
        (
            ads("campaigns?account_id=123-456-7890&account_id=234-567-8901"),
            unlinked,
        ),
        (ga4("overview?property_id=G-ABC123DEF4"), ""),
        (ga4("overview?property_id=properties/G-ABC123DEF4"), ""),
        (ga4("overview?property_id=G-XYZ789GHI0"), unlinked),
        (ga4("funnel?propertyId=G-JKL456MNO1"), unlinked),
        (
            "/api/connectors/google-search-console/overview?property_id=sc-domain:anything.example"
                .into(),
            "",
        ),
        (
            "/api/connectors/google-tag-manager/tags?container_id=GTM-CONTOSO".into(),
            "",
        ),
    ] {
        coolbits.forget().await;
        let got = get(&sidecar, &alice(), "10", &target).await;
        match code {
            "" => assert_eq!(got.status, 200, "{target}"),
            code => {
                assert_eq!((got.status, got.code()), (404, code.to_owned()), "{target}");
                assert!(coolbits.calls().await.is_empty(), "{target}");
            }
        }
    }
    // A client with links of a connector is bound to them.
    let search = "/api/connectors/google-search-console/overview?property_id=";
    let got = get(
        &sidecar,
        &bob(),
        "20",
        &format!("{search}sc-domain:camarad.ai"),
    )
    .await;
    assert_eq!(got.code(), unlinked);
    let got = get(
        &sidecar,
        &bob(),
        "20",
        &format!("{search}sc-domain:contoso.example"),
    )
    .await;
    assert_eq!(got.status, 200);
    let asked = legacy.calls_to("/api/client_connectors").await;
    let as_user_1 = |call: &&Value| call["headers"]["x-user-id"] == "1";
    assert_eq!(
        asked.iter().filter(as_user_1).count(),
        1,
        "kept for a while"
    );
    let line = sidecar.audited(unlinked).await;
    assert_eq!(
        (&line["decision"], &line["client_allowed"]),
        (&json!("refuse"), &json!(10))
    );
}

#[tokio::test]
async fn where_none_is_named_the_clients_own_is_read() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (client, account, property) in [
        ("10", "123-456-7890", "G-ABC123DEF4"),
        ("11", "234-567-8901", "G-XYZ789GHI0"),
    ] {
        for target in [
            "campaigns",
            "campaigns?account_id=",
            "keywords",
            "metrics?days=7",
        ] {
            coolbits.forget().await;
            let got = get(&sidecar, &alice(), client, &format!("{GOOGLE}/{target}")).await;
            assert_eq!(got.json()["source"], "coolbits", "{target}");
            let answer = got.json();
            if !answer["account_id"].is_null() {
                assert_eq!(answer["account_id"], account, "{target}");
            }
            // Some are the same request by now, and answered by the cache.
            let digits = account.replace('-', "");
            for call in coolbits.calls_to("/customer").await {
                assert_eq!(call["body"]["customerId"], digits, "{client} {target}");
            }
        }
        assert!(!coolbits.calls_to("/customer").await.is_empty());
        let got = get(
            &sidecar,
            &alice(),
            client,
            "/api/connectors/ga4/overview?days=7",
        )
        .await;
        assert_eq!(got.json()["property_id"], property);
        let status = get(&sidecar, &alice(), client, "/api/connectors/ga4/status")
            .await
            .json();
        // Which one is selected at Coolbits is the user's, not the client's.
        let shown = &status["selectedPropertyId"];
        assert!(shown.is_null() || shown == property, "{client} {status}");
    }
}

#[tokio::test]
async fn lists_show_what_is_linked_and_all_of_it_to_link_more() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (target, list, own) in [
        (format!("{GOOGLE}/accounts"), "accounts", "234-567-8901"),
        (
            "/api/connectors/ga4/properties".into(),
            "properties",
            "G-XYZ789GHI0",
        ),
    ] {
        let got = get(&sidecar, &alice(), "11", &target).await;
        assert_eq!(ids(&got, list), [own], "{target}");
        let again = get(&sidecar, &alice(), "11", &target).await;
        assert_eq!(ids(&again, list), [own], "{target}, from the cache");
        let to_link = get(&sidecar, &alice(), "11", &format!("{target}?purpose=link")).await;
        assert!(ids(&to_link, list).len() > 2, "{target}");
    }
    let search = "/api/connectors/google-search-console/properties";
    assert_eq!(
        ids(&get(&sidecar, &alice(), "10", search).await, "properties").len(),
        3,
        "unbound"
    );
    let bound = get(&sidecar, &bob(), "20", search).await;
    assert_eq!(ids(&bound, "properties"), ["sc-domain:contoso.example"]);
    assert_eq!(bound.json()["source"], "mock", "tagged all the same");
}

#[tokio::test]
async fn linking_and_unlinking_through_us_counts_at_once() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let campaigns = format!("{GOOGLE}/campaigns?account_id=345-678-9012");
    let code = || async { get(&sidecar, &alice(), "10", &campaigns).await.status };
    assert_eq!(code().await, 404);
    let body = json!({"client_id": 10, "connector_slug": "google-ads", "account_id": "3456789012"});
    let ask = Ask::new("POST", &sidecar.url("/api/client_connectors"));
    let made = ask.bearer(&alice()).body(body.to_string()).send().await;
    let link = made.json()["id"].to_string();
    assert_eq!(code().await, 200, "{:?}", made.json());
    let patch = Ask::new(
        "PATCH",
        &sidecar.url(&format!("/api/client_connectors/{link}")),
    );
    let patch = patch
        .bearer(&alice())
        .client("11")
        .body(r#"{"status": "disconnected"}"#);
    assert_eq!(patch.send().await.status, 200);
    assert_eq!(code().await, 404);
}

#[tokio::test]
async fn the_body_names_accounts_too() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (body, code) in [
        (r#"{"propertyId": "G-ABC123DEF4"}"#, ""),
        (r#"{"property_id": "properties/g-abc123def4"}"#, ""),
        (r#"{"propertyId": "G-XYZ789GHI0"}"#, "account_not_linked"),
        (
            r#"{"propertyId": "G-ABC123DEF4", "property_id": "G-XYZ789GHI0"}"#,
            "account_not_linked",
        ),
        (
            r#"{"property\u0049d": "G-XYZ789GHI0"}"#,
            "account_not_linked",
        ),
        (r#"{"propertyId": ["G-ABC123DEF4"]}"#, "body_malformed"),
        (
            r#"{"propertyId": "G-ABC123DEF4", "propertyId": "G-XYZ789GHI0"}"#,
            "body_malformed",
        ),
        ("propertyId=G-XYZ789GHI0", "body_malformed"),
    ] {
        coolbits.forget().await;
        let ask = Ask::new("POST", &sidecar.url("/api/connectors/ga4/property"));
        let got = ask.bearer(&alice()).client("10").body(body).send().await;
        let reached = coolbits.calls_to("/ga4/property").await.len();
        match code {
            "" => assert_eq!((got.status, reached), (200, 1), "{body}"),
            code => assert_eq!((got.code(), reached), (code.to_owned(), 0), "{body}"),
        }
    }
}

#[tokio::test]
async fn nobody_is_bound_without_a_client_or_when_it_is_switched_off() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let campaigns = format!("{GOOGLE}/campaigns?account_id=345-678-9012");
    let everything = token(Claims::new(1, &[]).without("clients"));
    assert_eq!(get(&sidecar, &everything, "", &campaigns).await.status, 200);
    assert_eq!(
        get(&sidecar, &everything, "10", &campaigns).await.status,
        404
    );
    let off = Setup::default().set("SIDECAR__TENANCY__BIND_ACCOUNTS", "false");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(off).await;
    assert_eq!(get(&sidecar, &alice(), "10", &campaigns).await.status, 200);
    sidecar.says("tenancy.bind_accounts is off").await;
}

#[tokio::test]
async fn links_of_somebody_else_open_nothing() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // The app answers for client 20, whoever asks: its account is another client's.
    let fault = json!({"fault": "foreign_row", "only": "/api/client_connectors"});
    legacy.faults(fault).await;
    let campaigns = format!("{GOOGLE}/campaigns?account_id=345-678-9012");
    let got = get(&sidecar, &alice(), "10", &campaigns).await;
    assert_eq!(got.code(), "account_not_linked");
}

#[tokio::test]
async fn a_client_without_links_does_not_get_its_siblings_accounts() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let made = Ask::new("POST", &sidecar.url("/api/clients")).bearer(&alice());
    let id = made.body(r#"{"name": "New"}"#).send().await.json()["id"].to_string();
    for (target, status) in [
        (format!("{GOOGLE}/campaigns?account_id=123-456-7890"), 404),
        (
            format!("{GOOGLE}/campaigns?account_id=123%20456%207890"),
            404,
        ),
        (
            format!("{GOOGLE}/campaigns?account_id=345-678-9012&mcc_id=0234-567-8901"),
            404,
        ),
        (format!("{GOOGLE}/campaigns?account_id=345-678-9012"), 200),
        // The default account is client 10's: made up, and said to be.
        (format!("{GOOGLE}/campaigns"), 200),
        ("/api/connectors/ga4/overview".into(), 200),
        ("/api/connectors/google-search-console/overview".into(), 200),
    ] {
        let got = get(&sidecar, &alice(), &id, &target).await;
        assert_eq!(got.status, status, "{target}");
        if target.ends_with("/campaigns") || target.ends_with("/ga4/overview") {
            assert_eq!(got.json()["source"], "mock");
            assert_eq!(got.json()["gateway"]["error"], "not_connected");
        }
    }
    let shown = ids(
        &get(&sidecar, &alice(), &id, &format!("{GOOGLE}/accounts")).await,
        "accounts",
    );
    assert!(
        !shown.contains(&"123-456-7890".to_owned()) && shown.len() == 2,
        "{shown:?}"
    );
    legacy.forget().await;
}

#[tokio::test]
async fn a_limited_token_cannot_link_what_belongs_to_a_client_out_of_its_reach() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let limited = token(Claims::new(1, &[10]));
    let link = |token: String, account: &'static str| {
        let body = json!({"client_id": 10, "connector_slug": "google-ads", "account_id": account});
        let ask = Ask::new("POST", &sidecar.url("/api/client_connectors")).bearer(&token);
        async move { ask.body(body.to_string()).send().await }
    };
    for spelling in [
        "customers/2345678901",
        "234 567 8901",
        "234.567.8901",
        "customers/customers/2345678901",
        "0234-567-8901",
        " 234-567-8901",
    ] {
        let got = link(limited.clone(), spelling).await;
        assert_eq!(got.code(), "account_not_linked", "{spelling}");
    }
    let rows = |account: &str| {
        let row = json!({"client_id": 10, "connector_slug": "google-ads", "account_id": account});
        json!({"data": {"client_id": 10, "client_connectors": [row]}})
    };
    for (account, outcome) in [
        ("234 567 8901", "account_not_linked"),
        ("123-456-7890", "200"),
    ] {
        let body = rows(account).to_string();
        let got = sidecar.route(&limited, "", "POST /api/import", &body).await;
        assert_eq!(got.outcome(), outcome, "{account}");
    }
    assert_eq!(link(limited.clone(), "999-999-9999").await.status, 200);
    assert_eq!(
        link(alice(), "234-567-8901").await.status,
        200,
        "one's own to decide"
    );
    let patch = Ask::new("PATCH", &sidecar.url("/api/client_connectors/2")).bearer(&limited);
    let patch = patch.body(r#"{"account_id": "G-XYZ789GHI0"}"#).send().await;
    assert_eq!(
        (patch.status, patch.code()),
        (404, "account_not_linked".into())
    );
    let properties = "/api/connectors/ga4/properties?purpose=link";
    let shown = ids(
        &get(&sidecar, &limited, "10", properties).await,
        "properties",
    );
    assert!(
        !shown.contains(&"G-XYZ789GHI0".to_owned()) && shown.len() == 2,
        "{shown:?}"
    );
    assert_eq!(legacy.calls_to("/api/client_connectors/2").await.len(), 0);
}

#[tokio::test]
async fn a_limited_token_cannot_connect_a_link_again_whose_account_is_anothers_by_now() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let limited = token(Claims::new(1, &[10]));
    let patch = |id: u64, token: String, body: Value| {
        let ask = Ask::new(
            "PATCH",
            &sidecar.url(&format!("/api/client_connectors/{id}")),
        );
        let ask = ask.bearer(&token).client("10").body(body.to_string());
        async move { ask.send().await }
    };
    // The user gives client 10's account to client 11.
    let links = get(&sidecar, &alice(), "10", "/api/client_connectors").await;
    let links = links.json();
    let links = links.as_array().or(links["links"].as_array()).unwrap();
    let of = |account: &str| {
        let link = links.iter().find(|link| link["account_id"] == account);
        link.unwrap()["id"].as_u64().unwrap()
    };
    let own = of("123-456-7890");
    let off = json!({"status": "disconnected"});
    assert_eq!(patch(own, limited.clone(), off).await.status, 200);
    let body = json!({"client_id": 11, "connector_slug": "google-ads", "account_id": "1234567890"});
    let given = Ask::new("POST", &sidecar.url("/api/client_connectors")).bearer(&alice());
    assert_eq!(given.body(body.to_string()).send().await.status, 200);
    legacy.forget().await;
    let on = json!({"status": "connected"});
    let got = patch(own, limited, on.clone()).await;
    assert_eq!((got.status, got.code()), (404, "account_not_linked".into()));
    let reached = legacy.calls_to("/api/client_connectors/").await;
    assert!(reached.is_empty(), "{reached:?}");
    assert_eq!(
        patch(own, alice(), on).await.status,
        200,
        "one's own to decide"
    );
    // Now both clients have it, and the token may give its own up.
    let off = json!({"status": "disconnected"});
    let limited = token(Claims::new(1, &[10]));
    assert_eq!(patch(own, limited, off).await.status, 200);
}

#[tokio::test]
async fn a_claim_does_not_outlive_its_client_where_accounts_are_read() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let limited = token(Claims::new(1, &[10, 77]));
    let campaigns = format!("{GOOGLE}/campaigns?account_id=345-678-9012");
    let got = get(&sidecar, &limited, "77", &campaigns).await;
    assert_eq!((got.status, got.code()), (404, "client_not_allowed".into()));
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn in_report_mode_accounts_are_told_of_and_nothing_is_changed() {
    let report = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(report).await;
    let got = get(
        &sidecar,
        &alice(),
        "10",
        &format!("{GOOGLE}/campaigns?account_id=234-567-8901"),
    )
    .await;
    assert_eq!(
        (got.status, got.json()["account_id"].as_str()),
        (200, Some("234-567-8901"))
    );
    let record = sidecar.record(got.header("x-request-id")).await;
    assert_eq!(record["reported"], "account_not_linked");
    let got = get(&sidecar, &alice(), "10", &format!("{GOOGLE}/accounts")).await;
    assert!(ids(&got, "accounts").len() > 2);
}
