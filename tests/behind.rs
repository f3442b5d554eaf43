//! Behind the app: what it asks of Coolbits by itself, judged by a Coolbits that records
//! whose token and which account each call had. The app's part is played here.

mod app;
mod attacks;

use crate::support::{Ask, Claims, Got, Setup, Sidecar, StandIn, alice, bob, eventually, token};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const EXECUTE: &str = "POST /api/orchestrator/execute";
const ADS: &str = "/api/connectors/googleads/report";
const GA4: &str = "/api/connectors/ga4/report";
const SELECT: &str = "/api/connectors/googleads/customer";

async fn started() -> (Sidecar, StandIn, StandIn) {
    let setup = Setup::default().set("SIDECAR_COOLBITS_LISTEN", "127.0.0.1:0");
    Sidecar::with_stand_ins(setup).await
}

/// Asks as the app does.
async fn ask(sidecar: &Sidecar, token: Option<&str>, target: &str) -> Got {
    let ask = Ask::get(&sidecar.behind(target));
    match token {
        Some(token) => ask.bearer(token),
        None => ask,
    }
    .send()
    .await
}

/// The token that the app gets for the shared service account.
async fn nobody(sidecar: &Sidecar) -> String {
    let got = Ask::new("POST", &sidecar.behind("/api/auth/mock-login"))
        .with("Content-Type", "application/json")
        .body(r#"{"email": "dev@camarad.ai"}"#)
        .send()
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    got.json()["token"].as_str().unwrap().to_owned()
}

fn hash(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn flow() -> Value {
    json!({
        "nodes": [
            {"id": "start", "type": "trigger", "label": "Start"},
            {"id": "ads", "type": "connector", "slug": "google-ads", "label": "Ads"},
            {"id": "web", "type": "connector", "slug": "ga4", "label": "Web"},
            {"id": "think", "type": "agent", "slug": "seo", "label": "Analyst"},
            {"id": "say", "type": "output", "label": "Mail"},
        ],
        "connections": [
            {"from": "start", "to": "ads"}, {"from": "ads", "to": "web"},
            {"from": "web", "to": "think"}, {"from": "think", "to": "say"},
        ],
    })
}

/// The handles that the app was given for its latest run: of Google Ads and of GA4.
async fn handles(legacy: &StandIn, run: usize) -> (String, String) {
    eventually("the app has the run", || async {
        legacy.calls_to("/api/orchestrator/execute").await.len() > run
    })
    .await;
    let calls = legacy.calls_to("/api/orchestrator/execute").await;
    let nodes = &calls[run]["body"]["flow"]["nodes"];
    let of = |at: usize, name: &str| nodes[at]["config"][name].as_str().unwrap().to_owned();
    (of(1, "account_id"), of(2, "property_id"))
}

#[tokio::test]
async fn nobody_reads_nothing_and_the_service_account_is_never_used() {
    let (sidecar, coolbits, _legacy) = started().await;
    let nobody = nobody(&sidecar).await;
    for token in [None, Some(nobody.as_str())] {
        for target in [
            "/api/connectors/ga4/status".to_owned(),
            format!("{GA4}?propertyId=G-ABC123DEF4"),
            format!("{ADS}?account_id=123-456-7890"),
            format!("{ADS}?account_id=1234567890123456789"),
            "/api/auth/me".to_owned(),
            "/api/billing".to_owned(),
        ] {
            let got = ask(&sidecar, token, &target).await;
            assert_eq!(
                (got.status, &got.json()["error"]),
                (400, &json!("not_connected")),
                "{target}"
            );
        }
    }
    let calls = coolbits.calls().await;
    assert!(calls.is_empty(), "{calls:#?}");
}

#[tokio::test]
async fn a_callers_own_good_token_passes_and_no_other() {
    let (sidecar, coolbits, _legacy) = started().await;
    let got = ask(&sidecar, Some(&alice()), "/api/connectors/ga4/status").await;
    assert_eq!(got.status, 200, "{got:?}");
    let calls = coolbits.calls().await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["token_hash"], hash(&alice()));
    let expired = token(Claims::new(1, &[10]).with("exp", json!(1_000_000)));
    let revoked = token(Claims::new(1, &[10]).with("jti", json!("gone")));
    assert_eq!(sidecar.revoke(json!({"token": revoked})).await.status, 200);
    for bad in [expired.as_str(), revoked.as_str(), "x.y.z", "nobody-0"] {
        let got = ask(&sidecar, Some(bad), "/api/connectors/ga4/status").await;
        assert_eq!(got.status, 401, "{bad}: {got:?}");
    }
    for odd in ["/api/../api/auth/me", "//api/auth/me", "/api/%61uth/me"] {
        let address = sidecar
            .behind("")
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        let request = format!(
            "GET {odd} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            alice()
        );
        let (head, _) = crate::support::raw_answer(address, request.as_bytes(), "GET").await;
        assert!(head.starts_with("HTTP/1.1 400"), "{odd}: {head}");
    }
    assert_eq!(coolbits.calls().await.len(), 1);
}

#[tokio::test]
async fn google_ads_with_a_callers_own_token_is_selected_and_read_as_one() {
    let (sidecar, coolbits, _legacy) = started().await;
    let select = Ask::new("POST", &sidecar.behind(SELECT))
        .bearer(&alice())
        .with("Content-Type", "application/json")
        .body(r#"{"customerId": "9999999999"}"#)
        .send()
        .await;
    assert_eq!(select.status, 200, "{select:?}");
    let query = "account_id=123-456-7890&preset=campaigns&from=2026-01-01&to=2026-01-07";
    let got = ask(&sidecar, Some(&alice()), &format!("{ADS}?{query}")).await;
    assert_eq!(
        (got.status, &got.json()["customerId"]),
        (200, &json!("1234567890")),
        "{got:?}"
    );
    let calls = coolbits.calls().await;
    assert_eq!(calls.len(), 2, "{calls:#?}");
    assert_eq!(calls[0]["body"]["customerId"], "1234567890");
    assert_eq!(calls[1]["query"], query);
    // Whatever was selected last is nobody's choice.
    let got = ask(&sidecar, Some(&alice()), &format!("{ADS}?preset=campaigns")).await;
    assert_eq!(got.status, 502, "{got:?}");
    assert_eq!(coolbits.calls().await.len(), 2);
}

#[tokio::test]
async fn signing_in_passes_by_method_and_path_without_a_token() {
    let (sidecar, coolbits, _legacy) = started().await;
    let paths = [
        "/api/auth/google/start",
        "/api/auth/google/callback",
        "/api/connectors/ga4/oauth/callback",
    ];
    for path in paths {
        let got = Ask::get(&sidecar.behind(&format!("{path}?state=s&code=c")))
            .with("Cookie", "a=b")
            .send()
            .await;
        assert_ne!(got.status, 400, "{got:?}");
    }
    let calls = coolbits.calls().await;
    let asked: Vec<&str> = calls
        .iter()
        .map(|call| call["path"].as_str().unwrap())
        .collect();
    assert_eq!(asked, paths);
    for call in &calls {
        assert_eq!(
            (&call["query"], &call["token_hash"]),
            (&json!("state=s&code=c"), &json!(null))
        );
        assert_eq!(call["headers"]["cookie"], "a=b");
    }
    let posted = Ask::new("POST", &sidecar.behind(paths[0])).send().await;
    assert_eq!(posted.status, 400);
    let token = ask(&sidecar, Some("x.y.z"), "/api/auth/me").await;
    assert_eq!(
        token.status,
        coolbits_says(&coolbits).await,
        "Coolbits is asked whose it is"
    );
}

/// What Coolbits itself says of a token that it does not know.
async fn coolbits_says(coolbits: &StandIn) -> u16 {
    let url = format!("{}/api/auth/me", coolbits.url());
    Ask::get(&url).bearer("x.y.z").send().await.status
}

#[tokio::test]
async fn two_runs_at_once_read_only_their_own_and_nothing_when_they_have_ended() {
    let (sidecar, coolbits, legacy) = started().await;
    legacy
        .faults(json!({"latency_ms": 1500, "latency_only": "execute"}))
        .await;
    let body = json!({"flow": flow()}).to_string();
    let nobody = nobody(&sidecar).await;
    let (a, b) = (alice(), bob());
    let runs = async {
        tokio::join!(
            sidecar.route(&a, "10", EXECUTE, &body),
            sidecar.route(&b, "20", EXECUTE, &body),
        )
    };
    let reads = async {
        let (one, two) = (handles(&legacy, 0).await, handles(&legacy, 1).await);
        let calls = legacy.calls_to("/api/orchestrator/execute").await;
        // Which of the two came first does not matter.
        let (alices, bobs) = match calls[0]["headers"]["x-client-id"] == "10" {
            true => (one, two),
            false => (two, one),
        };
        coolbits.forget().await;
        let select = Ask::new("POST", &sidecar.behind(SELECT))
            .bearer(&nobody)
            .with("Content-Type", "application/json")
            .body(json!({"customerId": alices.0}).to_string())
            .send()
            .await;
        assert_eq!(select.status, 200);
        assert!(
            coolbits.calls().await.is_empty(),
            "a customer was selected without a read"
        );
        for (handle, token, customer, account) in [
            (&alices.0, &a, "1234567890", "123-456-7890"),
            (&bobs.0, &b, "3456789012", "345-678-9012"),
        ] {
            coolbits.forget().await;
            // What the app adds of managers from elsewhere does not go on.
            let target = format!(
                "{ADS}?account_id={handle}&preset=campaigns&from=2026-01-01&to=2026-01-07&mcc=234-567-8901&customer_id=2345678901"
            );
            let got = ask(&sidecar, Some(&nobody), &target).await;
            assert_eq!(got.status, 200, "{got:?}");
            let calls = coolbits.calls().await;
            assert_eq!(calls.len(), 2, "{calls:#?}");
            assert_eq!(calls[0]["body"]["customerId"], customer);
            assert_eq!(
                calls[1]["query"],
                format!("account_id={account}&preset=campaigns&from=2026-01-01&to=2026-01-07")
            );
            for call in &calls {
                assert_eq!(call["token_hash"], hash(token), "{call}");
            }
        }
        let target = format!(
            "{GA4}?propertyId={}&from=2026-01-01&to=2026-01-07&blocks=overview",
            alices.1
        );
        let got = ask(&sidecar, Some(&nobody), &target).await;
        assert_eq!(got.status, 200, "{got:?}");
        let last = coolbits.calls().await.pop().unwrap();
        assert_eq!(
            (&last["query"], &last["token_hash"]),
            (
                &json!("propertyId=G-ABC123DEF4&from=2026-01-01&to=2026-01-07&blocks=overview"),
                &json!(hash(&a))
            )
        );
        // A handle is for its own connector, and for reads of figures.
        for target in [
            format!("{GA4}?propertyId={}", alices.0),
            format!("/api/connectors/ga4/status?propertyId={}", alices.1),
            format!(
                "/api/connectors/googleads/customers?account_id={}",
                alices.0
            ),
            format!("{ADS}?account_id={}&x={}", alices.0, bobs.0),
        ] {
            let got = ask(&sidecar, Some(&nobody), &target).await;
            assert!(got.status >= 400, "{target}: {got:?}");
        }
        (alices, bobs)
    };
    let ((alices_run, bobs_run), (alices, bobs)) = tokio::join!(runs, reads);
    for (got, account) in [(&alices_run, "123-456-7890"), (&bobs_run, "345-678-9012")] {
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(got.json()["sources"][0]["account"], account);
    }
    // What came of the read is told with the step.
    let gateway = &alices_run.json()["sources"][0]["gateway"];
    assert_eq!(
        (&gateway["enabled"], &gateway["path"]),
        (&json!(true), &json!(ADS))
    );
    coolbits.forget().await;
    for (path, name, handle) in [
        (ADS, "account_id", &alices.0),
        (GA4, "propertyId", &alices.1),
        (ADS, "account_id", &bobs.0),
    ] {
        let got = ask(&sidecar, Some(&nobody), &format!("{path}?{name}={handle}")).await;
        assert_eq!(
            (got.status, &got.json()["error"]),
            (400, &json!("not_connected"))
        );
    }
    assert!(
        coolbits.calls().await.is_empty(),
        "a handle outlived its run"
    );
    // Nobody sees a handle: not the caller, not the history, not the ledger's trace.
    let id = alices_run.json()["execution_id"].clone();
    let history = format!("GET /api/orchestrator/history/{id}");
    for got in [
        &alices_run,
        &sidecar.route(&a, "10", &history, "").await,
        &sidecar
            .route(&a, "10", &format!("{history}/trace"), "")
            .await,
    ] {
        let text = String::from_utf8_lossy(&got.body);
        assert!(
            !text.contains(&alices.0) && !text.contains(&alices.1),
            "{text}"
        );
        assert!(text.contains("123-456-7890"), "{text}");
    }
}

#[tokio::test]
async fn another_process_knows_no_handle_of_this_one() {
    let (sidecar, coolbits, legacy) = started().await;
    let setup = Setup::default().set("SIDECAR_COOLBITS_LISTEN", "127.0.0.1:0");
    let other = setup.start(&coolbits, &legacy).await;
    legacy
        .faults(json!({"latency_ms": 500, "latency_only": "execute"}))
        .await;
    let (token, body) = (alice(), json!({"flow": flow()}).to_string());
    let run = sidecar.route(&token, "10", EXECUTE, &body);
    let read = async {
        let (ads, _) = handles(&legacy, 0).await;
        let mine = nobody(&sidecar).await;
        // Its token means nobody here, and is none there.
        let got = ask(&other, Some(&mine), &format!("{ADS}?account_id={ads}")).await;
        assert_eq!(got.status, 401, "{got:?}");
        let theirs = nobody(&other).await;
        let got = ask(&other, Some(&theirs), &format!("{ADS}?account_id={ads}")).await;
        assert_eq!(got.status, 400, "{got:?}");
    };
    let (run, ()) = tokio::join!(run, read);
    assert_eq!(run.status, 200, "{run:?}");
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn with_the_gateway_off_a_run_reads_nothing_real() {
    let (sidecar, coolbits, legacy) = started().await;
    sidecar.switch(false).await;
    legacy
        .faults(json!({"latency_ms": 500, "latency_only": "execute"}))
        .await;
    let (token, body) = (alice(), json!({"flow": flow()}).to_string());
    let run = sidecar.route(&token, "10", EXECUTE, &body);
    let read = async {
        let (ads, _) = handles(&legacy, 0).await;
        let nobody = nobody(&sidecar).await;
        let got = ask(&sidecar, Some(&nobody), &format!("{ADS}?account_id={ads}")).await;
        assert_eq!(
            (got.status, &got.json()["error"]),
            (404, &json!("disabled")),
            "{got:?}"
        );
    };
    let (run, ()) = tokio::join!(run, read);
    assert_eq!((run.status, &run.json()["data"]), (200, &json!("mock")));
    assert_eq!(
        run.json()["sources"][0]["gateway"],
        json!({"enabled": false, "reason": "disabled"}),
        "{run:?}"
    );
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn it_listens_on_loopback_alone_and_not_where_coolbits_is() {
    let check = async |listen: &str| {
        let output = crate::support::command()
            .arg("check")
            .env("SIDECAR_JWT_SECRET", crate::support::SECRET)
            .env("SIDECAR_JWT_USER_CLAIM", "uid")
            .env("SIDECAR_COOLBITS_LISTEN", listen)
            .output()
            .await
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (listen, words) in [
        ("0.0.0.0:8789", "expected a loopback address"),
        ("192.0.2.1:8789", "expected a loopback address"),
        ("here", "expected a loopback address and port"),
        ("127.0.0.1:8788", "gateway.url too"),
    ] {
        let (code, said) = check(listen).await;
        assert_eq!(code, Some(2), "{listen}: {said}");
        assert!(
            said.contains("SIDECAR_COOLBITS_LISTEN") && said.contains(words),
            "{listen}: {said}"
        );
    }
    assert_eq!(check("127.0.0.1:8789").await.0, Some(0));
}
