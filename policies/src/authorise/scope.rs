//! Which client a request is about, and whether the identity may use it.
//!
//! Places that the route reads *decide*; a header or query that it does not read
//! may still not contradict them, because the next version of the app might
//! read it. Two exceptions: rules about the clients themselves, where the header
//! only says which client is open in the UI, and the cookie of the active
//! client, which is stale more often than not and so is never an error.

use super::Tenancy;
use crate::identity::Clients;
use crate::ids::{ClientId, ClientIds, Named, Unreadable};
use crate::matrix::{ActiveClient, ClientScope, Found, Place, Rule, UserWide};
use crate::normalise::Asked;
use crate::refusal::Refusal;
use serde::{Serialize, Serializer};

/// The clients an identity may use, from everything that is known about it.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The token names its clients: nothing else is in reach.
    limited: bool,
    ids: ClientIds,
}

impl Reach {
    /// Those of the claim and those created with this token; or, without a claim, the app's own list.
    pub(super) fn new(claim: &Clients, tenancy: &Tenancy<'_>) -> Self {
        let limited = matches!(claim, Clients::Claimed(_));
        let ids = match (claim, tenancy.directory) {
            (Clients::Claimed(claimed), Some(listed)) if !tenancy.created.is_empty() => {
                // An id is given out again after its client is deleted: the list has the last word.
                let created = tenancy.created.iter().filter(|id| listed.has(**id));
                let all: Vec<ClientId> = claimed.iter().chain(created).copied().collect();
                all.into()
            }
            (Clients::Claimed(claimed), _) => claimed.clone(),
            (Clients::Unclaimed, listed) => listed.cloned().unwrap_or_default(),
        };
        Self { limited, ids }
    }

    /// Whether this client is in reach.
    pub fn allows(&self, client: ClientId) -> bool {
        self.ids.has(client)
    }

    /// Whether the token is limited to these clients.
    pub fn is_limited(&self) -> bool {
        self.limited
    }
}

/// The clients that a request names where its rule looks, to know whether the app has to be asked about them.
pub fn named(asked: &Asked, found: &Found) -> impl Iterator<Item = ClientId> {
    let looks = found.rule.client != ClientScope::None;
    let says = [
        asked.client_header,
        asked.client_query,
        in_path(found),
        in_cookie(asked),
    ];
    let says = says.into_iter().flatten();
    let says = says.chain(asked.client_body.iter().copied());
    says.filter_map(move |named| match named {
        Ok(Named::Client(client)) if looks => Some(client),
        _ => None,
    })
}

/// What each place of a request named as its client; written as a map from the place's
/// name to an id, `none` or `unreadable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places([Option<Says>; 5]);

/// Their names, in their order.
const PLACES: [&str; 5] = ["body", "cookie", "header", "path", "query"];

impl Places {
    /// Those of a request.
    pub fn of(asked: &Asked, found: &Found) -> Self {
        Self([
            asked.client_body.first().copied(),
            in_cookie(asked),
            asked.client_header,
            in_path(found),
            asked.client_query,
        ])
    }

    /// The first client that is named.
    pub fn client(&self) -> Option<ClientId> {
        let says = self.0.iter().flatten();
        says.filter_map(|says| match says {
            Ok(Named::Client(client)) => Some(*client),
            _ => None,
        })
        .next()
    }
}

impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let places = PLACES.iter().zip(&self.0);
        serializer.collect_map(places.filter_map(|(place, says)| {
            let text = match (*says)? {
                Ok(Named::Client(client)) => client.to_string(),
                Ok(Named::NoClient) => "none".to_owned(),
                Err(Unreadable) => "unreadable".to_owned(),
            };
            Some((place, text))
        }))
    }
}

/// Decides on the client. `None` is no client: everything of the user.
pub(super) fn decide(
    asked: &Asked,
    found: &Found,
    reach: &Reach,
    strict: bool,
) -> Result<Option<ClientId>, Refusal> {
    match says(asked, found, strict)? {
        Named::Client(client) if reach.allows(client) => Ok(Some(client)),
        Named::Client(_) => Err(Refusal::ClientNotAllowed),
        Named::NoClient => without(asked, &found.rule, reach),
    }
}

/// The same on a public rule: a page is never refused for a client that is left over from another login.
pub(super) fn decide_public(
    asked: &Asked,
    found: &Found,
    reach: &Reach,
) -> Result<Option<ClientId>, Refusal> {
    match says(asked, found, false) {
        Ok(Named::Client(client)) if reach.allows(client) => Ok(Some(client)),
        _ => without(asked, &found.rule, reach),
    }
}

/// What the places say together.
fn says(asked: &Asked, found: &Found, strict: bool) -> Result<Named, Refusal> {
    let rule = &*found.rule;
    if rule.client == ClientScope::None {
        return Ok(Named::NoClient);
    }
    let read = |place, says: Option<Says>| says.filter(|_| rule.reads(place));
    let body = asked.client_body.iter().copied();
    let path = read(Place::Path, in_path(found));
    let query = read(Place::Query, asked.client_query);
    let header = read(Place::Header, asked.client_header);
    let deciding = body.chain(path).chain(query);
    let decided = if rule.client == ClientScope::Managed && !strict {
        let target = agreed(deciding.clone())?;
        agreed(deciding.chain(asked.client_query))?;
        match target {
            Some(named) => Some(named),
            None => agreed(header.into_iter())?,
        }
    } else {
        let deciding = deciding.chain(header);
        let decided = agreed(deciding.clone())?;
        // Whether the rule reads them or not.
        let others = asked.client_query.into_iter().chain(asked.client_header);
        agreed(deciding.chain(others))?;
        decided
    };
    Ok(decided.unwrap_or(Named::NoClient))
}

/// Nothing names a client.
fn without(asked: &Asked, rule: &Rule, reach: &Reach) -> Result<Option<ClientId>, Refusal> {
    let by_cookie = reach.limited
        || rule.client == ClientScope::Required
        || rule.active_client == ActiveClient::All;
    if by_cookie
        && rule.reads(Place::Cookie)
        && let Some(Ok(Named::Client(active))) = in_cookie(asked)
        && reach.allows(active)
    {
        return Ok(Some(active));
    }
    // Only where it can be written: nobody reads a header that the route does not.
    let is_writable = rule.reads(Place::Header) || rule.reads(Place::Cookie);
    if reach.limited
        && is_writable
        && let [only] = reach.ids[..]
    {
        return Ok(Some(only));
    }
    match (rule.client, rule.user_wide) {
        (ClientScope::Required, _) => Err(Refusal::ClientRequired),
        (_, UserWide::Deny) if !reach.limited => Ok(None),
        (ClientScope::None, UserWide::Deny) => Err(Refusal::UserWideDenied),
        (_, UserWide::Deny) => Err(Refusal::ClientRequired),
        (_, UserWide::Allow | UserWide::Filter) => Ok(None),
    }
}

/// What one place says.
type Says = Result<Named, Unreadable>;

fn in_path(found: &Found) -> Option<Says> {
    found.client_in_path.as_deref().map(Named::parse)
}

fn in_cookie(asked: &Asked) -> Option<Says> {
    asked
        .cookies
        .managed(crate::cookies::CLIENT_ID)
        .map(Named::parse)
}

/// What all places that are present say together.
fn agreed(places: impl Iterator<Item = Says>) -> Result<Option<Named>, Refusal> {
    let mut decided = None;
    for place in places {
        let named = place.map_err(|Unreadable| Refusal::ClientUnreadable)?;
        if decided.is_some_and(|other| other != named) {
            return Err(Refusal::ClientConflict);
        }
        decided = Some(named);
    }
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Says> {
        prop_oneof![
            Just(Err(Unreadable)),
            Just(Ok(Named::NoClient)),
            (1u64..4).prop_map(|n| Named::parse(&n.to_string())),
        ]
    }

    proptest! {
        /// No order of places, and no place repeated, changes what they say.
        #[test]
        fn agreement_does_not_depend_on_order(places in prop::collection::vec(place(), 0..5), twice in any::<bool>()) {
            let mut others: Vec<Says> = places.iter().rev().copied().collect();
            if twice {
                others.extend(&places);
            }
            let (one, two) = (agreed(places.iter().copied()), agreed(others.into_iter()));
            prop_assert_eq!(one.is_ok(), two.is_ok());
            if let (Ok(one), Ok(two)) = (one, two) {
                prop_assert_eq!(one, two);
                prop_assert!(places.iter().all(|place| Some(*place) == one.map(Ok)));
            }
        }
    }
}
