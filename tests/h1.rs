//! HTTP/1.1 conformance of our own (RFC 9112 and RFC 9110), at the sockets, in both lanes.

use crate::support::{Answer, Raw, Setup, Sidecar, StandIn, alice, once, request};
use serde_json::json;

const STREAMED: &str = "/static/app.js";
const HELD: &str = "/api/connectors/aws/ec2";
const CACHED: &str = "/api/connectors/google-ads/campaigns";

async fn started() -> (Sidecar, StandIn, StandIn) {
    Sidecar::with_stand_ins(Setup::default()).await
}

#[tokio::test]
async fn what_is_not_plainly_one_request_is_refused_told_and_closed() {
    let (sidecar, coolbits, legacy) = started().await;
    let bearer = format!("Authorization: Bearer {}\r\n", alice());
    let plain =
        |fields: &str| format!("POST /judge/upload HTTP/1.1\r\nHost: app\r\n{bearer}{fields}\r\n");
    let rows = [
        // RFC 9112, section 3.2: exactly one Host, and one that can be one.
        ("GET /app HTTP/1.1\r\n\r\n".to_owned(), 400, "host_invalid"),
        (plain("Host: app\r\n"), 400, "host_invalid"),
        (
            "GET /app HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
            400,
            "host_invalid",
        ),
        (
            "GET /app HTTP/1.1\r\nHost: user@app\r\n\r\n".to_owned(),
            400,
            "host_invalid",
        ),
        // Sections 2.2, 3 and 5.1: lines, and what stands in them.
        (
            "GET /app HTTP/1.1\nHost: app\n\n".to_owned(),
            400,
            "head_malformed",
        ),
        (
            "GET  /app HTTP/1.1\r\nHost: app\r\n\r\n".to_owned(),
            400,
            "head_malformed",
        ),
        (
            "GET /app\r\nHost: app\r\n\r\n".to_owned(),
            400,
            "head_malformed",
        ),
        ("NONSENSE\r\n\r\n".to_owned(), 400, "head_malformed"),
        // A CR alone is no end of a line, and what it hides no framing.
        (
            "GET /api/flows HTTP/1.1\rXHost: app\r\n\r\n".to_owned(),
            400,
            "head_malformed",
        ),
        (
            request("POST /api/flows HTTP/1.1\rXContent-Length: 2", ""),
            400,
            "head_malformed",
        ),
        (plain("Content-Length : 1\r\n"), 400, "head_malformed"),
        (plain("X-Folded: a\r\n b\r\n"), 400, "head_malformed"),
        (plain("X-Nul: \0\r\n"), 400, "head_malformed"),
        (
            "GET /app HTTP/3.0\r\nHost: app\r\n\r\n".to_owned(),
            505,
            "version_unsupported",
        ),
        // Section 6: where the body ends.
        (
            plain("Content-Length: 1\r\nContent-Length: 2\r\n"),
            400,
            "framing_ambiguous",
        ),
        (
            plain("Content-Length: 1\r\nContent-Length: 1\r\n"),
            400,
            "framing_ambiguous",
        ),
        (plain("Content-Length: -1\r\n"), 400, "framing_ambiguous"),
        (
            plain("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            400,
            "framing_ambiguous",
        ),
        (
            plain("Transfer-Encoding: chunked, identity\r\n"),
            400,
            "framing_ambiguous",
        ),
        (
            plain("Transfer-Encoding: gzip, chunked\r\n"),
            501,
            "transfer_coding_unknown",
        ),
        (
            "POST /app HTTP/1.0\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
            "framing_ambiguous",
        ),
    ];
    for (at, (request, status, code)) in rows.iter().enumerate() {
        let mut raw = Raw::to(sidecar.address).await;
        // A second request behind it must not be answered, whatever the first one hides.
        raw.send(format!(
            "{request}GET /healthz HTTP/1.1\r\nHost: app\r\n\r\n"
        ))
        .await;
        let answer = raw.answer("GET").await.unwrap();
        assert_eq!(answer.status, *status, "{request:?}");
        assert!(answer.closes() && raw.is_closed().await, "{request:?}");
        assert!(!answer.header("date").is_empty() && !answer.header("content-length").is_empty());
        let record = sidecar.record(answer.header("x-request-id")).await;
        assert_eq!(
            (&record["code"], &record["status"]),
            (&json!(code), &json!(status))
        );
        let series = format!(
            "sidecar_tenancy_decisions_total{{area=\"none\",decision=\"refuse\",mode=\"enforce\",reason=\"{code}\"}}"
        );
        assert!(sidecar.metric(&series).await >= 1.0, "{at} {series}");
    }
    assert!(coolbits.calls().await.is_empty() && legacy.calls().await.is_empty());
    let blamed = sidecar
        .metric("sidecar_responses_5xx_total{origin=\"sidecar\"}")
        .await;
    assert_eq!(
        blamed, 0.0,
        "a caller cannot raise the alarm with 501 and 505"
    );
}

#[tokio::test]
async fn odd_targets_are_refused_with_a_record() {
    let (sidecar, _coolbits, legacy) = started().await;
    let mut kept = Raw::to(sidecar.address).await;
    for (line, keeps) in [
        ("GET /a%00 HTTP/1.1", true),
        ("GET /a#b HTTP/1.1", true),
        ("GET /%zz HTTP/1.1", true),
        // What is no path at all ends the connection.
        ("GET http://app/app HTTP/1.1", false),
        ("GET app HTTP/1.1", false),
        ("OPTIONS * HTTP/1.1", false),
        ("CONNECT app:443 HTTP/1.1", false),
    ] {
        kept.send(request(line, "")).await;
        let answer = kept.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.closes()), (400, !keeps), "{line}");
        let record = sidecar.record(answer.header("x-request-id")).await;
        assert_eq!(record["code"], "path_malformed", "{line}");
        let peer = record["peer"].as_str().unwrap_or_default();
        assert!(peer.starts_with("127.0.0.1:"), "{line}: {record}");
        if !keeps {
            kept = Raw::to(sidecar.address).await;
        }
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let (sidecar, _coolbits, legacy) = started().await;
    let body = r#"{"flow": {"nodes": []}}"#;
    let post = |target: &str| {
        let line = format!("POST {target} HTTP/1.1");
        format!(
            "{}{body}",
            request(&line, &format!("Content-Length: {}\r\n", body.len()))
        )
    };
    let all = [
        ("GET", request(&format!("GET {STREAMED} HTTP/1.1"), ""), 200),
        ("GET", request(&format!("GET {HELD} HTTP/1.1"), ""), 200),
        ("POST", post("/api/flows"), 200),
        ("GET", request(&format!("GET {CACHED} HTTP/1.1"), ""), 200),
        ("POST", post("/api/connectors/google-ads/test-call"), 200),
        (
            "GET",
            request(
                "GET /api/connectors/google-ads/campaigns?client_id=20 HTTP/1.1",
                "",
            ),
            400,
        ),
        ("HEAD", request(&format!("HEAD {HELD} HTTP/1.1"), ""), 200),
        (
            "HEAD",
            request(&format!("HEAD {STREAMED} HTTP/1.1"), ""),
            200,
        ),
        (
            "GET",
            format!("\r\n{}", request(&format!("GET {CACHED} HTTP/1.1"), "")),
            200,
        ),
    ];
    // All at once, and then byte by byte: pipelining (section 9.3.2) is only a matter of time.
    for at_once in [true, false] {
        let mut raw = Raw::to(sidecar.address).await;
        let bytes: Vec<u8> = all
            .iter()
            .flat_map(|(_, request, _)| request.bytes())
            .collect();
        if at_once {
            raw.send(&bytes).await;
        } else {
            for part in bytes.chunks(7) {
                raw.send(part).await;
            }
        }
        for (method, request, status) in &all {
            let answer = raw
                .answer(method)
                .await
                .unwrap_or_else(|| panic!("closed before {request:?}"));
            assert_eq!(answer.status, *status, "{request:?} {}", answer.text());
            assert!(!answer.closes(), "{request:?}");
            if request.contains(STREAMED) && *method == "GET" {
                assert!(
                    answer.text().starts_with("console.log"),
                    "{}",
                    answer.text()
                );
            }
        }
    }
    let flows = legacy.calls_to("/api/flows").await;
    assert_eq!(flows.len(), 2, "each POST once");
    assert!(flows.iter().all(|call| call["body"]["flow"].is_object()));
}

#[tokio::test]
async fn a_body_without_an_end_of_its_own_ends_the_connection_with_its_answer() {
    let (sidecar, _coolbits, legacy) = started().await;
    let mut raw = Raw::to(sidecar.address).await;
    let head = request("POST /api/flows HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    raw.send(format!(
        "{head}9\r\n{{\"flow\": \r\n3;ext=1\r\n{{}}}}\r\n0\r\n\r\n"
    ))
    .await;
    let answer = raw.answer("POST").await.unwrap();
    assert_eq!(
        (answer.status, answer.closes()),
        (200, true),
        "{}",
        answer.text()
    );
    assert!(raw.is_closed().await);
    assert!(legacy.calls().await[0]["body"]["flow"].is_object());
    // A chunk that is none.
    for target in ["/api/flows", "/api/connectors/google-ads/test-call"] {
        let head = request(
            &format!("POST {target} HTTP/1.1"),
            "Transfer-Encoding: chunked\r\n",
        );
        let answer = once(&sidecar, &format!("{head}zz\r\n{{}}\r\n0\r\n\r\n")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "body_incomplete"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_request_behind_the_last_answer_does_not_break_that_answer() {
    let (sidecar, _coolbits, legacy) = started().await;
    let chunks = "c\r\n{\"flow\": {}}\r\n0\r\n\r\n";
    let body = "{\"flow\": {}}";
    for (fields, body) in [
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunks),
        (
            format!("Connection: close\r\nContent-Length: {}\r\n", body.len()),
            body,
        ),
    ] {
        legacy
            .faults(json!({"latency_ms": 300, "latency_only": "/api/flows"}))
            .await;
        let mut raw = Raw::to(sidecar.address).await;
        let head = request("POST /api/flows HTTP/1.1", &fields);
        raw.send(format!("{head}{body}")).await;
        // It comes while the first is answered, and nobody reads it.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        raw.send(request("GET /api/flows HTTP/1.1", "")).await;
        let answer = raw.answer("POST").await.unwrap();
        assert_eq!((answer.status, answer.closes()), (200, true), "{fields}");
        assert!(raw.is_closed().await && !raw.is_broken().await, "{fields}");
    }
}

#[tokio::test]
async fn a_chunked_body_ends_only_where_it_says_so() {
    let (sidecar, _coolbits, legacy) = started().await;
    for chunks in ["\r\n\r\n", ";a\r\n\r\n", "2;a\nb\r\n{}\r\n0\r\n\r\n"] {
        let head = request("POST /api/flows HTTP/1.1", "Transfer-Encoding: chunked\r\n");
        let answer = once(&sidecar, &format!("{head}{chunks}")).await;
        let told = (answer.status, answer.code());
        assert_eq!(told, (400, "body_incomplete".into()), "{chunks:?}");
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed_unless_it_asks_otherwise() {
    let (sidecar, _coolbits, _legacy) = started().await;
    for target in [
        STREAMED,
        HELD,
        CACHED,
        "/nowhere",
        "/api/connectors/google-ads/campaigns?client_id=1",
    ] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(request(&format!("GET {target} HTTP/1.0"), ""))
            .await;
        let answer = raw.answer("GET").await.unwrap();
        // No chunks for somebody who does not know them (section 6.1).
        assert_eq!(answer.header("transfer-encoding"), "", "{target}");
        assert!(answer.status >= 200 && raw.is_closed().await, "{target}");
        let mut raw = Raw::to(sidecar.address).await;
        for _ in 0..2 {
            raw.send(request(
                &format!("GET {target} HTTP/1.0"),
                "Connection: keep-alive\r\n",
            ))
            .await;
            let answer = raw.answer("GET").await.unwrap();
            assert!(!answer.closes(), "{target}: {}", answer.head);
        }
    }
}

#[tokio::test]
async fn close_is_heeded_in_every_connection_line() {
    let (sidecar, _coolbits, _legacy) = started().await;
    for target in [STREAMED, HELD, CACHED, "/api/nowhere"] {
        for lines in [
            "Connection: close\r\n",
            "Connection: x-a, Close\r\n",
            "Connection: x-a\r\nConnection: close\r\n",
        ] {
            let mut raw = Raw::to(sidecar.address).await;
            raw.send(request(&format!("GET {target} HTTP/1.1"), lines))
                .await;
            let answer = raw.answer("GET").await.unwrap();
            assert!(
                answer.closes() && raw.is_closed().await,
                "{target} {lines:?}"
            );
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_the_next_one_follows() {
    let (sidecar, _coolbits, legacy) = started().await;
    let mut raw = Raw::to(sidecar.address).await;
    let mut ask = async |method: &str, target: &str, fields: &str| -> Answer {
        raw.send(request(&format!("{method} {target} HTTP/1.1"), fields))
            .await;
        raw.answer(method)
            .await
            .unwrap_or_else(|| panic!("closed at {method} {target}"))
    };
    let whole = ask("GET", STREAMED, "").await;
    let head = ask("HEAD", STREAMED, "").await;
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
    for target in [HELD, CACHED] {
        let whole = ask("GET", target, "").await;
        let head = ask("HEAD", target, "").await;
        assert_eq!(head.status, whole.status, "{target}");
        let length = whole.header("content-length");
        assert_eq!(head.header("content-length"), length, "{target}");
        assert_eq!(
            head.header("content-type"),
            whole.header("content-type"),
            "{target}"
        );
    }
    // What is not kept was not read: its length is not said, rather than one that it has not.
    let unread = ask("HEAD", "/api/agents/list", "").await;
    assert_eq!((unread.status, unread.header("content-length")), (200, ""));
    let refused = ask(
        "HEAD",
        "/api/connectors/google-ads/campaigns?client_id=99",
        "",
    )
    .await;
    assert_eq!(refused.status, 400);
    assert_eq!(ask("GET", "/static/judge/status/204", "").await.status, 204);
    let unchanged = ask("GET", STREAMED, "If-None-Match: \"v1\"\r\n").await;
    assert_eq!(unchanged.status, 304);
    // In the held lane there are no conditionals, and a 204 or 304 of the app has no body either.
    for status in [204, 304] {
        legacy
            .faults(json!({"fault": "status", "status": status}))
            .await;
        let target = format!("{HELD}?status={status}");
        assert_eq!(ask("GET", &target, "").await.status, status);
    }
    legacy.faults(json!({})).await;
    assert_eq!(ask("GET", STREAMED, "").await.body, whole.body);
}

#[tokio::test]
async fn a_caller_that_ends_its_side_after_the_last_request_gets_its_answers() {
    let (sidecar, _coolbits, _legacy) = started().await;
    // With another request behind it, the end of sending is not taken for leaving.
    let mut raw = Raw::to(sidecar.address).await;
    let one = request(&format!("GET {HELD} HTTP/1.1"), "");
    let last = request("GET /api/nowhere HTTP/1.1", "Connection: close\r\n");
    raw.send(format!("{one}{last}")).await;
    raw.finish().await;
    assert_eq!(raw.answer("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_hundred_continue_comes_before_the_body_is_sent() {
    let (sidecar, _coolbits, legacy) = started().await;
    let body = r#"{"flow": {}}"#;
    let fields = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    for target in ["/api/flows", "/api/connectors/google-ads/test-call"] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(request(&format!("POST {target} HTTP/1.1"), &fields))
            .await;
        assert_eq!(raw.answer("POST").await.unwrap().status, 100, "{target}");
        raw.send(body).await;
        assert_eq!(raw.answer("POST").await.unwrap().status, 200, "{target}");
        // Somebody who is not let in is told so before sending anything.
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(format!(
            "POST {target} HTTP/1.1\r\nHost: app\r\n{fields}\r\n"
        ))
        .await;
        let answer = raw.answer("POST").await.unwrap();
        assert_eq!((answer.status, answer.closes()), (401, true), "{target}");
        let answer = once(
            &sidecar,
            &request(&format!("POST {target} HTTP/1.1"), "Expect: tea\r\n"),
        )
        .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (417, "expectation_unknown")
        );
        // HTTP/1.0 knows no expectations.
        let head = request(&format!("POST {target} HTTP/1.0"), &fields);
        assert_eq!(
            once(&sidecar, &format!("{head}{body}")).await.status,
            200,
            "{target}"
        );
    }
    for call in legacy.calls_to("/api/connectors").await {
        assert!(call["headers"].get("expect").is_none(), "{call}");
    }
}

#[tokio::test]
async fn a_failure_after_a_hundred_continue_is_still_answered() {
    let (sidecar, _coolbits, legacy) = started().await;
    let body = r#"{"flow": {}}"#;
    let fields = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    for target in ["/api/flows", "/api/connectors/google-ads/test-call"] {
        legacy.faults(json!({"fault": "close"})).await;
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(request(&format!("POST {target} HTTP/1.1"), &fields))
            .await;
        assert_eq!(raw.answer("POST").await.unwrap().status, 100, "{target}");
        raw.send(body).await;
        let answer = raw.answer("POST").await.unwrap();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "legacy_unreachable"),
            "{target}"
        );
        let record = sidecar.record(answer.header("x-request-id")).await;
        assert_eq!(record["status"], 502, "{target}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole_to_http_1_0() {
    let (sidecar, _coolbits, legacy) = started().await;
    // Chunks of the app, whose end HTTP/1.0 can only tell by the end of the connection.
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(request("GET /static/judge/sse HTTP/1.0", ""))
        .await;
    assert!(raw.wait_for_bytes().await);
    drop(legacy);
    assert!(raw.is_reset().await, "a reset, and no orderly end");
}
