//! Running a recorded flow again.

use super::{EXECUTE, HISTORY, body, codes, executed, good, ran, with_node};
use crate::support::{Setup, Sidecar, alice, unlimited};
use serde_json::json;

#[tokio::test]
async fn a_replay_runs_the_recorded_flow_books_credits_and_tells_what_differs() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = ran(&sidecar).await;
    let execution = &first["execution_id"];
    let route = format!("POST {HISTORY}/{execution}/replay");
    let got = sidecar.route(&alice(), "10", &route, "{}").await;
    let answer = got.json();
    assert_eq!(got.status, 200, "{answer}");
    assert_eq!(answer["replay_of"], first["run_id"]);
    assert_ne!(answer["run_id"], first["run_id"]);
    assert_eq!(answer["diff"]["same"], true, "{}", answer["diff"]);
    assert_eq!(answer["diff"]["steps"].as_array().unwrap().len(), 5);
    let sent = executed(&legacy).await;
    assert_eq!(sent[0], sent[1], "the same flow under the same name");
    let spent = legacy.calls_to("/api/user/spend").await;
    let booked = &spent[0]["body"];
    assert_eq!(
        (&booked["amount"], &booked["event_type"]),
        (&json!(5), &json!("run_flow"))
    );
    let request_id = booked["request_id"].as_str().unwrap();
    assert!(
        request_id.contains(answer["run_id"].as_str().unwrap()),
        "{request_id}"
    );
    assert_eq!(spent[0]["headers"]["x-client-id"], "10");
    // The history tells which run it repeats.
    let whole = format!("GET {HISTORY}/{}", answer["execution_id"]);
    let whole = sidecar.route(&alice(), "10", &whole, "").await.json();
    assert_eq!(whole["replay_of"], first["run_id"]);
}

#[tokio::test]
async fn a_dry_run_says_what_would_run_and_does_nothing() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = ran(&sidecar).await;
    let route = format!("POST {HISTORY}/{}/replay", first["execution_id"]);
    let got = sidecar
        .route(&alice(), "10", &route, r#"{"dry_run": true}"#)
        .await;
    let answer = got.json();
    assert_eq!(got.status, 200, "{answer}");
    assert_eq!(
        (&answer["ok"], &answer["dry_run"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(answer["flow"], good());
    assert_eq!(answer["credits"], 5);
    let steps = answer["steps"].as_array().unwrap().iter();
    let steps: Vec<&str> = steps
        .map(|step| step["node_id"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["start", "ads", "web", "think", "say"]);
    assert_eq!(executed(&legacy).await.len(), 1);
    assert!(legacy.calls_to("/api/user/spend").await.is_empty());
    for bad in [r#"{"dry_run": "yes"}"#, r#"{"dry_run": 1}"#, "[]", "{"] {
        let got = sidecar.route(&alice(), "10", &route, bad).await;
        assert_eq!(
            (got.status, got.code()),
            (400, "body_malformed".to_owned()),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_run_from_before_the_sidecar_has_no_flow_to_run_again() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar
        .route(&alice(), "10", &format!("POST {HISTORY}/2/replay"), "{}")
        .await;
    assert_eq!(
        (got.status, got.code()),
        (409, "flow_not_recorded".to_owned())
    );
    assert!(executed(&legacy).await.is_empty());
    for odd in [
        "POST /api/orchestrator/history/0/replay",
        "POST /api/orchestrator/history/x/replay",
    ] {
        let got = sidecar.route(&alice(), "10", odd, "{}").await;
        assert!([400, 404].contains(&got.status), "{odd}: {got:?}");
    }
}

#[tokio::test]
async fn what_the_guardrails_say_now_counts() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let named = with_node("ads", |node| {
        node["config"]["account_id"] = json!("123-456-7890")
    });
    let first = sidecar
        .route(&alice(), "10", EXECUTE, &body(&named))
        .await
        .json();
    // Since then the account was moved to the sibling.
    let change = r#"{"status": "disconnected"}"#;
    let moved =
        json!({"client_id": 11, "connector_slug": "google-ads", "account_id": "123-456-7890"});
    let token = unlimited();
    for (client, route, order) in [
        ("10", "PATCH /api/client_connectors/1", change),
        ("11", "POST /api/client_connectors", &moved.to_string()),
    ] {
        let got = sidecar.route(&token, client, route, order).await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    let route = format!("POST {HISTORY}/{}/replay", first["execution_id"]);
    let got = sidecar.route(&alice(), "10", &route, "{}").await;
    assert_eq!(
        (got.status, got.code()),
        (400, "flow_blocked".to_owned()),
        "{got:?}"
    );
    assert_eq!(codes(&got.json()["violations"]), ["account_not_allowed"]);
    assert_eq!(executed(&legacy).await.len(), 1);
    assert!(legacy.calls_to("/api/user/spend").await.is_empty());
}

#[tokio::test]
async fn without_credits_nothing_runs() {
    let setup = Setup::default().set("SIDECAR__ORCHESTRATOR__REPLAY_CREDITS", "700");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let first = ran(&sidecar).await;
    let route = format!("POST {HISTORY}/{}/replay", first["execution_id"]);
    let got = sidecar.route(&alice(), "10", &route, "{}").await;
    assert_eq!(got.status, 200, "{got:?}");
    let got = sidecar.route(&alice(), "10", &route, "{}").await;
    assert_eq!(
        (got.status, got.code()),
        (402, "credits_refused".to_owned())
    );
    assert_eq!(got.json()["error"], "Execution blocked: Not enough credits");
    assert_eq!(executed(&legacy).await.len(), 2);
    // Refused for want of credits is not answered for a day.
    let keyed = super::with_key(&sidecar, &alice(), "10", &route, "{}", "paid-later").await;
    let again = super::with_key(&sidecar, &alice(), "10", &route, "{}", "paid-later").await;
    assert_eq!((keyed.status, again.status), (402, 402));
    assert_eq!(again.header("idempotency-replayed"), "");
    // An app that does not answer about credits runs nothing either.
    legacy
        .faults(json!({"fault": "status", "status": 500, "only": "spend"}))
        .await;
    let got = sidecar.route(&alice(), "10", &route, "{}").await;
    assert_eq!(got.status, 502);
    assert_eq!(executed(&legacy).await.len(), 2);
    assert_eq!(
        sidecar
            .metric("sidecar_runs_total{status=\"blocked\"}")
            .await,
        3.0
    );
    assert_eq!(
        sidecar.metric("sidecar_runs_total{status=\"error\"}").await,
        1.0
    );
}

#[tokio::test]
async fn what_came_out_otherwise_is_told_step_by_step() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = ran(&sidecar).await;
    let token = unlimited();
    // Another property of the client's own is linked first from now on.
    let other = json!({"client_id": 10, "connector_slug": "ga4", "account_id": "G-NEW0000001"});
    let got = sidecar
        .route(
            &token,
            "10",
            "POST /api/client_connectors",
            &other.to_string(),
        )
        .await;
    assert_eq!(got.status, 200);
    let got = sidecar
        .route(
            &token,
            "10",
            "PATCH /api/client_connectors/2",
            r#"{"status": "disconnected"}"#,
        )
        .await;
    assert_eq!(got.status, 200);
    let route = format!("POST {HISTORY}/{}/replay", first["execution_id"]);
    let answer = sidecar.route(&alice(), "10", &route, "{}").await.json();
    assert_eq!(
        executed(&legacy).await[1]["flow"]["nodes"][2]["config"]["property_id"],
        "G-NEW0000001"
    );
    assert_eq!(answer["diff"]["same"], false, "{answer}");
    let steps = answer["diff"]["steps"].as_array().unwrap();
    let web = steps.iter().find(|step| step["node_id"] == "web").unwrap();
    assert_eq!(web["change"], "changed");
    let figure = &web["figures"][0];
    let (before, after) = (
        figure["before"].as_f64().unwrap(),
        figure["after"].as_f64().unwrap(),
    );
    assert!(
        (figure["change"].as_f64().unwrap() - (after - before)).abs() < 1e-3,
        "{figure}"
    );
}
