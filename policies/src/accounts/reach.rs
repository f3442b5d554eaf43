//! Accounts of clients that a token does not reach.

use super::connector::{digits, without_kinds, without_zeros};
use super::links::Link;
use crate::authorise::Reach;

/// Whether an account, of whatever connector, is linked to a client that the token
/// does not reach and to none that it does: such a token must not link it, nor see it
/// to link it. Compared as loosely as anybody could read it.
pub fn is_out_of_reach(account: &str, reach: &Reach, links: &[Link]) -> bool {
    if !reach.is_limited() {
        return false;
    }
    let wanted = squashed(account);
    let is_linked = |is_reached: bool, is_it: &dyn Fn(&str) -> bool| {
        let mut links = links.iter().filter(|link| link.connected);
        links.any(|link| reach.allows(link.client) == is_reached && is_it(&link.account))
    };
    let digits = digits(account);
    let is_alike = |other: &str| {
        let same = digits.len() >= 6 && digits == self::digits(other);
        same || (!wanted.is_empty() && wanted == squashed(other))
    };
    !is_linked(true, &|own| !wanted.is_empty() && wanted == squashed(own))
        && is_linked(false, &is_alike)
}

/// Letters and digits alone; a whole number, however it is written, as its digits.
fn squashed(account: &str) -> String {
    let account = account.trim().to_lowercase();
    let account = without_kinds(&account);
    // As far as such numbers are exact.
    let number = account.parse::<f64>().ok().map(f64::abs);
    if let Some(number) = number.filter(|n| n.fract() == 0.0 && *n < 9e15) {
        return format!("{number:.0}");
    }
    let plain: String = account
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    match plain.bytes().all(|b| b.is_ascii_digit()) {
        true => without_zeros(&plain),
        false => plain,
    }
}
