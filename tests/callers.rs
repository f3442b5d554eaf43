//! Callers that go away: a read ends with them, a write goes on.

use crate::support::{Ask, Raw, Setup, Sidecar, StandIn, alice, eventually, request};
use serde_json::{Value, json};

async fn started() -> (Sidecar, StandIn, StandIn) {
    Sidecar::with_stand_ins(Setup::default()).await
}

fn head(line: &str, fields: &str) -> String {
    request(&format!("{line} HTTP/1.1"), fields)
}

async fn idle(sidecar: &Sidecar) {
    eventually("nothing is in flight", || async {
        sidecar.metric("sidecar_in_flight").await == 0.0
    })
    .await;
}

/// The one record, once the request is over.
async fn record(sidecar: &Sidecar) -> Value {
    idle(sidecar).await;
    eventually("it is told", || async { !sidecar.records().is_empty() }).await;
    sidecar.records().pop().unwrap()
}

#[tokio::test]
async fn in_the_middle_of_a_request() {
    const LENGTH: &str = "Content-Length: 100\r\n";
    const CHUNKS: &str = "Transfer-Encoding: chunked\r\n";
    for (target, fields, some, code) in [
        (
            "/api/orchestrator/compose",
            LENGTH,
            "{\"flow\"",
            "body_incomplete",
        ),
        (
            "/api/orchestrator/compose",
            CHUNKS,
            "7\r\n{\"flow\"\r\n",
            "client_closed",
        ),
        (
            "/api/connectors/google-ads/test-call",
            LENGTH,
            "{\"flow\"",
            "body_incomplete",
        ),
    ] {
        let (sidecar, _coolbits, legacy) = started().await;
        let mut raw = Raw::to(sidecar.address).await;
        raw.send("POST /api/flows HTTP/1.1\r\nHost: a").await;
        drop(raw);
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(&format!("POST {target}"), fields)).await;
        raw.send(some).await;
        eventually("it is being read", || async {
            sidecar.metric("sidecar_in_flight").await == 1.0
        })
        .await;
        drop(raw);
        let record = record(&sidecar).await;
        assert_eq!(record["code"], code, "{target} {fields}");
        assert!(legacy.calls().await.is_empty(), "half a body is no request");
    }
}

#[tokio::test]
async fn a_read_ends_with_its_caller() {
    for target in ["/api/flows", "/api/connectors/aws/ec2"] {
        let (sidecar, _coolbits, legacy) = started().await;
        legacy.faults(json!({"fault": "hang"})).await;
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(&format!("GET {target}"), "")).await;
        eventually("the app is asked", || async {
            !legacy.calls().await.is_empty()
        })
        .await;
        drop(raw);
        let record = record(&sidecar).await;
        assert_eq!(
            (&record["status"], &record["code"]),
            (&json!(499), &json!("client_closed")),
            "{target}"
        );
        assert_eq!(record["origin"], Value::Null, "nobody is to blame");
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_ends_and_the_next_one_asks_anew() {
    let (sidecar, coolbits, _legacy) = started().await;
    coolbits.faults(json!({"fault": "hang"})).await;
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(head("GET /api/connectors/google-ads/campaigns", ""))
        .await;
    eventually("Coolbits is asked", || async {
        !coolbits.calls().await.is_empty()
    })
    .await;
    drop(raw);
    assert_eq!(record(&sidecar).await["status"], 499);
    coolbits.faults(json!({})).await;
    // Joined to the one before, it would wait for the deadline and get the mock.
    let got = sidecar.ads(&alice(), "10", "campaigns").await;
    assert_eq!(got.header("x-camarad-source"), "coolbits");
    assert!(got.header("cache-status").contains("stored"));
}

#[tokio::test]
async fn a_write_goes_on_without_its_caller() {
    let (sidecar, _coolbits, legacy) = started().await;
    for (target, list, body) in [
        (
            "/api/flows",
            "/api/flows",
            r#"{"flow": {}, "name": "mine"}"#,
        ),
        (
            "/api/client_connectors",
            "/api/client_connectors?client_id=10",
            r#"{"client_id": 10, "connector_slug": "mine"}"#,
        ),
    ] {
        legacy.faults(json!({"latency_ms": 300})).await;
        legacy.forget().await;
        let mut raw = Raw::to(sidecar.address).await;
        let fields = format!("Content-Length: {}\r\n", body.len());
        raw.send(format!(
            "{}{body}",
            head(&format!("POST {target}"), &fields)
        ))
        .await;
        eventually("the app has it", || async {
            !legacy.calls().await.is_empty()
        })
        .await;
        drop(raw);
        idle(&sidecar).await;
        legacy.faults(json!({})).await;
        // The stand-in stores after its latency; an exchange that was broken off would have stored nothing.
        let got = Ask::get(&sidecar.url(list))
            .bearer(&alice())
            .client("10")
            .send()
            .await;
        assert!(
            got.json().to_string().contains("mine"),
            "{target}: {}",
            got.json()
        );
        let posts = legacy
            .calls()
            .await
            .into_iter()
            .filter(|call| call["method"] == "POST");
        assert_eq!(posts.count(), 1, "{target}");
    }
}

#[tokio::test]
async fn in_the_middle_of_an_answer() {
    for target in ["/static/judge/bytes/60000000", "/static/judge/sse"] {
        let (sidecar, _coolbits, _legacy) = started().await;
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(&format!("GET {target}"), "")).await;
        assert!(raw.wait_for_bytes().await);
        drop(raw);
        let record = record(&sidecar).await;
        assert_eq!(
            (&record["status"], &record["code"]),
            (&json!(200), &json!("client_closed")),
            "{target}"
        );
    }
}
