//! Links of clients to accounts, the list of connectors, and their settings.
//!
//! Weak on purpose: whose client the links are asked of does not matter, a link
//! is changed by its user under any client, and `all=1` ignores the client.

use super::conversations;
use super::request::{Request, Told, missing, ok, refused};
use super::store::{Link, Owner, Setting, Store};
use http::StatusCode;
use serde_json::{Value, json};

const CATALOGUE: [&str; 20] = [
    "aws",
    "ga4",
    "github",
    "google-ads",
    "google-search-console",
    "google-tag-manager",
    "hubspot",
    "linkedin-ads",
    "mailchimp",
    "meta-ads",
    "notion",
    "paypal",
    "quickbooks",
    "salesforce",
    "shopify",
    "stripe",
    "telegram",
    "tiktok-ads",
    "todoist",
    "vercel",
];

/// Those that fetch anything.
pub(super) const LIVE: [&str; 2] = ["ga4", "google-ads"];

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("GET", "/api/client_connectors") => {
            let user = request.scope().user;
            let listed = |owner: Owner| match request.client {
                Some(client) => owner.client == Some(client),
                None => owner.user == user,
            };
            let rows = store.links.iter().filter(|row| listed(row.owner));
            ok(rows.map(Link::row).collect()).in_rows()
        }
        ("POST", "/api/client_connectors") => link(store, request),
        ("PATCH", "/api/client_connectors/<int:link_id>") => change(store, request),
        ("GET", "/api/connectors/list") => list(store, request),
        ("GET", "/api/connectors/<slug>") => settings(store, request),
        ("POST", "/api/connectors/<slug>") => set(store, request),
        _ => return None,
    })
}

/// The client of the body, whoever asks. Any account can be linked.
fn link(store: &mut Store, request: &Request) -> Told {
    let Some(client) = request.client else {
        return refused(StatusCode::BAD_REQUEST, "client_id required");
    };
    let Some(user) = store.owner_of(client) else {
        return missing("Client not found");
    };
    let owner = Owner {
        user,
        client: Some(client),
    };
    let slug = request.text("connector_slug").unwrap_or_default();
    let account = request.text("account_id").unwrap_or_default();
    let name = request.text("account_name").unwrap_or(account);
    let id = store.add_link(owner, slug, account, name);
    let made = json!({
        "success": true, "id": id, "client_id": client, "connector_slug": slug,
        "account_id": account, "account_name": owner.marked(name), "status": "connected",
    });
    ok(made).of(owner)
}

fn change(store: &mut Store, request: &Request) -> Told {
    let mut rows = store.links.iter_mut();
    let Some(row) = rows.find(|row| request.means(row.id, row.owner)) else {
        return missing("Link not found");
    };
    for (name, value) in [
        ("status", &mut row.status),
        ("account_id", &mut row.account),
    ] {
        if let Some(text) = request.text(name) {
            *value = text.to_owned();
        }
    }
    if let Some(name) = request.text("account_name") {
        row.name = row.owner.marked(name);
    }
    let changed = json!({"success": true, "client_id": row.owner.client, "id": row.id,
                         "status": row.status});
    ok(changed).of(row.owner)
}

/// Those of the client, else of none; secrets as they were stored.
fn settings(store: &Store, request: &Request) -> Told {
    let slug = request.variable("<slug").unwrap_or_default();
    let scope = request.scope();
    let of = |owner: Owner| {
        let mut rows = store.settings.iter();
        rows.find(|row| row.owner == owner && row.slug == slug)
    };
    match of(scope).or_else(|| of(scope.of_no_client())) {
        Some(row) => ok(json!({
            "status": row.status, "config": row.config, "last_connected": null,
            "custom_name": row.custom_name, "client_id": row.owner.client,
        }))
        .of(row.owner),
        None => ok(json!({
            "status": "disconnected", "config": {}, "last_connected": null,
            "custom_name": null, "client_id": scope.client,
        }))
        .of(scope),
    }
}

fn set(store: &mut Store, request: &Request) -> Told {
    let owner = request.scope();
    let slug = request.variable("<slug").unwrap_or_default().to_owned();
    store
        .settings
        .retain(|row| (row.owner, &row.slug) != (owner, &slug));
    store.settings.push(Setting {
        owner,
        slug,
        status: request.text("status").unwrap_or("disconnected").to_owned(),
        config: request.body["config"].clone(),
        custom_name: owner.marked(request.text("custom_name").unwrap_or_default()),
    });
    let told = json!({"success": true, "message": "Saved", "client_id": owner.client.unwrap_or(0)});
    ok(told).of(owner)
}

fn list(store: &Store, request: &Request) -> Told {
    let all = request.asked.parameter("all").as_deref() == Some("1") && !request.foreign;
    let owns = |owner: Owner| match (all, request.client) {
        (true, _) => owner.user == request.user,
        (false, Some(client)) => owner.client == Some(client),
        (false, None) => false,
    };
    let catalogue = CATALOGUE.iter().filter(|_| all || request.client.is_none());
    let catalogue = catalogue.map(|slug| {
        json!({"slug": slug, "name": conversations::title(slug), "status": "available",
               "is_live": LIVE.contains(slug)})
    });
    let links = store.links.iter().filter(|row| owns(row.owner)).map(|row| {
        json!({
            "slug": row.slug, "name": conversations::title(&row.slug), "status": row.status,
            "is_live": LIVE.contains(&row.slug.as_str()), "id": row.id,
            "account_id": row.account, "account_name": row.name, "client_id": row.owner.client,
        })
    });
    ok(catalogue.chain(links).collect::<Value>()).in_rows()
}
