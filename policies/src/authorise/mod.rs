//! From who asks and what is asked to a [`Permit`], or to the refusal.
//!
//! A `Permit` is the proof that the decision was taken: upstream requests, cache
//! keys and ledger rows are made from one and from nothing else, and
//! [`authorise`] is its only constructor. It also holds the *decided form* of
//! the request (one user, one client, one path), so that what was decided on is
//! what is forwarded.

mod permit;
mod scope;

pub use permit::{Permit, UpstreamIdentity};
pub use scope::{Places, Reach, named};

use crate::identity::Identity;
use crate::ids::{ClientId, ClientIds};
use crate::matrix::{Auth, Found, Mode};
use crate::normalise::Asked;
use crate::refusal::Refusal;

/// What is known besides the request, its token and its rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tenancy<'a> {
    /// The app's own list of the user's clients, where it was asked for.
    pub directory: Option<&'a ClientIds>,
    /// Clients that were created through us with this token.
    pub created: &'a [ClientId],
    /// On rules about clients themselves, the header has to agree with the target.
    pub strict_management: bool,
    /// The caller's address lies in the operator's own networks.
    pub internal: bool,
    /// Something about the scope is known to be wrong already: a body that cannot
    /// be read, or a list of clients that cannot be had.
    pub broken: Option<Refusal>,
}

/// Decides whether the identity may do what is asked.
///
/// `identity` is `Ok(None)` for a request without a token and `Err` for one
/// whose token was refused; on a public rule both mean an anonymous caller.
pub fn authorise(
    asked: Asked,
    identity: Result<Option<Identity>, Refusal>,
    found: Found,
    tenancy: &Tenancy<'_>,
) -> Result<Permit, Refusal> {
    let identity = match found.rule.auth {
        Auth::Public => identity.ok().flatten(),
        Auth::Required => Some(identity?.ok_or(Refusal::TokenMissing)?),
        Auth::Internal if tenancy.internal => identity.ok().flatten(),
        Auth::Internal => return Err(Refusal::InternalOnly),
    };
    let reach = identity
        .as_ref()
        .map(|identity| Reach::new(identity.clients(), tenancy));
    let decided = match (&reach, tenancy.broken) {
        (None, _) => Ok(None),
        (Some(_), Some(broken)) if found.rule.auth == Auth::Required => Err(broken),
        (Some(reach), _) => match found.rule.auth {
            Auth::Required => scope::decide(&asked, &found, reach, tenancy.strict_management),
            _ => scope::decide_public(&asked, &found, reach),
        },
    };
    let (client, is_scoped, reported) = match (decided, found.rule.mode) {
        // Anonymous callers say nothing about clients in any mode.
        (Ok(client), Mode::Enforce | Mode::Report) => (client, true, None),
        (Ok(_) | Err(_), Mode::Off) => (None, reach.is_none(), None),
        (Err(refusal), Mode::Report) => (None, false, Some(refusal)),
        (Err(refusal), Mode::Enforce) => return Err(refusal),
    };
    let forged_user = match (&asked.claimed_user, &identity) {
        (None, _) => false,
        (Some(claimed), Some(identity)) => *claimed != identity.user().to_string(),
        (Some(_), None) => true,
    };
    Ok(Permit::new(
        asked,
        found.rule,
        identity,
        reach,
        permit::Scope {
            client,
            is_scoped,
            reported,
            forged_user,
        },
    ))
}

#[cfg(test)]
pub(crate) mod tests;
