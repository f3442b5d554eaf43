//! Answers as an app writes them byte by byte, and as callers read them.

use crate::edge::tests::{Started, started_before};
use camarad_policies::answer_head::{self, examine};
use camarad_policies::rest::Rest;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What an app does once it has written its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// Waits for another request.
    Waits,
    Closes,
    Resets,
}

/// How an answer reaches a caller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    Whole,
    /// Its body breaks off, and the caller can tell.
    Broken,
}
use Comes::{Broken, Whole};
use Then::{Closes, Resets, Waits};

/// What an app answers: these bytes, so many at a time, and then.
type Answer = (String, usize, Then);

/// Where an app listens that answers `/static/2` with the third of these.
async fn app(answers: Vec<Answer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(socket, answers.clone()));
        }
    });
    address
}

async fn serve(mut socket: TcpStream, answers: Arc<Vec<Answer>>) {
    socket.set_nodelay(true).unwrap();
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
        let target = text.split(' ').nth(1).unwrap();
        let at = target.strip_prefix("/static/").unwrap();
        let (answer, piece, then) = &answers[at.parse::<usize>().unwrap()];
        for piece in answer.as_bytes().chunks(*piece) {
            // Who has seen enough is gone.
            if socket.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        match then {
            Waits => {}
            Closes => return,
            Resets => {
                // What was written is to be read first.
                tokio::time::sleep(Duration::from_millis(30)).await;
                socket.set_zero_linger().unwrap();
                return;
            }
        }
    }
}

/// What a caller reads until the connection ends.
struct Read {
    head: String,
    status: u16,
    body: String,
    comes: Comes,
}

impl Read {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

async fn read(sidecar: &Started, method: &str, at: usize, version: &str) -> Read {
    let mut socket = TcpStream::connect(sidecar.address).await.unwrap();
    let request =
        format!("{method} /static/{at} HTTP/{version}\r\nHost: app\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let ended = loop {
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_buf(&mut all));
        match read.await.expect("it ends") {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error.kind()),
        }
    };
    let (mut at, mut heads) = (0, Vec::new());
    let framing = loop {
        let mut room = answer_head::EMPTY;
        let head = examine(&all[at..], method == "HEAD", &mut room).unwrap();
        let head = head
            .unwrap_or_else(|| panic!("no head, {ended:?}: {:?}", String::from_utf8_lossy(&all)));
        heads.push((head.status, at..at + head.length));
        at += head.length;
        if head.status >= 200 {
            break head.framing;
        }
    };
    let (status, head) = heads.pop().unwrap();
    assert!(
        heads
            .iter()
            .all(|(status, _)| *status == 103 && version == "1.1")
    );
    let head = String::from_utf8(all[head].to_vec()).unwrap();
    let mut rest = Rest::of(framing);
    let piece = rest.piece(&mut all[at..]).unwrap();
    let is_whole = piece.is_last || (rest.ends_with_connection() && ended.is_ok());
    // Only where nothing else could tell is a connection thrown away.
    if ended.is_err() {
        assert_eq!(
            (ended, rest.ends_with_connection()),
            (Err(ErrorKind::ConnectionReset), true)
        );
    }
    assert!(
        !piece.is_last || at + piece.taken == all.len(),
        "something behind it"
    );
    Read {
        head,
        status,
        body: String::from_utf8_lossy(&all[at..][piece.body]).into_owned(),
        comes: if is_whole { Whole } else { Broken },
    }
}

/// The code in the record of each request that was read; empty where there is none.
fn codes(sidecar: &Started, ids: &[String]) -> Vec<String> {
    sidecar.running.observer().close();
    let records = sidecar.records();
    let code = |id: &String| {
        let record = records.iter().find(|record| record["request_id"] == **id);
        let record = record.unwrap_or_else(|| panic!("no record of {id}"));
        record["code"].as_str().unwrap_or_default().to_owned()
    };
    ids.iter().map(code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_framing_reaches_every_caller_whole_or_seen_to_be_broken() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef";
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                          4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nTrailer: 1\r\n\r\n";
    const TO_END: &str = "HTTP/1.0 200 OK\r\n\r\nabcdef";
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const UNCHANGED: &str = "HTTP/1.1 304 -\r\nContent-Length: 6\r\n\r\n";
    const NOTHING: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let hinted = format!("{HINTS}{LENGTH}");
    let cut = |text: &'static str, by: usize| &text[..text.len() - by];
    let rows = [
        ("a length", LENGTH, Waits, "GET", (200, "abcdef", Whole)),
        (
            "a length, closing",
            LENGTH,
            Closes,
            "GET",
            (200, "abcdef", Whole),
        ),
        ("chunks", CHUNKS, Waits, "GET", (200, "abcdef", Whole)),
        ("to the end", TO_END, Closes, "GET", (200, "abcdef", Whole)),
        ("hints", &hinted, Waits, "GET", (200, "abcdef", Whole)),
        ("to HEAD", cut(LENGTH, 6), Waits, "HEAD", (200, "", Whole)),
        ("OPTIONS", LENGTH, Waits, "OPTIONS", (200, "abcdef", Whole)),
        (
            "204",
            "HTTP/1.1 204 -\r\n\r\n",
            Waits,
            "GET",
            (204, "", Whole),
        ),
        ("304", UNCHANGED, Waits, "GET", (304, "", Whole)),
        ("nothing", NOTHING, Waits, "GET", (200, "", Whole)),
        (
            "a short length",
            cut(LENGTH, 2),
            Closes,
            "GET",
            (200, "abcd", Broken),
        ),
        (
            "no last chunk",
            cut(CHUNKS, 17),
            Closes,
            "GET",
            (200, "abcdef", Broken),
        ),
        (
            "half the chunks",
            cut(CHUNKS, 24),
            Closes,
            "GET",
            (200, "abcd", Broken),
        ),
        ("a reset", TO_END, Resets, "GET", (200, "abcdef", Broken)),
    ];
    const PIECES: [usize; 3] = [1, 7, 4096];
    let answers = rows.iter().flat_map(|(_, answer, then, ..)| {
        let answer = (*answer).to_owned();
        PIECES.map(|piece| (answer.clone(), piece, *then))
    });
    let sidecar = started_before(app(answers.collect()).await, &[]).await;
    let (mut ids, mut expected_codes) = (Vec::new(), Vec::new());
    for (row, (name, answer, _, method, expected)) in rows.iter().enumerate() {
        for (at, piece) in PIECES.iter().enumerate() {
            for version in ["1.1", "1.0"] {
                let got = read(&sidecar, method, row * PIECES.len() + at, version).await;
                let case = format!("{name} by {piece} to {version}: {}", got.head);
                assert_eq!(
                    (got.status, got.body.as_str(), got.comes),
                    *expected,
                    "{case}"
                );
                if answer.contains("Content-Length") {
                    assert!(got.header("content-length").is_some(), "{case}");
                }
                assert_eq!(got.header("x-camarad-source"), Some("legacy"), "{case}");
                assert_eq!(got.header("connection"), Some("close"), "{case}");
                assert!(got.header("date").is_some(), "{case}");
                ids.push(got.header("x-request-id").unwrap().to_owned());
                expected_codes.push(match got.comes {
                    Whole => "",
                    Broken => "legacy_bad_answer",
                });
            }
        }
    }
    assert_eq!(codes(&sidecar, &ids), expected_codes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_refused_as_long_as_nothing_went_out() {
    let upgrade = "HTTP/1.1 101 -\r\nUpgrade: x\r\n\r\n";
    let endless = "HTTP/1.1 103 -\r\n\r\n".repeat(9);
    let no_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    let rows = [
        ("", Closes, (502, "legacy_unreachable")),
        ("HTTP/1.1 200 OK\r\nX", Closes, (502, "legacy_unreachable")),
        ("HTTP/1.1 200 OK\r\nX", Waits, (504, "legacy_timeout")),
        ("SSH-2.0-x\r\n\r\n", Waits, (502, "legacy_bad_answer")),
        (upgrade, Waits, (502, "legacy_bad_answer")),
        (&endless, Waits, (502, "legacy_bad_answer")),
        (no_chunks, Waits, (502, "legacy_bad_answer")),
    ];
    let answers = rows.map(|(answer, then, _)| (answer.to_owned(), 4096, then));
    let short = [("SIDECAR__LEGACY__READ_TIMEOUT", "300ms")];
    let sidecar = started_before(app(answers.into()).await, &short).await;
    let mut ids = Vec::new();
    for (at, (answer, _, (status, _))) in rows.iter().enumerate() {
        let got = read(&sidecar, "GET", at, "1.1").await;
        assert_eq!((got.status, got.comes), (*status, Whole), "{answer:?}");
        ids.push(got.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(codes(&sidecar, &ids), rows.map(|(.., (_, code))| code));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_falls_silent_in_a_body_is_given_up() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc";
    let short = [("SIDECAR__LEGACY__READ_TIMEOUT", "300ms")];
    let app = app(vec![(answer.to_owned(), 4096, Waits)]).await;
    let sidecar = started_before(app, &short).await;
    let got = read(&sidecar, "GET", 0, "1.1").await;
    assert_eq!((got.body.as_str(), got.comes), ("abc", Broken));
    let id = got.header("x-request-id").unwrap().to_owned();
    assert_eq!(codes(&sidecar, &[id]), ["legacy_timeout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_go_on_as_they_came_and_the_date_is_the_apps() {
    let theirs = "HTTP/1.1 418 Short And Stout\r\nX-b: 2\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                  Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Encoding: br\r\nContent-Length: 2\r\n";
    let stays = "Connection: close, X-Hop\r\nX-Hop: 1\r\nX-Request-Id: theirs\r\n\
                 X-Camarad-Source: coolbits\r\n";
    let answer = format!("{theirs}{stays}\r\n\x01\x02");
    let sidecar = started_before(app(vec![(answer, 4096, Closes)]).await, &[]).await;
    let got = read(&sidecar, "GET", 0, "1.1").await;
    let ours = "Connection: close\r\nX-Camarad-Source: legacy\r\nX-Request-Id: ";
    let rest = got
        .head
        .strip_prefix(theirs)
        .and_then(|rest| rest.strip_prefix(ours));
    let rest = rest.unwrap_or_else(|| panic!("{}", got.head));
    assert!(
        rest.ends_with("\r\n\r\n") && rest.lines().count() == 2,
        "{}",
        got.head
    );
}
