//! Looking an answer of the app through for ids of somebody else.
//!
//! Each rule says where ids stand in its answers. One of another tenant there
//! means that a check of the app or of ours was passed that should not have
//! been: the answer is blocked, or, where the rule says so, its row cut out or
//! down. Ids that stand elsewhere are only told of. Not here: fields that only
//! look like ids of ours (`config.client_id`), and answers that are not JSON,
//! which a rule with pointers refuses and others pass.

mod looks;
mod passed;
mod scan;
mod splice;
mod text;

pub use looks::{Kind, Looks, TooMany};
pub use passed::{Passed, check_noting};
pub use scan::{DEEPEST, Hit, Seen, scan};
pub use text::NotJson;

use crate::ids::{ClientId, Named, UserId};
use crate::matrix::{OnForeign, Rule, UserWide};
use scan::unescaped;
use splice::Cut;
use std::borrow::Cow;

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// It goes on as it is.
    Pass,
    /// Rows were cut; this goes on instead.
    Filtered {
        /// The JSON that is left, byte for byte as the app wrote it.
        body: Vec<u8>,
        /// How many rows went.
        dropped: usize,
        /// How many rows stayed with only the members that the rule keeps.
        redacted: usize,
    },
    /// It does not go on.
    Blocked,
    /// It cannot be looked through, and does not go on either.
    Unreadable,
}

/// What was found in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What becomes of it.
    pub outcome: Egress,
    /// What goes on of it holds a foreign id outside of where the rule looks.
    pub elsewhere: bool,
}

/// Whose ids an answer may hold.
#[derive(Clone, Copy)]
pub struct Mine<'a> {
    /// Whether the caller may use the client.
    pub client: &'a dyn Fn(ClientId) -> bool,
    /// Whether rows that belong to no client stay, where the rule drops any.
    pub unowned: bool,
    /// The caller.
    pub user: Option<UserId>,
    /// Whether the caller may see the account with this id (text, unescaped).
    pub account: &'a dyn Fn(&str) -> bool,
}

/// Looks a 2xx answer through.
pub fn check(rule: &Rule, answer: &[u8], mine: &Mine<'_>) -> Checked {
    let on_client = match (rule.on_foreign, rule.user_wide) {
        (OnForeign::Redact, _) => Some(Cut::Down),
        (OnForeign::Filter, _) | (_, UserWide::Filter) => Some(Cut::Out),
        (OnForeign::Block, _) => None,
    };
    let on_unowned = match (mine.unowned, rule.drops_unowned) {
        (true, _) => None,
        (false, true) => on_client.or(Some(Cut::Out)),
        (false, false) => on_client,
    };
    let mut cuts: Vec<(usize, Cut)> = Vec::new();
    let mut is_blocked = false;
    let mut elsewhere = false;
    let seen = scan(answer, &rule.looks, &mut |hit| match Said::of(&hit) {
        said if !hit.pointed => elsewhere |= said.is_somebody_elses(mine),
        Said::Nobody if hit.kind == Kind::Client && on_unowned.is_some() => {
            match hit.row.zip(on_unowned) {
                Some(cut) if cuts.last() != Some(&cut) => cuts.push(cut),
                _ => {}
            }
        }
        said if mine.has(&said) => {}
        _ => {
            // No rule shows a row of an account that is not the caller's, and outside of
            // rows not its id.
            let cut = match (hit.kind, hit.row) {
                (Kind::Account, Some(row)) => Some((row, Cut::Out)),
                (Kind::Account, None) => Some((hit.at, Cut::Null)),
                (Kind::Client | Kind::User, row) => row.zip(on_client),
            };
            match cut {
                Some(cut) if cuts.last() != Some(&cut) => cuts.push(cut),
                Some(_) => {}
                None => is_blocked = true,
            }
        }
    });
    let outcome = match seen {
        Err(NotJson) => {
            elsewhere = false;
            match rule.has_egress() {
                true => Egress::Unreadable,
                false => Egress::Pass,
            }
        }
        // A shape that the rule does not know may hold anything.
        Ok(seen) if on_client.is_some() && rule.has_egress() && seen.lists == 0 => Egress::Blocked,
        Ok(_) if is_blocked => Egress::Blocked,
        Ok(_) if cuts.is_empty() => Egress::Pass,
        Ok(_) => match splice::splice(answer, cuts, &rule.keep) {
            Some(left) => {
                // What stood elsewhere may have been in the rows that went.
                elsewhere = elsewhere && holds_elsewhere(rule, &left.body, mine);
                Egress::Filtered {
                    body: left.body,
                    dropped: left.dropped,
                    redacted: left.redacted,
                }
            }
            None => Egress::Blocked,
        },
    };
    // Of what does not go on there is nothing to tell.
    let elsewhere = elsewhere && outcome != Egress::Blocked;
    Checked { outcome, elsewhere }
}

fn holds_elsewhere(rule: &Rule, body: &[u8], mine: &Mine<'_>) -> bool {
    let mut elsewhere = false;
    let _ = scan(body, &rule.looks, &mut |hit| {
        elsewhere |= !hit.pointed && Said::of(&hit).is_somebody_elses(mine);
    });
    elsewhere
}

/// What stands at a hit.
enum Said<'a> {
    /// A word for none.
    Nobody,
    Client(ClientId),
    /// Client and user ids share one grammar.
    User(u64),
    Account(Cow<'a, str>),
    /// Nothing that could be an id.
    Other,
}

impl<'a> Said<'a> {
    fn of(hit: &Hit<'a>) -> Self {
        match (hit.kind, named(hit.value)) {
            (_, Some(Named::NoClient)) => Self::Nobody,
            (Kind::Client, Some(Named::Client(id))) => Self::Client(id),
            (Kind::User, Some(Named::Client(id))) => Self::User(id.get()),
            (Kind::Account, _) => account(hit.value).map_or(Self::Other, Self::Account),
            (Kind::Client | Kind::User, None) => Self::Other,
        }
    }

    /// Where no rule looks, a word that is no id of ours is nobody's.
    fn is_somebody_elses(&self, mine: &Mine<'_>) -> bool {
        !matches!(self, Self::Other) && !mine.has(self)
    }
}

impl Mine<'_> {
    /// Whether what stands there is the caller's, or nobody's.
    fn has(&self, said: &Said<'_>) -> bool {
        match said {
            Said::Nobody => true,
            Said::Client(client) => (self.client)(*client),
            Said::User(id) => self.user.is_some_and(|user| user.get() == *id),
            Said::Account(id) => (self.account)(id),
            Said::Other => false,
        }
    }
}

/// An id as it stands in JSON; `None` for what is neither an id nor a word for none.
fn named(value: &[u8]) -> Option<Named> {
    match value {
        [b'"', ..] => Named::parse(&unescaped(value)?).ok(),
        other => Named::parse_bytes(other).ok(),
    }
}

/// An account's id as it stands in JSON: any string, or an integer.
fn account(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', ..] => unescaped(value),
        digits if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).map(Cow::Borrowed).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
