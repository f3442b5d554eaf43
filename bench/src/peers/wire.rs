//! The load: HTTP/1.1 over keep-alive connections, one thread, one epoll loop.
//!
//! Requests are bytes made before; of an answer only its status and `Content-Length` are
//! read, so an answer in chunks is an error. No pipelining. *Closed*: each connection asks
//! again as soon as it has its answer, which measures capacity. *Open*: requests have a time
//! at which they are due, whatever has become of the earlier ones, and latency counts from
//! that time; a stall of who is asked shows in every request that was due meanwhile (no
//! coordinated omission).
//! Several may be asked in turns, within the same seconds ([`schedule`](super::schedule)).

use super::http::{head_of, status_of};
use super::schedule::{Latencies, Schedule};
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::thread::set_current_timer_slack;
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// What is asked, over and over.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) target: SocketAddr,
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) turn: Turn,
    /// What every answer must say.
    pub(crate) status: u16,
}

/// Which of the requests is next.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    /// A connection asks the same each time, and another connection another one.
    OwnEach,
    /// One after the other, whichever connection is free.
    Round,
}

impl Ask {
    /// A request, by a number that may be above theirs.
    fn request(&self, number: usize) -> &[u8] {
        let at = number % self.requests.len().max(1);
        self.requests.get(at).map_or(&[], Vec::as_slice)
    }
}

/// So many connections wait for an answer at once in a closed loop; of more, each in turn.
const BUSY: usize = 32;
/// So many connections are opened before one is waited for.
const BACKLOG: usize = 64;
/// So long at most a wait for answers takes, without any.
const IDLE: Duration = Duration::from_secs(10);
/// After so long without an answer there will be none.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a round.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    /// Connections that the other side ended, and that were made again.
    pub(crate) reconnects: u64,
}

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

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The request's number.
    asks: usize,
    /// Bytes of the request that went out, and those of a large answer's body still to come.
    sent: usize,
    left: Option<usize>,
    due: Instant,
}

/// Connections that ask, over and over.
pub(crate) struct Load<'a> {
    /// At least one; each has every so-many-th connection.
    asks: &'a [Ask],
    /// Requests that were sent.
    asked: usize,
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    /// Connections that have their answer, and how long it took since it was due.
    done: Vec<(usize, Duration)>,
    outcome: Outcome,
}

impl<'a> Load<'a> {
    /// Opens the connections.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) fn new(ask: &'a Ask, connections: usize) -> io::Result<Self> {
        Self::in_turn(std::slice::from_ref(ask), connections)
    }

    /// The same to several, so many connections to each.
    fn in_turn(asks: &'a [Ask], connections: usize) -> io::Result<Self> {
        if asks.is_empty() {
            return Err(io::Error::other("nobody to ask"));
        }
        let mut load = Load {
            asks,
            asked: 0,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            events: Vec::with_capacity(256),
            scratch: vec![0; 256 * 1024],
            done: Vec::new(),
            outcome: Outcome::default(),
        };
        for at in 0..connections * asks.len() {
            let stream = load.connect(at)?;
            let (buffer, due) = (Vec::with_capacity(4096), Instant::now());
            load.connections.push(Connection {
                stream,
                buffer,
                asks: at / asks.len(),
                sent: 0,
                left: None,
                due,
            });
            // More than the listener's backlog at once would be let wait a second each.
            if at % BACKLOG == BACKLOG - 1 {
                load.answered(at)?;
            }
        }
        Ok(load)
    }

    /// Has one request answered: by then all connections before it were taken.
    fn answered(&mut self, at: usize) -> io::Result<()> {
        let sent = Instant::now();
        self.send(at, sent)?;
        while self.done.is_empty() {
            if sent.elapsed() > PATIENCE {
                return Err(ErrorKind::TimedOut.into());
            }
            self.wait(IDLE)?;
        }
        self.done.clear();
        self.outcome = Outcome::default();
        Ok(())
    }

    /// As many as go, for this long.
    pub(crate) fn during(&mut self, length: Duration) -> io::Result<Outcome> {
        let started = Instant::now();
        self.closed(|_| started.elapsed() < length)
    }

    /// As fast as it goes, this many.
    pub(crate) fn times(&mut self, requests: u64) -> io::Result<Outcome> {
        self.closed(|sent| sent < requests)
    }

    /// Sends the next one as soon as one is answered, while `more` says so of how many were
    /// sent; comes back when all are answered.
    fn closed(&mut self, more: impl Fn(u64) -> bool) -> io::Result<Outcome> {
        let started = Instant::now();
        let mut resting: VecDeque<usize> = (0..self.connections.len()).collect();
        let (mut sent, mut waiting) = (0, 0);
        let mut last = started;
        loop {
            while waiting < BUSY
                && more(sent)
                && let Some(at) = resting.pop_front()
            {
                self.send(at, Instant::now())?;
                (sent, waiting) = (sent + 1, waiting + 1);
            }
            if waiting == 0 {
                self.outcome.took = started.elapsed();
                return Ok(std::mem::take(&mut self.outcome));
            }
            self.wait(IDLE)?;
            if !self.done.is_empty() {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(ErrorKind::TimedOut.into());
            }
            waiting -= self.done.len();
            resting.extend(self.done.drain(..).map(|(at, _)| at));
        }
    }

    /// What a connection asks.
    fn ask(&self, at: usize) -> &'a Ask {
        &self.asks[at % self.asks.len()]
    }

    fn connect(&self, at: usize) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.ask(at).target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(at as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
        Ok(stream)
    }

    fn send(&mut self, at: usize, due: Instant) -> io::Result<()> {
        let ask = self.ask(at);
        let connection = &mut self.connections[at];
        if matches!(ask.turn, Turn::Round) {
            connection.asks = self.asked;
        }
        self.asked += 1;
        (connection.due, connection.sent, connection.left) = (due, 0, None);
        connection.buffer.clear();
        self.go_on(at)
    }

    /// Writes what is left of the request.
    fn go_on(&mut self, at: usize) -> io::Result<()> {
        let request = self.ask(at).request(self.connections[at].asks);
        loop {
            let connection = &mut self.connections[at];
            let left = &request[connection.sent..];
            if left.is_empty() {
                return self.expect(at, epoll::EventFlags::IN);
            }
            match connection.stream.write(left) {
                Ok(written) => connection.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.expect(at, epoll::EventFlags::IN | epoll::EventFlags::OUT);
                }
                Err(error) if ended(&error) => self.again(at)?,
                Err(error) => return Err(error),
            }
            let connection = &self.connections[at];
            if connection.sent == request.len() && request.len() < 16 * 1024 {
                return Ok(());
            }
        }
    }

    fn expect(&self, at: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(at as u64);
        epoll::modify(&self.epoll, &self.connections[at].stream, data, flags)?;
        Ok(())
    }

    /// The other side ended the connection; the request is sent on a new one.
    fn again(&mut self, at: usize) -> io::Result<()> {
        self.outcome.reconnects += 1;
        if self.outcome.reconnects > 10_000 + self.outcome.requests {
            return Err(io::Error::other("connections end without an answer"));
        }
        let stream = self.connect(at)?;
        let connection = &mut self.connections[at];
        (connection.stream, connection.sent) = (stream, 0);
        Ok(())
    }

    /// Waits for answers, this long at most, to the microsecond, where epoll itself counts in
    /// milliseconds. Whether there are any.
    fn pause(&self, most: Duration) -> io::Result<bool> {
        let mut wanted = [PollFd::new(&self.epoll, PollFlags::IN)];
        Ok(rustix::event::poll(&mut wanted, Some(&timespec(most)))? > 0)
    }

    /// Waits for answers, this long at most, and takes what has arrived of them.
    fn wait(&mut self, most: Duration) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timespec(most)),
        )?;
        for event in &events {
            let at = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            let flags = event.flags;
            if flags.contains(epoll::EventFlags::OUT) {
                self.go_on(at)?;
            }
            if flags
                .intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
            {
                self.read(at)?;
            }
        }
        self.events = events;
        Ok(())
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let wanted = self.ask(at).status;
        loop {
            let connection = &mut self.connections[at];
            let read = match connection.stream.read(&mut self.scratch) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if ended(&error) => 0,
                Err(error) => return Err(error),
            };
            if read == 0 {
                // In the middle of an answer, an end is an error.
                if connection.left.is_some() || !connection.buffer.is_empty() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                let waiting = connection.sent > 0;
                self.again(at)?;
                return if waiting { self.go_on(at) } else { Ok(()) };
            }
            let arrived = &self.scratch[..read];
            let left = match connection.left {
                Some(left) => left.saturating_sub(read),
                None => {
                    connection.buffer.extend_from_slice(arrived);
                    let Some(head) = head_of(&connection.buffer) else {
                        continue;
                    };
                    let status = status_of(&connection.buffer)?;
                    if status != wanted {
                        let text =
                            String::from_utf8_lossy(&connection.buffer[..head.end]).into_owned();
                        return Err(io::Error::other(format!("expected {wanted}, got {text}")));
                    }
                    (head.end + head.content_length).saturating_sub(connection.buffer.len())
                }
            };
            connection.left = Some(left);
            if left == 0 {
                (connection.left, connection.sent) = (None, 0);
                connection.buffer.clear();
                self.outcome.requests += 1;
                self.done.push((at, connection.due.elapsed()));
                return Ok(());
            }
            // A small answer is there at once; only of a large one more is waiting.
            if read < self.scratch.len() {
                return Ok(());
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

fn ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;
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
