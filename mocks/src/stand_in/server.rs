//! What both stand-ins share: accepting, recording, and going wrong.

use super::faults::{Fault, Faults};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Calls remembered at most; the oldest are forgotten, so that load does not fill the memory.
const MOST_CALLS: usize = 10_000;

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// One request as the stand-in received it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Method.
    pub method: String,
    /// Path as it stood in the request line.
    pub path: String,
    /// Query without `?`.
    pub query: String,
    /// First 12 hex digits of the bearer token's SHA-256.
    pub token_hash: Option<String>,
    /// Headers in lower case, tokens replaced by their hash; repeated ones joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// JSON body; for others `{"bytes": length, "sha256": hex}`.
    pub body: Value,
}

/// A request, read whole.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A server to stand in for; `fault` is what its answer should have wrong with it.
pub(super) trait StandIn: Send + Sync + 'static {
    fn answer(&self, asked: &Asked, fault: Fault) -> Response<Body>;

    /// The same, for one that has to wait for something first.
    fn respond(&self, asked: &Asked, fault: Fault) -> impl Future<Output = Response<Body>> + Send {
        async move { self.answer(asked, fault) }
    }
}

struct Shared<S> {
    stand_in: S,
    faults: Mutex<Faults>,
    calls: Mutex<VecDeque<Call>>,
}

pub(super) async fn serve<S: StandIn>(
    listener: TcpListener,
    stand_in: S,
    faults: Faults,
) -> io::Result<()> {
    let shared = Arc::new(Shared {
        stand_in,
        faults: Mutex::new(faults),
        calls: Mutex::default(),
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, shared.clone()));
    }
}

async fn connection<S: StandIn>(stream: TcpStream, shared: Arc<Shared<S>>) {
    let _ = stream.set_nodelay(true);
    // A second handle on the socket, so that a reset can be asked for while hyper owns the first.
    let Ok(stream) = stream.into_std() else {
        return;
    };
    let (Ok(second), Ok(stream)) = (stream.try_clone(), TcpStream::from_std(stream)) else {
        return;
    };
    let second = Arc::new(second);
    let service = service_fn(|request| {
        let (shared, second) = (shared.clone(), second.clone());
        async move { respond(&shared, &second, request).await }
    });
    // Errors here are callers that went away, or the faults we were asked for.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond<S: StandIn>(
    shared: &Shared<S>,
    socket: &std::net::TcpStream,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    if asked.path.starts_with("/_") {
        return Ok(shared.control(&asked));
    }
    {
        let mut calls = lock(&shared.calls);
        if calls.len() == MOST_CALLS {
            calls.pop_front();
        }
        calls.push_back(Call::from(&asked));
    }
    let (latency, fault, status, error) = {
        let mut faults = lock(&shared.faults);
        let fault = faults.take(&asked.path);
        let latency = faults.latency(&asked.path);
        (latency, fault, faults.status, faults.error.clone())
    };
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    tokio::time::sleep(Duration::from_millis(latency)).await;
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::Reset => {
            let socket = socket2::SockRef::from(socket);
            socket.set_linger(Some(Duration::ZERO))?;
            Err(io::Error::other("asked to reset"))
        }
        Fault::Close => Err(io::Error::other("asked to close")),
        Fault::Garbage => raw(socket, "NONSENSE\r\n\r\n").await,
        Fault::TwoLengths => {
            raw(
                socket,
                &json_head("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
            )
            .await
        }
        Fault::BadChunk => {
            raw(
                socket,
                &json_head("Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
            )
            .await
        }
        Fault::HugeHead => {
            let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
            raw(socket, &json_head(&line.repeat(2 * 1024))).await
        }
        Fault::EarlyHints => {
            write(socket, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await?;
            Ok(shared.stand_in.respond(&asked, fault).await)
        }
        Fault::Status => {
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(json_answer(status, &json!({"error": "asked to fail"})))
        }
        Fault::Unauthorized => Ok(json_answer(
            StatusCode::UNAUTHORIZED,
            &json!({"error": "unauthorized"}),
        )),
        Fault::NotConnected => Ok(json_answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "not_connected"}),
        )),
        Fault::Recognised => Ok(json_answer(
            status.unwrap_or(StatusCode::BAD_REQUEST),
            &json!({"error": error}),
        )),
        Fault::Html => Ok(with_type(
            "text/html",
            "<html><body>maintenance</body></html>",
        )),
        Fault::Redirect => Ok(found("http://elsewhere.invalid/")),
        Fault::Huge => {
            let row = "x".repeat(9 * 1024 * 1024);
            Ok(json_answer(
                StatusCode::OK,
                &json!({"data": {"filler": row}}),
            ))
        }
        Fault::SetCookie => {
            let id = asked.header("x-request-id").unwrap_or_default();
            let cookie = format!("answered={id}; Path=/; HttpOnly");
            let mut answer = shared.stand_in.respond(&asked, fault).await;
            if let Ok(cookie) = http::HeaderValue::from_str(&cookie) {
                answer.headers_mut().append("set-cookie", cookie);
            }
            *answer.status_mut() = status.unwrap_or(answer.status());
            Ok(answer)
        }
        Fault::NoStore => {
            let mut answer = shared.stand_in.respond(&asked, fault).await;
            let no_store = http::HeaderValue::from_static("no-store");
            answer.headers_mut().insert("cache-control", no_store);
            Ok(answer)
        }
        fault => spoil(shared.stand_in.respond(&asked, fault).await, fault).await,
    }
}

fn json_head(rest: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{rest}")
}

/// Writes past hyper, which would never send such a thing, and closes.
async fn raw(socket: &std::net::TcpStream, bytes: &str) -> io::Result<Response<Body>> {
    write(socket, bytes).await?;
    Err(io::Error::other("asked to break the framing"))
}

/// Hyper has written nothing of this answer yet, so the order is kept.
async fn write(socket: &std::net::TcpStream, bytes: &str) -> io::Result<()> {
    let mut socket = TcpStream::from_std(socket.try_clone()?)?;
    socket.write_all(bytes.as_bytes()).await
}

/// The faults that need the good answer first.
async fn spoil(good: Response<Body>, fault: Fault) -> io::Result<Response<Body>> {
    let half = |bytes: &Bytes| bytes.slice(..bytes.len() / 2);
    let (mut head, body) = match fault {
        Fault::CutOffJson
        | Fault::CutOffBody
        | Fault::HangBody
        | Fault::SlowBody
        | Fault::Gzip
        | Fault::OtherConversation
        | Fault::ForeignElsewhere => good.into_parts(),
        _ => return Ok(good),
    };
    let whole = body.collect().await?.to_bytes();
    let first = half(&whole);
    let body = match fault {
        Fault::CutOffJson => full(first),
        Fault::OtherConversation | Fault::ForeignElsewhere => {
            let mut value: Value = serde_json::from_slice(&whole).unwrap_or_default();
            if let Some(id) = value.get("conv_id").and_then(Value::as_u64) {
                value["conv_id"] = json!(id + 1);
            }
            if let Some(row) = value.get_mut(0).and_then(Value::as_object_mut) {
                row.insert("seen_by".into(), json!({"client_id": 20}));
            }
            full(format!("{value}\n"))
        }
        Fault::SlowBody => {
            let bytes = stream::unfold(whole, |mut rest| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let next = (!rest.is_empty()).then(|| rest.split_to(1))?;
                Some((Ok(Frame::data(next)), rest))
            });
            BodyExt::boxed(StreamBody::new(bytes))
        }
        Fault::Gzip => {
            head.headers
                .insert("content-encoding", http::HeaderValue::from_static("gzip"));
            full(whole)
        }
        fault => {
            head.headers.insert("content-length", whole.len().into());
            let rest = match fault {
                Fault::HangBody => stream::pending().left_stream(),
                // A moment later, or hyper would break off before the head is out.
                _ => stream::once(async {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    Err(io::Error::other("asked to break off"))
                })
                .right_stream(),
            };
            let frames = stream::iter([Ok(Frame::data(first))]).chain(rest);
            BodyExt::boxed(StreamBody::new(frames))
        }
    };
    Ok(Response::from_parts(head, body))
}

impl<S> Shared<S> {
    fn control(&self, asked: &Asked) -> Response<Body> {
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/_calls") => {
                let calls = lock(&self.calls).clone();
                json_answer(StatusCode::OK, &json!(calls))
            }
            ("DELETE", "/_calls") => {
                lock(&self.calls).clear();
                json_answer(StatusCode::OK, &json!([]))
            }
            ("GET", "/_faults") => json_answer(StatusCode::OK, &json!(*lock(&self.faults))),
            ("POST", "/_faults") => match serde_json::from_slice::<Faults>(&asked.body) {
                Ok(faults) => {
                    *lock(&self.faults) = faults;
                    json_answer(StatusCode::OK, &json!(*lock(&self.faults)))
                }
                Err(error) => {
                    let words = format!("not a set of faults: {error}");
                    json_answer(StatusCode::BAD_REQUEST, &json!({"error": words}))
                }
            },
            _ => json_answer(
                StatusCode::NOT_FOUND,
                &json!({"error": "known here: /_calls, /_faults"}),
            ),
        }
    }
}

impl Asked {
    /// The first value of a query parameter, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(n, v)| (n == name).then(|| v.into_owned()))
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bearer token.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The first cookie of this name, as the app takes it: quotes and octal escapes are undone.
    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let header = self.header("cookie")?;
        let mut pairs = header.split(';').filter_map(|p| p.trim().split_once('='));
        pairs.find_map(|(n, v)| (n == name).then(|| unquote(v)))
    }

    /// The body as JSON, null when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut plain = String::new();
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escaped = &rest[at + 1..];
        match escaped
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(octet) => {
                plain.push(octet as char);
                rest = &escaped[3..];
            }
            None => rest = escaped,
        }
    }
    plain + rest
}

impl From<&Asked> for Call {
    fn from(asked: &Asked) -> Self {
        let cookie = asked.cookie("camarad_cb_token");
        let secrets: Vec<&str> = asked
            .bearer()
            .into_iter()
            .chain(cookie.as_deref())
            .filter(|token| !token.is_empty())
            .collect();
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &asked.headers {
            let mut text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            for secret in &secrets {
                text = text.replace(secret, &short_hash(secret));
            }
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|before| *before = format!("{before}, {text}"))
                .or_insert(text);
        }
        let body = match serde_json::from_slice::<Value>(&asked.body) {
            Ok(mut value) => {
                if let Some(Value::String(token)) = value.get_mut("token") {
                    *token = short_hash(token);
                }
                value
            }
            Err(_) if asked.body.is_empty() => Value::Null,
            Err(_) => json!({"bytes": asked.body.len(), "sha256": sha256_hex(&asked.body)}),
        };
        Self {
            method: asked.method.to_string(),
            path: asked.path.clone(),
            query: asked.query.clone(),
            token_hash: asked.bearer().map(short_hash),
            headers,
            body,
        }
    }
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn short_hash(token: &str) -> String {
    sha256_hex(token.as_bytes())[..12].to_owned()
}

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    BodyExt::boxed(Full::new(bytes.into()).map_err(|never| match never {}))
}

/// JSON as the app writes it: sorted keys, a final newline.
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut answer = with_type("application/json", format!("{value}\n"));
    *answer.status_mut() = status;
    answer
}

pub(super) fn with_type(kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(full(body));
    answer
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(kind));
    answer
}

pub(super) fn found(location: &'static str) -> Response<Body> {
    let mut answer = with_type("text/html", "");
    *answer.status_mut() = StatusCode::FOUND;
    answer
        .headers_mut()
        .insert("location", http::HeaderValue::from_static(location));
    answer
}

/// A stand-in keeps going after one of its tasks broke.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
