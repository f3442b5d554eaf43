//! How the gateway is told to be doing, when Coolbits is not asked for a while, and
//! what operators switch at run time.

use crate::support::{Ask, Got, Setup, Sidecar, alice, bob, eventually, fault};
use serde_json::{Value, json};

const HEALTH: &str = "/api/connectors/gateway/health";

/// Quick to open, quick to find out.
fn quick() -> Setup {
    Setup::default()
        .set("SIDECAR__GATEWAY__DEADLINE", "600ms")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "300ms")
        .set("SIDECAR__GATEWAY__PROBE_INTERVAL", "200ms")
        .set("SIDECAR__BREAKER__CONSECUTIVE", 3)
        // Not over before the probe finds out.
        .set("SIDECAR__BREAKER__OPEN", "1m")
        .set("SIDECAR__CACHE__FALLBACK_TTL", "200ms")
}

async fn health(sidecar: &Sidecar) -> Value {
    let got = sidecar.get(HEALTH).bearer(&alice()).send().await;
    assert_eq!(got.status, 200);
    got.json()
}

async fn status_of(sidecar: &Sidecar) -> String {
    health(sidecar).await["status"].as_str().unwrap().to_owned()
}

async fn order(sidecar: &Sidecar, order: Value) -> Got {
    sidecar.control("/gateway", order).await
}

#[tokio::test]
async fn callers_are_told_how_it_is_doing_and_others_that_it_is() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    sidecar.ads(&alice(), "10", "campaigns").await;
    let told = health(&sidecar).await;
    assert_eq!(told["status"], "connected", "{told}");
    assert_eq!(
        (&told["enabled"], &told["workspace"]),
        (&json!(true), &json!("business"))
    );
    assert_eq!(told["breaker"]["state"], "closed");
    assert_eq!(told["breaker"]["failures"], 0);
    assert_eq!(
        (&told["last_failure"], &told["fallback_ratio_5m"]),
        (&Value::Null, &json!(0.0))
    );
    assert!(told["last_success"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["latency_ms"]["samples"], 1);
    assert!(told["latency_ms"]["p95"].as_f64().unwrap() > 0.0);
    assert_eq!(told["service_account"], false);
    let route = |name: &str| {
        let routes = told["routes"].as_array().unwrap();
        routes
            .iter()
            .find(|route| route["name"] == name)
            .unwrap()
            .clone()
    };
    let campaigns =
        json!({"name": "google-ads.campaigns", "mode": "coolbits", "source_now": "coolbits"});
    assert_eq!(route("google-ads.campaigns"), campaigns);
    let sites = route("google-search-console.pages");
    assert_eq!(
        (&sites["mode"], &sites["source_now"]),
        (&json!("mock_only"), &json!("mock"))
    );

    // Nobody learns where Coolbits is but whoever reaches the admin listener.
    let host = coolbits.address.to_string();
    assert!(!told.to_string().contains(&host));
    let admin = Ask::get(&format!("http://{}/gateway", sidecar.admin))
        .send()
        .await;
    assert_eq!(admin.json()["url"], coolbits.url());

    let anonymous = sidecar.get(HEALTH).send().await;
    assert_eq!(
        (anonymous.status, anonymous.header("cache-control")),
        (200, "no-store")
    );
    let told = anonymous.json();
    let names: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(names, ["checked_at", "enabled", "status"]);
    let bad = sidecar.get(HEALTH).bearer("not a token").send().await;
    assert_eq!(
        bad.json().as_object().unwrap().len(),
        3,
        "a bad token is nobody's"
    );
}

#[tokio::test]
async fn a_gateway_that_is_off_says_so_and_is_not_unwell() {
    let setup = quick().set("COOLBITS_GATEWAY_ENABLED", "off");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let strict = sidecar.get(&format!("{HEALTH}?strict=1")).send().await;
    assert_eq!(
        (strict.status, &strict.json()["status"]),
        (200, &json!("disabled"))
    );
    let told = health(&sidecar).await;
    let routes = told["routes"].as_array().unwrap();
    assert!(
        routes
            .iter()
            .all(|route| route["mode"] == "disabled" && route["source_now"] == "mock")
    );
    assert_eq!(coolbits.probes().await, 0, "nor is it probed");
    order(&sidecar, json!({"enabled": true})).await;
    eventually("it is probed", || async {
        status_of(&sidecar).await == "connected"
    })
    .await;
    assert!(coolbits.probes().await > 0);
    assert_eq!(sidecar.metric("sidecar_gateway_up").await, 1.0);
}

#[tokio::test]
async fn coolbits_that_hangs_is_soon_not_asked_and_is_found_again_without_a_restart() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    coolbits.faults(fault("hang")).await;
    let ask = |days: u32| {
        let target = format!("campaigns?days={days}");
        let sidecar = &sidecar;
        async move { sidecar.ads(&alice(), "10", &target).await }
    };
    // One caller's failures are not enough; a probe's that fails as well is.
    let mut codes = Vec::new();
    while codes.last().is_none_or(|code| code != "breaker_open") {
        let got = ask(codes.len() as u32 + 1).await;
        assert_eq!((got.status, got.header("x-camarad-source")), (200, "mock"));
        codes.push(got.json()["gateway"]["error"].as_str().unwrap().to_owned());
        assert!(codes.len() <= 12, "{codes:?}");
    }
    assert!(codes.len() >= 3, "{codes:?}");
    assert_eq!(
        sidecar
            .metric("sidecar_breaker_state{upstream=\"coolbits\"}")
            .await,
        2.0
    );
    sidecar.says("the circuit breaker changed").await;
    let told = health(&sidecar).await;
    assert_eq!(
        (&told["status"], &told["breaker"]["state"]),
        (&json!("disconnected"), &json!("open"))
    );
    assert_eq!(told["last_failure"]["code"], "timeout");
    assert!(
        told["last_failure"]["path"]
            .as_str()
            .unwrap()
            .starts_with('/')
    );
    let strict = sidecar.get(&format!("{HEALTH}?strict=1")).send().await;
    assert_eq!(strict.status, 503);
    assert_eq!(sidecar.metric("sidecar_gateway_up").await, 0.0);

    // While it is open nothing is asked but the probe.
    coolbits.forget().await;
    for days in 10..30 {
        assert_eq!(ask(days).await.json()["gateway"]["error"], "breaker_open");
    }
    assert!(coolbits.calls().await.is_empty());

    coolbits.faults(fault("none")).await;
    eventually("the first real answer", || async {
        ask(1).await.json()["source"] == "coolbits"
    })
    .await;
    assert_eq!(status_of(&sidecar).await, "connected");
    assert_eq!(
        sidecar
            .metric("sidecar_breaker_state{upstream=\"coolbits\"}")
            .await,
        0.0
    );
    assert_eq!(
        ask(4).await.json()["source"],
        "coolbits",
        "no answer of the mock is kept longer"
    );
}

#[tokio::test]
async fn nobody_opens_the_breaker_for_others_by_failures_of_their_own() {
    let setup = quick().set("SIDECAR__GATEWAY__PROBE_INTERVAL", "10m");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let state = async || health(&sidecar).await["breaker"]["state"].clone();
    let fails = json!({"fault": "status", "status": 500, "only": "/report"});
    coolbits.faults(fails).await;
    for days in 1..=12 {
        let got = sidecar
            .ads(&bob(), "20", &format!("campaigns?days={days}"))
            .await;
        assert_eq!(got.json()["gateway"]["error"], "http_5xx");
    }
    assert_eq!(state().await, "closed");
    // Somebody else's as well, and it is Coolbits'.
    sidecar.ads(&alice(), "10", "campaigns?days=1").await;
    // The probe looks at once, and may have made it half-open already.
    assert_ne!(state().await, "closed");
}

#[tokio::test]
async fn a_caller_who_is_alone_does_not_wait_for_the_next_probe() {
    let setup = quick().set("SIDECAR__GATEWAY__PROBE_INTERVAL", "10m");
    let (sidecar, mut coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    eventually("it is probed at the start", || async {
        status_of(&sidecar).await == "connected"
    })
    .await;
    coolbits.stop().await;
    let mut days = 0;
    let mut code = Value::Null;
    while code != "breaker_open" {
        days += 1;
        let target = format!("campaigns?days={days}");
        let answer = sidecar.ads(&alice(), "10", &target).await.json();
        code = answer["gateway"]["error"].clone();
        // A probe takes a moment, a quarter of a second after the one before.
        assert!(days < 100, "{code}");
    }
    assert!(days > 2);
}

#[tokio::test]
async fn whose_trial_failed_leaves_trials_to_others() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    let read = async |token: &str, client: &str, days: u32| {
        let target = format!("campaigns?days={days}");
        let answer = sidecar.ads(token, client, &target).await.json();
        answer["gateway"]["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let half_open = || async { health(&sidecar).await["breaker"]["state"] == "half_open" };
    let fails = json!({"fault": "status", "status": 500, "only": "/report"});
    coolbits.faults(fails).await;
    for (token, client, days) in [(alice(), "10", 1), (bob(), "20", 1), (bob(), "20", 2)] {
        assert_eq!(read(&token, client, days).await, "http_5xx");
    }
    // It is there, says the probe.
    eventually("it is half-open", half_open).await;
    assert_eq!(read(&bob(), "20", 3).await, "http_5xx", "his trial");
    coolbits.faults(fault("none")).await;
    eventually("it is half-open again", half_open).await;
    assert_eq!(read(&bob(), "20", 4).await, "breaker_open");
    assert_eq!(read(&alice(), "10", 4).await, "");
    assert_eq!(read(&bob(), "20", 5).await, "");
}

#[tokio::test]
async fn coolbits_that_is_gone_is_found_out_without_anybody_asking() {
    let (sidecar, mut coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    eventually("it is probed", || async {
        status_of(&sidecar).await == "connected"
    })
    .await;
    coolbits.stop().await;
    eventually("probes open the breaker", || async {
        status_of(&sidecar).await == "disconnected"
    })
    .await;
    assert_eq!(health(&sidecar).await["last_failure"]["path"], "/healthz");
    coolbits.restart().await;
    eventually("a probe lets reads try", || async {
        status_of(&sidecar).await != "disconnected"
    })
    .await;
    assert_eq!(
        sidecar.ads(&alice(), "10", "campaigns").await.json()["source"],
        "coolbits"
    );
    assert_eq!(status_of(&sidecar).await, "connected");
}

#[tokio::test]
async fn a_failure_now_and_then_is_degraded() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    assert_eq!(
        sidecar.ads(&alice(), "10", "campaigns").await.json()["source"],
        "coolbits"
    );
    coolbits
        .faults(json!({"fault": "html", "only": "/report"}))
        .await;
    sidecar.ads(&alice(), "10", "campaigns?days=2").await;
    let told = health(&sidecar).await;
    assert_eq!(
        (&told["status"], &told["breaker"]["failures"]),
        (&json!("degraded"), &json!(1))
    );
    assert_eq!(told["fallback_ratio_5m"], 0.5);
    // What Coolbits says of the caller's own accounts is no failure of Coolbits'.
    coolbits.faults(fault("not_connected")).await;
    for days in 3..12 {
        sidecar
            .ads(&alice(), "10", &format!("campaigns?days={days}"))
            .await;
    }
    let breaker = &health(&sidecar).await["breaker"];
    assert_eq!(
        (&breaker["state"], &breaker["failures"]),
        (&json!("closed"), &json!(0))
    );
}

#[tokio::test]
async fn rows_that_do_not_fit_open_nothing() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    coolbits.faults(fault("text_in_numbers")).await;
    for days in 1..8 {
        let got = sidecar
            .ads(&alice(), "10", &format!("campaigns?days={days}"))
            .await;
        assert_eq!(got.json()["gateway"]["error"], "bad_payload");
    }
    assert_eq!(health(&sidecar).await["breaker"]["state"], "closed");
}

#[tokio::test]
async fn retries_are_few_and_nobody_uses_up_those_of_others() {
    let setup = quick().without_breaker();
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    coolbits
        .faults(json!({"fault": "status", "status": 503, "only": "/report"}))
        .await;
    let retries = async |token: &str, client: &str, days: u32| {
        coolbits.forget().await;
        let target = format!("reports?days={days}");
        sidecar.ads(token, client, &target).await;
        coolbits.calls_to("/report").await.len() - 1
    };
    let mut own = 0;
    for days in 1..=40 {
        own += retries(&alice(), "10", days).await;
    }
    // Three in ten seconds; a noisy machine may need more than ten.
    assert!((3..=9).contains(&own), "{own}");
    assert_eq!(retries(&bob(), "20", 1).await, 1);
}

#[tokio::test]
async fn routes_are_left_to_the_mock_and_taken_back_at_run_time() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(quick()).await;
    assert_eq!(
        sidecar.ads(&alice(), "10", "metrics").await.json()["source"],
        "coolbits"
    );
    let got = order(
        &sidecar,
        json!({"mock_only": ["google-ads.metrics", "ga4"]}),
    )
    .await;
    let told = got.json();
    assert_eq!(
        (got.status, &told["enabled"], &told["generation"]),
        (200, &json!(true), &json!(2))
    );
    assert_eq!(told["mock_only"].as_array().unwrap().len(), 12);
    let answer = sidecar.ads(&alice(), "10", "metrics").await.json();
    assert_eq!(
        answer["gateway"],
        json!({"enabled": true, "reason": "mock_only"})
    );
    assert_eq!(
        sidecar.ads(&alice(), "10", "campaigns").await.json()["source"],
        "coolbits"
    );
    let ga4 = sidecar.get("/api/connectors/ga4/overview?property_id=G-ABC123DEF4");
    assert_eq!(
        ga4.bearer(&alice()).client("10").send().await.json()["source"],
        "mock"
    );
    assert!(coolbits.calls_to("/ga4/").await.is_empty());

    let bad = [
        (
            json!({"mock_only": ["google-ads.nothing"]}),
            "\"google-ads.nothing\" is neither",
        ),
        (json!({"mock_only": "ga4"}), "expected {\"enabled\""),
        (json!({}), "expected {\"enabled\""),
        (json!({"on": true}), "unknown field"),
    ];
    for (wrong, words) in bad {
        let got = order(&sidecar, wrong.clone()).await;
        let error = got.json()["error"].as_str().unwrap().to_owned();
        assert!(
            got.status == 400 && error.contains(words),
            "{wrong}: {error}"
        );
    }
    let told = order(&sidecar, json!({"mock_only": []})).await.json();
    assert_eq!(
        (&told["mock_only"], &told["generation"]),
        (&json!([]), &json!(3))
    );
    assert_eq!(
        sidecar.ads(&alice(), "10", "metrics").await.json()["source"],
        "coolbits"
    );
}
