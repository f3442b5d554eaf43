//! The app's own reads: what is asked of it once, and for whom again.

use super::{CLIENTS, FLOWS, HIT, LIST, PLANS, STORED, asked, second_token, told, whom};
use crate::support::{Got, Setup, Sidecar, alice, bob, unlimited};
use serde_json::{Value, json};

/// Read for user, client and credential.
const TENANT: [&str; 8] = [
    FLOWS,
    LIST,
    "/api/connectors",
    "/api/orchestrator/history",
    "/api/boardroom/meetings",
    "/api/settings/summary",
    "/api/connectors/stripe/accounts",
    "/api/connectors/aws/ec2",
];
/// Read for user and credential.
const USER: [&str; 4] = [
    CLIENTS,
    "/api/settings/user",
    "/api/maturity",
    "/api/search?q=budget",
];
/// Read once for everybody; the first for those without a session, too.
const SHARED: [&str; 3] = [
    PLANS,
    "/api/boardroom/templates",
    "/api/agent-connectors/seo",
];

#[tokio::test]
async fn each_class_is_asked_once_for_whom_it_holds() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, bob, second, whole) = (alice(), bob(), second_token(), unlimited());
    let read = async |token: &str, client: &str, target: &str| -> Got {
        let got = sidecar
            .route(token, client, &format!("GET {target}"), "")
            .await;
        assert_eq!(got.status, 200, "{target}: {got:?}");
        got
    };
    let by = |user: &str, client: &str| (json!(user), json!(client));
    for target in TENANT {
        let first = read(&alice, "10", target).await;
        let mut results = vec![told(&first)];
        for (token, client) in [
            (&alice, "10"),
            (&alice, "11"),
            (&bob, "20"),
            (&second, "10"),
        ] {
            let got = read(token, client, target).await;
            results.push(told(&got));
            if (token, client) == (&alice, "10") {
                assert_eq!(got.body, first.body, "{target}");
            }
        }
        assert_eq!(results, [STORED, HIT, STORED, STORED, STORED], "{target}");
        let expected = [by("1", "10"), by("1", "11"), by("2", "20"), by("1", "10")];
        assert_eq!(whom(&asked(&legacy, target).await), expected, "{target}");
    }
    for target in USER {
        let (mut results, mut bodies) = (Vec::new(), Vec::new());
        // Limited tokens are not told about all clients together.
        let (one, other) = match target {
            "/api/maturity" => (&whole, &whole),
            _ => (&alice, &second),
        };
        for (token, client) in [
            (one, "10"),
            (one, "11"),
            (one, ""),
            (&bob, "20"),
            (other, "10"),
        ] {
            if target == "/api/maturity" && token == &bob {
                continue;
            }
            let got = read(token, client, target).await;
            results.push(told(&got));
            bodies.push(got.body);
        }
        assert_eq!(results[..3], [STORED, HIT, HIT], "{target}");
        assert!(
            bodies[..3].iter().all(|body| *body == bodies[0]),
            "{target}"
        );
        let none = |user: &str| (json!(user), Value::Null);
        let expected = match target {
            "/api/maturity" => vec![none("1")],
            _ => vec![none("1"), none("2"), none("1")],
        };
        let path = target.split('?').next().unwrap_or_default();
        assert_eq!(whom(&asked(&legacy, path).await), expected, "{target}");
    }
    for target in SHARED {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut answers = Vec::new();
        if target == PLANS {
            answers.push(sidecar.get(target).send().await);
        } else {
            assert_eq!(sidecar.get(target).send().await.status, 401, "{target}");
        }
        for (token, client) in [(&alice, "10"), (&alice, "11"), (&bob, "20"), (&second, "")] {
            answers.push(read(token, client, target).await);
        }
        assert_eq!(told(&answers[0]), STORED, "{target}");
        for got in &answers[1..] {
            assert_eq!(
                (told(got), &got.body),
                (HIT.into(), &answers[0].body),
                "{target}"
            );
        }
        assert_eq!(
            sidecar.get(target).send().await.status,
            if target == PLANS { 200 } else { 401 }
        );
        let calls = asked(&legacy, path).await;
        assert_eq!(
            (calls.len(), &calls[0]["query"]),
            (1, &json!(query)),
            "{target}"
        );
        // Shared is what it says, not whose client may be named.
        let foreign = sidecar
            .route(&alice, "20", &format!("GET {target}"), "")
            .await;
        let is_scoped = target.starts_with("/api/boardroom/");
        assert_eq!(
            foreign.status,
            if is_scoped { 404 } else { 200 },
            "{target}"
        );
    }
    // Made up is said to be, from the cache too.
    let ec2 = read(&bob, "20", "/api/connectors/aws/ec2").await;
    assert_eq!(
        (told(&ec2), &ec2.json()["source"]),
        (HIT.into(), &json!("mock"))
    );
    assert_eq!(ec2.header("x-camarad-source"), "mock");
    // Another query is another question.
    assert_eq!(told(&read(&bob, "", "/api/search?q=plan").await), STORED);
}

#[tokio::test]
async fn the_apps_reads_can_be_left_alone() {
    let setup = Setup::default().set("SIDECAR__CACHE__APP_READS", "false");
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    for target in [FLOWS, CLIENTS, PLANS, "/api/connectors/aws/ec2"] {
        for _ in 0..2 {
            let got = sidecar
                .get(target)
                .bearer(&alice())
                .client("10")
                .send()
                .await;
            assert_eq!((got.status, told(&got)), (200, String::new()), "{target}");
            assert_eq!(got.header("etag"), "", "{target}");
        }
        assert_eq!(asked(&legacy, target).await.len(), 2, "{target}");
    }
    assert_eq!(sidecar.metric("sidecar_cache_entries").await, 0.0);
    for expected in [STORED, HIT] {
        assert_eq!(
            told(&sidecar.ads(&alice(), "10", "campaigns").await),
            expected
        );
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 1);
}
