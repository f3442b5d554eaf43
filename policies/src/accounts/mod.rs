//! Accounts of connectors, tied to clients.
//!
//! A caller's Coolbits token may read the accounts of all of the user's clients,
//! so an account that a request names must be linked to the decided client
//! (`/api/client_connectors`). A client without any link of a connector is not
//! bound to an account of it, but the accounts of the user's other clients stay
//! theirs. Not here: the service account, which goes by the
//! operator's own table alone, since links are self-asserted.

mod connector;
mod links;
mod reach;
mod site;

pub use connector::{CONNECTORS, Connector, bare, fields};
pub use links::{Link, Standings, account_of, links};
pub use reach::is_out_of_reach;

use crate::authorise::Permit;
use crate::fields::Fields;
use crate::refusal::Refusal;
use std::sync::Arc;

/// How a rule's routes use accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Of which connector.
    pub connector: &'static Connector,
    /// They read one account: where none is named, the client's first is.
    pub one: bool,
    /// The body may name it too.
    pub body: bool,
}

/// How a request is held to its accounts.
pub struct Bound {
    /// None was named, the client has no link, and other clients have: which one
    /// the app or Coolbits would take is not known, and may be theirs.
    pub is_open: bool,
}

/// Decides whether the accounts that a request names are its client's, and has its permit
/// name the one that is read in the one place where it is.
///
/// Errors with [`Refusal::AccountNotLinked`], and with [`Refusal::BodyMalformed`]
/// for an account in the body that is neither a text nor a number.
pub fn bind(
    permit: &mut Arc<Permit>,
    accounts: Accounts,
    fields: Option<&Fields>,
    links: &[Link],
) -> Result<Bound, Refusal> {
    let closed = Bound { is_open: false };
    let Accounts {
        connector,
        one,
        body,
    } = accounts;
    let Some(client) = permit.client() else {
        return Ok(closed);
    };
    let allows = |id: &str| connector.allows(id, client, links);
    let query = permit.query();
    let fields = fields.filter(|_| body);
    // As nearly always: one is named, and where it is read.
    let names = [connector.names, connector.managers];
    let only = query.only(connector.parameter(), names);
    if let (true, None, Some(id)) = (one, fields, only.filter(|id| !id.is_empty())) {
        return match allows(id) {
            true => Ok(closed),
            false => Err(Refusal::AccountNotLinked),
        };
    }
    let in_body = match fields {
        Some(fields) => connector.named_in(fields)?,
        None => Vec::new(),
    };
    let in_query = query.values_in(connector.names);
    let in_body = in_body.iter().map(String::as_str);
    let mut named = in_query.chain(in_body).filter(|id| !id.is_empty());
    let first = named.next();
    let managers = query
        .values_in(connector.managers)
        .filter(|id| !id.is_empty());
    if !first.into_iter().chain(named).chain(managers).all(allows) {
        return Err(Refusal::AccountNotLinked);
    }
    if !one {
        return Ok(closed);
    }
    // Said again in the one place that is read: a second or an empty one must not win.
    let chosen = match first {
        Some(id) if query.is_set(connector.parameter(), id) => return Ok(closed),
        Some(id) => id.to_owned(),
        None if connector.binds(client, links) => connector
            .chosen(client, links)
            .ok_or(Refusal::AccountNotLinked)?,
        None => {
            let is_open = links.iter().any(|link| connector.is_of(link));
            return Ok(Bound { is_open });
        }
    };
    Arc::make_mut(permit).set_parameter(connector.parameter(), &chosen);
    Ok(closed)
}

#[cfg(test)]
mod tests;
