//! Users, their clients, and their money.

use super::request::{Request, Told, integer, missing, ok};
use super::store::{Paid, Store};
use crate::stand_in::server::json_answer;
use http::StatusCode;
use serde_json::{Value, json};

/// What each user begins with.
const CREDITS: u64 = 1_000;

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    let user = request.user;
    Some(match request.names() {
        // Everybody, to anybody.
        ("GET", "/api/users") => ok(json!([
            {"id": 1, "name": "dev"}, {"id": 2, "name": "Alice"}, {"id": 3, "name": "Bob"}
        ]))
        .in_rows(),
        ("GET", "/api/clients") => {
            let own = store.clients_of(user);
            ok(own
                .map(|row| json!({"id": row.id, "name": row.name}))
                .collect())
            .in_rows()
        }
        ("POST", "/api/clients") => {
            let name = request.body["name"].as_str().unwrap_or("Client");
            let id = store.add_client(user, name);
            ok(json!({"id": id, "name": name, "user_id": user}))
        }
        ("GET", "/api/clients/<int:client_id>") => drawer(store, request),
        ("PATCH", "/api/clients/<int:client_id>") => rename(store, request),
        ("DELETE", "/api/clients/<int:client_id>") => {
            if let Some(client) = request.client {
                store.delete_client(client);
            }
            ok(json!({"success": true}))
        }
        ("POST", "/api/user/spend") => spend(store, request),
        ("POST", "/api/settings/user/reset") => {
            store.conversations.retain(|row| row.owner.user != user);
            store.flows.retain(|row| row.owner.user != user);
            store.templates.keep(|owner| owner.user != user);
            ok(json!({"success": true}))
        }
        _ => return None,
    })
}

fn drawer(store: &Store, request: &Request) -> Told {
    let row = store
        .clients
        .iter()
        .find(|row| Some(row.id) == request.client);
    match row {
        Some(row) => ok(json!({"id": row.id, "name": row.name, "user_id": row.user})),
        None => missing("Client not found or not owned"),
    }
}

fn rename(store: &mut Store, request: &Request) -> Told {
    let row = store
        .clients
        .iter_mut()
        .find(|row| Some(row.id) == request.client);
    let Some(row) = row else {
        return missing("Client not found or not owned");
    };
    if let Some(name) = request.text("name") {
        row.name = name.to_owned();
    }
    ok(json!({"success": true, "id": row.id, "name": row.name, "user_id": row.user}))
}

/// A request id is looked up across all users: whoever sends a known one has paid already,
/// and is told the first payer's balance.
fn spend(store: &mut Store, request: &Request) -> Told {
    let given = match &request.body["request_id"] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let id = request.request_id(given, store.tick());
    if let Some(paid) = store.spent.get(&id) {
        let mut answer = paid.answer.clone();
        answer["duplicate"] = json!(true);
        return ok(answer).of(paid.owner);
    }
    let owner = request.scope();
    let amount = integer(&request.body["amount"]).unwrap_or(0);
    let left = store.credits.entry(owner.user).or_insert(CREDITS);
    let Some(rest) = left.checked_sub(amount) else {
        let words = json!({"error": "insufficient_credits", "success": false,
                           "message": "Not enough credits"});
        return Told::from(json_answer(StatusCode::PAYMENT_REQUIRED, &words)).of(owner);
    };
    *left = rest;
    let balance = format!("{rest} credits of {}", owner.mark());
    let answer = json!({"success": true, "request_id": id, "balance": balance});
    let paid = Paid {
        owner,
        answer: answer.clone(),
    };
    store.spent.insert(id, paid);
    ok(answer).of(owner)
}
