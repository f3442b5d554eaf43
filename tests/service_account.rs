//! The shared service account reads for callers whose token Coolbits must not
//! see, and only what the operator's table names.

use crate::google_ads::{REPORT, SELECT, asked, real};
use crate::support::{Setup, Sidecar, alice};
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
