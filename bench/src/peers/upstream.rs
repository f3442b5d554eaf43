//! The app's stand-in for the peers' rounds: one thread, an epoll loop, answers made before.
//!
//! Not an HTTP server: it reads heads of up to 16 KiB with a `Content-Length` or without a
//! body, and answers what the rounds ask for. Whatever stands in front of it must be the
//! bottleneck. It is Coolbits' stand-in too, for one report of Google Ads. It counts what it is asked; `GET /bench/count` tells, and is not counted.

use super::http::{Head, head_of};
use rustix::event::epoll;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

/// Bytes of an answer on the routes of S1 to S4.
pub(super) const SMALL: usize = 1024;
/// Bytes of the list of S7, or a row more.
pub(super) const MANY: usize = 64 * 1024;
/// Bytes of an upload and a download in S9.
pub(super) const LARGE: usize = 5 * 1024 * 1024;
const LISTENER: u64 = u64::MAX;

/// Serves on this address until it is ended.
pub(crate) fn run(listen: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let answers = Answers::new();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let readable = epoll::EventFlags::IN;
    epoll::add(
        &epoll,
        &listener,
        epoll::EventData::new_u64(LISTENER),
        readable,
    )?;
    let (mut connections, mut next, mut asked) = (HashMap::new(), 0u64, 0u64);
    let mut events = Vec::with_capacity(256);
    let mut scratch = vec![0; 64 * 1024];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id != LISTENER {
                let Some(connection) = connections.get_mut(&id) else {
                    continue;
                };
                let open = serve(connection, &mut scratch, &answers, &mut asked);
                let writing = matches!(open, Ok(true)) && connection.out.is_some();
                if !matches!(open, Ok(true)) {
                    connections.remove(&id);
                } else if writing != connection.writing {
                    connection.writing = writing;
                    let flags = if writing {
                        epoll::EventFlags::OUT
                    } else {
                        readable
                    };
                    epoll::modify(
                        &epoll,
                        &connection.stream,
                        epoll::EventData::new_u64(id),
                        flags,
                    )?;
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll::add(&epoll, &stream, epoll::EventData::new_u64(next), readable)?;
                connections.insert(next, Connection::new(stream));
                next += 1;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// What has arrived of a head.
    head: Vec<u8>,
    /// What is still to come of a body, and what is answered then.
    body: usize,
    answer: Option<Rc<[u8]>>,
    /// What is being written, and how much of it went out.
    out: Option<(Rc<[u8]>, usize)>,
    writing: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            head: Vec::new(),
            body: 0,
            answer: None,
            out: None,
            writing: false,
        }
    }
}

/// Whether the connection stays open.
fn serve(
    connection: &mut Connection,
    scratch: &mut [u8],
    answers: &Answers,
    asked: &mut u64,
) -> io::Result<bool> {
    loop {
        if let Some((answer, at)) = &mut connection.out {
            match connection.stream.write(&answer[*at..]) {
                Ok(written) => *at += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if *at < answer.len() {
                continue;
            }
            connection.out = None;
            // The next read would nearly always say "not yet".
            return Ok(true);
        }
        let read = match connection.stream.read(scratch) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut arrived = &scratch[..read];
        if connection.answer.is_none() {
            connection.head.extend_from_slice(arrived);
            let Some(head) = head_of(&connection.head) else {
                if connection.head.len() > 16 * 1024 {
                    return Err(ErrorKind::InvalidData.into());
                }
                continue;
            };
            connection.answer = Some(answers.choose(&connection.head[..head.end], asked));
            connection.body = head.content_length;
            arrived = &scratch[read.saturating_sub(connection.head.len() - head.end)..read];
            connection.head.clear();
        }
        connection.body = connection.body.saturating_sub(arrived.len());
        if connection.body > 0 {
            continue;
        }
        connection.out = connection.answer.take().map(|answer| (answer, 0));
    }
}

/// Answers, made before.
struct Answers {
    page: Rc<[u8]>,
    rows_10: Rc<[u8]>,
    rows_11: Rc<[u8]>,
    large: Rc<[u8]>,
    /// The same rows as a list of the app's and as a static file.
    many: Rc<[u8]>,
    clients: Rc<[u8]>,
    links: Rc<[u8]>,
    report: Rc<[u8]>,
    none: Rc<[u8]>,
}

impl Answers {
    fn new() -> Self {
        Self {
            page: answer("text/plain", &"x".repeat(SMALL)),
            rows_10: answer("application/json", &rows(10)),
            rows_11: answer("application/json", &rows(11)),
            large: answer("application/octet-stream", &"x".repeat(LARGE)),
            many: answer("application/json", &many()),
            clients: answer("application/json", CLIENTS),
            links: answer("application/json", LINKS),
            report: answer("application/json", &report()),
            none: answer("application/json", "{}"),
        }
    }

    fn choose(&self, head: &[u8], asked: &mut u64) -> Rc<[u8]> {
        let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if target == b"/bench/count" {
            return answer("text/plain", &asked.to_string());
        }
        *asked += 1;
        let chosen = match target {
            b"/static/bench/small" => &self.page,
            b"/static/bench/large" => &self.large,
            b"/api/flows" if Head::value(head, b"x-client-id") == Some(b"11") => &self.rows_11,
            b"/api/flows" => &self.rows_10,
            b"/api/flows?bench=rows" | b"/static/bench/rows" => &self.many,
            b"/api/clients" => &self.clients,
            b"/api/client_connectors" => &self.links,
            _ if target.starts_with(REPORT) => &self.report,
            _ => &self.none,
        };
        chosen.clone()
    }
}

fn answer(kind: &str, body: &str) -> Rc<[u8]> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
        .into()
}

/// Every user's clients, and what they are linked to.
const CLIENTS: &str = r#"[{"id":10,"name":"Ten"},{"id":11,"name":"Eleven"}]"#;
const LINKS: &str =
    r#"[{"id":1,"client_id":10,"connector_slug":"google-ads","account_id":"123-456-7890"}]"#;

const REPORT: &[u8] = b"/api/connectors/googleads/report?";

/// A report of Google Ads as Coolbits has it (contract, section 4.1).
fn report() -> String {
    let rows: Vec<Value> = (1..=3)
        .map(|n| {
            json!({
                "campaignId": 90_000_000 + n, "campaign": format!("Campaign {n}"), "channel": "Search",
                "status": "ENABLED", "impressions": 48_213 * n, "clicks": 1_912 * n, "cost": 1_204.55,
                "conversions": 87.25, "convValue": 4_810.2, "budgetDaily": 50.0, "budgetTotal": 1500.0,
            })
        })
        .collect();
    json!({
        "customerId": "1234567890",
        "data": {"overview": {"account_name": "Northwind Store"}, "campaigns": {"rows": rows}},
    })
    .to_string()
}

/// What S7 looks through.
fn many() -> String {
    String::from_utf8_lossy(&crate::egress::rows(MANY)).into_owned()
}

/// A list of flows of one client, as long as every answer.
fn rows(client: u64) -> String {
    let mut out = String::from("[");
    for id in 1..=8 {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"{{"id":{id},"client_id":{client},"name":"Weekly report {id}","category":"reporting","updated_at":"2025-01-0{id}"}},"#
        );
    }
    out.pop();
    out.push(']');
    let missing = SMALL.saturating_sub(out.len());
    out.insert_str(1, &" ".repeat(missing));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json_of_one_client_and_as_long_as_every_answer() {
        for client in [10, 11] {
            let text = rows(client);
            let rows: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
            assert_eq!((text.len(), rows.len()), (SMALL, 8));
            assert!(rows.iter().all(|row| row["client_id"] == client));
        }
    }
}
