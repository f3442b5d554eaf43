//! Whose conversations are, and which one a chat without a name goes on with.
//!
//! The app's list shows thirty rows, all of the user's own; what it does not show
//! is looked for where the index says, and what the index does not know in the
//! export. Ids are given out again: so nothing that was learnt before proves
//! anything, and a user with fewer than thirty rows has no others.

use super::Sidecar;
use super::context::Context;
use super::guard::broken_index;
use super::own::Question;
use crate::owners::Conversation;
use camarad_policies::authorise::Permit;
use camarad_policies::guard::{self, Owner};
use camarad_policies::identity::Identity;
use camarad_policies::ids::{ClientId, ObjectId};
use camarad_policies::refusal::Refusal;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows that the app's list has at most (contract, section 6).
const MOST_ROWS: usize = 30;

/// The user's conversations of all clients and of none.
const ALL: &str = "/api/conversations?include_global=1";

/// What the app's list shows.
struct Listed {
    rows: Vec<Conversation>,
    /// There may be more than it shows.
    is_full: bool,
}

impl Sidecar {
    /// Whose these conversations are, for this user; those that are not named are nobody's.
    ///
    /// Each is proven by an answer of the app to this very question: its list, the
    /// messages of the one within its client, or the export. The index only says
    /// where to look, since it may be behind.
    pub(super) async fn owners_of(
        &self,
        context: &Context,
        identity: &Identity,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Owner>, Refusal> {
        let listed = self.listed(context, identity, ALL, None).await?;
        let rows = listed.rows.iter();
        let mut owners: BTreeMap<ObjectId, Owner> = rows.map(|row| (row.id, row.owner())).collect();
        let unknown: Vec<ObjectId> = ids
            .iter()
            .filter(|id| !owners.contains_key(id))
            .copied()
            .collect();
        if !listed.is_full || unknown.is_empty() {
            return Ok(owners);
        }
        if let [id] = unknown[..]
            && let Some(client) = self.indexed(identity, id).await?
            && self.has_messages(context, identity, id, client).await?
        {
            owners.insert(id, Owner::Client(client));
            return Ok(owners);
        }
        // Who asks for ids that do not exist must not make us read an export each time.
        let before = self.exported.known(&identity.user());
        let is_absent =
            |before: &Arc<BTreeSet<ObjectId>>| unknown.iter().all(|id| !before.contains(id));
        if !before.as_ref().is_some_and(is_absent) {
            let rows = self.export(context, identity).await?;
            owners.extend(rows.iter().map(|row| (row.id, row.owner())));
        }
        Ok(owners)
    }

    /// The client that the index has for a conversation of this user.
    async fn indexed(
        &self,
        identity: &Identity,
        id: ObjectId,
    ) -> Result<Option<ClientId>, Refusal> {
        let found = self.owners.find(id).await.map_err(broken_index)?;
        Ok(match found {
            Some((user, Owner::Client(client))) if user == identity.user().get() => Some(client),
            _ => None,
        })
    }

    /// Whether the app shows the conversation within this client: it looks at the
    /// client's owner and at the conversation's client (contract, section 9).
    async fn has_messages(
        &self,
        context: &Context,
        identity: &Identity,
        id: ObjectId,
        client: ClientId,
    ) -> Result<bool, Refusal> {
        let target = format!("/api/conversations/{id}/messages");
        let shown = self.look_up(
            Question::get(&target, Some(client)),
            identity,
            context,
            "guard_unavailable",
            |status, body| match status {
                200 => Some(serde_json::from_slice::<Vec<IgnoredAny>>(body).is_ok()),
                404 => Some(false),
                _ => None,
            },
        );
        shown.await.ok_or(Refusal::GuardUnavailable)
    }

    /// The newest conversation of the permit's client with the agent of its path,
    /// or a new one. Without a client: of those that belong to none.
    pub(super) async fn choose(
        &self,
        context: &Context,
        permit: &Permit,
    ) -> Result<ObjectId, Refusal> {
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let (workspace, agent) = agent_of(permit.path().as_str()).ok_or(Refusal::ObjectNotFound)?;
        let client = permit.client();
        let target = match client {
            Some(_) => "/api/conversations",
            None => ALL,
        };
        let listed = self.listed(context, identity, target, client).await?;
        let newest = listed
            .rows
            .iter()
            .filter(|row| row.client == client && row.workspace == workspace && row.agent == agent)
            .map(|row| row.id)
            .max();
        if let Some(id) = newest {
            return Ok(id);
        }
        if listed.is_full {
            let (workspace, agent) = (workspace.to_owned(), agent.to_owned());
            let known = self
                .owners
                .newest(identity.user(), client, workspace, agent);
            if let Some(id) = known.await.map_err(broken_index)? {
                return Ok(id);
            }
        }
        self.begin(context, identity, client, workspace, agent)
            .await
    }

    /// Begins a conversation, as the page's own button does.
    async fn begin(
        &self,
        context: &Context,
        identity: &Identity,
        client: Option<ClientId>,
        workspace: &str,
        agent: &str,
    ) -> Result<ObjectId, Refusal> {
        // The contract does not say under which names the route reads them.
        let body = json!({"workspace": workspace, "workspace_slug": workspace, "ws_slug": workspace,
                          "agent": agent, "agent_slug": agent});
        let question = Question {
            method: "POST",
            target: "/api/conversations/new",
            client,
            body: body.to_string().into(),
        };
        let since = self.owners.epoch();
        let begun = self.look_up(
            question,
            identity,
            context,
            "guard_unavailable",
            |status, body| match status {
                200 | 201 => begun(body).map(Some),
                404 => Some(None),
                _ => None,
            },
        );
        let id = begun.await.ok_or(Refusal::GuardUnavailable)?;
        let id = id.ok_or(Refusal::ObjectNotFound)?;
        let one = Conversation {
            id,
            client,
            workspace: workspace.to_owned(),
            agent: agent.to_owned(),
        };
        let learnt = self.owners.learn(identity.user(), vec![one], since).await;
        learnt.map_err(broken_index)?;
        Ok(id)
    }

    async fn listed(
        &self,
        context: &Context,
        identity: &Identity,
        target: &str,
        client: Option<ClientId>,
    ) -> Result<Listed, Refusal> {
        let since = self.owners.epoch();
        let listed = self.look_up(
            Question::get(target, client),
            identity,
            context,
            "guard_unavailable",
            |status, body| (status == 200).then(|| listed(body)).flatten(),
        );
        let listed = listed.await.ok_or(Refusal::GuardUnavailable)?;
        let learnt = self
            .owners
            .learn(identity.user(), listed.rows.clone(), since);
        learnt.await.map_err(broken_index)?;
        Ok(listed)
    }

    async fn export(
        &self,
        context: &Context,
        identity: &Identity,
    ) -> Result<Vec<Conversation>, Refusal> {
        let since = self.owners.epoch();
        let rows = self.look_up(
            Question::get("/api/export", None),
            identity,
            context,
            "guard_unavailable",
            |status, body| (status == 200).then(|| exported(body)).flatten(),
        );
        let rows = rows.await.ok_or(Refusal::GuardUnavailable)?;
        let ids = rows.iter().map(|row| row.id).collect();
        self.exported.set(identity.user(), Arc::new(ids));
        let learnt = self
            .owners
            .learn(identity.user(), rows.clone(), since)
            .await;
        learnt.map_err(broken_index)?;
        Ok(rows)
    }
}

/// Workspace and agent of `/chat/<workspace>/<agent>`; slugs are plain.
fn agent_of(path: &str) -> Option<(&str, &str)> {
    let (workspace, agent) = path.strip_prefix("/chat/")?.split_once('/')?;
    let is_slug = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    (is_slug(workspace) && is_slug(agent)).then_some((workspace, agent))
}

/// The rows of the app's list, one for each conversation; `None` for what is no such list.
fn listed(body: &[u8]) -> Option<Listed> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let all = value.as_array()?;
    let mut rows = all.iter().map(conversation).collect::<Option<Vec<_>>>()?;
    // One is repeated for each stored setting of its agent, and the limit counts repetitions too.
    let is_full = rows.len() >= MOST_ROWS;
    rows.sort_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    Some(Listed { rows, is_full })
}

/// The conversations of an export.
fn exported(body: &[u8]) -> Option<Vec<Conversation>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let lists = [
        "/conversations",
        "/data/conversations",
        "/chats",
        "/data/chats",
    ];
    let list = lists.iter().find_map(|at| value.pointer(at)?.as_array())?;
    list.iter().map(conversation).collect()
}

/// What a row says of a conversation.
pub(super) fn conversation(row: &Value) -> Option<Conversation> {
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| row.get(name)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let client = match guard::owner(row.get("client_id")?)? {
        Owner::Client(client) => Some(client),
        _ => None,
    };
    Some(Conversation {
        id: ObjectId::parse(&row.get("id")?.as_u64()?.to_string()).ok()?,
        client,
        workspace: text(["workspace_slug", "workspace"]),
        agent: text(["agent_slug", "agent"]),
    })
}

/// A conversation that was begun, with its agent as the answer's link names it.
pub(super) fn new_conversation(body: &[u8], client: Option<ClientId>) -> Option<Conversation> {
    let id = begun(body)?;
    let value: Value = serde_json::from_slice(body).ok()?;
    let link = ["redirect", "url"]
        .iter()
        .find_map(|name| value.get(name)?.as_str());
    let path = link.and_then(|link| link.split('?').next());
    let (workspace, agent) = path.and_then(agent_of).unwrap_or_default();
    Some(Conversation {
        id,
        client,
        workspace: workspace.to_owned(),
        agent: agent.to_owned(),
    })
}

/// The id of a conversation that was begun.
pub(super) fn begun(body: &[u8]) -> Option<ObjectId> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let id = value.get("conv_id").or_else(|| value.get("chat_id"))?;
    let text = match id {
        Value::String(text) => text.clone(),
        number => number.as_u64()?.to_string(),
    };
    ObjectId::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_list_of_conversations() {
        let row =
            |id: u64| json!({"id": id, "client_id": 10, "workspace_slug": "w", "agent_slug": "a"});
        let list = |rows: Vec<Value>| listed(json!(rows).to_string().as_bytes());
        let twice = list(vec![row(2), row(1), row(2)]).unwrap();
        assert_eq!(
            twice.rows.iter().map(|r| r.id.get()).collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(!twice.is_full);
        assert!(list((1..=30).map(row).collect()).unwrap().is_full);
        assert!(list(vec![row(1); 30]).unwrap().is_full, "repetitions count");
        for body in [
            "{}",
            "[1]",
            r#"[{"id": 1}]"#,
            r#"[{"client_id": 1}]"#,
            "<html>",
        ] {
            assert!(listed(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn what_an_export_and_a_beginning_say() {
        let export = r#"{"conversations": [{"id": 3, "client_id": null, "messages": []}]}"#;
        let rows = exported(export.as_bytes()).unwrap();
        assert_eq!((rows[0].id.get(), rows[0].client), (3, None));
        assert!(exported(b"{}").is_none());
        assert_eq!(begun(br#"{"conv_id": 7}"#).map(ObjectId::get), Some(7));
        assert_eq!(begun(br#"{"chat_id": "8"}"#).map(ObjectId::get), Some(8));
        assert_eq!(begun(br#"{"success": true}"#), None);
        let answer = br#"{"conv_id": 9, "redirect": "/chat/business/seo?conv_id=9"}"#;
        let new = new_conversation(answer, None).unwrap();
        assert_eq!((&new.workspace[..], &new.agent[..]), ("business", "seo"));
    }

    #[test]
    fn whose_agent_a_path_names() {
        assert_eq!(agent_of("/chat/business/seo"), Some(("business", "seo")));
        for path in [
            "/chat/business",
            "/chat/a/b/c",
            "/chat/a%20/b",
            "/chat//b",
            "/x/a/b",
        ] {
            assert_eq!(agent_of(path), None, "{path}");
        }
    }
}
