//! Whose runs, traces and replays are: nobody else's.

use super::{EXECUTE, HISTORY, body, executed, good, ran};
use crate::support::{Claims, Setup, Sidecar, alice, bob, token, unlimited};
use serde_json::json;

#[tokio::test]
async fn trace_and_replay_of_another_user_or_client_are_not_found() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let theirs = sidecar
        .route(&bob(), "20", EXECUTE, &body(&good()))
        .await
        .json();
    let own = ran(&sidecar).await;
    let limited = token(Claims::new(1, &[11]));
    let asked = executed(&legacy).await.len();
    for (who, token, client, run) in [
        ("another user", alice(), "10", &theirs),
        ("another user, without a limit", unlimited(), "10", &theirs),
        ("another user, naming the client", alice(), "20", &theirs),
        ("the same user's other client", alice(), "11", &own),
        ("the same without a limit", unlimited(), "11", &own),
        ("a token of the other client", limited, "11", &own),
    ] {
        let run = &run["execution_id"];
        for route in [
            format!("GET {HISTORY}/{run}"),
            format!("GET {HISTORY}/{run}/trace"),
            format!("GET {HISTORY}/{run}/trace?format=csv"),
            format!("POST {HISTORY}/{run}/replay"),
        ] {
            let got = sidecar.route(&token, client, &route, "").await;
            assert_eq!(got.status, 404, "{who} {route}: {got:?}");
            let text = String::from_utf8_lossy(&got.body);
            assert!(!text.contains("run_id\":\"0"), "{who} {route}: {text}");
        }
    }
    assert_eq!(
        executed(&legacy).await.len(),
        asked,
        "somebody else's was run"
    );
    let no_client = sidecar
        .route(
            &alice(),
            "",
            &format!("GET {HISTORY}/{}/trace", own["execution_id"]),
            "",
        )
        .await;
    assert_eq!(
        (no_client.status, no_client.code()),
        (400, "client_required".to_owned())
    );
    let nobody = sidecar
        .get(&format!("{HISTORY}/{}/trace", own["execution_id"]))
        .client("10")
        .send()
        .await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn a_client_that_gets_a_deleted_ones_id_inherits_no_runs() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    let made = sidecar
        .route(&token, "", "POST /api/clients", r#"{"name": "Brief"}"#)
        .await
        .json();
    let client = made["client_id"]
        .as_u64()
        .or(made["id"].as_u64())
        .unwrap()
        .to_string();
    let run = sidecar
        .route(&token, &client, EXECUTE, &body(&good()))
        .await;
    assert_eq!(run.status, 200, "{run:?}");
    let execution = run.json()["execution_id"].clone();
    let deleted = sidecar
        .route(&token, "", &format!("DELETE /api/clients/{client}"), "")
        .await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let made = sidecar
        .route(&token, "", "POST /api/clients", r#"{"name": "Next"}"#)
        .await
        .json();
    let next = made["client_id"]
        .as_u64()
        .or(made["id"].as_u64())
        .unwrap()
        .to_string();
    assert_eq!(next, client, "the app gives ids out again");
    let replay = format!("POST {HISTORY}/{execution}/replay");
    let got = sidecar.route(&token, &next, &replay, "{}").await;
    assert!([404, 409].contains(&got.status), "{got:?}");
    let list = sidecar
        .route(&token, &next, &format!("GET {HISTORY}"), "")
        .await
        .json();
    for row in list.as_array().unwrap() {
        assert_eq!(row["run_id"], json!(null), "{row}");
    }
}

#[tokio::test]
async fn what_was_not_deleted_keeps_its_runs_and_keys() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    let first = super::with_key(&sidecar, &token, "10", EXECUTE, &body(&good()), "kept").await;
    assert_eq!(first.status, 200, "{first:?}");
    for (fault, route) in [
        (
            json!({"fault": "status", "status": 500, "only": "/api/clients/10"}),
            "DELETE /api/clients/10",
        ),
        (
            json!({"fault": "status", "status": 400, "only": "/api/import"}),
            "POST /api/import",
        ),
    ] {
        legacy.faults(fault).await;
        let got = sidecar.route(&token, "", route, "{}").await;
        assert!(got.status >= 400, "{route}: {got:?}");
    }
    legacy.faults(json!({"fault": "none"})).await;
    let again = super::with_key(&sidecar, &token, "10", EXECUTE, &body(&good()), "kept").await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{again:?}");
    let replay = format!("POST {HISTORY}/{}/replay", first.json()["execution_id"]);
    let got = sidecar.route(&token, "10", &replay, "{}").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(executed(&legacy).await.len(), 2);
}
