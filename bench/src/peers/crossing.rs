//! How far the two CPUs are from each other just now: what a line of the cache takes from one to
//! the other and back.
//!
//! On a virtual machine that changes for seconds at a time. Nothing else shows it, and everything
//! that load, proxy and upstream hand each other costs more then, a fifth of a request. Not here:
//! what is done about it.

use super::process::{cpus, pin};
use std::hint::spin_loop;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// There and back so often, several times: whoever is stopped in between makes one of them
/// longer, and the shortest counts.
const TIMES: u64 = 500;
const BATCHES: u64 = 8;
/// They are far from each other if it takes more than this many times the least that was seen.
const FAR: u64 = 2;

/// The least that was seen in this run, ns.
static LEAST: AtomicU64 = AtomicU64::new(u64::MAX);

/// A line of its own.
#[repr(align(128))]
struct Ball(AtomicU64);

/// What it takes just now, ns; nothing where there is one CPU.
///
/// # Errors
/// If a thread cannot be kept on its CPU.
pub(crate) fn nanos() -> io::Result<u64> {
    let (one, other) = cpus();
    if one == other {
        return Ok(0);
    }
    let nanos = there_and_back(one)?;
    LEAST.fetch_min(nanos, Ordering::Relaxed);
    Ok(nanos)
}

/// The least that was seen so far, ns: they are never nearer than that, as far as is known.
pub(crate) fn least() -> u64 {
    LEAST.load(Ordering::Relaxed)
}

/// Whether so much is more than they take that are near each other, by the least that was seen.
pub(crate) fn is_far(nanos: u64, least: u64) -> bool {
    nanos > least.saturating_mul(FAR)
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
    fn there_and_back_takes_a_while_and_the_least_is_remembered() {
        let (other, own) = cpus();
        if other == own {
            return;
        }
        pin(own).expect("a CPU of ours");
        assert!(there_and_back(other).is_ok_and(|nanos| nanos > 0));
        let seen = nanos().expect("a look");
        assert!(seen >= least(), "the least is no more than any");
    }

    #[test]
    fn far_is_more_than_twice_the_least() {
        for (nanos, least, expected) in [
            (110, 55, false),
            (111, 55, true),
            (0, u64::MAX, false),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(is_far(nanos, least), expected, "{nanos} of {least}");
        }
    }
}
