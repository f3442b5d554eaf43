//! Reads that stream are handed on as they come, and end with whoever ends first.

use crate::support::{App, Raw, asked, eventually, request};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn get(address: SocketAddr, target: &str) -> Raw {
    let mut raw = Raw::to(address).await;
    raw.send(request(&format!("GET {target} HTTP/1.1"), ""))
        .await;
    raw
}

/// Each way of saying where a body ends, and a body so framed in two pieces.
const ANSWERS: [(&str, [&str; 2]); 3] = [
    ("Content-Length: 10\r\n", ["first", "_last"]),
    (
        "Transfer-Encoding: chunked\r\n",
        ["5\r\nfirst\r\n", "5\r\n_last\r\n0\r\n\r\n"],
    ),
    ("", ["first", "_last"]),
];

#[tokio::test]
async fn a_piece_is_with_the_caller_before_the_app_has_the_next_one() {
    let (app, sidecar) = App::with_sidecar().await;
    for (framing, [first, last]) in ANSWERS {
        let mut raw = get(sidecar.address, "/static/slow").await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        let head = format!("HTTP/1.1 200 OK\r\n{framing}Connection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        assert!(
            raw.wait_for(b"\r\n\r\n").await,
            "the head comes first: {framing:?}"
        );
        socket.write_all(first.as_bytes()).await.unwrap();
        assert!(raw.wait_for(b"first").await, "{framing:?}");
        socket.write_all(last.as_bytes()).await.unwrap();
        drop(socket);
        let answer = raw.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "first_last"));
        assert!(!answer.closes(), "the caller's connection is kept");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_apps_side() {
    for begun in [false, true] {
        let (app, sidecar) = App::with_sidecar().await;
        let mut raw = get(sidecar.address, "/static/endless").await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        if begun {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            assert!(raw.wait_for(b"abc").await);
        }
        drop(raw);
        let ended = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut [0; 9])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
        eventually("it is told", || async { !sidecar.records().is_empty() }).await;
        let record = sidecar.records().pop().unwrap();
        let (status, source) = if begun {
            (200, "legacy")
        } else {
            (499, "sidecar")
        };
        assert_eq!(
            (&record["status"], &record["code"], &record["origin"]),
            (&json!(status), &json!("client_closed"), &json!(null))
        );
        assert_eq!(record["source"], source);
    }
}

#[tokio::test]
async fn fifty_megabytes_pass_through_a_few() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 50;
    let (app, sidecar) = App::with_sidecar().await;
    let before = sidecar.most_memory();
    for framing in [
        format!("Content-Length: {}", PIECE * PIECES),
        "Transfer-Encoding: chunked".into(),
    ] {
        let mut raw = get(sidecar.address, "/static/large").await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        let chunked = framing.starts_with("Transfer");
        let writer = tokio::spawn(async move {
            let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\nConnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).await.unwrap();
            let piece = vec![b'x'; PIECE];
            for _ in 0..PIECES {
                if chunked {
                    socket
                        .write_all(format!("{PIECE:x}\r\n").as_bytes())
                        .await
                        .unwrap();
                }
                socket.write_all(&piece).await.unwrap();
                if chunked {
                    socket.write_all(b"\r\n").await.unwrap();
                }
            }
            if chunked {
                socket.write_all(b"0\r\n\r\n").await.unwrap();
            }
        });
        // Whatever is not held back by now would be in memory.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!writer.is_finished(), "the app waits for the caller");
        let answer = raw.answer("GET").await.unwrap();
        assert_eq!(answer.body.len(), PIECE * PIECES);
        writer.await.unwrap();
        let more = sidecar.most_memory() - before;
        assert!(more < 8 * 1024, "{more} KiB");
    }
}

#[tokio::test]
async fn a_connection_to_the_app_is_used_again_after_a_sure_end_only() {
    let (app, sidecar) = App::with_sidecar().await;
    let mut raw = Raw::to(sidecar.address).await;
    for (answer, again) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.1 204 -\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok?", false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ] {
        let ask = request("GET /static/a HTTP/1.1", "");
        raw.send(&ask).await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        socket.write_all(answer.as_bytes()).await.unwrap();
        let got = raw.answer("GET").await.unwrap();
        assert!(!got.closes(), "{answer:?}: {}", got.head);
        raw.send(&ask).await;
        let used = asked(&mut socket).await;
        assert_eq!(used, again, "{answer:?}");
        let mut other = if used { socket } else { app.accept().await };
        if !used {
            assert!(asked(&mut other).await);
        }
        // An answer that ends the connection, for the next row.
        let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        other.write_all(last.as_bytes()).await.unwrap();
        assert_eq!(raw.answer("GET").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn hints_are_passed_on_to_whoever_knows_of_them() {
    let (app, sidecar) = App::with_sidecar().await;
    for (version, statuses) in [("1.1", vec![103, 200]), ("1.0", vec![200])] {
        let mut raw = Raw::to(sidecar.address).await;
        let ask = request(&format!("GET /static/a HTTP/{version}"), "");
        raw.send(ask).await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
        socket.write_all(hints.as_bytes()).await.unwrap();
        if version == "1.1" {
            assert!(
                raw.wait_for(b"preload\r\n\r\n").await,
                "before there is an answer"
            );
        }
        let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        socket.write_all(answer.as_bytes()).await.unwrap();
        for status in statuses {
            assert_eq!(raw.answer("GET").await.unwrap().status, status, "{version}");
        }
    }
}

#[tokio::test]
async fn ranges_conditions_and_codings_go_on_and_a_body_in_chunks_is_pingoras() {
    let (app, sidecar) = App::with_sidecar().await;
    let fields = "Range: bytes=0-1\r\nIf-Range: \"a\"\r\nIf-None-Match: \"b\"\r\nAccept-Encoding: br\r\n\
                  Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nExpect: 100-continue\r\nX_Folding: 1\r\n";
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(request("GET /static/a HTTP/1.1", fields)).await;
    let mut socket = app.accept().await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(socket.read_buf(&mut head).await.unwrap() > 0);
    }
    let head = String::from_utf8(head).unwrap();
    let said = "GET /static/a HTTP/1.1\r\nHost: app\r\nRange: bytes=0-1\r\nIf-Range: \"a\"\r\n\
                If-None-Match: \"b\"\r\nAccept-Encoding: br\r\nX-User-ID: 1\r\n";
    assert!(head.starts_with(said), "{head}");
    for gone in ["X-Hop", "Connection", "Expect", "X_Folding"] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
    let answer =
        "HTTP/1.1 206 Partial Content\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok";
    socket.write_all(answer.as_bytes()).await.unwrap();
    let got = raw.answer("GET").await.unwrap();
    assert_eq!((got.status, got.header("content-encoding")), (206, "br"));
    // The same connection of the caller, and one of Pingora's to the app.
    raw.send(request(
        "POST /judge/upload HTTP/1.1",
        "Transfer-Encoding: chunked\r\n",
    ))
    .await;
    raw.send("4\r\nbody\r\n0\r\n\r\n").await;
    let mut other = app.accept().await;
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n") {
        assert!(other.read_buf(&mut all).await.unwrap() > 0);
    }
    other
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await
        .unwrap();
    assert_eq!(raw.answer("POST").await.unwrap().text(), "ok");
}

/// Relayed without a body and with one, and Pingora's: method, fields and body.
const EVERY_LANE: [(&str, &str, &str); 3] = [
    ("GET", "", ""),
    ("POST", "Content-Length: 4\r\n", "body"),
    (
        "POST",
        "Transfer-Encoding: chunked\r\n",
        "4\r\nbody\r\n0\r\n\r\n",
    ),
];

/// What follows a 101 would go on in both directions, looked at by nobody.
#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_a_bad_answer_in_every_lane() {
    for (method, fields, body) in EVERY_LANE {
        let (app, sidecar) = App::with_sidecar().await;
        let mut raw = Raw::to(sidecar.address).await;
        let fields = format!("{fields}Connection: upgrade\r\nUpgrade: websocket\r\n");
        let target = if method == "GET" {
            "/static/a"
        } else {
            "/judge/upload"
        };
        raw.send(request(&format!("{method} {target} HTTP/1.1"), &fields))
            .await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        // Not before: it would come with the head.
        raw.send(body).await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw";
        socket.write_all(answer.as_bytes()).await.unwrap();
        let got = raw.answer(method).await.unwrap();
        assert_eq!(got.status, 502, "{method}");
        assert!(!got.text().contains("raw"), "{method}: {}", got.text());
        eventually("it is told", || async { !sidecar.records().is_empty() }).await;
        let record = sidecar.records().pop().unwrap();
        assert_eq!(record["code"], "legacy_bad_answer", "{method}");
    }
}

#[tokio::test]
async fn nothing_that_the_app_says_beforehand_is_taken_for_ours() {
    for (method, fields, body) in EVERY_LANE {
        let (app, sidecar) = App::with_sidecar().await;
        let mut raw = Raw::to(sidecar.address).await;
        let target = if method == "GET" {
            "/static/a"
        } else {
            "/judge/upload"
        };
        raw.send(request(&format!("{method} {target} HTTP/1.1"), fields))
            .await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        // Not before: it would come with the head.
        raw.send(body).await;
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Request-Id: theirs\r\nX-Camarad-Source: coolbits\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        socket
            .write_all([hints, answer].concat().as_bytes())
            .await
            .unwrap();
        let hints = raw.answer(method).await.unwrap();
        assert_eq!(
            (hints.status, hints.header("link")),
            (103, "</a>"),
            "{method}"
        );
        let told = [
            hints.header("x-request-id"),
            hints.header("x-camarad-source"),
        ];
        assert_eq!(told, ["", ""], "{method}");
        let got = raw.answer(method).await.unwrap();
        assert_eq!((got.status, got.text().as_str()), (200, "ok"), "{method}");
    }
}
