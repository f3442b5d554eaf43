//! What a caller's query means, read as the app reads it, and the query that Coolbits gets.
//!
//! Each connector has its own name for the account, its own default and its own
//! window (contract, sections 4.1 to 4.3). Not here: whether the account may be
//! read, which was decided before.

use super::rows::{dashed, digits};
use camarad_policies::endpoints::{Endpoint, Filling};
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::query::Query;
use time::format_description::well_known::Iso8601;
use time::{Date, Duration};

/// The campaign that the app reads when none is named.
const DEFAULT_CAMPAIGN: &str = "c-1001";
/// The longest window that a caller may ask for, in days.
const LONGEST: i64 = 365;
/// Search Console keeps sixteen months, and the app does not limit the days.
const LONGEST_SEARCH: i64 = 500;

/// How a connector's routes name what is read, and what they read where nothing is named.
struct Names {
    account: &'static str,
    default: &'static str,
    days: i64,
    longest: i64,
}

fn names(connector: Connector) -> Names {
    let (account, default, days, longest) = match connector {
        Connector::GoogleAds => ("account_id", "123-456-7890", 30, LONGEST),
        Connector::Ga4 => ("property_id", "G-ABC123DEF4", 30, LONGEST),
        Connector::SearchConsole => ("property_id", "sc-domain:camarad.ai", 28, LONGEST_SEARCH),
        Connector::TagManager => ("container_id", "GTM-WX4R7N2", 30, LONGEST),
        Connector::Stripe => ("account_id", "", 30, LONGEST),
    };
    Names {
        account,
        default,
        days,
        longest,
    }
}

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
    /// The account, property, site or container, as it was named.
    pub(crate) account: String,
    /// Whether the caller named it.
    pub(crate) account_named: bool,
    pub(crate) campaign: String,
    /// `days` as given, for the echo.
    pub(crate) days: i64,
    pub(crate) window: Window,
    /// Digits of the manager account.
    pub(crate) manager: Option<String>,
    /// `type`, of a report or a funnel.
    pub(crate) kind: Option<String>,
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
        let connector = operation.connector();
        let names = names(connector);
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let days = match operation {
            // They read no days.
            Operation::GoogleAdsKeywords | Operation::GoogleAdsAccounts => None,
            _ if connector == Connector::Ga4 => given("days")
                .and_then(number)
                .or_else(|| given("range").and_then(range)),
            _ => given("days").and_then(number),
        };
        let days = days.unwrap_or(names.days);
        let window = match connector {
            Connector::Ga4 => {
                let yesterday = today.previous_day().unwrap_or(today);
                let date = |name| Date::parse(given(name)?, &Iso8601::DATE).ok();
                match (date("from"), date("to")) {
                    // Used as given, and only when both are.
                    (Some(from), Some(to)) if Window::is_sane(from, to, today) => {
                        Window::between(from, to)
                    }
                    _ => Window::ending(yesterday, days, &names),
                }
            }
            _ => Window::ending(today, days, &names),
        };
        Self {
            account: given(names.account).unwrap_or(names.default).to_owned(),
            account_named: given(names.account).is_some(),
            campaign: given("campaign_id").unwrap_or(DEFAULT_CAMPAIGN).to_owned(),
            days,
            window,
            manager: given("mcc_id")
                .map(digits)
                .filter(|digits| !digits.is_empty()),
            kind: given("type").map(str::to_owned),
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

    /// The query for Coolbits (contract, sections 4.1 to 4.3).
    pub(crate) fn query(&self, endpoint: &Endpoint) -> Vec<(String, String)> {
        let (from, to) = (self.window.from.to_string(), self.window.to.to_string());
        let mut query = endpoint.query(&Filling {
            account: &self.account,
            account_named: self.account_named,
            campaign: &self.campaign,
            from: &from,
            to: &to,
            days: self.days,
        });
        add_aliases(self.manager.as_deref(), &mut query);
        query
    }

    /// The query by which the name of an account is looked up.
    pub(crate) fn name_query(&self, account: &str) -> Vec<(String, String)> {
        let query = [
            ("account_id", account.to_owned()),
            ("preset", "overview".to_owned()),
            ("from", self.window.from.to_string()),
            ("to", self.window.to.to_string()),
            ("blocks", "overview".to_owned()),
        ];
        let mut query: Vec<_> = query.map(|(name, value)| (name.to_owned(), value)).into();
        add_aliases(self.manager.as_deref(), &mut query);
        query
    }
}

/// Coolbits is given the manager under every name it may know; `manager` are its digits.
pub(super) fn add_aliases(manager: Option<&str>, query: &mut Vec<(String, String)>) {
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
    let Some(manager) = manager else { return };
    let names_account = query.iter().any(|(name, _)| name == "account_id");
    query.extend(DASHED.map(|name| (name.to_owned(), dashed(manager))));
    query.extend(DIGITS.map(|name| (name.to_owned(), manager.to_owned())));
    query.extend(FLAGS.map(|name| (name.to_owned(), "1".to_owned())));
    if !names_account {
        query.push(("account_id".to_owned(), dashed(manager)));
    }
}

/// Days of a named range: `7days`, `7`, `last_7_days`, and the same for others.
fn range(text: &str) -> Option<i64> {
    const KNOWN: [i64; 5] = [7, 14, 30, 60, 90];
    let text = text.trim();
    let inner = text
        .strip_prefix("last_")
        .and_then(|t| t.strip_suffix("_days"));
    let digits = inner.or(text.strip_suffix("days")).unwrap_or(text);
    let days = digits.parse().ok()?;
    KNOWN.contains(&days).then_some(days)
}

impl Window {
    /// The window that ends at `to`; 0 days mean the default.
    fn ending(to: Date, days: i64, names: &Names) -> Self {
        let days = match days {
            0 => names.days,
            days => days.clamp(1, names.longest),
        } as u16;
        Self {
            from: to.saturating_sub(Duration::days(i64::from(days) - 1)),
            to,
            days,
        }
    }

    /// Whether days that were named are such as anybody has figures of: no caller may make
    /// Coolbits work through centuries. Google Analytics begins in 2005.
    fn is_sane(from: Date, to: Date, today: Date) -> bool {
        let days = (to - from).whole_days() + 1;
        (1..=LONGEST).contains(&days) && from.year() >= 2005 && to <= today
    }

    /// The window from one day to another.
    fn between(from: Date, to: Date) -> Self {
        let days = (to - from).whole_days() + 1;
        Self {
            from,
            to,
            days: days.clamp(1, LONGEST) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::tests::{endpoint, params};
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

    #[test]
    fn a_ga4_window_ends_yesterday_unless_both_ends_are_given() {
        let cases = [
            ("", 30, "2026-10-25", "2026-11-23"),
            ("days=7", 7, "2026-11-17", "2026-11-23"),
            ("days=1000", 1000, "2025-11-24", "2026-11-23"),
            ("range=last_14_days", 14, "2026-11-10", "2026-11-23"),
            ("range=60days", 60, "2026-09-25", "2026-11-23"),
            ("range=90", 90, "2026-08-26", "2026-11-23"),
            ("range=5days", 30, "2026-10-25", "2026-11-23"),
            ("days=3&range=90", 3, "2026-11-21", "2026-11-23"),
            (
                "from=2026-01-01&to=2026-01-31",
                30,
                "2026-01-01",
                "2026-01-31",
            ),
            ("from=2026-01-01", 30, "2026-10-25", "2026-11-23"),
            ("from=2026-01-01&to=soon", 30, "2026-10-25", "2026-11-23"),
        ];
        for (query, days, from, to) in cases {
            let params = params(Operation::Ga4Timeseries, query);
            let window = params.window;
            let seen = (params.days, window.from.to_string(), window.to.to_string());
            assert_eq!(seen, (days, from.into(), to.into()), "{query}");
        }
        for odd in [
            "from=2026-01-31&to=2026-01-01",
            "from=0001-01-01&to=9999-12-31",
            "from=2020-01-01&to=2026-01-01",
            "from=1999-01-01&to=1999-01-31",
            "from=2026-11-20&to=2026-11-25",
        ] {
            let window = params(Operation::Ga4Pages, odd).window;
            assert_eq!(
                (window.days, window.to.to_string()),
                (30, "2026-11-23".into()),
                "{odd}"
            );
        }
    }

    #[test]
    fn every_connector_has_its_own_name_for_the_account() {
        for (operation, query, account) in [
            (Operation::Ga4Pages, "property_id=G-1&account_id=x", "G-1"),
            (Operation::SearchConsolePages, "", "sc-domain:camarad.ai"),
            (
                Operation::SearchConsolePages,
                "property_id=https%3A%2F%2Fa.example%2F",
                "https://a.example/",
            ),
            (Operation::TagManagerTags, "container_id=GTM-1", "GTM-1"),
        ] {
            assert_eq!(params(operation, query).account, account, "{query}");
        }
        assert_eq!(
            params(Operation::SearchConsoleTimeseries, "days=9999")
                .window
                .days,
            500
        );
    }

    fn query(operation: Operation, asked: &str) -> BTreeMap<String, String> {
        let pairs = params(operation, asked).query(endpoint(operation));
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
