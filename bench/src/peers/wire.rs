//! The load: HTTP/1.1 over keep-alive connections, one thread, one epoll loop.
//!
//! Requests are bytes made before; of an answer only its status and `Content-Length` are
//! read, so an answer in chunks is an error. No pipelining. Here each connection asks again as
//! soon as it has its answer (a closed loop), which measures capacity; at a fixed rate is
//! [`open`](super::open).

use super::http::{head_of, status_of};
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
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
pub(super) const IDLE: Duration = Duration::from_secs(10);
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
    pub(super) done: Vec<(usize, Duration)>,
    pub(super) outcome: Outcome,
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
    pub(super) fn in_turn(asks: &'a [Ask], connections: usize) -> io::Result<Self> {
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

    pub(super) fn send(&mut self, at: usize, due: Instant) -> io::Result<()> {
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
    pub(super) fn pause(&self, most: Duration) -> io::Result<bool> {
        let mut wanted = [PollFd::new(&self.epoll, PollFlags::IN)];
        Ok(rustix::event::poll(&mut wanted, Some(&timespec(most)))? > 0)
    }

    /// Waits for answers, this long at most, and takes what has arrived of them.
    pub(super) fn wait(&mut self, most: Duration) -> io::Result<()> {
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
