//! Whose accounts a flow reads.
//!
//! The app reads Google Ads and GA4 during a run, without the caller, and merges what a
//! node says into what is stored (contract, sections 5 and 9). So what it will read is
//! written into the node ([`super::bind`]) and looked at here; whatever could be read in
//! two ways is no account and blocks the run. A node counts by its slug, spelled however,
//! and whatever its type says.

use super::finding::Findings;
use super::{Situation, Standing};
use crate::accounts::Connector;
use crate::flow::Node;
use serde_json::Value;

/// Connectors that the app reads, and the settings that it looks at first: of the account,
/// and of the manager above it.
const READ: [(&str, &str, &str); 2] = [
    ("google-ads", "account_id", "mcc_id"),
    ("ga4", "property_id", "property_id"),
];

/// What a node reads.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) connector: &'static Connector,
    pub(super) account: &'static str,
    pub(super) manager: &'static str,
}

/// What a setting says of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Nothing, as the app reads it.
    Nothing,
    /// An id that can be read in one way only.
    Account(String),
    /// Anything else.
    Odd(String),
}

/// The connector that a node reads, if the app would read it at all.
pub(super) fn reader(node: &Node) -> Option<Reader> {
    let letters = |text: &str| -> String {
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        plain.map(|c| c.to_ascii_lowercase()).collect()
    };
    let slug = letters(node.slug.as_ref()?);
    let read = READ.into_iter().find(|(name, ..)| letters(name) == slug)?;
    let (name, account, manager) = read;
    Some(Reader {
        connector: Connector::find(name)?,
        account,
        manager,
    })
}

impl Reader {
    /// What a setting says of an account of this connector.
    pub(super) fn named(&self, setting: &Value) -> Named {
        let text = match setting {
            Value::Null | Value::Bool(false) => return Named::Nothing,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) if number.as_f64() == Some(0.0) => return Named::Nothing,
            Value::Number(number) if number.is_u64() => number.to_string(),
            Value::Array(rows) if rows.is_empty() => return Named::Nothing,
            Value::Object(members) if members.is_empty() => return Named::Nothing,
            other => return Named::Odd(other.to_string()),
        };
        match self.connector.canonical(&text) {
            _ if text.is_empty() => Named::Nothing,
            Some(_) => Named::Account(text),
            None => Named::Odd(text),
        }
    }

    /// Every setting of a node that names an account, those that are none included.
    fn all<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = Named> + 'a {
        self.names().filter_map(|name| {
            let named = self.named(node.config.get(name)?);
            (named != Named::Nothing).then_some(named)
        })
    }

    /// Every name of an account or a manager.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let managers = self.connector.managers().iter().copied();
        self.connector.names().iter().copied().chain(managers)
    }

    /// The first account among these settings of a node; `None` where there is none.
    pub(super) fn first(&self, node: &Node, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| match self.named(node.config.get(*name)?) {
                Named::Account(account) => Some(account),
                Named::Nothing | Named::Odd(_) => None,
            })
    }

    /// Whether a node names something that is no account.
    pub(super) fn is_odd(&self, node: &Node) -> bool {
        self.all(node).any(|named| matches!(named, Named::Odd(_)))
    }
}

/// The accounts that a node names, its manager's included, by the connector's name.
pub(super) fn named(node: &Node) -> Vec<(String, String)> {
    let Some(reader) = reader(node) else {
        return Vec::new();
    };
    let name = reader.connector.name.to_owned();
    let accounts = reader.all(node).filter_map(|named| match named {
        Named::Account(account) => Some((name.clone(), account)),
        Named::Nothing | Named::Odd(_) => None,
    });
    accounts.collect()
}

/// Whether a node names an account to be read; a manager alone does not.
pub(super) fn is_chosen(node: &Node) -> bool {
    reader(node).is_some_and(|reader| reader.first(node, reader.connector.names()).is_some())
}

/// Looks at the accounts of a node.
pub(super) fn accounts(found: &mut Findings, node: &Node, situation: &Situation) {
    let Some(reader) = reader(node) else {
        return;
    };
    let slug = reader.connector.name;
    let name = found.table.connector_name(slug).unwrap_or(slug).to_owned();
    for named in reader.all(node) {
        let (account, code) = match named {
            Named::Nothing => continue,
            Named::Odd(text) => (text, "account_unreadable"),
            Named::Account(account) => {
                let key = (slug.to_owned(), account);
                let standing = situation.accounts.get(&key).copied();
                let code = match standing.unwrap_or(Standing::Unknown) {
                    Standing::Linked => continue,
                    Standing::Unlinked => "account_not_linked",
                    Standing::NotAllowed => "account_not_allowed",
                    Standing::Unknown => "account_link_unknown",
                };
                (key.1, code)
            }
        };
        let values = [("account", account.as_str()), ("connector", name.as_str())];
        found.about(code, node, Some(slug), &values);
    }
}
