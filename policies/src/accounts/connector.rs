//! The connectors whose accounts are bound: how their routes name an account, and what its
//! ids look like.
//!
//! Not here: whose an account is ([`mod@super::links`]).

use super::site::site;
use crate::fields::Fields;
use crate::names::Names;
use crate::query::Query;
use crate::refusal::Refusal;

/// A connector whose accounts are bound, and how its routes name them.
#[derive(Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its name in the matrix; as in its path.
    pub name: &'static str,
    /// Its names in links.
    pub(super) links: &'static [&'static str],
    /// Every name of its account: the parameter that its routes read, and then others.
    pub(super) names: Names,
    /// Names for the manager account above it.
    pub(super) managers: Names,
    /// What its ids look like.
    pub(super) form: Form,
}

/// What ids of accounts look like that a caller names. Anything else is no account: the
/// gateway and the app read ids more leniently, and two spellings of one account must
/// not be two. Ids that links have are read as leniently as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
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
        names: Names::new(&[
            "account_id",
            "accountId",
            "customer_id",
            "customerId",
            "cid",
        ]),
        managers: Names::new(&[
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
        ]),
        form: Form::Digits,
    },
    Connector {
        name: "ga4",
        links: &["ga4", "google-analytics", "google-analytics-4"],
        names: Names::new(&[
            "property_id",
            "propertyId",
            "property",
            "selected_property",
            "selectedPropertyId",
        ]),
        managers: Names::new(&[]),
        form: Form::Word,
    },
    Connector {
        name: "google-search-console",
        links: &["google-search-console", "search-console", "gsc"],
        names: Names::new(&["property_id", "propertyId", "siteUrl", "site_url"]),
        managers: Names::new(&[]),
        form: Form::Site,
    },
    Connector {
        name: "google-tag-manager",
        links: &["google-tag-manager", "tag-manager", "gtm"],
        names: Names::new(&["container_id", "containerId"]),
        managers: Names::new(&[]),
        form: Form::Word,
    },
    Connector {
        name: "stripe",
        links: &["stripe"],
        names: Names::new(&["account_id", "accountId", "account"]),
        managers: Names::new(&[]),
        form: Form::Word,
    },
];

/// What may stand before an id and says its kind.
const KINDS: [&str; 4] = ["customers/", "properties/", "accounts/", "containers/"];

/// Every name under which a body could name an account.
pub fn fields() -> Vec<&'static str> {
    let of = |connector: &'static Connector| {
        let names = connector.names().iter().chain(connector.managers());
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
        self.managers.all()
    }

    /// The parameter that its routes read.
    pub(super) fn parameter(&self) -> &'static str {
        self.names.all()[0]
    }

    /// Whether a query names the account that is read.
    pub fn is_named(&self, query: &Query) -> bool {
        query.get(self.parameter()).is_some_and(|id| !id.is_empty())
    }

    /// Every name of its account in settings and flows, the one that its routes read first.
    pub fn names(&self) -> &'static [&'static str] {
        self.names.all()
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
    pub(super) fn key(&self, id: &str) -> Option<String> {
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
    pub(super) fn spelled(&self, account: &str) -> Option<String> {
        match self.canonical(account) {
            Some(_) => Some(account.to_owned()),
            None => self.key(account),
        }
    }

    /// The accounts that a body names.
    pub(super) fn named_in(&self, fields: &Fields) -> Result<Vec<String>, Refusal> {
        let mut named = Vec::new();
        for name in self.names() {
            named.extend(fields.text(name)?);
        }
        Ok(named)
    }
}

pub(super) fn without_kinds(id: &str) -> &str {
    let bare = KINDS.iter().find_map(|kind| id.strip_prefix(kind));
    bare.map_or(id, without_kinds)
}

/// Digits as the number that they are.
pub(super) fn without_zeros(digits: &str) -> String {
    digits.trim_start_matches('0').to_owned()
}

pub(super) fn digits(account: &str) -> String {
    let digits: String = account.chars().filter(char::is_ascii_digit).collect();
    without_zeros(&digits)
}
