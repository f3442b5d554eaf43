//! Accounts of connectors, tied to clients.
//!
//! A caller's Coolbits token may read the accounts of all of the user's clients,
//! so an account that a request names must be linked to the decided client
//! (`/api/client_connectors`). A client without any link of a connector is not
//! bound to an account of it, but the accounts of the user's other clients stay
//! theirs. Not here: the service account, which goes by the
//! operator's own table alone, since links are self-asserted.

use crate::authorise::{Permit, Reach};
use crate::fields::Fields;
use crate::guard::{self, Owner};
use crate::ids::ClientId;
use crate::refusal::Refusal;
use serde_json::Value;

/// A connector whose accounts are bound, and how its routes name them.
#[derive(Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its name in the matrix; as in its path.
    pub name: &'static str,
    /// Its names in links.
    links: &'static [&'static str],
    /// The parameter that its routes read.
    parameter: &'static str,
    /// Other names for the account.
    aliases: &'static [&'static str],
    /// Names for the manager account above it.
    managers: &'static [&'static str],
}

/// Every connector whose accounts are bound.
pub const CONNECTORS: [Connector; 4] = [
    Connector {
        name: "google-ads",
        links: &["google-ads", "google_ads", "googleads"],
        parameter: "account_id",
        aliases: &["accountId", "customer_id", "customerId", "cid"],
        managers: &[
            "mcc_id",
            "mcc",
            "mccId",
            "manager_customer_id",
            "managerCustomerId",
            "login_customer_id",
            "loginCustomerId",
            "manager_id",
            "managerId",
            "parent_customer_id",
            "parentCustomerId",
        ],
    },
    Connector {
        name: "ga4",
        links: &[
            "ga4",
            "google-analytics",
            "google_analytics",
            "google-analytics-4",
        ],
        parameter: "property_id",
        aliases: &[
            "propertyId",
            "property",
            "selected_property",
            "selectedPropertyId",
        ],
        managers: &[],
    },
    Connector {
        name: "google-search-console",
        links: &[
            "google-search-console",
            "google_search_console",
            "search-console",
            "gsc",
        ],
        parameter: "property_id",
        aliases: &["propertyId", "siteUrl", "site_url"],
        managers: &[],
    },
    Connector {
        name: "google-tag-manager",
        links: &[
            "google-tag-manager",
            "google_tag_manager",
            "tag-manager",
            "gtm",
        ],
        parameter: "container_id",
        aliases: &["containerId"],
        managers: &[],
    },
];

/// How a rule's routes use accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Of which connector.
    pub connector: &'static Connector,
    /// They read one account: where none is named, the client's first is.
    pub one: bool,
    /// The body may name it too.
    pub body: bool,
}

/// A client's link to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    id: u64,
    client: ClientId,
    connector: String,
    /// As the app has it; empty where the link names none.
    account: String,
    connected: bool,
}

/// An id in the form in which ids are compared: without what says its kind,
/// and digits without dashes.
pub fn canonical(id: &str) -> String {
    let id = id.trim().to_ascii_lowercase();
    let kinds = ["customers/", "properties/", "accounts/", "containers/"];
    let id = kinds
        .iter()
        .find_map(|kind| id.strip_prefix(kind))
        .unwrap_or(&id)
        .trim();
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits,
        false => id.to_owned(),
    }
}

/// Links of one user that are read at most; nobody has so many.
const MOST_LINKS: usize = 5_000;

/// Reads the app's list of a user's links; `None` for anything else, and for rows
/// that do not say what they link. Rows of no client are nobody's, and left out.
pub fn links(answer: &[u8]) -> Option<Vec<Link>> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("links")?.as_array())
        .or_else(|| value.get("client_connectors")?.as_array())?;
    if rows.len() > MOST_LINKS {
        return None;
    }
    let mut links = Vec::with_capacity(rows.len());
    for row in rows {
        if let Owner::Client(client) = guard::owner(row.get("client_id")?)? {
            links.push(link(row, client)?);
        }
    }
    Some(links)
}

fn link(row: &Value, client: ClientId) -> Option<Link> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let account = match row.get("account_id") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return None,
    };
    Some(Link {
        id: row.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX),
        client,
        connector: text("connector_slug").or_else(|| text("slug"))?.to_owned(),
        account,
        connected: text("status") != Some("disconnected"),
    })
}

impl Connector {
    /// The connector of this name.
    pub fn find(name: &str) -> Option<&'static Connector> {
        CONNECTORS.iter().find(|connector| connector.name == name)
    }

    /// A client's links of this connector; `None` where there are none, and nothing is
    /// bound. One that was disconnected binds as well: to unlink must not open anything.
    fn of<'a>(&self, client: ClientId, links: &'a [Link]) -> Option<Vec<&'a Link>> {
        let own = links.iter().filter(|link| link.client == client);
        let own: Vec<&Link> = own.filter(|link| self.is_of(link)).collect();
        (!own.is_empty()).then_some(own)
    }

    fn is_of(&self, link: &Link) -> bool {
        self.links.contains(&link.connector.as_str())
    }

    /// Whether an account may be seen within a client, of all the user's links.
    pub fn allows(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        match self.of(client, links) {
            Some(own) => own.iter().any(|link| link.is_to(account)),
            None => !self.is_anothers(account, client, links),
        }
    }

    /// Whether it is linked to another client of the user's.
    fn is_anothers(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        let mut others = links.iter().filter(|link| link.client != client);
        others.any(|link| self.is_of(link) && link.is_to(account))
    }
}

/// Whether an account, of whatever connector, is linked to a client that the token
/// does not reach: such a token must not link it, nor see it to link it.
pub fn is_out_of_reach(account: &str, reach: &Reach, links: &[Link]) -> bool {
    let mut others = links.iter().filter(|link| !reach.allows(link.client));
    reach.is_limited() && others.any(|link| link.is_to(account))
}

impl Link {
    fn is_to(&self, account: &str) -> bool {
        self.connected && !self.account.is_empty() && canonical(&self.account) == canonical(account)
    }
}

/// A request within its accounts.
pub struct Bound {
    /// With the account that is read in the one place where it is.
    pub permit: Permit,
    /// None was named, the client has no link, and other clients have: which one
    /// the app or Coolbits would take is not known, and may be theirs.
    pub is_open: bool,
}

/// Decides whether the accounts that a request names are its client's, and names
/// the one that is read where the request leaves that open.
///
/// Errors with [`Refusal::AccountNotLinked`], and with [`Refusal::BodyMalformed`]
/// for an account in the body that is neither a text nor a number.
pub fn bind(
    permit: Permit,
    accounts: Accounts,
    fields: Option<&Fields>,
    links: &[Link],
) -> Result<Bound, Refusal> {
    let closed = |permit| Bound {
        permit,
        is_open: false,
    };
    let Accounts {
        connector,
        one,
        body,
    } = accounts;
    let Some(client) = permit.client() else {
        return Ok(closed(permit));
    };
    let names = [&[connector.parameter], connector.aliases].concat();
    let allows = |id: &str| connector.allows(id, client, links);
    let mut named = Vec::new();
    for value in permit.query().values(&names) {
        named.push(value.to_owned());
    }
    if let Some(fields) = fields.filter(|_| body) {
        for name in &names {
            named.extend(fields.text(name)?);
        }
    }
    named.retain(|id| !id.is_empty());
    let managers = permit.query().values(connector.managers);
    let foreign_manager = managers.filter(|id| !id.is_empty()).any(|id| !allows(id));
    if foreign_manager || !named.iter().all(|id| allows(id)) {
        return Err(Refusal::AccountNotLinked);
    }
    if !one {
        return Ok(closed(permit));
    }
    // Said again in the one place that is read: a second or an empty one must not win.
    let chosen = match (named.first(), connector.of(client, links)) {
        (Some(id), _) => id.clone(),
        (None, Some(own)) => own
            .iter()
            .filter(|link| link.connected && !link.account.is_empty())
            .min_by_key(|link| link.id)
            .map(|link| link.account.clone())
            .ok_or(Refusal::AccountNotLinked)?,
        (None, None) => {
            let is_open = links.iter().any(|link| connector.is_of(link));
            return Ok(Bound { permit, is_open });
        }
    };
    Ok(closed(permit.with_parameter(connector.parameter, &chosen)))
}

#[cfg(test)]
mod tests;
