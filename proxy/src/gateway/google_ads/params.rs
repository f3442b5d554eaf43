//! What the caller's query means, and the query that Coolbits gets.

use super::rows::{dashed, digits};
use camarad_policies::query::Query;
use camarad_policies::route::Operation;
use time::{Date, Duration};

/// The account that the app reads when none is named.
const DEFAULT_ACCOUNT: &str = "123-456-7890";
/// The campaign that the app reads when none is named.
const DEFAULT_CAMPAIGN: &str = "c-1001";
const DEFAULT_DAYS: i64 = 30;

/// The days an answer covers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) days: u16,
}

/// A caller's request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// The account as it was named.
    pub(crate) account: String,
    /// Whether the caller named it.
    pub(crate) account_named: bool,
    pub(crate) campaign: String,
    /// `days` as given, for the echo.
    pub(crate) days: i64,
    pub(crate) window: Window,
    /// Digits of the manager account.
    pub(crate) manager: Option<String>,
    pub(crate) report_type: String,
}

/// The customer to select before reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Digits of the customer.
    pub(crate) customer: String,
    /// Digits of the manager to log in as.
    pub(crate) manager: Option<u64>,
}

impl Params {
    /// Reads a query as the app does. `today` is the UTC date.
    pub(crate) fn read(operation: Operation, query: &Query, today: Date) -> Self {
        let given = |name: &str| query.get(name).filter(|value| !value.is_empty());
        let days = given("days").and_then(|text| text.trim().parse().ok());
        let days = match operation {
            Operation::GoogleAdsKeywords | Operation::GoogleAdsAccounts => DEFAULT_DAYS,
            _ => days.unwrap_or(DEFAULT_DAYS),
        };
        Self {
            account: given("account_id").unwrap_or(DEFAULT_ACCOUNT).to_owned(),
            account_named: given("account_id").is_some(),
            campaign: given("campaign_id").unwrap_or(DEFAULT_CAMPAIGN).to_owned(),
            days,
            window: Window::ending(today, days),
            manager: given("mcc_id")
                .map(digits)
                .filter(|digits| !digits.is_empty()),
            report_type: given("type").unwrap_or("campaign_performance").to_owned(),
        }
    }

    /// The customer to select, for operations that read one; `None` for an
    /// account without digits, which no customer can be.
    ///
    /// The app leaves keywords without an account to whichever customer was
    /// selected last, possibly another client's; here they read the default
    /// account like their siblings.
    pub(crate) fn selection(&self) -> Option<Selection> {
        let customer = digits(&self.account);
        (!customer.is_empty()).then(|| Selection {
            customer,
            manager: self.manager.as_ref().and_then(|m| m.parse().ok()),
        })
    }

    /// The query for Coolbits (contract, section 4.1).
    pub(crate) fn query(&self, operation: Operation) -> Vec<(&'static str, String)> {
        let account = ("account_id", self.account.clone());
        let from = ("from", self.window.from.to_string());
        let to = ("to", self.window.to.to_string());
        let text = |name, value: &str| (name, value.to_owned());
        let mut query = match operation {
            Operation::GoogleAdsAccounts => vec![],
            Operation::GoogleAdsCampaigns | Operation::GoogleAdsReports => vec![
                account,
                text("preset", "campaigns"),
                from,
                to,
                text("blocks", "overview,campaigns"),
            ],
            Operation::GoogleAdsKeywords => {
                let mut query = vec![
                    text("campaign_id", &self.campaign),
                    text("preset", "keywords"),
                    from,
                    to,
                    text("blocks", "overview,keywords"),
                ];
                query.extend(self.account_named.then_some(account));
                query
            }
            Operation::GoogleAdsMetrics => vec![
                account,
                ("days", self.days.to_string()),
                from,
                to,
                text("blocks", "overview,series"),
            ],
        };
        self.add_aliases(&mut query);
        query
    }

    /// The query by which the name of an account is looked up.
    pub(crate) fn name_query(&self, account: &str) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("account_id", account.to_owned()),
            ("preset", "overview".to_owned()),
            ("from", self.window.from.to_string()),
            ("to", self.window.to.to_string()),
            ("blocks", "overview".to_owned()),
        ];
        self.add_aliases(&mut query);
        query
    }

    /// Coolbits is given the manager under every name it may know.
    fn add_aliases(&self, query: &mut Vec<(&'static str, String)>) {
        const DASHED: [&str; 3] = ["mcc_id", "mcc", "mccId"];
        const DIGITS: [&str; 11] = [
            "manager_customer_id",
            "login_customer_id",
            "managerCustomerId",
            "loginCustomerId",
            "manager_id",
            "managerId",
            "parent_customer_id",
            "parentCustomerId",
            "customer_id",
            "customerId",
            "cid",
        ];
        const FLAGS: [&str; 5] = [
            "include_children",
            "children",
            "expand",
            "include_clients",
            "list_children",
        ];
        let Some(manager) = &self.manager else { return };
        let names_account = query.iter().any(|(name, _)| *name == "account_id");
        query.extend(DASHED.map(|name| (name, dashed(manager))));
        query.extend(DIGITS.map(|name| (name, manager.clone())));
        query.extend(FLAGS.map(|name| (name, "1".to_owned())));
        if !names_account {
            query.push(("account_id", dashed(manager)));
        }
    }
}

impl Window {
    /// The window that ends at `to`; 0 means the default, more than a year is a year.
    fn ending(to: Date, days: i64) -> Self {
        let days = match days {
            0 => DEFAULT_DAYS,
            days => days.clamp(1, 365),
        } as u16;
        Self {
            from: to.saturating_sub(Duration::days(i64::from(days) - 1)),
            to,
            days,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::params;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn days_are_limited_for_the_window_and_echoed_as_given() {
        let cases = [
            ("", 30, "2026-10-26"),
            ("days=7", 7, "2026-11-18"),
            ("days=0", 0, "2026-10-26"),
            ("days=-5", -5, "2026-11-24"),
            ("days=1000", 1000, "2025-11-25"),
            ("days=abc", 30, "2026-10-26"),
        ];
        for (query, echoed, from) in cases {
            let params = params(Operation::GoogleAdsMetrics, query);
            assert_eq!(
                (params.days, params.window.from.to_string()),
                (echoed, from.into()),
                "{query}"
            );
            assert_eq!(params.window.to.to_string(), "2026-11-24");
        }
    }

    fn query(operation: Operation, asked: &str) -> BTreeMap<&'static str, String> {
        let pairs = params(operation, asked).query(operation);
        let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "a name stands twice: {pairs:?}");
        map
    }

    #[test]
    fn the_manager_is_named_under_every_alias_and_never_over_an_account() {
        let with = query(
            Operation::GoogleAdsCampaigns,
            "account_id=1&mcc_id=000-111-2222",
        );
        assert_eq!(with["mccId"], "000-111-2222");
        assert_eq!(with["loginCustomerId"], "0001112222");
        assert_eq!(with["list_children"], "1");
        assert_eq!(with["account_id"], "1");
        assert_eq!(with.len(), 5 + 19);
        let accounts = query(Operation::GoogleAdsAccounts, "mcc_id=0001112222");
        assert_eq!(accounts["account_id"], "000-111-2222");
        let none = query(Operation::GoogleAdsAccounts, "mcc_id=none");
        assert!(none.is_empty());
    }

    #[test]
    fn keywords_name_an_account_only_when_they_are_given_one() {
        let given = query(
            Operation::GoogleAdsKeywords,
            "campaign_id=c-1&account_id=234-567-8901",
        );
        assert_eq!(given["account_id"], "234-567-8901");
        assert_eq!(given["blocks"], "overview,keywords");
        assert!(!query(Operation::GoogleAdsKeywords, "").contains_key("account_id"));
        let manager = query(Operation::GoogleAdsKeywords, "mcc_id=0001112222");
        assert_eq!(manager["account_id"], "000-111-2222");
    }

    #[test]
    fn a_customer_is_selected_by_its_digits() {
        let selection = |query| params(Operation::GoogleAdsCampaigns, query).selection();
        let of = |customer: &str, manager| {
            Some(Selection {
                customer: customer.into(),
                manager,
            })
        };
        assert_eq!(selection(""), of("1234567890", None));
        assert_eq!(
            selection("account_id=234-567-8901&mcc_id=000-111-2222"),
            of("2345678901", Some(1_112_222))
        );
        assert_eq!(selection("account_id=abc"), None);
    }
}
