//! Requests with an effect, and bodies of a told length, go to the app as they come: nothing is
//! held back or sent twice, and whoever ends early ends it for the other side.

use crate::support::{App, Raw, Setup, Sidecar, asked, eventually, read_to, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// More than the kernel holds between two processes.
const LARGE: usize = 50 << 20;

fn head(length: usize) -> String {
    let fields = format!("Content-Length: {length}\r\n");
    request("POST /judge/upload HTTP/1.1", &fields)
}

/// A caller that has sent the head and this much of a body of such a length, and the app's side.
async fn begun(app: &App, sidecar: &Sidecar, length: usize, some: &[u8]) -> (Raw, TcpStream) {
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(head(length)).await;
    let mut socket = app.accept().await;
    assert!(asked(&mut socket).await, "the head does not wait");
    raw.send(some).await;
    (raw, socket)
}

async fn last_record(sidecar: &Sidecar) -> Value {
    eventually("it is told", || async { !sidecar.records().is_empty() }).await;
    sidecar.records().pop().unwrap()
}

/// Whether the other side ends the connection, whatever it still says.
async fn ends(socket: &mut TcpStream) -> bool {
    let end = async { while socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(Duration::from_secs(10), end)
        .await
        .is_ok()
}

#[tokio::test]
async fn a_piece_is_with_the_app_before_the_caller_has_the_next_one() {
    let (app, sidecar) = App::with_sidecar().await;
    let (mut raw, mut socket) = begun(&app, &sidecar, 10, b"first").await;
    assert!(read_to(&mut socket, b"first").await.is_some());
    raw.send("_last").await;
    assert_eq!(read_to(&mut socket, b"_last").await.unwrap(), "_last");
    socket.write_all(OK.as_bytes()).await.unwrap();
    let got = raw.answer("POST").await.unwrap();
    assert_eq!((got.status, got.text().as_str()), (200, "ok"));
    assert_eq!(got.header("x-camarad-source"), "legacy");
    // Both connections are kept, and what comes behind a body is the next request.
    let next = [head(4), "body".into(), head(0)].concat();
    raw.send(next).await;
    let seen = read_to(&mut socket, b"\r\n\r\nbody").await.unwrap();
    assert!(seen.starts_with("POST /judge/upload HTTP/1.1\r\nHost: app\r\n"));
    assert!(seen.contains("\r\nContent-Length: 4\r\n"), "{seen}");
    assert!(seen.contains("\r\nX-Client-ID: 10\r\n"), "{seen}");
    socket.write_all(OK.as_bytes()).await.unwrap();
    assert_eq!(raw.answer("POST").await.unwrap().status, 200);
    let seen = read_to(&mut socket, b"\r\n\r\n").await.unwrap();
    assert!(seen.contains("\r\nContent-Length: 0\r\n"), "{seen}");
    socket.write_all(OK.as_bytes()).await.unwrap();
    assert_eq!(raw.answer("POST").await.unwrap().status, 200);
}

#[tokio::test]
async fn fifty_megabytes_pass_through_a_few() {
    let (app, sidecar) = App::with_sidecar().await;
    let before = sidecar.most_memory();
    let (mut raw, mut socket) = begun(&app, &sidecar, LARGE, b"").await;
    let caller = tokio::spawn(async move {
        raw.send(vec![b'x'; LARGE]).await;
        raw
    });
    // Whatever is not held back by now would be in memory.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!caller.is_finished(), "the caller waits for the app");
    let mut body = vec![0; LARGE];
    socket.read_exact(&mut body).await.unwrap();
    assert!(body.iter().all(|octet| *octet == b'x'));
    socket.write_all(OK.as_bytes()).await.unwrap();
    let got = caller.await.unwrap().answer("POST").await.unwrap();
    assert_eq!(got.text(), "ok");
    let more = sidecar.most_memory() - before;
    assert!(more < 8 * 1024, "{more} KiB");
}

#[tokio::test]
async fn an_error_before_the_end_of_a_body_ends_the_upload_and_reaches_the_caller() {
    let error = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nwhy?";
    let hinted = format!("HTTP/1.1 103 Early Hints\r\n\r\n{error}");
    for (answer, hints) in [(error, 0), (&hinted, 1)] {
        for some in [0, 9, LARGE / 2] {
            let (app, sidecar) = App::with_sidecar().await;
            let mut raw = Raw::to(sidecar.address).await;
            raw.send(head(LARGE)).await;
            let mut socket = app.accept().await;
            assert!(asked(&mut socket).await);
            let caller = tokio::spawn(async move {
                raw.try_send(vec![b'x'; some]).await;
                raw
            });
            socket.write_all(answer.as_bytes()).await.unwrap();
            // It is with the caller before its last byte is: more than that is not read.
            let mut raw = caller.await.unwrap();
            for _ in 0..hints {
                assert_eq!(raw.answer("POST").await.unwrap().status, 103, "{some}");
            }
            let got = raw.answer("POST").await.unwrap();
            let told = (got.status, got.text());
            assert_eq!(told, (413, "why?".into()), "{some}");
            assert!(got.closes(), "what is left would read as a request");
            assert!(ends(&mut socket).await, "and so it would to the app");
            let record = last_record(&sidecar).await;
            assert_eq!(
                (&record["status"], &record["code"]),
                (&json!(413), &json!(null))
            );
            // The next one has a connection of its own.
            let (_, _) = begun(&app, &sidecar, 1, b"").await;
        }
    }
}

#[tokio::test]
async fn an_app_that_answers_before_the_end_and_reads_on_has_all_of_the_body() {
    for (fields, closes) in [("", false), ("Connection: close\r\n", true)] {
        let (app, sidecar) = App::with_sidecar().await;
        let (mut raw, mut socket) = begun(&app, &sidecar, 10, b"first").await;
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        socket.write_all(hints.as_bytes()).await.unwrap();
        assert!(raw.wait_for(b"</a>\r\n\r\n").await, "before the last byte");
        assert_eq!(raw.answer("POST").await.unwrap().status, 103);
        let begins = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\nok");
        socket.write_all(begins.as_bytes()).await.unwrap();
        assert!(read_to(&mut socket, b"first").await.is_some());
        raw.send("_last").await;
        assert_eq!(read_to(&mut socket, b"_last").await.unwrap(), "_last");
        socket.write_all(b"ok").await.unwrap();
        let got = raw.answer("POST").await.unwrap();
        assert_eq!((got.status, got.text().as_str()), (200, "okok"));
        assert!(!got.closes());
        last_record(&sidecar).await;
        // Sent and answered to their ends: both connections are good for more.
        raw.send(head(0)).await;
        let mut next = if closes { app.accept().await } else { socket };
        assert!(asked(&mut next).await);
    }
}

#[tokio::test]
async fn an_answer_that_began_is_the_answer_though_the_body_goes_no_further() {
    let short = || {
        let setup = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "300ms");
        setup.set("SIDECAR__LIMITS__BODY_TIMEOUT", "300ms")
    };
    // The app reads no more, or the caller sends no more, or the app is gone.
    for (some, leaves) in [(LARGE, false), (5, false), (LARGE, true)] {
        let (app, sidecar) = App::with(short()).await;
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(LARGE)).await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        socket.write_all(OK.as_bytes()).await.unwrap();
        if leaves {
            drop(socket);
        }
        raw.try_send(vec![b'x'; some]).await;
        let got = raw.answer("POST").await.unwrap();
        assert_eq!((got.status, got.text().as_str()), (200, "ok"), "{some}");
        assert!(got.closes(), "what is left would read as a request");
    }
}

#[tokio::test]
async fn an_answer_that_began_outlasts_the_time_for_its_upload() {
    let short = Setup::default().set("SIDECAR__LIMITS__UPLOAD_TIMEOUT", "500ms");
    let (app, sidecar) = App::with(short).await;
    let (mut raw, mut socket) = begun(&app, &sidecar, LARGE, b"").await;
    socket.write_all(OK.as_bytes()).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = raw.wait_for_bytes() => break,
            _ = pace.tick() => raw.try_send("x").await,
        }
    }
    let got = raw.answer("POST").await.unwrap();
    assert_eq!((got.status, got.text().as_str()), (200, "ok"));
    assert!(got.closes(), "what is left would read as a request");
}

#[tokio::test]
async fn a_caller_that_breaks_off_in_a_body_ends_the_apps_side() {
    for some in [0, 5, 70_000] {
        let (app, sidecar) = App::with_sidecar().await;
        let (raw, mut socket) = begun(&app, &sidecar, 100_000, &vec![b'x'; some]).await;
        drop(raw);
        assert!(ends(&mut socket).await, "half a body is no body");
        let record = last_record(&sidecar).await;
        assert_eq!(record["code"], "body_incomplete", "{some}: {record}");
    }
}

#[tokio::test]
async fn a_write_is_carried_out_whether_its_caller_stays_or_not() {
    let (app, sidecar) = App::with_sidecar().await;
    // Who only ends their side of the connection still gets the answer.
    let (mut raw, mut socket) = begun(&app, &sidecar, 4, b"body").await;
    raw.finish().await;
    assert!(read_to(&mut socket, b"body").await.is_some());
    socket.write_all(OK.as_bytes()).await.unwrap();
    assert_eq!(raw.answer("POST").await.unwrap().text(), "ok");
    // Its connection is kept by then.
    last_record(&sidecar).await;
    // And who leaves leaves it to the app; on the connection of before.
    let mut raw = Raw::to(sidecar.address).await;
    raw.send([&head(4), "body"].concat()).await;
    assert!(read_to(&mut socket, b"body").await.is_some());
    drop(raw);
    let quiet = tokio::time::timeout(Duration::from_millis(300), socket.read(&mut [0; 9])).await;
    assert!(quiet.is_err(), "it waits for the answer: {quiet:?}");
    socket.write_all(OK.as_bytes()).await.unwrap();
    eventually("both are told", || async { sidecar.records().len() == 2 }).await;
}

#[tokio::test]
async fn an_app_that_takes_no_more_or_says_nothing_is_504() {
    let short = Setup::default().set("SIDECAR__LEGACY__READ_TIMEOUT", "300ms");
    let (app, sidecar) = App::with(short).await;
    for (length, some) in [(4, 4), (LARGE, LARGE)] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(length)).await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        raw.try_send(vec![b'x'; some]).await;
        let got = raw.answer("POST").await.unwrap();
        let told = (got.status, got.code());
        assert_eq!(told, (504, "legacy_timeout".into()), "{length}");
        assert_eq!(got.closes(), some == LARGE, "{length}");
        assert!(ends(&mut socket).await, "{length}");
    }
}

#[tokio::test]
async fn an_app_that_breaks_off_is_502_and_asked_once() {
    let (app, sidecar) = App::with_sidecar().await;
    // Before the body, in the middle of it, and behind it.
    for (length, before) in [(9, 0), (LARGE, LARGE / 2), (9, 9)] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(head(length)).await;
        let mut socket = app.accept().await;
        assert!(asked(&mut socket).await);
        let caller = tokio::spawn(async move {
            raw.try_send(vec![b'x'; length]).await;
            raw
        });
        socket.read_exact(&mut vec![0; before]).await.unwrap();
        drop(socket);
        let got = caller.await.unwrap().answer("POST").await.unwrap();
        let told = (got.status, got.code());
        assert_eq!(told, (502, "legacy_unreachable".into()), "{length}");
        let again = tokio::time::timeout(Duration::from_millis(200), app.0.accept()).await;
        assert!(again.is_err(), "{length}: nobody can tell how far it came");
    }
}
