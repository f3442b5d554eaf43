//! Read from Coolbits: what it is asked, and what is shown of it.

use super::{CONTAINER, REPORTS, SEARCH, SITE, STRIPE, assert_shape, get, ids, live, names};
use crate::ga4::{date, kinds, sent, today};
use crate::google_ads::{asked, real};
use crate::support::{Setup, Sidecar, alice, bob};
use serde_json::{Map, json};
use std::collections::BTreeMap;

#[tokio::test]
async fn every_report_is_asked_for_as_the_table_says() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    for (connector, report, list, shape) in REPORTS {
        let (short, parameter, field, default) = names(connector);
        for named in ["", "another.example"] {
            coolbits.forget().await;
            let before = today();
            let target = format!("{connector}/{report}?days=7&{field}={named}");
            let answer = real(&get(&sidecar, &alice(), "10", &target).await);
            let path = format!("/api/connectors/{short}/report");
            let gateway = json!({"enabled": true, "path": path, "status": 200});
            assert_eq!(answer["gateway"], gateway, "{target}");
            let calls = coolbits.calls().await;
            assert_eq!(asked(&calls), [format!("GET {path}")], "{target}");
            let mut query = sent(&calls[0]);
            let (from, to) = (
                date(&query.remove("from").unwrap()),
                date(&query.remove("to").unwrap()),
            );
            assert!([before, today()].contains(&to), "{target}: {to}");
            assert_eq!((to - from).whole_days(), 6, "{target}");
            let account = if named.is_empty() { default } else { named };
            let preset = report.replace('-', "_");
            let expected = [(parameter, account), ("preset", &preset)];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(query, BTreeMap::from(expected), "{target}");
            assert_eq!(answer[field], account, "{target}");
            assert_shape(&answer, list, shape);
            assert_eq!(calls[0]["headers"]["x-workspace-id"], "business");
        }
    }
}

#[tokio::test]
async fn lists_are_coolbits_own() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    for (target, path, list, own) in [
        (
            "google-search-console/properties",
            "/api/connectors/gsc/properties",
            "properties",
            SITE,
        ),
        (
            "google-tag-manager/containers",
            "/api/connectors/gtm/containers",
            "containers",
            CONTAINER,
        ),
    ] {
        coolbits.forget().await;
        let answer = real(&get(&sidecar, &alice(), "10", target).await);
        assert_eq!(
            (ids(&answer, list).len(), &ids(&answer, list)[0][..]),
            (3, own)
        );
        assert!(
            answer[list][0]["name"]
                .as_str()
                .unwrap()
                .starts_with("Live ")
        );
        let calls = coolbits.calls().await;
        assert_eq!(asked(&calls), [format!("GET {path}")]);
        assert!(sent(&calls[0]).is_empty());
    }
}

#[tokio::test]
async fn days_and_coverage_are_as_the_contract_has_them() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    for (given, echoed, rows) in [("", 28, 28), ("?days=7", 7, 7), ("?days=400", 400, 400)] {
        let target = format!("{SEARCH}/timeseries{given}");
        let answer = real(&get(&sidecar, &alice(), "10", &target).await);
        let daily = answer["daily"].as_array().unwrap();
        assert_eq!(
            (&answer["days"], daily.len()),
            (&json!(echoed), rows),
            "{given}"
        );
    }
    let answer = real(
        &get(
            &sidecar,
            &alice(),
            "10",
            &format!("{SEARCH}/index-coverage"),
        )
        .await,
    );
    let summary = answer["summary"].as_object().unwrap();
    let expected =
        ["error", "excluded", "valid", "warning"].map(|name| (name.to_owned(), json!("int")));
    assert_eq!(kinds(&answer["summary"]), Map::from_iter(expected));
    for (sum, list) in [
        ("error", "errors"),
        ("warning", "warnings"),
        ("excluded", "excluded"),
    ] {
        let rows = answer[list].as_array().unwrap();
        let pages: u64 = rows.iter().map(|row| row["pages"].as_u64().unwrap()).sum();
        assert_eq!(summary[sum], pages, "{sum}");
    }
}

#[tokio::test]
async fn two_tenants_get_their_own_figures() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    let whole = REPORTS.map(|(connector, report, ..)| format!("{connector}/{report}"));
    for target in whole.iter().map(String::as_str).chain(["stripe/overview"]) {
        let own = real(&get(&sidecar, &alice(), "10", target).await);
        let theirs = real(&get(&sidecar, &bob(), "20", target).await);
        assert_ne!(own, theirs, "{target}");
        assert_eq!(
            own,
            real(&get(&sidecar, &alice(), "10", target).await),
            "{target}"
        );
    }
}

#[tokio::test]
async fn stripe_is_asked_for_the_account_that_is_named_or_linked() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    let overview = async |client: &str, query: &str| {
        let target = format!("stripe/overview{query}");
        get(&sidecar, &alice(), client, &target).await
    };
    let answer = real(&overview("10", "?account_id=acct_1&days=7").await);
    assert_eq!(answer["gateway"]["path"], "/api/connectors/stripe/overview");
    assert_shape(&answer, "", STRIPE);
    let calls = coolbits.calls().await;
    assert_eq!(asked(&calls), ["GET /api/connectors/stripe/overview"]);
    assert_eq!(sent(&calls[0])["account_id"], "acct_1");
    coolbits.forget().await;
    real(&overview("10", "").await);
    assert!(sent(&coolbits.calls().await[0]).is_empty());
}

#[tokio::test]
async fn a_clients_stripe_account_is_its_own() {
    let setup = Setup::default().set("SIDECAR__GATEWAY__MOCK_ONLY", "");
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let link = json!({"client_id": 10, "connector_slug": "stripe", "account_id": "acct_1Own"});
    let route = "POST /api/client_connectors";
    let made = sidecar
        .route(&alice(), "10", route, &link.to_string())
        .await;
    assert_eq!(made.status, 200);
    let linked = get(&sidecar, &alice(), "10", "stripe/overview").await;
    real(&linked);
    assert_eq!(sent(&coolbits.calls().await[0])["account_id"], "acct_1Own");
    coolbits.forget().await;
    for query in ["?account_id=acct_1Own", "?account_id=ACCT_1own"] {
        let target = format!("stripe/overview{query}");
        let got = get(&sidecar, &alice(), "11", &target).await;
        assert_eq!(got.code(), "account_not_linked", "{query}");
    }
    // Which account would be read is not known, and it may be the other client's.
    let open = get(&sidecar, &alice(), "11", "stripe/overview")
        .await
        .json();
    assert_eq!(
        (&open["source"], &open["gateway"]["error"]),
        (&json!("mock"), &json!("not_connected"))
    );
    assert!(coolbits.calls().await.is_empty());
}
