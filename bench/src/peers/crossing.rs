//! How far the two CPUs are from each other just now: what a line of the cache takes from one to
//! the other and back.
//!
//! A host that gives a machine its CPUs may move one of them to another complex of cores for
//! some seconds. Nothing else shows it, and everything that load, proxy and upstream hand each
//! other costs more then, a fifth of a request. Not here: what is done about it.

use super::process::{cpus, pin};
use std::hint::spin_loop;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// There and back so often, several times: whoever is stopped in between makes one of them
/// longer, and the shortest counts.
const TIMES: u64 = 500;
const BATCHES: u64 = 8;
/// It is far if it takes more than this many times the least that was seen.
const FAR: u64 = 2;

/// The least that was seen in this run, ns.
static LEAST: AtomicU64 = AtomicU64::new(u64::MAX);

/// A line of its own.
#[repr(align(128))]
struct Ball(AtomicU64);

/// Whether they are as near as they were at best, so far. With one CPU there is nothing between.
///
/// # Errors
/// If a thread cannot be kept on its CPU.
pub(crate) fn is_near() -> io::Result<bool> {
    let (one, other) = cpus();
    if one == other {
        return Ok(true);
    }
    let nanos = there_and_back(one)?;
    let least = LEAST.fetch_min(nanos, Ordering::Relaxed).min(nanos);
    Ok(nanos <= FAR * least)
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
    fn there_and_back_takes_a_while_and_the_nearest_so_far_is_near() {
        let (other, own) = cpus();
        if other == own {
            return;
        }
        pin(own).expect("a CPU of ours");
        assert!(there_and_back(other).is_ok_and(|nanos| nanos > 0));
        LEAST.store(1, Ordering::Relaxed);
        assert!(is_near().is_ok_and(|near| !near), "more than 2 ns");
        LEAST.store(u64::MAX, Ordering::Relaxed);
        assert!(is_near().is_ok_and(|near| near), "the first of all");
    }
}
