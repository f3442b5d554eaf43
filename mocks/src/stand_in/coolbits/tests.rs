//! What the gateway is tested against has to be there.

use super::*;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;

pub(super) const WINDOW: &str = "from=2026-11-17&to=2026-11-23";

pub(super) struct Server(Coolbits);

impl Server {
    pub(super) fn new() -> Self {
        Self(Coolbits::default())
    }

    /// Status and body; an empty token is none.
    pub(super) async fn ask(
        &self,
        token: &str,
        line: &str,
        body: &str,
        fault: Fault,
    ) -> (u16, Value) {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            let bearer = format!("Bearer {token}");
            headers.insert("authorization", bearer.parse().unwrap());
        }
        let asked = Asked {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Bytes::from(body.to_owned()),
        };
        let answer = self.0.answer(&asked, fault);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// The body of a GET below `/api/connectors/` that succeeds.
    pub(super) async fn get(&self, token: &str, target: &str, fault: Fault) -> Value {
        let line = format!("GET /api/connectors/{target}");
        let (status, body) = self.ask(token, &line, "", fault).await;
        assert_eq!(status, 200, "{target}: {body}");
        body
    }
}

/// A report of each connector: its path, its account, another account, what is asked.
const REPORTS: [(&str, &str, &str, &str); 8] = [
    (
        "ga4/report?propertyId=",
        "G-ABC123DEF4",
        "G-XYZ789GHI0",
        "blocks=overview",
    ),
    (
        "ga4/report?propertyId=",
        "G-ABC123DEF4",
        "G-XYZ789GHI0",
        "blocks=device,overview",
    ),
    (
        "ga4/report?propertyId=",
        "G-ABC123DEF4",
        "G-XYZ789GHI0",
        "preset=events",
    ),
    (
        "gsc/report?siteUrl=",
        "sc-domain:camarad.ai",
        "sc-domain:contoso.example",
        "preset=overview",
    ),
    (
        "gsc/report?siteUrl=",
        "sc-domain:camarad.ai",
        "sc-domain:contoso.example",
        "preset=index_coverage",
    ),
    (
        "gtm/report?containerId=",
        "GTM-WX4R7N2",
        "GTM-CONTOSO",
        "preset=overview",
    ),
    (
        "gtm/report?containerId=",
        "GTM-WX4R7N2",
        "GTM-CONTOSO",
        "preset=tags",
    ),
    (
        "gtm/report?containerId=",
        "GTM-WX4R7N2",
        "GTM-CONTOSO",
        "preset=preview",
    ),
];

#[tokio::test]
async fn figures_tell_token_and_account() {
    let server = Server::new();
    for (path, id, other, wanted) in REPORTS {
        let of = async |token, id: &str, fault| {
            let target = format!("{path}{id}&{WINDOW}&{wanted}");
            server.get(token, &target, fault).await
        };
        let field = path.split(['?', '=']).nth(1).unwrap();
        let mine = of("a", id, Fault::None).await;
        assert_eq!(mine[field], id);
        assert_eq!(mine, of("a", id, Fault::None).await, "{path}{wanted}");
        assert_ne!(
            mine["data"],
            of("b", id, Fault::None).await["data"],
            "{path}{wanted}"
        );
        assert_ne!(
            mine["data"],
            of("a", other, Fault::None).await["data"],
            "{path}{wanted}"
        );
        let wrong = of("a", id, Fault::WrongAccount).await;
        assert!(
            wrong[field].is_string() && wrong[field] != id,
            "{path}{wanted}"
        );
        assert_ne!(mine["data"], wrong["data"], "{path}{wanted}");
    }
    let stripe = server.get("a", "stripe/overview", Fault::None).await;
    assert_ne!(
        stripe,
        server.get("b", "stripe/overview", Fault::None).await
    );
    assert_eq!(stripe["data"]["overview"]["currency"], "EUR");
}

#[tokio::test]
async fn faults_stand_where_figures_stood() {
    let server = Server::new();
    for (path, id, _, wanted) in REPORTS {
        let target = format!("{path}{id}&{WINDOW}&{wanted}");
        let good = server.get("a", &target, Fault::None).await["data"].take();
        let empty = server.get("a", &target, Fault::EmptyRows).await["data"].take();
        let blocks = good.as_object().unwrap();
        let names = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert!(!blocks.is_empty(), "{target}");
        assert_eq!(names(&empty), names(&good), "{target}");
        for (name, block) in blocks {
            let list = ["rows", "deviceCategory"]
                .into_iter()
                .find(|list| block.get(list).is_some());
            let expected = list.map_or_else(|| json!({}), |list| json!({ list: [] }));
            assert_eq!(empty[name], expected, "{target}");
        }
        let list = server.get("a", &target, Fault::ListData).await;
        assert_eq!(list, json!({"data": []}), "{target}");
    }
    for (path, row, count) in [
        (
            "ga4/report?propertyId=G-1&blocks=overview",
            "/data/overview",
            "sessions",
        ),
        (
            "ga4/report?propertyId=G-1&blocks=series",
            "/data/series/daily/0",
            "sessions",
        ),
        (
            "gsc/report?siteUrl=s&preset=queries",
            "/data/queries/rows/0",
            "clicks",
        ),
        (
            "gtm/report?containerId=c&preset=overview",
            "/data/overview/rows/0",
            "tags",
        ),
        ("stripe/overview?", "/data/overview", "customers"),
    ] {
        let target = format!("{path}&{WINDOW}");
        let good = server.get("a", &target, Fault::None).await;
        let words = server.get("a", &target, Fault::TextInNumbers).await;
        assert!(
            good.pointer(row).unwrap()[count].is_u64(),
            "{target}: {good}"
        );
        assert_eq!(words.pointer(row).unwrap()[count], "many", "{target}");
    }
    for (path, key) in [
        ("ga4/properties", "properties"),
        ("gsc/properties", "properties"),
        ("gtm/containers", "containers"),
    ] {
        let good = server.get("a", path, Fault::None).await;
        assert_eq!(good[key].as_array().unwrap().len(), 3, "{path}");
        assert!(good.to_string().contains(":\"Live "), "{path}");
        assert_eq!(
            server.get("a", path, Fault::EmptyRows).await,
            json!({ key: [] })
        );
        assert_eq!(
            server.get("a", path, Fault::ListData).await,
            json!({ key: {} })
        );
    }
}

#[tokio::test]
async fn what_is_refused() {
    let server = Server::new();
    for (token, line, status, error) in [
        (
            "",
            "GET /api/connectors/ga4/properties",
            401,
            "unauthorized",
        ),
        ("", "GET /api/connectors/gsc/status", 401, "unauthorized"),
        (
            "a",
            "GET /api/connectors/ga4/report?from=2026-11-17&to=2026-11-23",
            400,
            "property_not_set",
        ),
        (
            "a",
            "GET /api/connectors/gsc/report?siteUrl=&preset=overview",
            400,
            "property_not_set",
        ),
        (
            "a",
            "GET /api/connectors/gtm/report?preset=tags",
            400,
            "property_not_set",
        ),
        (
            "a",
            "GET /api/connectors/ga4/report?propertyId=G-1&from=soon",
            400,
            "invalid_range",
        ),
        (
            "a",
            "GET /api/connectors/google-search-console/report?siteUrl=s",
            404,
            "not_found",
        ),
        (
            "a",
            "GET /api/connectors/google-tag-manager/report?containerId=c",
            404,
            "not_found",
        ),
        ("a", "POST /api/connectors/gsc/status", 404, "not_found"),
    ] {
        let got = server.ask(token, line, "", Fault::None).await;
        assert_eq!(got, (status, json!({"error": error})), "{line}");
    }
    let health = server.ask("", "GET /healthz", "", Fault::None).await;
    assert_eq!(health, (200, json!({"status": "ok"})));
    for path in ["gsc/status", "gtm/status"] {
        assert_eq!(
            server.get("a", path, Fault::None).await,
            json!({"connected": true})
        );
    }
    let consent = server.get("a", "ga4/auth/url", Fault::None).await;
    assert_eq!(consent["state"], "live-state");
    let url = url::Url::parse(consent["url"].as_str().unwrap()).unwrap();
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!(pairs[0], ("state".into(), "live-state".into()));
    assert_eq!(
        pairs[1].1,
        "https://coolbits.example/api/connectors/ga4/oauth/callback"
    );
}

#[tokio::test]
async fn a_google_ads_report_is_the_selected_customers() {
    let server = Server::new();
    let report = async |wanted: &str| {
        let target = format!("googleads/report?account_id=2345678901&{WINDOW}&{wanted}");
        server.get("a", &target, Fault::None).await
    };
    let line = "POST /api/connectors/googleads/customer";
    let refused = server.ask("a", line, "{}", Fault::None).await;
    assert_eq!(refused.0, 400);
    let selected = server
        .ask("a", line, r#"{"customerId": "1234567890"}"#, Fault::None)
        .await;
    assert_eq!(
        selected,
        (200, json!({"ok": true, "customerId": "1234567890"}))
    );
    let campaigns = report("preset=campaigns").await;
    assert_eq!(campaigns["customerId"], "1234567890");
    assert_eq!(
        campaigns["data"]["campaigns"]["rows"][0]["campaign"],
        "Live campaign 1"
    );
    assert_eq!(
        campaigns["data"]["series"]["daily"][6]["date"],
        "2026-11-23"
    );
    let named = report("preset=overview").await;
    assert_eq!(named["customerId"], "2345678901");
    assert_eq!(
        named["data"]["overview"]["account_name"],
        "Looked up 2345678901"
    );
}

#[tokio::test]
async fn a_token_that_names_a_user_is_that_users_and_a_model_is_asked_by_run() {
    let server = Server::new();
    let me = async |token| server.ask(token, "GET /api/auth/me", "", Fault::None).await;
    // {"email": "user3@example.com"}
    let named = "h.eyJlbWFpbCI6InVzZXIzQGV4YW1wbGUuY29tIn0.s";
    for (token, email) in [
        ("session-of-user-2", "user2@example.com"),
        (named, "user3@example.com"),
    ] {
        assert_eq!(me(token).await, (200, json!({"email": email})), "{token}");
    }
    for token in ["", "service-dev@camarad.ai", "session-of-user-x", "a.b.c"] {
        assert_eq!(me(token).await.0, 401, "{token}");
    }
    let say = async |run: &str| {
        let line = format!("POST /api/runs/{run}/llm");
        server
            .ask("a", &line, r#"{"input": "why?"}"#, Fault::None)
            .await
    };
    assert_eq!(say("run-1").await, (404, json!({"error": "run_not_found"})));
    let made = server.ask("a", "POST /api/runs", "{}", Fault::None).await;
    assert_eq!(made, (200, json!({"runId": "run-1"})));
    assert_eq!(
        say("run-1").await,
        (400, json!({"error": "confirmation_required"}))
    );
    assert_eq!(
        server.ask("", "POST /api/runs", "{}", Fault::None).await.0,
        401
    );
    assert_eq!(
        server.ask("a", "GET /api/runs", "", Fault::None).await.0,
        404
    );
}
