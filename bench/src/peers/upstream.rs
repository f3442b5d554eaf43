//! The app's stand-in for the peers' rounds: one thread, an epoll loop, answers made before.
//!
//! Not an HTTP server: it reads heads of up to 16 KiB with a `Content-Length` or without a
//! body, and answers what the rounds ask for. Whatever stands in front of it must be the
//! bottleneck. It is Coolbits' stand-in too, for one report of Google Ads. It counts
//! what it is asked; `GET /bench/count` tells. That and the gateway's probes are not counted.

use super::http::{Head, head_of};
use rustix::event::epoll;
use serde_json::{Value, json};
use std::cell::RefCell;
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
    /// By about how many bytes their bodies have.
    lists: Made,
    /// By how many there are.
    clients: Made,
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
            lists: Made::default(),
            clients: Made::default(),
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
        // The gateway asks of itself whether it is there, whenever it likes: for no request.
        *asked += u64::from(target != PROBE);
        let chosen = match target {
            b"/static/bench/small" => &self.page,
            b"/static/bench/large" => &self.large,
            b"/api/flows" if Head::value(head, b"x-client-id") == Some(b"11") => &self.rows_11,
            b"/api/flows" => &self.rows_10,
            b"/api/clients" => return self.clients.get(clients_of(head), clients),
            b"/api/client_connectors" => &self.links,
            _ if target.starts_with(REPORT) => &self.report,
            _ if target.starts_with(NUMBERED) => &self.rows_10,
            _ if target.starts_with(LIST) || target.starts_with(FILE) => {
                return self.lists.get(number(target), list);
            }
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

/// Answers that are made when they are asked for the first time.
#[derive(Default)]
struct Made(RefCell<HashMap<usize, Rc<[u8]>>>);

impl Made {
    fn get(&self, of: usize, body: impl Fn(usize) -> String) -> Rc<[u8]> {
        let mut made = self.0.borrow_mut();
        let make = || answer("application/json", &body(of));
        made.entry(of).or_insert_with(make).clone()
    }
}

/// What the gateway probes, as it is shipped.
const PROBE: &[u8] = b"/healthz";
/// The list of S1 to S4 under any number of targets, rows of about so many bytes, and the same as a file.
const NUMBERED: &[u8] = b"/api/flows?n=";
const LIST: &[u8] = b"/api/flows?bytes=";
const FILE: &[u8] = b"/static/bench/bytes?n=";

/// What stands behind the last `=`; 0 where that is no number.
fn number(target: &[u8]) -> usize {
    let digits = target.rsplit(|byte| *byte == b'=').next();
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Users from here on have as many clients more than one as their ids are above it.
pub(crate) const MANY_CLIENTS: u64 = 1_000_000;

/// How many clients the user has who asks.
fn clients_of(head: &[u8]) -> usize {
    let user = Head::value(head, b"x-user-id").and_then(|id| std::str::from_utf8(id).ok());
    let user: u64 = user.and_then(|id| id.parse().ok()).unwrap_or(0);
    let more = user.checked_sub(MANY_CLIENTS);
    more.map_or(2, |more| 1 + usize::try_from(more).unwrap_or(0))
}

/// So many clients, of which the last is 10, which is asked for.
fn clients(count: usize) -> String {
    let ids = (1..count).map(|n| if n == 1 { 11 } else { 1000 + n });
    let rows: Vec<Value> = ids
        .chain([10])
        .map(|id| json!({"id": id, "name": "Client"}))
        .collect();
    Value::from(rows).to_string()
}

/// Everybody's links.
const LINKS: &str =
    r#"[{"id":1,"client_id":10,"connector_slug":"google-ads","account_id":"234-567-8901"}]"#;

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
        "customerId": "2345678901",
        "data": {"overview": {"account_name": "Northwind Store"}, "campaigns": {"rows": rows}},
    })
    .to_string()
}

/// What S7 looks through.
fn list(bytes: usize) -> String {
    String::from_utf8_lossy(&crate::egress::rows(bytes)).into_owned()
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
    fn users_have_as_many_clients_as_their_ids_say_and_client_10_among_them() {
        for (user, count) in [
            ("1", 2),
            ("1000000", 1),
            ("1000001", 2),
            ("1009999", 10_000),
        ] {
            let head = format!("GET /api/clients HTTP/1.1\r\nX-User-ID: {user}\r\n\r\n");
            assert_eq!(clients_of(head.as_bytes()), count, "{user}");
            let rows: Vec<Value> = serde_json::from_str(&clients(count)).expect("JSON");
            let ids: std::collections::BTreeSet<_> =
                rows.iter().filter_map(|row| row["id"].as_u64()).collect();
            assert_eq!((ids.len(), ids.contains(&10)), (count, true));
        }
        assert_eq!(
            (number(b"/api/flows?bytes=65536"), number(b"/x=y")),
            (65_536, 0)
        );
    }

    /// A probe fell among requests that were to be refused, and looked like one that was not.
    #[test]
    fn what_is_asked_is_counted_but_for_probes() {
        let (answers, mut asked) = (Answers::new(), 0);
        for (target, count) in [
            ("/api/flows", 1),
            ("/healthz", 1),
            ("/bench/count", 1),
            ("/healthz?x", 2),
        ] {
            answers.choose(
                format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes(),
                &mut asked,
            );
            assert_eq!(asked, count, "{target}");
        }
    }

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
