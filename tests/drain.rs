//! Stopping and starting so that nobody notices.

use crate::support::{Raw, Setup, Sidecar, StandIn, alice, eventually, request, status_of};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

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
    let nginx = nginx(dir.path(), &pair).await;
    let socket: Arc<Path> = dir.path().join("nginx.sock").into();

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
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        answer.truncate(300);
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(30), exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => format!("{line}: {error}"),
        Err(_) => format!("{line}: no answer"),
    }
}

/// nginx as a README's reader would set it up, on a socket in a directory of its own.
async fn nginx(dir: &Path, pair: &[Sidecar; 2]) -> tokio::process::Child {
    let at = |name: &str| dir.join(name).display().to_string();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {};\n", at(kind)))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {pid};\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log off;\n{temp}\
         \x20   upstream sidecars {{\n        server {one} max_fails=1 fail_timeout=1s;\n        \
         server {other} max_fails=1 fail_timeout=1s;\n        keepalive 16;\n    }}\n    server {{\n        \
         listen unix:{socket};\n        location / {{\n            proxy_pass http://sidecars;\n            \
         proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n            \
         proxy_set_header Host $host;\n        }}\n    }}\n}}\n",
        pid = at("nginx.pid"),
        one = pair[0].address,
        other = pair[1].address,
        socket = at("nginx.sock"),
    );
    let file = dir.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let child = tokio::process::Command::new("nginx")
        .args(["-e", "stderr", "-c"])
        .arg(&file)
        .arg("-p")
        .arg(dir)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("nginx is not installed; `make needs-test` does it or says how");
    let socket = dir.join("nginx.sock");
    eventually("nginx listens", || async {
        UnixStream::connect(&socket).await.is_ok()
    })
    .await;
    child
}

#[tokio::test]
async fn a_signal_right_after_the_start_is_heeded() {
    let (mut sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    sidecar.signal("-TERM");
    assert!(sidecar.child.wait().await.unwrap().success());
    sidecar.says("\"clean\":true").await;
}
