use super::super::super::probe::{Answer, Trouble};
use super::super::super::report::Outcome::{self, Fail, Pass, Skip, Warn};
use super::*;

fn id(id: u64) -> ClientId {
    ClientId::parse(&id.to_string()).unwrap()
}

fn ids(all: &[u64]) -> Vec<ClientId> {
    all.iter().map(|n| id(*n)).collect()
}

fn answer(status: u16, body: &str) -> Got {
    Ok(Answer::of(status, &[], body))
}

/// The claim, the app's list, and the client asked about.
type Given = (Clients, Option<&'static [u64]>, Option<u64>);
/// What is chosen, as numbers: own, foreign, whether it is the one asked about.
type Expected = (Option<u64>, Option<u64>, bool, Outcome, &'static str);

#[test]
fn the_client_is_one_that_token_and_app_allow() {
    let unclaimed = || Clients::Unclaimed;
    let claimed = |all: &[u64]| Clients::Claimed(ids(all).into());
    let cases: [(Given, Expected); 13] = [
        (
            (unclaimed(), Some(&[10, 11]), None),
            (Some(10), Some(1), true, Pass, "client 10 is tried"),
        ),
        (
            (unclaimed(), Some(&[1, 2]), Some(2)),
            (Some(2), Some(3), true, Pass, "2 is theirs"),
        ),
        (
            (claimed(&[11]), Some(&[10, 11]), None),
            (Some(11), Some(1), true, Pass, "11 is tried"),
        ),
        (
            (claimed(&[1]), Some(&[1]), Some(1)),
            (Some(1), Some(2), true, Pass, "1 is theirs"),
        ),
        (
            (unclaimed(), Some(&[10]), Some(20)),
            (Some(10), Some(20), false, Fail, "app's list"),
        ),
        (
            (claimed(&[11]), Some(&[10, 11]), Some(10)),
            (Some(11), Some(10), false, Fail, "clients claim"),
        ),
        (
            (claimed(&[20]), Some(&[10]), Some(20)),
            (None, Some(1), false, Fail, "app's list"),
        ),
        (
            (claimed(&[20]), Some(&[10]), None),
            (None, Some(1), true, Fail, "lists none"),
        ),
        (
            (unclaimed(), Some(&[]), None),
            (None, Some(1), true, Skip, "no client is known"),
        ),
        (
            (claimed(&[]), Some(&[10]), None),
            (None, Some(1), true, Skip, "no client is known"),
        ),
        (
            (unclaimed(), None, Some(10)),
            (None, Some(10), false, Fail, "cannot be looked up"),
        ),
        (
            (unclaimed(), None, None),
            (None, Some(1), true, Skip, "no client is known"),
        ),
        (
            (claimed(&[10]), None, None),
            (Some(10), Some(1), true, Pass, "10 is tried"),
        ),
    ];
    for ((claimed, listed, wanted), (own, foreign, is_wanted, outcome, word)) in cases {
        let listed = listed.map(ids);
        let chosen = choose(&claimed, listed.as_deref(), wanted.map(id));
        let context = format!("{claimed:?} {listed:?} {wanted:?}: {:?}", chosen.finding);
        assert_eq!(chosen.own, own.map(id), "{context}");
        assert_eq!(chosen.foreign, foreign.map(id), "{context}");
        assert_eq!(chosen.is_wanted, is_wanted, "{context}");
        assert_eq!(chosen.finding.outcome, outcome, "{context}");
        assert!(chosen.finding.seen.contains(word), "{context}");
    }
}

#[test]
fn the_directory_is_a_list_of_ids() {
    for (got, listed, outcome) in [
        (
            answer(200, r#"[{"id":10},{"id":11}]"#),
            Some(ids(&[10, 11])),
            Pass,
        ),
        (
            answer(200, r#"{"clients":[{"id":10}]}"#),
            Some(ids(&[10])),
            Pass,
        ),
        (answer(200, "[]"), Some(vec![]), Warn),
        (answer(200, r#"[{"id":"10"}]"#), None, Fail),
        (answer(200, "<html>"), None, Fail),
        (answer(500, "[]"), None, Fail),
        (Err(Trouble::Refused), None, Fail),
        (Err(Trouble::NoTime), None, Skip),
    ] {
        let (seen, finding) = directory(&got);
        assert_eq!((seen, finding.outcome), (listed, outcome), "{got:?}");
    }
    let many: Vec<u64> = (1..=20).collect();
    assert!(named(&ids(&many)).ends_with("12, 8 more"));
}

#[test]
fn links_are_those_of_the_client_that_are_connected() {
    let rows = r#"[
        {"client_id":10,"connector_slug":"google-ads","account_id":"1","status":"connected"},
        {"client_id":10,"connector_slug":"Google_Ads","account_id":"2"},
        {"client_id":10,"connector_slug":"ga4","account_id":"3","status":"disconnected"},
        {"client_id":11,"connector_slug":"stripe","account_id":"4"}]"#;
    let (linked, finding) = links(&answer(200, rows), id(10));
    assert_eq!(linked.into_iter().collect::<Vec<_>>(), ["google-ads"]);
    assert_eq!(
        finding,
        Finding::pass("client 10 is linked to google-ads 2")
    );
    for (got, outcome) in [
        (answer(200, rows), Warn),
        (answer(200, "{}"), Fail),
        (answer(403, rows), Fail),
        (Err(Trouble::Refused), Fail),
    ] {
        let (linked, finding) = links(&got, id(30));
        assert_eq!((linked.len(), finding.outcome), (0, outcome), "{got:?}");
    }
}

#[test]
fn every_refusal_of_a_token_is_told_with_its_code() {
    for (refusal, code, todo) in [
        (Refusal::TokenExpired, "token_expired", "sign in again"),
        (Refusal::TokenMalformed, "token_malformed", "Bearer"),
        (Refusal::TokenBadSignature, "token_bad_signature", "secret"),
        (
            Refusal::TokenClaimsInvalid,
            "token_claims_invalid",
            "user_claim",
        ),
        (Refusal::TokenRevoked, "token_revoked", "another token"),
    ] {
        let finding = refused(refusal);
        assert_eq!(finding.outcome, Fail);
        assert!(finding.seen.contains(code), "{finding:?}");
        assert!(finding.todo.unwrap().contains(todo), "{code}");
    }
}
