//! Requests as a caller might spell them who wants two readers to disagree.
//!
//! A draft starts as a plain request to a real route and is then bent by up to
//! three of the [`MUTATIONS`](super::mutations::MUTATIONS). Seeded, so that a
//! failure can be made again.

use super::mutations::{MUTATIONS, body, field};
use crate::support::{alice, bob};
use fastrand::Rng;
use std::collections::HashMap;

/// A request in parts; `bytes` puts them together as they are.
#[derive(Clone, Debug)]
pub struct Draft {
    pub method: String,
    /// Raw, and possibly no UTF-8.
    pub path: Vec<u8>,
    pub query: String,
    /// Whole lines without their end.
    pub fields: Vec<Vec<u8>>,
    pub body: Vec<u8>,
    pub chunked: bool,
    /// What was done to it.
    pub mutations: Vec<&'static str>,
}

pub struct Generator {
    random: Rng,
    routes: Vec<(&'static str, &'static str)>,
    next: usize,
}

impl Generator {
    pub fn new(seed: u64, routes: Vec<(&'static str, &'static str)>) -> Self {
        Self {
            random: Rng::with_seed(seed),
            routes,
            next: 0,
        }
    }

    /// The next request: first every route as it is, then bent ones.
    pub fn draft(&mut self) -> Draft {
        let plain = self.next < self.routes.len();
        let at = if plain {
            self.next
        } else {
            self.random.usize(..self.routes.len())
        };
        self.next += 1;
        let (method, pattern) = self.routes[at];
        let random = &mut self.random;
        let (token, client) = match random.bool() {
            true => (alice(), if random.bool() { "10" } else { "11" }),
            false => (bob(), "20"),
        };
        let mut draft = Draft::plain(method, &filled(pattern, client));
        field(&mut draft, &format!("Authorization: Bearer {token}"));
        field(&mut draft, &format!("X-Client-ID: {client}"));
        if method != "GET" {
            body(&mut draft, &format!("{{\"client_id\": {client}}}"));
        }
        for _ in 0..if plain { 0 } else { random.usize(1..=3) } {
            let (name, bend) = MUTATIONS[random.usize(..MUTATIONS.len())];
            bend(&mut draft, random);
            draft.mutations.push(name);
        }
        draft
    }
}

/// A pattern with its variables filled in.
fn filled(pattern: &str, client: &str) -> String {
    let values: HashMap<&str, &str> = [("int:client_id", client), ("slug", "google-ads")].into();
    let mut out = String::new();
    for (at, part) in pattern.split(['<', '>']).enumerate() {
        out.push_str(match at % 2 {
            0 => part,
            _ => values.get(part).copied().unwrap_or("7"),
        });
    }
    out
}

impl Draft {
    pub fn plain(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            query: String::new(),
            fields: Vec::new(),
            body: Vec::new(),
            chunked: false,
            mutations: Vec::new(),
        }
    }

    /// The request on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.method.clone().into_bytes();
        bytes.push(b' ');
        bytes.extend_from_slice(&self.path);
        if !self.query.is_empty() {
            bytes.push(b'?');
            bytes.extend_from_slice(self.query.as_bytes());
        }
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: app\r\nConnection: close\r\n");
        for line in &self.fields {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        match (self.chunked, self.body.is_empty()) {
            (true, _) => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                bytes.extend_from_slice(format!("{:x}\r\n", self.body.len()).as_bytes());
                bytes.extend_from_slice(&self.body);
                bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            }
            (false, true) => bytes.extend_from_slice(b"\r\n"),
            (false, false) => {
                bytes.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes(),
                );
                bytes.extend_from_slice(&self.body);
            }
        }
        bytes
    }

    /// For a person, with the tokens shortened.
    pub fn shown(&self) -> String {
        let text = self.bytes().escape_ascii().to_string();
        let text = without_tokens(&text);
        format!("{:?}\n{}", self.mutations, text.replace("\\r\\n", "\n"))
    }
}

/// A text to show, with names in place of the good tokens.
pub fn without_tokens(text: &str) -> String {
    text.replace(&alice(), "ALICE").replace(&bob(), "BOB")
}
