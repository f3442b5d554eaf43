//! Faults that the server itself answers.

use super::*;
use tokio::io::AsyncReadExt;

struct Fine;

impl StandIn for Fine {
    fn answer(&self, _: &Asked, _: Fault) -> Response<Body> {
        json_answer(StatusCode::OK, &json!({"fine": true}))
    }
}

/// Status line and body of one GET to a stand-in with these faults.
async fn get(faults: &str, path: &str) -> (String, Value) {
    let faults = serde_json::from_str(faults).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, Fine, faults));
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    server.abort();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_recognised_error_has_its_status_and_code() {
    let fault =
        |rest: &str| format!(r#"{{"fault": "recognised", "error": "not_connected"{rest}}}"#);
    for (rest, path, line, body) in [
        (
            "",
            "/ga4/report",
            "HTTP/1.1 400 Bad Request",
            json!({"error": "not_connected"}),
        ),
        (
            r#", "status": 403"#,
            "/ga4/report",
            "HTTP/1.1 403 Forbidden",
            json!({"error": "not_connected"}),
        ),
        (
            r#", "status": 401, "only": "/gsc/""#,
            "/ga4/report",
            "HTTP/1.1 200 OK",
            json!({"fine": true}),
        ),
    ] {
        let got = get(&fault(rest), path).await;
        assert_eq!(got, (line.to_owned(), body), "{rest}");
    }
}
