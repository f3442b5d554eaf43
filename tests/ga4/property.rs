//! Choosing a property: at Coolbits, with the caller's own token, and then in the app.

use super::{ga4, unbound};
use crate::google_ads::{asked, real};
use crate::support::{Got, Raw, Setup, Sidecar, alice, bob, eventually, fault, request};
use serde_json::{Value, json};

const CHOOSE: &str = "POST /api/connectors/ga4/property";
const STORE: &str = "POST /api/connectors/ga4";

async fn choose(sidecar: &Sidecar, token: &str, client: &str, body: &Value) -> Got {
    sidecar
        .route(token, client, CHOOSE, &body.to_string())
        .await
}

/// What the app was told to store.
async fn stored(legacy: &crate::support::StandIn) -> Vec<Value> {
    let mut calls = legacy.calls_to("/api/connectors/ga4").await;
    calls.retain(|call| call["method"] != "GET");
    calls
}

#[tokio::test]
async fn a_choice_is_made_at_coolbits_and_kept_by_the_app() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    let settings = json!({"status": "connected", "custom_name": "Mine",
                          "config": {"property_id": "G-OLD000001", "note": 1}});
    sidecar
        .route(&alice(), "10", STORE, &settings.to_string())
        .await;
    legacy.forget().await;

    let got = choose(
        &sidecar,
        &alice(),
        "10",
        &json!({"propertyId": " G-NEW000001 "}),
    )
    .await;
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "coolbits")
    );
    assert_eq!(got.header("cache-control"), "no-store");
    let expected = json!({
        "ok": true, "selectedPropertyId": "G-NEW000001", "propertyId": "G-NEW000001",
        "source": "coolbits",
        "gateway": {"enabled": true, "path": "/api/connectors/ga4/property", "status": 200},
    });
    assert_eq!(got.json(), expected);

    let calls = coolbits.calls().await;
    assert_eq!(asked(&calls), [CHOOSE]);
    assert_eq!(calls[0]["body"], json!({"propertyId": "G-NEW000001"}));
    assert_eq!(calls[0]["headers"]["x-workspace-id"], "business");
    real(&ga4(&sidecar, &alice(), "10", "pages").await);
    let read = coolbits.calls_to("/ga4/report").await;
    assert_eq!(
        calls[0]["token_hash"], read[0]["token_hash"],
        "the caller's own token"
    );
    assert_eq!(super::sent(&read[0])["propertyId"], "G-NEW000001");

    let told = stored(&legacy).await;
    assert_eq!(asked(&told), [STORE]);
    let config = json!({"property_id": "G-NEW000001", "provider": "coolbits"});
    assert_eq!(
        told[0]["body"],
        json!({"status": "connected", "config": config})
    );
    let headers = &told[0]["headers"];
    assert_eq!(
        (&headers["x-user-id"], &headers["x-client-id"]),
        (&json!("1"), &json!("10"))
    );
    let kept = sidecar
        .route(&alice(), "10", "GET /api/connectors/ga4", "")
        .await
        .json();
    assert_eq!((&kept["config"], &kept["client_id"]), (&config, &json!(10)));
    let other = sidecar
        .route(&alice(), "11", "GET /api/connectors/ga4", "")
        .await
        .json();
    assert_eq!(other["config"], json!({}), "another client's settings stay");

    // What was remembered of the settings is gone.
    coolbits
        .faults(json!({"fault": "status", "only": "/ga4/status"}))
        .await;
    let answer = real(&ga4(&sidecar, &alice(), "10", "overview").await);
    assert_eq!(answer["property_id"], "G-NEW000001");
}

#[tokio::test]
async fn what_names_no_property_is_refused_and_goes_nowhere() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    for body in [
        json!({}),
        json!({"propertyId": ""}),
        json!({"propertyId": "   "}),
        json!({"propertyId": null}),
        json!({"propertyId": true}),
        json!({"propertyId": "G-\u{1}"}),
        json!({"propertyId": format!("G-{}", "A".repeat(199))}),
        json!({"selected": "G-ABC123DEF4"}),
    ] {
        let got = choose(&sidecar, &alice(), "10", &body).await;
        assert_eq!(
            (got.status, got.json()),
            (400, json!({"ok": false, "error": "invalid_property"})),
            "{body}"
        );
    }
    let unread = sidecar.route(&alice(), "10", CHOOSE, "").await;
    assert_eq!(unread.status, 400, "{unread:?}");
    assert!(coolbits.calls().await.is_empty() && stored(&legacy).await.is_empty());
    let longest = json!({"propertyId": format!("G-{}", "A".repeat(198))});
    assert_eq!(choose(&sidecar, &alice(), "10", &longest).await.status, 200);
}

#[tokio::test]
async fn nothing_is_chosen_while_the_gateway_is_off() {
    let setup = unbound().set("COOLBITS_GATEWAY_ENABLED", "off");
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let got = choose(
        &sidecar,
        &alice(),
        "10",
        &json!({"propertyId": "G-ABC123DEF4"}),
    )
    .await;
    assert_eq!(
        (got.status, got.json()),
        (400, json!({"ok": false, "error": "gateway_disabled"}))
    );
    assert!(coolbits.calls().await.is_empty() && stored(&legacy).await.is_empty());
}

#[tokio::test]
async fn what_coolbits_says_against_it_is_passed_on_and_nothing_is_stored() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    let refused = choose(
        &sidecar,
        &alice(),
        "10",
        &json!({"propertyId": "G-INVALID"}),
    )
    .await;
    assert_eq!(
        (refused.status, refused.header("x-camarad-source")),
        (400, "coolbits")
    );
    assert_eq!(refused.json()["error"], "invalid_property");
    let property = json!({"propertyId": "G-ABC123DEF4"});
    for (faults, status, error) in [
        (
            json!({"fault": "recognised", "status": 403, "error": "not_connected"}),
            403,
            "not_connected",
        ),
        (json!({"fault": "unauthorized"}), 401, "unauthorized"),
        (
            json!({"fault": "status", "status": 409}),
            409,
            "asked to fail",
        ),
        (
            json!({"fault": "status", "status": 500}),
            500,
            "asked to fail",
        ),
        (
            json!({"fault": "status", "status": 503}),
            503,
            "asked to fail",
        ),
        (
            json!({"fault": "status", "status": 404}),
            404,
            "asked to fail",
        ),
    ] {
        coolbits.forget().await;
        coolbits.faults(faults).await;
        let got = choose(&sidecar, &alice(), "10", &property).await;
        assert_eq!(
            (got.status, got.json()["error"].as_str()),
            (status, Some(error))
        );
        assert_eq!(
            coolbits.calls().await.len(),
            1,
            "{status}: a write is never repeated"
        );
    }
    assert!(stored(&legacy).await.is_empty());
}

#[tokio::test]
async fn a_coolbits_that_gives_no_answer_is_a_502() {
    let quick = unbound()
        .set("SIDECAR__GATEWAY__DEADLINE", "2s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s");
    let (sidecar, mut coolbits, legacy) = Sidecar::with_stand_ins(quick).await;
    let property = json!({"propertyId": "G-ABC123DEF4"});
    for (kind, code) in [
        ("hang", "timeout"),
        ("reset", "unreachable"),
        ("html", "bad_payload"),
        ("cut_off_body", "bad_payload"),
    ] {
        coolbits.forget().await;
        coolbits.faults(fault(kind)).await;
        let got = choose(&sidecar, &alice(), "10", &property).await;
        let expected = json!({"ok": false, "error": code});
        assert_eq!((got.status, got.json()), (502, expected), "{kind}");
        assert_eq!(
            coolbits.calls().await.len(),
            1,
            "{kind}: a write is never repeated"
        );
    }
    coolbits.stop().await;
    let got = choose(&sidecar, &alice(), "10", &property).await;
    assert_eq!(
        (got.status, &got.json()["error"]),
        (502, &json!("unreachable"))
    );
    assert!(stored(&legacy).await.is_empty());
    let failed = |origin: &str| format!("sidecar_responses_5xx_total{{origin=\"{origin}\"}}");
    assert_eq!(sidecar.metric(&failed("coolbits")).await, 5.0);
    assert_eq!(sidecar.metric(&failed("sidecar")).await, 0.0);
}

#[tokio::test]
async fn an_app_that_does_not_store_it_takes_nothing_back() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    legacy
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    let got = choose(
        &sidecar,
        &alice(),
        "10",
        &json!({"propertyId": "G-ABC123DEF4"}),
    )
    .await;
    assert_eq!((got.status, &got.json()["ok"]), (200, &json!(true)));
    sidecar.says("the app did not store it").await;
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_a_choice() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    coolbits
        .faults(json!({"latency_ms": 400, "latency_only": "/ga4/property"}))
        .await;
    let body = json!({"propertyId": "G-NEW000001"}).to_string();
    let fields = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let mut caller = Raw::to(sidecar.address).await;
    let head = request(&format!("{CHOOSE} HTTP/1.1"), &fields);
    caller.send(format!("{head}{body}")).await;
    eventually("Coolbits is being asked", || async {
        !coolbits.calls_to("/ga4/property").await.is_empty()
    })
    .await;
    drop(caller);
    eventually("the app is told", || async {
        !stored(&legacy).await.is_empty()
    })
    .await;
    let told = stored(&legacy).await;
    assert_eq!(told[0]["body"]["config"]["property_id"], "G-NEW000001");
}

#[tokio::test]
async fn nobody_chooses_for_somebody_elses_client_or_anothers_property() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (own, others) = ("G-ABC123DEF4", "G-XYZ789GHI0");
    for (token, client, property, status, code) in [
        (alice(), "20", own, 404, "client_not_allowed"),
        (bob(), "10", own, 404, "client_not_allowed"),
        (alice(), "", own, 400, "client_required"),
        (alice(), "10", others, 404, "account_not_linked"),
    ] {
        let got = choose(&sidecar, &token, client, &json!({"propertyId": property})).await;
        assert_eq!(
            (got.status, got.code()),
            (status, code.to_owned()),
            "{client} {property}"
        );
    }
    assert!(coolbits.calls().await.is_empty() && stored(&legacy).await.is_empty());
    let got = choose(&sidecar, &alice(), "11", &json!({"propertyId": others})).await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn what_was_kept_of_the_choice_before_is_not_shown_after_it() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let status = async || real(&ga4(&sidecar, &alice(), "10", "status").await);
    let overview = async || real(&ga4(&sidecar, &alice(), "10", "overview").await);
    assert_eq!(status().await["propertyId"], "G-ABC123DEF4");
    assert_eq!(overview().await["property_id"], "G-ABC123DEF4");
    let got = choose(
        &sidecar,
        &alice(),
        "10",
        &json!({"propertyId": "G-NEW000001"}),
    )
    .await;
    assert_eq!(got.status, 200);
    assert_eq!(status().await["propertyId"], "G-NEW000001");
    assert_eq!(overview().await["property_id"], "G-NEW000001");
}
