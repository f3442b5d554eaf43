use super::*;
use crate::authorise::tests::{identity, permit};

fn client(id: u64) -> ClientId {
    ClientId::parse(&id.to_string()).unwrap()
}

/// Who may reach what: a limited token's claim, the header, the owner, and the client decided in the end.
#[test]
fn an_object_is_within_what_was_decided_or_not_there() {
    use Owner::*;
    type Row<'a> = (
        &'a str,
        &'a str,
        Option<&'a [u64]>,
        &'a str,
        Owner,
        Result<u64, Refusal>,
    );
    let gone = Err(Refusal::ObjectNotFound);
    let (flow, link) = ("/api/flows/7", "/api/client_connectors/7");
    let limited: Option<&[u64]> = Some(&[10, 11]);
    let one: Option<&[u64]> = Some(&[10]);
    let rows: [Row; 17] = [
        (
            "the decided client's",
            flow,
            limited,
            "10",
            Client(client(10)),
            Ok(10),
        ),
        (
            "the other own client's",
            flow,
            limited,
            "10",
            Client(client(11)),
            gone,
        ),
        (
            "somebody else's",
            flow,
            limited,
            "10",
            Client(client(20)),
            gone,
        ),
        ("nobody's", flow, limited, "10", Nobody, gone),
        ("the user's own, limited", flow, limited, "10", User, gone),
        (
            "the only client's",
            flow,
            one,
            "",
            Client(client(10)),
            Ok(10),
        ),
        (
            "unlimited, decided",
            flow,
            None,
            "10",
            Client(client(10)),
            Ok(10),
        ),
        (
            "unlimited, the other one",
            flow,
            None,
            "10",
            Client(client(11)),
            gone,
        ),
        ("unlimited, the user's own", flow, None, "10", User, Ok(10)),
        (
            "unlimited, none decided",
            flow,
            None,
            "",
            Client(client(11)),
            Ok(0),
        ),
        (
            "unlimited, none decided, not listed",
            flow,
            None,
            "",
            Client(client(20)),
            gone,
        ),
        (
            "unlimited, none decided, the user's own",
            flow,
            None,
            "",
            User,
            Ok(0),
        ),
        (
            "drawer of the other client",
            link,
            limited,
            "10",
            Client(client(11)),
            Ok(11),
        ),
        (
            "drawer of the same client",
            link,
            limited,
            "10",
            Client(client(10)),
            Ok(10),
        ),
        (
            "drawer, out of the claim",
            link,
            one,
            "10",
            Client(client(11)),
            gone,
        ),
        (
            "drawer, somebody else's",
            link,
            None,
            "10",
            Client(client(20)),
            gone,
        ),
        ("drawer, nobody's", link, None, "10", Nobody, gone),
    ];
    for (name, target, claim, header, owner, expected) in rows {
        let method = if target == link { "PATCH" } else { "DELETE" };
        let permit = permit_for(method, target, claim, header);
        let admitted = admit(permit, owner, &[client(10), client(11)], false);
        let decided = admitted.map(|permit| permit.client().map_or(0, ClientId::get));
        assert_eq!(decided, expected, "{name}");
    }
    let strict = admit(
        permit_for("PATCH", link, limited, "10"),
        Client(client(11)),
        &[],
        true,
    );
    assert_eq!(strict.err(), Some(Refusal::ObjectNotFound), "strict");
}

fn permit_for(method: &str, target: &str, claim: Option<&[u64]>, header: &str) -> Permit {
    let headers: &[(&str, &str)] = match header {
        "" => &[],
        _ => &[("X-Client-ID", header)],
    };
    crate::authorise::tests::permit_of(method, Some(identity(1, claim)), target, headers).unwrap()
}

#[test]
fn all_places_that_name_an_object_must_agree() {
    let guard = Guard {
        object: Object::Conversation,
        path: None,
        query: Some("conv_id".into()),
        body: Some("conv_id".into()),
        choose: true,
    };
    let id = |n: &str| Ok(Some(ObjectId::parse(n).unwrap()));
    let conflict = Err(Refusal::ObjectConflict);
    let unreadable = Err(Refusal::ObjectUnreadable);
    for (query, body, expected) in [
        ("", "{}", Ok(None)),
        ("conv_id=57", "{}", id("57")),
        ("conv_id=57", r#"{"conv_id": 57}"#, id("57")),
        ("", r#"{"conv_id": "57"}"#, id("57")),
        ("conv%5fid=57&conv_id=57", "{}", id("57")),
        ("conv_id=57&conv_id=58", "{}", conflict),
        ("conv_id=57", r#"{"conv_id": 58}"#, conflict),
        ("conv_id=57", r#"{"conv_id": null}"#, conflict),
        ("conv_id=", r#"{"conv_id": 57}"#, conflict),
        ("conv_id=", "{}", Ok(None)),
        ("conv_id=%2B57", "{}", unreadable),
        ("conv_id=057", "{}", unreadable),
        ("", r#"{"conv_id": 57.5}"#, unreadable),
    ] {
        let target = format!("/chat/business/seo?{query}");
        let permit = permit(Some(identity(1, Some(&[10]))), &target, &[]).unwrap();
        let fields = Fields::read(body.as_bytes(), None, true).unwrap();
        let named = named(&guard, None, &permit, Some(&fields));
        assert_eq!(named, expected, "{query} {body}");
    }
}

#[test]
fn the_owner_in_an_answer_is_a_client_the_user_or_not_told() {
    let cases = [
        (
            r#"{"id": 7, "client_id": 10}"#,
            Some(Owner::Client(client(10))),
        ),
        (r#"{"client_id": "10"}"#, Some(Owner::Client(client(10)))),
        (r#"{"client_id": null}"#, Some(Owner::User)),
        (r#"{"client_id": 0}"#, Some(Owner::User)),
        (
            r#"{"meeting": {"client_id": 11}}"#,
            Some(Owner::Client(client(11))),
        ),
        (r#"{"client_id": [10]}"#, None),
        (r#"{"id": 7}"#, None),
        ("<html>", None),
    ];
    for (answer, expected) in cases {
        assert_eq!(owner_in(answer.as_bytes()), expected, "{answer}");
    }
    let rows = r#"[{"id": 1, "client_id": 10}, {"id": 2, "client_id": null}]"#;
    let id = |n: &str| ObjectId::parse(n).unwrap();
    let of = |n| owner_in_rows(rows.as_bytes(), id(n));
    assert_eq!(of("1"), Some(Owner::Client(client(10))));
    assert_eq!(of("2"), Some(Owner::User));
    assert_eq!(of("3"), Some(Owner::Nobody));
    assert_eq!(owner_in_rows(b"{}", id("1")), None);
    assert_eq!(owner_in_rows(b"[{}]", id("1")), None);
}
