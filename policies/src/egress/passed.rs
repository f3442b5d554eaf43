//! That an answer passed, and for whom else it passes without another look.
//!
//! A kept answer is given many times. What [`super::check`] makes of it depends on the
//! rule, the bytes, and what it is told when it asks whose an id is. So a look that passed
//! notes its questions and what it was told: whoever is told the same, to each of them,
//! would see the same look pass. Only valid for the same bytes and the same rule; whoever
//! keeps one has to see to that.

use super::{Checked, Egress, Mine, check};
use crate::ids::{ClientId, UserId};
use crate::matrix::Rule;
use std::borrow::Borrow;
use std::cell::RefCell;

/// Different questions noted at most; answers that need more are looked through each time.
const MOST: usize = 64;

/// What a look that passed asked, and was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    unowned: bool,
    user: Option<UserId>,
    clients: Vec<(ClientId, bool)>,
    accounts: Vec<(Box<str>, bool)>,
}

impl Passed {
    /// Whether the look would pass for them, too.
    pub fn holds_for(&self, mine: &Mine<'_>) -> bool {
        let is_same_client = |(client, told): &(ClientId, bool)| (mine.client)(*client) == *told;
        let is_same_account = |(id, told): &(Box<str>, bool)| (mine.account)(id) == *told;
        (self.unowned, self.user) == (mine.unowned, mine.user)
            && self.clients.iter().all(is_same_client)
            && self.accounts.iter().all(is_same_account)
    }
}

/// Looks a 2xx answer through; where nothing was found, tells for whom else it passes.
pub fn check_noting(rule: &Rule, answer: &[u8], mine: &Mine<'_>) -> (Checked, Option<Passed>) {
    let clients = RefCell::new(Vec::new());
    let accounts = RefCell::new(Vec::new());
    let client = |client: ClientId| {
        let told = (mine.client)(client);
        note(&mut clients.borrow_mut(), &client, told);
        told
    };
    let account = |id: &str| {
        let told = (mine.account)(id);
        note(&mut accounts.borrow_mut(), id, told);
        told
    };
    let noting = Mine {
        client: &client,
        account: &account,
        ..*mine
    };
    let checked = check(rule, answer, &noting);
    let passed = Passed {
        unowned: mine.unowned,
        user: mine.user,
        clients: clients.into_inner(),
        accounts: accounts.into_inner(),
    };
    let is_plain = checked.outcome == Egress::Pass && !checked.elsewhere;
    let is_whole = passed.clients.len() <= MOST && passed.accounts.len() <= MOST;
    (checked, (is_plain && is_whole).then_some(passed))
}

/// Notes what is new; one beyond what is kept, so that it shows.
fn note<K: Borrow<Q>, Q: ?Sized + PartialEq + ToOwned>(
    notes: &mut Vec<(K, bool)>,
    id: &Q,
    told: bool,
) where
    Q::Owned: Into<K>,
{
    if notes.len() <= MOST && !notes.iter().any(|(known, _)| known.borrow() == id) {
        notes.push((id.to_owned().into(), told));
    }
}
