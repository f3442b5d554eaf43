//! What the app holds at first. Nothing is drawn by lot: ids are the same in
//! every run, and `/judge/objects` lists them.
//!
//! | user | client | conversations (personal/life-coach, business/seo) | flow, run | meeting | links |
//! |---|---|---|---|---|---|
//! | 1 | none | 1, 2 | 1 | m-1 | |
//! | 1 | 10 | 3, 4 | 2 | m-2 | 1 google-ads, 2 ga4 |
//! | 1 | 11 | 5, 6 | 3 | m-3 | 3 google-ads, 4 ga4 |
//! | 2 | none | 7, 8 | 4 | m-4 | |
//! | 2 | 20 | 9, 10 | 5 | m-5 | 5 google-ads, 6 ga4, 7 google-search-console, 8 google-tag-manager |
//! | 3 | none | 11, 12 | 6 | m-6 | |
//! | 3 | 30 | 13, 14 | 7 | m-7 | 9 google-ads, 10 ga4 |
//! | 3 | 31 | 15, 16 | 8 | m-8 | 11 google-ads, 12 ga4 |
//!
//! Every client also has settings of the agent `seo`, named `SEO helper <mark>`.

use super::runs::Account;
use super::store::{Client, Owner, Store};
use serde_json::{Value, json};

/// Owner and id of every client at first.
const CLIENTS: [(u64, u64, &str); 5] = [
    (1, 10, "Northwind Store"),
    (1, 11, "Northwind Services"),
    (2, 20, "Contoso"),
    (3, 30, "Fabrikam"),
    (3, 31, "Fabrikam Events"),
];

/// Accounts of the clients; client 10 has none of Search Console and Tag Manager.
const LINKS: [(u64, &str, &str); 12] = [
    (10, "google-ads", "123-456-7890"),
    (10, "ga4", "G-ABC123DEF4"),
    (11, "google-ads", "234-567-8901"),
    (11, "ga4", "G-XYZ789GHI0"),
    (20, "google-ads", "345-678-9012"),
    (20, "ga4", "G-JKL456MNO1"),
    (20, "google-search-console", "sc-domain:contoso.example"),
    (20, "google-tag-manager", "GTM-CONTOSO"),
    (30, "google-ads", "456-789-0123"),
    (30, "ga4", "G-THREE0001"),
    (31, "google-ads", "567-890-1234"),
    (31, "ga4", "G-THREE0011"),
];

pub(super) fn fill(store: &mut Store) {
    let clients = CLIENTS.map(|(user, id, name)| Client {
        user,
        id,
        name: name.to_owned(),
    });
    store.clients = clients.into();
    for user in 1..=3 {
        let own = CLIENTS.iter().filter(|(owner, ..)| *owner == user);
        let clients = std::iter::once(None).chain(own.map(|(_, id, _)| Some(*id)));
        clients.for_each(|client| fill_for(store, Owner { user, client }));
    }
}

fn fill_for(store: &mut Store, owner: Owner) {
    let mark = owner.mark();
    for (workspace, agent) in [("personal", "life-coach"), ("business", "seo")] {
        let title = format!("Talk with {agent} of {mark}");
        let at = store.add_conversation(owner, workspace, agent, Some(&title));
        let messages = &mut store.conversations[at].messages;
        messages.push(("user", format!("Question of {mark} to {agent}")));
        messages.push(("assistant", format!("Answer of {agent} to {mark}")));
    }
    let flow = store.add_flow(owner, &format!("Flow of {mark}"), flow(&mark));
    flow.description = format!("What {mark} does every morning");
    let result = json!({"step": 1, "type": "output", "status": "ok", "data": {"message": format!("Figures of {mark}")}});
    let told = Account {
        nodes: 1,
        elapsed_ms: 12,
        status: "success",
        results: vec![result],
    };
    store.add_run(owner, &format!("Run of {mark}"), told);
    store.add_meeting(owner, &format!("Meeting of {mark}"));
    let Some(client) = owner.client else {
        return;
    };
    for (_, slug, account) in LINKS.iter().filter(|(id, ..)| *id == client) {
        store.add_link(owner, slug, account, &format!("{slug} account of {mark}"));
    }
    store.set_config(owner, "seo", &format!("SEO helper {mark}"));
}

fn flow(mark: &str) -> Value {
    json!({
        "nodes": [
            {"id": "n1", "type": "trigger", "label": "Every morning"},
            {"id": "n3", "type": "agent", "slug": "seo", "label": "Think"},
            {"id": "n2", "type": "output", "label": format!("Mail to {mark}")},
        ],
        "connections": [{"from": "n1", "to": "n3"}, {"from": "n3", "to": "n2"}],
    })
}
