//! Other settings without a restart, and without a request that notices.

use crate::support::{
    Ask, Claims, Got, Raw, Setup, Sidecar, StandIn, alice, eventually, request, token,
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CAMPAIGNS: &str = "GET /api/connectors/google-ads/campaigns";

async fn started(file: &str) -> (Sidecar, StandIn, StandIn) {
    Sidecar::with_stand_ins(Setup::default().file(file)).await
}

fn rewrite(sidecar: &Sidecar, text: &str) -> PathBuf {
    let file = sidecar.config_file();
    std::fs::write(&file, text).unwrap();
    file
}

async fn reload(sidecar: &Sidecar) -> Got {
    sidecar.control("/config/reload", json!({})).await
}

#[tokio::test]
async fn a_reload_puts_the_file_in_force_and_says_what_is_new() {
    let (sidecar, _coolbits, _legacy) = started("[tenancy]\nmode = \"enforce\"\n").await;
    // Refused by the sidecar, or by the app, which looks at this one itself.
    let foreign = async || {
        let got = sidecar.route(&alice(), "20", "GET /api/flows", "").await;
        got.header("x-camarad-source").to_owned()
    };
    assert_eq!(foreign().await, "sidecar");
    rewrite(
        &sidecar,
        "[tenancy]\nmode = \"report\"\n[gateway]\nmock_only = [\"google-ads.campaigns\"]\n",
    );
    // Nothing happens by itself.
    assert_eq!(foreign().await, "sidecar");
    let got = reload(&sidecar).await;
    let told = got.json();
    assert_eq!(
        (got.status, &told["generation"]),
        (200, &json!(2)),
        "{told}"
    );
    assert_eq!(
        told["changed"],
        json!([
            {"key": "gateway.mock_only", "before": ["google-search-console", "google-tag-manager", "stripe"],
             "after": ["google-ads.campaigns"]},
            {"key": "tenancy.mode", "before": "enforce", "after": "report"},
        ])
    );
    assert_eq!(foreign().await, "legacy");
    let ads = sidecar.route(&alice(), "10", CAMPAIGNS, "").await.json();
    assert_eq!(ads["gateway"]["reason"], "mock_only");
    // By a signal, too; and a second time nothing is new.
    rewrite(&sidecar, "[tenancy]\nmode = \"enforce\"\n");
    sidecar.signal("-HUP");
    eventually("it is enforced again", || async {
        foreign().await == "sidecar"
    })
    .await;
    sidecar.says("\"asked_by\":\"SIGHUP\"").await;
    assert_eq!(reload(&sidecar).await.json()["changed"], json!([]));
    for (outcome, times) in [("applied", 2.0), ("unchanged", 1.0)] {
        let metric = format!("sidecar_config_reloads_total{{outcome=\"{outcome}\"}}");
        assert_eq!(sidecar.metric(&metric).await, times, "{outcome}");
    }
}

#[tokio::test]
async fn a_bad_file_leaves_everything_as_it_is_and_every_problem_is_told() {
    let (sidecar, _coolbits, _legacy) = started("").await;
    rewrite(
        &sidecar,
        "colour = 1\n[tenancy]\nmode = \"report\"\n[gateway]\ndeadline = \"12\"\nretry_share = 7\n",
    );
    let got = reload(&sidecar).await;
    assert_eq!((got.status, got.code().as_str()), (409, "config_refused"));
    let problems = got.json()["problems"].to_string();
    for part in [
        "colour: unknown key",
        "gateway.deadline",
        "gateway.retry_share",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    let foreign = sidecar.route(&alice(), "20", "GET /api/flows", "").await;
    assert_eq!(foreign.code(), "client_not_allowed");
    assert_eq!(sidecar.metric("sidecar_config_refused").await, 1.0);
    assert_eq!(sidecar.metric("sidecar_config_generation").await, 1.0);
    // What is bound or opened at the start is refused by name, and nothing else is taken.
    rewrite(
        &sidecar,
        "[server]\nthreads = 3\n[tenancy]\nmode = \"report\"\n[ledger]\nrequired = false\n",
    );
    let problems = reload(&sidecar).await.json()["problems"].clone();
    let expected = ["ledger.required", "server.threads"];
    let expected = expected.map(|key| format!("{key}: a change of it takes a restart"));
    assert_eq!(problems, json!(expected));
    let foreign = sidecar.route(&alice(), "20", "GET /api/flows", "").await;
    assert_eq!(foreign.code(), "client_not_allowed");
    // A good one is taken, and the gauge says so.
    rewrite(&sidecar, "");
    assert_eq!(reload(&sidecar).await.status, 200);
    assert_eq!(sidecar.metric("sidecar_config_refused").await, 0.0);
    // No token, no reload.
    let url = format!("http://{}/config/reload", sidecar.admin);
    let bare = Ask::new("POST", &url)
        .with("Content-Type", "application/json")
        .body("{}")
        .send()
        .await;
    assert_eq!(bare.status, 401);
}

#[tokio::test]
async fn a_secret_that_was_rotated_ends_its_tokens_at_once_on_old_connections_too() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, crate::support::SECRET).unwrap();
    let setup = Setup::default()
        .set("SIDECAR_JWT_SECRET_FILE", secret.display())
        .set("SIDECAR_JWT_USER_CLAIM", "uid");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let mut kept = Raw::to(sidecar.address).await;
    let ask = request("GET /api/flows HTTP/1.1", "");
    kept.send(ask.clone()).await;
    assert_eq!(kept.answer("GET").await.unwrap().status, 200);
    std::fs::write(&secret, "another secret of the tests, longer than 32 bytes").unwrap();
    assert_eq!(reload(&sidecar).await.status, 200);
    kept.send(ask).await;
    assert_eq!(kept.answer("GET").await.unwrap().status, 401);
    // What was ended stays ended over reloads.
    std::fs::write(&secret, crate::support::SECRET).unwrap();
    assert_eq!(reload(&sidecar).await.status, 200);
    let other = token(Claims::new(1, &[10]).with("jti", json!("x")));
    assert_eq!(sidecar.revoke(json!({"token": other})).await.status, 200);
    assert_eq!(reload(&sidecar).await.status, 200);
    let got = sidecar.route(&other, "10", "GET /api/flows", "").await;
    assert_eq!(got.status, 401);
}

#[tokio::test]
async fn a_request_under_way_keeps_the_settings_that_it_began_with() {
    let (sidecar, coolbits, _legacy) = started("").await;
    coolbits.faults(json!({"latency_ms": 700})).await;
    let token = alice();
    let first = sidecar.route(&token, "10", CAMPAIGNS, "");
    let change = async {
        eventually("Coolbits is asked", || async {
            !coolbits.calls().await.is_empty()
        })
        .await;
        rewrite(&sidecar, "[gateway]\nmock_only = [\"google-ads\"]\n");
        assert_eq!(reload(&sidecar).await.status, 200);
    };
    let (first, ()) = tokio::join!(first, change);
    assert_eq!(first.json()["source"], "coolbits", "{first:?}");
    // And its answer is nobody's under the new ones.
    let second = sidecar.route(&token, "10", CAMPAIGNS, "").await;
    assert_eq!(second.json()["source"], "mock");
    assert!(!second.header("cache-status").contains("hit"), "{second:?}");
}

#[tokio::test]
async fn fifty_reloads_under_load_fail_no_request() {
    let (sidecar, _coolbits, _legacy) = started("").await;
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let token = alice();
    let body = json!({"flow": {}}).to_string();
    let load = (0..4).map(|caller| {
        let (sidecar, done, sent, token, body) = (&sidecar, &done, &sent, &token, &body);
        async move {
            // Kept alive, as nginx keeps them.
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for n in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                pace.tick().await;
                let routes = [
                    "GET /api/flows",
                    CAMPAIGNS,
                    "GET /static/app.js",
                    "POST /api/flows",
                ];
                let route = routes[(n + caller) % routes.len()];
                let body = if route.starts_with("POST") { body } else { "" };
                let got = sidecar.route(token, "10", route, body).await;
                assert_eq!(got.status, 200, "{route}: {got:?}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let reloads = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for n in 0..50 {
            pace.tick().await;
            rewrite(&sidecar, &format!("[cache]\nttl_percent = {}\n", 50 + n));
            let got = reload(&sidecar).await;
            assert_eq!(got.status, 200, "{got:?}");
            assert_eq!(got.json()["changed"].as_array().unwrap().len(), 1);
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all(load), reloads);
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 300, "{sent} requests are no load");
    assert_eq!(sidecar.metric("sidecar_config_generation").await, 51.0);
    assert_eq!(sidecar.metric("sidecar_panics_total").await, 0.0);
    let failed: Vec<Value> = sidecar.records();
    let failed = failed.iter().filter(|record| record["status"] != 200);
    assert_eq!(failed.count(), 0);
}
