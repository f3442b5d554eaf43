//! Stopping and starting so that nobody notices.

use crate::support::nginx::{Nginx, through};
use crate::support::{Raw, Setup, Sidecar, StandIn, alice, eventually, request, status_of};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_drain_says_no_to_probes_and_yes_to_callers_until_it_closes() {
    let setup = Setup::default().set("SIDECAR__SERVER__DRAIN", "1s");
    let (mut sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let readyz = format!("http://{}/readyz", sidecar.admin);
    assert_eq!(status_of(&readyz).await, Some(200));
    let mut kept = Raw::to(sidecar.address).await;
    let get = |target: &str| request(&format!("GET {target} HTTP/1.1"), "");
    kept.send(get("/static/app.js")).await;
    assert!(!kept.answer("GET").await.unwrap().closes());
    sidecar.signal("-TERM");
    eventually("readyz says no", || async {
        status_of(&readyz).await == Some(503)
    })
    .await;
    // On the connection from before, and on new ones: served, and told to close.
    kept.send(get("/static/app.js")).await;
    let answer = kept.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true));
    for (target, status) in [
        ("/static/app.js", 200),
        ("/api/connectors/aws/ec2", 200),
        ("/api/connectors/google-ads/campaigns", 200),
        ("/api/connectors/google-ads/campaigns?client_id=20", 400),
        ("/a%00", 400),
    ] {
        let mut raw = Raw::to(sidecar.address).await;
        raw.send(get(target)).await;
        let answer = raw.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.closes()), (status, true), "{target}");
        assert!(raw.is_closed().await, "{target}");
    }
    assert!(sidecar.child.wait().await.unwrap().success());
    sidecar.says("\"clean\":true").await;
}

#[tokio::test]
async fn an_interrupt_ends_a_drain_at_once() {
    let setup = Setup::default().set("SIDECAR__SERVER__DRAIN", "10m");
    let (mut sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let readyz = format!("http://{}/readyz", sidecar.admin);
    sidecar.signal("-TERM");
    eventually("it drains", || async {
        status_of(&readyz).await == Some(503)
    })
    .await;
    sidecar.signal("-INT");
    let waited = tokio::time::timeout(Duration::from_secs(20), sidecar.child.wait()).await;
    assert!(waited.expect("it went on").unwrap().success());
}

/// Two sidecars behind a real nginx, each drained and started again in turn,
/// under 100 requests a second: none may fail, writes among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_behind_nginx_fails_no_request() {
    let coolbits = StandIn::start("coolbits").await;
    let legacy = StandIn::start("legacy").await;
    let setup = || {
        Setup::default()
            .set("SIDECAR__SERVER__DRAIN", "700ms")
            .set("COOLBITS_URL", coolbits.url())
            .set("LEGACY_URL", legacy.url())
    };
    let mut pair = [setup().start_alone().await, setup().start_alone().await];
    let dir = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(dir.path(), &in_front_of(&pair)).await;
    let socket: Arc<Path> = nginx.socket().into();

    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        let mut under_way = Vec::new();
        loop {
            tokio::select! {
                _ = pace.tick() => {
                    let (socket, number) = (socket.clone(), under_way.len());
                    under_way.push(tokio::spawn(async move { one_request(&socket, number).await }));
                }
                _ = stopped.changed() => break,
            }
        }
        let mut outcomes = Vec::new();
        for task in under_way {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    for sidecar in &mut pair {
        let served = sidecar.records().len();
        eventually("it is being used", || async {
            sidecar.records().len() > served + 20
        })
        .await;
        let address = sidecar.address;
        sidecar.signal("-TERM");
        assert!(sidecar.child.wait().await.unwrap().success());
        let again = setup().set("SIDECAR_LISTEN", address);
        *sidecar = again.start_alone().await;
        eventually("it is being used again", || async {
            sidecar.records().len() > 20
        })
        .await;
    }
    stop.send(true).unwrap();
    let outcomes = load.await.unwrap();
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.starts_with("HTTP/1.1 200 "))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}: {:?}",
        failed.len(),
        outcomes.len(),
        &failed[..failed.len().min(3)]
    );
    assert!(outcomes.len() > 200, "{}", outcomes.len());
    drop(nginx);
}

/// One of several kinds of request; the answer's first bytes.
async fn one_request(socket: &Path, number: usize) -> String {
    const KINDS: [(&str, &str); 4] = [
        ("GET /static/app.js", ""),
        ("GET /api/connectors/aws/ec2", ""),
        ("GET /api/connectors/google-ads/campaigns", ""),
        ("POST /api/flows", r#"{"flow": {}}"#),
    ];
    let (line, body) = KINDS[number % KINDS.len()];
    let request = format!(
        "{line} HTTP/1.1\r\nHost: app\r\nConnection: close\r\nContent-Length: {}\r\n\
         Authorization: Bearer {}\r\nX-Client-ID: 10\r\n\r\n{body}",
        body.len(),
        alice()
    );
    let exchange = through(socket, &request);
    match tokio::time::timeout(Duration::from_secs(30), exchange).await {
        Ok(Ok(answer)) => answer.chars().take(300).collect(),
        Ok(Err(error)) => format!("{line}: {error}"),
        Err(_) => format!("{line}: no answer"),
    }
}

/// Both, in front of each other.
fn in_front_of(pair: &[Sidecar; 2]) -> String {
    format!(
        "upstream sidecars {{ server {} max_fails=1 fail_timeout=1s; \
         server {} max_fails=1 fail_timeout=1s; keepalive 16; }}
         server {{ listen LISTEN; location / {{ proxy_pass http://sidecars; proxy_http_version 1.1;
         proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }}",
        pair[0].address, pair[1].address,
    )
}

#[tokio::test]
async fn a_signal_right_after_the_start_is_heeded() {
    let (mut sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    sidecar.signal("-TERM");
    assert!(sidecar.child.wait().await.unwrap().success());
    sidecar.says("\"clean\":true").await;
}
