use super::*;
use crate::authorise::tests::{identity, permit};
use proptest::prelude::*;

fn canonical(connector: &str, id: &str) -> Option<String> {
    Connector::find(connector).unwrap().canonical(id)
}

#[test]
fn ids_are_compared_without_their_kind_and_dashes_and_what_is_none_is_none() {
    let (ads, ga4) = ("google-ads", "ga4");
    let (search, tags) = ("google-search-console", "google-tag-manager");
    let some = |id: &str| Some(id.to_owned());
    for (connector, id, expected) in [
        (ads, "123-456-7890", some("1234567890")),
        (ads, "customers/1234567890", some("1234567890")),
        (ads, "0123", some("0123")),
        (ga4, "properties/42", some("42")),
        (ga4, "G-ABC", some("g-abc")),
        (tags, "GTM-WX4R7N2", some("gtm-wx4r7n2")),
        (search, "sc-domain:Camarad.ai", some("sc-domain:camarad.ai")),
        (search, "https://a.example/b/", some("https://a.example/b/")),
        // What the gateway would take for digits of somebody's account.
        (ads, "123 456 7890", None),
        (ads, "123.456.7890", None),
        (ads, "123_456_7890", None),
        (ads, "customers/customers/1234567890", None),
        (ads, "accounts/1234567890", None),
        (ads, "\u{ad}123-456-7890", None),
        (ads, "\u{ff11}23", None),
        (ads, "1e9", None),
        (ads, "", None),
        (ads, "-", None),
        (ga4, "properties/properties/42", None),
        (ga4, "a b", None),
        (search, "a\nb", None),
    ] {
        assert_eq!(canonical(connector, id), expected, "{connector} {id:?}");
    }
}

fn linked() -> Vec<Link> {
    links(
        br#"[{"id": 9, "client_id": 10, "connector_slug": "google-ads", "account_id": "234-567-8901", "status": "connected"},
             {"id": 4, "client_id": 10, "connector_slug": "google-ads", "account_id": "1234567890", "status": "connected"},
             {"id": 2, "client_id": 10, "connector_slug": "google-ads", "account_id": "999-999-9999", "status": "disconnected"},
             {"id": 5, "client_id": 10, "slug": "ga4", "account_id": "G-OLD", "status": "disconnected"},
             {"id": 6, "client_id": 10, "connector_slug": "slack", "account_id": null},
             {"id": 7, "client_id": 11, "connector_slug": "google-ads", "account_id": "345-678-9012"},
             {"id": 8, "client_id": 11, "connector_slug": "gtm", "account_id": "GTM-11"},
             {"id": 3, "client_id": null, "connector_slug": "google-ads", "account_id": "1"}]"#,
    )
    .unwrap()
}

fn bound(connector: &str, query: &str, body: Option<&str>, one: bool) -> Result<String, Refusal> {
    let accounts = Accounts {
        connector: Connector::find(connector).unwrap(),
        one,
        body: body.is_some(),
    };
    let target = format!("/api/connectors/ga4/status?{query}");
    let permit = permit(Some(identity(1, Some(&[10]))), &target, &[]).unwrap();
    let fields = body.map(|body| Fields::read(body.as_bytes(), None, false).unwrap());
    let bound = bind(permit, accounts, fields.as_ref(), &linked())?;
    match bound.is_open {
        true => Ok("open".to_owned()),
        false => Ok(bound.permit.query().to_text()),
    }
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
        // Unbound, but what is another client's stays that client's.
        ("google-tag-manager", "container_id=gtm-11", gone.clone()),
        ("google-tag-manager", "", ok("open")),
        ("google-search-console", "", ok("")),
        (
            "google-search-console",
            "property_id=x",
            ok("property_id=x"),
        ),
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
fn an_account_of_a_client_out_of_reach_is_not_for_a_limited_token_to_link() {
    let reach = |claim: Option<&[u64]>| {
        let permit = permit(
            Some(identity(1, claim)),
            "/api/flows",
            &[("X-Client-ID", "10")],
        );
        permit.unwrap().reach().unwrap().clone()
    };
    let cases = [
        (Some(&[10][..]), "345-678-9012", true),
        (Some(&[10]), "customers/3456789012", true),
        (Some(&[10]), "123-456-7890", false),
        (Some(&[10]), "555", false),
        // Spelled so that only some would read it.
        (Some(&[10]), "345 678 9012", true),
        (Some(&[10]), "customers/customers/3456789012", true),
        (Some(&[10, 11]), "345-678-9012", false),
        (None, "345-678-9012", false),
    ];
    for (claim, account, expected) in cases {
        let out = is_out_of_reach(account, &reach(claim), &linked());
        assert_eq!(out, expected, "{claim:?} {account}");
    }
}

#[test]
fn what_is_a_list_of_links() {
    let count = |answer: &str| links(answer.as_bytes()).map(|links| links.len());
    for (answer, expected) in [
        ("[]", Some(0)),
        (r#"{"links": []}"#, Some(0)),
        ("", None),
        ("{}", None),
        // Odd rows are nobody's, and do not take the others with them.
        (
            r#"[1, {"id": 1}, {"client_id": 1, "connector_slug": null}]"#,
            Some(0),
        ),
        (
            r#"[{"client_id": "x", "slug": "ga4"}, {"client_id": 1, "slug": "ga4"}]"#,
            Some(1),
        ),
        (
            r#"[{"client_id": 1, "slug": "ga4", "account_id": true}]"#,
            Some(1),
        ),
        (
            r#"[{"client_id": 1, "slug": "slack", "account_id": "1"}]"#,
            Some(0),
        ),
    ] {
        assert_eq!(count(answer), expected, "{answer}");
    }
    let odd = links(br#"[{"client_id": 10, "slug": "ga4", "account_id": true}]"#).unwrap();
    let ga4 = Connector::find("ga4").unwrap();
    let ten = ClientId::parse("10").unwrap();
    assert!(!ga4.allows("G-1", ten, &odd), "it binds, and links nothing");
}

proptest! {
    /// What is let through reads as the same digits to whoever takes digits alone.
    #[test]
    fn an_account_of_google_ads_has_the_digits_that_were_compared(id in "(customers/)?[0-9 ._-]{0,14}|\\PC{0,12}") {
        let digits: String = id.chars().filter(char::is_ascii_digit).collect();
        if let Some(compared) = canonical("google-ads", &id) {
            prop_assert_eq!(compared, digits);
        }
    }

    #[test]
    fn a_canonical_id_is_its_own_canonical_form(id in "(customers/|properties/)?[a-zA-Z0-9:./ -]{0,16}") {
        for connector in &CONNECTORS {
            if let Some(once) = connector.canonical(&id).filter(|once| !once.contains('/')) {
                prop_assert_eq!(connector.canonical(&once), Some(once.clone()));
            }
        }
    }
}
