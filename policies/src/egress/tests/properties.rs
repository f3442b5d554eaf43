//! The pass over the bytes and a slow reference over values say the same.

use super::documents::{changed, texts};
use super::reference::{elsewhere, reference};
use super::{MINE, rule_with};
use crate::egress::{Egress, Kind, Looks, check, scan};
use crate::matrix::OnForeign;
use crate::pointer::Pointer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

pub(super) const POINTERS: [(Kind, &str); 16] = [
    (Kind::Client, "/*/client_id"),
    (Kind::Client, "/client_id"),
    (Kind::Client, "/rows/*/client_id"),
    (Kind::Client, "/rows/*/items/*/client_id"),
    (Kind::Client, "/*/*/client_id"),
    (Kind::Client, "/data/*/client_id"),
    (Kind::Client, "/*/config/client_id"),
    (Kind::Client, "/*/items/*"),
    (Kind::Client, "/*/id"),
    (Kind::User, "/*/user_id"),
    (Kind::User, "/*/client_id"),
    (Kind::User, "/rows/*/owner/*"),
    (Kind::Account, "/*/account"),
    (Kind::Account, "/rows/*/account"),
    (Kind::Account, "/rows/*/*/account"),
    (Kind::Client, "/*/*/*/*/client_id"),
];

fn looks_of(pointers: &[(Kind, &str)]) -> Looks {
    rule_with(pointers, OnForeign::Block).looks
}

fn agrees_with_serde(body: &[u8]) {
    // Ignored strings need not be UTF-8 for it.
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
        && std::str::from_utf8(body).is_ok();
    let seen = scan(body, &looks_of(&POINTERS), &mut |_| {});
    assert_eq!(seen.is_ok(), is_json, "{:?}", String::from_utf8_lossy(body));
    for on_foreign in [OnForeign::Block, OnForeign::Filter, OnForeign::Redact] {
        let checked = check(&rule_with(&POINTERS, on_foreign), body, &MINE);
        assert_eq!(checked.outcome != Egress::Unreadable, is_json);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 60_000 }))]

    #[test]
    fn the_scan_points_at_what_pointers_find(
        text in texts(),
        pointers in subsequence(&POINTERS[..], 0..6),
    ) {
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut expected: Vec<_> = pointers
            .iter()
            .flat_map(|(kind, text)| {
                let found = Pointer::parse(text).unwrap().find(&value).into_iter();
                found.map(|id| match id {
                    Value::Array(_) => (*kind, "[".to_owned()),
                    Value::Object(_) => (*kind, "{".to_owned()),
                    id => (*kind, id.to_string()),
                }).collect::<Vec<_>>()
            })
            .collect();
        let mut told = Vec::new();
        let seen = scan(text.as_bytes(), &looks_of(&pointers), &mut |hit| {
            if hit.pointed {
                let value = std::str::from_utf8(hit.value).unwrap();
                let value = serde_json::from_str::<Value>(value)
                    .map_or(value.to_owned(), |value| value.to_string());
                told.push((hit.kind, value));
            }
        });
        prop_assert!(seen.is_ok());
        told.sort();
        expected.sort();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn what_goes_on_is_what_the_reference_leaves(
        text in texts(),
        pointers in subsequence(&POINTERS[..], 0..6),
        on_foreign in select(&[OnForeign::Block, OnForeign::Filter, OnForeign::Redact][..]),
    ) {
        let value: Value = serde_json::from_str(&text).unwrap();
        let rule = rule_with(&pointers, on_foreign);
        let checked = check(&rule, text.as_bytes(), &MINE);
        let expected = reference(&rule, &pointers, &value);
        let left = match &checked.outcome {
            Egress::Pass => Some(value.clone()),
            Egress::Filtered { body, dropped, redacted } => {
                prop_assert!(dropped + redacted > 0);
                Some(serde_json::from_slice(body).unwrap())
            }
            _ => None,
        };
        prop_assert_eq!(&left, &expected);
        let is_elsewhere = left.as_ref().is_some_and(|left| elsewhere(&pointers, left));
        prop_assert_eq!(checked.elsewhere, is_elsewhere);
    }

    #[test]
    fn what_is_json_is_what_serde_json_accepts(body in changed()) {
        agrees_with_serde(&body);
    }

    #[test]
    fn no_bytes_make_it_panic(
        body in vec(any::<u8>(), 0..64),
        brackets in vec(select(&b"{}[],:\"1 x"[..]), 0..32),
    ) {
        agrees_with_serde(&body);
        agrees_with_serde(&brackets);
    }
}
