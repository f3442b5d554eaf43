//! How far the two CPUs are from each other just now: what a line of the cache takes from one to
//! the other and back.
//!
//! On a virtual machine that changes for seconds at a time. Nothing else shows it, and everything
//! that load, proxy and upstream hand each other costs more then, a fifth of a request. Not here:
//! what is done about it.

use super::process::{cpus, pin};
use std::hint::spin_loop;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// There and back so often, several times: whoever is stopped in between makes one of them
/// longer, and the shortest counts.
const TIMES: u64 = 500;
const BATCHES: u64 = 8;
/// They are far from each other if it takes more than this many times what it takes when near.
const FAR: u64 = 2;
/// One in so many looks may find them nearer than they are when near: for moments a host may have
/// both on one core, and the least of a run would have all the rest be far.
const NEARER: usize = 10;

/// What was seen in this run, ns.
static SEEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// A line of its own.
#[repr(align(128))]
struct Ball(AtomicU64);

/// What it takes just now, ns; nothing where there is one CPU.
fn nanos() -> io::Result<u64> {
    let (one, other) = cpus();
    if one == other {
        return Ok(0);
    }
    there_and_back(one)
}

/// What it takes just now, ns, and whether that is far by all looks of this run so far.
///
/// # Errors
/// If a thread cannot be kept on its CPU.
pub(crate) fn look() -> io::Result<(u64, bool)> {
    let nanos = nanos()?;
    let mut seen = SEEN.lock().map_err(|_| io::Error::other("a look broke"))?;
    seen.push(nanos);
    Ok((nanos, is_far(nanos, near(&mut seen))))
}

/// What it takes when they are near each other, ns: the shortest but for a few. Sorts them.
pub(crate) fn near(seen: &mut [u64]) -> u64 {
    seen.sort_unstable();
    seen.get(seen.len() / NEARER).copied().unwrap_or_default()
}

/// Whether it takes more than when they are near, by far.
pub(crate) fn is_far(nanos: u64, near: u64) -> bool {
    nanos > near.saturating_mul(FAR)
}

/// From this thread's CPU to `other`, ns.
fn there_and_back(other: usize) -> io::Result<u64> {
    let ball = Ball(AtomicU64::new(0));
    let await_it = |at: u64| {
        while ball.0.load(Ordering::Acquire) != at {
            spin_loop();
        }
    };
    std::thread::scope(|scope| {
        let back = scope.spawn(|| {
            let pinned = pin(other);
            // Also where it is not: the other side would wait for ever.
            for turn in 0..BATCHES * TIMES {
                await_it(2 * turn + 1);
                ball.0.store(2 * turn + 2, Ordering::Release);
            }
            pinned
        });
        let mut least = u64::MAX;
        for batch in 0..BATCHES {
            let started = Instant::now();
            for turn in batch * TIMES..(batch + 1) * TIMES {
                ball.0.store(2 * turn + 1, Ordering::Release);
                await_it(2 * turn + 2);
            }
            let took = started.elapsed().as_nanos() / u128::from(TIMES);
            least = least.min(u64::try_from(took).unwrap_or(u64::MAX));
        }
        let broke = |_| io::Error::other("the other side broke");
        back.join().map_err(broke)??;
        Ok(least.max(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_takes_a_while() {
        let (other, own) = cpus();
        if other == own {
            return;
        }
        pin(own).expect("a CPU of ours");
        assert!(there_and_back(other).is_ok_and(|nanos| nanos > 0));
        assert!(look().is_ok_and(|(nanos, _)| nanos > 0));
    }

    #[test]
    fn far_is_more_than_twice_what_near_takes() {
        for (nanos, near, expected) in [(110, 55, false), (111, 55, true), (0, 0, false)] {
            assert_eq!(is_far(nanos, near), expected, "{nanos} of {near}");
        }
        assert!(!is_far(u64::MAX, u64::MAX));
    }

    #[test]
    fn one_look_that_was_very_near_does_not_have_the_rest_be_far() {
        let mut seen = vec![64, 66, 210, 24, 64, 65, 220, 66, 64, 63];
        assert_eq!(near(&mut seen), 63);
        assert_eq!(near(&mut [66, 64, 370]), 64, "of a few it is the least");
        assert_eq!(near(&mut []), 0);
    }
}
