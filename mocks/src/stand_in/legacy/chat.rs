//! The chat page and its one `POST`: conversations by `conv_id`, whoever's they are.
//!
//! Weak on purpose, as the app is: neither the user nor the client of a
//! conversation is looked at, nor who paid with a `request_id`.

use super::pages;
use super::request::{Request, Told, integer, ok, refused};
use super::store::{Owner, Paid, Store};
use http::StatusCode;
use serde_json::{Value, json};

pub(super) const CHAT: &str = "/chat/<ws_slug>/<agent_slug>";

/// Messages that go to the model with the next one.
const QUOTED: usize = 6;

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("GET", CHAT) => Some(show(store, request)),
        ("POST", CHAT) => Some(send(store, request)),
        _ => None,
    }
}

fn slugs<'a>(request: &Request<'a>) -> (&'a str, &'a str) {
    let variable = |name| request.variable(name).unwrap_or_default();
    (variable("<ws_slug"), variable("<agent_slug"))
}

/// Where the conversation that a request means is; without an id the user's newest with that
/// agent under any client.
fn meant(store: &Store, request: &Request) -> Option<usize> {
    let rows = &store.conversations;
    if let Some(named) = field(request, "conv_id") {
        let id = integer(&named)?;
        return rows.iter().position(|row| row.id == id);
    }
    let (workspace, agent) = slugs(request);
    let own = rows.iter().enumerate().filter(|(_, row)| {
        row.owner.user == request.user && row.workspace == workspace && row.agent == agent
    });
    own.max_by_key(|(_, row)| row.id).map(|(at, _)| at)
}

/// JSON first, whatever the content type says, then a form, then the query.
fn field(request: &Request, name: &str) -> Option<Value> {
    let is_set = |value: &Value| !value.is_null() && *value != json!("");
    let form = || {
        let mut pairs = url::form_urlencoded::parse(&request.asked.body);
        let (_, value) = pairs.find(|(n, _)| n == name)?;
        Some(json!(value))
    };
    let form = || match request.body {
        Value::Object(_) => None,
        _ => form(),
    };
    let query = || request.asked.parameter(name).map(|value| json!(value));
    let json = request.body.get(name).cloned().filter(is_set);
    json.or_else(form)
        .filter(is_set)
        .or_else(query)
        .filter(is_set)
}

fn word(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Stores nothing: without a conversation the page is empty.
fn show(store: &Store, request: &Request) -> Told {
    let (workspace, agent) = slugs(request);
    let shown = meant(store, request).map(|at| &store.conversations[at]);
    let others = store.conversations.iter().rev().filter(|row| {
        row.owner.user == request.user
            && (row.workspace.as_str(), row.agent.as_str()) == (workspace, agent)
            && shown.is_none_or(|shown| shown.id != row.id)
    });
    let told = pages::chat((workspace, agent), shown, others);
    match shown {
        Some(shown) => told.of(shown.owner),
        None => told.in_rows(),
    }
}

/// What the model is asked.
pub(super) struct Prompt {
    pub(super) title: String,
    pub(super) agent: String,
    pub(super) message: String,
    /// The last messages of the conversation that the request names.
    pub(super) objective: String,
}

/// `None` where there is no message, or it was answered already.
pub(super) fn prompt(store: &Store, request: &Request) -> Option<Prompt> {
    let message = field(request, "message").map(word)?;
    let given = field(request, "request_id").map(word);
    // 0 is no number of a request: without an id it has not been answered.
    let known = store
        .messages_paid
        .contains_key(&request.request_id(given, 0));
    if known || message.trim().is_empty() {
        return None;
    }
    let (workspace, agent) = slugs(request);
    let row = meant(store, request).map(|at| &store.conversations[at]);
    let messages = row.map_or(&[][..], |row| &row.messages);
    let last = messages[messages.len().saturating_sub(QUOTED)..].iter();
    let last: Vec<String> = last.map(|(role, text)| format!("{role}: {text}")).collect();
    Some(Prompt {
        title: format!("{workspace}/{agent}"),
        agent: agent.to_owned(),
        message,
        objective: last.join("\n"),
    })
}

fn send(store: &mut Store, request: &Request) -> Told {
    let message = field(request, "message").map(word).unwrap_or_default();
    if message.trim().is_empty() {
        return refused(StatusCode::BAD_REQUEST, "No message provided");
    }
    // A known one is answered as paid, whoever sends it.
    let given = field(request, "request_id").map(word);
    let request_id = request.request_id(given, store.tick());
    if let Some(paid) = store.messages_paid.get(&request_id) {
        let mut answer = paid.answer.clone();
        answer["duplicate"] = json!(true);
        return ok(answer).of(paid.owner);
    }
    let at = meant(store, request).unwrap_or_else(|| {
        let (workspace, agent) = slugs(request);
        let owner = Owner {
            user: request.user,
            client: None,
        };
        store.add_conversation(owner, workspace, agent, None)
    });
    let now = store.now();
    let row = &mut store.conversations[at];
    let before = &row.messages[row.messages.len().saturating_sub(QUOTED)..];
    // Cut, or a reply that quotes replies would grow without end.
    let quoted = before
        .iter()
        .map(|(role, text)| format!("{role}: {}", text.chars().take(120).collect::<String>()));
    let canned = || {
        format!(
            "Reply in {} to: {message} | Before that: {}",
            row.owner.mark(),
            quoted.collect::<Vec<_>>().join(" / ")
        )
    };
    let reply = request.fetched.reply.clone().unwrap_or_else(canned);
    row.messages.push(("user", message));
    row.messages.push(("assistant", reply.clone()));
    row.active = now;
    let owner = row.owner;
    let answer = json!({
        "response": reply, "response_html": format!("<p>{}</p>", pages::escape(&reply)),
        "conv_id": row.id, "request_id": request_id,
    });
    let paid = Paid {
        owner,
        answer: answer.clone(),
    };
    store.messages_paid.insert(request_id, paid);
    ok(answer).of(owner)
}
