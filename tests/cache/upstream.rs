//! What the app sees of a read that others may be given, and what each of them is given.

use super::{CLIENTS, FLOWS, HIT, LIST, PLANS, STORED, asked, told, whom};
use crate::support::{Ask, Claims, Got, Setup, Sidecar, alice, caller, token};
use serde_json::{Value, json};

#[tokio::test]
async fn nothing_of_the_callers_own_goes_upstream_with_what_others_are_given() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let port = legacy.address.port();
    for (at, target) in [FLOWS, CLIENTS, PLANS, "/api/connectors/aws/ec2"]
        .into_iter()
        .enumerate()
    {
        let ask = caller().get(sidecar.url(target)).bearer_auth(alice());
        let mut ask = ask.header("Host", "evil.example");
        for (name, value) in [
            ("X-Client-ID", "10"),
            ("X-User-ID", "2"),
            ("X-Internal-Token", "guess"),
            ("User-Agent", "evil"),
            ("Accept", "text/html"),
            ("Accept-Language", "ro"),
            ("Accept-Encoding", "gzip"),
            (
                "Cookie",
                "lang=ro; camarad_user_id=2; camarad_client_id=20; session=evil",
            ),
            ("Content-Type", "text/plain"),
            ("Forwarded", "for=1.2.3.4;host=evil.example;proto=https"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Prefix", "/evil"),
            ("X-Request-Id", "evil"),
            ("X-Anything", "evil"),
            ("Referer", "https://evil.example/"),
            ("If-None-Match", "\"evil\""),
            ("Range", "bytes=0-1"),
            (
                "traceparent",
                "00-11111111111111111111111111111111-2222222222222222-01",
            ),
        ] {
            ask = ask.header(name, value);
        }
        let got = Got::from(ask.send().await.unwrap()).await;
        assert_eq!(
            (got.status, told(&got)),
            (200, STORED.into()),
            "{target}: {got:?}"
        );
        let calls = asked(&legacy, target).await;
        assert_eq!(calls.len(), 1, "{target}");
        let headers = calls[0]["headers"].as_object().unwrap();
        let mut expected = vec![
            "accept",
            "accept-encoding",
            "authorization",
            "cookie",
            "host",
            "x-client-id",
            "x-request-id",
            "x-user-id",
        ];
        // Where the client is not read, none is named.
        let names_client = at == 0 || at == 3;
        expected.retain(|name| names_client || *name != "x-client-id");
        // What everybody is given, nobody asks for.
        let of_identity = ["authorization", "cookie", "x-user-id"];
        expected.retain(|name| target != PLANS || !of_identity.contains(name));
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        assert_eq!(names, expected, "{target}");
        if target == PLANS {
            continue;
        }
        let hash = calls[0]["token_hash"].as_str().unwrap();
        for (name, value) in [
            ("host", format!("127.0.0.1:{port}")),
            ("accept", "application/json".into()),
            ("accept-encoding", "identity".into()),
            ("authorization", format!("Bearer {hash}")),
            (
                "cookie",
                format!("camarad_user_id=1; camarad_cb_token={hash}"),
            ),
            ("x-request-id", got.header("x-request-id").into()),
            ("x-user-id", "1".into()),
        ] {
            assert_eq!(headers[name], value, "{target} {name}");
        }
        assert!(!names_client || headers["x-client-id"] == "10", "{target}");
        assert_eq!(calls[0]["query"], "", "{target}");
    }
}

#[tokio::test]
async fn the_app_is_asked_for_the_client_that_was_decided() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let only_ten = token(Claims::new(1, &[10]));
    // Named in the query, or not at all by a token that reaches one.
    for (token, target) in [(&alice(), "/api/flows?client_id=10"), (&only_ten, FLOWS)] {
        legacy.forget().await;
        for expected in [STORED, HIT] {
            let got = sidecar.get(target).bearer(token).send().await;
            assert_eq!((got.status, told(&got)), (200, expected.into()), "{target}");
            let rows = got.json();
            assert!(!rows.as_array().unwrap().is_empty());
            assert!(
                rows.as_array()
                    .unwrap()
                    .iter()
                    .all(|row| row["client_id"] == 10)
            );
        }
        assert_eq!(
            whom(&asked(&legacy, FLOWS).await),
            [(json!("1"), json!("10"))]
        );
    }
}

#[tokio::test]
async fn what_is_kept_is_looked_through_for_each_who_is_given_it() {
    let setup = Setup::default().set("SIDECAR__TENANCY__DIRECTORY_TTL", "0s");
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(setup).await;
    let only_ten = token(Claims::new(1, &[10]));
    let cut = |route: &str| format!("sidecar_egress_rows_cut_total{{route=\"{route}\"}}");
    // Of rows out of reach only what the page draws stays, each time.
    for expected in [STORED, HIT, HIT] {
        let target = format!("{LIST}?all=1");
        let got = sidecar
            .get(&target)
            .bearer(&only_ten)
            .client("10")
            .send()
            .await;
        assert_eq!(told(&got), expected);
        let list = got.json();
        let rows: Vec<&Value> = list.as_array().unwrap().iter().collect();
        let named = |row: &&&Value| !row["client_id"].is_null();
        let own: Vec<_> = rows.iter().filter(named).collect();
        assert!(
            own.len() == 2 && own.iter().all(|row| row["client_id"] == 10),
            "{list}"
        );
        assert!(
            !got.body.windows(12).any(|part| part == b"234-567-8901"),
            "{list}"
        );
        assert!(rows.len() > 20);
    }
    let list_cut = sidecar.metric(&cut("connectors.list")).await;
    assert_eq!(list_cut % 3.0, 0.0);
    assert!(list_cut >= 6.0, "{list_cut}");
    for expected in [STORED, HIT, HIT] {
        let got = sidecar.get(CLIENTS).bearer(&only_ten).send().await;
        assert_eq!(told(&got), expected);
        assert_eq!(got.json(), json!([{"id": 10, "name": "Northwind Store"}]));
    }
    assert_eq!(sidecar.metric(&cut("clients.list")).await, 3.0);
    // A link that changed behind our back, while the answer was kept.
    let ids = |got: &Got| {
        let rows = got.json()["accounts"].clone();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = sidecar.ads(&alice(), "10", "accounts").await;
    assert_eq!(
        (told(&before), ids(&before)),
        (STORED.into(), vec!["123-456-7890".into()])
    );
    let link = Ask::new(
        "PATCH",
        &format!("{}/api/client_connectors/1", legacy.url()),
    );
    let link = link
        .with("Cookie", "camarad_user_id=1")
        .body(r#"{"account_id": "345-678-9012"}"#);
    assert_eq!(link.send().await.status, 200);
    let after = sidecar.ads(&alice(), "10", "accounts").await;
    assert_eq!(
        (told(&after), ids(&after)),
        (HIT.into(), vec!["345-678-9012".into()])
    );
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_eq!(coolbits.calls_to("/customers").await.len(), 1);
}
