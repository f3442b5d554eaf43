//! What may be done with an answer that was fetched, and what its caller is told of the
//! cache: decisions on values, with nothing fetched or kept here.

use super::content::{Content, Whole};
use crate::cache::{Cached, Keep};
use crate::gateway::{Failure, Outcome};
use camarad_policies::authorise::Permit;
use camarad_policies::cache_key::Class;
use camarad_policies::cache_status::{CacheStatus, Forward};
use camarad_policies::matrix::Mode;
use camarad_policies::record::{CacheResult, Source};
use std::time::Duration;

/// What may be done with an answer of the gateway.
pub(super) fn keep(outcome: &Outcome, ttl: Duration, fallback: Duration, stale: Duration) -> Keep {
    let no_stale = Duration::ZERO;
    match (outcome.failure, outcome.source) {
        (None, Source::Coolbits) => Keep::For { ttl, stale },
        (None, _) => Keep::For {
            ttl,
            stale: no_stale,
        },
        // Out of order for a moment: a real answer may stand in, and stays.
        (Some(failure), Source::Mock) if failure.is_passing() => Keep::Failure { ttl: fallback },
        // Coolbits said so: what was real before is not any more.
        (Some(_), _) => Keep::For {
            ttl: fallback,
            stale: no_stale,
        },
    }
}

/// What may be done with an error: those who wait with the same credential may have
/// it; where everybody shares a key it may be about one of them.
pub(super) fn unless_everybodys(class: Option<Class>) -> Keep {
    match class {
        Some(Class::Tenant | Class::User) => Keep::Shared,
        Some(Class::Shared) | None => Keep::No,
    }
}

/// A kept real answer in the place of a failed one.
pub(super) fn stand_in(kept: &Content, failed: &Content) -> Content {
    match (kept, failed) {
        (Content::Whole(kept), Content::Whole(failed)) => {
            Content::Whole(kept.standing_in(failed.failure).into())
        }
        _ => kept.clone(),
    }
}

/// An answer that is nobody's to keep, or to share: the client was not decided on.
pub(super) fn unkept(value: Content) -> Cached<Content> {
    Cached {
        value,
        result: CacheResult::Bypass,
        age: Duration::ZERO,
        ttl: None,
        overdue: Duration::ZERO,
        stored: false,
    }
}

/// Why the mock answered in Coolbits' place; what Coolbits itself said is no fallback.
pub(super) fn fallback(whole: &Whole) -> Option<&'static str> {
    let failure = whole.failure.filter(|_| whole.source == Source::Mock);
    failure.map(Failure::code)
}

/// What the cache did, for the caller.
pub(super) fn told(cached: &Cached<Content>, permit: &Permit) -> CacheStatus {
    let left = cached.ttl.map(|left| left.as_secs() as i64);
    let of = |forward| CacheStatus {
        forward: Some(forward),
        stored: cached.stored,
        ttl: left,
        ..CacheStatus::default()
    };
    match cached.result {
        CacheResult::Hit => CacheStatus {
            hit: true,
            ttl: left.or(Some(0)),
            ..CacheStatus::default()
        },
        CacheResult::Miss => of(Forward::Miss),
        CacheResult::Expired => of(Forward::Stale),
        CacheResult::Collapsed => CacheStatus {
            stored: false,
            ttl: None,
            collapsed: true,
            ..of(Forward::Miss)
        },
        CacheResult::Stale => CacheStatus {
            stored: false,
            // Rounded up, so that it never reads as if it were fresh.
            ttl: Some(-(cached.overdue.as_millis().div_ceil(1000) as i64)),
            detail: Some("stale_if_error"),
            ..of(Forward::Stale)
        },
        CacheResult::Bypass => CacheStatus {
            detail: Some(match (permit.is_scoped(), permit.rule().mode) {
                (true, Mode::Enforce) => "not_shared",
                _ => "not_scoped",
            }),
            ..of(Forward::Bypass)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn outcome(source: Source, failure: Option<Failure>) -> Outcome {
        Outcome {
            status: 200,
            body: Bytes::new(),
            source,
            failure,
            waited: Duration::ZERO,
        }
    }

    #[test]
    fn only_what_passes_leaves_a_real_answer_in_its_place() {
        let second = Duration::from_secs;
        let of =
            |source, failure| keep(&outcome(source, failure), second(45), second(5), second(60));
        let real = of(Source::Coolbits, None);
        assert_eq!(
            real,
            Keep::For {
                ttl: second(45),
                stale: second(60)
            }
        );
        let off = of(Source::Mock, None);
        assert_eq!(
            off,
            Keep::For {
                ttl: second(45),
                stale: second(0)
            }
        );
        for passing in [
            Failure::Timeout,
            Failure::Unreachable,
            Failure::BreakerOpen,
            Failure::Http5xx,
        ] {
            assert_eq!(
                of(Source::Mock, Some(passing)),
                Keep::Failure { ttl: second(5) }
            );
        }
        for said in [Failure::Unauthorized, Failure::NotConnected, Failure::Empty] {
            let short = Keep::For {
                ttl: second(5),
                stale: second(0),
            };
            assert_eq!(of(Source::Mock, Some(said)), short, "{said:?}");
        }
        let told = of(Source::Coolbits, Some(Failure::NotConnected));
        assert_eq!(
            told,
            Keep::For {
                ttl: second(5),
                stale: second(0)
            }
        );
    }
}
