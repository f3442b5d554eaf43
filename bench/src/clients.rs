//! Three HTTP clients fetch whole answers from the app's stand-in.
//!
//! Each runs in a process of its own, so that its CPU can be told apart; the
//! children take turns. What decides is CPU per request, and what the client
//! tells about its pool (see decision 0006).

use crate::processes::{StandIn, own_binary};
use crate::table::{cores, publish, spread};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::{HttpPeer, Peer};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
// Long enough for CPU that is counted in hundredths of a second.
const LENGTH: Duration = Duration::from_secs(2);
const TASKS: usize = 16;
const CLIENTS: [&str; 3] = ["pingora", "hyper-util", "reqwest"];
const SCENARIOS: [(&str, &str, &str); 3] = [
    ("GET 1 KB", "/static/judge/bytes/1024", "GET"),
    ("GET 700 KB", "/static/judge/bytes/716800", "GET"),
    ("POST 1 KB", "/judge/upload", "POST"),
];

pub(crate) async fn measure() -> io::Result<()> {
    let legacy = StandIn::start("legacy").await?;
    let mut figures = vec![(Vec::new(), Vec::new()); CLIENTS.len() * SCENARIOS.len()];
    for _ in 0..ROUNDS {
        for (at, (_, path, method)) in SCENARIOS.iter().enumerate() {
            for (which, client) in CLIENTS.iter().enumerate() {
                let output = tokio::process::Command::new(own_binary()?)
                    .args([
                        "client",
                        client,
                        &legacy.process.address.to_string(),
                        path,
                        method,
                    ])
                    .output()
                    .await?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let mut numbers = text
                    .split_whitespace()
                    .filter_map(|n| n.parse::<f64>().ok());
                let (Some(rate), Some(cpu)) = (numbers.next(), numbers.next()) else {
                    return Err(io::Error::other(format!("{client}: {output:?}")));
                };
                let (rates, cpus) = &mut figures[at * CLIENTS.len() + which];
                rates.push(rate);
                cpus.push(cpu);
            }
        }
    }
    let mut out = format!(
        "# HTTP clients for whole answers of the app\n\n{} cores, {TASKS} tasks at once, {ROUNDS} interleaved rounds of {} s, \
         each client in a process of its own. Medians (least to most).\n\n\
         | | client | requests/s | CPU µs per request |\n|---|---|---|---|\n",
        cores(),
        LENGTH.as_secs()
    );
    for (at, (rates, cpus)) in figures.into_iter().enumerate() {
        let (name, client) = (SCENARIOS[at / CLIENTS.len()].0, CLIENTS[at % CLIENTS.len()]);
        let (rate, cpu) = (spread(rates.into_iter(), 0), spread(cpus.into_iter(), 1));
        let _ = writeln!(out, "| {name} | {client} | {rate} | {cpu} |");
    }
    publish("clients.md", &out)
}

/// One client for one round; prints requests per second and CPU per request.
#[allow(clippy::print_stdout)] // Read by the parent.
pub(crate) async fn child(which: &str, target: &str, path: &str, method: &str) -> io::Result<()> {
    let target: SocketAddr = target.parse().map_err(io::Error::other)?;
    let fetcher = Arc::new(Fetcher::new(which, target)?);
    let body = Bytes::from(if method == "POST" {
        vec![b'x'; 1024]
    } else {
        Vec::new()
    });
    // Connections and caches first.
    fetcher.fetch(method, path, &body).await?;
    let (before, started) = (crate::processes::cpu_of("self")?, Instant::now());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (fetcher, body) = (fetcher.clone(), body.clone());
            let (method, path) = (method.to_owned(), path.to_owned());
            tokio::spawn(async move {
                let mut requests = 0u64;
                while started.elapsed() < LENGTH {
                    fetcher.fetch(&method, &path, &body).await?;
                    requests += 1;
                }
                io::Result::Ok(requests)
            })
        })
        .collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await.map_err(io::Error::other)??;
    }
    let took = started.elapsed().as_secs_f64();
    let cpu = crate::processes::cpu_of("self")? - before;
    println!(
        "{} {}",
        requests as f64 / took,
        cpu.as_secs_f64() * 1e6 / requests as f64
    );
    Ok(())
}

enum Fetcher {
    Pingora(Connector, SocketAddr),
    Hyper(
        Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
        SocketAddr,
    ),
    Reqwest(reqwest::Client, SocketAddr),
}

impl Fetcher {
    fn new(which: &str, target: SocketAddr) -> io::Result<Self> {
        match which {
            "pingora" => Ok(Self::Pingora(Connector::new(None), target)),
            "hyper-util" => Ok(Self::Hyper(
                Client::builder(TokioExecutor::new()).build_http(),
                target,
            )),
            "reqwest" => reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map(|client| Self::Reqwest(client, target))
                .map_err(io::Error::other),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    async fn fetch(&self, method: &str, path: &str, body: &Bytes) -> io::Result<Bytes> {
        match self {
            Self::Pingora(connector, target) => pingora(connector, *target, method, path, body)
                .await
                .map_err(io::Error::other),
            Self::Hyper(client, target) => {
                let request = http::Request::builder()
                    .method(method)
                    .uri(format!("http://{target}{path}"))
                    .body(Full::new(body.clone()))
                    .map_err(io::Error::other)?;
                let answer = client.request(request).await.map_err(io::Error::other)?;
                let whole = answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(io::Error::other)?;
                Ok(whole.to_bytes())
            }
            Self::Reqwest(client, target) => {
                let method = method.parse().map_err(io::Error::other)?;
                let request = client
                    .request(method, format!("http://{target}{path}"))
                    .body(body.clone());
                let answer = request.send().await.map_err(io::Error::other)?;
                answer.bytes().await.map_err(io::Error::other)
            }
        }
    }
}

/// As the API lane does it.
async fn pingora(
    connector: &Connector,
    target: SocketAddr,
    method: &str,
    path: &str,
    body: &Bytes,
) -> pingora::Result<Bytes> {
    let peer = HttpPeer::new(target, false, String::new());
    let (mut session, _) = connector.get_http_session(&peer).await?;
    let mut head = RequestHeader::build(method, path.as_bytes(), None)?;
    head.insert_header("host", "bench")?;
    if !body.is_empty() {
        head.insert_header("content-length", body.len())?;
    }
    session.write_request_header(Box::new(head)).await?;
    if !body.is_empty() {
        session.write_body(body).await?;
        session.finish_body().await?;
    }
    session.read_response().await?;
    let mut whole = BytesMut::new();
    while let Some(chunk) = session.read_body_ref().await? {
        whole.extend_from_slice(chunk);
    }
    connector
        .release_http_session(session, &peer, peer.idle_timeout())
        .await;
    Ok(whole.freeze())
}
