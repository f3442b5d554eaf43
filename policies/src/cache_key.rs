//! The key of a cached answer, made from a permit and from nothing else.
//!
//! Its parts are kept as what they are, and keys are compared part by part: parts cannot
//! run into one another (`tenant_a` + `/path` against `tenant_` + `a/path`), and two keys
//! with one hash stay two. A key that left out the tenant is CVE-2026-2836; here only a
//! [`Class`] leaves anything out.
//! What a class leaves out, the answer must not depend on: give a route too wide
//! a class, and one caller is answered with what another one asked for.

use crate::accounts::Accounts;
use crate::authorise::Permit;
use crate::hex::hex;
use crate::matrix::Serve;
use crate::operation::Operation;
use crate::path::CanonicalPath;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// Among whom an answer may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Requests of one user with one credential about one client.
    Tenant,
    /// Requests of one user with one credential, whatever the client.
    User,
    /// Everybody who may ask.
    Shared,
}

/// A whole key; cheap to clone. Equal where all its parts are equal.
#[derive(Clone, Debug)]
pub struct CacheKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    digest: OnceLock<String>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    class: Class,
    scope: Scope,
    /// SHA-256 of the token; zeros without one, and where the class leaves it out.
    credential: [u8; 32],
    /// Of gateway and configuration.
    generation: u64,
    path: CanonicalPath,
    /// As far as it is read.
    query: Option<Arc<str>>,
}

/// Whose answer it is, and of what, in the words that a purge uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Who answers: the gateway, else the app.
    pub by_gateway: bool,
    /// The request left open which account is read: that is the user's choice.
    pub is_open: bool,
    /// The user; `None` for anonymous callers and shared answers.
    pub user: Option<u64>,
    /// The client; `None` where none was decided, and where the class leaves it out.
    pub client: Option<u64>,
}

impl CacheKey {
    /// The key of what this permit asks, under one generation of gateway and configuration.
    /// `None` where the client was not decided on: such an answer is nobody's to keep.
    ///
    /// The query is the one that goes on: where it names a client, that stays in the key
    /// whatever the class.
    pub fn new(permit: &Permit, class: Class, generation: u64) -> Option<Self> {
        if !permit.is_scoped() {
            return None;
        }
        let identity = match class {
            Class::Tenant | Class::User => permit.identity(),
            Class::Shared => None,
        };
        let client = permit.client().filter(|_| class == Class::Tenant);
        let rule = permit.rule();
        let by_gateway = matches!(rule.serve, Serve::Connector(_));
        let query = match by_gateway {
            // What the gateway does not read must not make another key of the same answer.
            true => permit.query().text_read(),
            false => permit.query().shared(),
        };
        let parts = Parts {
            class,
            scope: Scope {
                rule: rule.name.clone(),
                by_gateway,
                is_open: is_open(permit),
                user: identity.map(|identity| identity.user().get()),
                client: client.map(|client| client.get()),
            },
            credential: identity.map_or([0; 32], |identity| *identity.token().hash()),
            generation,
            path: permit.path().clone(),
            query,
        };
        Some(Self(Arc::new(Inner {
            parts,
            digest: OnceLock::new(),
        })))
    }

    /// Whose answer it is, and of what.
    pub fn scope(&self) -> &Scope {
        &self.0.parts.scope
    }

    /// SHA-256 of the key in lower-case hex: its name where operators see it.
    pub fn digest(&self) -> &str {
        self.0.digest.get_or_init(|| self.0.parts.digest())
    }

    /// Bytes of memory that it takes, about, for the cache's bound.
    pub fn weight(&self) -> usize {
        let parts = &self.0.parts;
        size_of::<Inner>() + parts.path.as_str().len() + parts.query().len()
    }
}

impl Parts {
    fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    fn digest(&self) -> String {
        let tag = match self.class {
            Class::Tenant => b"tenant".as_slice(),
            Class::User => b"user",
            Class::Shared => b"shared",
        };
        let scope = &self.scope;
        let parts = [
            tag,
            scope.rule.as_bytes(),
            // Zero is nobody's id and no client's.
            &scope.user.unwrap_or(0).to_be_bytes(),
            &scope.client.unwrap_or(0).to_be_bytes(),
            &self.credential,
            &self.generation.to_be_bytes(),
            self.path.as_str().as_bytes(),
            self.query().as_bytes(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // Framed, so that parts cannot run into one another.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())
    }
}

/// Whether the answer hangs on what the user chose last: an account that is read and not
/// named, and what says which one is chosen. Lists of accounts do not.
fn is_open(permit: &Permit) -> bool {
    let rule = permit.rule();
    let reads_one =
        |accounts: Accounts| accounts.one && !accounts.connector.is_named(permit.query());
    rule.accounts.is_some_and(reads_one) || rule.serve == Serve::Connector(Operation::Ga4Status)
}

/// As its digest, which is worked out only where somebody writes it down.
impl Serialize for CacheKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digest())
    }
}

impl PartialEq for CacheKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.parts == other.0.parts
    }
}

impl Eq for CacheKey {}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.parts.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorise::tests::{identity, permit};
    use proptest::prelude::*;

    const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";

    /// Two tokens of one user differ in a client that is not asked for.
    fn key(class: Class, user: u64, token: u64, client: u64, target: &str) -> CacheKey {
        let who = identity(user, Some(&[1, 2, 3, 10, 11, 100 + token]));
        let client = client.to_string();
        let permit = permit(Some(who), target, &[("X-Client-ID", &client)]).unwrap();
        CacheKey::new(&permit, class, 0).unwrap()
    }

    #[test]
    fn each_class_leaves_out_what_it_says_and_nothing_else() {
        use Class::*;
        let base = |class| key(class, 1, 0, 10, CAMPAIGNS);
        let same = "//api/connectors/%67oogle-ads/campaigns";
        // Whether the changed request has the same key, by class: tenant, user, shared.
        let cases = [
            ("nothing", (1, 0, 10, same), [true, true, true]),
            ("the client", (1, 0, 11, CAMPAIGNS), [false, true, true]),
            ("the token", (1, 1, 10, CAMPAIGNS), [false, false, true]),
            ("the user", (2, 0, 10, CAMPAIGNS), [false, false, true]),
            (
                "the route",
                (1, 0, 10, "/api/connectors/google-ads/metrics"),
                [false; 3],
            ),
            (
                "the query",
                (1, 0, 10, "/api/connectors/google-ads/campaigns?days=7"),
                [false; 3],
            ),
        ];
        for (what, (user, token, client, target), equal) in cases {
            for (class, equal) in [Tenant, User, Shared].into_iter().zip(equal) {
                let other = key(class, user, token, client, target);
                assert_eq!(base(class) == other, equal, "{what}, {class:?}");
                assert_eq!(base(class).digest() == other.digest(), equal, "{what}");
            }
        }
        assert_ne!(base(Tenant), base(User));
        assert_ne!(base(User), base(Shared));
    }

    #[test]
    fn another_generation_is_another_key() {
        let who = || Some(identity(1, Some(&[10])));
        let permit = permit(who(), CAMPAIGNS, &[]).unwrap();
        let of = |generation| CacheKey::new(&permit, Class::Tenant, generation).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_key_without_anybody_is_not_a_shared_one() {
        let permit = permit(None, "/api/pricing/plans", &[]).unwrap();
        let of = |class| CacheKey::new(&permit, class, 0).unwrap();
        assert_ne!(of(Class::Tenant), of(Class::Shared));
        assert_eq!(of(Class::Tenant).scope().user, None);
    }

    #[test]
    fn the_scope_names_what_is_in_the_key() {
        let of = |class| {
            let Scope { user, client, .. } = *key(class, 7, 0, 10, CAMPAIGNS).scope();
            (user, client)
        };
        assert_eq!(of(Class::Tenant), (Some(7), Some(10)));
        assert_eq!(of(Class::User), (Some(7), None));
        assert_eq!(of(Class::Shared), (None, None));
        let key = key(Class::Tenant, 7, 0, 10, CAMPAIGNS);
        assert_eq!(&*key.scope().rule, "google-ads.campaigns");
        assert!(key.scope().by_gateway && key.scope().is_open);
        let named = format!("{CAMPAIGNS}?account_id=1-2");
        let is_open = |target: &str| self::key(Class::Tenant, 7, 0, 10, target).scope().is_open;
        assert!(!is_open(&named));
        assert!(is_open("/api/connectors/ga4/status") && is_open("/api/connectors/ga4/pages"));
        assert!(!is_open("/api/connectors/ga4/properties") && !is_open("/api/flows"));
        assert_eq!(key.digest().len(), 64);
    }

    #[test]
    fn what_the_gateway_does_not_read_makes_no_key_of_its_own() {
        let of = |query: &str| key(Class::Tenant, 1, 0, 10, &format!("{CAMPAIGNS}?{query}"));
        assert_eq!(of("days=7"), of("x=1&days=7&days=8&y"));
        assert_eq!(of("days=7&account_id=1"), of("account_id=1&days=7"));
        assert_ne!(of("days=7"), of("days=8&days=7"));
        assert_ne!(of("days=7"), of("days=%37"), "as it was written");
    }

    fn class() -> impl Strategy<Value = Class> {
        prop_oneof![Just(Class::Tenant), Just(Class::User), Just(Class::Shared)]
    }

    type Parts = (Class, u64, u64, u64, String);

    fn parts() -> impl Strategy<Value = Parts> {
        (class(), 1u64..3, 0u64..2, 1u64..3, "[a-c=&]{0,3}")
    }

    proptest! {
        #[test]
        fn two_requests_share_a_key_only_if_all_parts_of_their_class_are_equal(
            a in parts(), b in parts(),
        ) {
            let of = |(class, user, token, client, query): &Parts| {
                key(*class, *user, *token, *client, &format!("/api/flows?{query}"))
            };
            let parts = |(class, user, token, client, query): &Parts| {
                let pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
                let owner = match class {
                    Class::Tenant => (*user, *token, *client),
                    Class::User => (*user, *token, 0),
                    Class::Shared => (0, 0, 0),
                };
                (*class, owner, pairs.join("&"))
            };
            prop_assert_eq!(of(&a) == of(&b), parts(&a) == parts(&b));
        }
    }
}
