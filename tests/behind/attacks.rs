//! How somebody's figures could get into another one's run, or out of their own: by a
//! Coolbits that answers for another account, by an app that asks past us, by a token that
//! ends in the middle, and by what is left over of a run.

use super::app::{house, house_of};
use super::{ADS, EXECUTE, GA4, SELECT, ask, flow, handles, nobody, started};
use crate::support::{Ask, Claims, SECRET, Setup, Sidecar, StandIn, alice, bob, command, token};
use serde_json::{Value, json};

fn body() -> String {
    json!({"flow": flow()}).to_string()
}

fn dates(connector: &str, account: &str) -> String {
    format!("{ADS}?{connector}={account}&preset=campaigns&from=2026-01-01&to=2026-01-07")
}

/// An app whose `COOLBITS_URL` is the real Coolbits, though we were told it would be ours.
async fn past_us() -> (Sidecar, StandIn, StandIn) {
    let coolbits = StandIn::start("coolbits").await;
    let mut legacy = StandIn::start("legacy").await;
    // A ledger that forgets soon: what is withheld stays it.
    let setup = Setup::default()
        .set("SIDECAR_COOLBITS_LISTEN", "127.0.0.1:0")
        .set("SIDECAR__LEDGER__RUNS_PER_CLIENT", 1);
    let sidecar = setup.start(&coolbits, &legacy).await;
    legacy.ask_coolbits_at(&coolbits.url()).await;
    (sidecar, coolbits, legacy)
}

#[tokio::test]
async fn figures_of_another_account_are_not_a_runs() {
    let (sidecar, coolbits, _legacy) = house().await;
    coolbits
        .faults(json!({"fault": "wrong_account", "only": "report"}))
        .await;
    let run = sidecar.route(&alice(), "10", EXECUTE, &body()).await;
    let run = run.json();
    assert_eq!(run["data"], json!("mock"), "{run}");
    for source in run["sources"].as_array().unwrap() {
        assert_ne!(source["source"], json!("coolbits"), "{source}");
        assert_eq!(source["gateway"]["error"], json!("bad_payload"), "{source}");
    }
}

#[tokio::test]
async fn a_customer_that_cannot_be_selected_is_not_read() {
    let (sidecar, coolbits, _legacy) = house().await;
    // Another client's customer is the one that this user selected last.
    let other = sidecar.route(&alice(), "11", EXECUTE, &body()).await;
    assert_eq!(other.status, 200, "{other:?}");
    let fault = json!({"fault": "status", "status": 405, "only": "googleads/customer"});
    coolbits.faults(fault).await;
    let run = sidecar.route(&alice(), "10", EXECUTE, &body()).await.json();
    let ads = &run["sources"][0];
    assert_ne!(ads["source"], json!("coolbits"), "{run}");
    assert_eq!(ads["gateway"]["error"], json!("bad_payload"), "{run}");
    assert_ne!(
        run["results"][1]["data"]["metric_values"],
        other.json()["results"][1]["data"]["metric_values"]
    );
}

/// The app then asks with its service account: whatever that has selected is what it reads.
#[tokio::test]
async fn figures_that_did_not_come_through_us_are_withheld() {
    let (sidecar, coolbits, legacy) = past_us().await;
    let service = "service-dev@camarad.ai";
    let select = Ask::new("POST", &format!("{}{SELECT}", coolbits.url()))
        .bearer(service)
        .with("Content-Type", "application/json")
        .body(r#"{"customerId": "3456789012"}"#);
    assert_eq!(select.send().await.status, 200);
    let report = Ask::get(&format!(
        "{}{}",
        coolbits.url(),
        dates("account_id", "345-678-9012")
    ));
    let theirs = report.bearer(service).send().await.json();
    let clicks: u64 = theirs["data"]["campaigns"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["clicks"].as_u64().unwrap())
        .sum();
    // So that the handle, which nobody has, selects nothing else.
    let fault = json!({"fault": "status", "status": 404, "only": "googleads/customer"});
    coolbits.faults(fault).await;
    let run = sidecar.route(&alice(), "10", EXECUTE, &body()).await;
    assert_eq!(
        (run.status, &run.json()["code"]),
        (502, &json!("tenant_leak_blocked")),
        "{run:?}"
    );
    assert!(!run.text().contains(&clicks.to_string()));
    assert_eq!(legacy.calls_to("/api/orchestrator/execute").await.len(), 1);
    // The app has it in its history; what it says there is withheld as well.
    let list = sidecar
        .route(&alice(), "10", "GET /api/orchestrator/history", "")
        .await
        .json();
    let id = list[0]["id"].clone();
    for forgotten in [false, true] {
        if forgotten {
            let again = sidecar.route(&alice(), "10", EXECUTE, &body()).await;
            assert_eq!(again.status, 502, "{again:?}");
        }
        for what in ["", "/trace", "/trace?format=csv"] {
            let target = format!("GET /api/orchestrator/history/{id}{what}");
            let got = sidecar.route(&alice(), "10", &target, "").await;
            let text = got.text();
            assert!(!text.contains(&clicks.to_string()), "{what}: {text}");
        }
        let straight = Ask::get(&format!("{}/api/orchestrator/history/{id}", legacy.url()))
            .with("Cookie", "camarad_user_id=1")
            .client("10")
            .send()
            .await;
        assert!(
            straight.text().contains(&clicks.to_string()),
            "{straight:?}"
        );
    }
}

#[tokio::test]
async fn a_run_whose_token_ends_or_whose_gateway_is_turned_off_reads_no_more() {
    let (sidecar, coolbits, legacy) = started().await;
    legacy
        .faults(json!({"latency_ms": 1500, "latency_only": "execute"}))
        .await;
    let token = token(Claims::new(1, &[10]).with("jti", json!("one")));
    let body = body();
    let run = sidecar.route(&token, "10", EXECUTE, &body);
    let work = async {
        let (ads, web) = handles(&legacy, 0).await;
        let nobody = nobody(&sidecar).await;
        let read = async |target: &str| {
            let got = ask(&sidecar, Some(&nobody), target).await;
            (got.status, got.json()["error"].clone())
        };
        let (ads, web) = (dates("account_id", &ads), format!("{GA4}?propertyId={web}"));
        assert_eq!(read(&ads).await.0, 200);
        // Somebody else's token does not open it, and neither does one's own: it is nobody's.
        for own in [bob(), alice()] {
            let got = ask(&sidecar, Some(&own), &ads).await;
            assert_eq!(got.status, 400, "{got:?}");
        }
        sidecar.switch(false).await;
        assert_eq!(read(&ads).await, (404, json!("disabled")));
        let got = ask(
            &sidecar,
            Some(&alice()),
            &dates("account_id", "123-456-7890"),
        )
        .await;
        assert_eq!(got.status, 400, "{got:?}");
        sidecar.switch(true).await;
        coolbits.forget().await;
        assert_eq!(sidecar.revoke(json!({"token": token})).await.status, 200);
        for target in [&ads, &web] {
            assert_eq!(read(target).await, (404, json!("token_refused")));
        }
        assert!(coolbits.calls().await.is_empty());
    };
    tokio::join!(run, work);
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn the_apps_history_shows_accounts_also_of_runs_that_the_ledger_forgot() {
    let setup = Setup::default().set("SIDECAR__LEDGER__RUNS_PER_CLIENT", 1);
    let (sidecar, _coolbits, legacy) = house_of(setup).await;
    let first = sidecar.route(&alice(), "10", EXECUTE, &body()).await.json();
    let (ads, web) = handles(&legacy, 0).await;
    assert_eq!(
        sidecar.route(&alice(), "10", EXECUTE, &body()).await.status,
        200
    );
    let target = format!("GET /api/orchestrator/history/{}", first["execution_id"]);
    let got = sidecar.route(&alice(), "10", &target, "").await;
    assert_eq!(got.status, 200, "{got:?}");
    let text = got.text();
    assert!(!text.contains(&ads) && !text.contains(&web), "{text}");
    assert!(text.contains("123-456-7890"), "{text}");
}

#[tokio::test]
async fn nodes_are_told_apart_whatever_their_ids_are() {
    let (sidecar, _coolbits, _legacy) = house().await;
    let nodes = json!([
        {"id": 1, "type": "trigger"}, {"id": 2, "type": "connector", "slug": "google-ads"},
        {"id": 3, "type": "connector", "slug": "ga4"}, {"id": 4, "type": "agent", "slug": "seo"},
        {"id": 5, "type": "output"},
    ]);
    let lines = [(1, 2), (2, 3), (3, 4), (4, 5)].map(|(from, to)| json!({"from": from, "to": to}));
    let body = json!({"flow": {"nodes": nodes, "connections": lines}}).to_string();
    let run = sidecar.route(&alice(), "10", EXECUTE, &body).await.json();
    assert_eq!(run["data"], json!("real"), "{run}");
    let accounts: Vec<&Value> = run["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| &source["account"])
        .collect();
    assert_eq!(accounts, ["123-456-7890", "G-ABC123DEF4"]);
}

/// The app would take a 401 for its service account's, log in again, and ask once more.
#[tokio::test]
async fn a_refused_token_is_asked_with_once() {
    let (sidecar, coolbits, _legacy) = house_of(Setup::default().without_breaker()).await;
    let fault = json!({"fault": "unauthorized", "only": "report"});
    coolbits.faults(fault).await;
    let run = sidecar.route(&alice(), "10", EXECUTE, &body()).await.json();
    assert_eq!(run["data"], json!("mock"), "{run}");
    assert_eq!(run["sources"][0]["gateway"]["status"], json!(401), "{run}");
    let logins = coolbits.calls_to("/api/auth/mock-login").await;
    assert!(logins.is_empty(), "{logins:#?}");
    assert_eq!(coolbits.calls_to(ADS).await.len(), 1);
}

#[tokio::test]
async fn a_rule_that_only_reports_gives_a_brief_no_other_property() {
    let setup = Setup::default().file("[tenancy.modes]\n\"ga4.overview\" = \"report\"\n");
    let (sidecar, coolbits, _legacy) = house_of(setup).await;
    let limited = token(Claims::new(1, &[10]));
    let property = Ask::new(
        "POST",
        &format!("{}/api/connectors/ga4/property", coolbits.url()),
    )
    .bearer(&limited)
    .with("Content-Type", "application/json")
    .body(r#"{"propertyId": "G-XYZ789GHI0"}"#);
    assert_eq!(property.send().await.status, 200);
    coolbits.forget().await;
    let target = "GET /api/orchestrator/agent-brief/cmo-growth";
    let brief = sidecar.route(&limited, "10", target, "").await;
    assert_eq!(brief.status, 200, "{brief:?}");
    for call in coolbits.calls().await {
        assert!(!call.to_string().contains("G-XYZ789GHI0"), "{call}");
    }
}

#[tokio::test]
async fn what_comes_back_goes_no_further_round() {
    let (sidecar, coolbits, _legacy) = started().await;
    let got = Ask::get(&sidecar.behind("/api/auth/me"))
        .bearer(&alice())
        .with("X-Camarad-Hop", "1")
        .send()
        .await;
    assert_eq!(
        (got.status, &got.json()["error"]),
        (508, &json!("loop_detected"))
    );
    assert!(coolbits.calls().await.is_empty());
    for (name, value) in [
        ("LEGACY_URL", "http://localhost:8789"),
        ("COOLBITS_URL", "http://[::ffff:127.0.0.1]:8789"),
        ("SIDECAR_LISTEN", "0.0.0.0:8789"),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:8789"),
    ] {
        let output = command()
            .arg("check")
            .env("SIDECAR_JWT_SECRET", SECRET)
            .env("SIDECAR_JWT_USER_CLAIM", "uid")
            .env("SIDECAR_COOLBITS_LISTEN", "127.0.0.1:8789")
            .env(name, value)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(
            said.contains("expected an address of its own"),
            "{name}: {said}"
        );
    }
}
