//! The status page of the admin listener: it tells what happened, to whoever may know it,
//! and nothing that is somebody's.

mod access;
mod in_a_browser;

use crate::support::{Ask, Got, SECRET, Setup, Sidecar, StandIn, alice, bob, caller, fault};
use serde_json::{Value, json};

/// A name that would like to be more.
const FLOW: &str = "Acme's <script>alert(1)</script> mornings";
/// What a page may weigh.
const MOST_BYTES: usize = 60_000;

/// Quick to open, and not closed again.
fn quick() -> Setup {
    Setup::default()
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "500ms")
        .set("SIDECAR__GATEWAY__DEADLINE", "2s")
        .set("SIDECAR__GATEWAY__PROBE_INTERVAL", "200ms")
        .set("SIDECAR__BREAKER__CONSECUTIVE", 3)
        .set("SIDECAR__BREAKER__OPEN", "1m")
        .set("SIDECAR__CACHE__FALLBACK_TTL", "200ms")
}

fn ask(sidecar: &Sidecar, target: &str) -> Ask {
    Ask::get(&format!("http://{}{target}", sidecar.admin))
}

async fn page(sidecar: &Sidecar) -> String {
    text(&ask(sidecar, "/").send().await)
}

fn text(got: &Got) -> String {
    assert_eq!(got.status, 200, "{got:?}");
    String::from_utf8(got.body.clone()).unwrap()
}

async fn facts(sidecar: &Sidecar) -> Value {
    ask(sidecar, "/status.json").send().await.json()
}

/// One run of client 10; gives its id.
async fn run(sidecar: &Sidecar) -> String {
    let flow = json!({
        "nodes": [
            {"id": "start", "type": "trigger", "label": "Every morning", "config": {"trigger_type": "schedule"}},
            {"id": "ads", "type": "connector", "slug": "google-ads", "label": "Ads of <b>Acme</b>", "config": {"days": 7}},
            {"id": "think", "type": "agent", "slug": "seo", "label": "Analyst"},
            {"id": "say", "type": "output", "label": "Mail", "config": {"output_template": "{{last_agent_response}}"}},
        ],
        "connections": [{"from": "start", "to": "ads"}, {"from": "ads", "to": "think"}, {"from": "think", "to": "say"}],
    });
    let body = json!({"flow": flow, "name": FLOW}).to_string();
    let route = "POST /api/orchestrator/execute";
    let got = sidecar.route(&alice(), "10", route, &body).await;
    assert_eq!(got.status, 200, "{got:?}");
    got.json()["run_id"].as_str().unwrap().to_owned()
}

/// Coolbits answers nothing of use until it is not asked any more.
async fn break_coolbits(sidecar: &Sidecar, coolbits: &StandIn) {
    coolbits.faults(fault("reset")).await;
    for days in 1..=12 {
        let got = sidecar
            .ads(&alice(), "10", &format!("campaigns?days={days}"))
            .await;
        assert_eq!(got.header("x-camarad-source"), "mock");
        if got.json()["gateway"]["error"] == "breaker_open" {
            return;
        }
    }
    panic!("the breaker never opened");
}

#[tokio::test]
async fn every_panel_tells_what_happened() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(quick()).await;
    let before = facts(&sidecar).await;
    assert_eq!(before["refusals"]["total"], 0);
    assert_eq!(before["gateway"]["last_failure"], Value::Null);

    sidecar.ads(&alice(), "10", "campaigns").await;
    sidecar.ads(&alice(), "10", "campaigns").await;
    let run_id = run(&sidecar).await;
    let refused = sidecar.ads(&bob(), "10", "campaigns").await;
    assert_eq!(refused.code(), "client_not_allowed");
    sidecar.get("/api/clients").send().await;
    legacy
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    sidecar.get("/api/clients").bearer(&alice()).send().await;
    legacy.faults(fault("none")).await;
    break_coolbits(&sidecar, &coolbits).await;
    let records = sidecar.records().len() as u64;

    let told = facts(&sidecar).await;
    let gateway = &told["gateway"];
    assert_eq!(
        (&gateway["enabled"], &gateway["breaker"], &gateway["status"]),
        (&json!(true), &json!("open"), &json!("disconnected"))
    );
    assert_eq!(gateway["last_failure"]["code"], "unreachable");
    assert_ne!(gateway["last_probe"], Value::Null);
    assert!(
        gateway["mock_only"]
            .as_array()
            .unwrap()
            .contains(&json!("stripe.overview"))
    );

    let hour = |origin: usize, of: &str| -> u64 {
        let minutes = told["traffic"][origin]["minutes"].as_array().unwrap();
        assert_eq!(minutes.len(), 60);
        minutes
            .iter()
            .map(|minute| minute[of].as_u64().unwrap())
            .sum()
    };
    assert_eq!(told["traffic"][1]["origin"], "coolbits");
    assert!(hour(1, "failed") >= 1, "{told}");
    assert!(
        hour(1, "answers") > hour(1, "failed"),
        "the first read was good"
    );
    assert_eq!(hour(0, "failed"), 1, "the one that was made to");
    assert!(hour(0, "answers") >= 2, "the app answered the run too");
    assert!(hour(2, "answers") >= records, "all requests");
    assert_eq!(hour(2, "failed"), 0);

    let cached = told["cache"]["rules"].as_array().unwrap();
    let campaigns = cached
        .iter()
        .find(|row| row["name"] == "google-ads.campaigns")
        .unwrap();
    assert_eq!(
        (&campaigns["class"], &campaigns["hits"]),
        (&json!("tenant"), &json!(1))
    );
    assert!(told["cache"]["entries"].as_u64().unwrap() >= 1);
    assert!(told["cache"]["bytes"].as_u64().unwrap() > 0);

    assert_eq!(told["refusals"]["total"], 2);
    let newest = &told["refusals"]["newest"];
    assert_eq!(newest[0]["status"], 401);
    assert_eq!(
        (
            &newest[1]["code"],
            &newest[1]["rule"],
            &newest[1]["request_id"]
        ),
        (
            &json!("client_not_allowed"),
            &json!("google-ads.campaigns"),
            &json!(refused.header("x-request-id"))
        )
    );
    let hash = |of: &str| newest[1][of].as_str().unwrap().to_owned();
    assert!(hash("user").starts_with("u-") && hash("client").starts_with("c-"));

    let run = &told["runs"]["newest"][0];
    assert_eq!(
        (&run["run_id"], told["runs"]["named"].as_bool()),
        (&json!(run_id), Some(false))
    );
    assert_eq!(run["data"], "mock", "the app's own figures");
    assert!(
        run["steps"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>()
            >= 4,
        "{run}"
    );

    let process = &told["process"];
    assert_eq!(
        (&process["ready"], &process["in_flight"]),
        (&json!(true), &json!(0))
    );
    assert!(process["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(process["descriptors"].as_u64().unwrap() > 3);
    assert_eq!(process["last_restore_drill"], Value::Null);
    assert_eq!(told["configuration"]["config_generation"], 1);
    let snapshots = told["configuration"]["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(
        (&snapshots[0]["reason"], &snapshots[0]["in_force"]),
        (&json!("start"), &json!(true))
    );
    assert_eq!(told["configuration"]["difference"], Value::Null);

    // The page is drawn from the same.
    let page = page(&sidecar).await;
    for words in [
        "gateway disconnected",
        "unreachable",
        "client_not_allowed",
        &run_id,
        &hash("user"),
        "stripe.overview",
        "<bdi>start</bdi> (in force)",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
}

#[tokio::test]
async fn what_operators_and_others_leave_in_the_state_directory_is_shown() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let state = sidecar.state_dir();
    let text = "[cache]\nttl_percent = 70\n[gateway.accounts]\n\"31\" = [\"123-456-7890\"]\n";
    std::fs::write(sidecar.config_file(), text).unwrap();
    let got = sidecar.control("/config/reload", json!({})).await;
    assert_eq!(got.status, 200, "{got:?}");
    let index = state.join("snapshots/index.jsonl");
    let lines = std::fs::read_to_string(&index).unwrap();
    let said = "\"<b>before</b> the switch\"";
    std::fs::write(&index, lines.replace("\"POST /config/reload\"", said)).unwrap();
    std::fs::write(
        state.join("restore-drill.json"),
        r#"{"succeeded_at": 1795000000}"#,
    )
    .unwrap();
    sidecar.switch(false).await;
    let told = facts(&sidecar).await;
    let configuration = &told["configuration"];
    assert_eq!(
        configuration["snapshots"][0]["reason"],
        "<b>before</b> the switch"
    );
    assert_eq!(
        configuration["difference"]["changes"],
        json!([
            {"key": "cache.ttl_percent", "before": "100", "after": "70"},
            {"key": "gateway.accounts", "before": "(not shown)", "after": "(not shown)"},
        ])
    );
    assert_eq!(configuration["config_generation"], 3);
    assert_eq!(
        told["process"]["last_restore_drill"],
        "2026-11-18T11:06:40Z"
    );
    assert_eq!(told["gateway"]["status"], "disabled");
    let page = page(&sidecar).await;
    assert!(
        page.contains("&lt;b&gt;before&lt;/b&gt; the switch") && page.contains("gateway disabled")
    );
}

#[tokio::test]
async fn a_burst_stands_at_the_top() {
    let setup = Setup::default()
        .set("SIDECAR__BURST__MIN_VOLUME", 3)
        .set("SIDECAR__BURST__COUNT", 3);
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    assert!(!page(&sidecar).await.contains("burst of 5xx"));
    legacy
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    for _ in 0..3 {
        sidecar.get("/api/clients").bearer(&alice()).send().await;
    }
    // Whoever asks for metrics has bursts looked for.
    ask(&sidecar, "/metrics").send().await;
    let told = facts(&sidecar).await;
    let legacy = &told["traffic"][0];
    assert_eq!(
        (&legacy["origin"], &legacy["burst"]),
        (&json!("legacy"), &json!(true)),
        "{told}"
    );
    assert_eq!(legacy["burst_window"]["failed"], 3);
    assert_eq!(told["traffic"][2]["burst"], false, "it is not ours");
    assert!(page(&sidecar).await.contains("burst of 5xx: legacy"));
}

#[tokio::test]
async fn what_a_reload_puts_in_force_is_shown() {
    let setup = Setup::default().file("[tenancy]\nmode = \"enforce\"\n");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let rule = async || {
        let target = "/status.json?matrix=google-ads.campaigns";
        let told = ask(&sidecar, target).send().await.json();
        let generation = told["configuration"]["config_generation"].clone();
        (generation, told["matrix"]["shown"][0]["mode"].clone())
    };
    assert_eq!(rule().await, (json!(1), json!("enforce")));
    let file = "[admin]\nhosts = [\"ops.example\"]\n[tenancy.modes]\n\"google-ads.campaigns\" = \"report\"\n";
    std::fs::write(sidecar.config_file(), file).unwrap();
    let by_name = async || ask(&sidecar, "/").with("Host", "ops.example").send().await;
    assert_eq!(by_name().await.status, 403);
    let got = sidecar.control("/config/reload", json!({})).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(rule().await, (json!(2), json!("report")));
    assert_eq!(by_name().await.status, 200, "hosts are of the file too");
}

#[tokio::test]
async fn rules_are_looked_for_by_a_plain_form() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let all = facts(&sidecar).await;
    let (rules, shown) = (
        all["matrix"]["rules"].as_u64().unwrap(),
        all["matrix"]["shown"].as_array().unwrap().len(),
    );
    assert_eq!(shown, 40);
    let rest = format!("<b>{}</b> more are not shown", rules - 40);
    assert!(page(&sidecar).await.contains(&rest), "{rest}");
    let found = text(&ask(&sidecar, "/?matrix=Google-Ads+campaigns").send().await);
    assert!(
        found.contains("google-ads.campaigns") && !found.contains("google-ads.keywords</th>"),
        "{found}"
    );
    assert!(found.contains("value=\"Google-Ads campaigns\""));
    let hostile = text(&ask(&sidecar, "/?matrix=%22%3E%3Cscript%3Ex").send().await);
    assert!(hostile.contains("&quot;&gt;&lt;script&gt;x") && !hostile.contains("<script"));
    // What cannot be read looks for nothing.
    for odd in ["/?matrix=%FF%FE", "/?matrix=a&matrix=b", "/?other=1"] {
        assert_eq!(ask(&sidecar, odd).send().await.status, 200, "{odd}");
    }
}

#[tokio::test]
async fn the_page_stays_small_after_ten_thousand_refusals() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let url = sidecar.url("/api/connectors/google-search-console/index-coverage");
    let http = caller();
    let many = (0..20).map(|_| {
        let (http, url) = (http.clone(), url.clone());
        tokio::spawn(async move {
            for _ in 0..500 {
                let status = http.get(&url).send().await.unwrap().status().as_u16();
                // Whoever is refused over and over is told to wait, which is a refusal too.
                assert!(matches!(status, 401 | 429), "{status}");
            }
        })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    run(&sidecar).await;
    let told = facts(&sidecar).await;
    assert_eq!(told["refusals"]["total"], 10_000);
    assert_eq!(told["refusals"]["newest"].as_array().unwrap().len(), 50);
    let page = page(&sidecar).await;
    assert!(page.contains("of 10,000 since the start"));
    assert!(page.len() <= MOST_BYTES, "{} bytes", page.len());
}

/// Nothing here is anybody's, or would let anybody in.
fn holds_no_secret(text: &str, tokens: &[&str]) {
    for secret in [SECRET, Sidecar::ADMIN_TOKEN].iter().chain(tokens) {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}
