use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::dataset::{Asked, Kind, Lang};

fn shape() -> Shape {
    Shape {
        parameter: "q".to_owned(),
        results: None,
        id: "id".to_owned(),
        score: "score".to_owned(),
        source: "source_uri".to_owned(),
    }
}

fn query(user: u64, client: u64) -> Query {
    Query {
        id: "q1".to_owned(),
        text: "cost & reach".to_owned(),
        metadata: Asked {
            lang: Lang::En,
            domain: "ads".to_owned(),
            tenant: Tenant::Client { user, client },
            kind: Kind::Plain,
        },
    }
}

/// Answers one request and gives its head.
fn endpoint(status: &str, body: &str) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let served = std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let lines = BufReader::new(caller.try_clone().unwrap()).lines();
        let head: Vec<String> = lines
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        caller.write_all(answer.as_bytes()).unwrap();
        head
    });
    let url = format!("http://{at}/api/rag/search").parse().unwrap();
    (url, served)
}

fn system(url: Url) -> Http {
    let tokens = Tokens {
        by_user: HashMap::from([(1, "secret-of-1".to_owned())]),
        other: None,
    };
    Http::new(url, shape(), tokens).unwrap()
}

#[test]
fn asks_as_the_querys_user_and_client() {
    let body = r#"{"results":[{"id":7,"score":1.5,"source_uri":"urn:a"},{"id":"b"}]}"#;
    let (url, served) = endpoint("200 OK", body);
    let answer = system(url).ask(&query(1, 10), 5).unwrap();
    let head = served.join().unwrap();
    assert_eq!(head[0], "GET /api/rag/search?q=cost+%26+reach HTTP/1.1");
    let has = |line: &str| head.iter().any(|has| has.eq_ignore_ascii_case(line));
    assert!(has("authorization: Bearer secret-of-1") && has("x-client-id: 10"));
    assert_eq!(answer.failed, None);
    assert_eq!(answer.hits[0].source.as_deref(), Some("urn:a"));
    let ids: Vec<_> = answer
        .hits
        .iter()
        .map(|h| (h.id.as_str(), h.score))
        .collect();
    assert_eq!(ids, [("7", 1.5), ("b", -1.0)]);
}

#[test]
fn what_is_refused_is_told_and_empty() {
    let (url, served) = endpoint("502 Bad Gateway", r#"{"error":"tenant_leak_blocked"}"#);
    let answer = system(url).ask(&query(1, 10), 5).unwrap();
    served.join().unwrap();
    assert_eq!(answer.failed.as_deref(), Some("status 502"));
    assert!(answer.hits.is_empty());
}

#[test]
fn a_user_without_a_token_is_named_and_nobody_is_asked() {
    // Nothing listens there.
    let error = system("http://127.0.0.1:1/".parse().unwrap())
        .ask(&query(2, 20), 5)
        .err()
        .unwrap();
    assert!(error.to_string().contains("user 2"), "{error}");
}

#[test]
fn no_error_has_the_token_or_the_query() {
    let error = system("http://127.0.0.1:1/".parse().unwrap())
        .ask(&query(1, 10), 5)
        .err()
        .unwrap();
    let told = error.to_string();
    assert!(told.contains("http://127.0.0.1:1/ for q1"), "{told}");
    assert!(
        !told.contains("secret") && !told.contains("reach"),
        "{told}"
    );
}

#[test]
fn results_are_found_where_the_shape_says() {
    let nested = Shape {
        results: Some("/data/hits".to_owned()),
        id: "doc".to_owned(),
        ..shape()
    };
    for (name, body, shape, due) in [
        ("a bare list", r#"[{"id":"a"}]"#, shape(), Ok(vec!["a"])),
        (
            "nested",
            r#"{"data":{"hits":[{"doc":"a"}]}}"#,
            nested,
            Ok(vec!["a"]),
        ),
        ("none", r#"{"results":[]}"#, shape(), Ok(vec![])),
        (
            "chunks",
            r#"[{"id":"a"},{"id":"b"},{"id":"a"}]"#,
            shape(),
            Ok(vec!["a", "b"]),
        ),
        (
            "no list",
            r#"{"hits":[]}"#,
            shape(),
            Err("no list of results"),
        ),
        (
            "no id",
            r#"[{"doc":"a"}]"#,
            shape(),
            Err("result 0 has no `id`"),
        ),
        ("a page", "<html>", shape(), Err("not JSON")),
    ] {
        let found = hits(body.as_bytes(), &shape, 10);
        let found = found.map(|hits| hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>());
        let due = due.map(|ids| ids.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(found, due.map_err(str::to_owned), "{name}");
    }
}
