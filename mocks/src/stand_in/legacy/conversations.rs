//! Conversations as `/api/conversations` and `/api/chats` list, make, read and delete them.

use super::request::{Request, Told, missing, ok, refused};
use super::store::{Conversation, Store};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

/// Rows in a list at most.
const MOST: usize = 30;

pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("GET", "/api/conversations" | "/api/chats") => list(store, request),
        ("POST", "/api/conversations/new" | "/api/chats") => create(store, request),
        ("GET", "/api/conversations/<int:conv_id>/messages") => read(store, request),
        ("DELETE", "/api/conversations/<int:conv_id>") => delete(store, request),
        _ => return None,
    })
}

/// Weak on purpose: a conversation comes once for each settings row of its agent, of any of the
/// user's clients, with the name and picture found there.
fn list(store: &Store, request: &Request) -> Told {
    let global = request.asked.parameter("include_global").as_deref() == Some("1");
    let listed = |row: &&Conversation| {
        let of_none = row.owner.client.is_none() && row.owner.user == request.scope().user;
        request.lists(row.owner) || (global && of_none)
    };
    let mut own: Vec<_> = store.conversations.iter().filter(listed).collect();
    own.sort_by_key(|row| std::cmp::Reverse(row.id));
    let rows = own.iter().flat_map(|conversation| {
        let named = store.configs.iter().filter(|config| {
            config.owner.user == conversation.owner.user && config.slug == conversation.agent
        });
        let mut rows: Vec<_> = named
            .map(|config| row(conversation, Some(&config.name)))
            .collect();
        if rows.is_empty() {
            rows.push(row(conversation, None));
        }
        rows
    });
    ok(rows.take(MOST).collect()).in_rows()
}

fn row(conversation: &Conversation, agent: Option<&str>) -> Value {
    let picture = agent.map(|name| {
        let picture =
            format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><title>{name}</title></svg>");
        format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture))
    });
    let last = conversation.messages.last().map(|(_, text)| text);
    json!({
        "id": conversation.id,
        "workspace_slug": conversation.workspace, "workspace_name": title(&conversation.workspace),
        "agent_slug": conversation.agent,
        "agent_name": agent.map_or_else(|| title(&conversation.agent), str::to_owned),
        "title": conversation.title, "created_at": conversation.created,
        "client_id": conversation.owner.client,
        "last_message": last, "last_activity": conversation.active,
        "last_message_at": last.map(|_| &conversation.active),
        "msg_count": conversation.messages.len(), "unread": 0,
        "has_photo": picture.is_some(), "avatar_base64": picture,
    })
}

/// `life-coach` -> `Life Coach`.
pub(super) fn title(slug: &str) -> String {
    let words = slug.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

fn create(store: &mut Store, request: &Request) -> Told {
    let named = |one, other| request.text(one).or_else(|| request.text(other));
    let Some(agent) = named("agent", "agent_slug") else {
        return refused(StatusCode::BAD_REQUEST, "agent required");
    };
    let workspace = named("workspace", "workspace_slug").unwrap_or("business");
    let owner = request.scope();
    let at = store.add_conversation(owner, workspace, agent, request.text("title"));
    let id = store.conversations[at].id;
    let page = format!("/chat/{workspace}/{agent}?conv_id={id}");
    let made = json!({"success": true, "conv_id": id, "chat_id": id, "redirect": page,
                      "url": page, "client_id": owner.client});
    ok(made).of(owner)
}

/// The one place where the app looks at the client: its caller's, which is checked before.
fn read(store: &Store, request: &Request) -> Told {
    let found = store.conversations.iter().find(|row| {
        let same = row.owner.client == request.client && request.client.is_some();
        same && (request.foreign || request.id() == Some(row.id))
    });
    match found {
        Some(row) => ok(messages(row)).of(row.owner),
        None => missing("Conversation not found"),
    }
}

pub(super) fn messages(conversation: &Conversation) -> Value {
    let rows = conversation.messages.iter();
    rows.map(|(role, content)| json!({"role": role, "content": content}))
        .collect()
}

/// Weak on purpose: the user is looked at, the client is not.
fn delete(store: &mut Store, request: &Request) -> Told {
    let rows = &mut store.conversations;
    match rows.iter().position(|row| request.means(row.id, row.owner)) {
        Some(at) => ok(json!({"success": true})).of(rows.remove(at).owner),
        None => missing("Conversation not found"),
    }
}
