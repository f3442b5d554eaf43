//! Real data, read end to end through a sidecar: an account of Google Ads and a
//! property of GA4, with how many rows came and how long it took.
//!
//! What counts is what the answer says of itself (`source`, `gateway`); the
//! judging is in [`judge`].

mod judge;

use super::app::clock;
use super::caller::{self, Caller};
use super::door::Door;
use super::probe::{Got, Prober, shown};
use super::report::{Check, Finding, Gate, plain};
use camarad_config::{Config, Gateway};
use camarad_policies::operation::{Connector, Operation};
use judge::Wanted;
use serde_json::Value;

const ACCOUNTS: Wanted = Wanted {
    name: "google-ads accounts",
    target: "/api/connectors/google-ads/accounts",
    rows: Some("accounts"),
    what: "account",
};
const CAMPAIGNS: Wanted = Wanted {
    name: "google-ads campaigns",
    target: "/api/connectors/google-ads/campaigns",
    rows: Some("campaigns"),
    what: "campaign",
};
const PROPERTIES: Wanted = Wanted {
    name: "ga4 properties",
    target: "/api/connectors/ga4/properties",
    rows: Some("properties"),
    what: "property",
};
const OVERVIEW: Wanted = Wanted {
    name: "ga4 overview",
    target: "/api/connectors/ga4/overview",
    rows: None,
    what: "session",
};
const PAGES: Wanted = Wanted {
    name: "ga4 pages",
    target: "/api/connectors/ga4/pages",
    rows: Some("pages"),
    what: "page",
};
const ALL: [&Wanted; 5] = [&ACCOUNTS, &CAMPAIGNS, &PROPERTIES, &OVERVIEW, &PAGES];

/// Names of the connectors in links, as far as they are read here.
const GOOGLE_ADS: [&str; 2] = ["google-ads", "googleads"];
const GA4: [&str; 3] = ["ga4", "google-analytics", "google-analytics-4"];

/// Looks at the gateway without a token.
pub(super) async fn gateway(config: &Config, prober: &Prober) -> Vec<Check> {
    let gateway = &config.gateway;
    let got = prober.get(format!("{}/healthz", gateway.url)).await;
    let took = got.as_ref().ok().map(|answer| answer.took);
    let check = |name: &str, finding: Finding| finding.of(Gate::C, name);
    let mut checks = vec![
        check("gateway", switch(gateway)),
        check("coolbits", coolbits(&got, gateway)).took(took),
        check("answered by the mock", mock_only(gateway)),
    ];
    if gateway.enabled || got.is_ok() {
        checks.push(clock("Coolbits", got.as_ref().ok()).of(Gate::A, "coolbits clock"));
    }
    checks
}

fn switch(gateway: &Gateway) -> Finding {
    match gateway.enabled {
        true => Finding::pass(format!("it is on, at {}", shown(&gateway.url))),
        false => Finding::warn(
            "it is off: figures are made up",
            "set COOLBITS_GATEWAY_ENABLED=on",
        ),
    }
}

/// Any answer in HTTP will do: `/healthz` is no part of the contract.
fn coolbits(got: &Got, gateway: &Gateway) -> Finding {
    let at = shown(&gateway.url);
    let todo = "start Coolbits, or set COOLBITS_URL to where it answers";
    match got {
        Ok(answer) => Finding::pass(format!("{at} answers ({})", answer.status)),
        Err(trouble) if !gateway.enabled => Finding::warn(
            format!("{at} {trouble}; nothing is asked of it while the gateway is off"),
            todo,
        ),
        Err(trouble) => trouble.finding(&at, todo),
    }
}

fn mock_only(gateway: &Gateway) -> Finding {
    let is_mocked = |operation: &Operation| gateway.mock_only.contains(operation);
    let mut names = Vec::new();
    for connector in Connector::ALL {
        let own = Operation::ALL.iter().filter(|o| o.connector() == connector);
        let own: Vec<&Operation> = own.collect();
        let mocked: Vec<&Operation> = own.iter().copied().filter(|o| is_mocked(o)).collect();
        match mocked.len() == own.len() {
            true => names.push(connector.name()),
            false => names.extend(mocked.iter().map(|operation| operation.name())),
        }
    }
    match names.is_empty() {
        true => Finding::pass("nothing: gateway.mock_only is empty"),
        false => Finding::warn(
            format!("always, whatever the gateway is: {}", names.join(", ")),
            "take those that Coolbits has out of gateway.mock_only",
        ),
    }
}

/// Reads through the door.
pub(super) async fn look(door: &Door, prober: &Prober, caller: &Caller) -> Vec<Check> {
    let Some(client) = caller.own.filter(|_| caller.is_wanted) else {
        let finding = Finding::skip(
            "not looked at: there is no client of theirs to read for",
            "repair what \"client\" says",
        );
        return instead(&finding);
    };
    let read = |wanted: &'static Wanted, account: Option<(&'static str, String)>| async move {
        let query: Vec<(&str, &str)> = account.iter().map(|(n, id)| (*n, id.as_str())).collect();
        let token = Some(&caller.token);
        let got = door
            .read(prober, wanted.target, &query, token, Some(client))
            .await;
        let took = got.as_ref().ok().map(|answer| answer.took);
        let check = judge::read(wanted, &got, door.who()).of(Gate::C, wanted.name);
        (check.took(took), got)
    };
    // The sidecar itself names the first that is linked.
    let first = |names: &[&str], parameter, got: &Got, rows: &str| {
        let listed = || first_of(got, rows).map(|id| (parameter, id));
        (!caller.has_link(names)).then(listed).flatten()
    };
    let google_ads = async {
        let (accounts, got) = read(&ACCOUNTS, None).await;
        let account = first(&GOOGLE_ADS, "account_id", &got, "accounts");
        let (campaigns, _) = read(&CAMPAIGNS, account).await;
        vec![accounts, campaigns]
    };
    let ga4 = async {
        let (properties, got) = read(&PROPERTIES, None).await;
        let property = first(&GA4, "property_id", &got, "properties");
        let (overview, pages) =
            tokio::join!(read(&OVERVIEW, property.clone()), read(&PAGES, property));
        vec![properties, overview.0, pages.0]
    };
    let (mut checks, ga4) = tokio::join!(google_ads, ga4);
    checks.extend(ga4);
    checks
}

fn first_of(got: &Got, rows: &str) -> Option<String> {
    let said = got.as_ref().ok()?.json();
    match &said[rows][0]["id"] {
        Value::String(id) => Some(plain(id)),
        _ => None,
    }
}

/// The same finding in the place of every read.
pub(super) fn instead(finding: &Finding) -> Vec<Check> {
    ALL.map(|wanted| finding.clone().of(Gate::C, wanted.name))
        .into()
}

/// The reads of a token that was not given.
pub(super) fn without() -> Vec<Check> {
    instead(&caller::no_token())
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Answer, Trouble};
    use super::super::report::Outcome::{Fail, Pass, Warn};
    use super::*;
    use camarad_config::{Inputs, load};

    fn gateway(settings: &[(&str, &str)]) -> Gateway {
        let issuer = [
            ("SIDECAR_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("COOLBITS_URL", "http://me:hush@127.0.0.1:8788"),
        ];
        let all = issuer.iter().chain(settings);
        let inputs = Inputs {
            file: None,
            environment: all.map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        };
        load(&inputs).unwrap().gateway
    }

    #[test]
    fn a_gateway_that_is_off_is_told_and_needs_no_coolbits() {
        let on = gateway(&[("COOLBITS_GATEWAY_ENABLED", "on")]);
        let off = gateway(&[]);
        assert_eq!(switch(&on).outcome, Pass);
        assert_eq!(switch(&off).outcome, Warn);
        let refused = Err(Trouble::Refused);
        assert_eq!(coolbits(&refused, &on).outcome, Fail);
        assert_eq!(coolbits(&refused, &off).outcome, Warn);
        let unknown = Ok(Answer::of(404, &[], ""));
        assert_eq!(coolbits(&unknown, &on).outcome, Pass);
        for finding in [
            switch(&on),
            coolbits(&refused, &on),
            coolbits(&unknown, &off),
        ] {
            assert!(!finding.seen.contains("hush"), "{finding:?}");
        }
    }

    #[test]
    fn what_the_mock_answers_is_told_by_connector_where_it_is_all_of_one() {
        let set = |names: &str| mock_only(&gateway(&[("SIDECAR__GATEWAY__MOCK_ONLY", names)]));
        assert_eq!(set("").outcome, Pass);
        let some = set("stripe,ga4.pages");
        assert_eq!(some.outcome, Warn);
        assert!(some.seen.ends_with(": ga4.pages, stripe"), "{some:?}");
    }

    #[test]
    fn the_first_of_a_list_is_named_where_nothing_is_linked() {
        let rows = |body: &str| first_of(&Ok(Answer::of(200, &[], body)), "accounts");
        let two = r#"{"accounts":[{"id":"123-456-7890"},{"id":"2"}]}"#;
        assert_eq!(rows(two), Some("123-456-7890".into()));
        for none in [r#"{"accounts":[]}"#, r#"{"accounts":[{"id":5}]}"#, "<html>"] {
            assert_eq!(rows(none), None);
        }
        assert_eq!(first_of(&Err(Trouble::Refused), "accounts"), None);
    }
}
