//! The key of a cached answer, made from a permit and from nothing else.
//!
//! Every part is framed by its length, so that no two different requests write
//! the same bytes (`tenant_a` + `/path` against `tenant_` + `a/path`), and keys
//! are compared whole, so that two keys with one hash stay two. A key that left
//! out the tenant is CVE-2026-2836; here it cannot be written.

use crate::authorise::Permit;
use std::sync::Arc;

/// A whole key; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey(Arc<[u8]>);

impl CacheKey {
    /// The key of what this permit asks, under one generation of gateway and configuration.
    /// `None` where the client was not decided on: such an answer is nobody's to keep.
    pub fn new(permit: &Permit, generation: u64) -> Option<Self> {
        if !permit.is_scoped() {
            return None;
        }
        let user = permit.user().map_or(0, |u| u.get());
        let client = permit.client().map_or(0, |c| c.get());
        let credential = permit.identity().map_or(&[0; 32], |i| i.token().hash());
        let query = permit.query().to_text();
        let mut bytes = Vec::with_capacity(160);
        for part in [
            permit.rule().name.as_bytes(),
            &user.to_be_bytes(),
            &client.to_be_bytes(),
            credential,
            &generation.to_be_bytes(),
            permit.path().as_str().as_bytes(),
            query.as_bytes(),
        ] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Some(Self(bytes.into()))
    }

    /// Length in bytes, for the cache's bound.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: a key always holds its frames.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorise::tests::{identity, permit};
    use proptest::prelude::*;

    fn key(user: u64, client: u64, target: &str, generation: u64) -> CacheKey {
        let who = identity(user, Some(&[client]));
        CacheKey::new(&permit(Some(who), target, &[]).unwrap(), generation).unwrap()
    }

    const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";

    #[test]
    fn each_part_of_the_tenant_makes_another_key() {
        let base = key(1, 10, CAMPAIGNS, 0);
        assert_eq!(base, key(1, 10, CAMPAIGNS, 0));
        assert_eq!(
            base,
            key(1, 10, "//api/connectors/%67oogle-ads/campaigns", 0)
        );
        let others = [
            key(2, 10, CAMPAIGNS, 0),
            key(1, 11, CAMPAIGNS, 0),
            key(1, 10, "/api/connectors/google-ads/metrics", 0),
            key(1, 10, "/api/connectors/google-ads/campaigns?days=7", 0),
            key(1, 10, CAMPAIGNS, 1),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }

    proptest! {
        #[test]
        fn two_requests_share_a_key_only_if_all_their_parts_are_equal(
            a in (1u64..4, 1u64..4, "[a-c=&]{0,6}"),
            b in (1u64..4, 1u64..4, "[a-c=&]{0,6}"),
        ) {
            let of = |(user, client, query): &(u64, u64, String)| {
                key(*user, *client, &format!("{CAMPAIGNS}?{query}"), 0)
            };
            let parts = |(user, client, query): &(u64, u64, String)| {
                let pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
                (*user, *client, pairs.join("&"))
            };
            prop_assert_eq!(of(&a) == of(&b), parts(&a) == parts(&b));
        }
    }
}
