//! What the app says of a user's clients and their accounts, and whose an account is by that.

use super::connector::{CONNECTORS, Connector, Form};
use super::site::host_of;
use crate::guard::{self, Owner};
use crate::guardrails::Standing;
use crate::ids::{ClientId, ObjectId};
use serde_json::Value;
use std::collections::BTreeSet;

/// A client's link to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    id: u64,
    pub(super) client: ClientId,
    /// `None` for one whose accounts are not bound.
    connector: Option<&'static Connector>,
    /// As the app has it; empty where the link names none.
    pub(super) account: String,
    /// In the form in which ids are compared, where it is one of the connector's.
    key: Option<String>,
    /// As it goes on: as it stands there, if it is an id.
    spelled: Option<String>,
    pub(super) connected: bool,
}

/// Reads the app's list of a user's links; `None` for what is no list, or has rows that
/// do not say of which client and connector they are. Rows of no client are nobody's.
/// One that does not say its account links none, and binds all the same.
pub fn links(answer: &[u8]) -> Option<Vec<Link>> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("links")?.as_array())
        .or_else(|| value.get("client_connectors")?.as_array())?;
    let mut links = Vec::with_capacity(rows.len());
    for row in rows {
        if let Owner::Client(client) = guard::owner(row.get("client_id")?)? {
            links.push(link(row, client)?);
        }
    }
    Some(links)
}

fn link(row: &Value, client: ClientId) -> Option<Link> {
    // The caller's own words, whatever they are: one odd row must not take the others along.
    let slug = row.get("connector_slug").or_else(|| row.get("slug"))?;
    let slug = slug.as_str().unwrap_or_default().trim();
    let slug = slug.to_lowercase().replace([' ', '_'], "-");
    let connector = CONNECTORS.iter().find(|c| c.links.contains(&slug.as_str()));
    let account = match row.get("account_id") {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let status = row.get("status").and_then(Value::as_str);
    Some(Link {
        id: row.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX),
        client,
        connector,
        key: connector.and_then(|connector| connector.key(&account)),
        spelled: connector.and_then(|connector| connector.spelled(&account)),
        account,
        connected: status != Some("disconnected"),
    })
}

/// The account of the link with this id, as the app has it.
pub fn account_of(link: ObjectId, links: &[Link]) -> Option<&str> {
    let found = links.iter().find(|one| one.id == link.get())?;
    Some(&found.account)
}

impl Connector {
    /// A client's links of this connector; where there are none, nothing is bound. One that
    /// was disconnected binds as well: to unlink must not open anything.
    fn of<'a>(&self, client: ClientId, links: &'a [Link]) -> impl Iterator<Item = &'a Link> {
        let own = links.iter().filter(move |link| link.client == client);
        own.filter(|link| self.is_of(link))
    }

    /// Whether an account of this connector is bound to the client.
    pub(super) fn binds(&self, client: ClientId, links: &[Link]) -> bool {
        self.of(client, links).next().is_some()
    }

    pub(super) fn is_of(&self, link: &Link) -> bool {
        // Names are each one's own; comparing all of them would cost more than all the rest.
        link.connector.is_some_and(|own| own.name == self.name)
    }

    /// Whether an account may be seen within a client, of all the user's links.
    pub fn allows(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        let is_as_linked = |link: &Link| link.connected && link.account == account;
        if !account.is_empty() && self.of(client, links).any(is_as_linked) {
            return true;
        }
        let Some(account) = self.canonical(account) else {
            return false;
        };
        match self.binds(client, links) {
            true => self.of(client, links).any(|link| link.is_to(&account)),
            false => !self.is_anothers(&account, client, links),
        }
    }

    /// Whether an account is linked to the client.
    pub fn links(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        self.binds(client, links) && self.allows(account, client, links)
    }

    /// The account that stands in where a client's request names none: its first link's.
    pub fn chosen(&self, client: ClientId, links: &[Link]) -> Option<String> {
        let usable = |link: &&Link| link.connected && link.key.is_some();
        let own = self.of(client, links).filter(usable);
        let first = own.min_by_key(|link| link.id)?;
        first.spelled.clone()
    }

    /// What accounts that a flow names are to a client, of all the user's links. `limited`:
    /// the caller must not learn whose those are that are not the client's.
    pub fn standings(&'static self, client: ClientId, links: &[Link], limited: bool) -> Standings {
        let of = |is_own: bool| {
            let links = links.iter().filter(move |link| self.is_of(link));
            links.filter(move |link| link.connected && (link.client == client) == is_own)
        };
        let key = |link: &Link| link.key.clone();
        Standings {
            connector: self,
            spelled: of(true).map(|link| link.account.clone()).collect(),
            own: of(true).filter_map(key).collect(),
            others: of(false).filter_map(key).collect(),
            is_bound: limited || self.binds(client, links),
        }
    }

    /// Whether it is linked to another client of the user's.
    fn is_anothers(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        let mut others = links.iter().filter(|link| link.client != client);
        others.any(|link| self.is_of(link) && (link.is_to(account) || link.overlaps(account)))
    }
}

impl Link {
    /// Whether it is to a site of which this one holds figures, too: a domain holds those of
    /// every URL below it, whatever the scheme.
    fn overlaps(&self, account: &str) -> bool {
        let is_site = self.connector.is_some_and(|c| c.form == Form::Site);
        if !is_site || !self.connected || self.account.is_empty() {
            return false;
        }
        let own = self.account.trim().to_lowercase();
        let (own, asked) = (host_of(&own), host_of(account));
        let within = |inner: &str, outer: &str| {
            inner == outer
                || inner
                    .strip_suffix(outer)
                    .is_some_and(|rest| rest.ends_with('.'))
        };
        within(own, asked) || within(asked, own)
    }

    /// Whether it is to this account, in canonical form.
    fn is_to(&self, account: &str) -> bool {
        self.connected && self.key.as_deref() == Some(account)
    }
}

/// What accounts are to one client; made once for a flow, which may name many.
pub struct Standings {
    connector: &'static Connector,
    /// Its own as the links have them.
    spelled: BTreeSet<String>,
    own: BTreeSet<String>,
    others: BTreeSet<String>,
    /// Only its own may be read.
    is_bound: bool,
}

impl Standings {
    /// What an account is to the client.
    pub fn of(&self, account: &str) -> Standing {
        if self.spelled.contains(account) && !account.is_empty() {
            return Standing::Linked;
        }
        match self.connector.canonical(account) {
            Some(key) if self.own.contains(&key) => Standing::Linked,
            Some(key) if !self.is_bound && !self.others.contains(&key) => Standing::Unlinked,
            _ => Standing::NotAllowed,
        }
    }
}
