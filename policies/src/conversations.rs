//! What the app's answers say of conversations: its list, an export, a new one.
//!
//! An answer of another shape says nothing (`None`), and never "there are none".
//! Not here: asking, and whether what was said still holds.

use crate::guard::{self, Owner};
use crate::ids::{ClientId, ObjectId};
use serde_json::Value;

/// Rows that the app's list has at most (contract, section 6).
const MOST_ROWS: usize = 30;

/// What is known of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ObjectId,
    /// Whose; `None`: the user's own, of no client.
    pub client: Option<ClientId>,
    /// Slug of the workspace; empty where it is not known.
    pub workspace: String,
    /// Slug of the agent; empty where it is not known.
    pub agent: String,
}

/// What the app's list shows.
#[derive(Clone, Debug)]
pub struct Listed {
    /// One for each conversation, by id.
    pub rows: Vec<Conversation>,
    /// There may be more than it shows.
    pub is_full: bool,
}

impl Conversation {
    /// Whose it is, for its user.
    pub fn owner(&self) -> Owner {
        self.client.map_or(Owner::User, Owner::Client)
    }
}

/// Workspace and agent of `/chat/<workspace>/<agent>`; slugs are plain.
pub fn agent_of(path: &str) -> Option<(&str, &str)> {
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
pub fn listed(body: &[u8]) -> Option<Listed> {
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
pub fn exported(body: &[u8]) -> Option<Vec<Conversation>> {
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
pub fn conversation(row: &Value) -> Option<Conversation> {
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

/// A conversation that an answer names, with its agent as the request's path or the
/// answer's link has it.
pub fn new_conversation(body: &[u8], client: Option<ClientId>, path: &str) -> Option<Conversation> {
    let id = begun(body)?;
    let value: Value = serde_json::from_slice(body).ok()?;
    let link = ["redirect", "url"]
        .iter()
        .find_map(|name| value.get(name)?.as_str());
    let link = link.and_then(|link| link.split('?').next());
    let agent = agent_of(path).or_else(|| agent_of(link?));
    let (workspace, agent) = agent.unwrap_or_default();
    Some(Conversation {
        id,
        client,
        workspace: workspace.to_owned(),
        agent: agent.to_owned(),
    })
}

/// The id of a conversation that was begun.
pub fn begun(body: &[u8]) -> Option<ObjectId> {
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
    use serde_json::json;

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
        let new = new_conversation(answer, None, "/api/conversations/new").unwrap();
        assert_eq!((&new.workspace[..], &new.agent[..]), ("business", "seo"));
        let said = br#"{"conv_id": 9, "response": "r"}"#;
        let said = new_conversation(said, None, "/chat/business/ads").unwrap();
        assert_eq!((&said.workspace[..], &said.agent[..]), ("business", "ads"));
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
