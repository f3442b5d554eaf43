//! Answers and what becomes of them, as tables.

mod documents;
mod passed;
mod properties;
mod reference;
mod scan;

use super::*;
use crate::matrix::Matrix;
use crate::pointer::Pointer;

const MINE: Mine<'_> = Mine {
    client: &|client| [10, 11].contains(&client.get()),
    unowned: true,
    user: None,
    account: &|account| ["a-1", "1"].contains(&account),
};

fn rule(name: &str) -> Rule {
    static MATRIX: std::sync::LazyLock<Matrix> =
        std::sync::LazyLock::new(|| Matrix::built_in().unwrap());
    let rule = MATRIX.rules().iter().find(|rule| *rule.name == *name);
    (**rule.unwrap()).clone()
}

/// A rule that looks where the table's rules do not.
fn rule_with(pointers: &[(Kind, &str)], on_foreign: OnForeign) -> Rule {
    let parsed = |wanted: Kind| {
        let of_kind = pointers.iter().filter(move |(kind, _)| *kind == wanted);
        of_kind.map(|(_, text)| Pointer::parse(text).unwrap())
    };
    let pointers: Vec<_> = pointers
        .iter()
        .map(|(kind, text)| (*kind, Pointer::parse(text).unwrap()))
        .collect();
    Rule {
        egress: parsed(Kind::Client).collect(),
        egress_users: parsed(Kind::User).collect(),
        egress_accounts: parsed(Kind::Account).collect(),
        looks: Looks::new(pointers.iter().map(|(kind, pointer)| (*kind, pointer))).unwrap(),
        on_foreign,
        user_wide: UserWide::Deny,
        drops_unowned: false,
        keep: vec!["slug".to_owned(), "items".to_owned()],
        ..rule("flows.list")
    }
}

fn run(rule: &Rule, answer: &str) -> Checked {
    let user = UserId::parse("1").ok();
    check(rule, answer.as_bytes(), &Mine { user, ..MINE })
}

fn filtered(body: &str, dropped: usize, redacted: usize) -> Egress {
    Egress::Filtered {
        body: body.as_bytes().to_vec(),
        dropped,
        redacted,
    }
}

#[test]
fn an_id_of_somebody_else_is_blocked_or_its_row_cut() {
    use Egress::*;
    let cases = [
        (
            "flows.list",
            r#"[{"client_id":10},{"client_id":null},{"id":20}]"#,
            Pass,
        ),
        (
            "flows.list",
            r#"[{"client_id":10},{"client_id":20}]"#,
            Blocked,
        ),
        ("flows.list", r#"[{"client_id":"20"}]"#, Blocked),
        ("flows.list", r#"[{"client_id":"\u0032\u0030"}]"#, Blocked),
        ("flows.list", r#"[{"client\u005fid":20}]"#, Blocked),
        (
            "flows.list",
            r#"[{"client_id":"\u0031\u0030","n":1}]"#,
            Pass,
        ),
        ("flows.list", r#"[{"client_id":[20]}]"#, Blocked),
        ("flows.list", r#"[{"client_id":[]}]"#, Blocked),
        ("flows.list", r#"[{"client_id":{}}]"#, Blocked),
        ("flows.list", r#"[{"client_id":20.0}]"#, Blocked),
        ("flows.list", r#"[{"client_id":10.0}]"#, Blocked),
        ("flows.list", r#"[{"client_id":1e1}]"#, Blocked),
        ("flows.list", r#"[{"client_id":-0}]"#, Blocked),
        ("flows.list", r#"[{"client_id":true}]"#, Blocked),
        ("flows.list", r#"[{"client_id":"\ud800"}]"#, Blocked),
        ("flows.list", r#"[{"client_id":"none"}]"#, Pass),
        // A parser keeps one of the two; which one is its own affair.
        (
            "flows.list",
            r#"[{"client_id":20,"client_id":10}]"#,
            Blocked,
        ),
        (
            "flows.list",
            r#"[{"client_id":10,"client_id":20}]"#,
            Blocked,
        ),
        ("flows.list", r#"[{"flow":{"client_id":20}}]"#, Pass),
        ("flows.list", "<html>", Unreadable),
        ("flows.list", "", Unreadable),
        ("flows.list", "[{\"client_id\":10}] []", Unreadable),
        ("flows.list", "[{\"client_id\":NaN}]", Unreadable),
        ("flows.one", r#"{"client_id":20}"#, Blocked),
        (
            "connectors.read",
            r#"{"client_id":0,"config":{"client_id":"paypal"}}"#,
            Pass,
        ),
        (
            "users",
            r#"[{"id":1,"name":"a"},{"id":2}]"#,
            filtered(r#"[{"id":1,"name":"a"}]"#, 1, 0),
        ),
        ("users", r#"{"users":[{"id":2}]}"#, Blocked),
        ("users", "null", Blocked),
        ("users", "[]", Pass),
        (
            "clients.list",
            "[ {\"id\":20} ,\n {\"id\": 11, \"x\": 1.50} ]\n",
            filtered("[ {\"id\": 11, \"x\": 1.50} ]\n", 1, 0),
        ),
        ("clients.list", r#"[{"id":10}]"#, Pass),
        (
            "connectors.list",
            r#"[{"slug":"ga","client_id":20,"status":"on","config":{"k":1},"name":"G\u0041"}]"#,
            filtered(r#"[{"slug":"ga","status":"on","name":"G\u0041"}]"#, 0, 1),
        ),
        (
            "connectors.list",
            r#"[{"slug":"ga","client_id":11,"config":{"client_id":"oauth"}}]"#,
            Pass,
        ),
        (
            "connectors.list",
            r#"{"slug":"ga","client_id":20}"#,
            Blocked,
        ),
        ("maturity", r#"{"client_id":20}"#, Pass),
        ("maturity", "<html>", Pass),
    ];
    for (name, answer, expected) in cases {
        assert_eq!(
            run(&rule(name), answer).outcome,
            expected,
            "{name} {answer}"
        );
    }
}

#[test]
fn a_row_of_another_account_always_goes() {
    let pointers = [
        (Kind::Client, "/*/client_id"),
        (Kind::Account, "/*/account"),
    ];
    let one = [(Kind::Account, "/account")];
    use OnForeign::*;
    let cases = [
        (
            &pointers[..],
            Block,
            r#"[{"account":"a-1"},{"account":1}]"#,
            Egress::Pass,
        ),
        (
            &pointers,
            Block,
            r#"[{"account":null},{"account":""}]"#,
            Egress::Pass,
        ),
        (
            &pointers,
            Block,
            r#"[{"account":"a-2"},{"account":"\u0061-1"},{"account":1.0}]"#,
            filtered(r#"[{"account":"\u0061-1"}]"#, 2, 0),
        ),
        (
            &pointers,
            Block,
            r#"[{"account":"a-2"},{"client_id":20}]"#,
            Egress::Blocked,
        ),
        (
            &pointers,
            Redact,
            r#"[{"client_id":20,"account":"a-2"},{"client_id":20,"slug":1},{"client_id":10}]"#,
            filtered(r#"[{"slug":1},{"client_id":10}]"#, 1, 1),
        ),
        // No row that could go: it is null.
        (
            &pointers,
            Block,
            r#"{"x":{"account":"a-2"}}"#,
            filtered(r#"{"x":{"account":null}}"#, 0, 1),
        ),
        (
            &one,
            Block,
            r#"{"account":"a-2","b":1.0}"#,
            filtered(r#"{"account":null,"b":1.0}"#, 0, 1),
        ),
        (&one, Block, r#"{"account":"a-1"}"#, Egress::Pass),
    ];
    for (pointers, on_foreign, answer, expected) in cases {
        let rule = rule_with(pointers, on_foreign);
        assert_eq!(
            run(&rule, answer).outcome,
            expected,
            "{on_foreign:?} {answer}"
        );
    }
}

#[test]
fn rows_of_rows_are_cut_where_the_id_stands() {
    let pointers = [
        (Kind::Client, "/rows/*/client_id"),
        (Kind::Client, "/rows/*/items/*/client_id"),
        (Kind::User, "/rows/*/items/*/by/*/id"),
    ];
    let answer = r#"{"rows":[{"client_id":10,"items":[{"client_id":20},{"by":{"a":{"id":2}}},3]},
        {"client_id":20,"items":[{"client_id":20}]},{"x":{},"client_id":"20","client_id":21}]}"#;
    let rule = rule_with(&pointers, OnForeign::Filter);
    let expected = r#"{"rows":[{"client_id":10,"items":[3]}]}"#;
    assert_eq!(run(&rule, answer).outcome, filtered(expected, 4, 0));
    let rule = rule_with(&pointers, OnForeign::Redact);
    let expected = r#"{"rows":[{"client_id":10,"items":[{},{},3]},
        {"items":[{}]},{}]}"#;
    assert_eq!(run(&rule, answer).outcome, filtered(expected, 0, 5));
}

#[test]
fn an_id_elsewhere_is_told_of() {
    let cases = [
        ("flows.list", r#"[{"owner":{"client_id":20}}]"#, true),
        ("flows.list", r#"[{"owner":[{"user\u005fid":"2"}]}]"#, true),
        (
            "flows.list",
            r#"[{"owner":{"client_id":10,"user_id":1}}]"#,
            false,
        ),
        (
            "flows.list",
            r#"[{"owner":{"client_id":"some-oauth-id"}}]"#,
            false,
        ),
        ("flows.list", r#"[{"config":{"client_id":20}}]"#, false),
        (
            "flows.list",
            r#"[{"data":[{"x":{"client_id":20}}]}]"#,
            false,
        ),
        ("flows.list", r#"[{"client_id":20}]"#, false),
        ("flows.list", r#"[{"x":{"client_id":20}}"#, false),
        ("maturity", r#"{"client_id":20}"#, true),
        // It went with its row.
        ("clients.list", r#"[{"id":20,"user_id":2}]"#, false),
        ("clients.list", r#"[{"id":20},{"id":10,"user_id":2}]"#, true),
        (
            "connectors.list",
            r#"[{"client_id":20,"user_id":2}]"#,
            false,
        ),
    ];
    for (name, answer, expected) in cases {
        assert_eq!(
            run(&rule(name), answer).elsewhere,
            expected,
            "{name} {answer}"
        );
    }
}

#[test]
fn rows_of_no_client_go_with_those_of_others_where_they_are_not_the_callers() {
    let mine = Mine {
        unowned: false,
        ..MINE
    };
    let pointers = [(Kind::Client, "/*/client_id")];
    let answer = r#"[{"client_id":null},{"client_id":10},{"client_id":0},{"slug":1}]"#;
    let rows = r#"[{"client_id":10},{"slug":1}]"#;
    for (on_foreign, drops_unowned, expected) in [
        (OnForeign::Block, false, Egress::Pass),
        (OnForeign::Block, true, filtered(rows, 2, 0)),
        (OnForeign::Filter, false, filtered(rows, 2, 0)),
        (
            OnForeign::Redact,
            false,
            filtered(r#"[{},{"client_id":10},{},{"slug":1}]"#, 0, 2),
        ),
    ] {
        let rule = Rule {
            drops_unowned,
            ..rule_with(&pointers, on_foreign)
        };
        let checked = check(&rule, answer.as_bytes(), &mine);
        assert_eq!(checked.outcome, expected, "{on_foreign:?} {drops_unowned}");
    }
    // Another client's row blocks all the same.
    let answer = br#"[{"client_id":0},{"client_id":20}]"#;
    let checked = check(&rule("flows.list"), answer, &mine);
    assert_eq!(checked.outcome, Egress::Blocked);
    let answer = br#"{"meetings":[{"client_id":0},{"client_id":10}]}"#;
    let checked = check(&rule("boardroom.meetings"), answer, &mine);
    let left = r#"{"meetings":[{"client_id":10}]}"#;
    assert_eq!(checked.outcome, filtered(left, 1, 0));
}
