//! Whoever a passed look holds for would have seen it pass.

use super::documents::texts;
use super::properties::POINTERS;
use super::{MINE, rule, rule_with};
use crate::egress::{Egress, Mine, check, check_noting};
use crate::ids::UserId;
use crate::matrix::OnForeign;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// What somebody may see.
#[derive(Clone, Debug)]
struct Caller {
    clients: Vec<u64>,
    accounts: Vec<&'static str>,
    unowned: bool,
    user: Option<u64>,
}

fn callers() -> impl Strategy<Value = Caller> {
    let clients = subsequence(&[10, 11, 20][..], 0..=3);
    let accounts = subsequence(&["a-1", "a-2", "1"][..], 0..=3);
    let user = select(&[None, Some(1), Some(10)][..]);
    (clients, accounts, any::<bool>(), user).prop_map(|(clients, accounts, unowned, user)| Caller {
        clients,
        accounts,
        unowned,
        user,
    })
}

impl Caller {
    fn with<T>(&self, then: impl FnOnce(&Mine<'_>) -> T) -> T {
        then(&Mine {
            client: &|client| self.clients.contains(&client.get()),
            unowned: self.unowned,
            user: self.user.and_then(|id| UserId::parse(&id.to_string()).ok()),
            account: &|id| self.accounts.contains(&id),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2_000 } else { 60_000 }))]

    #[test]
    fn a_look_that_passed_holds_only_for_whom_it_would_pass(
        text in texts(),
        pointers in subsequence(&POINTERS[..], 0..6),
        on_foreign in select(&[OnForeign::Block, OnForeign::Filter, OnForeign::Redact][..]),
        one in callers(),
        other in callers(),
    ) {
        let rule = rule_with(&pointers, on_foreign);
        let body = text.as_bytes();
        let plain = one.with(|mine| check(&rule, body, mine));
        let (checked, passed) = one.with(|mine| check_noting(&rule, body, mine));
        prop_assert_eq!(&checked, &plain);
        let is_plain = plain.outcome == Egress::Pass && !plain.elsewhere;
        prop_assert_eq!(passed.is_some(), is_plain);
        if let Some(passed) = passed {
            prop_assert!(one.with(|mine| passed.holds_for(mine)));
            if other.with(|mine| passed.holds_for(mine)) {
                let theirs = other.with(|mine| check(&rule, body, mine));
                prop_assert_eq!((theirs.outcome, theirs.elsewhere), (Egress::Pass, false));
            }
        }
    }
}

#[test]
fn a_look_holds_for_who_may_see_the_same_and_for_nobody_else() {
    let rule = rule("flows.list");
    let body = br#"[{"client_id":10},{"client_id":10},{"client_id":null}]"#;
    let (_, passed) = check_noting(&rule, body, &MINE);
    let passed = passed.expect("all of it is mine");
    let only = |id: u64| move |client: crate::ids::ClientId| client.get() == id;
    for (id, unowned, expected) in [
        (10, true, true),
        (11, true, false),
        (20, true, false),
        (10, false, false),
    ] {
        let client = only(id);
        let mine = Mine {
            client: &client,
            unowned,
            ..MINE
        };
        assert_eq!(passed.holds_for(&mine), expected, "{id} {unowned}");
    }
}

#[test]
fn what_asked_too_much_is_looked_through_each_time() {
    let rows = |count: u64| {
        let rows: Vec<String> = (1..=count)
            .map(|id| format!("{{\"client_id\":{id}}}"))
            .collect();
        format!("[{}]", rows.join(","))
    };
    let mine = Mine {
        client: &|_| true,
        ..MINE
    };
    for (count, noted) in [(64, true), (65, false)] {
        let (checked, passed) = check_noting(&rule("flows.list"), rows(count).as_bytes(), &mine);
        assert_eq!(checked.outcome, Egress::Pass);
        assert_eq!(passed.is_some(), noted, "{count}");
    }
}
