//! The templates that come with the sidecar: beside the app's, without complaint, run to
//! their end, installed.

use super::{EXECUTE, VALIDATE, body, codes};
use crate::support::{Setup, Sidecar, StandIn, alice, command, unlimited};
use camarad_policies::templates::{Template, all};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;

const LISTS: [&str; 2] = [
    "GET /api/flows/templates",
    "GET /api/orchestrator/templates",
];

/// Links client 10 to every connector that templates need.
async fn connected() -> (Sidecar, StandIn, StandIn) {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let needed = all()
        .unwrap()
        .into_iter()
        .flat_map(|template| template.needs);
    let needed: std::collections::BTreeSet<String> = needed.collect();
    let token = unlimited();
    for slug in needed {
        let link =
            json!({"client_id": 10, "connector_slug": slug, "account_id": format!("{slug}-1")});
        if !["google-ads", "ga4"].contains(&slug.as_str()) {
            let got = sidecar
                .route(
                    &token,
                    "10",
                    "POST /api/client_connectors",
                    &link.to_string(),
                )
                .await;
            assert_eq!(got.status, 200, "{slug}: {got:?}");
        }
    }
    (sidecar, coolbits, legacy)
}

fn named<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    list.as_array()
        .unwrap()
        .iter()
        .filter(|row| row["name"] == name)
        .collect()
}

#[tokio::test]
async fn ours_stand_behind_the_apps_in_the_same_shape() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for route in LISTS {
        let got = sidecar.route(&alice(), "10", route, "").await;
        let list = got.json();
        let rows = list.as_array().unwrap();
        assert_eq!((got.status, rows.len()), (200, 21), "{route}");
        let own: Vec<&str> = rows[0]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for row in &rows[11..] {
            for name in own.iter().filter(|name| **name != "mark") {
                assert_eq!(
                    kind(&row[*name]),
                    kind(&rows[0][*name]),
                    "{route} {name}: {row}"
                );
            }
            assert!(
                row["template_id"].as_str().unwrap().starts_with("biz-"),
                "{row}"
            );
        }
        let ids: std::collections::BTreeSet<u64> =
            rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), 21, "an id stands twice");
    }
    // The category is honoured for both, and a name of the app's is not there twice.
    let list = sidecar
        .route(
            &alice(),
            "10",
            "GET /api/flows/templates?category=finance",
            "",
        )
        .await
        .json();
    for row in list.as_array().unwrap() {
        assert_eq!(row["category"], "Finance");
    }
    let names = |list: &Value| list.as_array().unwrap().len();
    assert!(names(&list) >= 2 && names(&list) < 21, "{}", names(&list));
    let before = sidecar.route(&alice(), "10", LISTS[0], "").await.json();
    let ours = all().unwrap().into_iter().next().unwrap();
    let installed = json!({"flow": ours.flow, "name": "Mine", "is_template": true});
    let got = sidecar
        .route(&alice(), "10", "POST /api/flows", &installed.to_string())
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    let after = sidecar.route(&alice(), "10", LISTS[0], "").await.json();
    assert_eq!(
        names(&after),
        names(&before),
        "one of one's own, and one less of ours"
    );
    assert_eq!(named(&after, &ours.name).len(), 0);
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Number(_) => "number or none",
        Value::String(_) => "text",
        Value::Object(_) => "object",
        _ => "other",
    }
}

#[tokio::test]
async fn tenant_checks_are_as_before() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for route in LISTS {
        let got = sidecar.route(&alice(), "20", route, "").await;
        assert_eq!(
            (got.status, got.code()),
            (404, "client_not_allowed".to_owned())
        );
        legacy
            .faults(json!({"fault": "foreign_row", "only": "templates"}))
            .await;
        let got = sidecar.route(&alice(), "10", route, "").await;
        assert_eq!(
            (got.status, got.code()),
            (502, "tenant_leak_blocked".to_owned())
        );
        for fault in ["html", "status"] {
            legacy
                .faults(json!({"fault": fault, "status": 500, "only": "templates"}))
                .await;
            let got = sidecar.route(&alice(), "10", route, "").await;
            assert!(
                !String::from_utf8_lossy(&got.body).contains("biz-"),
                "{fault}: {got:?}"
            );
        }
        legacy.faults(json!({"fault": "none"})).await;
    }
}

#[tokio::test]
async fn each_template_passes_the_guardrails_and_runs_to_its_output() {
    let (sidecar, _coolbits, _legacy) = connected().await;
    let templates = all().unwrap();
    assert_eq!(templates.len(), 10);
    for Template { id, name, flow, .. } in templates {
        let asked = json!({"flow": flow, "name": name}).to_string();
        let seen = sidecar.route(&alice(), "10", VALIDATE, &asked).await.json();
        assert_eq!(
            (&seen["ok"], &seen["warnings"]),
            (&json!(true), &json!([])),
            "{id}: {seen:#}"
        );
        let got = sidecar.route(&alice(), "10", EXECUTE, &asked).await;
        let answer = got.json();
        assert_eq!(got.status, 200, "{id}: {answer}");
        let nodes = flow["nodes"].as_array().unwrap();
        assert_eq!(
            answer["steps_executed"],
            nodes.len(),
            "{id}: every node runs"
        );
        assert_eq!(answer["failed_steps"], 0, "{id}");
        let results = answer["results"].as_array().unwrap();
        let output = results.iter().find(|row| row["type"] == "output").unwrap();
        let shown = output["data"]["output"].as_str().unwrap();
        assert!(
            !shown.contains("{{") && shown.contains(" looked at "),
            "{id}: {shown}"
        );
    }
}

#[tokio::test]
async fn the_apps_own_templates_still_run() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let list = sidecar.route(&alice(), "10", LISTS[0], "").await.json();
    let own: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row.get("template_id").is_none())
        .collect();
    assert_eq!(own.len(), 11);
    let mut incomplete = 0;
    for row in own {
        let got = sidecar
            .route(&alice(), "10", EXECUTE, &body(&row["flow"]))
            .await;
        assert_eq!(got.status, 200, "{}: {got:?}", row["name"]);
        incomplete += codes(&got.json()["warnings"])
            .iter()
            .filter(|code| *code == "condition_incomplete")
            .count();
    }
    assert_eq!(incomplete, 3);
}

async fn templates(args: &[&str], token: &str) -> (Option<i32>, String, String) {
    let mut child = command()
        .arg("templates")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have said no before it reads anything.
    let _ = stdin.write_all(token.as_bytes()).await;
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn templates_are_listed_shown_and_installed_for_a_client() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (code, list, _) = templates(&["list"], "").await;
    assert_eq!(
        (code, list.matches("biz-").count()),
        (Some(0), 10),
        "{list}"
    );
    let (_, shown, _) = templates(&["show", "biz-growth-review"], "").await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["flow"]["template_id"], "biz-growth-review");
    let url = sidecar.url("");
    let install = [
        "install",
        "--client",
        "10",
        "--url",
        &url,
        "--token-stdin",
        "biz-growth-review",
    ];
    let (code, said, complained) = templates(&install, &alice()).await;
    assert_eq!(code, Some(0), "{said}{complained}");
    assert!(said.contains("installed biz-growth-review"), "{said}");
    let (code, said, _) = templates(&install, &alice()).await;
    assert_eq!(code, Some(0));
    assert!(said.contains("already there"), "{said}");
    let posted = legacy.calls_to("/api/flows").await;
    let posted = posted
        .iter()
        .filter(|call| call["method"] == "POST")
        .count();
    assert_eq!(posted, 1);
    // Tenant checks are the sidecar's, and say so.
    let foreign = ["install", "--client", "20", "--url", &url, "--token-stdin"];
    let (code, said, complained) = templates(&foreign, &alice()).await;
    assert_eq!(code, Some(1), "{said}{complained}");
    assert!(complained.contains("404"), "{complained}");
    let (code, _, complained) = templates(&install, "no token").await;
    assert_eq!(code, Some(1), "{complained}");
    assert!(!complained.contains("no token"), "{complained}");
    let (code, _, complained) = templates(&["show", "biz-nothing"], "").await;
    assert_eq!(code, Some(2));
    assert!(complained.contains("biz-growth-review"), "{complained}");
}
