//! The process ends in the middle of a run.

use super::{EXECUTE, body, executed, good, ran};
use crate::support::{Setup, StandIn, alice, eventually, fault};
use serde_json::json;

#[tokio::test]
async fn kill_9_in_the_middle_of_a_run_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (coolbits, legacy) = tokio::join!(StandIn::start("coolbits"), StandIn::start("legacy"));
    let setup = || Setup::default().set("SIDECAR_STATE_DIR", dir.path().display());
    let mut first = setup().start(&coolbits, &legacy).await;
    let done = ran(&first).await;
    legacy
        .faults(json!({"fault": "hang", "only": "execute"}))
        .await;
    let (token, url) = (alice(), first.url("/api/orchestrator/execute"));
    let asked = tokio::spawn(async move {
        let ask = crate::support::caller().post(url).bearer_auth(token);
        let ask = ask
            .header("X-Client-ID", "10")
            .header("Idempotency-Key", "the-one");
        ask.body(body(&good())).send().await
    });
    eventually("the app has it", || async {
        executed(&legacy).await.len() == 2
    })
    .await;
    first.child.kill().await.unwrap();
    assert!(asked.await.unwrap().is_err(), "it was answered");
    legacy.faults(fault("none")).await;

    let second = setup().start(&coolbits, &legacy).await;
    second
        .says("runs were under way when the last process ended")
        .await;
    assert_eq!(
        second
            .metric("sidecar_runs_total{status=\"interrupted\"}")
            .await,
        1.0
    );
    let list = super::command::runs_in(dir.path(), &["list"]).await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].contains("interrupted"), "{list}");
    assert!(
        lines[2].contains(done["run_id"].as_str().unwrap()),
        "{list}"
    );
    let interrupted = lines[1].split_whitespace().next().unwrap();
    let shown = super::command::runs_in(dir.path(), &["show", interrupted]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["flow"], good(), "the flow is there to be run again");
    assert_eq!(shown["trace"]["run"]["status"], "interrupted");
    // Nobody knows whether the app made it: the same key must not make another.
    let again = super::with_key(&second, &alice(), "10", EXECUTE, &body(&good()), "the-one").await;
    assert_eq!(
        (again.status, again.code()),
        (409, "idempotency_outcome_unknown".to_owned())
    );
    assert_eq!(executed(&legacy).await.len(), 2);
    ran(&second).await;
}
