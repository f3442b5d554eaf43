//! The client that a body names: read strictly, checked like any other place.

use crate::support::{Ask, Setup, Sidecar, alice};

const LINKS: &str = "/api/client_connectors";

#[tokio::test]
async fn a_link_can_only_be_made_for_ones_own_client() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let rows = [
        (
            LINKS,
            r#"{"client_id": 10, "connector_slug": "a"}"#,
            200,
            "",
        ),
        (LINKS, r#"{"client_id": "11"}"#, 200, ""),
        (
            "/api/client_connectors?client_id=10",
            r#"{"client_id": 10}"#,
            200,
            "",
        ),
        // Somebody else's, in every way in which the app would read it.
        (LINKS, r#"{"client_id": 20}"#, 404, "client_not_allowed"),
        (LINKS, r#"{"client_id": "20"}"#, 404, "client_not_allowed"),
        (
            LINKS,
            r#"{"client\u005fid": 20}"#,
            404,
            "client_not_allowed",
        ),
        (
            LINKS,
            r#"{"client_id": 10, "client_id": 20}"#,
            400,
            "body_malformed",
        ),
        (LINKS, r#"{"client_id": 20.0}"#, 400, "client_unreadable"),
        (LINKS, r#"{"client_id": " 20"}"#, 400, "client_unreadable"),
        (LINKS, r#"{"client_id": true}"#, 400, "client_unreadable"),
        (LINKS, "\u{feff}{\"client_id\": 20}", 400, "body_malformed"),
        (
            LINKS,
            r#"{"client_id": 20, "x": NaN}"#,
            400,
            "body_malformed",
        ),
        (LINKS, "client_id=20", 400, "body_malformed"),
        (LINKS, r#"[{"client_id": 20}]"#, 400, "body_malformed"),
        (
            "/api/client_connectors?client_id=10",
            r#"{"client_id": 11}"#,
            400,
            "client_conflict",
        ),
        (
            "/api/client_connectors?client_id=10",
            "{}",
            400,
            "client_required",
        ),
        (
            "/api/client_connectors?client_id=10",
            "",
            400,
            "client_required",
        ),
    ];
    for (target, body, status, code) in rows {
        legacy.forget().await;
        // The header is ambient: the drawer of another own client is open in the page.
        let ask = Ask::new("POST", &sidecar.url(target))
            .bearer(&alice())
            .client("11");
        let got = ask.body(body).send().await;
        assert_eq!(got.status, status, "{target} {body}: {:?}", got.json());
        let calls = legacy.forwarded().await;
        assert_eq!(calls.len(), usize::from(status == 200), "{body}");
        if status != 200 {
            assert_eq!(got.code(), code, "{target} {body}");
        }
        for call in calls {
            let sent: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(call["body"], sent, "the body goes on as it came");
            let header = &call["headers"]["x-client-id"];
            assert!(header.is_null(), "the app does not read it here: {header}");
        }
    }
    let encoded = Ask::new("POST", &sidecar.url(LINKS)).bearer(&alice());
    let got = encoded
        .with("Content-Encoding", "gzip")
        .body(r#"{"client_id": 10}"#)
        .send()
        .await;
    assert_eq!((got.status, got.code()), (400, "body_malformed".to_owned()));
    // Nobody who is not known makes us read a body.
    let got = Ask::new("POST", &sidecar.url(LINKS)).body("x").send().await;
    assert_eq!((got.status, got.code()), (401, "token_missing".to_owned()));
}
