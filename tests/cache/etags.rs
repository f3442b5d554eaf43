//! Entity tags and 304: nobody is sent again what they have, and nobody is told
//! that they have what they may not see.

use super::{CAMPAIGNS, FLOWS, HIT, STORED, asked, told};
use crate::support::{Answer, Ask, Raw, Setup, Sidecar, alice, bob, fault, request};
use serde_json::json;

/// One request as the raw caller of client 10, with these lines.
async fn raw(sidecar: &Sidecar, line: &str, fields: &str) -> Answer {
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(request(&format!("{line} HTTP/1.1"), fields)).await;
    let method = line.split(' ').next().unwrap();
    raw.answer(method).await.unwrap()
}

#[tokio::test]
async fn who_has_it_already_is_told_so_and_sent_nothing() {
    let (sidecar, _coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for target in [CAMPAIGNS, FLOWS] {
        let get = format!("GET {target}");
        let whole = raw(&sidecar, &get, "").await;
        let tag = whole.header("etag").to_owned();
        let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        assert_eq!(opaque.map(str::len), Some(22), "a strong one: {tag}");
        for field in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            format!("W/\"other\" ,, W/{tag} , \"more\""),
            format!("\"other\"\r\nIf-None-Match: {tag}"),
            "*".into(),
        ] {
            let fields = format!("If-None-Match: {field}\r\n");
            for method in ["GET", "HEAD"] {
                let got = raw(&sidecar, &format!("{method} {target}"), &fields).await;
                assert_eq!((got.status, got.body.len()), (304, 0), "{method} {field}");
                for absent in ["content-type", "content-length", "transfer-encoding"] {
                    assert_eq!(got.header(absent), "", "{method} {field} {absent}");
                }
                assert!(
                    got.header("cache-status")
                        .starts_with("camarad-sidecar; hit; ttl="),
                    "{method} {field}: {}",
                    got.head
                );
                assert_eq!(got.header("etag"), tag);
                for same in ["vary", "cache-control", "x-camarad-source"] {
                    assert!(!got.header(same).is_empty(), "{same}");
                    assert_eq!(got.header(same), whole.header(same), "{same}");
                }
                assert!(!got.header("age").is_empty() && !got.header("x-request-id").is_empty());
            }
        }
        let bare = tag.trim_matches('"');
        for field in [
            "\"other\"".to_owned(),
            String::new(),
            bare.to_owned(),
            format!("{tag}, *"),
            format!("{tag}, \"broken"),
            format!("\"{bare}x\""),
        ] {
            let fields = format!("If-None-Match: {field}\r\n");
            let got = raw(&sidecar, &get, &fields).await;
            assert_eq!((got.status, &got.body), (200, &whole.body), "{field}");
            assert_eq!(got.header("etag"), tag);
        }
        // As GET would be answered, the length included, and from the same entry.
        let head = raw(&sidecar, &format!("HEAD {target}"), "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for same in [
            "content-length",
            "content-type",
            "etag",
            "x-camarad-source",
            "vary",
        ] {
            assert!(!head.header(same).is_empty(), "{same}");
            assert_eq!(head.header(same), whole.header(same), "{same}");
        }
        // Other conditions change nothing.
        let other = "If-Match: \"other\"\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
        assert_eq!(raw(&sidecar, &get, other).await.status, 200);
    }
    let calls = asked(&legacy, FLOWS).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["method"], "GET");
}

#[tokio::test]
async fn a_tag_holds_for_as_long_as_the_answer_is_the_same() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, bob) = (alice(), bob());
    let read = async |token: &str, client: &str, target: &str, tag: &str| {
        let ask = sidecar.get(target).bearer(token).client(client);
        ask.with("If-None-Match", tag).send().await
    };
    for target in [CAMPAIGNS, FLOWS] {
        let first = read(&alice, "10", target, "\"none\"").await;
        let tag = first.header("etag");
        assert!(!tag.is_empty());
        // Fetched anew, and the same.
        sidecar.purge(json!({"user": 1})).await;
        let again = read(&alice, "10", target, tag).await;
        assert_eq!(
            (again.status, told(&again)),
            (304, STORED.into()),
            "{target}"
        );
        assert_eq!(again.header("age"), "");
        // Somebody else's tag says nothing about one's own answer, whatever is kept.
        for _ in 0..2 {
            let other = read(&bob, "20", target, tag).await;
            assert_eq!(other.status, 200, "{target}");
            assert!(!other.body.is_empty() && other.body != first.body);
            assert_ne!(other.header("etag"), tag);
        }
        // Nor does it open what is somebody else's.
        for tag in [tag, "*"] {
            let refused = read(&bob, "10", target, tag).await;
            assert_eq!((refused.status, refused.header("etag")), (404, ""));
            assert_eq!(refused.code(), "client_not_allowed");
            let nobody = Ask::get(&sidecar.url(target)).client("10");
            let nobody = nobody.with("If-None-Match", tag).send().await;
            assert_eq!((nobody.status, nobody.header("etag")), (401, ""));
        }
        assert_eq!(read(&alice, "10", target, tag).await.status, 304);
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 3);

    // A changed answer has another tag.
    let before = read(&alice, "10", FLOWS, "\"none\"").await;
    let renamed = r#"{"name": "Renamed"}"#;
    let put = sidecar
        .route(&alice, "10", "PUT /api/flows/2", renamed)
        .await;
    assert_eq!(put.status, 200);
    let after = read(&alice, "10", FLOWS, before.header("etag")).await;
    assert_eq!((after.status, told(&after)), (200, STORED.into()));
    assert!(String::from_utf8_lossy(&after.body).contains("Renamed"));
    assert_ne!(after.header("etag"), before.header("etag"));
    let unchanged = read(&alice, "10", FLOWS, after.header("etag")).await;
    assert_eq!((unchanged.status, told(&unchanged)), (304, HIT.into()));

    // Errors have no tag, and `*` does not hide them.
    sidecar.purge(json!({"all": true})).await;
    legacy.faults(fault("status")).await;
    let broken = read(&alice, "10", FLOWS, "*").await;
    assert_eq!((broken.status, broken.header("etag")), (500, ""));
}
