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
    assert_eq!(links(b"[]"), Some(vec![]));
    assert_eq!(links(br#"{"links": []}"#), Some(vec![]));
    for answer in [
        "",
        "{}",
        "[1]",
        r#"[{"id": 1}]"#,
        r#"[{"client_id": 1, "slug": "a", "account_id": {}}]"#,
        r#"[{"slug": "a", "account_id": "1"}]"#,
    ] {
        assert_eq!(links(answer.as_bytes()), None, "{answer}");
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
