//! The load at a fixed rate, an open loop: requests have a time at which they are due, whatever
//! has become of the earlier ones, and latency counts from that time.
//!
//! A stall of who is asked shows in every request that was due meanwhile (no coordinated
//! omission). Several may be asked in turns, within the same seconds. Not here: when requests are
//! due, and which of them count ([`schedule`](super::schedule)).

use super::schedule::{Latencies, Schedule};
use super::wire::{Ask, IDLE, Load, Outcome};
use rustix::thread::set_current_timer_slack;
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// This many a second, for this long, in turns (an order made anew for each by `seed`): in each
/// turn everybody is asked once, on so many connections of their own. Gives the latencies of
/// each, from when requests were due, apart from those of turns that do not count.
///
/// # Errors
/// If one of them answers something else, or cannot keep up.
pub(crate) fn open(
    asks: &[Ask],
    connections: usize,
    rate: f64,
    length: Duration,
    seed: u64,
) -> io::Result<Vec<Latencies>> {
    let mut load = Load::in_turn(asks, connections)?;
    let mut schedule = Schedule::new((asks.len(), connections), rate, length, seed);
    let total = schedule.total();
    // What each connection has to ask; what is due while it is busy waits for it.
    let mut left = vec![VecDeque::new(); connections * asks.len()];
    (0..total).for_each(|number| left[schedule.connection(number)].push_back(number));
    // What it is asking.
    let mut asking: Vec<Option<usize>> = vec![None; left.len()];
    let (mut answered, mut first) = (0, 0);
    let _punctual = Punctual::from_here_on()?;
    let started = Instant::now();
    let mut work = Work::begin(&load.outcome);
    loop {
        let (from, now) = (first, started.elapsed());
        while let Some((at, latency)) = load.done.pop() {
            if let Some(number) = asking[at].take() {
                schedule.answered(number, latency);
                answered += 1;
            }
            asking[at] = left[at].pop_front_if(|number| schedule.due(*number) <= now);
            if let Some(number) = asking[at] {
                load.send(at, started + schedule.due(number))?;
            }
        }
        if answered >= total {
            return Ok(schedule.latencies());
        }
        while first < total && schedule.due(first) <= now {
            let at = schedule.connection(first);
            if asking[at].is_none() && left[at].pop_front_if(|number| *number == first).is_some() {
                asking[at] = Some(first);
                load.send(at, started + schedule.due(first))?;
            }
            first += 1;
        }
        let now = started.elapsed();
        schedule.worked(from, now, work.without_cpu(&load.outcome));
        let pause = match first < total {
            true => schedule.due(first).saturating_sub(now),
            false => IDLE,
        };
        let arrived = load.pause(pause)?;
        if !pause.is_zero() {
            schedule.slept(first, started.elapsed());
        }
        work = Work::begin(&load.outcome);
        if arrived {
            load.wait(Duration::ZERO)?;
        }
        if now > length + Duration::from_secs(20) {
            return Err(io::Error::other(
                "the fixed rate is far above what this peer can do",
            ));
        }
    }
}

/// While it lives, this thread's pauses end when they are over. The kernel may else let them last
/// 50 µs longer, which would stand in every latency. What is started meanwhile inherits that.
struct Punctual;

impl Punctual {
    fn from_here_on() -> io::Result<Self> {
        set_current_timer_slack(NonZeroU64::new(1))?;
        Ok(Self)
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        // Back to what the thread was started with; there is nothing to be done where that fails.
        let _ = set_current_timer_slack(None);
    }
}

/// A stretch of this thread's work.
struct Work {
    began: Instant,
    cpu: Duration,
    reconnects: u64,
}

impl Work {
    fn begin(outcome: &Outcome) -> Self {
        Self {
            began: Instant::now(),
            cpu: Self::cpu(),
            reconnects: outcome.reconnects,
        }
    }

    fn cpu() -> Duration {
        let of = clock_gettime(ClockId::ThreadCPUTime);
        // It is never negative.
        Duration::try_from(of).unwrap_or_default()
    }

    /// How long it wanted the CPU and did not get it, so far. None, where it waited for a new
    /// connection: that is the other side's doing.
    fn without_cpu(&self, outcome: &Outcome) -> Duration {
        if outcome.reconnects > self.reconnects {
            return Duration::ZERO;
        }
        let cpu = Self::cpu().saturating_sub(self.cpu);
        self.began.elapsed().saturating_sub(cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Turn;
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server of one connection that answers, and stalls for 200 ms at the third request if
    /// it is to.
    fn server(stalls: bool) -> (Ask, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let (mut seen, mut buffer) = (0, [0; 1024]);
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                seen += 1;
                if stalls && seen == 3 {
                    std::thread::sleep(Duration::from_millis(200));
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .expect("written");
            }
            seen
        });
        let ask = Ask {
            target,
            requests: vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()],
            turn: Turn::OwnEach,
            status: 200,
        };
        (ask, server)
    }

    #[test]
    fn pauses_are_to_the_point_while_a_schedule_is_kept() {
        let slack = || rustix::thread::current_timer_slack().expect("known");
        let usual = slack();
        let punctual = Punctual::from_here_on().expect("set");
        assert_eq!(slack(), 1);
        drop(punctual);
        assert_eq!(slack(), usual);
    }

    /// How many were asked, also in turns that do not count.
    fn count(of: &Latencies) -> usize {
        of.counted.len() + of.left_out.len()
    }

    /// At least those due in the first 150 ms of the stall; on a slow machine turns may not count.
    fn late(of: &Latencies) -> usize {
        let late = |latency: &&Duration| **latency >= Duration::from_millis(50);
        of.counted.iter().filter(late).count()
    }

    #[test]
    fn a_thread_is_without_cpu_while_it_sleeps_and_not_while_it_works() {
        const SHORT: Duration = Duration::from_millis(30);
        let mut outcome = Outcome::default();
        let work = Work::begin(&outcome);
        std::thread::sleep(SHORT);
        assert!(work.without_cpu(&outcome) >= SHORT);
        outcome.reconnects += 1;
        assert_eq!(work.without_cpu(&outcome), Duration::ZERO);
        // Of the work itself nothing is counted, however often it is interrupted.
        let (work, cpu) = (Work::begin(&outcome), Work::cpu());
        while Work::cpu() - cpu < SHORT {}
        assert!(work.without_cpu(&outcome) + SHORT <= work.began.elapsed());
    }

    /// One stall of 200 ms at the third request must show in all that were due meanwhile.
    #[test]
    fn a_stall_counts_for_every_request_that_was_due() {
        let (ask, server) = server(true);
        // 40 requests 10 ms apart: the stall delays about 20 of them, by 200 ms downwards.
        let latencies =
            open(&[ask], 1, 100.0, Duration::from_millis(400), 0).expect("all answered");
        assert_eq!(server.join().expect("ended"), 40);
        assert_eq!((latencies.len(), count(&latencies[0])), (1, 40));
        assert!(late(&latencies[0]) >= 8);
    }

    #[test]
    fn of_two_in_turn_each_has_half_and_its_own_latencies() {
        let ((slow, first), (quick, second)) = (server(true), server(false));
        let asks = [slow, quick];
        let latencies = open(&asks, 1, 200.0, Duration::from_millis(400), 0).expect("all answered");
        let seen = [first, second].map(|server| server.join().expect("ended"));
        assert_eq!(seen, [40, 40]);
        assert_eq!([0, 1].map(|at| count(&latencies[at])), [40, 40]);
        assert!(late(&latencies[0]) >= 8);
        assert!(late(&latencies[1]) < late(&latencies[0]));
        let none = open(&[], 1, 1.0, Duration::from_millis(1), 0).map(|_| ());
        assert!(none.is_err());
    }
}
