//! Every violation and warning, through the binary, in its words.

use super::{EXECUTE, VALIDATE, body, codes, executed, good, with_node};
use crate::support::{Got, Setup, Sidecar, StandIn, alice, unlimited};
use serde_json::{Value, json};

/// Everything that blocks a flow, in its words.
fn blocked() -> Vec<(Value, &'static str, &'static str)> {
    let mut no_agent = good();
    no_agent["nodes"][3]["type"] = json!("trigger");
    let mut no_output = good();
    no_output["nodes"][4]["type"] = json!("agent");
    let mut unreadable = good();
    unreadable["nodes"][0] = json!(["start"]);
    let mut twice = good();
    let again = twice["nodes"][4].clone();
    twice["nodes"].as_array_mut().unwrap().push(again);
    let mut half = good();
    half["connections"][0] = json!({"to": "ads"});
    let mut nowhere = good();
    nowhere["connections"][3]["to"] = json!("gone");
    let mut many = good();
    for n in 0..200 {
        many["nodes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"id": n, "type": "agent", "slug": "seo"}));
    }
    let mut tangled = good();
    for _ in 0..400 {
        tangled["connections"]
            .as_array_mut()
            .unwrap()
            .push(json!({"from": "start", "to": "ads"}));
    }
    let large = with_node("start", |node| {
        node["config"]["trigger_description"] = json!("x".repeat(270_000))
    });
    let theirs = with_node("ads", |node| {
        node["config"]["account_id"] = json!("234-567-8901")
    });
    let manager = with_node("ads", |node| node["config"]["mcc_id"] = json!("2345678901"));
    vec![
        (
            json!("{\"nodes\""),
            "not_a_flow",
            "There is no flow in the request, or it is no object with a list of nodes",
        ),
        (
            json!([]),
            "not_a_flow",
            "There is no flow in the request, or it is no object with a list of nodes",
        ),
        (json!({"nodes": []}), "no_nodes", "The flow has no nodes"),
        (no_agent, "no_agent", "The flow has no agent"),
        (no_output, "no_output", "The flow has no output"),
        (
            unreadable,
            "node_unreadable",
            "Node number 1 is no object with an id",
        ),
        (twice, "duplicate_id", "Two nodes have the id say"),
        (
            half,
            "connection_unreadable",
            "Connection number 1 does not say from which node to which",
        ),
        (
            nowhere,
            "connection_to_nothing",
            "A connection names the node gone, which does not exist",
        ),
        (
            many,
            "too_many_nodes",
            "The flow has 205 nodes, and 200 are allowed",
        ),
        (
            tangled,
            "too_many_connections",
            "The flow has 404 connections, and 400 are allowed",
        ),
        (large, "too_large", "bytes, and 262144 are allowed"),
        (
            theirs,
            "account_not_allowed",
            "Ads names the account 234-567-8901, which is not one of this client's",
        ),
        (
            manager,
            "account_not_allowed",
            "which is not one of this client's",
        ),
        (
            with_node("ads", |node| {
                node["config"]["customerId"] = json!(["1234567890"])
            }),
            "account_unreadable",
            "which is no account of Google Ads",
        ),
    ]
}

#[tokio::test]
async fn each_violation_is_400_in_its_words_and_nothing_is_forwarded() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut count = 0.0;
    for (flow, code, words) in blocked() {
        let got = sidecar.route(&alice(), "10", EXECUTE, &body(&flow)).await;
        let told = got.json();
        assert_eq!(
            (got.status, got.code()),
            (400, "flow_blocked".to_owned()),
            "{code}: {told}"
        );
        assert_eq!(codes(&told["violations"])[0], code, "{told}");
        let first = &told["violations"][0];
        assert!(
            first["message"].as_str().unwrap().contains(words),
            "{first}"
        );
        assert!(!first["fix"].as_str().unwrap().is_empty(), "{first}");
        let error = told["error"].as_str().unwrap();
        assert!(error.starts_with("This flow cannot run: "), "{error}");
        assert!(
            error.ends_with(
                "Credits may have been taken already, because the page books them first."
            ),
            "{error}"
        );
        count += 1.0;
        assert_eq!(
            sidecar
                .metric("sidecar_runs_total{status=\"blocked\"}")
                .await,
            count
        );
        // The same without running: 200, and free of charge.
        let seen = sidecar.route(&alice(), "10", VALIDATE, &body(&flow)).await;
        assert_eq!(
            (seen.status, &seen.json()["ok"]),
            (200, &json!(false)),
            "{code}"
        );
        assert_eq!(seen.json()["violations"], told["violations"], "{code}");
    }
    let nothing = sidecar.route(&alice(), "10", EXECUTE, "{}").await;
    assert_eq!(codes(&nothing.json()["violations"]), ["not_a_flow"]);
    assert!(executed(&legacy).await.is_empty());
    assert!(legacy.calls_to("spend").await.is_empty());
}

#[tokio::test]
async fn all_violations_are_told_at_once() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let flow =
        json!({"nodes": [{"id": "a"}, {"id": "a"}, 7], "connections": [{"from": "a", "to": "b"}]});
    let told = sidecar
        .route(&alice(), "10", EXECUTE, &body(&flow))
        .await
        .json();
    let expected = [
        "no_agent",
        "no_output",
        "duplicate_id",
        "node_unreadable",
        "connection_to_nothing",
    ];
    assert_eq!(codes(&told["violations"]), expected, "{told}");
    assert_eq!(told["violations"][2]["node_id"], "a");
}

/// Runs a flow and gives its warnings; each has something to do, and stands on its step.
async fn warned(sidecar: &Sidecar, client: &str, flow: &Value) -> Value {
    let got = sidecar
        .route(&unlimited(), client, EXECUTE, &body(flow))
        .await;
    let told = got.json();
    assert_eq!(got.status, 200, "{told}");
    let steps = told["steps"].as_array().unwrap();
    for warning in told["warnings"].as_array().unwrap() {
        let reason = format!(
            "{} \u{2014} {}",
            warning["message"].as_str().unwrap(),
            warning["fix"].as_str().unwrap()
        );
        assert!(
            warning["action"]["href"].as_str().unwrap().starts_with('/'),
            "{warning}"
        );
        // A node that is not reached has no step.
        if let Some(step) = steps
            .iter()
            .find(|step| step["node_id"] == warning["node_id"])
        {
            assert_eq!(step["status"], "warning", "{step}");
            let said = step["fail_reason"].as_str().unwrap();
            assert!(
                said.contains(&reason) || said.contains(" is 0, not "),
                "{said}\n{reason}"
            );
        }
    }
    if told["warnings"] != json!([]) {
        assert_eq!(
            (&told["run_status"], &told["overall_status"]),
            (&json!("warning"), &json!("warning"))
        );
    }
    told
}

fn says(told: &Value, code: &str, node: &str, words: &str) {
    let warnings = told["warnings"].as_array().unwrap();
    let found = warnings.iter().find(|one| one["code"] == code);
    let found = found.unwrap_or_else(|| panic!("{code} is not among {warnings:#?}"));
    assert_eq!(
        (&found["node_id"], &found["message"]),
        (&json!(node), &json!(words))
    );
}

#[tokio::test]
async fn each_warning_about_the_flow_is_told_and_it_runs() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let condition = json!({"id": "if", "type": "condition", "label": "If",
        "config": {"condition_metric": "sessions", "condition_operator": ">", "condition_value": "1"}});
    // Between the agent and the output.
    let with_condition = |change: &dyn Fn(&mut Value)| {
        let mut flow = good();
        let mut node = condition.clone();
        change(&mut node);
        flow["nodes"].as_array_mut().unwrap().push(node);
        flow["connections"][3]["to"] = json!("if");
        flow["connections"]
            .as_array_mut()
            .unwrap()
            .push(json!({"from": "if", "to": "say"}));
        flow
    };
    let connect = |from: &str, to: &str| {
        let mut flow = good();
        flow["connections"]
            .as_array_mut()
            .unwrap()
            .push(json!({"from": from, "to": to}));
        flow
    };
    let mut branches = with_condition(&|_| ());
    branches["connections"]
        .as_array_mut()
        .unwrap()
        .push(json!({"from": "if", "to": "think"}));
    let mut alone = good();
    alone["nodes"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "far", "type": "agent", "slug": "seo", "label": "Far"}));
    let mut no_path = good();
    no_path["connections"][2]["to"] = json!("say");
    no_path["connections"][3] = json!({"from": "say", "to": "think"});
    let cases = [
        (
            with_node("start", |node| node["type"] = json!("note")),
            "no_trigger",
            "start",
            "The flow has no trigger, so it begins with its first node, Every morning",
        ),
        (
            with_node("start", |node| node["type"] = json!("note")),
            "unknown_type",
            "start",
            "Every morning is of the type note, which the app runs as a note",
        ),
        (
            no_path,
            "no_path",
            "say",
            "Mail is reached without any agent before it",
        ),
        (
            connect("think", "ads"),
            "cycle",
            "ads",
            "The flow goes round in a circle at Ads; each node runs once only",
        ),
        (
            alone,
            "out_of_reach",
            "far",
            "Far is never reached, so it does not run",
        ),
        (
            with_node("think", |node| node["slug"] = json!("ghost")),
            "unknown_agent",
            "think",
            "Analyst: there is no agent called ghost",
        ),
        (
            with_node("web", |node| node["slug"] = json!("abacus")),
            "unknown_connector",
            "web",
            "Web: there is no connector called abacus",
        ),
        (
            with_condition(&|node| node["config"] = json!({"condition_metric": "sessions"})),
            "condition_incomplete",
            "if",
            "The condition If lacks an operator and a number to compare with; the app then compares 0",
        ),
        (
            with_condition(&|node| node["config"]["condition_metric"] = json!("mrr")),
            "condition_metric_not_delivered",
            "if",
            "The condition If asks for mrr, which none of the connectors before it delivers; it counts as 0",
        ),
        (
            branches,
            "condition_both_branches",
            "if",
            "The app runs both branches of the condition If, whatever it says",
        ),
        (
            with_node("say", |node| {
                node["config"]["output_template"] = json!("{{ today }}")
            }),
            "placeholder_unfilled",
            "say",
            "The output Mail has the placeholder {{ today }}, which nothing fills",
        ),
    ];
    let all = cases.len();
    for (flow, code, node, words) in cases {
        let told = warned(&sidecar, "10", &flow).await;
        says(&told, code, node, words);
    }
    assert_eq!(executed(&legacy).await.len(), all, "each ran");
}

#[tokio::test]
async fn each_warning_about_connectors_is_told_and_it_runs() {
    let (sidecar, coolbits, legacy) =
        Sidecar::with_stand_ins(Setup::default().without_breaker()).await;
    // Not linked to the client at all.
    let hubspot = with_node("web", |node| {
        node["slug"] = json!("hubspot");
        node["config"] = json!({});
    });
    let told = warned(&sidecar, "10", &hubspot).await;
    says(
        &told,
        "connector_disconnected",
        "web",
        "HubSpot is not connected for this client, so its figures are made up",
    );
    // An account of nobody whom the user knows, for a client that has none of its own.
    let made = sidecar
        .route(&unlimited(), "", "POST /api/clients", r#"{"name": "New"}"#)
        .await
        .json();
    let strange = with_node("ads", |node| {
        node["config"]["account_id"] = json!("999-999-9999")
    });
    let told = warned(&sidecar, &made["id"].to_string(), &strange).await;
    says(
        &told,
        "account_not_linked",
        "ads",
        "Ads names the account 999-999-9999, which is not linked to this client",
    );
    // The gateway is off: figures will be invented.
    sidecar.switch(false).await;
    let told = warned(&sidecar, "10", &good()).await;
    says(
        &told,
        "gateway_off",
        "ads",
        "Google Ads: the gateway is off, so its figures will be invented",
    );
    assert_eq!(codes(&told["warnings"]), ["gateway_off", "gateway_off"]);
    sidecar.switch(true).await;
    // It is on and does not answer.
    coolbits
        .faults(json!({"fault": "status", "status": 500}))
        .await;
    for days in 1..4 {
        sidecar
            .ads(&alice(), "10", &format!("metrics?days={days}"))
            .await;
    }
    let told = warned(&sidecar, "10", &good()).await;
    says(
        &told,
        "connector_degraded",
        "ads",
        "Google Ads does not answer reliably right now, so its figures may be made up",
    );
    assert_eq!(executed(&legacy).await.len(), 4);
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_told_as_unknown() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    legacy
        .faults(json!({"fault": "status", "status": 500, "only": "/api/connectors/list"}))
        .await;
    let told = warned(&sidecar, "10", &good()).await;
    says(
        &told,
        "connector_state_unknown",
        "ads",
        "Whether Google Ads is connected could not be looked up",
    );
    let fresh = Setup::default().start(&coolbits, &legacy).await;
    // Agents that the app does not tell are not called unknown.
    legacy
        .faults(json!({"fault": "status", "status": 500, "only": "/api/orchestrator/route"}))
        .await;
    let ghost = with_node("think", |node| node["slug"] = json!("ghost"));
    let told = warned(&fresh, "11", &ghost).await;
    assert!(
        !codes(&told["warnings"]).contains(&"unknown_agent".to_owned()),
        "{told}"
    );
    // Whose an account is must be known.
    legacy
        .faults(json!({"fault": "status", "status": 500, "only": "/api/client_connectors"}))
        .await;
    let fresh = Setup::default().start(&coolbits, &legacy).await;
    let got = fresh.route(&alice(), "10", EXECUTE, &body(&good())).await;
    assert_eq!(
        (got.status, got.code()),
        (503, "guard_unavailable".to_owned())
    );
}

#[tokio::test]
async fn where_no_account_is_chosen_that_is_told() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    let made = sidecar
        .route(&token, "", "POST /api/clients", r#"{"name": "New"}"#)
        .await
        .json();
    let client = made["id"].to_string();
    // Linked, without saying to which account.
    for slug in ["google-ads", "ga4"] {
        let link =
            json!({"client_id": made["id"], "connector_slug": slug, "account_id": ""}).to_string();
        let got = sidecar
            .route(&token, &client, "POST /api/client_connectors", &link)
            .await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    let told = warned(&sidecar, &client, &good()).await;
    says(
        &told,
        "account_not_chosen",
        "ads",
        "Google Ads: no account is chosen for this client",
    );
    says(
        &told,
        "property_not_chosen",
        "web",
        "Google Analytics 4: no property is chosen for this client",
    );
    // What is stored for the client counts.
    let stored =
        json!({"status": "connected", "config": {"account_id": "777-777-7777"}}).to_string();
    let got = sidecar
        .route(&token, &client, "POST /api/connectors/google-ads", &stored)
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    let got = sidecar
        .route(&token, &client, EXECUTE, &body(&good()))
        .await;
    assert_eq!(
        codes(&got.json()["violations"]),
        ["account_not_allowed"],
        "{got:?}"
    );
}

#[tokio::test]
async fn a_stored_account_not_allowed_is_not_read_unlooked_at() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    let made = sidecar
        .route(&token, "", "POST /api/clients", r#"{"name": "New"}"#)
        .await
        .json();
    // Stored for no client: the app would read it for every client that has nothing of its own.
    let stored =
        json!({"status": "connected", "config": {"account_id": "234-567-8901"}}).to_string();
    let got = sidecar
        .route(&token, "", "POST /api/connectors/google-ads", &stored)
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    let got = sidecar
        .route(&token, &made["id"].to_string(), EXECUTE, &body(&good()))
        .await;
    assert_eq!(
        codes(&got.json()["violations"]),
        ["account_not_allowed"],
        "{got:?}"
    );
    assert!(executed(&legacy).await.is_empty());
}

/// The app merges what the node says into what is stored, and looks at `account_id` first.
#[tokio::test]
async fn what_is_stored_does_not_win_over_what_the_node_says_by_another_name() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    let stored =
        json!({"status": "connected", "config": {"account_id": "234-567-8901"}}).to_string();
    let got = sidecar
        .route(&token, "", "POST /api/connectors/google-ads", &stored)
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    let flow = with_node("ads", |node| {
        node["config"] = json!({"customerId": "123-456-7890"})
    });
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&flow)).await;
    assert_eq!(got.status, 200, "{got:?}");
    let sent = &executed(&legacy).await[0]["flow"]["nodes"][1]["config"];
    assert_eq!(sent["account_id"], "123-456-7890");
    let accounts = got.json()["sources"].to_string();
    assert!(!accounts.contains("234-567-8901"), "{accounts}");
}

/// Names that the app does not look at, and values that it takes for nothing, leave it to
/// what is stored: for no client, and so for every one.
#[tokio::test]
async fn no_way_to_name_an_account_leaves_it_to_what_is_stored_for_no_client() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let token = unlimited();
    for (slug, config) in [
        ("google-ads", json!({"account_id": "234-567-8901"})),
        ("ga4", json!({"property_id": "G-XYZ789GHI0"})),
    ] {
        let stored = json!({"status": "connected", "config": config}).to_string();
        let route = format!("POST /api/connectors/{slug}");
        let got = sidecar.route(&token, "", &route, &stored).await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    let odd = [
        json!({"cid": "123-456-7890", "property": "G-ABC123DEF4"}),
        json!({"accountId": "123-456-7890", "selectedPropertyId": "G-ABC123DEF4"}),
        json!({"account_id": [], "property_id": {}}),
        json!({"account_id": 0, "property_id": false}),
        json!({"account_id": null, "property_id": " "}),
    ];
    for config in odd {
        let mut flow = good();
        for at in [1, 2] {
            flow["nodes"][at]["config"] = config.clone();
        }
        let got = sidecar.route(&alice(), "10", EXECUTE, &body(&flow)).await;
        assert_eq!(got.status, 200, "{config}: {got:?}");
        let told = got.json()["sources"].to_string();
        assert!(
            told.contains("123-456-7890") && told.contains("G-ABC123DEF4"),
            "{config}: {told}"
        );
    }
    let sent = executed(&legacy).await;
    let nodes = sent
        .iter()
        .flat_map(|sent| sent["flow"]["nodes"].as_array().unwrap());
    for node in nodes.filter(|node| node["slug"] == "google-ads") {
        let config = node["config"].to_string();
        assert!(
            !config.contains("cid") && !config.contains("accountId"),
            "{config}"
        );
    }
}

#[tokio::test]
async fn what_is_stored_for_no_client_is_nothing_for_a_limited_token() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let stored =
        json!({"status": "connected", "config": {"account_id": "999-888-7777"}}).to_string();
    let token = unlimited();
    let made = sidecar
        .route(&token, "", "POST /api/clients", r#"{"name": "New"}"#)
        .await
        .json();
    let got = sidecar
        .route(&token, "", "POST /api/connectors/google-ads", &stored)
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    let id = made["id"].as_u64().unwrap();
    let limited = crate::support::token(crate::support::Claims::new(1, &[id]));
    for route in [VALIDATE, EXECUTE] {
        let got = sidecar
            .route(&limited, &id.to_string(), route, &body(&good()))
            .await;
        assert_eq!(
            (got.status, got.code()),
            (404, "account_not_linked".to_owned())
        );
        assert!(!String::from_utf8_lossy(&got.body).contains("999-888-7777"));
    }
    assert!(executed(&legacy).await.is_empty());
}

#[tokio::test]
async fn nobody_is_asked_about_a_flow_that_is_too_large() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut flow = good();
    for n in 0..4000 {
        let node = json!({"id": n, "type": "connector", "slug": "google-ads", "config": {"account_id": n, "cid": n + 1}});
        flow["nodes"].as_array_mut().unwrap().push(node);
        flow["connections"]
            .as_array_mut()
            .unwrap()
            .push(json!({"from": n, "to": format!("gone {n}")}));
    }
    let got = sidecar.route(&alice(), "10", VALIDATE, &body(&flow)).await;
    let told = got.json();
    assert_eq!(
        codes(&told["violations"]),
        ["too_large", "too_many_nodes", "too_many_connections"]
    );
    let calls = legacy.calls().await;
    assert!(calls.is_empty(), "{calls:#?}");
    let got = sidecar.route(&alice(), "10", EXECUTE, &body(&flow)).await;
    assert!(got.body.len() < 4096, "{}", got.body.len());
    let run_id = got.json()["run_id"].as_str().unwrap().to_owned();
    let shown = super::command::runs(&sidecar, &["show", &run_id]).await;
    assert!(shown.len() < 4096, "{} bytes are kept", shown.len());
}

#[tokio::test]
async fn validate_looks_and_does_nothing() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let got = sidecar
        .route(&alice(), "10", VALIDATE, &body(&good()))
        .await;
    let told = got.json();
    assert_eq!(
        (got.status, &told["ok"], &told["error"]),
        (200, &json!(true), &json!(null))
    );
    assert_eq!(
        (&told["nodes_total"], &told["connections_total"]),
        (&json!(5), &json!(4))
    );
    let steps = told["steps"].as_array().unwrap().iter();
    let steps: Vec<&str> = steps
        .map(|step| step["node_id"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["start", "ads", "web", "think", "say"]);
    // A stored flow, by its id; another client's is not there.
    let own = sidecar
        .route(&alice(), "10", VALIDATE, r#"{"flow_id": 2}"#)
        .await;
    assert_eq!((own.status, &own.json()["ok"]), (200, &json!(true)));
    let theirs = sidecar
        .route(&alice(), "10", VALIDATE, r#"{"flow_id": 3}"#)
        .await;
    assert_eq!(
        (theirs.status, theirs.code()),
        (404, "object_not_found".to_owned())
    );
    for bad in ["[]", "{", r#"{"flow": {}, "flow": {}}"#] {
        let got = sidecar.route(&alice(), "10", VALIDATE, bad).await;
        assert_eq!(
            (got.status, got.code()),
            (400, "body_malformed".to_owned()),
            "{bad}"
        );
    }
    assert!(executed(&legacy).await.is_empty() && legacy.calls_to("spend").await.is_empty());
    let listed = super::command::runs(&sidecar, &["list"]).await;
    assert_eq!(
        listed.lines().count(),
        1,
        "nothing is written down: {listed}"
    );
}

#[tokio::test]
async fn an_operators_table_decides_and_a_bad_one_stops_the_start() {
    let built_in = camarad_policies::guardrails::BUILT_IN;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guardrails.toml");
    let strict = built_in
        .replace(
            "code = \"no_output\"\nmode = \"block\"",
            "code = \"no_output\"\nmode = \"off\"",
        )
        .replace(
            "code = \"gateway_off\"\nmode = \"warn\"",
            "code = \"gateway_off\"\nmode = \"block\"",
        );
    std::fs::write(&path, strict).unwrap();
    let setup = Setup::default().set("SIDECAR__ORCHESTRATOR__GUARDRAILS", path.display());
    let (sidecar, _coolbits, _legacy): (Sidecar, StandIn, StandIn) =
        Sidecar::with_stand_ins(setup).await;
    let mut no_output = good();
    no_output["nodes"][4]["type"] = json!("agent");
    no_output["nodes"][4]["slug"] = json!("seo");
    let run = |flow: Value| {
        let sidecar = &sidecar;
        async move { sidecar.route(&alice(), "10", EXECUTE, &body(&flow)).await }
    };
    let got: Got = run(no_output).await;
    assert_eq!((got.status, &got.json()["warnings"]), (200, &json!([])));
    sidecar.switch(false).await;
    let got = run(good()).await;
    assert_eq!(
        codes(&got.json()["violations"]),
        ["gateway_off", "gateway_off"],
        "{got:?}"
    );

    std::fs::write(
        &path,
        built_in
            .replace("nodes = 200", "nodes = 0")
            .replace("code = \"cycle\"", "code = \"circle\""),
    )
    .unwrap();
    let path = path.display().to_string();
    let output = crate::support::command()
        .arg("check")
        .env("SIDECAR_JWT_SECRET", crate::support::SECRET)
        .env("SIDECAR_JWT_USER_CLAIM", "uid")
        .env("SIDECAR__ORCHESTRATOR__GUARDRAILS", &path)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for problem in [
        "orchestrator.guardrails",
        "limits.nodes = 0",
        "rule \"circle\": there is no such rule",
        "rule \"cycle\" is missing",
    ] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
}
