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
use crate::ids::{ClientId, ObjectId};
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
    /// What its ids look like.
    form: Form,
}

/// What ids of accounts look like. Anything else is no account: the gateway and the
/// app read ids more leniently, and two spellings of one account must not be two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Digits, with dashes between them.
    Digits,
    /// Letters, digits and dashes.
    Word,
    /// A domain or a URL.
    Site,
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
        form: Form::Digits,
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
        form: Form::Word,
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
        form: Form::Site,
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
        form: Form::Word,
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
    connector: &'static Connector,
    /// As the app has it; empty where the link names none.
    account: String,
    connected: bool,
}

/// Reads the app's list of a user's links, as far as they are of connectors whose
/// accounts are bound; `None` for what is no list. Rows of no client are nobody's.
/// One that does not say its account links none, and binds all the same.
pub fn links(answer: &[u8]) -> Option<Vec<Link>> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("links")?.as_array())
        .or_else(|| value.get("client_connectors")?.as_array())?;
    Some(rows.iter().filter_map(link).collect())
}

fn link(row: &Value) -> Option<Link> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let Owner::Client(client) = guard::owner(row.get("client_id")?)? else {
        return None;
    };
    let slug = text("connector_slug").or_else(|| text("slug"))?;
    let connector = CONNECTORS.iter().find(|c| c.links.contains(&slug))?;
    let account = match row.get("account_id") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Some(Link {
        id: row.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX),
        client,
        connector,
        account,
        connected: text("status") != Some("disconnected"),
    })
}

/// The account of the link with this id, as the app has it.
pub fn account_of(link: ObjectId, links: &[Link]) -> Option<&str> {
    let found = links.iter().find(|one| one.id == link.get())?;
    Some(&found.account)
}

impl Connector {
    /// The connector of this name.
    pub fn find(name: &str) -> Option<&'static Connector> {
        CONNECTORS.iter().find(|connector| connector.name == name)
    }

    /// An id in the form in which ids are compared: without what says its kind, and
    /// digits without dashes. `None` for what is no id of this connector.
    pub fn canonical(&self, id: &str) -> Option<String> {
        let id = id.to_ascii_lowercase();
        let kinds = ["customers/", "properties/", "containers/"];
        let bare = kinds.iter().find_map(|kind| id.strip_prefix(kind));
        let bare = bare.unwrap_or(&id);
        let fits = |b: u8| match self.form {
            Form::Digits => b.is_ascii_digit() || b == b'-',
            Form::Word => b.is_ascii_alphanumeric() || b == b'-',
            Form::Site => b.is_ascii_alphanumeric() || b"-._~:/%?=&".contains(&b),
        };
        if bare.is_empty() || bare.len() > 256 || !bare.bytes().all(fits) {
            return None;
        }
        let digits: String = bare.chars().filter(|c| *c != '-').collect();
        match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => (!digits.is_empty()).then_some(digits),
            false => Some(bare.to_owned()),
        }
    }

    /// A client's links of this connector; `None` where there are none, and nothing is
    /// bound. One that was disconnected binds as well: to unlink must not open anything.
    fn of<'a>(&self, client: ClientId, links: &'a [Link]) -> Option<Vec<&'a Link>> {
        let own = links.iter().filter(|link| link.client == client);
        let own: Vec<&Link> = own.filter(|link| self.is_of(link)).collect();
        (!own.is_empty()).then_some(own)
    }

    fn is_of(&self, link: &Link) -> bool {
        link.connector == self
    }

    /// Whether an account may be seen within a client, of all the user's links.
    pub fn allows(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        let Some(account) = self.canonical(account) else {
            return false;
        };
        match self.of(client, links) {
            Some(own) => own.iter().any(|link| link.is_to(&account)),
            None => !self.is_anothers(&account, client, links),
        }
    }

    /// Whether it is linked to another client of the user's.
    fn is_anothers(&self, account: &str, client: ClientId, links: &[Link]) -> bool {
        let mut others = links.iter().filter(|link| link.client != client);
        others.any(|link| self.is_of(link) && link.is_to(account))
    }
}

/// Whether an account, of whatever connector, is linked to a client that the token
/// does not reach: such a token must not link it, nor see it to link it. Spellings
/// that are no ids are compared by their digits too, as somebody may read them so.
pub fn is_out_of_reach(account: &str, reach: &Reach, links: &[Link]) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let loose = digits(account);
    let mut others = links.iter().filter(|link| !reach.allows(link.client));
    reach.is_limited()
        && others.any(|link| {
            let exact = link.connector.canonical(account);
            let alike = loose.len() >= 6 && loose == digits(&link.account);
            exact.is_some_and(|account| link.is_to(&account)) || (link.connected && alike)
        })
}

impl Link {
    /// Whether it is to this account, in canonical form.
    fn is_to(&self, account: &str) -> bool {
        self.connected && self.connector.canonical(&self.account).as_deref() == Some(account)
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
            .filter(|link| link.connected && connector.canonical(&link.account).is_some())
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
