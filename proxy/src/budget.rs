//! How many bytes of bodies are held in memory over all requests.
//!
//! Each single body has its own bound; this one is for their sum, so that many
//! large ones at once are refused instead of filling the memory. Not counted:
//! the cache, which has a bound of its own, and what streams.

use prometheus::IntGauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that may still be held.
pub(crate) struct Budget {
    left: AtomicUsize,
    used: IntGauge,
}

/// There is no room for that many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Bytes that are held; given back when dropped.
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of this many bytes, whose use `used` shows.
    pub(crate) fn new(bytes: usize, used: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(bytes),
            used,
        })
    }

    /// Holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        Held {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

impl Held {
    /// Holds that many more, or none of them.
    pub(crate) fn more(&mut self, bytes: usize) -> Result<(), Full> {
        let left = &self.budget.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes)
        })
        .map_err(|_| Full)?;
        self.bytes += bytes;
        self.budget.used.add(bytes as i64);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
        self.budget.used.sub(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let gauge = IntGauge::new("held", "held").unwrap();
        let budget = Budget::new(100, gauge.clone());
        let (mut one, mut other) = (budget.hold(), budget.hold());
        assert_eq!(one.more(60), Ok(()));
        assert_eq!(other.more(41), Err(Full));
        assert_eq!(other.more(40), Ok(()));
        assert_eq!(gauge.get(), 100);
        assert_eq!(one.more(1), Err(Full));
        drop(other);
        assert_eq!((one.more(40), gauge.get()), (Ok(()), 100));
        drop(one);
        assert_eq!(gauge.get(), 0);
        assert_eq!(budget.hold().more(100), Ok(()));
    }
}
