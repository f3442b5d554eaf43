//! The shared service account reads for callers whose token Coolbits must not
//! see, and only what the operator's table names.

use crate::google_ads::{REPORT, SELECT, asked, real};
use crate::support::{Got, Setup, Sidecar, StandIn, alice, unlimited};
use serde_json::json;

#[tokio::test]
async fn the_service_account_reads_only_what_the_operators_table_names() {
    let file = r#"
        [gateway]
        service_account = true
        email = "ops@example.com"
        [gateway.accounts]
        10 = ["234-567-8901"]
        [[issuers]]
        name = "not for coolbits"
        secret = "the secret of the tests, longer than 32 bytes"
        user_claim = "uid"
    "#;
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default().file(file)).await;
    let own = sidecar
        .ads(&alice(), "10", "campaigns?account_id=234-567-8901")
        .await;
    real(&own);
    let calls = coolbits.calls().await;
    assert_eq!(asked(&calls), ["POST /api/auth/mock-login", SELECT, REPORT]);
    assert_eq!(calls[0]["body"], json!({"email": "ops@example.com"}));
    let callers_own = crate::support::alice();
    assert!(
        !calls
            .iter()
            .any(|call| call.to_string().contains(&callers_own))
    );

    let accounts = real(&sidecar.ads(&alice(), "10", "accounts").await);
    let ids: Vec<_> = accounts["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["id"])
        .collect();
    assert_eq!(ids, ["234-567-8901"]);

    coolbits.forget().await;
    for (client, target) in [
        ("10", "campaigns?account_id=123-456-7890"),
        ("11", "campaigns?account_id=234-567-8901"),
        ("10", "campaigns?account_id=234-567-8901&mcc_id=0001112222"),
        ("10", "keywords"),
    ] {
        let answer = sidecar.ads(&alice(), client, target).await.json();
        assert_eq!(
            answer["gateway"]["error"], "not_connected",
            "{client} {target}"
        );
    }
    assert!(
        coolbits.calls().await.is_empty(),
        "what the table does not name is not asked for"
    );
}

#[tokio::test]
async fn a_refused_service_token_is_renewed_once() {
    let file = "[gateway]\nservice_account = true\n[gateway.accounts]\n10 = [\"1234567890\"]\n\
        [[issuers]]\nname = \"a\"\nsecret = \"the secret of the tests, longer than 32 bytes\"\nuser_claim = \"uid\"\n";
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default().file(file)).await;
    coolbits
        .faults(json!({"fault": "unauthorized", "only": "/customer", "times": 1}))
        .await;
    real(&sidecar.ads(&alice(), "10", "campaigns").await);
    assert_eq!(coolbits.calls_to("mock-login").await.len(), 2);
    coolbits.forget().await;
    coolbits
        .faults(json!({"fault": "unauthorized", "only": "/customer"}))
        .await;
    let answer = sidecar.ads(&alice(), "10", "campaigns?days=2").await.json();
    assert_eq!(answer["gateway"]["error"], "unauthorized");
    assert_eq!(coolbits.calls_to("mock-login").await.len(), 1);
}

#[tokio::test]
async fn without_a_token_for_coolbits_the_mock_answers_and_nothing_is_asked() {
    let file = "[[issuers]]\nname = \"a\"\nsecret = \"the secret of the tests, longer than 32 bytes\"\nuser_claim = \"uid\"\n";
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default().file(file)).await;
    let answer = sidecar.ads(&alice(), "10", "campaigns").await.json();
    assert_eq!(
        (&answer["source"], &answer["gateway"]["error"]),
        (&json!("mock"), &json!("unauthorized"))
    );
    assert!(coolbits.calls().await.is_empty());
}

/// A sidecar whose callers' tokens Coolbits must not see, with everything read from it.
async fn of_the_operators_table(accounts: &str) -> (Sidecar, StandIn, StandIn) {
    let file = format!(
        "[gateway]\nservice_account = true\nmock_only = []\n[gateway.accounts]\n{accounts}\n\
         [[issuers]]\nname = \"a\"\nsecret = \"the secret of the tests, longer than 32 bytes\"\nuser_claim = \"uid\"\n"
    );
    Sidecar::with_stand_ins(Setup::default().file(&file)).await
}

/// As user 1; only a token without a claim may leave the client out.
async fn get(sidecar: &Sidecar, client: &str, target: &str) -> Got {
    let token = if client.is_empty() {
        unlimited()
    } else {
        alice()
    };
    let route = format!("GET /api/connectors/{target}");
    sidecar.route(&token, client, &route, "").await
}

#[tokio::test]
async fn properties_sites_and_containers_are_read_as_the_table_names_them() {
    let accounts = "10 = [\"G-XYZ789GHI0\", \"https://blog.camarad.ai/\", \"GTM-K9L2M4P\"]";
    let (sidecar, coolbits, _legacy) = of_the_operators_table(accounts).await;
    for (target, path, parameter, id) in [
        (
            "ga4/overview?property_id=G-XYZ789GHI0",
            "ga4/report",
            "propertyId",
            "G-XYZ789GHI0",
        ),
        (
            "ga4/funnel?property_id=properties/g-xyz789ghi0",
            "ga4/report",
            "propertyId",
            "properties/g-xyz789ghi0",
        ),
        (
            "google-search-console/pages?property_id=https://blog.camarad.ai/",
            "gsc/report",
            "siteUrl",
            "https://blog.camarad.ai/",
        ),
        (
            "google-tag-manager/tags?container_id=GTM-K9L2M4P",
            "gtm/report",
            "containerId",
            "GTM-K9L2M4P",
        ),
    ] {
        coolbits.forget().await;
        real(&get(&sidecar, "10", target).await);
        let mut calls = coolbits.calls().await;
        calls.retain(|call| call["path"] != "/api/auth/mock-login");
        // Which property it has selected is nobody's: the status is not asked.
        assert_eq!(
            asked(&calls),
            [format!("GET /api/connectors/{path}")],
            "{target}"
        );
        assert_eq!(crate::ga4::sent(&calls[0])[parameter], id, "{target}");
        assert!(!calls[0].to_string().contains(&alice()));
    }
    for (target, list, own) in [
        ("ga4/properties", "properties", "G-XYZ789GHI0"),
        (
            "google-search-console/properties",
            "properties",
            "https://blog.camarad.ai/",
        ),
        ("google-tag-manager/containers", "containers", "GTM-K9L2M4P"),
    ] {
        let answer = real(&get(&sidecar, "10", target).await);
        let rows = answer[list].as_array().unwrap();
        let ids: Vec<_> = rows.iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [own], "{target}");
    }
}

#[tokio::test]
async fn a_property_that_nobody_names_is_the_stored_one_if_the_table_has_it() {
    let (sidecar, coolbits, _legacy) = of_the_operators_table("10 = [\"G-XYZ789GHI0\"]").await;
    let store = |property: &'static str| {
        let body = json!({"status": "connected", "config": {"property_id": property}}).to_string();
        let sidecar = &sidecar;
        async move {
            let got = sidecar
                .route(&alice(), "10", "POST /api/connectors/ga4", &body)
                .await;
            assert_eq!(got.status, 200, "{got:?}");
        }
    };
    store("G-XYZ789GHI0").await;
    let answer = real(&get(&sidecar, "10", "ga4/overview").await);
    assert_eq!(answer["property_id"], "G-XYZ789GHI0");
    store("G-JKL456MNO1").await;
    coolbits.forget().await;
    let answer = get(&sidecar, "10", "ga4/overview?a=1").await.json();
    assert_eq!(answer["gateway"]["error"], "not_connected");
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn what_the_table_does_not_name_is_never_asked_for() {
    let accounts = "10 = [\"G-ABC123DEF4\", \"sc-domain:camarad.ai\", \"123-456-7890\"]";
    let (sidecar, coolbits, _legacy) = of_the_operators_table(accounts).await;
    for (client, target) in [
        ("10", "ga4/overview?property_id=G-XYZ789GHI0"),
        (
            "10",
            "ga4/timeseries?property_id=sc-domain:camarad.ai.example",
        ),
        ("11", "ga4/overview"),
        ("11", "ga4/overview?property_id=G-ABC123DEF4"),
        ("", "ga4/overview?property_id=G-ABC123DEF4"),
        (
            "10",
            "google-search-console/overview?property_id=https://blog.camarad.ai/",
        ),
        ("11", "google-search-console/overview"),
        ("10", "google-tag-manager/tags"),
        ("10", "google-tag-manager/preview?container_id=GTM-CONTOSO"),
        // About the service account itself, whatever the query names.
        ("10", "ga4/status"),
        ("10", "ga4/status?property_id=G-ABC123DEF4"),
        ("10", "stripe/overview"),
        ("10", "stripe/overview?account_id=123-456-7890"),
        ("10", "stripe/overview?account_id=G-ABC123DEF4"),
    ] {
        let got = get(&sidecar, client, target).await;
        assert_eq!(
            (got.status, got.header("x-camarad-source")),
            (200, "mock"),
            "{client} {target}"
        );
        assert_eq!(
            got.json()["gateway"]["error"],
            "not_connected",
            "{client} {target}"
        );
    }
    let body = json!({"propertyId": "G-ABC123DEF4"}).to_string();
    let got = sidecar
        .route(&alice(), "10", "POST /api/connectors/ga4/property", &body)
        .await;
    assert_eq!(
        (got.status, got.json()),
        (400, json!({"ok": false, "error": "unauthorized"})),
        "nobody chooses for it"
    );
    assert!(coolbits.calls().await.is_empty());
}
