//! What is not ours passes to the app as it came, and its faults have names.

use crate::support::{Ask, Raw, Setup, Sidecar, StandIn, alice, fault};
use serde_json::json;
use sha2::{Digest, Sha256};

fn cookie() -> String {
    format!("camarad_user_id=1; camarad_cb_token={}", alice())
}

#[tokio::test]
async fn pages_static_files_and_their_conditions_pass_unchanged() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let page = sidecar
        .get("/connectors")
        .with("Cookie", &cookie())
        .send()
        .await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(text.len() > 680_000 && text.contains("<h1>Connectors</h1>"));
    assert!(text.ends_with("</html>\n"));
    assert_eq!(
        page.header("cache-control"),
        "no-store, no-cache, must-revalidate"
    );

    let script = sidecar.get("/static/app.js").send().await;
    assert_eq!((script.status, script.header("etag")), (200, "\"v1\""));
    assert_eq!(script.header("x-camarad-source"), "legacy");
    let unchanged = sidecar
        .get("/static/app.js")
        .with("If-None-Match", "\"v1\"")
        .send()
        .await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = sidecar
        .get("/static/app.js")
        .with("Range", "bytes=0-6")
        .send()
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &b"console"[..]));
    assert!(part.header("content-range").starts_with("bytes 0-6/"));
    let head = Ask::new("HEAD", &sidecar.url("/static/app.js"))
        .send()
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), script.body.len().to_string());

    legacy.forget().await;
    sidecar
        .get("/static/judge/status/418?a=%20b&a=2&c")
        .send()
        .await;
    let call = &legacy.calls().await[0];
    assert_eq!(
        (&call["path"], &call["query"]),
        (&json!("/static/judge/status/418"), &json!("a=%20b&a=2&c"))
    );
}

#[tokio::test]
async fn large_uploads_and_downloads_arrive_whole() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let upload: Vec<u8> = (0..20 * 1024 * 1024u32)
        .map(|n| (n * 7 % 251) as u8)
        .collect();
    let hash: String = Sha256::digest(&upload)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let length = upload.len();
    let got = Ask::new("POST", &sidecar.url("/judge/upload"))
        .bearer(&alice())
        .client("10")
        .body(upload)
        .send()
        .await;
    assert_eq!(got.json(), json!({"bytes": length, "sha256": hash}));
    assert_eq!(legacy.calls().await.len(), 1, "a POST is sent once");
    let got = sidecar.get("/static/judge/bytes/5242880").send().await;
    assert_eq!((got.status, got.body.len()), (200, 5_242_880));
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // The stream never ends: seeing its first events proves that nobody waits for the last.
    let mut response = sidecar.get("/static/judge/sse").response().await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut seen = String::new();
    while !seen.contains("data: 3\n\n") {
        let chunk = response.chunk().await.unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(seen.starts_with("data: 0\n\ndata: 1\n\n"), "{seen:?}");
}

#[tokio::test]
async fn headers_of_the_connection_stay_and_forwarded_ones_are_ours() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar
        .get("/static/app.js")
        .with("Connection", "X-Hop")
        .with("X-Hop", "1")
        .with("TE", "trailers")
        .with("Upgrade", "h2c")
        .with("X-Forwarded-For", "203.0.113.9")
        .with("X-Forwarded-Proto", "https")
        .with("X-Request-Id", "mine")
        .with(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .with("Accept-Language", "ro")
        .send()
        .await;
    let headers = &legacy.calls().await[0]["headers"];
    for gone in ["x-hop", "te", "upgrade"] {
        assert!(headers.get(gone).is_none(), "{gone}: {headers}");
    }
    // The caller is on loopback, which is trusted by default.
    assert_eq!(headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["host"], sidecar.address.to_string());
    assert_eq!(headers["x-forwarded-host"], sidecar.address.to_string());
    assert_eq!(headers["accept-language"], "ro");
    assert!(
        headers["traceparent"]
            .as_str()
            .unwrap()
            .starts_with("00-0af7651916cd43dd")
    );
    assert_eq!(headers["x-request-id"], got.header("x-request-id"));
    assert_ne!(headers["x-request-id"], "mine");
    let record = sidecar.record(got.header("x-request-id")).await;
    assert_eq!(record["client_request_id"], "mine");
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_begins_the_chain() {
    let setup = Setup::default().set("SIDECAR__SERVER__TRUSTED_PROXIES", "10.0.0.0/8");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    sidecar
        .get("/static/app.js")
        .with("X-Forwarded-For", "203.0.113.9")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "evil.example")
        .send()
        .await;
    let headers = &legacy.calls().await[0]["headers"];
    assert_eq!(
        (&headers["x-forwarded-for"], &headers["x-forwarded-proto"]),
        (&json!("127.0.0.1"), &json!("http"))
    );
    assert_eq!(headers["x-forwarded-host"], sidecar.address.to_string());
}

#[tokio::test]
async fn statuses_and_bodies_of_the_app_pass_and_its_5xx_are_counted() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for status in [200u16, 201, 204, 400, 404, 418, 500, 503] {
        let got = sidecar
            .get(&format!("/static/judge/status/{status}"))
            .send()
            .await;
        assert_eq!(
            (got.status, got.header("x-camarad-source")),
            (status, "legacy")
        );
        let record = sidecar.record(got.header("x-request-id")).await;
        let blamed = (status >= 500).then_some("legacy");
        assert_eq!(record.get("origin").and_then(|o| o.as_str()), blamed);
    }
    assert_eq!(
        sidecar
            .metric("sidecar_responses_5xx_total{origin=\"legacy\"}")
            .await,
        2.0
    );
}

#[tokio::test]
async fn an_app_that_is_gone_or_slow_gets_its_own_status() {
    let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "400ms");
    let (sidecar, _coolbits, mut legacy) = Sidecar::with_stand_ins(setup).await;
    let api = || {
        sidecar
            .get("/api/flows")
            .bearer(&alice())
            .client("10")
            .send()
    };
    let made_up = || {
        sidecar
            .get("/api/connectors/aws/ec2")
            .bearer(&alice())
            .client("10")
            .send()
    };
    let page = || sidecar.get("/app").with("Cookie", &cookie()).send();

    legacy.faults(fault("hang")).await;
    for got in [api().await, made_up().await] {
        assert_eq!((got.status, got.code()), (504, "legacy_timeout".to_owned()));
        assert_eq!(
            got.json()["error"],
            "The application did not answer in time"
        );
    }
    let got = page().await;
    assert_eq!(
        (got.status, got.header("content-type")),
        (504, "text/html; charset=utf-8")
    );
    assert!(String::from_utf8_lossy(&got.body).contains(got.header("x-request-id")));

    legacy.faults(fault("reset")).await;
    for got in [api().await, made_up().await] {
        assert_eq!(
            (got.status, got.code()),
            (502, "legacy_unreachable".to_owned())
        );
    }
    legacy.stop().await;
    for got in [api().await, made_up().await] {
        assert_eq!(
            (got.status, got.code()),
            (502, "legacy_unreachable".to_owned())
        );
        let record = sidecar.record(got.header("x-request-id")).await;
        assert_eq!(
            (&record["origin"], &record["status"]),
            (&json!("legacy"), &json!(502))
        );
    }
    assert_eq!(page().await.status, 502);
    assert_eq!(
        sidecar
            .metric("sidecar_responses_5xx_total{origin=\"legacy\"}")
            .await,
        8.0
    );
    assert_eq!(
        sidecar.metric("sidecar_burst_5xx{origin=\"legacy\"}").await,
        1.0
    );
    legacy.restart().await;
    assert_eq!(api().await.status, 200);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let post = |body: &'static str| {
        let ask = Ask::new("POST", &sidecar.url("/api/flows"))
            .bearer(&alice())
            .client("10");
        ask.body(body).send()
    };
    assert_eq!(post(r#"{"flow": {}}"#).await.status, 200);
    legacy.forget().await;
    // The connection is pooled by now; breaking it is what tempts a proxy to try again.
    legacy.faults(fault("reset")).await;
    assert_eq!(post(r#"{"flow": {}}"#).await.status, 502);
    assert_eq!(legacy.calls().await.len(), 1);
}

#[tokio::test]
async fn keep_alive_survives_a_refusal() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut raw = Raw::to(sidecar.address).await;
    for (target, status) in [("/api/flows", 401), ("/static/app.js", 200)] {
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: app\r\n\r\n"))
            .await;
        assert_eq!(raw.answer("GET").await.unwrap().status, status);
    }
}

#[tokio::test]
async fn the_app_may_be_named_instead_of_numbered() {
    let legacy = StandIn::start("legacy").await;
    let sidecar = Setup::default()
        .set(
            "LEGACY_URL",
            format!("http://localhost:{}", legacy.address.port()),
        )
        .start_alone()
        .await;
    assert_eq!(sidecar.get("/static/app.js").send().await.status, 200);
}
