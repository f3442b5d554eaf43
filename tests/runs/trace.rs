//! The trace of a run, as JSON and CSV.

use super::{EXECUTE, HISTORY, body, ran, with_node};
use crate::support::{Setup, Sidecar, alice};
use serde_json::{Value, json};

/// Rows of a CSV by the names in its header.
fn rows(csv: &[u8]) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(csv);
    let names = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let cells = names.iter().zip(record.iter());
        cells
            .map(|(name, cell)| (name.to_owned(), json!(cell)))
            .collect()
    };
    reader
        .records()
        .map(|record| row(record.unwrap()))
        .collect()
}

#[tokio::test]
async fn json_and_csv_tell_the_same_steps_and_figures() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let answer = ran(&sidecar).await;
    let trace = format!("GET {HISTORY}/{}/trace", answer["execution_id"]);
    let got = sidecar.route(&alice(), "10", &trace, "").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(got.header("content-type"), "application/json");
    let name = format!(
        "attachment; filename=\"run-{}.json\"",
        answer["execution_id"]
    );
    assert_eq!(got.header("content-disposition"), name);
    assert_eq!(got.header("cache-control"), "no-store");
    let told = got.json();
    assert_eq!(
        (&told["schema"], &told["version"]),
        (&json!("camarad.run-trace"), &json!(1))
    );
    assert_eq!(
        (&told["origin"], &told["run"]["run_id"]),
        (&json!("ledger"), &answer["run_id"])
    );
    assert_eq!(told["run"]["client_id"], 10);
    let steps = told["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    let sessions = steps[2]["figures"]["sessions"].as_f64().unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(
        results[2]["data"]["metric_values"]["sessions"].as_f64(),
        Some(sessions)
    );

    let csv = sidecar
        .route(&alice(), "10", &format!("{trace}?format=csv"), "")
        .await;
    assert_eq!(
        csv.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert!(csv.header("content-disposition").ends_with(".csv\""));
    let rows = rows(&csv.body);
    assert_eq!(rows.len(), steps.len());
    for (row, step) in rows.iter().zip(steps) {
        assert_eq!(row["node_id"], step["node_id"]);
        assert_eq!(row["status"], step["status"]);
        let figures: Value = serde_json::from_str(row["figures"].as_str().unwrap()).unwrap();
        assert_eq!(figures, step["figures"]);
    }
    let got = sidecar
        .route(&alice(), "10", &format!("{trace}?format=xml"), "")
        .await;
    assert_eq!((got.status, got.code()), (400, "format_unknown".to_owned()));
}

#[tokio::test]
async fn a_formula_in_a_label_is_a_text_in_the_spreadsheet() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let flow = with_node("think", |node| {
        node["label"] = json!("=HYPERLINK(\"http://x\",\"a\nb\")")
    });
    let answer = sidecar
        .route(&alice(), "10", EXECUTE, &body(&flow))
        .await
        .json();
    let trace = format!("GET {HISTORY}/{}/trace?format=csv", answer["execution_id"]);
    let csv = sidecar.route(&alice(), "10", &trace, "").await;
    let rows = rows(&csv.body);
    assert_eq!(rows.len(), 5);
    let label = rows[3]["node_label"].as_str().unwrap();
    assert!(label.starts_with("'=HYPERLINK("), "{label}");
}

#[tokio::test]
async fn a_run_from_before_the_sidecar_is_told_from_the_history_and_says_so() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let told = sidecar
        .route(&alice(), "10", &format!("GET {HISTORY}/2/trace"), "")
        .await
        .json();
    assert_eq!(told["origin"], "app_history");
    assert!(told["note"].as_str().unwrap().contains("before"), "{told}");
    assert_eq!(
        (&told["run"]["run_id"], &told["run"]["execution_id"]),
        (&json!(null), &json!(2))
    );
    assert_eq!(told["steps"].as_array().unwrap().len(), 1);
    let csv = sidecar
        .route(
            &alice(),
            "10",
            &format!("GET {HISTORY}/2/trace?format=csv"),
            "",
        )
        .await;
    assert_eq!(rows(&csv.body).len(), 1);
}

#[tokio::test]
async fn head_is_told_the_length_and_nothing_else() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let answer = ran(&sidecar).await;
    let trace = format!("{HISTORY}/{}/trace", answer["execution_id"]);
    let got = sidecar
        .route(&alice(), "10", &format!("GET {trace}"), "")
        .await;
    let head = sidecar
        .route(&alice(), "10", &format!("HEAD {trace}"), "")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), got.body.len().to_string());
}
