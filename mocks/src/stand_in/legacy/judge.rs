//! Routes that the app does not have; they only judge what arrives:
//! `/judge/sse`, `/judge/status/<code>`, `/judge/bytes/<n>`, `/judge/upload`
//! (under `/static` too, where anybody may read), `/judge/writes` (whose data
//! was written) and `/judge/objects` (which objects there are now).

use super::error;
use super::store::{Owner, Store};
use crate::stand_in::server::{Asked, Body, json_answer, sha256_hex, with_type};
use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn answer(asked: &Asked, what: &str) -> Response<Body> {
    let mut segments = what.split('/');
    let what = segments.next().unwrap_or_default();
    let number: usize = segments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let ok = |value: Value| json_answer(StatusCode::OK, &value);
    match what {
        "upload" => ok(json!({"bytes": asked.body.len(), "sha256": sha256_hex(&asked.body)})),
        "bytes" => with_type("application/octet-stream", vec![b'x'; number.min(64 << 20)]),
        "status" => {
            let status = StatusCode::from_u16(number as u16).unwrap_or(StatusCode::OK);
            json_answer(status, &json!({"error": "as asked"}))
        }
        "sse" => {
            // Endless on purpose: a proxy that waits for the end would show nothing.
            let events = stream::unfold(0u32, |n| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let event = Bytes::from(format!("data: {n}\n\n"));
                Some((Ok(Frame::data(event)), n + 1))
            });
            let mut answer = with_type("text/event-stream", "");
            *answer.body_mut() = BodyExt::boxed(StreamBody::new(events));
            answer
        }
        _ => error(StatusCode::NOT_FOUND, "no such judge"),
    }
}

/// Every object with its real owner.
pub(super) fn objects(store: &Store) -> Value {
    let row =
        |id: Value, owner: Owner| json!({"id": id, "user": owner.user, "client": owner.client});
    let conversations = store.conversations.iter().map(|c| {
        json!({"id": c.id, "user": c.owner.user, "client": c.owner.client,
               "workspace": c.workspace, "agent": c.agent})
    });
    let links = store.links.iter().map(|link| {
        json!({"id": link.id, "user": link.owner.user, "client": link.owner.client,
               "connector": link.slug, "account_id": link.account, "status": link.status})
    });
    let flows = store.flows.iter().map(|f| row(json!(f.id), f.owner));
    let runs = store.runs.iter().map(|r| row(json!(r.id), r.owner));
    let meetings = store.meetings.iter();
    let meetings = meetings.map(|m| row(json!(format!("m-{}", m.number)), m.owner));
    json!({
        "conversations": conversations.collect::<Value>(),
        "flows": flows.collect::<Value>(),
        "runs": runs.collect::<Value>(),
        "meetings": meetings.collect::<Value>(),
        "links": links.collect::<Value>(),
    })
}
