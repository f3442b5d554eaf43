//! Who may use which client, where that is not in the token, and what is told of it.

use crate::support::{Ask, Claims, Got, Setup, Sidecar, StandIn, alice, token};
use serde_json::{Value, json};

/// User 1 without a claim: the app's own list decides.
fn unlimited(user: u64) -> String {
    token(Claims::new(user, &[]).without("clients"))
}

fn coded(got: &Got) -> (u16, String) {
    (got.status, got.code())
}

async fn started(setup: Setup) -> (Sidecar, StandIn, StandIn) {
    Sidecar::with_stand_ins(setup).await
}

const SETTINGS: &str = "/api/settings/summary";

#[tokio::test]
async fn without_a_claim_the_apps_own_list_decides_and_is_kept() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    let one = unlimited(1);
    let ask = |client: &'static str| sidecar.get(SETTINGS).bearer(&one).client(client).send();
    assert_eq!(ask("10").await.status, 200);
    assert_eq!(coded(&ask("20").await), (404, "client_not_allowed".into()));
    assert_eq!(ask("11").await.status, 200);
    let lists = legacy.calls_to("/api/clients").await;
    assert_eq!(lists.len(), 1, "it is kept");
    assert_eq!(lists[0]["headers"]["x-user-id"], "1");
    // Nobody named, nobody asked.
    legacy.forget().await;
    let two = unlimited(2);
    assert_eq!(sidecar.get(SETTINGS).bearer(&two).send().await.status, 200);
    assert!(legacy.calls_to("/api/clients").await.is_empty());
}

#[tokio::test]
async fn a_list_that_cannot_be_had_allows_nothing() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    for faults in [
        json!({"fault": "status", "status": 500, "only": "/api/clients"}),
        json!({"fault": "html", "only": "/api/clients"}),
        json!({"fault": "cut_off_json", "only": "/api/clients"}),
        json!({"fault": "reset", "only": "/api/clients"}),
    ] {
        legacy.faults(faults.clone()).await;
        let one = unlimited(1);
        let got = sidecar.get(SETTINGS).bearer(&one).client("10").send().await;
        assert_eq!(
            coded(&got),
            (503, "directory_unavailable".into()),
            "{faults}"
        );
    }
    // A token that names its clients needs no list.
    assert_eq!(
        sidecar
            .get(SETTINGS)
            .bearer(&alice())
            .client("10")
            .send()
            .await
            .status,
        200
    );
    legacy.faults(json!({})).await;
    let got = sidecar
        .get(SETTINGS)
        .bearer(&unlimited(1))
        .client("10")
        .send()
        .await;
    assert_eq!(got.status, 200, "a failure is not kept");
}

#[tokio::test]
async fn a_new_client_can_be_used_at_once_and_a_deleted_one_no_more() {
    let (sidecar, _coolbits, _legacy) = started(Setup::default()).await;
    for own in [unlimited(1), alice()] {
        // The list is known, and does not hold what comes.
        assert_eq!(
            sidecar
                .get(SETTINGS)
                .bearer(&own)
                .client("10")
                .send()
                .await
                .status,
            200
        );
        let made = Ask::new("POST", &sidecar.url("/api/clients"))
            .bearer(&own)
            .body(r#"{"name": "New"}"#)
            .send()
            .await;
        let id = made.json()["id"].to_string();
        let ask = |token: String| {
            let ask = sidecar
                .get(SETTINGS)
                .bearer(&token)
                .with("X-Client-ID", &id);
            async move { ask.send().await }
        };
        assert_eq!(ask(own.clone()).await.status, 200, "{id}");
        // Another limited token of the same user does not name it, and did not make it.
        let other = token(Claims::new(1, &[10]));
        assert_eq!(ask(other).await.status, 404);
        assert_eq!(ask(unlimited(2)).await.status, 404);
        let drawer = sidecar.url(&format!("/api/clients/{id}"));
        let gone = Ask::new("DELETE", &drawer).bearer(&own).send().await;
        assert_eq!(gone.status, 200, "{:?}", gone.json());
        assert_eq!(ask(own).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn everybody_sees_oneself_and_the_clients_in_reach() {
    let (sidecar, _coolbits, _legacy) = started(Setup::default()).await;
    let list = |path: &'static str, token: String| {
        let ask = sidecar.get(path).bearer(&token);
        async move { ask.send().await.json() }
    };
    assert_eq!(
        list("/api/users", unlimited(2)).await,
        json!([{"id": 2, "name": "Alice"}])
    );
    let limited = token(Claims::new(1, &[11]));
    let own = json!([{"id": 11, "name": "Northwind Services"}]);
    assert_eq!(list("/api/clients", limited.clone()).await, own);
    assert_eq!(
        list("/api/clients", unlimited(1))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // The page always asks for all: of rows out of reach, what it draws the connector with stays.
    let all = list("/api/connectors/list?all=1&client_id=11", limited).await;
    let (mut own, mut drawn) = (0, 0);
    for row in all.as_array().unwrap() {
        match row.get("client_id").and_then(Value::as_u64) {
            Some(client) => {
                assert_eq!(client, 11, "{row}");
                own += 1;
            }
            None => {
                let members: Vec<&String> = row.as_object().unwrap().keys().collect();
                assert_eq!(members, ["is_live", "name", "slug", "status"], "{row}");
                drawn += 1;
            }
        }
    }
    assert_eq!(
        (own, drawn),
        (2, 22),
        "its links; the catalogue and the other client's two"
    );
    assert!(!all.to_string().contains("u1.c10"), "{all}");
}

#[tokio::test]
async fn an_answer_with_an_id_of_somebody_else_is_withheld() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    legacy.faults(json!({"fault": "foreign_row"})).await;
    for own in [alice(), unlimited(1)] {
        for path in ["/api/orchestrator/history", "/api/connectors/ga"] {
            let got = sidecar.get(path).bearer(&own).client("10").send().await;
            assert_eq!(coded(&got), (502, "tenant_leak_blocked".into()), "{path}");
            assert!(got.json().get("client_id").is_none(), "{path}");
            let record = sidecar.record(got.header("x-request-id")).await;
            assert_eq!(record["origin"], "legacy");
        }
    }
    let series = "sidecar_egress_blocked_total{route=\"connectors.read\"}";
    assert_eq!(sidecar.metric(series).await, 2.0);
    let blocked = sidecar.audited("tenant_leak_blocked").await;
    assert_eq!(
        (&blocked["decision"], &blocked["user"]),
        (&json!("refuse"), &json!(1))
    );
}

#[tokio::test]
async fn an_id_where_the_rule_does_not_look_is_told_of_and_goes_on() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    legacy.faults(json!({"fault": "foreign_elsewhere"})).await;
    let got = sidecar
        .get("/api/flows")
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(got.status, 200);
    assert_eq!(got.json()[0]["seen_by"]["client_id"], 20);
    let line = sidecar.audited("foreign_id_elsewhere").await;
    assert_eq!(
        (&line["decision"], &line["rule"]),
        (&json!("report"), &json!("flows.list"))
    );
    // What is withheld is told as that, whatever else it holds.
    legacy.faults(json!({"fault": "foreign_row"})).await;
    let got = sidecar
        .get("/api/flows?again=1")
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(coded(&got), (502, "tenant_leak_blocked".into()));
    assert_eq!(
        sidecar.audited("tenant_leak_blocked").await["decision"],
        "refuse"
    );
}

#[tokio::test]
async fn an_export_has_its_client_and_nothing_else() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    // The app exports all of the user, and then of somebody else.
    for fault in ["none", "foreign_row"] {
        legacy
            .faults(json!({"fault": fault, "only": "/api/export"}))
            .await;
        let got = sidecar
            .get("/api/export")
            .bearer(&alice())
            .client("10")
            .send()
            .await;
        assert_eq!(got.status, 200, "{fault}");
        let text = got.json().to_string();
        for other in ["u1.c11", "u1.c0", "u2.", "Contoso", "Northwind Services"] {
            assert!(!text.contains(other), "{fault} {other}: {text}");
        }
        assert_eq!(text.contains("u1.c10"), fault == "none", "{text}");
    }
    let cut = "sidecar_egress_rows_cut_total{route=\"export\"}";
    assert!(sidecar.metric(cut).await > 0.0);
}

#[tokio::test]
async fn one_line_of_audit_for_each_refusal_and_none_for_the_rest() {
    let (sidecar, _coolbits, _legacy) = started(Setup::default()).await;
    let good = sidecar
        .get(SETTINGS)
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(good.status, 200);
    let target = format!("{SETTINGS}?client_id=11");
    let got = sidecar
        .get(&target)
        .bearer(&alice())
        .client("10")
        .send()
        .await;
    assert_eq!(coded(&got), (400, "client_conflict".into()));
    let line = sidecar.audited("client_conflict").await;
    let hash = sidecar.record(got.header("x-request-id")).await["token_hash"].clone();
    for (name, value) in [
        ("request_id", json!(got.header("x-request-id"))),
        ("decision", json!("refuse")),
        ("mode", json!("enforce")),
        ("rule", json!("settings.summary")),
        ("user", json!(1)),
        ("client_asked", json!({"header": "10", "query": "11"})),
        ("token_hash", hash),
        ("status", json!(400)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    let none = sidecar
        .get(SETTINGS)
        .with("X-Client-ID", "abc")
        .send()
        .await;
    assert_eq!(none.status, 401);
    let line = sidecar.audited("token_missing").await;
    assert_eq!(
        line["client_asked"],
        json!({"header": "unreadable"}),
        "not what was written there"
    );
    assert_eq!(sidecar.audit().len(), 2);
}

#[tokio::test]
async fn writes_are_told_where_that_is_wanted() {
    let setup = Setup::default().set("SIDECAR__AUDIT__ALLOWED_WRITES", "true");
    let (sidecar, _coolbits, _legacy) = started(setup).await;
    let write = Ask::new("POST", &sidecar.url("/api/orchestrator/compose"));
    let got = write.bearer(&alice()).client("10").body("{}").send().await;
    assert_eq!(got.status, 200);
    crate::support::eventually("it is told", || async { !sidecar.audit().is_empty() }).await;
    let line = &sidecar.audit()[0];
    assert_eq!(
        (&line["decision"], &line["client_allowed"]),
        (&json!("allow"), &json!(10))
    );
}

#[tokio::test]
async fn a_mode_can_be_set_for_one_rule_and_identity_is_never_relaxed() {
    let file = "[tenancy.modes]\n\"settings.summary\" = \"report\"\n";
    let (sidecar, _coolbits, legacy) = started(Setup::default().file(file)).await;
    let got = sidecar
        .get(SETTINGS)
        .bearer(&alice())
        .client("20")
        .send()
        .await;
    assert_eq!(got.status, 404, "the app's own answer: {:?}", got.json());
    assert_eq!(got.header("x-camarad-source"), "legacy");
    assert_eq!(legacy.calls().await[0]["headers"]["x-client-id"], "20");
    let record = sidecar.record(got.header("x-request-id")).await;
    assert_eq!(
        (&record["reported"], &record["allowed"]),
        (&json!("client_not_allowed"), &json!(true))
    );
    let series = "sidecar_tenancy_decisions_total{area=\"settings\",decision=\"report\",mode=\"report\",reason=\"client_not_allowed\"}";
    assert_eq!(sidecar.metric(series).await, 1.0);
    assert_eq!(
        sidecar.audited("client_not_allowed").await["decision"],
        "report"
    );
    let nobody = sidecar.get(SETTINGS).client("20").send().await;
    assert_eq!(coded(&nobody), (401, "token_missing".into()));
    // Another rule is as it was.
    let other = sidecar
        .get("/api/flows")
        .bearer(&alice())
        .client("20")
        .send()
        .await;
    assert_eq!(coded(&other), (404, "client_not_allowed".into()));
}

#[tokio::test]
async fn what_is_only_reported_is_never_kept() {
    let setup = Setup::default().set("SIDECAR__TENANCY__MODE", "report");
    let (sidecar, coolbits, _legacy) = started(setup).await;
    for _ in 0..2 {
        let got = sidecar.ads(&alice(), "20", "campaigns").await;
        assert_eq!(got.status, 200);
        assert_eq!(
            (got.header("cache-status"), got.header("cache-control")),
            ("camarad-sidecar; fwd=bypass; detail=not_scoped", "no-store")
        );
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 2);
}

#[tokio::test]
async fn another_site_changes_nothing_with_the_session_cookie() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    let url = sidecar.url("/api/orchestrator/compose");
    let cookie = format!("camarad_cb_token={}", alice());
    let host = sidecar.address.to_string();
    let own = format!("http://{host}");
    for (fields, passes) in [
        (vec![], true),
        (
            vec![("Sec-Fetch-Site", "same-origin"), ("Origin", &own[..])],
            true,
        ),
        (vec![("Origin", &own)], true),
        (
            vec![
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "http://evil.example"),
            ],
            false,
        ),
        (vec![("Sec-Fetch-Site", "same-site")], false),
        (vec![("Origin", "null")], false),
        (vec![("Origin", "http://evil.example")], false),
    ] {
        legacy.forget().await;
        let ask = |mut ask: Ask| {
            for (name, value) in &fields {
                ask = ask.with(name, value);
            }
            ask.client("10")
                .body(r#"{"token": "session-of-user-1"}"#)
                .send()
        };
        let by_cookie = ask(Ask::new("POST", &url).with("Cookie", &cookie)).await;
        let expected = if passes { 200 } else { 403 };
        assert_eq!(by_cookie.status, expected, "{fields:?}");
        if !passes {
            assert_eq!(by_cookie.code(), "cross_site");
        }
        assert_eq!(
            legacy.calls().await.len(),
            usize::from(passes),
            "{fields:?}"
        );
        let by_bearer = ask(Ask::new("POST", &url).bearer(&alice())).await;
        assert_eq!(by_bearer.status, 200, "{fields:?}");
        let login = |kind: &'static str| {
            let login = Ask::new("POST", &sidecar.url("/api/auth/session"));
            ask(login.with("Content-Type", kind))
        };
        assert_eq!(
            login("application/json").await.status,
            expected,
            "{fields:?}"
        );
        assert_eq!(
            coded(&login("text/plain").await),
            (415, "login_not_json".into())
        );
    }
}

#[tokio::test]
async fn internal_routes_are_for_the_operators_own_networks() {
    let path = "/api/billing/cost-telemetry";
    let (outside, _coolbits, legacy) = started(Setup::default()).await;
    let ask = |sidecar: &Sidecar| {
        let ask = sidecar.get(path).bearer(&alice());
        let ask = ask.with("X-Internal-Token", "internal token of the stand-in");
        async move { ask.send().await }
    };
    assert_eq!(coded(&ask(&outside).await), (403, "internal_only".into()));
    assert!(legacy.calls().await.is_empty());
    let setup = Setup::default().set("SIDECAR__SERVER__INTERNAL_NETWORKS", "127.0.0.0/8");
    let (inside, _coolbits, legacy) = started(setup).await;
    assert_eq!(ask(&inside).await.status, 200);
    // A proxy that is believed passes somebody else's request on.
    let forwarded = inside.get(path).with("X-Forwarded-For", "203.0.113.7");
    assert_eq!(
        coded(&forwarded.send().await),
        (403, "internal_only".into())
    );
    let elsewhere = inside.get(SETTINGS).bearer(&alice()).client("10");
    let elsewhere = elsewhere.with("X-Internal-Token", "internal token of the stand-in");
    assert_eq!(elsewhere.send().await.status, 200);
    let sent = legacy.calls_to(SETTINGS).await;
    assert!(sent[0]["headers"].get("x-internal-token").is_none());
}

#[tokio::test]
async fn the_debugger_of_the_app_is_out_of_reach() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    for target in [
        "/console",
        "//console",
        "/%63onsole",
        "/?__debugger__=yes&cmd=resource&f=debugger.js",
        "/app?a=1&%5F_debugger__=yes",
        "/api/flows?__debugger__",
    ] {
        let got = sidecar.get(target).bearer(&alice()).send().await;
        assert_eq!(got.status, 404, "{target}");
        let record = sidecar.record(got.header("x-request-id")).await;
        assert_eq!(record["code"], "debugger_refused", "{target}");
    }
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn management_may_be_strict() {
    for (management, status) in [("ambient", 200), ("strict", 400)] {
        let setup = Setup::default().set("SIDECAR__TENANCY__MANAGEMENT", management);
        let (sidecar, _coolbits, _legacy) = started(setup).await;
        // The list is known to the limited token; the drawer of one client, another open in the page.
        let url = sidecar.url("/api/client_connectors?client_id=11");
        let got = Ask::get(&url).bearer(&alice()).client("10").send().await;
        assert_eq!(got.status, status, "{management}: {:?}", got.json());
    }
}

#[tokio::test]
async fn a_body_that_is_imported_names_one_client() {
    let (sidecar, _coolbits, legacy) = started(Setup::default()).await;
    let import = |client: &'static str, body: Value| {
        let ask = Ask::new("POST", &sidecar.url("/api/import")).bearer(&alice());
        ask.client(client).body(body.to_string()).send()
    };
    let paypal = json!({"client_id": 10, "connectors": [{"client_id": 10, "config": {"client_id": "oauth"}}]});
    assert_eq!(import("10", paypal).await.status, 200);
    for (client, body, code) in [
        ("10", json!({"client_id": 20}), "client_conflict"),
        ("20", json!({"client_id": 20}), "client_not_allowed"),
        (
            "10",
            json!({"client_id": 10, "flows": [{"client_id": 20}]}),
            "client_conflict",
        ),
        (
            "10",
            json!({"client_id": 10, "clients": [{"id": 20}]}),
            "client_conflict",
        ),
        (
            "10",
            json!({"data": {"client_id": 10, "flows": [{"client_id": 11}]}}),
            "client_conflict",
        ),
        (
            "10",
            json!({"flows": [{"name": "nobody's"}]}),
            "client_required",
        ),
    ] {
        legacy.forget().await;
        assert_eq!(
            import(client, body.clone()).await.code(),
            code,
            "{client} {body}"
        );
        assert!(legacy.calls().await.is_empty(), "{body}");
    }
}
