//! The same with an app that asks by itself: its stand-in, given the sidecar's listener as
//! its `COOLBITS_URL`.

use super::{ADS, EXECUTE, GA4, SELECT, flow, hash};
use crate::support::{Ask, Claims, Setup, Sidecar, StandIn, alice, bob, token, unlimited};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The service account's token at Coolbits' stand-in.
const SERVICE: &str = "service-dev@camarad.ai";

pub(super) async fn house() -> (Sidecar, StandIn, StandIn) {
    house_of(Setup::default()).await
}

pub(super) async fn house_of(setup: Setup) -> (Sidecar, StandIn, StandIn) {
    let coolbits = StandIn::start("coolbits").await;
    let mut legacy = StandIn::start("legacy").await;
    let setup = setup.set("SIDECAR_COOLBITS_LISTEN", "127.0.0.1:0");
    let sidecar = setup.start(&coolbits, &legacy).await;
    legacy.ask_coolbits_at(&sidecar.behind("")).await;
    (sidecar, coolbits, legacy)
}

/// Whose token each call of Coolbits had, and which account it read or selected.
async fn reads(coolbits: &StandIn) -> BTreeSet<(String, String)> {
    let mut reads = BTreeSet::new();
    for call in coolbits.calls().await {
        let path = call["path"].as_str().unwrap();
        assert_ne!(path, "/api/auth/mock-login", "{call}");
        assert_ne!(call["token_hash"], hash(SERVICE), "{call}");
        let named = match path {
            ADS | GA4 => {
                let query = call["query"].as_str().unwrap();
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let named = pairs.find(|(name, _)| ["account_id", "propertyId"].contains(name));
                named.unwrap().1.to_owned()
            }
            SELECT => call["body"]["customerId"].as_str().unwrap().to_owned(),
            other => panic!("{other} is no read"),
        };
        let token = call["token_hash"].as_str().unwrap_or("none").to_owned();
        reads.insert((token, named));
    }
    reads
}

/// The step's figures in an answer to a run.
fn figures<'a>(answer: &'a Value, node: &str) -> &'a Value {
    let results = answer["results"].as_array().unwrap();
    let result = results.iter().find(|one| one["node_id"] == node).unwrap();
    &result["data"]["metric_values"]
}

#[tokio::test]
async fn runs_of_two_users_and_three_clients_at_once_read_only_their_own() {
    let (sidecar, coolbits, _legacy) = house().await;
    let (a, b) = (alice(), bob());
    let tenants = [
        (&a, "10", "1234567890", "123-456-7890", "G-ABC123DEF4"),
        (&a, "11", "2345678901", "234-567-8901", "G-XYZ789GHI0"),
        (&b, "20", "3456789012", "345-678-9012", "G-JKL456MNO1"),
    ];
    // What each is to get, by the sidecar's own routes.
    let mut expected = Vec::new();
    for (token, client, ..) in tenants {
        let clicks = sidecar.ads(token, client, "campaigns").await.json();
        let web = sidecar
            .route(token, client, "GET /api/connectors/ga4/overview", "")
            .await
            .json();
        assert_eq!(
            (&clicks["source"], &web["source"]),
            (&json!("coolbits"), &json!("coolbits"))
        );
        expected.push((
            clicks["summary"]["total_clicks"].clone(),
            web["sessions"].clone(),
        ));
    }
    assert_eq!(
        expected
            .iter()
            .map(|of| of.0.to_string())
            .collect::<BTreeSet<_>>()
            .len(),
        3
    );
    coolbits.forget().await;
    coolbits.faults(json!({"latency_ms": 20})).await;
    let body = json!({"flow": flow()}).to_string();
    let runs = (0..12).map(|n| {
        let (token, client, ..) = tenants[n % 3];
        sidecar.route(token, client, EXECUTE, &body)
    });
    for (n, got) in join_all(runs).await.into_iter().enumerate() {
        let (_, _, _, account, property) = tenants[n % 3];
        let answer = got.json();
        assert_eq!(
            (got.status, &answer["data"]),
            (200, &json!("real")),
            "{answer}"
        );
        let (clicks, sessions) = &expected[n % 3];
        assert_eq!(&figures(&answer, "ads")["clicks"], clicks);
        assert_eq!(&figures(&answer, "web")["sessions"], sessions);
        let source = |node: &str, connector: &str, account: &str, path: &str| {
            json!({"node_id": node, "connector": connector, "source": "coolbits", "account": account,
                   "gateway": {"enabled": true, "path": path, "status": 200}})
        };
        let sources = json!([
            source("ads", "google-ads", account, ADS),
            source("web", "ga4", property, GA4)
        ]);
        assert_eq!(answer["sources"], sources);
    }
    let own = tenants
        .iter()
        .flat_map(|(token, _, customer, account, property)| {
            [customer, account, property].map(|named| (hash(token), (*named).to_owned()))
        });
    assert_eq!(
        reads(&coolbits).await,
        own.collect(),
        "something else was read"
    );
}

#[tokio::test]
async fn what_the_app_asks_for_nobody_reads_nothing() {
    let (sidecar, coolbits, legacy) = house().await;
    // Past the sidecar, as anybody may ask an app that a cookie tells who they are.
    let body = json!({"flow": flow()}).to_string();
    for cookie in ["", "camarad_user_id=1", "camarad_user_id=2"] {
        let ask = Ask::new(
            "POST",
            &format!("{}/api/orchestrator/execute", legacy.url()),
        );
        let got = ask
            .with("Cookie", cookie)
            .with(
                "X-Client-ID",
                if cookie.ends_with('2') { "20" } else { "10" },
            )
            .with("Content-Type", "application/json")
            .body(body.clone())
            .send()
            .await;
        let text = String::from_utf8_lossy(&got.body);
        assert!(!text.contains(r#""source":"coolbits""#), "{cookie}: {text}");
    }
    // And at the sidecar, without a token or with a bad one.
    for token in ["", "x.y.z"] {
        let got = sidecar.route(token, "10", EXECUTE, &body).await;
        assert_eq!(got.status, 401);
    }
    assert_eq!(reads(&coolbits).await, BTreeSet::new());
}

#[tokio::test]
async fn stored_settings_of_nobody_and_of_others_choose_nothing() {
    let (sidecar, coolbits, legacy) = house().await;
    // Of nobody, of the user without a client, and of another user: as the app stores them
    // from whoever asks it.
    for (cookie, client) in [
        ("", ""),
        ("camarad_user_id=1", ""),
        ("camarad_user_id=2", "20"),
    ] {
        for (slug, config) in [
            (
                "google-ads",
                json!({"account_id": "999-999-9999", "mcc_id": "888-888-8888"}),
            ),
            ("ga4", json!({"property_id": "G-STORED0000"})),
        ] {
            let url = format!("{}/api/connectors/{slug}", legacy.url());
            let mut ask = Ask::new("POST", &url).with("Cookie", cookie);
            if !client.is_empty() {
                ask = ask.client(client);
            }
            let body = json!({"status": "connected", "config": config}).to_string();
            ask.with("Content-Type", "application/json")
                .body(body)
                .send()
                .await;
        }
    }
    let body = json!({"flow": flow()}).to_string();
    let limited = token(Claims::new(1, &[10]));
    let got = sidecar.route(&limited, "10", EXECUTE, &body).await;
    // A manager that only the user's own settings name is nobody's for a limited token.
    assert_eq!(
        (got.status, got.code().as_str()),
        (404, "account_not_linked")
    );
    assert_eq!(reads(&coolbits).await, BTreeSet::new());
    let body = json!({"flow": {"nodes": [
        {"id": "start", "type": "trigger"},
        {"id": "web", "type": "connector", "slug": "ga4"},
        {"id": "think", "type": "agent", "slug": "seo"}, {"id": "say", "type": "output"},
    ], "connections": [{"from": "start", "to": "web"}, {"from": "web", "to": "think"}, {"from": "think", "to": "say"}]}});
    let got = sidecar
        .route(&limited, "10", EXECUTE, &body.to_string())
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.json()["sources"][0]["account"], "G-ABC123DEF4");
    let own = (hash(&limited), "G-ABC123DEF4".to_owned());
    assert_eq!(reads(&coolbits).await, [own].into());
}

#[tokio::test]
async fn logging_in_consent_and_chat_work_through_the_listener() {
    let (sidecar, coolbits, _legacy) = house().await;
    let email = json!("user1@example.com");
    let alice = token(Claims::new(1, &[10, 11]).with("email", email));
    for (path, location, cookies) in [
        (
            "/api/auth/google/start?next=%2Fapp",
            "https://accounts.example/consent?state=live-state&scope=openid%20email",
            1,
        ),
        (
            "/api/auth/google/callback?code=a%2Fb&state=s",
            "/signup?next=%2Fapp&signed_in=1",
            2,
        ),
        (
            "/api/connectors/ga4/oauth/callback?code=x+y&state=s",
            "/connectors?ga4=connected",
            1,
        ),
    ] {
        coolbits.forget().await;
        let got = sidecar.get(path).bearer(&alice).response().await;
        assert_eq!(got.status(), 302, "{path}");
        assert_eq!(got.headers()["location"], location);
        let set = got.headers().get_all("set-cookie").iter().count();
        assert_eq!(set, cookies, "{path}");
        let calls = coolbits.calls().await;
        assert_eq!(calls.len(), 1, "{calls:#?}");
        let (bare, query) = path.split_once('?').unwrap();
        assert_eq!(
            (
                &calls[0]["path"],
                &calls[0]["query"],
                &calls[0]["token_hash"]
            ),
            (&json!(bare), &json!(query), &json!(null))
        );
    }
    coolbits.forget().await;
    let consent = sidecar
        .route(&alice, "10", "GET /api/connectors/ga4/auth-url", "")
        .await;
    assert_eq!(consent.status, 200, "{consent:?}");
    assert!(consent.json()["url"].is_string());
    let login = json!({"token": alice, "next": "/connectors"}).to_string();
    let login = sidecar
        .route("", "", "POST /api/auth/session", &login)
        .await;
    assert_eq!((login.status, &login.json()["user_id"]), (200, &json!(1)));
    let chat = json!({"message": "why?"}).to_string();
    let said = sidecar
        .route(&alice, "10", "POST /chat/business/seo", &chat)
        .await;
    assert_eq!(said.json()["response"], "Live reply to: why?", "{said:?}");
    let calls = coolbits.calls().await;
    let asked: Vec<&str> = calls
        .iter()
        .map(|call| call["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        asked,
        [
            "/api/connectors/ga4/auth/url",
            "/api/auth/me",
            "/api/runs",
            "/api/runs/run-1/llm"
        ]
    );
    for call in &calls {
        assert_eq!(call["token_hash"], hash(&alice), "{call}");
    }
}

#[tokio::test]
async fn a_brief_tells_of_the_callers_own_client_or_of_nobodys() {
    const BRIEF: &str = "GET /api/orchestrator/agent-brief/cmo-growth";
    let (sidecar, coolbits, _legacy) = house().await;
    let a = alice();
    let brief =
        async |token: &str, client: &str| sidecar.route(token, client, BRIEF, "").await.json();
    let told = brief(&a, "10").await;
    assert_eq!(
        (&told["total_live"], &told["total_planned"]),
        (&json!(2), &json!(0)),
        "{told}"
    );
    let rows = &told["connector_summaries"];
    assert_eq!(
        (&rows[0]["account_id"], &rows[1]["property_id"]),
        (&json!("123-456-7890"), &json!("G-ABC123DEF4"))
    );
    let web = sidecar
        .route(&a, "10", "GET /api/connectors/ga4/overview", "")
        .await
        .json();
    assert_eq!(rows[1]["kpis"]["Sessions"], web["sessions"].to_string());
    let other = brief(&a, "11").await;
    assert_eq!(
        other["connector_summaries"][1]["property_id"],
        "G-XYZ789GHI0"
    );
    let own = ["1234567890", "2345678901", "123-456-7890", "234-567-8901"];
    let own = own.into_iter().chain(["G-ABC123DEF4", "G-XYZ789GHI0"]);
    let own = own.map(|named| (hash(&a), named.to_owned()));
    assert_eq!(reads(&coolbits).await, own.collect());
    coolbits.forget().await;
    let nobodys = brief(&unlimited(), "").await;
    sidecar.switch(false).await;
    for told in [nobodys, brief(&a, "10").await] {
        for row in told["connector_summaries"].as_array().unwrap() {
            assert_eq!(
                (&row["status"], &row["kpis"]),
                (&json!("planned"), &json!({})),
                "{told}"
            );
        }
    }
    assert_eq!(reads(&coolbits).await, BTreeSet::new());
}

#[tokio::test]
async fn an_app_that_asks_coolbits_itself_puts_nothing_into_a_brief() {
    let (sidecar, coolbits, mut legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy.ask_coolbits_at(&coolbits.url()).await;
    let brief = "GET /api/orchestrator/agent-brief/cmo-growth";
    let told = sidecar.route(&unlimited(), "", brief, "").await.json();
    let row = &told["connector_summaries"][1];
    assert_eq!(
        (&row["slug"], &row["status"], &row["kpis"]),
        (&json!("ga4"), &json!("planned"), &json!({})),
        "{told}"
    );
}

#[tokio::test]
async fn every_template_reads_real_figures_where_there_are_any() {
    let (sidecar, coolbits, _legacy) = house().await;
    let a = alice();
    let listed = sidecar
        .route(&a, "10", "GET /api/flows/templates", "")
        .await
        .json();
    let own = listed.as_array().unwrap().iter();
    let own = own.filter(|row| row["template_id"].is_string());
    let mut told = Vec::new();
    for template in own {
        let body = json!({"flow": template["flow"]}).to_string();
        let answer = sidecar.route(&a, "10", EXECUTE, &body).await.json();
        let sources = answer["sources"].as_array().unwrap();
        for source in sources {
            let is_read = ["google-ads", "ga4"].contains(&source["connector"].as_str().unwrap());
            let expected = if is_read { "coolbits" } else { "mock" };
            assert_eq!(
                source["source"], expected,
                "{}: {source}",
                template["template_id"]
            );
        }
        told.push((template["template_id"].clone(), answer["data"].clone()));
    }
    told.sort_by_key(|(id, _)| id.to_string());
    // What the app makes up itself is not called real.
    let expected = [
        ("biz-executive-weekly-brief", "mixed"),
        ("biz-growth-review", "real"),
        ("biz-incident-triage", "mock"),
        ("biz-lead-pipeline", "mock"),
        ("biz-paid-budget-pacing", "real"),
        ("biz-product-launch-support", "mixed"),
        ("biz-revenue-summary", "mock"),
        ("biz-seo-audit", "mixed"),
        ("biz-store-performance", "mixed"),
        ("biz-tag-health", "mock"),
    ];
    assert_eq!(told, expected.map(|(id, data)| (json!(id), json!(data))));
    assert!(!reads(&coolbits).await.is_empty());
}
