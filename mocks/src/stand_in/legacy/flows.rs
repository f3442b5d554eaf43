//! Stored flows. Weak on purpose: one named by id is looked up by user, never by client.
//! Templates can be named like flows, and are not listed with them.

use super::request::{Request, Told, missing, ok, refused};
use super::store::{Flow, Store};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    let one = "/api/flows/<int:flow_id>";
    Some(match request.names() {
        ("GET", "/api/flows") => {
            let own = store.flows.iter().filter(|row| request.lists(row.owner));
            ok(own.map(short).collect()).in_rows()
        }
        ("POST", "/api/flows") => create(store, request),
        ("GET", path) if path == one => match found(store, request) {
            Some(row) => ok(whole(row)).of(row.owner),
            None => missing("Flow not found"),
        },
        ("PUT", path) if path == one => rename(store, request),
        ("DELETE", path) if path == one => delete(store, request),
        ("POST", "/api/flows/<int:flow_id>/duplicate") => duplicate(store, request),
        _ => return None,
    })
}

fn found<'a>(store: &'a mut Store, request: &Request) -> Option<&'a mut Flow> {
    let templates = store.templates.rows_mut();
    let mut rows = store.flows.iter_mut().chain(templates);
    rows.find(|row| request.means(row.id, row.owner))
}

fn short(row: &Flow) -> Value {
    json!({
        "id": row.id, "name": row.name, "created": row.created, "updated": row.updated,
        "thumbnail": row.thumbnail, "category": row.category, "description": row.description,
        "client_id": row.owner.client,
    })
}

fn whole(row: &Flow) -> Value {
    json!({
        "id": row.id, "name": row.name, "created": row.created, "updated": row.updated,
        "category": row.category, "description": row.description,
        "is_template": row.is_template, "client_id": row.owner.client, "flow": row.flow,
    })
}

fn create(store: &mut Store, request: &Request) -> Told {
    if !request.body["flow"].is_object() {
        return refused(StatusCode::BAD_REQUEST, "No flow data");
    }
    let (owner, flow) = (request.scope(), request.body["flow"].clone());
    let name = request.text("name").unwrap_or("Untitled");
    let row = match request.body["is_template"] == true {
        true => store.add_template(owner, name, flow),
        false => store.add_flow(owner, name, flow),
    };
    row.thumbnail = request.text("thumbnail").map(str::to_owned);
    row.description = request.text("description").unwrap_or_default().to_owned();
    if let Some(category) = request.text("category") {
        row.category = category.to_owned();
    }
    let made = json!({
        "success": true, "flow_id": row.id, "message": format!("Saved {}", row.name),
        "category": row.category, "description": row.description,
        "is_template": row.is_template, "client_id": owner.client,
    });
    ok(made).of(owner)
}

fn delete(store: &mut Store, request: &Request) -> Told {
    let Some(row) = found(store, request) else {
        return missing("Flow not found");
    };
    let (id, owner, is_template) = (row.id, row.owner, row.is_template);
    match is_template {
        true => store.templates.remove(id),
        false => store.flows.retain(|row| row.id != id),
    }
    ok(json!({"success": true})).of(owner)
}

/// Renames, and changes nothing else; the answer does not say whose flow it was.
fn rename(store: &mut Store, request: &Request) -> Told {
    let now = store.now();
    let Some(row) = found(store, request) else {
        return missing("Flow not found");
    };
    if let Some(name) = request.text("name") {
        row.name = row.owner.marked(name);
        row.updated = now;
    }
    ok(json!({"success": true, "message": format!("Flow is {}", row.name)})).of(row.owner)
}

/// The copy stays with the client of what was copied.
fn duplicate(store: &mut Store, request: &Request) -> Told {
    let Some(row) = found(store, request).cloned() else {
        return missing("Flow not found");
    };
    let copy = store.add_flow(row.owner, &format!("{} (copy)", row.name), row.flow);
    copy.category = row.category;
    copy.description = row.description;
    let made = json!({
        "success": true, "new_flow_id": copy.id, "new_name": copy.name,
        "client_id": row.owner.client,
    });
    ok(made).of(row.owner)
}
