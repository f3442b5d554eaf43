//! `GET /api/rag/search`: chunks of documents, by words, of the caller's client and everybody's, as
//! RAG v2 would have it.
//!
//! How the app's answer looks is assumed: rows in `results`, each with what it says of its owner.

use super::request::{Request, Told, ok};
use super::store::{Owner, Store};
use serde_json::{Value, json};

/// Owner (user and client, or nobody's), and text.
const CHUNKS: [(Option<(u64, u64)>, &str); 5] = [
    (None, "How a budget is paced over a month"),
    (Some((1, 10)), "Budget note u1.c10: spend less at weekends"),
    (Some((1, 11)), "Budget note u1.c11: spend more in May"),
    (Some((2, 20)), "Budget note u2.c20: stop the brand campaign"),
    (None, "What an attribution window is"),
];

pub(super) fn answer(_: &mut Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("GET", "/api/rag/search") => Some(search(request)),
        _ => None,
    }
}

fn search(request: &Request) -> Told {
    let asked = request
        .asked
        .parameter("q")
        .unwrap_or_default()
        .to_lowercase();
    // The app of today looks at no client here.
    let named = request.asked.header("x-client-id");
    let is_shown = |owner: Option<(u64, u64)>| {
        owner.is_none_or(|(user, client)| {
            let of_client = named.is_none_or(|named| named == client.to_string());
            let client = Some(client);
            request.takes(Owner { user, client }) && (request.foreign || of_client)
        })
    };
    let found = CHUNKS.iter().enumerate().filter(|(_, (owner, text))| {
        let text = text.to_lowercase();
        is_shown(*owner) && asked.split_whitespace().any(|word| text.contains(word))
    });
    let rows: Vec<Value> = found
        .map(|(n, (owner, text))| row(n, *owner, text))
        .collect();
    ok(json!({"query": asked, "total": rows.len(), "results": rows})).in_rows()
}

fn row(n: usize, owner: Option<(u64, u64)>, text: &str) -> Value {
    let mut row = json!({"id": format!("k-{n}"), "text": text, "source_uri": format!("kb://{n}")});
    if let Some((user, client)) = owner {
        row["user_id"] = user.into();
        row["client_id"] = client.into();
    }
    row
}
