use super::connector::digits;
use super::*;
use crate::authorise::Reach;
use crate::authorise::tests::{identity, permit};
use crate::ids::ClientId;
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
        (ads, "0123", some("123")),
        (ga4, "007", some("7")),
        (ga4, "properties/42", some("42")),
        (ga4, "G-ABC", some("g-abc")),
        (tags, "GTM-WX4R7N2", some("gtm-wx4r7n2")),
        (search, "sc-domain:Camarad.ai", some("sc-domain:camarad.ai")),
        (search, "https://a.example/b/", some("https://a.example/b/")),
        (
            search,
            "https://a.example/@b/(c)+d",
            some("https://a.example/@b/(c)+d"),
        ),
        (
            search,
            "sc-domain:m\u{fc}ller.de",
            some("sc-domain:m\u{fc}ller.de"),
        ),
        (
            search,
            "https://Shop.example",
            some("https://shop.example/"),
        ),
        (
            search,
            "https://shop.example:443/",
            some("https://shop.example/"),
        ),
        (
            search,
            "http://shop.example:8080/a",
            some("http://shop.example:8080/a"),
        ),
        (search, "shop.example", None),
        (search, "https:/shop.example/", None),
        (search, "https://shop.example/%3F", None),
        (search, "https://shop.example/?", None),
        (search, "\u{200b}https://shop.example/", None),
        (search, "https://\u{ff53}hop.example/", None),
        (search, "sc-domain:", None),
        // What the gateway would take for digits of somebody's account.
        (ads, "123 456 7890", None),
        (ads, "123.456.7890", None),
        (ads, "123_456_7890", None),
        (ads, "customers/customers/1234567890", None),
        (ads, "Accounts/123-4567890", some("1234567890")),
        (ads, "users/1234567890", None),
        (ga4, "\u{212a}", None),
        (ads, "\u{ad}123-456-7890", None),
        (ads, "\u{ff11}23", None),
        (ads, "1e9", None),
        (ads, "", None),
        (ads, "-", None),
        (ads, "0", None),
        (ga4, "properties/properties/42", None),
        (ga4, "a b", None),
        (search, "a\nb", None),
        (search, " a", None),
    ] {
        assert_eq!(canonical(connector, id), expected, "{connector} {id:?}");
    }
}

fn linked() -> Vec<Link> {
    links(
        br#"[{"id": 9, "client_id": 10, "connector_slug": "google-ads", "account_id": "234-567-8901", "status": "connected"},
             {"id": 4, "client_id": 10, "connector_slug": "google-ads", "account_id": "123 456 7890", "status": "connected"},
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
    let mut permit = Arc::new(permit(Some(identity(1, Some(&[10]))), &target, &[]).unwrap());
    let fields = body.map(|body| Fields::read(body.as_bytes(), None, false).unwrap());
    let bound = bind(&mut permit, accounts, fields.as_ref(), &linked())?;
    match bound.is_open {
        true => Ok("open".to_owned()),
        false => Ok(permit.query().as_str().to_owned()),
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
        ("google-search-console", "property_id=x", gone.clone()),
        (
            "google-search-console",
            "property_id=sc-domain:x.example",
            ok("property_id=sc-domain:x.example"),
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

fn reach(claim: Option<&[u64]>) -> Reach {
    let named = [("X-Client-ID", "10")];
    let permit = permit(Some(identity(1, claim)), "/api/flows", &named);
    permit.unwrap().reach().unwrap().clone()
}

#[test]
fn an_account_of_a_client_out_of_reach_is_not_for_a_limited_token_to_link() {
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
        // Of another shape than the app's: nothing would be bound.
        ("[1]", None),
        (r#"[{"id": 1}]"#, None),
        (r#"[{"client_id": "x", "slug": "ga4"}]"#, None),
        (r#"[{"client_id": 1, "connector": "ga4"}]"#, None),
        // The caller's own words.
        (r#"[{"client_id": 1, "connector_slug": null}]"#, Some(1)),
        (
            r#"[{"client_id": 1, "slug": "slack", "account_id": {}}]"#,
            Some(1),
        ),
        (r#"[{"client_id": null, "slug": "ga4"}]"#, Some(0)),
    ] {
        assert_eq!(count(answer), expected, "{answer}");
    }
    let ga4 = Connector::find("ga4").unwrap();
    let ten = ClientId::parse("10").unwrap();
    let odd = links(br#"[{"client_id": 10, "slug": "ga4", "account_id": true}]"#).unwrap();
    assert!(!ga4.allows("G-1", ten, &odd), "it binds, and links nothing");
    let spelled = links(br#"[{"client_id": 10, "slug": "GA4 ", "account_id": " G-1"}]"#).unwrap();
    assert!(ga4.allows("g-1", ten, &spelled) && !ga4.allows("G-2", ten, &spelled));
}

#[test]
fn a_links_account_is_read_as_leniently_as_anybody_might() {
    let list = |slug: &str, account: &str| {
        let rows = serde_json::json!([
            {"client_id": 11, "connector_slug": slug, "account_id": account},
            {"client_id": 20, "connector_slug": "slack", "account_id": "T0123"},
        ]);
        links(rows.to_string().as_bytes()).unwrap()
    };
    let (ten, eleven) = (
        ClientId::parse("10").unwrap(),
        ClientId::parse("11").unwrap(),
    );
    for (connector, slug, stored, asked) in [
        ("google-ads", "google-ads", "234 567 8901", "234-567-8901"),
        (
            "google-ads",
            "Google Ads",
            "accounts/2345678901",
            "2345678901",
        ),
        ("google-ads", "google-ads", "0234-567-8901", "2345678901"),
        ("google-ads", "google-ads", "2345678901", "02345678901"),
        ("ga4", "ga4", "\u{a0}G-XYZ", "properties/g-xyz"),
    ] {
        let links = list(slug, stored);
        let found = Connector::find(connector).unwrap();
        assert!(found.allows(asked, eleven, &links), "{stored}: one's own");
        assert!(!found.allows(asked, ten, &links), "{stored}: a sibling's");
        // As it stands in the link it is one's own, and nobody else's.
        let trimmed = stored.trim();
        assert!(found.allows(trimmed, eleven, &links), "{stored}");
        assert!(!found.allows(trimmed, ten, &links), "{stored}");
    }
    let path = list("google-tag-manager", "accounts/6/containers/12");
    let tags = Connector::find("google-tag-manager").unwrap();
    assert!(tags.allows("accounts/6/containers/12", eleven, &path));
}

#[test]
fn nothing_that_could_be_read_as_an_account_out_of_reach_is_linked() {
    let rows = br#"[
        {"client_id": 10, "connector_slug": "google-ads", "account_id": "777-888-9999"},
        {"client_id": 11, "connector_slug": "google-ads", "account_id": "777-888-9999"},
        {"client_id": 11, "connector_slug": "google-ads", "account_id": "234-567-8901"},
        {"client_id": 11, "connector_slug": "ga4", "account_id": "G-XYZ789GHI0"},
        {"client_id": 11, "connector_slug": "meta-ads", "account_id": "act_998"},
        {"client_id": 11, "connector_slug": "google-search-console", "account_id": "sc-domain:x.de"}
    ]"#;
    let links = links(rows).unwrap();
    let reach = &reach(Some(&[10]));
    for (account, expected) in [
        ("0234-567-8901", true),
        ("2345678901.0", true),
        ("2.345678901e9", true),
        (" G-XYZ789GHI0", true),
        ("\u{a0}g-xyz789ghi0", true),
        ("properties/properties/G-XYZ789GHI0", true),
        ("act_998", true),
        (" sc-domain:x.de", true),
        // Shared with a client in reach: nothing new.
        ("7778889999", false),
        ("999-999-9999", false),
        ("", false),
    ] {
        assert_eq!(
            is_out_of_reach(account, reach, &links),
            expected,
            "{account:?}"
        );
    }
}

proptest! {
    /// What is let through reads as the same digits to whoever takes digits alone.
    #[test]
    fn an_account_of_google_ads_has_the_digits_that_were_compared(id in "(customers/)?[0-9 ._-]{0,14}|\\PC{0,12}") {
        let digits = digits(&id);
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

#[test]
fn what_is_held_to_the_client_is_what_the_gateway_reads() {
    for connector in &CONNECTORS {
        let read = connector.names().first().expect("a parameter");
        assert!(crate::operation::PARAMETERS.contains(read), "{read}");
        let accounts = Accounts {
            connector,
            one: false,
            body: false,
        };
        for name in connector.names() {
            let target = format!("/api/connectors/ga4/status?{name}=345-678-9012");
            let who = Some(identity(1, Some(&[10])));
            let mut permit = Arc::new(permit(who, &target, &[]).unwrap());
            let links = format!(
                r#"[{{"id": 1, "client_id": 11, "connector_slug": "{}", "account_id": "345-678-9012"}}]"#,
                connector.name
            );
            let bound = bind(&mut permit, accounts, None, &links_of(&links));
            let refused = bound.err();
            assert_eq!(refused, Some(Refusal::AccountNotLinked), "{name}");
        }
    }
}

fn links_of(answer: &str) -> Vec<Link> {
    links(answer.as_bytes()).unwrap()
}

#[test]
fn a_domain_holds_the_figures_of_every_url_below_it() {
    let search = Connector::find("google-search-console").unwrap();
    let linked = links(
        br#"[{"id": 1, "client_id": 11, "connector_slug": "gsc", "account_id": "https://shop.example/"},
             {"id": 2, "client_id": 12, "connector_slug": "gsc", "account_id": "sc-domain:blog.example"}]"#,
    );
    let linked = linked.unwrap();
    let ten = ClientId::parse("10").unwrap();
    for (site, allowed) in [
        ("https://shop.example/", false),
        ("https://shop.example", false),
        ("http://shop.example/", false),
        ("https://shop.example:443/", false),
        ("https://shop.example/sale/", false),
        ("sc-domain:shop.example", false),
        ("sc-domain:example", false),
        ("https://en.blog.example/", false),
        ("https://shop.example.org/", true),
        ("sc-domain:myshop.example", true),
        ("https://other.example/", true),
    ] {
        assert_eq!(search.allows(site, ten, &linked), allowed, "{site}");
    }
}

#[test]
fn accounts_that_a_flow_names_are_held_to_the_clients_own() {
    use crate::guardrails::Standing::{Linked, NotAllowed, Unlinked};
    let rows = br#"[
        {"id": 1, "client_id": 10, "connector_slug": "google-ads", "account_id": "123-456-7890"},
        {"id": 2, "client_id": 11, "connector_slug": "google-ads", "account_id": "234-567-8901"},
        {"id": 3, "client_id": 11, "connector_slug": "google-ads", "account_id": "555-555-5555", "status": "disconnected"},
        {"id": 4, "client_id": 12, "connector_slug": "google-ads", "account_id": "666-666-6666", "status": "disconnected"}
    ]"#;
    let links = links(rows).unwrap();
    let ads = Connector::find("google-ads").unwrap();
    let of = |client: &str, account: &str, limited| {
        ads.standings(ClientId::parse(client).unwrap(), &links, limited)
            .of(account)
    };
    let cases = [
        ("10", "123-456-7890", false, Linked),
        ("10", "1234567890", true, Linked),
        ("10", "customers/1234567890", false, Linked),
        ("10", "234-567-8901", false, NotAllowed),
        // One that has accounts reads its own, and no others.
        ("10", "999-999-9999", false, NotAllowed),
        ("11", "555-555-5555", false, NotAllowed),
        ("12", "999-999-9999", false, NotAllowed),
        // One that has none reads any but those of its siblings.
        ("13", "999-999-9999", false, Unlinked),
        ("13", "234-567-8901", false, NotAllowed),
        ("13", "0234-567-8901", false, NotAllowed),
        ("13", "x234-567-8901", false, NotAllowed),
        ("13", "", false, NotAllowed),
        // And whose an account is that is not its own is nothing for a limited caller.
        ("13", "999-999-9999", true, NotAllowed),
    ];
    for (client, account, limited, expected) in cases {
        assert_eq!(
            of(client, account, limited),
            expected,
            "{client} {account} {limited}"
        );
    }
}
