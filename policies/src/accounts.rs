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
use crate::guardrails::Standing;
use crate::ids::{ClientId, ObjectId};
use crate::query::Query;
use crate::refusal::Refusal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A connector whose accounts are bound, and how its routes name them.
#[derive(Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its name in the matrix; as in its path.
    pub name: &'static str,
    /// Its names in links.
    links: &'static [&'static str],
    /// Every name of its account: the parameter that its routes read, and then others.
    names: &'static [&'static str],
    /// Names for the manager account above it.
    managers: &'static [&'static str],
    /// What its ids look like.
    form: Form,
}

/// What ids of accounts look like that a caller names. Anything else is no account: the
/// gateway and the app read ids more leniently, and two spellings of one account must
/// not be two. Ids that links have are read as leniently as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Digits, with dashes between them.
    Digits,
    /// Letters, digits, dashes and underscores.
    Word,
    /// A domain or a URL: anything without spaces.
    Site,
}

/// Every connector whose accounts are bound.
pub const CONNECTORS: [Connector; 5] = [
    Connector {
        name: "google-ads",
        links: &["google-ads", "googleads"],
        names: &[
            "account_id",
            "accountId",
            "customer_id",
            "customerId",
            "cid",
        ],
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
        links: &["ga4", "google-analytics", "google-analytics-4"],
        names: &[
            "property_id",
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
        links: &["google-search-console", "search-console", "gsc"],
        names: &["property_id", "propertyId", "siteUrl", "site_url"],
        managers: &[],
        form: Form::Site,
    },
    Connector {
        name: "google-tag-manager",
        links: &["google-tag-manager", "tag-manager", "gtm"],
        names: &["container_id", "containerId"],
        managers: &[],
        form: Form::Word,
    },
    Connector {
        name: "stripe",
        links: &["stripe"],
        names: &["account_id", "accountId", "account"],
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
    /// `None` for one whose accounts are not bound.
    connector: Option<&'static Connector>,
    /// As the app has it; empty where the link names none.
    account: String,
    /// In the form in which ids are compared, where it is one of the connector's.
    key: Option<String>,
    /// As it goes on: as it stands there, if it is an id.
    spelled: Option<String>,
    connected: bool,
}

/// What may stand before an id and says its kind.
const KINDS: [&str; 4] = ["customers/", "properties/", "accounts/", "containers/"];

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

/// Every name under which a body could name an account.
pub fn fields() -> Vec<&'static str> {
    let of = |connector: &'static Connector| {
        let names = connector.names.iter().chain(connector.managers);
        names.copied()
    };
    let names = CONNECTORS.iter().flat_map(of);
    names.chain(["account_id", "account"]).collect()
}

/// An account as the operator's table has it: the digits of a Google Ads account,
/// anything else in lower case.
pub fn bare(id: &str) -> String {
    let id = id.trim().to_lowercase();
    let id = without_kinds(&id);
    match !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        true => id.chars().filter(char::is_ascii_digit).collect(),
        false => id.to_owned(),
    }
}

fn without_kinds(id: &str) -> &str {
    let bare = KINDS.iter().find_map(|kind| id.strip_prefix(kind));
    bare.map_or(id, without_kinds)
}

/// Digits as the number that they are.
fn without_zeros(digits: &str) -> String {
    digits.trim_start_matches('0').to_owned()
}

impl Connector {
    /// The connector of this name.
    pub fn find(name: &str) -> Option<&'static Connector> {
        CONNECTORS.iter().find(|connector| connector.name == name)
    }

    /// The connector that links and flows call so.
    pub fn of_link(slug: &str) -> Option<&'static Connector> {
        CONNECTORS
            .iter()
            .find(|connector| connector.links.contains(&slug))
    }

    /// The names of the manager account above its account.
    pub fn managers(&self) -> &'static [&'static str] {
        self.managers
    }

    /// The parameter that its routes read.
    fn parameter(&self) -> &'static str {
        self.names[0]
    }

    /// Whether a query names the account that is read.
    pub fn is_named(&self, query: &Query) -> bool {
        query.get(self.parameter()).is_some_and(|id| !id.is_empty())
    }

    /// An id that a caller names, in the form in which ids are compared. `None` for what
    /// is no id of this connector.
    pub fn canonical(&self, id: &str) -> Option<String> {
        let lower = id.to_ascii_lowercase();
        let bare = KINDS.iter().find_map(|kind| lower.strip_prefix(kind));
        let fits = |c: char| match self.form {
            Form::Digits => c.is_ascii_digit() || c == '-',
            Form::Word => c.is_ascii_alphanumeric() || c == '-' || c == '_',
            Form::Site => !c.is_whitespace() && !c.is_control(),
        };
        let is_one = id.len() <= 512 && bare.unwrap_or(&lower).chars().all(fits);
        match self.form {
            Form::Site if is_one => site(&lower),
            _ => is_one.then(|| self.key(id)).flatten(),
        }
    }

    /// An id in the form in which ids are compared: without what says its kind, digits
    /// without dashes and zeros before them, as whoever reads them as a number does.
    fn key(&self, id: &str) -> Option<String> {
        let id = id.trim().to_lowercase();
        let id = without_kinds(&id);
        if let (Form::Site, Some(site)) = (self.form, site(id)) {
            return Some(site);
        }
        let is_number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let key = match (self.form, is_number) {
            (Form::Digits, _) | (_, true) => digits(id),
            (Form::Word | Form::Site, false) => id.to_owned(),
        };
        (!key.is_empty()).then_some(key)
    }

    /// A link's account as it goes on: as it stands there, if it is an id.
    fn spelled(&self, account: &str) -> Option<String> {
        match self.canonical(account) {
            Some(_) => Some(account.to_owned()),
            None => self.key(account),
        }
    }

    /// A client's links of this connector; where there are none, nothing is bound. One that
    /// was disconnected binds as well: to unlink must not open anything.
    fn of<'a>(&self, client: ClientId, links: &'a [Link]) -> impl Iterator<Item = &'a Link> {
        let own = links.iter().filter(move |link| link.client == client);
        own.filter(|link| self.is_of(link))
    }

    /// Whether an account of this connector is bound to the client.
    fn binds(&self, client: ClientId, links: &[Link]) -> bool {
        self.of(client, links).next().is_some()
    }

    fn is_of(&self, link: &Link) -> bool {
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

    /// Every name of its account in settings and flows, the one that its routes read first.
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// The accounts that a body names.
    fn named_in(&self, fields: &Fields) -> Result<Vec<String>, Refusal> {
        let mut named = Vec::new();
        for name in self.names() {
            named.extend(fields.text(name)?);
        }
        Ok(named)
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

/// Whether an account, of whatever connector, is linked to a client that the token
/// does not reach and to none that it does: such a token must not link it, nor see it
/// to link it. Compared as loosely as anybody could read it.
pub fn is_out_of_reach(account: &str, reach: &Reach, links: &[Link]) -> bool {
    if !reach.is_limited() {
        return false;
    }
    let wanted = squashed(account);
    let is_linked = |is_reached: bool, is_it: &dyn Fn(&str) -> bool| {
        let mut links = links.iter().filter(|link| link.connected);
        links.any(|link| reach.allows(link.client) == is_reached && is_it(&link.account))
    };
    let digits = digits(account);
    let is_alike = |other: &str| {
        let same = digits.len() >= 6 && digits == self::digits(other);
        same || (!wanted.is_empty() && wanted == squashed(other))
    };
    !is_linked(true, &|own| !wanted.is_empty() && wanted == squashed(own))
        && is_linked(false, &is_alike)
}

/// Letters and digits alone; a whole number, however it is written, as its digits.
fn squashed(account: &str) -> String {
    let account = account.trim().to_lowercase();
    let account = without_kinds(&account);
    // As far as such numbers are exact.
    let number = account.parse::<f64>().ok().map(f64::abs);
    if let Some(number) = number.filter(|n| n.fract() == 0.0 && *n < 9e15) {
        return format!("{number:.0}");
    }
    let plain: String = account
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    match plain.bytes().all(|b| b.is_ascii_digit()) {
        true => without_zeros(&plain),
        false => plain,
    }
}

fn digits(account: &str) -> String {
    let digits: String = account.chars().filter(char::is_ascii_digit).collect();
    without_zeros(&digits)
}

/// A site in the one form in which it is compared: `sc-domain:` and a host, or an http(s)
/// URL with its path, without what may be left out. `None` for anything else.
fn site(id: &str) -> Option<String> {
    if let Some(host) = id.strip_prefix("sc-domain:") {
        return is_name(host).then(|| id.to_owned());
    }
    let (scheme, rest) = id.split_once("://")?;
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.strip_suffix(port).unwrap_or(authority);
    // RFC 3986 without what is encoded: that would be a second way to write the same.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b);
    let is_plain = path.bytes().all(plain) && !path.contains("..") && !path.contains("//");
    (is_name(authority) && is_plain).then(|| format!("{scheme}://{authority}/{path}"))
}

/// Whether it is a host's name: letters of alphabets, and nothing that looks like another
/// letter or like none.
fn is_name(host: &str) -> bool {
    let plain = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "-.:_".contains(c),
        false => c.is_alphanumeric() && c < '\u{2000}',
    };
    !host.is_empty() && host.chars().all(plain)
}

/// The host of a site, in any of its forms.
fn host_of(site: &str) -> &str {
    let rest = site.strip_prefix("sc-domain:").unwrap_or(site);
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
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

/// How a request is held to its accounts.
pub struct Bound {
    /// None was named, the client has no link, and other clients have: which one
    /// the app or Coolbits would take is not known, and may be theirs.
    pub is_open: bool,
}

/// Decides whether the accounts that a request names are its client's, and has its permit
/// name the one that is read in the one place where it is.
///
/// Errors with [`Refusal::AccountNotLinked`], and with [`Refusal::BodyMalformed`]
/// for an account in the body that is neither a text nor a number.
pub fn bind(
    permit: &mut Arc<Permit>,
    accounts: Accounts,
    fields: Option<&Fields>,
    links: &[Link],
) -> Result<Bound, Refusal> {
    let closed = Bound { is_open: false };
    let Accounts {
        connector,
        one,
        body,
    } = accounts;
    let Some(client) = permit.client() else {
        return Ok(closed);
    };
    let allows = |id: &str| connector.allows(id, client, links);
    let query = permit.query();
    let in_body = match fields.filter(|_| body) {
        Some(fields) => connector.named_in(fields)?,
        None => Vec::new(),
    };
    let in_query = query.values(connector.names);
    let in_body = in_body.iter().map(String::as_str);
    let mut named = in_query.chain(in_body).filter(|id| !id.is_empty());
    let first = named.next();
    let managers = query.values(connector.managers).filter(|id| !id.is_empty());
    if !first.into_iter().chain(named).chain(managers).all(allows) {
        return Err(Refusal::AccountNotLinked);
    }
    if !one {
        return Ok(closed);
    }
    // Said again in the one place that is read: a second or an empty one must not win.
    let chosen = match first {
        Some(id) if query.is_set(connector.parameter(), id) => return Ok(closed),
        Some(id) => id.to_owned(),
        None if connector.binds(client, links) => connector
            .chosen(client, links)
            .ok_or(Refusal::AccountNotLinked)?,
        None => {
            let is_open = links.iter().any(|link| connector.is_of(link));
            return Ok(Bound { is_open });
        }
    };
    Arc::make_mut(permit).set_parameter(connector.parameter(), &chosen);
    Ok(closed)
}

#[cfg(test)]
mod tests;
