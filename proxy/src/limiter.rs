//! Who has used up how many refusals: one bucket a user, a limited token, or an
//! address without either.
//!
//! Bounded: whoever comes with more addresses than are remembered gets a full
//! bucket again, which is why each kind has its own.

use camarad_policies::ids::UserId;
use camarad_policies::limit::{Bucket, Level, Limit};
use quick_cache::sync::Cache;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Of each kind remembered at most.
const MOST: usize = 100_000;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    User(UserId),
    /// SHA-256 of a token that is limited to clients.
    Token([u8; 32]),
    Address(IpAddr),
}

/// The buckets.
pub(crate) struct Limiter {
    limit: Option<Limit>,
    users: Cache<UserId, Arc<Mutex<Bucket>>>,
    tokens: Cache<[u8; 32], Arc<Mutex<Bucket>>>,
    addresses: Cache<IpAddr, Arc<Mutex<Bucket>>>,
    started: Instant,
}

impl Limiter {
    /// Without a limit nobody is limited.
    pub(crate) fn new(limit: Option<Limit>) -> Self {
        Self {
            limit,
            users: Cache::new(MOST),
            tokens: Cache::new(MOST),
            addresses: Cache::new(MOST),
            started: Instant::now(),
        }
    }

    /// Counts a refusal: whether there was still room for one, and what is left.
    /// `None` where nobody is limited.
    pub(crate) fn count(&self, who: Who) -> Option<(bool, Level)> {
        self.with(who, |bucket, limit, now| {
            (bucket.take(limit, now), bucket.level(limit, now))
        })
    }

    /// Whether nothing is left; counts nothing.
    pub(crate) fn is_used_up(&self, who: Who) -> Option<Level> {
        let level = self.with(who, |bucket, limit, now| bucket.level(limit, now));
        level.filter(|level| level.remaining == 0)
    }

    fn with<T>(
        &self,
        who: Who,
        work: impl FnOnce(&mut Bucket, Limit, std::time::Duration) -> T,
    ) -> Option<T> {
        let limit = self.limit?;
        let full = || Ok::<_, std::convert::Infallible>(Arc::default());
        let bucket = match who {
            Who::User(user) => self.users.get_or_insert_with(&user, full),
            Who::Token(hash) => self.tokens.get_or_insert_with(&hash, full),
            Who::Address(address) => self.addresses.get_or_insert_with(&network(address), full),
        };
        let bucket = bucket.unwrap_or_else(|never| match never {});
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut bucket, limit, self.started.elapsed()))
    }
}

/// One caller has all addresses of an IPv6 /64 to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn everybody_has_a_bucket_of_their_own_and_a_64_shares_one() {
        let limiter = Limiter::new(Some(Limit {
            burst: 1,
            refill: Duration::from_secs(3600),
        }));
        let user = |id: &str| Who::User(UserId::parse(id).unwrap());
        let address = |text: &str| Who::Address(text.parse().unwrap());
        let counts = |who| limiter.count(who).unwrap().0;
        assert!(counts(user("1")) && counts(user("2")));
        assert!(!counts(user("1")));
        assert!(limiter.is_used_up(user("1")).is_some());
        assert!(limiter.is_used_up(user("3")).is_none());
        assert!(counts(Who::Token([1; 32])) && counts(Who::Token([2; 32])));
        assert!(!counts(Who::Token([1; 32])));
        assert!(counts(address("192.0.2.1")) && counts(address("192.0.2.2")));
        assert!(!counts(address("::ffff:192.0.2.1")));
        assert!(counts(address("2001:db8::1")));
        assert!(!counts(address("2001:db8::2")));
        assert!(counts(address("2001:db8:0:1::1")));
        assert!(Limiter::new(None).count(user("1")).is_none());
    }
}
