//! How many bytes of bodies are held in memory over all requests.
//!
//! Each single body has its own bound; this one is for their sum, so that many
//! large ones at once are refused instead of filling the memory. Whoever holds some for as
//! long as they like, by sending or taking it slowly, gets no more than is left for others.
//! Not counted: what is kept by the cache and by nobody else, which has a bound of its own,
//! and what streams.

use bytes::Bytes;
use prometheus::IntGauge;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Bodies up to this size count against nobody's share, and from the cache not at all: a
/// request costs as much besides, and there is a limit on requests.
const SMALL: usize = 16 * 1024;

/// The bytes that may still be held.
pub(crate) struct Budget {
    left: AtomicUsize,
    used: IntGauge,
    /// What callers hold of it in bodies that are not small.
    shares: Mutex<HashMap<Caller, usize>>,
}

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum By {
    /// Of a question of ours; how long it takes is up to us.
    Us,
    /// Of a request.
    Caller(Caller),
}

/// A user; all that are not known are one.
pub(crate) type Caller = Option<u64>;

/// There is no room for that many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Bytes that are held; given back when dropped.
pub(crate) struct Held {
    budget: Arc<Budget>,
    by: By,
    bytes: usize,
}

/// A kept body while callers are sent it: counted once, however many they are, and until the
/// last of them has it, whether it is still kept or not.
#[derive(Default)]
pub(crate) struct Together(Mutex<Weak<Held>>);

/// Bytes with what is held for them.
struct Counted {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl Budget {
    /// A budget of this many bytes, whose use `used` shows.
    pub(crate) fn new(bytes: usize, used: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(bytes),
            used,
            shares: Mutex::default(),
        })
    }

    /// Holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>, by: By) -> Held {
        Held {
            budget: self.clone(),
            by,
            bytes: 0,
        }
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Has one body of a caller's go from so many bytes to more, if that is fair.
    fn grow(&self, caller: Caller, before: usize, after: usize) -> Result<(), Full> {
        let mut shares = self.shares();
        let others = shares.get(&caller).copied().unwrap_or(0) - before;
        if !is_fair(others, after, self.left.load(Ordering::Relaxed)) {
            return Err(Full);
        }
        shares.insert(caller, others + after);
        Ok(())
    }

    fn shrink(&self, caller: Caller, bytes: usize) {
        let mut shares = self.shares();
        if let Some(share) = shares.get_mut(&caller) {
            *share -= bytes;
            if *share == 0 {
                shares.remove(&caller);
            }
        }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<Caller, usize>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a caller who holds `others` in other bodies may hold `one` more, with so much left
/// after it. One is always in order; several may together take no more than they leave, so
/// that of n who take all they can each has an n+1st, and as much is left (the dynamic threshold
/// of shared buffers in switches, Choudhury and Hahne, 1998).
fn is_fair(others: usize, one: usize, left: usize) -> bool {
    others == 0 || others + one <= left
}

impl Held {
    /// Holds that many more, or none of them.
    pub(crate) fn more(&mut self, bytes: usize) -> Result<(), Full> {
        let budget = &self.budget;
        budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map_err(|_| Full)?;
        let after = self.bytes + bytes;
        if let (Some(caller), true) = (self.by.caller(), after > SMALL)
            && budget.grow(caller, in_share(self.bytes), after).is_err()
        {
            budget.give_back(bytes);
            return Err(Full);
        }
        self.bytes = after;
        budget.used.add(bytes as i64);
        Ok(())
    }
}

/// What a body of this size counts in its caller's share.
fn in_share(bytes: usize) -> usize {
    if bytes > SMALL { bytes } else { 0 }
}

impl By {
    fn caller(self) -> Option<Caller> {
        match self {
            Self::Us => None,
            Self::Caller(caller) => Some(caller),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
        self.budget.used.sub(self.bytes as i64);
        if let (Some(caller), true) = (self.by.caller(), self.bytes > SMALL) {
            self.budget.shrink(caller, self.bytes);
        }
    }
}

impl Together {
    /// The body, counted for as long as it is somewhere else than in the cache. The first who
    /// is sent it has it in their share.
    pub(crate) fn counted(&self, body: Bytes, budget: &Arc<Budget>, by: By) -> Result<Bytes, Full> {
        if body.len() <= SMALL {
            return Ok(body);
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.upgrade();
        let shared = match known {
            Some(known) => known,
            None => {
                let mut new = budget.hold(by);
                new.more(body.len())?;
                let new = Arc::new(new);
                *held = Arc::downgrade(&new);
                new
            }
        };
        Ok(Bytes::from_owner(Counted {
            bytes: body,
            _held: shared,
        }))
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn of(bytes: usize) -> (Arc<Budget>, IntGauge) {
        let gauge = IntGauge::new("held", "held").unwrap();
        (Budget::new(bytes, gauge.clone()), gauge)
    }

    fn user(id: u64) -> By {
        By::Caller(Some(id))
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let (budget, gauge) = of(100);
        let (mut one, mut other) = (budget.hold(By::Us), budget.hold(user(1)));
        assert_eq!(one.more(60), Ok(()));
        assert_eq!(other.more(41), Err(Full));
        assert_eq!(other.more(40), Ok(()));
        assert_eq!(gauge.get(), 100);
        assert_eq!(one.more(1), Err(Full));
        drop(other);
        assert_eq!((one.more(40), gauge.get()), (Ok(()), 100));
        drop(one);
        assert_eq!(gauge.get(), 0);
        assert_eq!(budget.hold(By::Us).more(100), Ok(()));
    }

    #[test]
    fn of_several_bodies_a_caller_holds_no_more_than_is_left() {
        let cases = [
            // One alone may take all there is.
            (0, 100, 0, true),
            (40, 20, 60, true),
            (40, 20, 59, false),
            (1, 1, 0, false),
        ];
        for (others, one, left, fair) in cases {
            assert_eq!(is_fair(others, one, left), fair, "{others} {one} {left}");
        }
        let (budget, gauge) = of(640 * KIB);
        let take = |by| {
            let mut held = budget.hold(by);
            held.more(20 * KIB).map(|()| held)
        };
        let all = |by| std::iter::from_fn(|| take(by).ok()).collect::<Vec<_>>();
        // Half of it, then half of what is left, in bodies of 20 KiB.
        let (greedy, nobody) = (all(user(1)), all(By::Caller(None)));
        assert_eq!((greedy.len(), nobody.len()), (16, 8));
        assert!(take(user(1)).is_err());
        assert!(take(user(2)).is_ok(), "there is room for another one");
        // Ours, and small ones, have all that is left.
        let mut small = budget.hold(user(1));
        assert_eq!(small.more(SMALL), Ok(()));
        assert_eq!(small.more(1), Err(Full), "it would be in the share now");
        assert_eq!(all(By::Us).len(), 7);
        drop((greedy, nobody, small));
        assert_eq!(gauge.get(), 0);
        assert!(budget.shares().is_empty());
        // A body that grows is one, whatever it has.
        let mut one = budget.hold(user(1));
        (0..32).for_each(|_| assert_eq!(one.more(20 * KIB), Ok(())));
        drop(one);
        assert!(budget.shares().is_empty());
    }

    #[test]
    fn a_kept_body_counts_once_until_nobody_is_sent_it_any_more() {
        let (budget, gauge) = of(100 * KIB);
        let (kept, body) = (Together::default(), Bytes::from(vec![7; 60 * KIB]));
        let send = |by| kept.counted(body.clone(), &budget, by);
        let (one, two) = (send(user(1)).unwrap(), send(user(2)).unwrap());
        assert_eq!((&one, &two), (&body, &body));
        assert_eq!(gauge.get(), 60 * KIB as i64);
        let other = Together::default();
        let more = other.counted(body.clone(), &budget, user(2));
        assert_eq!(more, Err(Full));
        // As it does where it is sent in parts, and not in the cache any more.
        let rest = one.slice(10..);
        drop((one, two, kept));
        assert_eq!(gauge.get(), 60 * KIB as i64);
        drop(rest);
        assert_eq!(gauge.get(), 0);
        let small = other.counted(body.slice(..SMALL), &budget, user(1));
        assert_eq!((small.unwrap().len(), gauge.get()), (SMALL, 0));
    }
}
