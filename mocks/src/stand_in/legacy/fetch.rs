//! What a run fetches of Google Ads and GA4, from whom, and what becomes of it.
//!
//! The app fetches through its own connector routes, without the caller's cookies or
//! client: whatever account a node names is read with the service account's token.
//! That is the weakness. A connector whose `config` says `"fail": true` could not
//! fetch; the app has no such setting.

use super::coolbits::{Call, Coolbits, Token, Unreachable};
use super::figures::{self, Figures};
use super::store::{Owner, Setting};
use camarad_policies::flow::Node;
use serde_json::{Map, Value, json};
use time::{Date, Duration, OffsetDateTime};

/// Where the app looks when nobody names an account.
const ACCOUNT: &str = "123-456-7890";
const PROPERTY: &str = "G-ABC123DEF4";

/// Where campaigns may be, in the app's order.
const CAMPAIGNS: [&str; 4] = [
    "/api/connectors/googleads/report",
    "/api/google-ads/campaigns",
    "/api/connectors/google-ads/campaigns",
    "/googleads/campaigns",
];

/// What a node names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Want {
    GoogleAds {
        account: String,
        manager: Option<String>,
        /// 1 to 365.
        days: u16,
    },
    Ga4 {
        /// `None`: the one selected at Coolbits.
        property: Option<String>,
        range: String,
    },
}

/// How a fetch ended.
pub(super) enum Read {
    /// Figures, and the account or property they are of.
    Figures(Figures, String),
    /// An answer without figures, whatever the reason: they are made up.
    Nothing,
    /// No answer.
    Failed,
}

/// Told to fail.
pub(super) fn is_to_fail(node: &Node) -> bool {
    node.config.get("fail") == Some(&Value::Bool(true))
}

impl Want {
    /// What the node says goes before what is stored; `None` for those that fetch nothing.
    pub(super) fn of(node: &Node, scope: Owner, settings: &[Setting]) -> Option<Self> {
        let slug = node.slug.as_deref().unwrap_or_default();
        let stored = Node {
            config: stored(slug, scope, settings),
            ..node.clone()
        };
        let named = |names: &[&str]| node.setting(names).or_else(|| stored.setting(names));
        let or = |named: Option<String>, other: &str| named.unwrap_or_else(|| other.to_owned());
        match slug {
            "google-ads" => Some(Self::GoogleAds {
                account: or(named(&["account_id", "customer_id", "customerId"]), ACCOUNT),
                manager: named(&["mcc_id"]),
                days: days(&or(named(&["days", "date_range"]), "30")),
            }),
            "ga4" => Some(Self::Ga4 {
                property: named(&["property_id", "propertyId", "selected_property"]),
                range: or(named(&["range", "date_range"]), "30days"),
            }),
            _ => None,
        }
    }

    /// The account or property that is looked at when Coolbits does not say.
    pub(super) fn account(&self) -> &str {
        match self {
            Self::GoogleAds { account, .. } => account,
            Self::Ga4 { property, .. } => property.as_deref().unwrap_or(PROPERTY),
        }
    }

    /// What the answer says of it.
    pub(super) fn told(&self, account: &str) -> Value {
        match self {
            Self::GoogleAds { days, .. } => json!({"account_id": account, "days": days}),
            Self::Ga4 { range, .. } => json!({"property_id": account, "range": range}),
        }
    }

    /// `client` 0 is none.
    pub(super) fn made_up(&self, client: u64) -> Figures {
        let account = self.account();
        match self {
            Self::GoogleAds { days, .. } => figures::google_ads(account, client, (*days).into()),
            Self::Ga4 { range, .. } => figures::ga4(account, client, days(range).into()),
        }
    }
}

/// Asks Coolbits, with the service account's token.
pub(super) async fn read(coolbits: &Coolbits, want: &Want) -> Read {
    let today = OffsetDateTime::now_utc().date();
    let read = match want {
        Want::GoogleAds {
            account,
            manager,
            days,
        } => google_ads(coolbits, account, manager.as_deref(), window(today, *days)).await,
        Want::Ga4 { property, range } => {
            let yesterday = today - Duration::DAY;
            let window = window(yesterday, days(range));
            ga4(coolbits, property.as_deref(), window).await
        }
    };
    match read {
        Ok(Some((figures, account))) => Read::Figures(figures, account),
        Ok(None) => Read::Nothing,
        Err(Unreachable) => Read::Failed,
    }
}

type Found = Result<Option<(Figures, String)>, Unreachable>;

/// The first path that answers 2xx is the last; one that does not answer is the last, too,
/// or a Coolbits that hangs would be waited for four times.
async fn google_ads(
    coolbits: &Coolbits,
    account: &str,
    manager: Option<&str>,
    [from, to]: [String; 2],
) -> Found {
    let mut choice = json!({"customerId": digits(account)});
    if let Some(number) = manager.and_then(|id| digits(id).parse::<u64>().ok()) {
        choice["loginCustomerId"] = json!(number);
    }
    let call = Call::post("/api/connectors/googleads/customer", choice);
    let _ = coolbits.ask(&Token::Service, &call).await;
    let mut query = vec![
        ("account_id", account.to_owned()),
        ("preset", "campaigns".to_owned()),
        ("from", from),
        ("to", to),
        ("blocks", "overview,campaigns".to_owned()),
    ];
    query.extend(manager.into_iter().flat_map(aliases));
    for path in CAMPAIGNS {
        let reply = coolbits
            .ask(&Token::Service, &Call::get(path, query.clone()))
            .await?;
        if reply.is_success() {
            let rows = reply.body["data"]["campaigns"]["rows"].as_array();
            let figures = rows.and_then(|rows| figures::of_campaigns(rows));
            return Ok(figures.map(|figures| (figures, account.to_owned())));
        }
    }
    Ok(None)
}

/// Every name under which Coolbits might look for the manager.
fn aliases(manager: &str) -> Vec<(&'static str, String)> {
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
    let digits = digits(manager);
    let dashed = match (digits.get(..3), digits.get(3..6), digits.get(6..)) {
        (Some(a), Some(b), Some(c)) if digits.len() == 10 => format!("{a}-{b}-{c}"),
        _ => manager.to_owned(),
    };
    let all = |names: &'static [&'static str], value: String| {
        names.iter().map(move |name| (*name, value.clone()))
    };
    let flags = all(&FLAGS, "1".to_owned());
    all(&DASHED, dashed)
        .chain(all(&DIGITS, digits))
        .chain(flags)
        .collect()
}

async fn ga4(coolbits: &Coolbits, property: Option<&str>, [from, to]: [String; 2]) -> Found {
    let property = match property {
        Some(property) => property.to_owned(),
        None => selected(coolbits).await?,
    };
    let query = vec![
        ("propertyId", property.clone()),
        ("from", from),
        ("to", to),
        ("blocks", "overview".to_owned()),
    ];
    let call = Call::get("/api/connectors/ga4/report", query);
    let reply = coolbits.ask(&Token::Service, &call).await?;
    let overview = &reply.body["data"]["overview"];
    let figures = figures::of_overview(overview).filter(|_| reply.is_success());
    Ok(figures.map(|figures| (figures, property)))
}

/// The property selected at Coolbits, else the one that is there from the start.
async fn selected(coolbits: &Coolbits) -> Result<String, Unreachable> {
    let call = Call::get("/api/connectors/ga4/status", Vec::new());
    let reply = coolbits.ask(&Token::Service, &call).await?;
    let names = ["selectedPropertyId", "propertyId", "activePropertyId"];
    let named = names.iter().filter_map(|name| reply.body[*name].as_str());
    let mut named = named.filter(|id| reply.is_success() && !id.is_empty());
    Ok(named.next().unwrap_or(PROPERTY).to_owned())
}

/// The first and the last of so many days, as `2026-01-05`.
fn window(to: Date, days: u16) -> [String; 2] {
    let from = to - Duration::days(i64::from(days.max(1)) - 1);
    [from.to_string(), to.to_string()]
}

fn digits(id: &str) -> String {
    id.chars().filter(char::is_ascii_digit).collect()
}

/// The connector's settings of the client, else those of none.
fn stored(slug: &str, scope: Owner, settings: &[Setting]) -> Map<String, Value> {
    let of = |owner: Owner| {
        let mut rows = settings.iter();
        rows.find(|row| row.owner == owner && row.slug == slug)
    };
    let row = of(scope).or_else(|| of(scope.of_no_client()));
    row.and_then(|row| row.config.as_object().cloned())
        .unwrap_or_default()
}

/// `7`, `7days` and `last_7_days` are 7; what has no number is 30.
fn days(range: &str) -> u16 {
    let start = range.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = start.find(|c: char| !c.is_ascii_digit());
    let digits = &start[..end.unwrap_or(start.len())];
    digits.parse().unwrap_or(30).clamp(1, 365)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_as_the_app_reads_them() {
        for (range, length) in [
            ("7", 7),
            ("14days", 14),
            ("last_90_days", 90),
            ("yesterday", 30),
            ("", 30),
            ("0", 1),
            ("4000", 365),
        ] {
            assert_eq!(days(range), length, "{range}");
        }
        let to = time::macros::date!(2026 - 03 - 02);
        assert_eq!(window(to, 1), ["2026-03-02", "2026-03-02"]);
        assert_eq!(window(to, 7), ["2026-02-24", "2026-03-02"]);
    }

    #[test]
    fn the_manager_has_nineteen_names() {
        for manager in ["9998887777", "999-888-7777"] {
            let aliases = aliases(manager);
            assert_eq!(aliases.len(), 19);
            let of = |name| aliases.iter().find(|(n, _)| *n == name).unwrap().1.as_str();
            assert_eq!(
                (of("mcc"), of("cid"), of("expand")),
                ("999-888-7777", "9998887777", "1")
            );
        }
    }
}
