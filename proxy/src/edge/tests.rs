//! The edge in the test's own process, where it can be made to break from inside.

use crate::process;
use bytes::Bytes;
use camarad_config::{Inputs, load};
use camarad_mocks::stand_in::{self, faults::Faults};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// Asked with a body in chunks, so it is Pingora's.
const STREAMED_POST: &str = "/api/orchestrator/compose";
/// Asked with a body of a told length, so it is relayed.
const RELAYED_POST: &str = "/judge/upload";

pub(super) struct Started {
    pub(super) address: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
    token: String,
    pub(super) running: process::Running,
    _dir: tempfile::TempDir,
}

/// A sidecar with the gateway off, in front of the app's stand-in.
async fn started(faults: &str) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let legacy = listener.local_addr().unwrap();
    let faults: Faults = serde_json::from_str(faults).unwrap();
    tokio::spawn(stand_in::legacy(listener, faults));
    started_before(legacy, &[]).await
}

/// A sidecar with the gateway off and these settings, in front of whatever listens there.
pub(super) async fn started_before(legacy: SocketAddr, settings: &[(&str, &str)]) -> Started {
    const SECRET: &str = "a secret of at least thirty-two bytes";
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let environment = [
        ("SIDECAR_LISTEN", "127.0.0.1:0".to_owned()),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("SIDECAR_STATE_DIR", dir.path().display().to_string()),
        ("SIDECAR_ACCESS_LOG", log.display().to_string()),
        ("SIDECAR_JWT_SECRET", SECRET.to_owned()),
        ("SIDECAR_JWT_USER_CLAIM", "uid".to_owned()),
        ("LEGACY_URL", format!("http://{legacy}")),
    ];
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).into()));
    let environment = environment.into_iter().chain(settings);
    let inputs = Inputs {
        file: None,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    let running = process::start(load(&inputs).unwrap(), None).await.unwrap();
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let claims = serde_json::json!({"uid": 1, "clients": [10], "exp": 4_000_000_000u64});
    Started {
        address: running.address(),
        admin: running.admin_address(),
        log,
        token: jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap(),
        running,
        _dir: dir,
    }
}

impl Started {
    async fn ask(
        &self,
        method: &str,
        target: &str,
        break_at: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{}{target}", self.address);
        let request = client.request(method.parse().unwrap(), url);
        const BODY: &str = r#"{"flow": {}}"#;
        let body = match (method, target) {
            // As it is not known to end, it goes in chunks.
            (_, STREAMED_POST) => {
                let piece = Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(BODY)));
                reqwest::Body::wrap(StreamBody::new(futures_util::stream::iter([piece])))
            }
            ("POST", _) => BODY.into(),
            _ => reqwest::Body::default(),
        };
        request
            .bearer_auth(&self.token)
            .header("X-Client-ID", "10")
            .header("X-Break-At", break_at)
            .body(body)
            .send()
            .await
    }

    /// The record of a request, once the log is written to its end.
    pub(super) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_any_hook_is_a_500_with_a_record_and_the_next_request_is_fine() {
    let started = started("{}").await;
    let panics = &started.running.observer().metrics.panics_total;
    let mut told = Vec::new();
    for (place, method, target) in [
        ("handle", "GET", "/static/app.js"),
        ("handle", "GET", "/api/connectors/aws/ec2"),
        ("relay_request", "GET", "/static/app.js"),
        ("relay_answer", "GET", "/static/app.js"),
        ("relay_request", "POST", RELAYED_POST),
        ("relay_answer", "POST", RELAYED_POST),
        ("on_connection_reuse", "POST", STREAMED_POST),
        ("upstream_peer", "POST", STREAMED_POST),
        ("upstream_request_filter", "POST", STREAMED_POST),
        ("request_body_filter", "POST", STREAMED_POST),
        ("response_filter", "POST", STREAMED_POST),
    ] {
        let before = panics.get();
        let answer = started.ask(method, target, place).await.unwrap();
        assert_eq!(answer.status(), 500, "{place} {target}");
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        told.push((place, id));
        assert_eq!(answer.headers()["x-camarad-source"], "sidecar", "{place}");
        assert_eq!(panics.get(), before + 1, "{place}");
        let next = started.ask(method, target, "").await.unwrap();
        assert_eq!(next.status(), 200, "after {place}");
    }
    started.running.observer().close();
    let records = started.records();
    for (place, id) in told {
        let record = records.iter().find(|record| record["request_id"] == id);
        let record = record.unwrap_or_else(|| panic!("{place}: no record"));
        assert_eq!(
            (&record["status"], &record["code"]),
            (&500.into(), &"internal_error".into()),
            "{place}"
        );
        assert_eq!(record["origin"], "sidecar", "{place}");
    }
    // A request ends a little later than its answer.
    let ended = async {
        while started.running.observer().metrics.in_flight.get() != 0 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(10);
    let ended = tokio::time::timeout(limit, ended).await;
    ended.expect("none is in flight any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_failing_is_a_500_too() {
    let started = started(r#"{"fault": "close"}"#).await;
    let panics = &started.running.observer().metrics.panics_total;
    for place in ["error_while_proxy", "fail_to_proxy"] {
        let before = panics.get();
        let answer = started.ask("POST", STREAMED_POST, place).await.unwrap();
        assert_eq!(answer.status(), 500, "{place}");
        assert_eq!(panics.get(), before + 1, "{place}");
        let next = started.ask("POST", STREAMED_POST, "").await.unwrap();
        assert_eq!(next.status(), 502, "after {place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_telling_is_counted_and_the_answer_stands() {
    let started = started("{}").await;
    let panics = || started.running.observer().metrics.panics_total.get();
    // Relayed, answered whole, relayed with a body, and streamed by Pingora.
    for (counted, method, target) in [
        (1, "GET", "/static/app.js"),
        (2, "GET", "/api/connectors/aws/ec2"),
        (3, "POST", RELAYED_POST),
        (4, "POST", STREAMED_POST),
    ] {
        let answer = started.ask(method, target, "logging").await.unwrap();
        assert_eq!(answer.status(), 200, "{target}");
        assert!(!answer.text().await.unwrap().is_empty(), "{target}");
        while panics() < counted {
            tokio::task::yield_now().await;
        }
        let next = started.ask(method, target, "").await.unwrap();
        assert_eq!(next.status(), 200, "after {target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_on_the_admin_listener_is_a_500() {
    let started = started("{}").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |place: &'static str| {
        let url = format!("http://{}/healthz", started.admin);
        client.get(url).header("X-Break-At", place).send()
    };
    assert_eq!(ask("admin").await.unwrap().status(), 500);
    assert_eq!(ask("").await.unwrap().status(), 200);
    assert_eq!(started.running.observer().metrics.panics_total.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_must_go_on_begins_anew_after_a_panic() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let burst = camarad_config::Burst {
        window: std::time::Duration::from_secs(60),
        count: 20,
        ratio: 0.2,
        min_volume: 5,
        clear: 0.5,
    };
    let off = crate::observe::JsonLines::off;
    let observer = crate::observe::Observer::new(&burst, off(), off(), false).unwrap();
    let observer = std::sync::Arc::new(observer);
    let begun = AtomicU32::new(0);
    let work = || async {
        if begun.fetch_add(1, Ordering::Relaxed) < 3 {
            unreachable!("asked to break");
        }
    };
    crate::panics::kept_up(observer.clone(), work).await;
    assert_eq!(
        (
            begun.load(Ordering::Relaxed),
            observer.metrics.panics_total.get()
        ),
        (4, 3)
    );
}
