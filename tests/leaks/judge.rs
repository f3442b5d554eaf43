//! What an answer gives away.

use super::Attempt;
use super::objects::accounts_of_others;
use crate::support::marks;
use camarad_policies::matrix::{ClientScope, Place, Route, UserWide};
use std::collections::BTreeMap;

/// Whose data an answer may hold.
fn may_see(attempt: &Attempt, mark: &str) -> bool {
    let bad = attempt.case.name.starts_with("token ")
        && attempt.case.name != "token of another user's cookie";
    match attempt.case.name {
        name if name.starts_with("limited") => {
            // What belongs to no client, where the rule says that it may be seen.
            let unscoped = attempt.rule.user_wide != UserWide::Deny && mark == "u3.c0";
            mark == "u3.c30" || unscoped
        }
        name if bad || name.starts_with("anonymous") || name.ends_with("anonymous") => {
            mark.starts_with("u0.")
        }
        _ => match within_one_client(attempt) {
            // The same user's other client is somebody else, too.
            true => ["u1.c10", "u1.c0", "u0.c0"].contains(&mark),
            false => mark.starts_with("u1.") || mark == "u0.c0",
        },
    }
}

/// Whether the request is decided to be about client 10, or refused.
fn within_one_client(attempt: &Attempt) -> bool {
    let (name, rule) = (attempt.case.name, &attempt.rule);
    let names_it = name.starts_with("own client")
        || name.starts_with("account: ")
        || (name.starts_with("object: ") && !name.contains("client named"));
    let is_scoped = matches!(rule.client, ClientScope::Required | ClientScope::Optional);
    names_it && is_scoped && rule.reads(Place::Header)
}

/// Accounts that an answer must not hold.
fn foreign_accounts(attempt: &Attempt) -> Vec<String> {
    let is_bound = attempt
        .rule
        .accounts
        .is_some_and(|bound| ["google-ads", "ga4"].contains(&bound.connector.name));
    match (is_bound, attempt.case.name.starts_with("limited")) {
        (true, true) => accounts_of_others(30),
        (true, false) if within_one_client(attempt) => accounts_of_others(10),
        _ => Vec::new(),
    }
}

/// What only others have.
fn foreign_words(attempt: &Attempt) -> &'static [&'static str] {
    match attempt.case.name {
        name if name.starts_with("limited") => {
            &["Contoso", "Northwind Services", "Alice", "Fabrikam Events"]
        }
        name if name.contains("anonymous") || name.starts_with("token ") => {
            &["Contoso", "Alice", "Fabrikam"]
        }
        _ => &["Contoso", "Alice", "Fabrikam"],
    }
}

/// What an answer gives away, if anything.
pub fn leak(
    attempt: &Attempt,
    head: &str,
    body: &str,
    victims: &BTreeMap<Route, String>,
) -> Option<String> {
    // The stand-in says it in a header, or in the rows themselves.
    let foreign = marks(&format!("{head} {body}"))
        .into_iter()
        .find(|mark| !may_see(attempt, mark));
    let word = foreign_words(attempt)
        .iter()
        .find(|word| body.contains(**word));
    let account = foreign_accounts(attempt)
        .into_iter()
        .find(|account| body.contains(account));
    let copied = victims
        .get(&attempt.route)
        .is_some_and(|theirs| !theirs.is_empty() && theirs == body);
    let what = match (foreign.or(account), word, copied) {
        (Some(found), ..) => found,
        (_, Some(word), _) => (*word).to_owned(),
        (.., true) => "the other user's own figures".to_owned(),
        _ => return None,
    };
    let (case, line) = (attempt.case.name, head.lines().next().unwrap_or_default());
    Some(format!("{} [{case}] {line}: {what}", attempt.route))
}
