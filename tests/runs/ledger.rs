//! What is written of a run, and what happens where it cannot be.

use super::{EXECUTE, HISTORY, body, executed, good, ran};
use crate::support::{Setup, Sidecar, alice, bob, eventually, fault};
use serde_json::json;

#[tokio::test]
async fn a_run_is_written_down_and_told_everywhere_by_one_id() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&good())).await;
    let answer = got.json();
    assert_eq!(got.status, 200, "{answer}");
    assert_eq!(got.header("x-camarad-source"), "legacy");
    let run_id = answer["run_id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(run_id).unwrap().get_version_num(), 7);
    assert_eq!(answer["warnings"], json!([]), "{answer}");
    assert_eq!(answer["replay_of"], json!(null));
    assert_eq!(answer["data"], "mock");
    let sources = json!([
        {"node_id": "ads", "connector": "google-ads", "source": "mock", "account": "123-456-7890", "gateway": null},
        {"node_id": "web", "connector": "ga4", "source": "mock", "account": "G-ABC123DEF4", "gateway": null},
    ]);
    assert_eq!(answer["sources"], sources);
    assert_eq!(answer["run_status"], "success");
    assert_eq!(answer["steps_executed"], 5);

    let execution = &answer["execution_id"];
    let list = sidecar
        .route(&alice(), "10", &format!("GET {HISTORY}"), "")
        .await
        .json();
    let row = list
        .as_array()
        .unwrap()
        .iter()
        .find(|row| &row["id"] == execution)
        .unwrap();
    let whole = sidecar
        .route(&alice(), "10", &format!("GET {HISTORY}/{execution}"), "")
        .await
        .json();
    for told in [row, &whole] {
        assert_eq!(told["run_id"], run_id);
        assert_eq!(told["replay_of"], json!(null));
        assert_eq!(told["warnings"], json!([]));
        assert_eq!(told["sources"], sources);
        assert_eq!(told["data"], "mock");
    }
    // Those from before the sidecar are the app's alone.
    let before = list
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == 2)
        .unwrap();
    assert_eq!(
        (&before["run_id"], &before["data"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(before["warnings"], json!([]));

    let record = sidecar.record(got.header("x-request-id")).await;
    assert_eq!(record["run"], run_id);
    assert_eq!(
        sidecar
            .metric("sidecar_runs_total{status=\"success\"}")
            .await,
        1.0
    );
    assert_eq!(executed(&legacy).await.len(), 1);
}

#[tokio::test]
async fn what_is_forwarded_is_the_flow_that_was_looked_at() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // By `flow_json`, as text, besides a `flow` that is none.
    let text = json!({"flow": null, "flow_json": good().to_string(), "name": "As text"});
    let got = sidecar
        .route(&alice(), "10", EXECUTE, &text.to_string())
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    // A stored one, by its id.
    let stored = json!({"flow": good(), "name": "Stored"}).to_string();
    let made = sidecar
        .route(&alice(), "10", "POST /api/flows", &stored)
        .await
        .json();
    let by_id = json!({"flow_id": made["flow_id"]}).to_string();
    let got = sidecar.route(&alice(), "10", EXECUTE, &by_id).await;
    assert_eq!(got.status, 200, "{got:?}");
    let sent = executed(&legacy).await;
    for sent in &sent {
        assert!(sent.get("flow_json").is_none(), "{sent}");
        assert_eq!(sent["flow"]["nodes"].as_array().unwrap().len(), 5, "{sent}");
        // The client's own account, where the node names none.
        assert_eq!(
            sent["flow"]["nodes"][1]["config"],
            json!({"days": 7, "account_id": "123-456-7890"})
        );
        assert_eq!(
            sent["flow"]["nodes"][2]["config"]["property_id"],
            "G-ABC123DEF4"
        );
    }
    assert_eq!(sent[0]["name"], "As text");
    assert_eq!(sent[1]["flow_id"], made["flow_id"]);
    assert!(
        sent[1]["name"].as_str().unwrap().starts_with("Stored"),
        "{}",
        sent[1]
    );
}

#[tokio::test]
async fn a_run_that_the_app_fails_is_an_error_in_the_ledger() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"fault": "status", "status": 500, "only": "execute"}))
        .await;
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&good())).await;
    assert_eq!(got.status, 500);
    let run_id = got.json()["run_id"].as_str().unwrap().to_owned();
    legacy
        .faults(json!({"fault": "reset", "only": "execute"}))
        .await;
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&good())).await;
    assert_eq!(
        (got.status, got.code()),
        (502, "legacy_unreachable".to_owned())
    );
    legacy.faults(fault("none")).await;
    assert_eq!(
        sidecar.metric("sidecar_runs_total{status=\"error\"}").await,
        2.0
    );
    let listed = super::command::runs(&sidecar, &["list", "--status", "error"]).await;
    assert!(
        listed.contains(&run_id) && listed.lines().count() == 3,
        "{listed}"
    );
}

/// Somebody else holds the file, as a disk that takes no writes does.
fn locked(sidecar: &Sidecar) -> rusqlite::Connection {
    let file = rusqlite::Connection::open(sidecar.state_dir().join("runs.db")).unwrap();
    file.execute_batch("BEGIN EXCLUSIVE").unwrap();
    file
}

#[tokio::test]
async fn without_the_ledger_no_run_is_made() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let held = locked(&sidecar);
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&good())).await;
    assert_eq!(
        (got.status, got.code()),
        (503, "ledger_unavailable".to_owned())
    );
    assert_eq!(got.header("retry-after"), "5");
    assert!(executed(&legacy).await.is_empty(), "it was forwarded");
    assert!(sidecar.metric("sidecar_ledger_errors_total").await >= 1.0);
    // The history is the app's, and goes on.
    let list = sidecar
        .route(&alice(), "10", &format!("GET {HISTORY}"), "")
        .await;
    assert_eq!(list.status, 200);
    drop(held);
    ran(&sidecar).await;
}

#[tokio::test]
async fn a_full_disk_refuses_the_run_and_keeps_what_there_was() {
    let setup = Setup::default().set("SIDECAR__LEDGER__MAX_BYTES", "131072");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let first = ran(&sidecar).await;
    let mut large = good();
    large["nodes"][0]["config"]["trigger_description"] = json!("x".repeat(200_000));
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&large)).await;
    assert_eq!(
        (got.status, got.code()),
        (503, "ledger_unavailable".to_owned())
    );
    assert_eq!(executed(&legacy).await.len(), 1);
    sidecar.says("database or disk is full").await;
    let listed = super::command::runs(&sidecar, &["list"]).await;
    assert!(
        listed.contains(first["run_id"].as_str().unwrap()),
        "{listed}"
    );
}

#[tokio::test]
async fn where_the_ledger_is_not_required_runs_go_on_without_it() {
    let setup = Setup::default().set("SIDECAR__LEDGER__REQUIRED", "false");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let held = locked(&sidecar);
    ran(&sidecar).await;
    assert_eq!(executed(&legacy).await.len(), 1);
    // A repetition could not be told from a new run.
    let got = super::with_key(&sidecar, &alice(), "10", EXECUTE, &body(&good()), "k1").await;
    assert_eq!(
        (got.status, got.code()),
        (503, "ledger_unavailable".to_owned())
    );
    drop(held);
    assert_eq!(executed(&legacy).await.len(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_ends_no_run() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"latency_ms": 400, "latency_only": "execute"}))
        .await;
    let (token, text) = (alice(), body(&good()));
    let asked = sidecar.route(&token, "10", EXECUTE, &text);
    let left = tokio::time::timeout(std::time::Duration::from_millis(200), asked).await;
    assert!(left.is_err(), "it was answered too soon to leave");
    let done = "sidecar_runs_total{status=\"success\"}";
    eventually("the run ends", || async {
        sidecar.metric(done).await == 1.0
    })
    .await;
}

#[tokio::test]
async fn in_report_mode_what_would_be_refused_is_not_written_down() {
    let setup = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let got = sidecar.route(&bob(), "10", EXECUTE, &body(&good())).await;
    assert!(got.json().get("run_id").is_none(), "{got:?}");
    let listed = super::command::runs(&sidecar, &["list"]).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    // What would be allowed is as ever.
    let own = ran(&sidecar).await;
    let whole = format!("GET {HISTORY}/{}", own["execution_id"]);
    let whole = sidecar.route(&alice(), "10", &whole, "").await.json();
    assert_eq!(whole["run_id"], own["run_id"]);
}
