//! Requests that are ready together ask the app in a row.
//!
//! A send wakes whoever waits for it, and on one machine the sender pays for that. Who is
//! still awake from the last send need not be woken: so under load a request goes once more
//! behind those that are ready now, and then all of them send. One that finds no other in
//! between was alone, and those after it send at once for a while. Not here: what is sent.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

/// So many send at once behind one that was alone, before there is another look.
const ALONE: u32 = 32;

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(Seen { waited: 0, at_once: 0 }) };
}

/// What a worker has seen of its requests.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Seen {
    /// How many have waited for others.
    waited: u32,
    /// How many are still to send at once.
    at_once: u32,
}

impl Seen {
    /// The number of one that is to wait, or none.
    fn begin(&mut self) -> Option<u32> {
        match self.at_once.checked_sub(1) {
            Some(left) => {
                self.at_once = left;
                None
            }
            None => {
                self.waited = self.waited.wrapping_add(1);
                Some(self.waited)
            }
        }
    }

    /// It has waited. On another worker than it began on the numbers say nothing, and a wrong
    /// guess costs a few of those that follow their company.
    fn end(&mut self, number: u32) {
        if self.waited == number {
            self.at_once = ALONE;
        }
    }
}

fn with_seen<T>(change: impl FnOnce(&mut Seen) -> T) -> T {
    SEEN.with(|cell| {
        let mut seen = cell.get();
        let changed = change(&mut seen);
        cell.set(seen);
        changed
    })
}

/// Lets those go first that are ready now, where there usually are some.
pub(super) async fn others() {
    let Some(number) = with_seen(Seen::begin) else {
        return;
    };
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        // Behind those that are ready, where `yield_now` would ask the kernel for more of them.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    with_seen(|seen| seen.end(number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn one_that_was_alone_is_the_last_to_wait_for_a_while() {
        let mut seen = Seen::default();
        let number = seen.begin().unwrap();
        seen.end(number);
        let waits = (0..2 * ALONE).map(|_| seen.begin().is_some());
        assert_eq!(
            waits.take_while(|waits| !waits).count(),
            usize::try_from(ALONE).unwrap()
        );
    }

    #[test]
    fn those_in_company_all_wait() {
        let mut seen = Seen::default();
        let mut numbers: Vec<u32> = (0..4).map(|_| seen.begin().unwrap()).collect();
        for _ in 0..3 {
            // Each goes on, and is followed by another before the last of them does.
            for number in std::mem::take(&mut numbers) {
                numbers.push(seen.begin().unwrap());
                seen.end(number);
                assert_eq!(seen.at_once, 0);
            }
        }
    }

    #[test]
    fn the_count_of_those_who_waited_may_wrap() {
        let mut seen = Seen {
            waited: u32::MAX,
            at_once: 0,
        };
        assert_eq!((seen.begin(), seen.begin()), (Some(0), Some(1)));
    }

    /// Two that are ready together have decided, both, before one of them sends.
    #[tokio::test]
    async fn what_is_ready_together_sends_in_a_row() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let one = |name: &'static str| {
            let said = said.clone();
            async move {
                said.lock().unwrap().push(("decides", name));
                others().await;
                said.lock().unwrap().push(("sends", name));
            }
        };
        let both = [tokio::spawn(one("a")), tokio::spawn(one("b"))];
        for one in both {
            one.await.unwrap();
        }
        let expected = [
            ("decides", "a"),
            ("decides", "b"),
            ("sends", "a"),
            ("sends", "b"),
        ];
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
