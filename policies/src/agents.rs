//! The names of agents in lists of conversations.
//!
//! The app repeats a conversation once for each stored setting of its agent, of any
//! client, and each row carries that setting's name and picture. One row is kept,
//! the one whose name the conversation's own client has in its settings of that
//! agent; where there is none, the name is made from the agent's slug.

use crate::guard::{self, Owner};
use crate::ids::ClientId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The texts of an agent's settings, by their hash: pictures are long.
pub type AgentNames = Arc<BTreeSet<[u8; 32]>>;

/// What is known of agents, by client and slug.
pub type Names = BTreeMap<(Option<ClientId>, String), AgentNames>;

/// Texts of an agent's settings that are remembered at most.
const MOST_TEXTS: usize = 64;
/// Settings that are looked at at most, in bytes: a name, a picture, some instructions.
const LONGEST: usize = 512 * 1024;
const NAME: &str = "agent_name";
const PICTURE: &str = "avatar_base64";
const HAS_PICTURE: &str = "has_photo";

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The texts of an agent's settings, as many as settings have; the rest is not looked at.
pub fn texts(body: &[u8]) -> Option<AgentNames> {
    fn collect(value: &Value, into: &mut BTreeSet<[u8; 32]>) {
        match value {
            _ if into.len() == MOST_TEXTS => {}
            Value::String(text) => drop(into.insert(hash(text))),
            Value::Array(elements) => elements.iter().for_each(|one| collect(one, into)),
            Value::Object(members) => members.values().for_each(|one| collect(one, into)),
            _ => {}
        }
    }
    if body.len() > LONGEST {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    let mut found = BTreeSet::new();
    collect(&value, &mut found);
    Some(Arc::new(found))
}

/// Client and agent by which a row's names are judged: the decided client, else the row's own.
pub fn of_row(row: &Value, decided: Option<ClientId>) -> (Option<ClientId>, String) {
    let own = match row.get("client_id").and_then(guard::owner) {
        Some(Owner::Client(client)) => Some(client),
        _ => None,
    };
    let agent = row.get("agent_slug").and_then(Value::as_str);
    (decided.or(own), agent.unwrap_or_default().to_owned())
}

/// Whether a row belongs to no client.
pub fn is_unowned(row: &Value) -> bool {
    row.get("client_id").and_then(guard::owner) == Some(Owner::User)
}

/// One row for each id, in the order of their first.
pub fn one_each(rows: Vec<Value>, decided: Option<ClientId>, names: &Names) -> Vec<Value> {
    let mut order: Vec<String> = Vec::new();
    let mut by_id: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows {
        let id = row.get("id").map(Value::to_string).unwrap_or_default();
        if !by_id.contains_key(&id) {
            order.push(id.clone());
        }
        by_id.entry(id).or_default().push(row);
    }
    let one = |id: String| {
        let rows = by_id.remove(&id).unwrap_or_default();
        chosen(rows, decided, names)
    };
    order.into_iter().filter_map(one).collect()
}

fn chosen(rows: Vec<Value>, decided: Option<ClientId>, names: &Names) -> Option<Value> {
    let none = AgentNames::default();
    let key = of_row(rows.first()?, decided);
    let known = names.get(&key).unwrap_or(&none);
    let is_known = |row: &Value, field: &str| match row.get(field) {
        Some(Value::String(text)) => known.contains(&hash(text)),
        _ => false,
    };
    let at = rows.iter().position(|row| is_known(row, NAME));
    let mut row = rows.into_iter().nth(at.unwrap_or(0))?;
    if at.is_none() && row.get(NAME).is_some() {
        row[NAME] = json!(from_slug(&key.1));
    }
    if row.get(PICTURE).is_some_and(|picture| !picture.is_null()) && !is_known(&row, PICTURE) {
        row[PICTURE] = Value::Null;
        if row.get(HAS_PICTURE).is_some() {
            row[HAS_PICTURE] = json!(false);
        }
    }
    Some(row)
}

/// `life-coach` is `Life Coach`.
fn from_slug(slug: &str) -> String {
    let words = slug.split(['-', '_']).filter(|word| !word.is_empty());
    let words = words.map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        format!("{}{rest}", first.to_uppercase())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_is_kept_under_the_name_that_its_client_knows() {
        let client = ClientId::parse("10").ok();
        let row = |id: u64, name: &str, picture: Value| {
            json!({"id": id, "client_id": 10, "agent_slug": "life-coach", "agent_name": name,
                   "avatar_base64": picture, "has_photo": !picture.is_null(), "title": "t"})
        };
        let own = br#"{"config": {"name": "Own"}, "avatar_base64": "OWN"}"#;
        let names = Names::from([((client, "life-coach".to_owned()), texts(own).unwrap())]);
        let rows = vec![
            row(2, "Theirs", json!("THEIRS")),
            row(1, "Theirs", json!("THEIRS")),
            row(2, "Own", json!("OWN")),
            row(3, "Own", json!("THEIRS")),
        ];
        let kept = one_each(rows.clone(), client, &names);
        let shown: Vec<_> = kept
            .iter()
            .map(|row| {
                (
                    row["id"].as_u64().unwrap(),
                    row["agent_name"].as_str().unwrap(),
                    &row["avatar_base64"],
                    &row["has_photo"],
                )
            })
            .collect();
        let (yes, no, null) = (json!(true), json!(false), Value::Null);
        let picture = json!("OWN");
        assert_eq!(
            shown,
            [
                (2, "Own", &picture, &yes),
                (1, "Life Coach", &null, &no),
                (3, "Own", &null, &no)
            ]
        );
        // Nothing is known: no name of anybody's.
        let text = json!(one_each(rows, client, &Names::new())).to_string();
        assert!(!text.contains("Own") && !text.contains("THEIRS"), "{text}");
    }
}
