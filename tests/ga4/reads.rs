//! Every report, list and consent: what Coolbits is asked, and what is shown of it.

use super::{REPORT, REPORTS, STATUS, date, ga4, kinds, kinds_of, rows_of, sent, today, unbound};
use crate::google_ads::{asked, real};
use crate::support::{Ask, Sidecar, StandIn, alice, bob};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What Coolbits itself answers to the same call.
async fn directly(coolbits: &StandIn, token: &str, call: &Value) -> Value {
    let (path, query) = (
        call["path"].as_str().unwrap(),
        call["query"].as_str().unwrap(),
    );
    let url = format!("{}{path}?{query}", coolbits.url());
    Ask::get(&url).bearer(token).send().await.json()
}

#[tokio::test]
async fn every_report_is_asked_for_as_the_contract_says_and_shown_as_it_came() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (report, wanted, list, figure, place) in REPORTS {
        coolbits.forget().await;
        let before = today();
        let target = format!("{report}?property_id=G-XYZ789GHI0&days=7");
        let answer = real(&ga4(&sidecar, &alice(), "10", &target).await);
        let gateway = json!({"enabled": true, "path": "/api/connectors/ga4/report", "status": 200});
        assert_eq!(answer["gateway"], gateway, "{report}");

        let calls = coolbits.calls().await;
        assert_eq!(asked(&calls), [REPORT], "{report}");
        let mut query = sent(&calls[0]);
        let (from, to) = (
            date(&query.remove("from").unwrap()),
            date(&query.remove("to").unwrap()),
        );
        let yesterdays = [before, today()].map(|day| day.previous_day().unwrap());
        assert!(yesterdays.contains(&to), "{report}: {to}");
        assert_eq!((to - from).whole_days(), 6, "{report}");
        let (name, value) = wanted.split_once('=').unwrap();
        let expected = [("propertyId", "G-XYZ789GHI0"), (name, value)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query, BTreeMap::from(expected), "{report}");
        let headers = &calls[0]["headers"];
        assert_eq!(
            (&headers["x-workspace-id"], &headers["content-type"]),
            (&json!("business"), &json!("application/json"))
        );
        for ours in ["cookie", "x-client-id", "x-user-id"] {
            assert!(headers.get(ours).is_none(), "{ours} went to Coolbits");
        }

        let given = directly(&coolbits, &alice(), &calls[0]).await;
        let given = given.pointer(&format!("/data/{figure}")).unwrap();
        assert_eq!(answer.pointer(place), Some(given), "{report}");
        for row in rows_of(&answer, list) {
            let (mut found, mut expected) = (kinds(&row), kinds_of(report));
            match report {
                // A value is known of some events only.
                "events" if found["value"] == "null" => found["value"] = json!("float"),
                "funnel" if !found.contains_key("drop_off") => {
                    assert_eq!(row, answer["steps"][0], "{row}");
                    expected.as_object_mut().unwrap().remove("drop_off");
                }
                _ => {}
            }
            assert_eq!(Value::Object(found), expected, "{report}: {row}");
        }
        let id = answer.get("property_id");
        let expected = json!("G-XYZ789GHI0");
        assert_eq!(id, (report != "funnel").then_some(&expected), "{report}");
    }
}

#[tokio::test]
async fn what_coolbits_does_not_give_is_worked_out_or_dashed() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let get = |target: &'static str| async { real(&ga4(&sidecar, &alice(), "10", target).await) };
    let overview = get("overview").await;
    assert_eq!(overview["avg_engagement_time"], "—");
    assert_eq!(overview["new_users"], overview["users"]);
    assert_eq!(overview["active_users"], overview["users"]);
    let comparison = overview["comparison"].as_object().unwrap();
    let names: Vec<_> = comparison.keys().collect();
    assert_eq!(names, ["conversions", "revenue", "sessions", "users"]);
    for change in comparison.values() {
        let change = change.as_str().unwrap();
        assert!(
            change.starts_with(['+', '-']) && change.ends_with('%'),
            "{change}"
        );
    }
    for row in rows_of(&get("pages").await, "pages") {
        assert_eq!(row["avg_time"], "—");
        assert!(row["bounce_rate"].as_str().unwrap().ends_with('%'), "{row}");
    }
    let share =
        |rows: &[Value]| -> f64 { rows.iter().map(|row| row["pct"].as_f64().unwrap()).sum() };
    let devices = rows_of(&get("devices").await, "devices");
    for row in &devices {
        let category = row["category"].as_str().unwrap();
        assert_eq!(category, category.to_lowercase());
        assert_eq!(
            (&row["users"], &row["bounce_rate"]),
            (&row["sessions"], &json!("—"))
        );
    }
    assert!((share(&devices) - 100.0).abs() < 0.5, "{devices:?}");
    let countries = rows_of(&get("countries").await, "countries");
    assert!(countries.iter().all(|row| row["users"] == row["sessions"]));
    assert!(
        share(&countries) < 100.0,
        "some sessions come from elsewhere"
    );
    for row in rows_of(&get("timeseries").await, "daily") {
        assert_eq!(
            (&row["users"], &row["new_users"]),
            (&row["sessions"], &row["sessions"])
        );
    }
    let events = rows_of(&get("events").await, "events");
    let category = |name: &str| {
        let row = events.iter().find(|row| row["name"] == name).unwrap();
        row["category"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        [
            category("page_view"),
            category("purchase"),
            category("generate_lead")
        ],
        ["Auto", "Ecommerce", "Custom"]
    );
    assert!(events.iter().any(|row| row["value"].is_f64()));
}

#[tokio::test]
async fn a_funnel_is_of_a_shop_or_of_leads() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (target, last) in [
        ("funnel", "purchase"),
        ("funnel?type=ecommerce", "purchase"),
        ("funnel?type=lead_gen", "generate_lead"),
    ] {
        let answer = real(&ga4(&sidecar, &alice(), "10", target).await);
        assert!(answer["name"].is_string() && answer.get("property_id").is_none());
        let steps = answer["steps"].as_array().unwrap();
        assert_eq!(steps.last().unwrap()["event"], last, "{target}");
        assert_eq!(
            steps.last().unwrap()["pct"],
            answer["overall_conversion"],
            "{target}"
        );
        assert_eq!(steps[0]["pct"], 100.0);
    }
}

#[tokio::test]
async fn windows_end_yesterday_unless_both_ends_are_given() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (given, echoed, days) in [
        ("", 30, 30),
        ("days=7", 7, 7),
        ("days=0", 0, 30),
        ("days=-5", -5, 1),
        ("days=abc", 30, 30),
        ("days=9999", 9999, 365),
        ("range=7days", 7, 7),
        ("range=7", 7, 7),
        ("range=last_7_days", 7, 7),
        ("range=14days", 14, 14),
        ("range=last_90_days", 90, 90),
        ("range=5days", 30, 30),
        ("days=3&range=90days", 3, 3),
        ("from=2026-01-05", 30, 30),
        ("to=2026-01-05", 30, 30),
        ("from=2026-01-05&to=soon", 30, 30),
        ("from=2026-01-05&to=2026-01-14", 30, 10),
    ] {
        coolbits.forget().await;
        let before = today();
        let target = format!("timeseries?property_id=G-1&{given}");
        let answer = real(&ga4(&sidecar, &alice(), "10", &target).await);
        let query = sent(&coolbits.calls().await[0]);
        let (from, to) = (date(&query["from"]), date(&query["to"]));
        match days {
            10 => assert_eq!(query["to"], "2026-01-14"),
            _ => {
                let yesterdays = [before, today()].map(|day| day.previous_day().unwrap());
                assert!(yesterdays.contains(&to), "{given}: {to}");
            }
        }
        assert_eq!((to - from).whole_days() + 1, days, "{given}");
        let daily = answer["daily"].as_array().unwrap();
        assert_eq!(
            (&answer["days"], daily.len() as i64),
            (&json!(echoed), days),
            "{given}"
        );
        assert_eq!(daily.last().unwrap()["date"], query["to"], "{given}");
    }
}

#[tokio::test]
async fn properties_and_status_are_coolbits_own() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    let answer = real(&ga4(&sidecar, &alice(), "10", "properties").await);
    let rows = answer["properties"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["G-ABC123DEF4", "G-XYZ789GHI0", "G-JKL456MNO1"]);
    for row in rows {
        let text = [
            "id",
            "name",
            "stream",
            "url",
            "timezone",
            "currency",
            "account_name",
        ];
        let expected: Map<_, _> = text
            .map(|name| (name.to_owned(), json!("text")))
            .into_iter()
            .collect();
        assert_eq!(kinds(row), expected, "{row}");
        assert!(row["name"].as_str().unwrap().starts_with("Live "), "{row}");
    }
    let status = real(&ga4(&sidecar, &alice(), "10", "status").await);
    let own = json!({
        "connected": true, "status": "connected", "account": "live", "source": "coolbits",
        "selectedPropertyId": "G-ABC123DEF4", "propertyId": "G-ABC123DEF4",
        "gateway": {"enabled": true, "path": "/api/connectors/ga4/status", "status": 200},
    });
    assert_eq!(status, own);
    let calls = coolbits.calls().await;
    assert_eq!(
        asked(&calls),
        ["GET /api/connectors/ga4/properties", STATUS]
    );
    assert!(calls.iter().all(|call| sent(call).is_empty()));
}

#[tokio::test]
async fn two_tenants_get_their_own_figures_of_one_property() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (report, _, _, _, figure) in REPORTS {
        let target = format!("{report}?property_id=G-ABC123DEF4");
        let own = real(&ga4(&sidecar, &alice(), "10", &target).await);
        let theirs = real(&ga4(&sidecar, &bob(), "20", &target).await);
        assert_eq!(own.get("property_id"), theirs.get("property_id"));
        assert_ne!(own.pointer(figure), theirs.pointer(figure), "{report}");
        let again = real(&ga4(&sidecar, &alice(), "10", &target).await);
        assert_eq!(own, again, "{report}");
    }
}

#[tokio::test]
async fn consent_is_between_the_browser_and_the_app() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(unbound()).await;
    for (target, client) in [
        ("auth-url?popup_mode=1", "10"),
        ("oauth/callback?state=live-state&code=a%2Fb%20c", ""),
    ] {
        legacy.forget().await;
        let got = ga4(&sidecar, &alice(), client, target).await;
        assert_eq!(
            (got.status, got.header("x-camarad-source")),
            (200, "legacy"),
            "{target}"
        );
        assert_eq!(got.header("cache-status"), "", "{target}");
        let calls = legacy.forwarded().await;
        let (path, query) = target.split_once('?').unwrap();
        let expected = [format!("GET /api/connectors/ga4/{path}")];
        assert_eq!(
            (asked(&calls), &calls[0]["query"]),
            (expected.into(), &json!(query))
        );
        let got = ga4(&sidecar, &alice(), client, target).await;
        assert_eq!(got.header("cache-status"), "", "{target}");
        assert_eq!(
            legacy.forwarded().await.len(),
            2,
            "{target}: asked each time"
        );
    }
    assert!(coolbits.calls().await.is_empty());
}
