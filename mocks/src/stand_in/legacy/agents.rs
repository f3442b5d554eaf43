//! Settings of an agent: of the client, else of none, else the agent's own name.

use super::conversations;
use super::request::{Request, Told, ok, refused};
use super::store::{Owner, Store};
use http::StatusCode;
use serde_json::json;

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("GET", "/api/agents/<slug>") => Some(read(store, request)),
        ("POST", "/api/agents/<slug>") => Some(write(store, request)),
        _ => None,
    }
}

fn read(store: &Store, request: &Request) -> Told {
    let slug = request.variable("<slug").unwrap_or_default();
    let scope = request.scope();
    let of = |owner: Owner| {
        let mut rows = store.configs.iter();
        rows.find(|row| row.owner == owner && row.slug == slug)
    };
    let found = of(scope).or_else(|| of(scope.of_no_client()));
    let owner = found.map_or(scope, |row| row.owner);
    let name = found.map_or_else(|| conversations::title(slug), |row| row.name.clone());
    ok(json!({
        "slug": slug, "name": name, "client_id": owner.client, "model": "standard",
        "configured": found.is_some(),
    }))
    .of(owner)
}

fn write(store: &mut Store, request: &Request) -> Told {
    let kind = request.asked.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type");
    }
    let slug = request.variable("<slug").unwrap_or_default();
    let name = match request.text("name") {
        Some(name) => name.to_owned(),
        None => conversations::title(slug),
    };
    let owner = request.scope();
    store.set_config(owner, slug, &name);
    let name = owner.marked(&name);
    ok(json!({"success": true, "slug": slug, "name": name, "client_id": owner.client})).of(owner)
}
