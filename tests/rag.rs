//! Search of the knowledge base: whatever the index gives, a caller sees what is theirs and what
//! is nobody's.

use crate::support::{Claims, Setup, Sidecar, alice, bob, token, unlimited};
use serde_json::{Value, json};

const SEARCH: &str = "GET /api/rag/search?q=budget";

/// The owners of the rows that somebody is shown, as clients; nobody's are null.
async fn found(sidecar: &Sidecar, token: &str, client: &str) -> Value {
    let got = sidecar.route(token, client, SEARCH, "").await;
    assert_eq!(got.status, 200, "{got:?}");
    let rows = got.json()["results"].as_array().unwrap().clone();
    for row in &rows {
        let is_told = row["text"].as_str().unwrap().contains("udget");
        assert!(is_told && row["source_uri"].is_string(), "{row}");
    }
    rows.iter().map(|row| row["client_id"].clone()).collect()
}

#[tokio::test]
async fn chunks_are_found_by_client_and_those_of_others_do_not_go_on() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for (token, client, expected) in [
        (alice(), "10", json!([null, 10])),
        (alice(), "11", json!([null, 11])),
        (bob(), "20", json!([null, 20])),
        // Without a client: all of the user's that the token reaches.
        (alice(), "", json!([null, 10, 11])),
        (token(Claims::new(1, &[10])), "", json!([null, 10])),
        (unlimited(), "10", json!([null, 10])),
    ] {
        assert_eq!(found(&sidecar, &token, client).await, expected, "{client}");
        // And the same from the cache.
        assert_eq!(found(&sidecar, &token, client).await, expected, "{client}");
    }
    let got = sidecar.route(&alice(), "10", SEARCH, "").await;
    assert!(got.header("cache-status").contains("hit"), "{got:?}");
    legacy.forget().await;
    let foreign = sidecar.route(&alice(), "20", SEARCH, "").await;
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (404, "client_not_allowed")
    );
    let nobody = sidecar.get("/api/rag/search?q=budget").send().await;
    assert_eq!(nobody.status, 401);
    assert!(legacy.calls().await.is_empty());
    // An index that does not look.
    legacy.faults(json!({"fault": "foreign_row"})).await;
    let other = SEARCH.replace("budget", "BUDGET");
    let got = sidecar.route(&alice(), "10", &other, "").await;
    let rows = got.json()["results"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].get("client_id").is_none(), "{rows:?}");
    let cut = "sidecar_egress_rows_cut_total{route=\"rag.search\"}";
    assert!(sidecar.metric(cut).await >= 1.0);
}

#[tokio::test]
async fn the_documentation_needs_a_token_and_names_nobody() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let route = "GET /api/rag/api-docs";
    assert_eq!(sidecar.get("/api/rag/api-docs").send().await.status, 401);
    let got = sidecar.route(&alice(), "10", route, "").await;
    assert_eq!(got.status, 200, "{got:?}");
    let again = sidecar.route(&alice(), "11", route, "").await;
    assert!(again.header("cache-status").contains("hit"), "{again:?}");
    let other = sidecar.route(&bob(), "20", route, "").await;
    assert!(!other.header("cache-status").contains("hit"), "{other:?}");
    assert_eq!(legacy.calls_to("/api/rag/api-docs").await.len(), 2);
}
