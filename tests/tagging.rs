//! Made-up answers of the app say so, and are otherwise as the app wrote them.

use crate::support::{Ask, Setup, Sidecar, alice, fault};
use serde_json::json;

#[tokio::test]
async fn objects_without_a_source_get_one_spliced_in() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let ask = |target: &'static str| sidecar.get(target).bearer(&alice()).client("10").send();
    let got = ask("/api/connectors/aws/ec2").await;
    assert_eq!((got.status, got.header("x-camarad-source")), (200, "mock"));
    let text = String::from_utf8(got.body.clone()).unwrap();
    let direct = Ask::get(&format!("{}/api/connectors/aws/ec2", legacy.url()))
        .send()
        .await;
    let direct = String::from_utf8(direct.body).unwrap();
    assert_eq!(
        text,
        direct.replace("}\n", ",\"source\":\"mock\"}\n"),
        "otherwise untouched"
    );

    let list = ask("/api/connectors/aws/s3").await;
    assert_eq!(
        (list.header("x-camarad-source"), list.json()),
        ("mock", json!([{"bucket": "assets"}]))
    );
    assert_eq!(
        ask("/api/connectors/aws/lambda").await.json()["source"],
        "live"
    );
    let missing = ask("/api/connectors/aws/nothing").await;
    assert_eq!(
        (missing.status, missing.header("x-camarad-source")),
        (404, "legacy")
    );
    assert!(missing.json().get("source").is_none());
    // Not marked: passed on as it is.
    assert!(
        ask("/api/connectors/list").await.json()[0]
            .get("source")
            .is_none()
    );
}

#[tokio::test]
async fn a_made_up_post_carries_its_body_and_its_identity() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let url = sidecar.url("/api/connectors/google-ads/test-call");
    let post = |body: Vec<u8>| {
        let ask = Ask::new("POST", &url).bearer(&alice()).client("10");
        ask.with("Content-Type", "application/json")
            .with("Cookie", "camarad_user_id=2")
            .body(body)
            .send()
    };
    let got = post(br#"{"a": 1}"#.to_vec()).await;
    assert_eq!(
        got.json(),
        json!({"ok": true, "echo": {"a": 1}, "source": "mock"})
    );
    let headers = &legacy.calls().await[0]["headers"];
    assert_eq!(
        (&headers["x-user-id"], &headers["x-client-id"]),
        (&json!("1"), &json!("10"))
    );
    assert!(
        headers["cookie"]
            .as_str()
            .unwrap()
            .starts_with("camarad_user_id=1; ")
    );
    legacy.forget().await;

    // At the limit, and past it.
    let limit = 1024 * 1024;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
    assert_eq!(
        post(text(limit)).await.json()["echo"]
            .as_str()
            .unwrap()
            .len(),
        limit - 2
    );
    let got = post(text(limit + 1)).await;
    assert_eq!((got.status, got.code()), (413, "body_too_large".to_owned()));
    assert_eq!(legacy.calls().await.len(), 1);
}

#[tokio::test]
async fn expect_continue_is_answered_before_the_body() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut stream = tokio::net::TcpStream::connect(sidecar.address)
        .await
        .unwrap();
    let head = format!(
        "POST /api/connectors/google-ads/test-call HTTP/1.1\r\nHost: app\r\nX-Client-ID: 10\r\n\
         Authorization: Bearer {}\r\nContent-Length: 8\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        alice()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 256];
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(
        buffer[..read].starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&buffer[..read])
    );
    stream.write_all(b"{\"a\": 2}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("\"echo\":{\"a\":2}"), "{rest}");
}

#[tokio::test]
async fn faults_of_the_app_are_not_tagged_as_figures() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let ask = || {
        sidecar
            .get("/api/connectors/aws/ec2")
            .bearer(&alice())
            .client("10")
            .send()
    };
    legacy
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    let got = ask().await;
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (500, "legacy")
    );
    for kind in ["cut_off_body", "gzip", "huge"] {
        legacy.faults(fault(kind)).await;
        let got = ask().await;
        assert_eq!(
            (got.status, got.code()),
            (502, "legacy_bad_answer".to_owned()),
            "{kind}"
        );
    }
    legacy.faults(fault("html")).await;
    let got = ask().await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/html"));
}
