//! Starting on a free port, and stopping in order.

use crate::support::{Setup, Sidecar, StandIn, alice, caller, eventually};
use serde_json::json;
use std::time::Duration;

async fn exit(sidecar: &mut Sidecar) -> Option<i32> {
    let waited = tokio::time::timeout(Duration::from_secs(30), sidecar.child.wait()).await;
    waited.expect("it did not stop").unwrap().code()
}

/// A read that Coolbits has begun to answer.
async fn under_way(
    sidecar: &Sidecar,
    coolbits: &StandIn,
) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
    let url = sidecar.url("/api/connectors/google-ads/campaigns");
    let request = caller()
        .get(&url)
        .bearer_auth(alice())
        .header("X-Client-ID", "10")
        .send();
    let task = tokio::spawn(request);
    eventually("the request is under way", || async {
        !coolbits.calls().await.is_empty()
    })
    .await;
    task
}

#[tokio::test]
async fn sigterm_lets_requests_under_way_end_and_takes_no_new_ones() {
    let (mut sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(json!({"latency_ms": 500})).await;
    let under_way = under_way(&sidecar, &coolbits).await;
    // A connection that is only kept alive must not hold the process.
    let idle = tokio::net::TcpStream::connect(sidecar.address)
        .await
        .unwrap();
    sidecar.signal("-TERM");
    eventually("new connections are refused", || async {
        tokio::net::TcpStream::connect(sidecar.address)
            .await
            .is_err()
    })
    .await;
    let answer = under_way.await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-camarad-source"], "coolbits");
    assert_eq!(answer.status(), 200);
    assert_eq!(exit(&mut sidecar).await, Some(0));
    drop(idle);
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    let written = sidecar.records().iter().any(|r| r["request_id"] == id);
    assert!(written, "the last lines of the log are not lost");
    sidecar.says("\"clean\":true").await;
}

#[tokio::test]
async fn the_grace_is_the_longest_it_waits() {
    let setup = Setup::default().set("SIDECAR__SERVER__GRACE", "200ms");
    let (mut sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    coolbits.faults(json!({"fault": "hang"})).await;
    let under_way = under_way(&sidecar, &coolbits).await;
    sidecar.signal("-TERM");
    assert_eq!(exit(&mut sidecar).await, Some(0));
    assert!(under_way.await.unwrap().is_err());
    sidecar.says("\"clean\":false").await;
}

#[tokio::test]
async fn sigint_leaves_at_once() {
    let (mut sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    coolbits.faults(json!({"fault": "hang"})).await;
    let _under_way = under_way(&sidecar, &coolbits).await;
    sidecar.signal("-INT");
    assert_eq!(exit(&mut sidecar).await, Some(0));
}
