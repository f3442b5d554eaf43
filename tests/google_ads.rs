//! Each row of the contract's table 4.1, outward and towards Coolbits.

use crate::support::{Got, Setup, Sidecar, alice, bob, fault};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn query(call: &Value) -> BTreeMap<String, String> {
    let text = call["query"].as_str().unwrap();
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// Methods and paths, in order.
pub fn asked(calls: &[Value]) -> Vec<String> {
    let line = |call: &Value| {
        let (method, path) = (
            call["method"].as_str().unwrap(),
            call["path"].as_str().unwrap(),
        );
        format!("{method} {path}")
    };
    calls.iter().map(line).collect()
}

pub fn real(got: &Got) -> Value {
    assert_eq!(
        (got.status, got.header("x-camarad-source")),
        (200, "coolbits"),
        "{got:?}"
    );
    let answer = got.json();
    assert_eq!(answer["source"], "coolbits", "{answer}");
    assert_eq!(answer["gateway"]["enabled"], true);
    assert_eq!(answer["gateway"]["status"], 200);
    answer
}

pub const SELECT: &str = "POST /api/connectors/googleads/customer";
pub const REPORT: &str = "GET /api/connectors/googleads/report";

/// Accounts of all kinds, whoever is linked to them; `accounts.rs` is about that.
fn unbound() -> Setup {
    Setup::default().set("SIDECAR__TENANCY__BIND_ACCOUNTS", "false")
}

#[tokio::test]
async fn campaigns_select_the_customer_and_read_its_report() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let got = sidecar
        .ads(&alice(), "10", "campaigns?account_id=234-567-8901&days=7")
        .await;
    let answer = real(&got);
    assert_eq!(answer["account_id"], "234-567-8901");
    assert_eq!(
        answer["gateway"]["path"],
        "/api/connectors/googleads/report"
    );
    let rows = answer["campaigns"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for field in [
        "impressions",
        "clicks",
        "avg_cpc",
        "spent",
        "cost_per_conv",
        "conversions",
        "roas",
    ] {
        assert!(rows.iter().all(|row| row[field].is_number()), "{field}");
    }
    let spent: f64 = rows.iter().map(|row| row["spent"].as_f64().unwrap()).sum();
    assert!((answer["summary"]["total_spent"].as_f64().unwrap() - spent).abs() < 0.01);

    let calls = coolbits.calls().await;
    assert_eq!(asked(&calls), [SELECT, REPORT]);
    assert_eq!(calls[0]["body"], json!({"customerId": "2345678901"}));
    let sent = query(&calls[1]);
    assert_eq!(sent["account_id"], "234-567-8901");
    assert_eq!(sent["preset"], "campaigns");
    assert_eq!(sent["blocks"], "overview,campaigns");
    let day = |name: &str| {
        let iso = time::format_description::well_known::Iso8601::DATE;
        time::Date::parse(&sent[name], &iso).unwrap()
    };
    assert_eq!((day("to") - day("from")).whole_days(), 6);
    assert_eq!(sent.len(), 5);
    for call in &calls {
        assert_eq!(call["headers"]["x-workspace-id"], "business");
        assert_eq!(call["headers"]["content-type"], "application/json");
        assert_eq!(call["token_hash"].as_str().unwrap().len(), 12);
        for ours in ["cookie", "x-client-id", "x-user-id"] {
            assert!(
                call["headers"].get(ours).is_none(),
                "{ours} went to Coolbits"
            );
        }
    }
}

#[tokio::test]
async fn a_manager_is_named_under_every_alias_and_logs_in() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    real(
        &sidecar
            .ads(
                &alice(),
                "10",
                "campaigns?account_id=1234567890&mcc_id=987-111-2222",
            )
            .await,
    );
    let calls = coolbits.calls().await;
    assert_eq!(
        calls[0]["body"],
        json!({"customerId": "1234567890", "loginCustomerId": 9_871_112_222u64})
    );
    let sent = query(&calls[1]);
    assert_eq!(
        (&sent["mccId"][..], &sent["cid"][..]),
        ("987-111-2222", "9871112222")
    );
    assert_eq!(
        (&sent["expand"][..], &sent["account_id"][..]),
        ("1", "1234567890")
    );
}

#[tokio::test]
async fn accounts_are_listed_with_looked_up_names_and_nothing_is_selected() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let answer = real(&sidecar.ads(&alice(), "10", "accounts").await);
    let names: Vec<_> = answer["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            (
                a["id"].as_str().unwrap(),
                a["name"].as_str().unwrap(),
                a["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("234-567-8901", "Looked up 2345678901", "Client"),
            ("345-678-9012", "Northwind Events", "Client"),
            ("123-456-7890", "Northwind Store", "Client"),
            ("000-111-2222", "Northwind Group", "MCC"),
        ]
    );
    let calls = coolbits.calls().await;
    assert_eq!(
        asked(&calls),
        ["GET /api/connectors/googleads/customers", REPORT]
    );
    assert!(query(&calls[0]).is_empty());
    assert_eq!(query(&calls[1])["preset"], "overview");
    assert_eq!(query(&calls[1])["account_id"], "234-567-8901");

    coolbits.forget().await;
    real(
        &sidecar
            .ads(&alice(), "10", "accounts?mcc_id=0001112222")
            .await,
    );
    let calls = coolbits.calls().await;
    assert_eq!(
        asked(&calls)[0],
        "GET /api/connectors/googleads/customers/clients"
    );
    assert_eq!(query(&calls[0])["account_id"], "000-111-2222");
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_keeps_its_placeholder() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    coolbits
        .faults(json!({"fault": "status", "status": 500, "only": "/report"}))
        .await;
    let answer = real(&sidecar.ads(&alice(), "10", "accounts").await);
    assert_eq!(answer["accounts"][0]["name"], "Account 234-567-8901");
}

#[tokio::test]
async fn keywords_name_the_account_they_are_given_and_never_read_somebody_elses_selection() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let target = "keywords?campaign_id=c-7&account_id=345-678-9012";
    let answer = real(&sidecar.ads(&alice(), "10", target).await);
    assert_eq!(answer["campaign_id"], "c-7");
    assert!(answer["keywords"][0]["quality_score"].is_i64());
    let calls = coolbits.calls().await;
    assert_eq!(asked(&calls), [SELECT, REPORT]);
    let sent = query(&calls[1]);
    assert_eq!(
        (&sent["account_id"][..], &sent["campaign_id"][..]),
        ("345-678-9012", "c-7")
    );
    assert_eq!(
        (&sent["preset"][..], &sent["blocks"][..]),
        ("keywords", "overview,keywords")
    );

    // 345-678-9012 is selected at Coolbits now; without an account the default one is read.
    coolbits.forget().await;
    let without = real(&sidecar.ads(&alice(), "11", "keywords").await);
    assert_eq!(without["campaign_id"], "c-1001");
    assert_ne!(without["keywords"], answer["keywords"]);
    let calls = coolbits.calls().await;
    assert_eq!(calls[0]["body"]["customerId"], "1234567890");
    assert!(!query(&calls[1]).contains_key("account_id"));
}

#[tokio::test]
async fn metrics_come_by_day_and_days_are_echoed() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (asked, echoed, rows) in [
        ("", 30, 30),
        ("?days=7", 7, 7),
        ("?days=0", 0, 30),
        ("?days=-5", -5, 1),
        ("?days=abc", 30, 30),
        ("?days=999", 999, 365),
    ] {
        coolbits.forget().await;
        let answer = real(
            &sidecar
                .ads(&alice(), "10", &format!("metrics{asked}"))
                .await,
        );
        assert_eq!(answer["days"], echoed, "{asked}");
        assert_eq!(
            answer["daily_metrics"].as_array().unwrap().len(),
            rows,
            "{asked}"
        );
        let calls = coolbits.calls_to("/report").await;
        assert_eq!(query(&calls[0])["blocks"], "overview,series");
        assert_eq!(query(&calls[0])["days"], echoed.to_string());
    }
}

#[tokio::test]
async fn reports_are_the_campaigns_as_strings() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let answer = real(&sidecar.ads(&alice(), "10", "reports").await);
    assert_eq!(answer["report_type"], "campaign_performance");
    assert!(answer["rows"][0]["Cost"].as_str().unwrap().starts_with('$'));
    assert!(answer["generated_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(query(&coolbits.calls().await[1])["preset"], "campaigns");
    let pacing = real(
        &sidecar
            .ads(&alice(), "10", "reports?type=budget_pacing")
            .await,
    );
    assert_eq!(pacing["report_type"], "budget_pacing");
    assert!(
        pacing["rows"][0]["Utilization"]
            .as_str()
            .unwrap()
            .ends_with('%')
    );
}

#[tokio::test]
async fn candidates_are_tried_in_the_contracts_order() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let rows: [(&str, &[&str]); 5] = [
        (
            "accounts?mcc_id=1",
            &[
                "/api/connectors/googleads/customers/clients",
                "/api/connectors/googleads/customers",
                "/api/connectors/googleads/clients",
                "/api/google-ads/accounts",
                "/api/connectors/google-ads/accounts",
                "/googleads/accounts",
            ],
        ),
        (
            "campaigns",
            &[
                "/api/connectors/googleads/report",
                "/api/google-ads/campaigns",
                "/api/connectors/google-ads/campaigns",
                "/googleads/campaigns",
            ],
        ),
        (
            "keywords",
            &[
                "/api/connectors/googleads/report",
                "/api/google-ads/keywords",
                "/api/connectors/google-ads/keywords",
                "/googleads/keywords",
            ],
        ),
        (
            "metrics",
            &[
                "/api/connectors/googleads/report",
                "/api/connectors/googleads/summary",
                "/api/google-ads/metrics",
                "/api/connectors/google-ads/metrics",
                "/googleads/metrics",
            ],
        ),
        ("reports", &["/api/connectors/googleads/report"]),
    ];
    coolbits
        .faults(json!({"fault": "status", "status": 404}))
        .await;
    for (target, candidates) in rows {
        coolbits.forget().await;
        let answer = sidecar.ads(&alice(), "10", target).await.json();
        assert_eq!(answer["gateway"]["error"], "http_4xx", "{target}");
        let calls = coolbits.calls().await;
        let gets: Vec<&str> = calls
            .iter()
            .filter(|call| call["method"] == "GET")
            .map(|call| call["path"].as_str().unwrap())
            .collect();
        assert_eq!(gets, candidates, "{target}");
    }
}

#[tokio::test]
async fn two_accounts_at_once_never_get_each_others_figures() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let (alice, bob) = (alice(), bob());
    let accounts = ["123-456-7890", "234-567-8901", "345-678-9012"];
    let mut alone = BTreeMap::new();
    for (token, client) in [(&alice, "10"), (&bob, "20")] {
        for account in accounts {
            let target = format!("campaigns?account_id={account}");
            let answer = real(&sidecar.ads(token, client, &target).await);
            alone.insert((client, account), answer["campaigns"].clone());
        }
    }
    let distinct: std::collections::BTreeSet<String> =
        alone.values().map(Value::to_string).collect();
    assert_eq!(
        distinct.len(),
        6,
        "the stand-in gives figures by token and customer"
    );
    coolbits.faults(json!({"latency_ms": 5})).await;
    let mut tasks = Vec::new();
    for round in 0..6 {
        for (client, account) in alone.keys().copied() {
            let token = if client == "20" {
                bob.clone()
            } else {
                alice.clone()
            };
            // Another query each time, so that none is answered from the cache.
            let url = sidecar.url(&format!(
                "/api/connectors/google-ads/campaigns?account_id={account}&type={round}"
            ));
            let got = crate::support::Ask::get(&url)
                .bearer(&token)
                .client(client)
                .send();
            tasks.push(tokio::spawn(async move { ((client, account), got.await) }));
        }
    }
    for task in tasks {
        let (whose, got) = task.await.unwrap();
        assert_eq!(real(&got)["campaigns"], alone[&whose], "{whose:?}");
    }
}

#[tokio::test]
async fn an_answer_about_another_account_is_not_passed_on() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    coolbits.faults(fault("wrong_account")).await;
    for operation in ["campaigns", "keywords", "metrics", "reports"] {
        let answer = sidecar.ads(&alice(), "10", operation).await.json();
        assert_eq!(
            (&answer["source"], &answer["gateway"]["error"]),
            (&json!("mock"), &json!("bad_payload")),
            "{operation}"
        );
    }
}

#[tokio::test]
async fn an_account_without_digits_is_asked_of_nobody() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let answer = sidecar
        .ads(&alice(), "10", "campaigns?account_id=abc")
        .await
        .json();
    assert_eq!(answer["gateway"]["error"], "empty");
    assert_eq!(
        (&answer["account_id"], &answer["campaigns"]),
        (&json!("abc"), &json!([]))
    );
    assert_eq!(answer["summary"]["total_spent"], 0.0);
    assert!(coolbits.calls().await.is_empty());
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let get = sidecar.ads(&alice(), "10", "campaigns").await;
    let head =
        crate::support::Ask::new("HEAD", &sidecar.url("/api/connectors/google-ads/campaigns"));
    let head = head.bearer(&alice()).client("10").send().await;
    assert_eq!(
        (head.status, head.header("x-camarad-source")),
        (200, "coolbits")
    );
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert!(head.body.is_empty());
}
