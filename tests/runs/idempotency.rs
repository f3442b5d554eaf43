//! `Idempotency-Key`: the same request once more is not another run.

use super::{EXECUTE, HISTORY, body, executed, good, ran, with_key, with_node};
use crate::support::{Setup, Sidecar, alice, bob, eventually};
use serde_json::json;

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let first = with_key(&sidecar, &alice(), "10", EXECUTE, &body(&good()), "\"a-1\"").await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (200, "")
    );
    let again = with_key(&sidecar, &alice(), "10", EXECUTE, &body(&good()), "a-1").await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(again.body, first.body);
    assert_eq!(executed(&legacy).await.len(), 1);
    // Another body is a mistake; another tenant's key is another key.
    let other = with_node("think", |node| node["label"] = json!("Another"));
    let got = with_key(&sidecar, &alice(), "10", EXECUTE, &body(&other), "a-1").await;
    assert_eq!(
        (got.status, got.code()),
        (422, "idempotency_key_reused".to_owned())
    );
    for (token, client) in [(alice(), "11"), (bob(), "20")] {
        let got = with_key(&sidecar, &token, client, EXECUTE, &body(&good()), "a-1").await;
        assert_eq!(
            (got.status, got.header("idempotency-replayed")),
            (200, ""),
            "{client}"
        );
    }
    assert_eq!(executed(&legacy).await.len(), 3);
}

#[tokio::test]
async fn a_blocked_flow_is_blocked_again_in_the_same_words() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let empty = body(&json!({"nodes": []}));
    let first = with_key(&sidecar, &alice(), "10", EXECUTE, &empty, "b-1").await;
    let again = with_key(&sidecar, &alice(), "10", EXECUTE, &empty, "b-1").await;
    assert_eq!((first.status, again.status), (400, 400));
    assert_eq!(first.json()["violations"], again.json()["violations"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(executed(&legacy).await.is_empty());
}

#[tokio::test]
async fn while_the_first_runs_the_second_waits_for_nothing() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"latency_ms": 700, "latency_only": "execute"}))
        .await;
    let (token, text) = (alice(), body(&good()));
    let first = with_key(&sidecar, &token, "10", EXECUTE, &text, "c-1");
    let second = async {
        let running = "sidecar_upstream_requests_total{outcome=\"ok\",upstream=\"legacy\"}";
        // The guards of the first are done, so it is being run.
        eventually("it runs", || async { sidecar.metric(running).await >= 2.0 }).await;
        eventually("it is written", || async {
            super::command::runs(&sidecar, &["list"])
                .await
                .contains("running")
        })
        .await;
        with_key(&sidecar, &token, "10", EXECUTE, &text, "c-1").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status, 200);
    assert_eq!(
        (second.status, second.code()),
        (409, "idempotency_in_progress".to_owned())
    );
    assert_eq!(executed(&legacy).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_before_anything_runs() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let long = "x".repeat(256);
    for bad in ["", "\"\"", "a b", "a,b", "\"open", "a;b=1", &long] {
        let got = with_key(&sidecar, &alice(), "10", EXECUTE, &body(&good()), bad).await;
        assert_eq!(
            (got.status, got.code()),
            (400, "idempotency_key_invalid".to_owned()),
            "{bad:?}"
        );
    }
    assert!(executed(&legacy).await.is_empty());
}

#[tokio::test]
async fn a_replay_is_made_once_for_its_key() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let execution = ran(&sidecar).await["execution_id"].clone();
    let replay = format!("POST {HISTORY}/{execution}/replay");
    let first = with_key(&sidecar, &alice(), "10", &replay, "{}", "d-1").await;
    let again = with_key(&sidecar, &alice(), "10", &replay, "{}", "d-1").await;
    assert_eq!((first.status, again.status), (200, 200), "{first:?}");
    assert_eq!(first.json()["run_id"], again.json()["run_id"]);
    assert_eq!(executed(&legacy).await.len(), 2);
    assert_eq!(legacy.calls_to("/api/user/spend").await.len(), 1);
}
