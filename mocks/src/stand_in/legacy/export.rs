//! `/api/export`: all of the user's, or of one client; without a limit.

use super::conversations;
use super::request::{Request, Told, ok};
use super::store::{Link, Owner, Store};
use serde_json::{Value, json};

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("GET", "/api/export") => Some(export(store, request)),
        _ => None,
    }
}

fn export(store: &Store, request: &Request) -> Told {
    let user = request.scope().user;
    let listed = |owner: Owner| request.lists(owner);
    let clients = store.clients_of(user).filter(|row| {
        listed(Owner {
            user,
            client: Some(row.id),
        })
    });
    let talks = store.conversations.iter().filter(|row| listed(row.owner));
    let talks = talks.map(|row| {
        json!({"id": row.id, "client_id": row.owner.client, "workspace_slug": row.workspace,
               "agent_slug": row.agent, "title": row.title, "created_at": row.created,
               "messages": conversations::messages(row)})
    });
    let flows = store.flows.iter().filter(|row| listed(row.owner));
    let flows = flows.map(|row| {
        json!({"id": row.id, "client_id": row.owner.client, "name": row.name,
               "category": row.category, "description": row.description, "flow": row.flow})
    });
    let links = store.links.iter().filter(|row| listed(row.owner));
    let told = ok(json!({
        "user": {"id": user},
        "clients": clients.map(|row| json!({"id": row.id, "name": row.name})).collect::<Value>(),
        "conversations": talks.collect::<Value>(),
        "flows": flows.collect::<Value>(),
        "client_connectors": links.map(Link::row).collect::<Value>(),
    }));
    told.in_rows()
}
