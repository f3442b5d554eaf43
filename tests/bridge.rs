//! Search Console, Tag Manager and Stripe's overview (contract, section 4.3): made up
//! unless told otherwise, and then read from Coolbits as the table says.

mod faults;
mod live;
mod table;

use crate::ga4::{kinds, unbound};
use crate::support::{Got, Setup, Sidecar, alice};
use serde_json::{Value, json};

const SEARCH: &str = "google-search-console";
const TAGS: &str = "google-tag-manager";
const SITE: &str = "sc-domain:camarad.ai";
const CONTAINER: &str = "GTM-WX4R7N2";

/// Every report: connector, name, the list in its answer, the kinds of what a row holds
/// at least.
const REPORTS: [(&str, &str, &str, &str); 14] = [
    (
        SEARCH,
        "overview",
        "",
        "clicks:int impressions:int ctr:float position:float",
    ),
    (
        SEARCH,
        "queries",
        "queries",
        "query:text clicks:int impressions:int ctr:float position:float",
    ),
    (
        SEARCH,
        "pages",
        "pages",
        "page:text clicks:int impressions:int ctr:float position:float",
    ),
    (
        SEARCH,
        "countries",
        "countries",
        "country:text code:text clicks:int impressions:int ctr:float position:float",
    ),
    (
        SEARCH,
        "devices",
        "devices",
        "device:text share:float clicks:int impressions:int ctr:float position:float",
    ),
    (SEARCH, "index-coverage", "errors", "reason:text pages:int"),
    (
        SEARCH,
        "sitemaps",
        "sitemaps",
        "path:text status:text submitted:int indexed:int warnings:int errors:int",
    ),
    (
        SEARCH,
        "timeseries",
        "daily",
        "date:text clicks:int impressions:int ctr:float position:float",
    ),
    (
        TAGS,
        "overview",
        "",
        "tags:int triggers:int variables:int versions:int workspace_changes:int",
    ),
    (
        TAGS,
        "tags",
        "tags",
        "id:text name:text type:text status:text",
    ),
    (TAGS, "triggers", "triggers", "id:text name:text type:text"),
    (
        TAGS,
        "variables",
        "variables",
        "id:text name:text type:text",
    ),
    (
        TAGS,
        "versions",
        "versions",
        "name:text version:int published:flag",
    ),
    (TAGS, "preview", "preview", "status:text"),
];

const STRIPE: &str = "currency:text gross_volume:float net_volume:float mrr:float churn_rate:float \
                      active_subscriptions:int customers:int successful_payments:int \
                      failed_payments:int refunds:int";

/// With all three read from Coolbits, whoever is linked to what.
fn live() -> Setup {
    unbound().set("SIDECAR__GATEWAY__MOCK_ONLY", "")
}

async fn get(sidecar: &Sidecar, token: &str, client: &str, target: &str) -> Got {
    let route = format!("GET /api/connectors/{target}");
    sidecar.route(token, client, &route, "").await
}

/// The short name at Coolbits, its parameter for the account, its field in the answer, the default.
fn names(connector: &str) -> (&'static str, &'static str, &'static str, &'static str) {
    match connector {
        SEARCH => ("gsc", "siteUrl", "property_id", SITE),
        _ => ("gtm", "containerId", "container_id", CONTAINER),
    }
}

/// Whether rows of an answer hold what they have to.
fn assert_shape(answer: &Value, list: &str, expected: &str) {
    let rows = match &answer[list] {
        Value::Array(rows) => rows.clone(),
        Value::Object(_) => vec![answer[list].clone()],
        _ => vec![answer.clone()],
    };
    assert!(!rows.is_empty(), "{answer}");
    for row in rows {
        let kinds = kinds(&row);
        for field in expected.split_whitespace() {
            let (name, kind) = field.split_once(':').unwrap();
            assert_eq!(kinds.get(name), Some(&json!(kind)), "{name} of {row}");
        }
        assert!(!kinds.values().any(|kind| kind == "null"), "{row}");
    }
}

fn ids(answer: &Value, list: &str) -> Vec<String> {
    let rows = answer[list].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn they_are_made_up_by_default_and_coolbits_is_asked_nothing() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let gateway = json!({"enabled": true, "reason": "mock_only"});
    let made_up = |got: &Got| {
        assert_eq!(
            (got.status, got.header("x-camarad-source")),
            (200, "mock"),
            "{got:?}"
        );
        let answer = got.json();
        assert_eq!(
            (&answer["source"], &answer["gateway"]),
            (&json!("mock"), &gateway)
        );
        answer
    };
    let sites = made_up(&get(&sidecar, &alice(), "10", &format!("{SEARCH}/properties")).await);
    assert_eq!(
        ids(&sites, "properties"),
        [
            SITE,
            "https://blog.camarad.ai/",
            "sc-domain:contoso.example"
        ]
    );
    assert_shape(
        &sites,
        "properties",
        "id:text name:text type:text permission_level:text verified:flag",
    );
    let containers = made_up(&get(&sidecar, &alice(), "10", &format!("{TAGS}/containers")).await);
    assert_eq!(
        ids(&containers, "containers"),
        [CONTAINER, "GTM-K9L2M4P", "GTM-CONTOSO"]
    );
    for (connector, report, list, shape) in REPORTS {
        let (_, _, field, default) = names(connector);
        let target = format!("{connector}/{report}");
        let got = get(&sidecar, &alice(), "10", &target).await;
        let answer = made_up(&got);
        assert_eq!(answer[field], default, "{target}");
        assert_shape(&answer, list, shape);
        let record = sidecar.record(got.header("x-request-id")).await;
        assert!(
            record.get("fallback").is_none(),
            "asked for, and no failure: {record}"
        );
        // Unknown ids are echoed.
        let unknown = format!("{target}?{field}=unknown.example");
        let answer = made_up(&get(&sidecar, &alice(), "10", &unknown).await);
        assert_eq!(answer[field], "unknown.example", "{target}");
        assert_shape(&answer, list, shape);
    }
    let overview = made_up(&get(&sidecar, &alice(), "10", "stripe/overview").await);
    assert_shape(&overview, "", STRIPE);
    assert!(coolbits.calls().await.is_empty());
    sidecar.switch(false).await;
    for target in [
        "google-search-console/queries",
        "google-tag-manager/tags",
        "stripe/overview",
    ] {
        let answer = get(&sidecar, &alice(), "10", target).await.json();
        let gateway = json!({"enabled": false, "reason": "disabled"});
        assert_eq!(
            (&answer["source"], &answer["gateway"]),
            (&json!("mock"), &gateway),
            "{target}"
        );
    }
    assert!(coolbits.calls().await.is_empty());
}
