//! Every limit at its edge: the status, the record, and nothing beyond it at the app.
//!
//! The table of limits in the README names these tests.

use crate::support::{Answer, Raw, Setup, Sidecar, StandIn, alice, bob, eventually, once, request};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

const HELD: &str = "/api/connectors/google-ads/test-call";
const STREAMED: &str = "/api/orchestrator/compose";

async fn with(limits: &[(&str, &str)]) -> (Sidecar, StandIn, StandIn) {
    let setup = limits
        .iter()
        .fold(Setup::default(), |setup, (name, value)| {
            setup.set(&format!("SIDECAR__LIMITS__{name}"), value)
        });
    Sidecar::with_stand_ins(setup).await
}

fn head(line: &str, fields: &str) -> String {
    request(&format!("{line} HTTP/1.1"), fields)
}

/// A POST of this many bytes, with its length or in chunks.
fn post(target: &str, length: usize, chunked: bool) -> Vec<u8> {
    // JSON, so that the app has something to read.
    let body = format!("{{\"flow\": {{}}, \"x\": \"{}\"}}", "x".repeat(length - 21));
    assert_eq!(body.len(), length);
    if !chunked {
        let head = head(
            &format!("POST {target}"),
            &format!("Content-Length: {length}\r\n"),
        );
        return [head, body].concat().into_bytes();
    }
    let mut bytes = head(&format!("POST {target}"), "Transfer-Encoding: chunked\r\n").into_bytes();
    for chunk in body.as_bytes().chunks(10_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Sends as much as is taken, and reads the answer.
async fn sent(sidecar: &Sidecar, bytes: &[u8]) -> Answer {
    let mut raw = Raw::to(sidecar.address).await;
    raw.try_send(bytes).await;
    raw.answer("POST")
        .await
        .unwrap_or_else(|| panic!("no answer"))
}

#[tokio::test]
async fn heads_and_targets_are_bounded_to_the_byte() {
    let (sidecar, _coolbits, legacy) = with(&[]).await;
    let target = |length: usize| format!("/static/judge/status/200?{}", "a".repeat(length - 25));
    let fields = |total: usize| {
        let rest = head("GET /static/judge/status/200", "X: \r\n").len();
        format!("X: {}\r\n", "x".repeat(total - rest))
    };
    for (request, status, code) in [
        (head(&format!("GET {}", target(8192)), ""), 200, ""),
        (
            head(&format!("GET {}", target(8193)), ""),
            414,
            "target_too_long",
        ),
        (
            head("GET /static/judge/status/200", &fields(32_768)),
            200,
            "",
        ),
        (
            head("GET /static/judge/status/200", &fields(32_769)),
            431,
            "head_too_large",
        ),
        (
            head("GET /static/judge/status/200", &"X: 1\r\n".repeat(77)),
            200,
            "",
        ),
        (
            head("GET /static/judge/status/200", &"X: 1\r\n".repeat(78)),
            431,
            "head_too_large",
        ),
    ] {
        legacy.forget().await;
        let answer = once(&sidecar, &request).await;
        assert_eq!(answer.status, status, "{} bytes", request.len());
        assert_eq!(legacy.calls().await.len(), usize::from(status == 200));
        let record = sidecar.record(answer.header("x-request-id")).await;
        assert_eq!(record["code"].as_str().unwrap_or_default(), code);
    }
    // An endless one is answered while it is still being sent.
    let mut raw = Raw::to(sidecar.address).await;
    raw.try_send(format!("GET /{}", "a".repeat(100_000))).await;
    assert_eq!(raw.answer("GET").await.unwrap().status, 414);
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off_with_408() {
    let (sidecar, _coolbits, legacy) = with(&[("HEAD_TIMEOUT", "500ms")]).await;
    let mut raw = Raw::to(sidecar.address).await;
    raw.send("GET /api/flows HTTP/1.1\r\nHost: app\r\n").await;
    // Something arrives all the time, so a deadline per read would never come.
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(50));
    let answer = loop {
        tokio::select! {
            answer = raw.wait_for_bytes() => break answer,
            _ = pace.tick() => raw.try_send("X-Drip: 1\r\n").await,
        }
    };
    assert!(answer, "an answer came");
    let answer = raw.answer("GET").await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "head_timeout")
    );
    assert!(answer.closes() && raw.is_closed().await);
    let record = sidecar.record(answer.header("x-request-id")).await;
    assert_eq!(
        (&record["status"], &record["method"]),
        (&json!(408), &json!("GET"))
    );
    // Somebody who never says anything is let go without a word.
    let mut silent = Raw::to(sidecar.address).await;
    assert!(silent.is_closed().await);
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn an_idle_connection_ends_and_so_does_one_that_was_used_enough() {
    let (sidecar, _coolbits, _legacy) =
        with(&[("IDLE_TIMEOUT", "300ms"), ("KEEPALIVE_REQUESTS", "3")]).await;
    let mut raw = Raw::to(sidecar.address).await;
    for last in [false, false, true] {
        raw.send(head("GET /static/app.js", "")).await;
        assert_eq!(raw.answer("GET").await.unwrap().closes(), last);
    }
    assert!(raw.is_closed().await);
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(head("GET /static/app.js", "")).await;
    assert!(!raw.answer("GET").await.unwrap().closes());
    assert!(raw.is_closed().await, "idle for too long");
}

#[tokio::test]
async fn bodies_around_the_edges_arrive_whole_or_not_at_all() {
    let (sidecar, _coolbits, legacy) = with(&[("UPLOAD_BYTES", "2097152")]).await;
    const MIB: usize = 1 << 20;
    for chunked in [false, true] {
        // 64 KiB is where Pingora gives up its own copy of a body.
        for length in [
            21,
            65_535,
            65_536,
            65_537,
            MIB - 1,
            MIB,
            MIB + 1,
            2 * MIB,
            2 * MIB + 1,
        ] {
            for (target, limit) in [(HELD, MIB), (STREAMED, 2 * MIB)] {
                legacy.forget().await;
                let answer = sent(&sidecar, &post(target, length, chunked)).await;
                let case = format!("{target} {length} chunked: {chunked}");
                if length <= limit {
                    assert_eq!(answer.status, 200, "{case} {}", answer.text());
                    let call = &legacy.calls().await[0];
                    assert_eq!(
                        call["body"]["x"].as_str().unwrap().len(),
                        length - 21,
                        "{case}"
                    );
                } else {
                    assert_eq!(
                        (answer.status, answer.code().as_str()),
                        (413, "body_too_large"),
                        "{case}"
                    );
                    assert!(answer.closes(), "{case}");
                    assert!(legacy.calls().await.is_empty(), "{case}");
                    let record = sidecar.record(answer.header("x-request-id")).await;
                    assert_eq!(record["code"], "body_too_large", "{case}");
                }
            }
        }
    }
    assert_eq!(sidecar.metric("sidecar_buffered_bytes").await, 0.0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let (sidecar, _coolbits, legacy) = with(&[("BODY_TIMEOUT", "300ms")]).await;
    for target in [HELD, STREAMED] {
        let request = head(&format!("POST {target}"), "Content-Length: 100\r\n");
        let answer = once(&sidecar, &format!("{request}{{\"flow\"")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (408, "body_timeout"),
            "{target}"
        );
        assert!(answer.closes(), "{target}");
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_408() {
    // Each piece is in time; all of them together are not.
    let limits = [("BODY_TIMEOUT", "600ms"), ("UPLOAD_TIMEOUT", "600ms")];
    let (sidecar, _coolbits, legacy) = with(&limits).await;
    const LENGTH: (&str, &str) = ("Content-Length: 100000\r\n", "x");
    const CHUNKS: (&str, &str) = ("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n");
    for (target, (fields, piece)) in [(HELD, LENGTH), (STREAMED, LENGTH), (STREAMED, CHUNKS)] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(&format!("POST {target}"), fields)).await;
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tokio::select! {
                _ = raw.wait_for_bytes() => break,
                _ = pace.tick() => raw.try_send(piece).await,
            }
        }
        let answer = raw.answer("POST").await.unwrap();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (408, "body_timeout"),
            "{target}"
        );
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn bodies_of_all_requests_together_are_bounded() {
    let limits = [("BUFFERED_BYTES", "1048576")];
    let (sidecar, _coolbits, legacy) = with(&limits).await;
    legacy.faults(json!({"fault": "hang"})).await;
    let mut first = Raw::to(sidecar.address).await;
    first.send(post(HELD, 700_000, false)).await;
    eventually("the app has the first body", || async {
        !legacy.calls().await.is_empty()
    })
    .await;
    assert_eq!(sidecar.metric("sidecar_buffered_bytes").await, 700_000.0);
    for chunked in [false, true] {
        let answer = sent(&sidecar, &post(HELD, 700_000, chunked)).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
        assert_eq!(answer.header("retry-after"), "5");
    }
    // The first one leaves; it is a write, so it goes on, and its bytes with it.
    drop(first);
    legacy.faults(json!({})).await;
    // Small ones are in nobody's share.
    let answer = sent(&sidecar, &post(HELD, 10_000, false)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let (sidecar, _coolbits, _legacy) = with(&[("CONNECTIONS", "2")]).await;
    let mut taken = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head("GET /static/app.js", "")).await;
        assert_eq!(raw.answer("GET").await.unwrap().status, 200);
        taken.push(raw);
    }
    let mut third = Raw::to(sidecar.address).await;
    third.send(head("GET /static/app.js", "")).await;
    let answer = third.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert!(answer.closes() && third.is_closed().await);
    let record = sidecar.record(answer.header("x-request-id")).await;
    assert_eq!(
        (&record["code"], &record["origin"]),
        (&json!("overloaded"), &json!("sidecar"))
    );
    taken.pop();
    eventually("there is room again", || async {
        let mut raw = Raw::to(sidecar.address).await;
        raw.try_send(head("GET /static/app.js", "")).await;
        raw.answer("GET")
            .await
            .is_some_and(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn too_many_requests_at_once_are_told_so() {
    let (sidecar, _coolbits, legacy) = with(&[("REQUESTS", "1")]).await;
    legacy
        .faults(json!({"fault": "hang", "only": "/api/flows"}))
        .await;
    let mut first = Raw::to(sidecar.address).await;
    first.send(head("GET /api/flows", "")).await;
    eventually("the first is under way", || async {
        !legacy.calls().await.is_empty()
    })
    .await;
    let mut second = Raw::to(sidecar.address).await;
    second.send(head("GET /static/app.js", "")).await;
    let answer = second.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert!(!answer.closes(), "the connection is kept for the retry");
    let record = sidecar.record(answer.header("x-request-id")).await;
    assert!(record["peer"].is_string(), "{record}");
    drop(first);
    eventually("the first is over", || async {
        sidecar.metric("sidecar_in_flight").await == 0.0
    })
    .await;
    second.send(head("GET /static/app.js", "")).await;
    assert_eq!(second.answer("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_caller_that_takes_nothing_is_let_go() {
    let (sidecar, _coolbits, _legacy) = with(&[("WRITE_TIMEOUT", "300ms")]).await;
    let mut raw = Raw::to(sidecar.address).await;
    // More than the sockets in between hold.
    raw.send(head("GET /static/judge/bytes/60000000", "")).await;
    assert!(raw.wait_for_bytes().await);
    eventually("it is given up, and told", || async {
        sidecar.metric("sidecar_in_flight").await == 0.0 && !sidecar.records().is_empty()
    })
    .await;
    let record = sidecar.records().pop().unwrap();
    assert_eq!(
        (&record["code"], &record["status"]),
        (&json!("client_closed"), &json!(200))
    );
}

#[tokio::test]
async fn a_caller_that_takes_next_to_nothing_is_let_go() {
    let (sidecar, _coolbits, _legacy) = with(&[("WRITE_TIMEOUT", "300ms")]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut socket = socket.connect(sidecar.address).await.unwrap();
    let request = head("GET /static/judge/bytes/60000000", "");
    socket.write_all(request.as_bytes()).await.unwrap();
    let drip = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut some = [0; 500];
        loop {
            if let Err(broken) = socket.read_exact(&mut some).await {
                return broken;
            }
            pace.tick().await;
        }
    };
    let given_up = eventually("it is given up, and told", || async {
        sidecar.metric("sidecar_in_flight").await == 0.0 && !sidecar.records().is_empty()
    });
    let broken = tokio::select! {
        broken = drip => Some(broken),
        () = given_up => None,
    };
    // The kernel does not go on holding for them what they did not take.
    let ended = match broken {
        Some(broken) => Err(broken),
        None => socket.read_to_end(&mut Vec::new()).await,
    };
    let kind = ended.map_err(|broken| broken.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionReset));
    let code = || sidecar.records().pop().map(|record| record["code"].clone());
    eventually("it is told", || async { code().is_some() }).await;
    assert_eq!(code(), Some(json!("client_closed")));
}

/// The kernel between us takes megabytes at once and then nothing for a long time, so what the
/// caller takes is not seen unless it is asked for, or made to show.
#[tokio::test]
async fn a_caller_that_takes_little_at_a_time_is_waited_for() {
    const EVERY: Duration = Duration::from_millis(100);
    let posted = head("POST /judge/bytes/60000000", "Content-Length: 1\r\n") + "x";
    for (request, taken) in [
        (head("GET /static/judge/bytes/60000000", ""), 20_000),
        // Pingora's, which waits for room alone.
        (posted, 80_000),
    ] {
        let (sidecar, _coolbits, _legacy) = with(&[("WRITE_TIMEOUT", "1s")]).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut socket = socket.connect(sidecar.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut pace = tokio::time::interval(EVERY);
        let mut some = vec![0; taken];
        // Three times as long as one wait may be.
        for _ in 0..30 {
            pace.tick().await;
            socket.read_exact(&mut some).await.unwrap();
        }
        assert_eq!(sidecar.records(), Vec::<serde_json::Value>::new());
        assert_eq!(sidecar.metric("sidecar_in_flight").await, 1.0);
    }
}

#[tokio::test]
async fn only_allowed_hosts_are_answered_for() {
    let setup = Setup::default().set("SIDECAR__SERVER__ALLOWED_HOSTS", "app.example,[::1]");
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    // One after the other on one connection, and each on its own.
    let mut kept = Raw::to(sidecar.address).await;
    for (host, status) in [
        ("app.example", 200),
        ("127.0.0.1", 421),
        ("APP.example:8443", 200),
        ("evil.app.example", 421),
        ("[::1]:5050", 200),
        ("api.camarad.ai", 421),
    ] {
        let request = format!(
            "GET /static/app.js HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\r\n"
        );
        legacy.forget().await;
        kept.send(&request).await;
        let first = kept.answer("GET").await.unwrap();
        let second = once(&sidecar, &request).await;
        assert_eq!((first.status, second.status), (status, status), "{host}");
        let calls = legacy.calls().await;
        assert_eq!(calls.len(), 2 * usize::from(status == 200));
        for call in calls {
            assert_eq!(
                call["headers"]["x-forwarded-host"], host,
                "a host we do not know is not passed on"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_only_announced_takes_no_room() {
    let limits = [("BUFFERED_BYTES", "4194304")];
    let (sidecar, _coolbits, _legacy) = with(&limits).await;
    let mut announced = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::to(sidecar.address).await;
        let fields = "Content-Length: 1000000\r\nExpect: 100-continue\r\n";
        raw.send(head(&format!("POST {HELD}"), fields)).await;
        // It is being read.
        assert!(raw.wait_for(b"100 Continue").await);
        announced.push(raw);
    }
    let answer = sent(&sidecar, &post(HELD, 700_000, false)).await;
    assert_eq!(answer.status, 200);
}

/// An app whose every answer is a list of this many bytes, of which the last come once it goes on.
async fn app_of_long_lists(length: usize, goes_on: watch::Receiver<bool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let list = format!("[{}]", " ".repeat(length - 2));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let answer: Arc<str> = format!("{head}Content-Length: {length}\r\n\r\n{list}").into();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answer, mut goes_on) = (answer.clone(), goes_on.clone());
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while socket.read_buf(&mut asked).await.is_ok_and(|read| read > 0) {
                    if asked.ends_with(b"\r\n\r\n") {
                        asked.clear();
                        let (first, last) = answer.as_bytes().split_at(answer.len() - 1000);
                        // Whoever asked may be gone.
                        let _ = socket.write_all(first).await;
                        let _ = goes_on.wait_for(|it_does| *it_does).await;
                        let _ = socket.write_all(last).await;
                    }
                }
            });
        }
    });
    url
}

/// Each list is larger than a third of the memory for bodies, and smaller than half.
const LARGE: usize = 7_000_000;

async fn behind_long_lists(goes_on: watch::Receiver<bool>) -> Sidecar {
    Setup::default()
        .set("LEGACY_URL", app_of_long_lists(LARGE, goes_on).await)
        .set("SIDECAR__LIMITS__BUFFERED_BYTES", 16 * 1024 * 1024)
        .start_alone()
        .await
}

/// Asks for a list of this number, with 64 KiB of room for it.
async fn asked(sidecar: &Sidecar, token: &str, client: u64, number: u64) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut socket = socket.connect(sidecar.address).await.unwrap();
    let request = format!(
        "GET /api/flows?n={number} HTTP/1.1\r\nHost: app\r\n\
         Authorization: Bearer {token}\r\nX-Client-ID: {client}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// The status of an answer of which nothing more is taken.
async fn status(socket: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    socket.read_exact(&mut line).await.unwrap();
    let line = std::str::from_utf8(&line).unwrap();
    line.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

async fn held(sidecar: &Sidecar) -> usize {
    sidecar.metric("sidecar_buffered_bytes").await as usize
}

#[tokio::test]
async fn a_large_answer_from_the_cache_counts_while_it_is_sent() {
    let sidecar = behind_long_lists(watch::channel(true).1).await;
    let (alice, bob) = (alice(), bob());
    let ask = async |token: &str, client: u64, number: u64| {
        let mut socket = asked(&sidecar, token, client, number).await;
        (status(&mut socket).await, socket)
    };
    let (status, one) = ask(&alice, 10, 1).await;
    assert_eq!((status, held(&sidecar).await), (200, LARGE));
    let (status, again) = ask(&alice, 10, 1).await;
    assert_eq!((status, held(&sidecar).await), (200, LARGE));
    // As much again of hers would leave less for others.
    let (status, other) = ask(&alice, 10, 2).await;
    assert_eq!((status, held(&sidecar).await), (503, LARGE));
    let (status, theirs) = ask(&bob, 20, 1).await;
    assert_eq!((status, held(&sidecar).await), (200, 2 * LARGE));
    drop((one, other, theirs));
    eventually("the first one's is left", || async {
        held(&sidecar).await == LARGE
    })
    .await;
    drop(again);
    eventually("nothing is", || async { held(&sidecar).await == 0 }).await;
}

/// What was fetched for the cache was in nobody's share: many lists of one user at once, from an
/// app that is slow in the middle of them, had everybody else refused.
#[tokio::test]
async fn what_is_fetched_for_the_cache_is_in_the_share_of_who_asks() {
    let (go_on, goes_on) = watch::channel(false);
    let sidecar = behind_long_lists(goes_on).await;
    let (alice, bob) = (alice(), bob());
    let mut first = asked(&sidecar, &alice, 10, 1).await;
    eventually("the first comes in", || async {
        held(&sidecar).await == LARGE
    })
    .await;
    let mut second = asked(&sidecar, &alice, 10, 2).await;
    assert_eq!(status(&mut second).await, 503);
    let mut theirs = asked(&sidecar, &bob, 20, 1).await;
    eventually("theirs comes in", || async {
        held(&sidecar).await == 2 * LARGE
    })
    .await;
    go_on.send(true).unwrap();
    assert_eq!(status(&mut first).await, 200);
    assert_eq!(status(&mut theirs).await, 200);
}

/// A caller of this target who has 64 KiB of room, and wants the connection to be closed.
async fn caller_of(sidecar: &Sidecar, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut socket = socket.connect(sidecar.address).await.unwrap();
    let request = head(&format!("GET {target}"), "Connection: close\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// It is all in the kernel, which would hold it for minutes, and nobody count it.
#[tokio::test]
async fn a_caller_that_does_not_take_the_last_answer_is_let_go() {
    let (sidecar, _coolbits, _legacy) = with(&[("WRITE_TIMEOUT", "300ms")]).await;
    let socket = caller_of(&sidecar, "/static/judge/bytes/2000000").await;
    let given_up = || async {
        let error = socket.take_error().unwrap();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    };
    eventually("it is given up", given_up).await;
    // As far as anybody could tell, it was sent whole.
    let record = sidecar.records().pop().unwrap();
    let told = (&record["status"], &record["code"], &record["bytes_sent"]);
    assert_eq!(told, (&json!(200), &json!(null), &json!(2_000_000)));
}

#[tokio::test]
async fn what_a_caller_sends_behind_the_last_request_takes_no_answer_away() {
    const LENGTH: usize = 1_500_000;
    let (sidecar, _coolbits, _legacy) = with(&[]).await;
    let target = format!("/static/judge/bytes/{LENGTH}");
    let mut socket = caller_of(&sidecar, &target).await;
    eventually("it is sent", || async { !sidecar.records().is_empty() }).await;
    // As some do behind every request.
    socket.write_all(b"\r\n").await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    assert_eq!(answer.len() - end.unwrap() - 4, LENGTH);
}
