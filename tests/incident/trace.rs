//! `trace`: the story of one request.

use super::{Incident, incident, packed, text};
use crate::support::{Setup, Sidecar, alice, command};
use serde_json::{Value, json};
use std::path::Path;

async fn trace(incident: &Incident, access_log: &Path, id: &str) -> (Option<i32>, String, String) {
    let output = incident.command(access_log, &["trace", id]).await;
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn a_request_is_told_wherever_it_was_rotated_to() {
    let incident = incident().await;
    let rotated = incident.logs.path().join("access.log");
    let all = std::fs::read_to_string(incident.access_log()).unwrap();
    packed(&incident.logs.path().join("access.log.2.gz"), &all);
    std::fs::write(&rotated, "").unwrap();
    let (reason_of, reason) = &incident.fallbacks[0];
    let run_id = incident.run["run_id"].as_str().unwrap();
    let rows = [
        (&incident.refused[0], vec![
            "Asked was GET /api/connectors/google-ads/campaigns; rule google-ads.campaigns of area connectors.".to_owned(),
            "It was refused as client_not_allowed: The client is not one that the identity may use.".to_owned(),
            "by user 2, with a token whose SHA-256 begins with ".to_owned(),
            "It was answered 404 with ".to_owned(),
            ": refuse, code client_not_allowed, rule google-ads.campaigns".to_owned(),
        ]),
        (reason_of, vec![
            format!("The mock answered in Coolbits' place, because of {reason}: "),
            "It was decided to be for client 10.".to_owned(),
            "by made-up figures.".to_owned(),
        ]),
        (&incident.failed[0], vec![
            "It was answered 500 with ".to_owned(),
            "the fault is the app's.".to_owned(),
        ]),
        (&incident.run_request, vec![
            format!("It made the run {run_id}."),
            format!("Run {run_id}, which the app calls "),
            "of client 10 is warning: it began at ".to_owned(),
            "Step 1, trigger Start: success".to_owned(),
            format!("Warning {}: ", incident.run["warnings"][0]["code"].as_str().unwrap()),
        ]),
    ];
    for (id, expected) in rows {
        for log in [&incident.access_log(), &rotated] {
            let (code, story, said) = trace(&incident, log, id).await;
            assert_eq!(code, Some(0), "{said}");
            assert!(story.starts_with(&format!("Request {id}.\n")), "{story}");
            for part in &expected {
                assert!(story.contains(part), "{part}\n{story}");
            }
            assert!(!story.contains(&alice()), "{story}");
        }
    }
    let json = incident
        .command(&rotated, &["trace", &incident.refused[0], "--json"])
        .await;
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    let record = incident.sidecar.record(&incident.refused[0]).await;
    assert_eq!(told["request"]["code"], record["code"]);
    assert_eq!(told["audit"][0]["decision"], "refuse");
    assert_eq!(told["run"], Value::Null);
    let files = told["files"][0]["files"].as_array().unwrap();
    assert!(
        files[1].as_str().unwrap().ends_with("/access.log.2.gz"),
        "{told}"
    );

    let (code, story, said) = trace(&incident, &rotated, "unknown").await;
    assert_eq!((code, story.as_str()), (Some(1), ""));
    for part in [
        "unknown: no line of this request. Looked at:",
        "access.log.2.gz; ",
        &format!("{} lines from 20", incident.count),
        "audit.jsonl; ",
        "sidecar.log; ",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let json = incident
        .command(&rotated, &["trace", "unknown", "--json"])
        .await;
    assert_eq!(json.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&told["request"], &told["audit"]),
        (&Value::Null, &json!([]))
    );
    for bad in ["", "a\nb", &"x".repeat(129)] {
        let (code, _, said) = trace(&incident, &rotated, bad).await;
        assert!(
            code == Some(2) && said.contains("expected an id"),
            "{bad:?} {said}"
        );
    }
    // Without the access log there is the audit log.
    let (code, story, _) = trace(&incident, Path::new("off"), &incident.refused[0]).await;
    assert_eq!(code, Some(0));
    assert!(
        story.contains("The access log has no line") && story.contains("Audit, "),
        "{story}"
    );
}

#[tokio::test]
async fn a_callers_own_id_finds_its_requests_and_a_hit_is_told_as_one() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let mut ids = Vec::new();
    let ask = |own: &str| {
        let ask = sidecar.get("/api/connectors/google-ads/campaigns");
        ask.bearer(&alice())
            .client("10")
            .with("X-Request-Id", own)
            .send()
    };
    for own in ["page-7", "page-7", "page-8"] {
        let got = ask(own).await;
        ids.push(got.header("x-request-id").to_owned());
    }
    // Somebody who gives another's id does not hide that one.
    let last = ask(&ids[0]).await.header("x-request-id").to_owned();
    for id in ids.iter().chain([&last]) {
        sidecar.record(id).await;
    }
    let log = sidecar.state_dir().with_file_name("access.log");
    let tell = |id: String| {
        let mut command = command();
        command.args(["trace", &id, "--access-log"]).arg(&log);
        command.arg("--state-dir").arg(sidecar.state_dir());
        async move { text(&command.output().await.unwrap().stdout) }
    };
    let story = tell("page-8".to_owned()).await;
    for part in [
        format!("Request {}, which the caller calls page-8.\n", ids[2]),
        "The cache said hit: the answer was there already, and nobody was asked.\n".to_owned(),
        "by Coolbits, with real figures.\n".to_owned(),
        "Not read: the application's log: ".to_owned(),
    ] {
        assert!(story.contains(&part), "{part}\n{story}");
    }
    let several = tell("page-7".to_owned()).await;
    assert!(
        several.starts_with("Callers have called 2 requests page-7; "),
        "{several}"
    );
    let found: Vec<_> = several.lines().skip(1).map(|line| &line[..36]).collect();
    assert_eq!(found, &ids[..2]);
    let story = tell(ids[0].clone()).await;
    assert!(
        story.starts_with(&format!(
            "Request {}, which the caller calls page-7.",
            ids[0]
        )),
        "{story}"
    );
}
