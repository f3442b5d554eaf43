//! Accounts of connectors, tied to clients.
//!
//! A caller's Coolbits token may read the accounts of all of the user's clients,
//! so an account that a request names must be linked to the decided client
//! (`/api/client_connectors`). A client without any link of a connector is not
//! bound to an account of it. Not here: the service account, which goes by the
//! operator's own table alone, since links are self-asserted.

use crate::authorise::Permit;
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
        .unwrap_or(&id);
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits,
        false => id.to_owned(),
    }
}

/// Reads the app's list of a client's links; `None` for anything else, and for
/// rows that do not say what they link. Rows of other clients are left out.
pub fn links(answer: &[u8], client: ClientId) -> Option<Vec<Link>> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("links")?.as_array())
        .or_else(|| value.get("client_connectors")?.as_array())?;
    let is_own = |row: &&Value| match row.get("client_id") {
        None => true,
        Some(id) => guard::owner(id) == Some(Owner::Client(client)),
    };
    rows.iter().filter(is_own).map(link).collect()
}

fn link(row: &Value) -> Option<Link> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let account = match row.get("account_id") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return None,
    };
    Some(Link {
        id: row.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX),
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

    /// The links of this connector; `None` where there are none, and nothing is bound.
    /// One that was disconnected binds as well: to unlink must not open anything.
    fn of<'a>(&self, links: &'a [Link]) -> Option<Vec<&'a Link>> {
        let of = |link: &&Link| self.links.contains(&link.connector.as_str());
        let own: Vec<&Link> = links.iter().filter(of).collect();
        (!own.is_empty()).then_some(own)
    }

    /// Whether an account may be seen with these links.
    pub fn allows(&self, account: &str, links: &[Link]) -> bool {
        self.of(links)
            .is_none_or(|own| own.iter().any(|link| link.is_to(account)))
    }
}

impl Link {
    fn is_to(&self, account: &str) -> bool {
        self.connected && !self.account.is_empty() && canonical(&self.account) == canonical(account)
    }
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
) -> Result<Permit, Refusal> {
    let Accounts {
        connector,
        one,
        body,
    } = accounts;
    let Some(own) = connector.of(links) else {
        return Ok(permit);
    };
    let names = [&[connector.parameter], connector.aliases].concat();
    let is_linked = |id: &str| own.iter().any(|link| link.is_to(id));
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
    let foreign_manager = managers
        .filter(|id| !id.is_empty())
        .any(|id| !is_linked(id));
    if foreign_manager || !named.iter().all(|id| is_linked(id)) {
        return Err(Refusal::AccountNotLinked);
    }
    if !one {
        return Ok(permit);
    }
    // Said again in the one place that is read: a second or an empty one must not win.
    let chosen = match named.first() {
        Some(id) => id.clone(),
        None => own
            .iter()
            .filter(|link| link.connected && !link.account.is_empty())
            .min_by_key(|link| link.id)
            .map(|link| link.account.clone())
            .ok_or(Refusal::AccountNotLinked)?,
    };
    Ok(permit.with_parameter(connector.parameter, &chosen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorise::tests::{identity, permit};
    use proptest::prelude::*;

    #[test]
    fn ids_are_compared_without_their_kind_and_dashes() {
        for (one, other) in [
            ("123-456-7890", "1234567890"),
            ("customers/1234567890", "123-456-7890"),
            ("properties/42", "42"),
            (" 42 ", "42"),
            ("gtm-wx4r7n2", "GTM-WX4R7N2"),
            ("sc-domain:camarad.ai", "SC-DOMAIN:camarad.ai"),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one}");
        }
        for (one, other) in [
            ("0123", "123"),
            ("123", "1234"),
            ("GTM-WX4R7N2", "GTMWX4R7N2"),
            ("customers/1/2", "12"),
            ("", "-"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one}");
        }
    }

    fn own() -> ClientId {
        ClientId::parse("10").unwrap()
    }

    fn linked() -> Vec<Link> {
        links(
            br#"[{"id": 9, "connector_slug": "google-ads", "account_id": "234-567-8901", "status": "connected"},
                 {"id": 4, "connector_slug": "google-ads", "account_id": "1234567890", "status": "connected"},
                 {"id": 2, "connector_slug": "google-ads", "account_id": "999-999-9999", "status": "disconnected"},
                 {"id": 5, "slug": "ga4", "account_id": "G-OLD", "status": "disconnected"},
                 {"id": 6, "connector_slug": "slack", "account_id": null},
                 {"id": 7, "client_id": 20, "connector_slug": "google-ads", "account_id": "345-678-9012"}]"#,
            own(),
        )
        .unwrap()
    }

    fn bound(
        connector: &str,
        query: &str,
        body: Option<&str>,
        one: bool,
    ) -> Result<String, Refusal> {
        let accounts = Accounts {
            connector: Connector::find(connector).unwrap(),
            one,
            body: body.is_some(),
        };
        let target = format!("/api/connectors/ga4/status?{query}");
        let permit = permit(Some(identity(1, Some(&[10]))), &target, &[]).unwrap();
        let fields = body.map(|body| Fields::read(body.as_bytes(), None, false).unwrap());
        bind(permit, accounts, fields.as_ref(), &linked()).map(|p| p.query().to_text())
    }

    #[test]
    fn a_named_account_is_linked_or_refused_and_one_is_chosen_where_none_is_named() {
        let gone = Err(Refusal::AccountNotLinked);
        let ok = |text: &str| Ok(text.to_owned());
        let ads = "google-ads";
        let first = "account_id=1234567890";
        let cases = [
            (
                ads,
                "account_id=123-456-7890",
                ok("account_id=123-456-7890"),
            ),
            (
                ads,
                "account_id=customers%2F1234567890",
                ok("account_id=customers%2F1234567890"),
            ),
            (ads, "", ok(first)),
            (ads, "account_id=", ok(first)),
            (ads, "days=7", ok(&format!("days=7&{first}"))),
            (
                ads,
                "account_id=&account_id=234-567-8901",
                ok("account_id=234-567-8901"),
            ),
            (
                ads,
                "account_id=1234567890&account_id=234-567-8901",
                ok(first),
            ),
            (
                ads,
                "customer_id=2345678901",
                ok("customer_id=2345678901&account_id=2345678901"),
            ),
            (ads, "account_id=345-678-9012", gone.clone()),
            (ads, "account%5Fid=345-678-9012", gone.clone()),
            (
                ads,
                "account_id=1234567890&customerId=345-678-9012",
                gone.clone(),
            ),
            (
                ads,
                "account_id=1234567890&account_id=345-678-9012",
                gone.clone(),
            ),
            (
                ads,
                "account_id=1234567890&mcc_id=000-111-2222",
                gone.clone(),
            ),
            (ads, "account_id=x1234567890", gone.clone()),
            (ads, "account_id=999-999-9999", gone.clone()),
            // A link that was disconnected binds, and links nothing.
            ("ga4", "", gone.clone()),
            ("ga4", "property_id=G-OLD", gone.clone()),
            (
                "google-tag-manager",
                "container_id=GTM-1",
                ok("container_id=GTM-1"),
            ),
            ("google-tag-manager", "", ok("")),
        ];
        for (connector, query, expected) in cases {
            assert_eq!(
                bound(connector, query, None, true),
                expected,
                "{connector} {query}"
            );
        }
        assert_eq!(bound(ads, "", None, false), ok(""), "a list reads none");
        assert_eq!(bound(ads, "mcc_id=1", None, false), gone);
        let body = |text| bound(ads, "", Some(text), false);
        assert_eq!(body(r#"{"account_id": 1234567890}"#), ok(""));
        assert_eq!(body(r#"{"customerId": "3456789012"}"#), gone);
        assert_eq!(body(r#"{"customerId": []}"#), Err(Refusal::BodyMalformed));
    }

    #[test]
    fn what_is_a_list_of_links() {
        assert_eq!(links(b"[]", own()), Some(vec![]));
        assert_eq!(links(br#"{"links": []}"#, own()), Some(vec![]));
        for answer in [
            "",
            "{}",
            "[1]",
            r#"[{"id": 1}]"#,
            r#"[{"slug": "a", "account_id": {}}]"#,
        ] {
            assert_eq!(links(answer.as_bytes(), own()), None, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_id_is_its_own_canonical_form(id in "(customers/|properties/)?[a-zA-Z0-9:./ -]{0,16}") {
            let once = canonical(&id);
            if !once.contains('/') {
                prop_assert_eq!(canonical(&once), once.trim());
            }
        }
    }
}
