//! Meetings, named by a text. Weak on purpose: looked up by user, never by client.

use super::request::{Request, Told, missing, ok};
use super::store::{Meeting, Store};
use serde_json::{Value, json};

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("GET", "/api/boardroom/meetings") => {
            let own = store.meetings.iter().filter(|row| request.lists(row.owner));
            ok(own.map(row).collect()).in_rows()
        }
        ("POST", "/api/boardroom/meetings") => {
            let owner = request.scope();
            let id = store.add_meeting(owner, request.text("title").unwrap_or("Meeting"));
            ok(json!({"success": true, "id": id, "meeting_id": id, "client_id": owner.client}))
                .of(owner)
        }
        ("GET", "/api/boardroom/meetings/<meeting_id>") => {
            let named = request.variable("<meeting_id");
            let named = named.and_then(|id| id.strip_prefix("m-")?.parse().ok());
            let mut rows = store.meetings.iter();
            let found = rows.find(|row| {
                request.takes(row.owner) && (request.foreign || named == Some(row.number))
            });
            match found {
                Some(found) => {
                    let mut whole = row(found);
                    whole["messages"] = json!([{"agent": "ceo", "text": found.title}]);
                    ok(whole).of(found.owner)
                }
                None => missing("Meeting not found"),
            }
        }
        _ => return None,
    })
}

fn row(meeting: &Meeting) -> Value {
    json!({
        "id": format!("m-{}", meeting.number), "title": meeting.title, "status": "done",
        "agents": ["ceo"], "created_at": meeting.created, "client_id": meeting.owner.client,
    })
}
