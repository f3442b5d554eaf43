use super::finding::RULES;
use super::*;
use crate::flow::Kind;
use proptest::prelude::*;
use serde_json::json;

fn table() -> Guardrails {
    Guardrails::built_in().unwrap()
}

/// All is well with the connectors of [`good`].
fn well() -> Situation {
    let slugs = ["google-ads", "ga4"].map(str::to_owned);
    Situation {
        bytes: 100,
        gateway_on: true,
        served: slugs.clone().into(),
        states: slugs.clone().map(|slug| (slug, State::Connected)).into(),
        agents: Some(["seo".to_owned()].into()),
        chosen: slugs.map(|slug| (slug, true)).into(),
        ..Situation::default()
    }
}

fn good() -> Value {
    json!({
        "nodes": [
            {"id": "t", "type": "trigger", "label": "Start"},
            {"id": "c", "type": "connector", "slug": "google-ads", "label": "Ads"},
            {"id": "i", "type": "condition", "label": "If",
             "config": {"condition_metric": "Spend", "condition_operator": ">", "condition_value": "90"}},
            {"id": "a", "type": "agent", "slug": "SEO", "label": "Analyst"},
            {"id": "o", "type": "output", "label": "Mail", "config": {"output_template": "{{last_agent_response}} {x}"}},
        ],
        "connections": [
            {"from": "t", "to": "c"}, {"from": "c", "to": "i"}, {"from": "i", "to": "a"}, {"from": "a", "to": "o"},
        ],
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut flow = good();
    change(&mut flow);
    flow
}

type Told = (&'static str, Option<String>, String);

fn told(findings: &[Finding]) -> Vec<Told> {
    let one = |f: &Finding| (f.code, f.node_id.clone(), f.message.clone());
    findings.iter().map(one).collect()
}

fn told_of(flow: &Value, situation: &Situation) -> (Vec<Told>, Vec<Told>) {
    let verdict = table().check(flow, situation);
    (told(&verdict.violations), told(&verdict.warnings))
}

fn one(code: &'static str, node: &str, message: &str) -> Vec<Told> {
    let node = (!node.is_empty()).then(|| node.to_owned());
    vec![(code, node, message.to_owned())]
}

#[test]
fn a_good_flow_has_nothing_wrong() {
    assert_eq!(told_of(&good(), &well()), (vec![], vec![]));
}

#[test]
fn nothing_is_found_in_the_templates() {
    for template in crate::templates::all().unwrap() {
        let needed = needs(&Flow::read(&template.flow).0);
        let connected = needed
            .connectors
            .iter()
            .map(|slug| (slug.clone(), State::Connected));
        let situation = Situation {
            states: connected.collect(),
            agents: Some(needed.agents.clone()),
            ..well()
        };
        let told = told_of(&template.flow, &situation);
        assert_eq!(told, (vec![], vec![]), "{}", template.id);
    }
}

#[test]
fn every_rule_has_a_code_of_its_own_and_stands_in_the_table() {
    let codes: BTreeSet<&str> = RULES.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), RULES.len());
    assert_eq!(table().rules.len(), RULES.len());
}

#[test]
fn each_violation_is_told_in_its_words() {
    let cases: Vec<(Value, Vec<Told>)> = vec![
        (
            json!(null),
            one(
                "not_a_flow",
                "",
                "There is no flow in the request, or it is no object with a list of nodes",
            ),
        ),
        (
            json!({"nodes": "x"}),
            one(
                "not_a_flow",
                "",
                "There is no flow in the request, or it is no object with a list of nodes",
            ),
        ),
        (
            json!({"nodes": []}),
            one("no_nodes", "", "The flow has no nodes"),
        ),
        (
            changed(|f| f["nodes"][3]["type"] = json!("connector")),
            one("no_agent", "", "The flow has no agent"),
        ),
        (
            changed(|f| f["nodes"][4]["type"] = json!("agent")),
            one("no_output", "", "The flow has no output"),
        ),
        (
            changed(|f| f["nodes"].as_array_mut().unwrap().insert(1, json!(7))),
            one(
                "node_unreadable",
                "",
                "Node number 2 is no object with an id",
            ),
        ),
        (
            changed(|f| {
                f["nodes"]
                    .as_array_mut()
                    .unwrap()
                    .push(good()["nodes"][4].clone())
            }),
            one("duplicate_id", "o", "Two nodes have the id o"),
        ),
        (
            changed(|f| f["connections"][2] = json!({"from": "a"})),
            one(
                "connection_unreadable",
                "",
                "Connection number 3 does not say from which node to which",
            ),
        ),
        (
            changed(|f| {
                f["connections"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"from": "o", "to": "x"}))
            }),
            one(
                "connection_to_nothing",
                "",
                "A connection names the node x, which does not exist",
            ),
        ),
    ];
    for (flow, expected) in cases {
        assert_eq!(told_of(&flow, &well()).0, expected, "{flow}");
    }
    let large = Situation {
        bytes: 300_000,
        ..well()
    };
    assert_eq!(
        told_of(&good(), &large).0,
        one(
            "too_large",
            "",
            "The flow has 300000 bytes, and 262144 are allowed"
        )
    );
    let many = changed(|f| {
        for n in 0..200 {
            f["nodes"]
                .as_array_mut()
                .unwrap()
                .push(json!({"id": n, "type": "agent", "slug": "seo"}));
            for to in ["o", "a"] {
                f["connections"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"from": n, "to": to}));
            }
        }
    });
    let expected = [
        one(
            "too_many_nodes",
            "",
            "The flow has 205 nodes, and 200 are allowed",
        ),
        one(
            "too_many_connections",
            "",
            "The flow has 404 connections, and 400 are allowed",
        ),
    ];
    assert_eq!(told_of(&many, &well()).0, expected.concat());
    let named = |setting: &str, value: Value| {
        let setting = setting.to_owned();
        changed(move |f| f["nodes"][1]["config"][setting] = value)
    };
    let key = ("google-ads".to_owned(), "234-567-8901".to_owned());
    let situation = Situation {
        accounts: [(key, Standing::NotAllowed)].into(),
        ..well()
    };
    let words = "Ads names the account 234-567-8901, which is not one of this client's";
    for setting in ["account_id", "cid", "mcc_id", "loginCustomerId"] {
        let flow = named(setting, json!("234-567-8901"));
        assert_eq!(
            told_of(&flow, &situation).0,
            one("account_not_allowed", "c", words),
            "{setting}"
        );
    }
    for (odd, shown) in [
        (json!(["234-567-8901"]), "[ 234-567-8901 ]"),
        (json!({"a": 1}), "{ a :1}"),
        (json!(true), "true"),
        (json!(1.5), "1.5"),
        (json!("x234-567-8901"), "x234-567-8901"),
        (json!("---"), "---"),
        (json!("\u{ff12}\u{ff13}"), "\u{ff12}\u{ff13}"),
    ] {
        let words = format!("Ads names {shown}, which is no account of Google Ads");
        let flow = named("customerId", odd);
        assert_eq!(
            told_of(&flow, &well()).0,
            one("account_unreadable", "c", &words)
        );
    }
}

#[test]
fn all_violations_are_told_at_once_in_the_flows_order() {
    let flow = json!({
        "nodes": [{"id": "a"}, {"id": "a"}, {"label": "x"}, {"id": "a"}],
        "connections": [{"from": "a", "to": "b"}, {}],
    });
    let verdict = table().check(&flow, &well());
    let codes: Vec<&str> = verdict.violations.iter().map(|f| f.code).collect();
    let expected = [
        "no_agent",
        "no_output",
        "duplicate_id",
        "node_unreadable",
        "connection_unreadable",
        "connection_to_nothing",
    ];
    assert_eq!(codes, expected);
    let sentence = "This flow cannot run: the flow has no agent (and 5 more problems). Credits may have been taken already, because the page books them first.";
    assert_eq!(verdict.sentence().unwrap(), sentence);
    assert_eq!(table().check(&good(), &well()).sentence(), None);
}

#[test]
fn each_warning_about_the_flow_is_told_in_its_words() {
    let set = |at: usize, name: &'static str, value: Value| {
        changed(move |f| f["nodes"][at][name] = value)
    };
    let condition =
        |name: &'static str, value: Value| changed(move |f| f["nodes"][2]["config"][name] = value);
    let cases: Vec<(Value, Vec<Told>)> = vec![
        (
            set(0, "type", json!("agent")),
            [
                one(
                    "no_trigger",
                    "t",
                    "The flow has no trigger, so it begins with its first node, Start",
                ),
                one(
                    "unknown_agent",
                    "t",
                    "Start: there is no agent called (no name)",
                ),
            ]
            .concat(),
        ),
        (
            set(3, "slug", json!("ghost")),
            one(
                "unknown_agent",
                "a",
                "Analyst: there is no agent called ghost",
            ),
        ),
        (
            set(0, "type", json!("sticker")),
            [
                one(
                    "no_trigger",
                    "t",
                    "The flow has no trigger, so it begins with its first node, Start",
                ),
                one(
                    "unknown_type",
                    "t",
                    "Start is of the type sticker, which the app runs as a note",
                ),
            ]
            .concat(),
        ),
        (
            changed(|f| f["connections"][3]["from"] = json!("i")),
            [
                one(
                    "no_path",
                    "o",
                    "Mail is reached without any agent before it",
                ),
                one(
                    "condition_both_branches",
                    "i",
                    "The app runs both branches of the condition If, whatever it says",
                ),
            ]
            .concat(),
        ),
        (
            changed(|f| {
                f["connections"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"from": "a", "to": "c"}))
            }),
            one(
                "cycle",
                "c",
                "The flow goes round in a circle at Ads; each node runs once only",
            ),
        ),
        (
            changed(|f| {
                f["nodes"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"id": 5, "type": "agent", "slug": "seo"}))
            }),
            one(
                "out_of_reach",
                "5",
                "5 is never reached, so it does not run",
            ),
        ),
        (
            condition("condition_metric", json!(null)),
            one(
                "condition_incomplete",
                "i",
                "The condition If lacks a metric; the app then compares 0",
            ),
        ),
        (
            set(2, "config", json!({})),
            one(
                "condition_incomplete",
                "i",
                "The condition If lacks a metric and an operator and a number to compare with; the app then compares 0",
            ),
        ),
        (
            condition("condition_operator", json!("~")),
            one(
                "condition_incomplete",
                "i",
                "The condition If lacks an operator; the app then compares 0",
            ),
        ),
        (
            condition("condition_value", json!("many")),
            one(
                "condition_incomplete",
                "i",
                "The condition If lacks a number to compare with; the app then compares 0",
            ),
        ),
        (
            condition("condition_metric", json!("sessions")),
            one(
                "condition_metric_not_delivered",
                "i",
                "The condition If asks for sessions, which none of the connectors before it delivers; it counts as 0",
            ),
        ),
        (
            set(
                4,
                "config",
                json!({"template": "{{last_agent_response}} {{ today }} {{open"}),
            ),
            one(
                "placeholder_unfilled",
                "o",
                "The output Mail has the placeholder {{ today }}, which nothing fills",
            ),
        ),
    ];
    for (flow, expected) in cases {
        let (violations, warnings) = told_of(&flow, &well());
        assert_eq!((violations, warnings), (vec![], expected), "{flow}");
    }
}

#[test]
fn each_warning_about_a_connector_is_told_in_its_words() {
    let state = |state| Situation {
        states: [("google-ads".to_owned(), state)].into(),
        ..well()
    };
    let named = changed(|f| f["nodes"][1]["config"] = json!({"account_id": 1234567890}));
    let standing = |standing| Situation {
        accounts: [(("google-ads".to_owned(), "1234567890".to_owned()), standing)].into(),
        ..well()
    };
    let open = |slug: &str| Situation {
        chosen: [(slug.to_owned(), false)].into(),
        ..well()
    };
    let ga4 = changed(|f| {
        f["nodes"][1]["slug"] = json!("GA4");
        f["nodes"][2]["config"]["condition_metric"] = json!("sessions");
    });
    let odd = changed(|f| f["nodes"][1]["slug"] = json!("abacus"));
    let listed = Situation {
        catalogue: Some(["abacus".to_owned()].into()),
        ..well()
    };
    let cases = [
        (
            good(),
            state(State::Disconnected),
            one(
                "connector_disconnected",
                "c",
                "Google Ads is not connected for this client, so its figures are made up",
            ),
        ),
        (
            good(),
            state(State::Degraded),
            one(
                "connector_degraded",
                "c",
                "Google Ads does not answer reliably right now, so its figures may be made up",
            ),
        ),
        (
            good(),
            state(State::Unknown),
            one(
                "connector_state_unknown",
                "c",
                "Whether Google Ads is connected could not be looked up",
            ),
        ),
        (
            good(),
            Situation {
                gateway_on: false,
                ..well()
            },
            one(
                "gateway_off",
                "c",
                "Google Ads: the gateway is off, so its figures will be invented",
            ),
        ),
        (
            good(),
            open("google-ads"),
            one(
                "account_not_chosen",
                "c",
                "Google Ads: no account is chosen for this client",
            ),
        ),
        (
            ga4,
            open("ga4"),
            one(
                "property_not_chosen",
                "c",
                "Google Analytics 4: no property is chosen for this client",
            ),
        ),
        (
            named.clone(),
            standing(Standing::Unlinked),
            one(
                "account_not_linked",
                "c",
                "Ads names the account 1234567890, which is not linked to this client",
            ),
        ),
        (
            named.clone(),
            standing(Standing::Unknown),
            one(
                "account_link_unknown",
                "c",
                "Whether the account 1234567890 of Ads is linked to this client could not be looked up",
            ),
        ),
        (named, standing(Standing::Linked), vec![]),
        (
            odd.clone(),
            well(),
            one(
                "unknown_connector",
                "c",
                "Ads: there is no connector called abacus",
            ),
        ),
        // Of what the table does not know, any metric may come.
        (
            odd,
            listed,
            one(
                "connector_state_unknown",
                "c",
                "Whether abacus is connected could not be looked up",
            ),
        ),
    ];
    for (flow, situation, expected) in cases {
        let (violations, mut warnings) = told_of(&flow, &situation);
        warnings.retain(|(code, ..)| *code != "condition_metric_not_delivered");
        assert_eq!((violations, warnings), (vec![], expected), "{flow}");
    }
}

#[test]
fn what_runs_delivered_is_a_metric_too() {
    let flow = changed(|f| f["nodes"][2]["config"]["condition_metric"] = json!("Reach"));
    assert_eq!(told_of(&flow, &well()).1.len(), 1);
    let seen = Situation {
        delivered: [("google-ads".to_owned(), ["reach".to_owned()].into())].into(),
        ..well()
    };
    assert_eq!(told_of(&flow, &seen).1, vec![]);
}

#[test]
fn names_in_words_are_no_markup_and_no_longer_than_one_reads() {
    let flow = changed(|f| {
        f["nodes"][3]["label"] = json!("<img src=x onerror=\"alert(`1`)\">&amp;\u{7}\n{slug}");
        f["nodes"][3]["slug"] = json!("x".repeat(100));
    });
    let (_, warnings) = told_of(&flow, &well());
    let words = &warnings[0].2;
    assert!(
        words
            .starts_with("img src=x onerror= alert( 1 ) amp; {slug}: there is no agent called xxx"),
        "{words}"
    );
    assert!(words.ends_with("x\u{2026}"), "{words}");
    assert!(!words.contains(['<', '>', '&', '"', '\'', '`']), "{words}");
}

#[test]
fn a_warning_says_what_can_be_done() {
    let situation = Situation {
        gateway_on: false,
        ..well()
    };
    let verdict = table().check(&good(), &situation);
    let expected = json!({
        "code": "gateway_off", "node_id": "c", "connector": "google-ads",
        "message": "Google Ads: the gateway is off, so its figures will be invented",
        "fix": "Ask an operator to switch the gateway on",
        "action": {"label": "Open the connectors", "href": "/connectors"},
    });
    assert_eq!(verdict.warnings[0].to_warning_json(), expected);
    let blocked = table().check(&json!(7), &situation);
    let expected = json!({
        "code": "not_a_flow", "node_id": null,
        "message": "There is no flow in the request, or it is no object with a list of nodes",
        "fix": "Send {\"flow\": {\"nodes\": […], \"connections\": […]}}, or the flow_id of a stored one",
    });
    assert_eq!(blocked.violations[0].to_violation_json(), expected);
}

/// The table with one rule's mode changed.
fn with_mode(code: &str, mode: &str) -> Result<Guardrails, GuardrailsError> {
    let (before, rest) = BUILT_IN
        .split_once(&format!("code = \"{code}\"\nmode = "))
        .unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    Guardrails::parse(&format!(
        "{before}code = \"{code}\"\nmode = \"{mode}\"\n{rest}"
    ))
}

#[test]
fn a_rules_mode_is_the_operators() {
    let no_agent = changed(|f| f["nodes"][3]["type"] = json!("trigger"));
    let warned = with_mode("no_agent", "warn")
        .unwrap()
        .check(&no_agent, &well());
    assert_eq!(
        (warned.violations.len(), warned.warnings[0].code),
        (0, "no_agent")
    );
    let off = with_mode("no_agent", "off")
        .unwrap()
        .check(&no_agent, &well());
    assert!(off.violations.is_empty() && off.warnings.iter().all(|f| f.code != "no_agent"));
    let strict = with_mode("gateway_off", "block").unwrap();
    let blocked = strict.check(
        &good(),
        &Situation {
            gateway_on: false,
            ..well()
        },
    );
    assert_eq!(told(&blocked.violations)[0].0, "gateway_off");
}

#[test]
fn everything_that_is_wrong_with_a_table_is_told() {
    let bad = BUILT_IN
        .replace("nodes = 200", "nodes = 0")
        .replace("code = \"no_agent\"", "code = \"no_agents\"")
        .replace("called {slug}\"\nfix = \"Choose one from the list\"\naction = { label = \"Choose an agent\", href = \"/agents\"", "called {slag}\"\nfix = \" \"\naction = { label = \"x\", href = \"//evil\"")
        .replace("slug = \"stripe\"", "slug = \"GA4\"");
    let GuardrailsError(problems) = Guardrails::parse(&bad).unwrap_err();
    let expected = [
        "limits.nodes = 0: expected at least 1",
        "connector \"GA4\" stands twice",
        "rule \"no_agents\": there is no such rule",
        "rule \"unknown_agent\": message has {slag}, and the rule fills {label}, {slug}",
        "rule \"unknown_agent\": fix is empty",
        "rule \"unknown_agent\": href = \"//evil\": expected a path of the app",
        "rule \"no_agent\" is missing; mode = \"off\" switches it off",
    ];
    assert_eq!(problems, expected);
    let GuardrailsError(problems) = with_mode("not_a_flow", "warn").unwrap_err();
    assert_eq!(
        problems,
        ["rule \"not_a_flow\": expected mode = \"block\": what is no flow cannot run"]
    );
    assert!(with_mode("no_agent", "perhaps").is_err());
    assert!(Guardrails::parse("").is_err());
}

#[test]
fn what_has_to_be_known_is_what_the_flow_names() {
    let (flow, _) = Flow::read(&changed(|f| {
        f["nodes"][1]["config"] =
            json!({"account_id": " 1-2 ", "customerId": 34, "mcc_id": "5", "cid": null});
    }));
    let needs = needs(&flow);
    assert_eq!(needs.connectors, ["google-ads".to_owned()].into());
    assert_eq!(needs.agents, ["seo".to_owned()].into());
    let accounts = ["1-2", "34", "5"].map(|account| ("google-ads".to_owned(), account.to_owned()));
    assert_eq!(needs.accounts, accounts.into());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,2}|trigger|agent|output|condition|connector|google-ads|\\{\\{x\\}\\}"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = "nodes|connections|id|type|slug|config|from|to|metric|template|account_id|[a-c]";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn any_flow() -> impl Strategy<Value = Value> {
    let kind = "trigger|agent|output|condition|connector|note";
    let node = (0u8..6, kind, any_value()).prop_map(
        |(id, kind, config)| json!({"id": id, "type": kind, "slug": "ga4", "config": config}),
    );
    let connection = (0u8..7, 0u8..7).prop_map(|(from, to)| json!({"from": from, "to": to}));
    let nodes = prop::collection::vec(node, 0..7);
    let connections = prop::collection::vec(connection, 0..12);
    (nodes, connections)
        .prop_map(|(nodes, connections)| json!({"nodes": nodes, "connections": connections}))
}

proptest! {
    /// Whatever comes is looked at to its end, and what is not blocked has an agent and an
    /// output and connects nodes that are there.
    #[test]
    fn what_is_not_blocked_can_run(flow in prop_oneof![any_value(), any_flow()]) {
        let verdict = table().check(&flow, &Situation::default());
        if verdict.violations.is_empty() {
            let (read, unreadable) = Flow::read(&flow);
            prop_assert_eq!(unreadable, vec![]);
            let has = |kind: Kind| read.nodes.iter().any(|node| node.kind == kind);
            prop_assert!(has(Kind::Agent) && has(Kind::Output));
            let keys: BTreeSet<&String> = read.nodes.iter().map(|node| &node.key).collect();
            prop_assert_eq!(keys.len(), read.nodes.len());
            prop_assert!(read.connections.iter().all(|c| keys.contains(&c.from) && keys.contains(&c.to)));
        }
        let mut seen = BTreeSet::new();
        for found in verdict.violations.iter().chain(&verdict.warnings) {
            prop_assert!(seen.insert((found.code, &found.node_id, &found.message)), "{:?} twice", found);
        }
    }
}
