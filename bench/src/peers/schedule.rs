//! When requests at a fixed rate are due, whom each of them asks, and which of them count. Pure.
//!
//! A turn is everybody asked once. A turn counts for everybody or for nobody: it does not where
//! the load's own thread did not get its CPU when it wanted it. That CPU is not the proxies' but
//! the upstream's and the machine's, which has other things to do at times; and as a few such
//! stalls are about one request in a hundred, they alone would decide what the p99 of a round is.
//! Not here: requests that are late because a connection is still busy, or because the load is:
//! they count from when they were due.

use std::time::Duration;

/// Latencies of one of those who are asked.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Latencies {
    /// In turns that count.
    pub(crate) counted: Vec<Duration>,
    /// In turns that do not.
    pub(crate) left_out: Vec<Duration>,
}

/// Requests by their number: when they are due, and what became of them. Times are since the
/// first one is due.
pub(super) struct Schedule {
    /// So many requests a second in all.
    rate: f64,
    /// So many are asked, each on so many connections.
    asks: usize,
    connections: usize,
    order: Vec<usize>,
    took: Vec<Duration>,
    /// Turns in which the load had no CPU.
    stalled: Vec<bool>,
}

impl Schedule {
    pub(super) fn new(
        (asks, connections): (usize, usize),
        rate: f64,
        length: Duration,
        seed: u64,
    ) -> Self {
        let total = (rate * length.as_secs_f64()) as usize;
        Self {
            rate,
            asks,
            connections,
            order: turns(asks, total, seed),
            took: vec![Duration::ZERO; total],
            stalled: vec![false; total.div_ceil(asks.max(1))],
        }
    }

    pub(super) fn total(&self) -> usize {
        self.order.len()
    }

    pub(super) fn due(&self, number: usize) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// The connection that asks: of those of the *n*th who is asked each has *n* as remainder.
    pub(super) fn connection(&self, number: usize) -> usize {
        self.order[number] + self.asks * (number / self.asks % self.connections)
    }

    /// The load slept until `first` was due, and woke at this time.
    pub(super) fn slept(&mut self, first: usize, woke: Duration) {
        self.came(first, woke, woke.saturating_sub(self.due(first)));
    }

    /// The load worked until this time, so long of it without its CPU; `first` was next before.
    pub(super) fn worked(&mut self, first: usize, until: Duration, without: Duration) {
        if self.is_late(without) {
            self.came(first, until, without);
        }
    }

    /// Whether the load is late by so much. Half the time from one request to the next: two would
    /// soon go out at once.
    fn is_late(&self, by: Duration) -> bool {
        by.as_secs_f64() > 0.5 / self.rate
    }

    /// The load came at this time to what is due from `first` on, having been so long without its
    /// CPU. What is late only by that does not count, nor does the one before, whose answer may
    /// have waited for the load as well.
    fn came(&mut self, first: usize, at: Duration, without: Duration) {
        let behind = |number: usize| at.saturating_sub(self.due(number));
        let late = (first..self.total()).take_while(|number| self.is_late(behind(*number)));
        let by_that = late.filter(|number| !self.is_late(behind(*number).saturating_sub(without)));
        for number in by_that.collect::<Vec<_>>() {
            for number in number.saturating_sub(1)..=number {
                self.stalled[number / self.asks] = true;
            }
        }
    }

    pub(super) fn answered(&mut self, number: usize, took: Duration) {
        self.took[number] = took;
    }

    /// What became of everybody, in their order.
    pub(super) fn latencies(&self) -> Vec<Latencies> {
        let mut latencies: Vec<Latencies> = Vec::new();
        latencies.resize_with(self.asks, Latencies::default);
        for (number, (asked, took)) in self.order.iter().zip(&self.took).enumerate() {
            let of = &mut latencies[*asked];
            match self.stalled[number / self.asks] {
                true => of.left_out.push(*took),
                false => of.counted.push(*took),
            }
        }
        latencies
    }
}

/// Who is asked, by the request's number: everybody once before anybody again, in another order
/// each time. In one order each would always run behind the same neighbour, whose last work is in
/// the caches, or not done yet.
fn turns(asks: usize, total: usize, seed: u64) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut turn: Vec<usize> = (0..asks).collect();
    let mut order = Vec::with_capacity(total + asks);
    while order.len() < total {
        random.shuffle(&mut turn);
        order.extend_from_slice(&turn);
    }
    order.truncate(total);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn everybody_is_asked_once_in_each_turn_and_behind_everybody_else() {
        let order = turns(4, 4_001, 7);
        assert_eq!(order.len(), 4_001);
        for turn in order.chunks_exact(4) {
            let mut turn = turn.to_vec();
            turn.sort_unstable();
            assert_eq!(turn, [0, 1, 2, 3]);
        }
        let follows = |one, other| order.windows(2).filter(|two| *two == [one, other]).count();
        for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
            match one == other {
                // The last of a turn may be the first of the next.
                true => assert!((40..90).contains(&follows(one, other)), "{one}"),
                false => assert!(follows(one, other) > 200, "{one}, {other}"),
            }
        }
        assert_ne!(order, turns(4, 4_001, 8));
        assert_eq!(turns(1, 2, 0), [0, 0]);
    }

    #[test]
    fn requests_are_due_evenly_and_take_each_connection_in_turn() {
        let schedule = Schedule::new((2, 3), 1_000.0, 14 * MILLI, 0);
        assert_eq!(schedule.total(), 14);
        assert_eq!(schedule.due(13), 13 * MILLI);
        for number in 0..14 {
            let at = schedule.connection(number);
            assert_eq!(at % 2, schedule.order[number]);
            assert_eq!(at / 2, number / 2 % 3);
        }
    }

    /// Eight requests of two, a millisecond apart, of which each took its number in milliseconds.
    fn answered() -> Schedule {
        let mut schedule = Schedule::new((2, 1), 1_000.0, 8 * MILLI, 3);
        (0..8).for_each(|number| schedule.answered(number, MILLI * number as u32));
        schedule
    }

    /// The requests that do not count.
    fn left_out(schedule: &Schedule) -> Vec<u128> {
        let mut left_out: Vec<u128> = Vec::new();
        for of in schedule.latencies() {
            assert_eq!(of.counted.len() + of.left_out.len(), 4);
            left_out.extend(of.left_out.iter().map(Duration::as_millis));
        }
        left_out.sort_unstable();
        left_out
    }

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn turns_that_the_load_overslept_count_for_nobody() {
        for (first, woke, numbers) in [
            // 3 is late, and 2 may be under way.
            (3, 3_600, &[2, 3][..]),
            (3, 4_600, &[2, 3, 4, 5]),
            (2, 2_600, &[0, 1, 2, 3]),
            (0, 600, &[0, 1]),
            // The last ones, and no more than there are.
            (7, 60_000, &[6, 7]),
            (8, 70_000, &[]),
            // Punctual: before half the time to the next.
            (3, 3_000, &[]),
            (3, 3_500, &[]),
            // Woken by an answer before it was due.
            (3, 2_000, &[]),
        ] {
            let mut schedule = answered();
            schedule.slept(first, micros(woke));
            assert_eq!(left_out(&schedule), numbers, "{first} at {woke}");
        }
    }

    #[test]
    fn what_the_load_is_late_for_by_its_work_counts() {
        for (first, until, without, numbers) in [
            (3, 3_600, 600, &[2, 3][..]),
            (3, 4_600, 4_000, &[2, 3, 4, 5]),
            // 1, 2 and 3 would have been late all the same; 4 is by what was missing.
            (1, 4_600, 600, &[2, 3, 4, 5]),
            // It had its CPU, or did not miss it for long.
            (1, 4_600, 0, &[]),
            (3, 3_600, 500, &[]),
            // Nothing was due.
            (3, 2_900, 2_000, &[]),
        ] {
            let mut schedule = answered();
            schedule.worked(first, micros(until), micros(without));
            assert_eq!(left_out(&schedule), numbers, "{first}, {until}, {without}");
        }
    }

    #[test]
    fn of_a_last_turn_that_is_not_whole_nothing_is_lost() {
        let mut schedule = Schedule::new((3, 1), 1_000.0, 7 * MILLI, 0);
        schedule.slept(6, 60 * MILLI);
        let latencies = schedule.latencies();
        let count = |of: fn(&Latencies) -> usize| latencies.iter().map(of).sum::<usize>();
        assert_eq!(count(|of| of.counted.len()), 3);
        assert_eq!(count(|of| of.left_out.len()), 4);
    }
}
