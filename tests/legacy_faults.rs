//! Every way in which the app fails, in both lanes: status, body, record, metrics.

use crate::support::{Ask, Got, Setup, Sidecar, StandIn, alice, fault};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const STREAMED: &str = "/api/chat/suggestions";
const HELD: &str = "/api/connectors/aws/ec2";

async fn started() -> (Sidecar, StandIn, StandIn) {
    let setup = Setup::default()
        .set("SIDECAR__LEGACY__READ_TIMEOUT", "1s")
        // Every request reaches the app.
        .set("SIDECAR__CACHE__APP_READS", "false");
    Sidecar::with_stand_ins(setup).await
}

fn ask(sidecar: &Sidecar, method: &str, target: &str) -> Ask {
    Ask::new(method, &sidecar.url(target))
        .bearer(&alice())
        .client("10")
}

/// What the caller saw: an answer, or one whose body broke off.
async fn saw(sidecar: &Sidecar, target: &str) -> (u16, String, Option<Got>) {
    let response = ask(sidecar, "GET", target).response().await;
    let status = response.status().as_u16();
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let headers = response.headers().clone();
    let whole = response.bytes().await.ok().map(|body| Got {
        status,
        headers,
        body: body.to_vec(),
    });
    (status, id, whole)
}

/// How an answer looks whose body breaks off after its head has gone out.
const BROKEN: u16 = 0;

#[tokio::test]
async fn each_fault_has_its_status_record_and_metric() {
    let (sidecar, _coolbits, legacy) = started().await;
    type Expected = (u16, &'static str);
    const OK: Expected = (200, "ok");
    const GONE: Expected = (502, "legacy_unreachable");
    const BAD: Expected = (502, "legacy_bad_answer");
    const LATE: Expected = (504, "legacy_timeout");
    let rows: [(Value, Expected, Expected); 18] = [
        (json!({"fault": "hang"}), LATE, LATE),
        (json!({"latency_ms": 2000}), LATE, LATE),
        (json!({"latency_ms": 50}), OK, OK),
        (json!({"fault": "reset"}), GONE, GONE),
        (json!({"fault": "close"}), GONE, GONE),
        (json!({"fault": "garbage"}), BAD, BAD),
        (json!({"fault": "two_lengths"}), BAD, BAD),
        (json!({"fault": "huge_head"}), BAD, BAD),
        (json!({"fault": "early_hints"}), OK, OK),
        (json!({"fault": "html"}), OK, OK),
        (
            json!({"fault": "status", "status": 500}),
            (500, "http_5xx"),
            (500, "http_5xx"),
        ),
        (
            json!({"fault": "status", "status": 503}),
            (503, "http_5xx"),
            (503, "http_5xx"),
        ),
        // What shows only in the body is too late in the stream lane: the answer breaks off.
        (
            json!({"fault": "hang_body"}),
            (BROKEN, "legacy_timeout"),
            LATE,
        ),
        (
            json!({"fault": "cut_off_body"}),
            (BROKEN, "legacy_bad_answer"),
            BAD,
        ),
        // It comes with the head, so nothing has gone out yet.
        (json!({"fault": "bad_chunk"}), BAD, BAD),
        (json!({"fault": "slow_body"}), OK, LATE),
        (json!({"fault": "huge"}), OK, BAD),
        (json!({"fault": "gzip"}), OK, BAD),
    ];
    for (faults, streamed, held) in rows {
        for (target, (status, outcome)) in [(STREAMED, streamed), (HELD, held)] {
            let case = format!("{faults} {target}");
            let series = format!(
                "sidecar_upstream_requests_total{{outcome=\"{outcome}\",upstream=\"legacy\"}}"
            );
            let before = sidecar.metric(&series).await;
            // Connections that a fault before broke must not be what this one meets.
            legacy.faults(json!({})).await;
            assert_eq!(
                ask(&sidecar, "GET", target).send().await.status,
                200,
                "{case}"
            );
            let before = if outcome == "ok" {
                before + 1.0
            } else {
                before
            };
            legacy.faults(faults.clone()).await;
            let (seen, id, whole) = saw(&sidecar, target).await;
            let record = sidecar.record(&id).await;
            if status == BROKEN {
                assert!(seen == 200 && whole.is_none(), "{case}: {whole:?}");
                assert_eq!(record["code"], outcome, "{case}");
            } else {
                let whole = whole.unwrap_or_else(|| panic!("{case}: the body broke off"));
                assert_eq!(
                    (seen, &record["status"]),
                    (status, &json!(status)),
                    "{case}"
                );
                let blamed = if status >= 500 {
                    json!("legacy")
                } else {
                    Value::Null
                };
                assert_eq!(record["origin"], blamed, "{case}");
                let own = matches!(
                    outcome,
                    "legacy_unreachable" | "legacy_bad_answer" | "legacy_timeout"
                );
                if own {
                    assert_eq!(
                        (whole.code().as_str(), &record["code"]),
                        (outcome, &json!(outcome)),
                        "{case}"
                    );
                }
                let source = if own {
                    "sidecar"
                } else if status < 300 && target == HELD {
                    "mock"
                } else {
                    "legacy"
                };
                assert_eq!(whole.header("x-camarad-source"), source, "{case}");
            }
            assert_eq!(
                sidecar.metric(&series).await,
                before + 1.0,
                "{case} {series}"
            );
        }
    }
    assert!(
        sidecar
            .metric("sidecar_responses_5xx_total{origin=\"legacy\"}")
            .await
            >= 20.0
    );
    assert_eq!(
        sidecar
            .metric("sidecar_responses_5xx_total{origin=\"sidecar\"}")
            .await,
        0.0
    );
    assert_eq!(sidecar.metric("sidecar_panics_total").await, 0.0);
    assert_eq!(sidecar.metric("sidecar_buffered_bytes").await, 0.0);
}

/// `close` once is what a pooled connection looks like that the app had given up.
#[tokio::test]
async fn a_read_on_a_stale_connection_is_sent_once_more_and_a_write_never() {
    let (sidecar, _coolbits, legacy) = started().await;
    let call = "/api/connectors/google-ads/test-call";
    // A GET, but its code is good once.
    let consent = "/api/connectors/ga4/oauth/callback?code=x&state=y";
    for kind in ["close", "reset"] {
        for (method, target, status, sent) in [
            ("GET", STREAMED, 200, 2),
            ("GET", HELD, 200, 2),
            ("HEAD", STREAMED, 200, 2),
            ("GET", consent, 502, 1),
            ("POST", STREAMED, 502, 1),
            ("POST", call, 502, 1),
            ("DELETE", STREAMED, 502, 1),
        ] {
            // A pooled connection, which the stand-in breaks when it is used again.
            let is_its_own = [call, consent].contains(&target);
            let target_of_pool = if is_its_own { HELD } else { target };
            assert_eq!(
                ask(&sidecar, "GET", target_of_pool).send().await.status,
                200
            );
            legacy.forget().await;
            legacy.faults(json!({"fault": kind, "times": 1})).await;
            let ask = ask(&sidecar, method, target);
            let ask = match method {
                "GET" | "HEAD" => ask,
                _ => ask.body(r#"{"flow": {}}"#),
            };
            let got = ask.send().await;
            let case = format!("{kind} {method} {target}");
            assert_eq!(
                (got.status, legacy.calls().await.len()),
                (status, sent),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_on_a_new_connection_is_not_sent_again() {
    let (sidecar, _coolbits, legacy) = started().await;
    for target in [STREAMED, HELD] {
        legacy.faults(fault("close")).await;
        legacy.forget().await;
        assert_eq!(ask(&sidecar, "GET", target).send().await.status, 502);
        assert_eq!(legacy.calls().await.len(), 1, "{target}");
    }
}

#[tokio::test]
async fn an_app_that_is_restarted_in_between_is_found_again() {
    let (sidecar, _coolbits, mut legacy) = started().await;
    for target in [STREAMED, HELD] {
        assert_eq!(ask(&sidecar, "GET", target).send().await.status, 200);
        legacy.stop().await;
        let got = ask(&sidecar, "GET", target).send().await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (502, "legacy_unreachable")
        );
        legacy.restart().await;
        assert_eq!(
            ask(&sidecar, "GET", target).send().await.status,
            200,
            "{target}"
        );
        // Pooled connections from before the restart are not used again.
        legacy.stop().await;
        legacy.restart().await;
        assert_eq!(
            ask(&sidecar, "GET", target).send().await.status,
            200,
            "{target}"
        );
        let post = ask(&sidecar, "POST", "/api/orchestrator/compose").body(r#"{"flow": {}}"#);
        assert_eq!(post.send().await.status, 200, "{target}");
    }
}

/// An app whose every answer has these lines in its head, and chunks or as many bytes behind it.
async fn app_that_frames(lines: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = match lines.to_lowercase().contains("chunked") {
        true => "2\r\n[]\r\n0\r\n\r\n",
        false => "[]",
    };
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            let answer = format!("{head}{lines}\r\n\r\n{body}");
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while socket.read_buf(&mut asked).await.is_ok_and(|read| read > 0) {
                    // Whoever asks with a body asks with this one.
                    if asked.ends_with(b"\r\n\r\n") || asked.ends_with(b"{}") {
                        asked.clear();
                        // Whoever asked may be gone.
                        let _ = socket.write_all(answer.as_bytes()).await;
                    }
                }
            });
        }
    });
    url
}

/// What Pingora streams went on with two lengths in one line, or a coding besides chunks.
#[tokio::test]
async fn an_answer_with_two_ends_is_refused_in_every_lane() {
    const GOOD: (u16, &str) = (200, "legacy");
    const BAD: (u16, &str) = (502, "sidecar");
    for (lines, expected) in [
        ("Content-Length: 2", GOOD),
        ("Transfer-Encoding: chunked", GOOD),
        ("Transfer-Encoding: Chunked", GOOD),
        ("Content-Length: 2, 2", BAD),
        ("Content-Length: 2\r\nContent-Length: 2", BAD),
        ("Content-Length: +2", BAD),
        ("Transfer-Encoding: gzip, chunked", BAD),
        ("Transfer-Encoding: chunked, chunked", BAD),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", BAD),
    ] {
        let sidecar = Setup::default()
            .set("LEGACY_URL", app_that_frames(lines).await)
            .set("SIDECAR__CACHE__APP_READS", "false")
            .start_alone()
            .await;
        for (method, target, body) in [
            ("GET", STREAMED, ""),
            ("POST", "/api/orchestrator/compose", "{}"),
            ("GET", "/api/flows", ""),
        ] {
            let asked = ask(&sidecar, method, target).with("Content-Type", "application/json");
            let got = asked.body(body).send().await;
            let seen = (got.status, got.header("x-camarad-source"));
            assert_eq!(seen, expected, "{lines} {method} {target}");
            let body = got.text();
            match expected {
                GOOD => assert_eq!(body, "[]", "{lines} {method} {target}"),
                _ => assert_eq!(got.code(), "legacy_bad_answer", "{lines} {method} {target}"),
            }
        }
    }
}
