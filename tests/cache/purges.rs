//! `POST /cache/purge`: what operators drop, and what nobody may.

use super::{CAMPAIGNS, CLIENTS, FLOWS, HIT, MISS, PLANS, STORED, asked, told};
use crate::support::{Ask, Got, Setup, Sidecar, alice, bob, eventually};
use serde_json::{Value, json};

const ALL: [(&str, &str, &str); 7] = [
    ("alice", "10", CAMPAIGNS),
    ("alice", "11", CAMPAIGNS),
    ("bob", "20", CAMPAIGNS),
    ("alice", "10", FLOWS),
    ("bob", "20", FLOWS),
    ("alice", "10", CLIENTS),
    ("bob", "20", PLANS),
];

async fn read(sidecar: &Sidecar, (who, client, target): (&str, &str, &str)) -> Got {
    let token = if who == "alice" { alice() } else { bob() };
    let got = sidecar
        .route(&token, client, &format!("GET {target}"), "")
        .await;
    assert_eq!(got.status, 200, "{target}");
    got
}

/// The key of what was asked, as the access log tells it.
async fn key(sidecar: &Sidecar, got: &Got) -> Value {
    let record = sidecar.record(got.header("x-request-id")).await;
    record["cache_key"].clone()
}

#[tokio::test]
async fn an_order_drops_what_it_names_and_says_how_much() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let entries = async || sidecar.metric("sidecar_cache_entries").await;
    let mut first = None;
    for request in ALL {
        let got = read(&sidecar, request).await;
        first = first.or(Some(got));
    }
    let key = key(&sidecar, &first.unwrap()).await;
    let other = "0".repeat(64);
    for (order, dropped) in [
        (json!({"key": key}), vec![0]),
        (
            json!({"key": key.as_str().unwrap().to_uppercase()}),
            vec![0],
        ),
        (json!({"key": other}), vec![]),
        (json!({"route": "google-ads.campaigns"}), vec![0, 1, 2]),
        (json!({"route": "flows.list"}), vec![3, 4]),
        (json!({"route": "flows.create"}), vec![]),
        // Whoever asked for what is shared, it is nobody's.
        (json!({"user": 2}), vec![2, 4]),
        (json!({"user": 1}), vec![0, 1, 3, 5]),
        (json!({"user": 10}), vec![]),
        // The list of clients is about none of them.
        (json!({"client": 10}), vec![0, 3]),
        (json!({"client": 20}), vec![2, 4]),
        (json!({"client": 1}), vec![]),
        (json!({"all": true}), (0..ALL.len()).collect()),
    ] {
        assert_eq!(entries().await, ALL.len() as f64, "{order}");
        let got = sidecar.purge(order.clone()).await;
        let expected = json!({"purged": dropped.len()});
        assert_eq!((got.status, got.json()), (200, expected), "{order}");
        assert_eq!(
            entries().await,
            (ALL.len() - dropped.len()) as f64,
            "{order}"
        );
        for (at, request) in ALL.into_iter().enumerate() {
            let expected = if dropped.contains(&at) { STORED } else { HIT };
            assert_eq!(
                told(&read(&sidecar, request).await),
                expected,
                "{order} {request:?}"
            );
        }
    }
    sidecar.says("the cache was purged").await;
}

#[tokio::test]
async fn what_is_no_order_is_told_why_and_drops_nothing() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let flows = ("alice", "10", FLOWS);
    read(&sidecar, flows).await;
    let url = format!("http://{}/cache/purge", sidecar.admin);
    let ask = |body: &str| {
        let ask = Ask::new("POST", &url).with("Content-Type", "application/json");
        ask.body(body.to_owned())
    };
    let words = "expected one of {\"all\": true}, {\"key\": \"64 hex digits\"}, ";
    for (body, says) in [
        ("", words),
        ("{}", words),
        ("[]", words),
        ("all", words),
        ("\"all\"", words),
        (r#"{"all": false}"#, words),
        (r#"{"all": 1}"#, words),
        (r#"{"key": ""}"#, words),
        (r#"{"key": "abc"}"#, words),
        (
            r#"{"key": "zz00000000000000000000000000000000000000000000000000000000000000"}"#,
            words,
        ),
        (r#"{"user": "1"}"#, words),
        (r#"{"user": -1}"#, words),
        (r#"{"client": null}"#, words),
        (r#"{"user": 1, "client": 10}"#, words),
        (r#"{"everything": true}"#, words),
        (
            r#"{"route": "flows"}"#,
            "route: \"flows\" is no rule; `camarad-sidecar matrix` lists them",
        ),
        (r#"{"route": "/api/flows"}"#, "is no rule"),
    ] {
        let got = ask(body).bearer(Sidecar::ADMIN_TOKEN).send().await;
        let told = got.json();
        assert_eq!(
            (got.status, &told["code"]),
            (400, &json!("order_invalid")),
            "{body}"
        );
        assert!(
            told["error"].as_str().unwrap().contains(says),
            "{body}: {told}"
        );
    }
    let all = r#"{"all": true}"#;
    for (asked, status, code) in [
        (ask(all), 401, "admin_token_wrong"),
        (ask(all).bearer("guess"), 401, "admin_token_wrong"),
        // Callers' tokens are not operators'.
        (ask(all).bearer(&alice()), 401, "admin_token_wrong"),
        (
            Ask::new("POST", &url)
                .bearer(Sidecar::ADMIN_TOKEN)
                .body(all),
            415,
            "admin_content_type",
        ),
    ] {
        let got = asked.send().await;
        assert_eq!((got.status, got.code()), (status, code.to_owned()));
    }
    // Nor is it an order to callers' own listener.
    let url = sidecar.url("/cache/purge");
    let outside = Ask::new("POST", &url).bearer(Sidecar::ADMIN_TOKEN);
    let outside = outside.with("Content-Type", "application/json").body(all);
    assert_eq!(outside.send().await.status, 401);
    assert_eq!(told(&read(&sidecar, flows).await), HIT);
}

#[tokio::test]
async fn a_purge_wins_over_what_is_being_fetched() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let connector = read(&sidecar, ALL[0]).await;
    let key = key(&sidecar, &connector).await;
    let app = [
        json!({"all": true}),
        json!({"route": "flows.list"}),
        json!({"client": 10}),
    ];
    let report = "/api/connectors/googleads/report";
    for (request, upstream, path, orders) in [
        (
            ALL[0],
            &coolbits,
            report,
            vec![json!({"key": key}), json!({"user": 1})],
        ),
        (ALL[3], &legacy, FLOWS, app.into()),
    ] {
        for order in orders {
            sidecar.purge(json!({"all": true})).await;
            upstream.forget().await;
            let at = async || asked(upstream, path).await.len();
            upstream
                .faults(json!({"latency_ms": 1000, "latency_only": path}))
                .await;
            let url = sidecar.url(request.2);
            let slow = tokio::spawn(Ask::get(&url).bearer(&alice()).client("10").send());
            eventually("the fetch is under way", || async { at().await == 1 }).await;
            upstream.faults(json!({})).await;
            // It is not kept yet, so there is nothing to count.
            assert_eq!(
                sidecar.purge(order.clone()).await.json(),
                json!({"purged": 0})
            );
            assert!(!slow.is_finished(), "{order}");
            if request == ALL[3] {
                // The next one asks again, and does not wait for what was purged.
                assert_eq!(told(&read(&sidecar, request).await), STORED, "{order}");
                assert_eq!(told(&slow.await.unwrap()), MISS, "{order}");
            } else {
                // Coolbits is asked by one user in turn.
                assert_eq!(told(&slow.await.unwrap()), MISS, "{order}");
                assert_eq!(told(&read(&sidecar, request).await), STORED, "{order}");
            }
            assert_eq!(at().await, 2, "{order}");
            assert_eq!(told(&read(&sidecar, request).await), HIT, "{order}");
        }
    }
}
