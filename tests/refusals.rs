//! Refusals are limited, so that ids and tokens cannot be tried one by one.

use crate::support::{Ask, Claims, Got, Setup, Sidecar, alice, bob, token};

fn few() -> Setup {
    Setup::default()
        .set("SIDECAR__LIMITS__REFUSALS", "3")
        .set("SIDECAR__LIMITS__REFUSAL_REFILL", "1h")
}

async fn flow(sidecar: &Sidecar, token: &str, client: &str, id: u64) -> Got {
    let ask = Ask::new("PUT", &sidecar.url(&format!("/api/flows/{id}")));
    let ask = ask.bearer(token).client(client).body(r#"{"name": "n"}"#);
    ask.send().await
}

#[tokio::test]
async fn whoever_walks_ids_is_told_nothing_more_and_no_more_is_looked_up() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(few()).await;
    for left in ["2", "1", "0"] {
        let got = flow(&sidecar, &alice(), "10", 5).await;
        assert_eq!((got.status, got.code()), (404, "object_not_found".into()));
        assert_eq!(got.header("ratelimit-limit"), "3");
        assert_eq!(got.header("ratelimit-remaining"), left);
    }
    legacy.forget().await;
    for (client, id) in [("10", 5), ("20", 5), ("10", 2)] {
        let got = flow(&sidecar, &alice(), client, id).await;
        assert_eq!(
            (got.status, got.code()),
            (429, "rate_limited".into()),
            "{client} {id}"
        );
        let wait: u64 = got.header("retry-after").parse().unwrap();
        let reset: u64 = got.header("ratelimit-reset").parse().unwrap();
        assert!(
            wait > 3000 && wait <= 3600 && reset > wait,
            "{wait} {reset}"
        );
    }
    assert!(
        legacy.calls().await.is_empty(),
        "nothing is looked up any more"
    );
    // What needs no looking up and is allowed stays allowed, and others are others.
    let own = sidecar.get("/api/flows").bearer(&alice()).client("10");
    assert_eq!(own.send().await.status, 200);
    assert_eq!(flow(&sidecar, &bob(), "20", 5).await.status, 200);
    let line = sidecar.audited("rate_limited").await;
    assert_eq!(
        (&line["decision"], &line["user"]),
        (&"refuse".into(), &1.into())
    );
    let series = "sidecar_tenancy_decisions_total{area=\"flows\",decision=\"refuse\",mode=\"enforce\",reason=\"rate_limited\"}";
    assert_eq!(sidecar.metric(series).await, 3.0);
}

#[tokio::test]
async fn without_a_user_the_address_counts_as_the_trusted_proxies_tell_it() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(few()).await;
    let from = |address: &'static str| {
        let ask = sidecar.get("/api/flows").with("X-Forwarded-For", address);
        async move { ask.bearer("garbage").send().await }
    };
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1").await.status, 401);
    }
    assert_eq!(from("192.0.2.1").await.code(), "rate_limited");
    assert_eq!(
        from("198.51.100.7, 192.0.2.1").await.code(),
        "rate_limited",
        "the rightmost"
    );
    assert_eq!(from("192.0.2.2").await.status, 401);
    // Somebody who is known is not that address, and pages are not refused at all.
    let known = sidecar.get("/api/flows").bearer(&alice()).client("10");
    let known = known.with("X-Forwarded-For", "192.0.2.1").send().await;
    assert_eq!(known.status, 200);
    let page = sidecar.get("/pricing").with("X-Forwarded-For", "192.0.2.1");
    assert_eq!(page.send().await.status, 200);
}

#[tokio::test]
async fn a_bucket_fills_again_and_none_limits_nobody() {
    let quick = Setup::default()
        .set("SIDECAR__LIMITS__REFUSALS", "1")
        .set("SIDECAR__LIMITS__REFUSAL_REFILL", "1s");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(quick).await;
    let status = || async { flow(&sidecar, &alice(), "10", 5).await.status };
    assert_eq!(status().await, 404);
    crate::support::eventually("it is used up", || async { status().await == 429 }).await;
    crate::support::eventually("it is filled again", || async { status().await == 404 }).await;
    let none = Setup::default().set("SIDECAR__LIMITS__REFUSALS", "0");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(none).await;
    for _ in 0..70 {
        let got = flow(&sidecar, &alice(), "10", 5).await;
        assert_eq!(got.status, 404);
        assert!(got.header("ratelimit-limit").is_empty());
    }
}

#[tokio::test]
async fn a_limited_token_uses_up_its_own_and_not_its_users() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(few()).await;
    for _ in 0..4 {
        flow(&sidecar, &alice(), "10", 5).await;
    }
    assert_eq!(
        flow(&sidecar, &alice(), "10", 2).await.code(),
        "rate_limited"
    );
    let everything = token(Claims::new(1, &[]).without("clients"));
    assert_eq!(flow(&sidecar, &everything, "10", 2).await.status, 200);
}

#[tokio::test]
async fn a_session_that_ended_and_a_page_of_another_site_use_up_nothing() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(few()).await;
    let expired = token(Claims::new(1, &[10]).with("exp", 1_000_000_000.into()));
    for _ in 0..6 {
        let got = sidecar
            .get("/api/flows")
            .bearer(&expired)
            .client("10")
            .send()
            .await;
        assert_eq!((got.status, got.code()), (401, "token_expired".into()));
        let ask =
            Ask::new("POST", &sidecar.url("/api/flows")).with("Origin", "http://evil.example");
        let ask = ask.with("Cookie", &format!("camarad_cb_token={}", alice()));
        assert_eq!(ask.body("{}").send().await.code(), "cross_site");
    }
    assert_eq!(flow(&sidecar, &alice(), "10", 2).await.status, 200);
}
