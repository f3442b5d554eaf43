//! Templates of flows: eleven of the app's own, and those that users save.
//!
//! Weak on purpose: the first `GET` of a user or client writes the app's own.
//! Each row says whose it is in `mark`, for the built-in texts do not.

use super::pages;
use super::request::{Request, Told, ok};
use super::store::{Flow, Owner, Store, next_id};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Their ids begin after this one, far from those of flows.
const BEFORE_FIRST: u64 = 1_000;

static BUILT_IN: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("templates.json")).unwrap_or_default());

/// The templates that there are.
#[derive(Default)]
pub(super) struct Templates {
    rows: Vec<Flow>,
    /// For whom the built-in ones were written.
    written: Vec<Owner>,
}

impl Templates {
    pub(super) fn rows(&self) -> impl Iterator<Item = &Flow> {
        self.rows.iter()
    }

    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.rows.iter_mut()
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.rows.retain(|row| row.id != id);
    }

    /// Forgets what belongs to others; whoever is forgotten gets the built-in ones anew.
    pub(super) fn keep(&mut self, kept: impl Fn(Owner) -> bool) {
        self.rows.retain(|row| kept(row.owner));
        self.written.retain(|owner| kept(*owner));
    }

    pub(super) fn add(&mut self, mut row: Flow) -> &mut Flow {
        let ids = self.rows.iter().map(|row| row.id);
        row.id = next_id(ids.chain([BEFORE_FIRST]));
        row.is_template = true;
        let at = self.rows.len();
        self.rows.push(row);
        &mut self.rows[at]
    }

    fn write_for(&mut self, owner: Owner, now: &str) {
        if self.written.contains(&owner) {
            return;
        }
        self.written.push(owner);
        for template in BUILT_IN.iter() {
            let text = |name: &str| template[name].as_str().unwrap_or_default().to_owned();
            self.add(Flow {
                id: 0,
                owner,
                name: text("name"),
                category: text("category"),
                description: text("description"),
                thumbnail: Some(thumbnail(&text("name"))),
                is_template: true,
                flow: template["flow"].clone(),
                created: now.to_owned(),
                updated: now.to_owned(),
            });
        }
    }
}

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("GET", "/api/flows/templates" | "/api/orchestrator/templates") => {
            Some(list(store, request))
        }
        _ => None,
    }
}

fn list(store: &mut Store, request: &Request) -> Told {
    let scope = request.scope();
    let mut owners = vec![scope];
    if scope.client.is_none() {
        let own = store.clients_of(scope.user);
        owners.extend(own.map(|row| Owner {
            client: Some(row.id),
            ..scope
        }));
    }
    let now = store.now();
    for owner in owners {
        store.templates.write_for(owner, &now);
    }
    let wanted = request.asked.parameter("category");
    let wanted = wanted.filter(|text| !text.is_empty());
    let fits = |row: &&Flow| {
        let mut wanted = wanted.iter();
        request.lists(row.owner)
            && wanted.all(|text| text.to_lowercase() == row.category.to_lowercase())
    };
    let rows = store.templates.rows().filter(fits);
    ok(rows.map(item).collect()).in_rows()
}

fn item(row: &Flow) -> Value {
    json!({
        "id": row.id, "name": row.name, "category": row.category,
        "description": row.description, "thumbnail": row.thumbnail, "updated": row.updated,
        "flow": row.flow, "nodes": row.flow["nodes"], "connections": row.flow["connections"],
        "client_id": row.owner.client, "mark": row.owner.mark(),
    })
}

fn thumbnail(name: &str) -> String {
    let name = pages::escape(name);
    let picture = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><title>{name}</title></svg>");
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture))
}
