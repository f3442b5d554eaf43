//! The program itself: what it prints, writes, and ends with.

#![allow(clippy::unwrap_used)] // Helpers of tests, too, may say what they take for granted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture")
}

fn retrieval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retrieval"))
        .args(arguments)
        .env_remove("RETRIEVAL_TOKEN")
        .output()
        .unwrap()
}

fn eval(more: &[&str]) -> Output {
    let dataset = fixture();
    let mut arguments = vec!["eval", "--dataset", dataset.to_str().unwrap()];
    arguments.extend(more);
    retrieval(&arguments)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_report_says_what_it_is_of_and_is_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let run = || {
        let written = json.to_str().unwrap();
        let all = ["--system", "bm25", "--system", "fts5", "--json", written];
        let done = eval(&all);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains("| bm25 | 1.000 [1.000, 1.000]"));
        let mut report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        for system in report["systems"].as_array_mut().unwrap() {
            // Time is not the same again.
            system["latency"].take();
            system["index_ms"].take();
        }
        report
    };
    let report = run();
    assert_eq!(report["dataset"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(report["dataset"]["documents"], 5);
    assert_eq!(report["parameters"]["seed"], 11);
    assert!(report["versions"]["tantivy"].is_string());
    assert_eq!(report["systems"][1]["system"], "fts5");
    assert_eq!(report["systems"][0]["overall"]["cross_tenant_hits"], 0);
    assert_eq!(report["systems"][0]["by_kind"]["other_tenant"]["scored"], 0);
    assert!(report == run(), "another report");
}

#[test]
fn what_is_required_and_missed_ends_with_1() {
    let held = eval(&["--system", "bm25", "--require", "cross_tenant_hits<=0"]);
    assert_eq!(held.status.code(), Some(0));
    let leaks = eval(&[
        "--system",
        "bm25-unscoped",
        "--require",
        "cross_tenant_hits<=0",
    ]);
    assert_eq!(leaks.status.code(), Some(1));
    let told = text(&leaks.stderr);
    assert!(
        told.contains("not reached: bm25-unscoped: cross_tenant_hits<=0: it is"),
        "{told}"
    );
    let none = eval(&["--system", "bm25", "--require", "nDCG@11>=0"]);
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn runs_for_trec_eval_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    assert_eq!(
        eval(&["--system", "bm25", "--trec", at]).status.code(),
        Some(0)
    );
    let qrels = std::fs::read_to_string(folder.path().join("qrels.txt")).unwrap();
    // q1's d3 is another tenant's, and q4 has nothing else.
    assert_eq!(qrels, "q1 0 d1 2\nq1 0 d2 0\nq2 0 d2 2\nq3 0 d4 2\n");
    let run = folder.path().join("bm25.run");
    let again = eval(&["--system", "run", "--run", run.to_str().unwrap()]);
    assert!(text(&again.stdout).contains("| run | 1.000 [1.000, 1.000]"));
}

#[test]
fn what_cannot_be_done_ends_with_2_and_says_what_would_be_right() {
    for (arguments, told) in [
        (&["--system", "run"][..], "system run needs --run FILE"),
        (&["--system", "http"], "system http needs --url URL"),
        (&["--system", "bm25", "--k", "5"], "5 is not in 20..=1000"),
        (
            &["--system", "bm25", "--require", "MAP=1"],
            "expected NAME>=NUMBER",
        ),
        (
            &[
                "--system",
                "http",
                "--url",
                "http://127.0.0.1:1/",
                "--token-file",
                "one.jwt",
            ],
            "expected USER=FILE",
        ),
    ] {
        let done = eval(arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(text(&done.stderr).contains(told), "{}", text(&done.stderr));
    }
}

#[test]
fn validate_tells_file_line_pointer_and_keyword() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rag/examples");
    let path = |name: &str| examples.join(name).to_str().unwrap().to_owned();
    let good = retrieval(&[
        "validate",
        &path("pass/ingest.jsonl"),
        &path("pass/chunk.json"),
    ]);
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).contains("ingest.jsonl: valid, records: 3"));
    let bad = retrieval(&["validate", &path("fail/chunk-nobodys.json")]);
    assert_eq!(bad.status.code(), Some(1));
    let told = text(&bad.stdout);
    assert!(
        told.contains(r#"chunk-nobodys.json:1: "" required: "tenant""#),
        "{told}"
    );
}
