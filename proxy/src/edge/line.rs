//! A caller's connection, between its socket and Pingora.
//!
//! Pingora reads heads itself, before any hook of ours and without a deadline in
//! all; it answers what it cannot parse without a record, drops pipelined
//! requests, and takes the socket along when it panics. So the socket is a
//! [`Line`] of ours. It reads a head within limits and time; what is answered whole or
//! relayed is answered on it, and for bodies that stream in chunks it is lent to Pingora
//! ([`super::loan`]), for exactly that head and its body.
//!
//! What was read beyond the request stays here for the next one. Not here: what
//! a head means, what is answered, and how a connection ends ([`end`]).

mod end;

pub(super) use end::LINGER;

use super::request_head::{Found, RequestHead, Room};
use bytes::{Buf, BytesMut};
use camarad_policies::head::{Head, Limits, Lines, examine_with};
use camarad_policies::refusal::Refusal;
use pingora::protocols::l4::ext::get_tcp_info;
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Read at once; a usual head fits.
const READ_AHEAD: usize = 4 * 1024;
/// Bytes that wait to be sent in the kernel at most, where nothing else shows that a caller
/// takes any: who takes half of them within a wait takes enough.
const MOST_UNSENT: u32 = 512 * 1024;
/// The kernel's own bound, which is none as it is shipped.
const KERNELS_OWN: u32 = 0;
/// A caller to whom fewer bytes went within a wait takes as good as nothing.
const ENOUGH: u64 = 64 * 1024;
/// Bytes of further requests kept while one is being answered.
const MOST_AHEAD: usize = 64 * 1024;

/// Bytes of a name at most (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 255;

/// A caller's connection.
#[derive(Debug)]
pub(super) struct Line {
    socket: TcpStream,
    peer: Option<Peer>,
    /// The host of the present request: of all of a connection's, nearly always.
    host: Arc<str>,
    /// Read from the socket and not yet asked for.
    ahead: BytesMut,
    /// For the next head.
    room: Room,
    /// Bytes of the present request that may still be read; `None` where only its chunks tell.
    left: Option<u64>,
    /// Something was written since the last head.
    answered: bool,
    /// The kernel tells how much of what was sent has arrived.
    tells: bool,
    /// What was written on loan and not sent: only an answer that broke off leaves some.
    unsent: Vec<u8>,
    /// When the present head began to come in.
    began: Instant,
    /// When its end was here.
    headed: Instant,
    /// When the last answer ended, where that is known; nothing was waited for since.
    rested: Option<Instant>,
}

/// The other end of a connection, with its address as texts, which every request needs.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    /// With the port.
    pub(super) text: Arc<str>,
    pub(super) ip_text: Arc<str>,
}

impl Peer {
    fn new(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        Self {
            ip,
            text: address.to_string().into(),
            ip_text: ip.to_string().into(),
        }
    }
}

/// How long to wait for a head.
pub(super) struct Patience {
    /// For the first byte.
    pub(super) idle: Duration,
    /// For the whole head, from its first byte on.
    pub(super) head: Duration,
}

impl Line {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Answers are written whole; waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let now = Instant::now();
        let tells = arrived(&stream).is_some();
        let line = Self {
            peer: stream.peer_addr().ok().map(Peer::new),
            host: Arc::default(),
            socket: stream,
            ahead: BytesMut::new(),
            room: Room::default(),
            left: Some(0),
            answered: false,
            tells,
            unsent: Vec::new(),
            began: now,
            headed: now,
            rested: Some(now),
        };
        if !tells {
            line.bound_unsent(MOST_UNSENT);
        }
        line
    }

    /// Bounds what waits in the kernel for the caller. It takes megabytes, and says that there is
    /// room again only once a good part is gone: who takes little at a time seems to take nothing
    /// then. With a bound they are seen, and large answers cost a third more CPU: so it is for
    /// those who do not ask what has arrived, or get no answer.
    fn bound_unsent(&self, most: u32) {
        // An option that is not there leaves it as it is.
        let _ = SockRef::from(&self.socket).set_tcp_notsent_lowat(most);
    }

    /// It goes to somebody who waits for room alone.
    pub(super) fn goes_on_loan(&self) {
        self.bound_unsent(MOST_UNSENT);
    }

    /// It is back.
    pub(super) fn comes_home(&self) {
        if self.tells {
            self.bound_unsent(KERNELS_OWN);
        }
    }

    /// Time since the present head began to come in.
    pub(super) fn since_head(&self) -> Duration {
        self.began.elapsed()
    }

    /// When the end of the present head was here.
    pub(super) fn headed(&self) -> Instant {
        self.headed
    }

    /// The last answer ended just now, at this time.
    pub(super) fn rests_since(&mut self, now: Instant) {
        self.rested = Some(now);
    }

    /// The other end; `None` where it was gone at once.
    pub(super) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// The host that the present request is for.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The present request is for this host.
    pub(super) fn is_for(&mut self, host: &str) {
        if *self.host != *host {
            self.host = host.into();
        }
    }

    /// What has come in of the head that is being read.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Something was answered since the last head.
    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    /// Waits for the next head; `None` when there will be none: the caller left,
    /// was idle for too long, or `closing` came while nothing had been sent. `timer` is for
    /// all heads of a connection; where it stands does not matter.
    pub(super) async fn next_head(
        &mut self,
        limits: &Limits,
        patience: Patience,
        mut timer: Pin<&mut Sleep>,
        mut closing: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<(Head, RequestHead)>, Refusal> {
        let mut seen = 0;
        let rested = self.rested.take();
        let mut until = None;
        let mut begun = false;
        loop {
            if !self.ahead.is_empty() {
                if !begun {
                    begun = true;
                    self.began = Instant::now();
                    self.headed = self.began;
                    until = Some(self.began + patience.head);
                } else {
                    self.headed = Instant::now();
                }
                let room = &mut self.room;
                let read =
                    |head: &[u8], lines: &Lines<'_>| Found::new(head, lines, std::mem::take(room));
                if let Some((head, found)) = examine_with(&self.ahead, seen, limits, read)? {
                    self.answered = false;
                    return Ok(Some((head, found.in_bytes(self.take(head.length)))));
                }
                seen = self.ahead.len();
            }
            if self.ahead.is_empty() {
                // Idle connections are many, and hold no buffer.
                self.ahead = BytesMut::new();
            }
            let idle = || rested.unwrap_or_else(Instant::now) + patience.idle;
            let deadline = *until.get_or_insert_with(idle);
            tokio::select! {
                biased;
                read = read_when_ready(&mut self.socket, &mut self.ahead) => match read {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
                () = reaches(timer.as_mut(), deadline) => return match begun {
                    true => Err(Refusal::HeadTimeout),
                    false => Ok(None),
                },
                () = &mut closing, if !begun => return Ok(None),
            }
        }
    }

    /// What has come in and was not asked for, to be read from.
    pub(super) fn ahead_mut(&mut self) -> &mut BytesMut {
        &mut self.ahead
    }

    /// Takes off a head; what follows is its body, and the next request.
    fn take(&mut self, head: usize) -> BytesMut {
        self.left = Some(0);
        match head == self.ahead.len() {
            // With the memory it came in: nothing is copied, and the next one gets its own.
            true => std::mem::take(&mut self.ahead),
            false => {
                let taken = BytesMut::from(&self.ahead[..head]);
                self.ahead.advance(head);
                taken
            }
        }
    }

    /// A request is done with: keeps the room of its head, and its host unless that is longer
    /// than hosts are. Idle connections are many, and hold nothing large of a caller's.
    pub(super) fn keep_for_next(&mut self, room: Room) {
        self.room = room;
        if self.host.len() > LONGEST_HOST {
            self.host = Arc::default();
        }
    }

    /// Undoes that a head was taken; `body` is the length of what follows, if that is known.
    pub(super) fn put_back(&mut self, head: &[u8], body: Option<u64>) {
        let mut whole = BytesMut::with_capacity(head.len() + self.ahead.len());
        whole.extend_from_slice(head);
        whole.extend_from_slice(&self.ahead);
        self.ahead = whole;
        self.left = body.map(|body| body.saturating_add(head.len() as u64));
    }

    /// Reads what comes next behind what is here; 0 at the end.
    pub(super) async fn read_more(&mut self) -> io::Result<usize> {
        self.ahead.reserve(READ_AHEAD);
        self.socket.read_buf(&mut self.ahead).await
    }

    /// Reads what comes next behind what is here, at most so many bytes; 0 at the end.
    pub(super) async fn read_at_most(&mut self, most: usize) -> io::Result<usize> {
        poll_fn(|cx| {
            // Who sends slowly needs no room while nothing is there.
            ready!(self.socket.poll_read_ready(cx))?;
            self.ahead.reserve(most);
            let mut socket = (&mut self.socket).take(most as u64);
            std::pin::pin!(socket.read_buf(&mut self.ahead)).poll(cx)
        })
        .await
    }

    /// Comes when the caller has left; what they send meanwhile is kept.
    pub(super) async fn gone(&mut self) {
        // A broken connection is a caller who left.
        let _ = poll_fn(|cx| self.poll_gone(cx)).await;
    }

    /// Sends these pieces, in one system call where the socket takes them.
    ///
    /// # Errors
    /// If the caller is gone, or has taken as good as nothing for `patience`.
    pub(super) async fn send<const N: usize>(
        &mut self,
        pieces: [&[u8]; N],
        patience: Duration,
    ) -> io::Result<()> {
        self.answered = true;
        let socket = &self.socket;
        let used = pieces.iter().rposition(|piece| !piece.is_empty());
        let mut pieces = pieces.map(io::IoSlice::new);
        let mut left = &mut pieces[..used.map_or(0, |last| last + 1)];
        if push(socket, &mut left)? {
            return Ok(());
        }
        let mut before = arrived(socket);
        loop {
            // Who takes some of it has as long again for the next.
            match tokio::time::timeout(patience, socket.writable()).await {
                Ok(writable) => {
                    writable?;
                    if push(socket, &mut left)? {
                        return Ok(());
                    }
                }
                Err(_) => {
                    if took_next_to_nothing(before, arrived(socket)) {
                        // Or the kernel would go on holding megabytes for them.
                        let _ = socket.set_zero_linger();
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
            before = arrived(socket);
        }
    }

    /// Keeps what was written and not sent: only an answer that broke off leaves some.
    pub(super) fn keep_unsent(&mut self, bytes: &[u8]) {
        self.answered |= !bytes.is_empty();
        self.unsent = bytes.to_vec();
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// All that was written was sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// The rest of the request is not wanted, and where it ends is not known.
    pub(super) fn forget_rest(&mut self) {
        self.left = None;
    }

    /// Nothing more of this request is to be read: only whether the caller leaves is.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < MOST_AHEAD {
            // Most who wait send nothing, and need no room for it.
            ready!(self.socket.poll_read_ready(cx))?;
            self.ahead.reserve(READ_AHEAD);
            let read = self.socket.read_buf(&mut self.ahead);
            match ready!(std::pin::pin!(read).poll(cx)) {
                // With the next request here already, an end of sending is no leaving.
                Ok(0) if self.ahead.is_empty() => return Poll::Ready(Ok(())),
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // Nothing to be told of any more, so nobody to wake.
        Poll::Pending
    }
}

/// No further than the present request.
impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = &mut *self;
        let left = match line.left {
            Some(0) => return line.poll_gone(cx),
            Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let read = if line.ahead.is_empty() && left >= buf.remaining() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut line.socket).poll_read(cx, buf))?;
            buf.filled().len() - before
        } else {
            if line.ahead.is_empty() {
                line.ahead.reserve(READ_AHEAD);
                let read = line.socket.read_buf(&mut line.ahead);
                if ready!(std::pin::pin!(read).poll(cx))? == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            let some = line.ahead.len().min(buf.remaining()).min(left);
            buf.put_slice(&line.ahead[..some]);
            line.ahead.advance(some);
            some
        };
        if let Some(left) = &mut line.left {
            *left = left.saturating_sub(read as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered = true;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answered = true;
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Comes at a deadline. Most that are waited for are not reached, and to set a timer costs more
/// than to look at it: one that is set for earlier stays, and is set anew when it goes off.
async fn reaches(mut timer: Pin<&mut Sleep>, deadline: Instant) {
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    loop {
        timer.as_mut().await;
        if timer.deadline() >= deadline {
            return;
        }
        timer.as_mut().reset(deadline);
    }
}

/// Reads what is there behind `ahead`, once something is; 0 at the end.
async fn read_when_ready(socket: &mut TcpStream, ahead: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| {
        ready!(socket.poll_read_ready(cx))?;
        match ahead.capacity() {
            0 => *ahead = BytesMut::with_capacity(READ_AHEAD),
            _ => ahead.reserve(READ_AHEAD),
        }
        std::pin::pin!(socket.read_buf(ahead)).poll(cx)
    })
    .await
}

/// Bytes that have arrived at the other end since the connection began (RFC 4898,
/// tcpEStatsAppHCThruOctetsAcked); `None` where the kernel does not tell (Linux before 6.2).
fn arrived(socket: &TcpStream) -> Option<u64> {
    let info = get_tcp_info(socket.as_raw_fd()).ok()?;
    Some(info.tcpi_bytes_acked)
}

/// Whether a caller took as good as nothing in between, by what had arrived before and after; where
/// the kernel does not tell, what was taken shows otherwise.
fn took_next_to_nothing(before: Option<u64>, after: Option<u64>) -> bool {
    let went = before.zip(after);
    went.map_or(0, |(before, after)| after.saturating_sub(before)) < ENOUGH
}

/// Sends what the socket takes now; true once that is all.
fn push(socket: &TcpStream, left: &mut &mut [io::IoSlice<'_>]) -> io::Result<bool> {
    // Pieces of nothing are behind us before they could be all there is.
    io::IoSlice::advance_slices(left, 0);
    while !left.is_empty() {
        let sent = match &**left {
            [one] => socket.try_write(one),
            more => socket.try_write_vectored(more),
        };
        let sent = match sent {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        io::IoSlice::advance_slices(left, sent);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn what_waits_is_bounded_on_loan_and_where_the_kernel_does_not_tell() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut line = Line::new(TcpStream::connect(address).await.unwrap());
        let bound = |line: &Line| SockRef::from(&line.socket).tcp_notsent_lowat().unwrap();
        let at_rest = if line.tells { KERNELS_OWN } else { MOST_UNSENT };
        assert_eq!(bound(&line), at_rest);
        line.goes_on_loan();
        assert_eq!(bound(&line), MOST_UNSENT);
        line.comes_home();
        assert_eq!(bound(&line), at_rest);
        line.tells = false;
        line.goes_on_loan();
        line.comes_home();
        assert_eq!(bound(&line), MOST_UNSENT);
    }

    #[tokio::test]
    async fn an_idle_connection_holds_no_long_host() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut line = Line::new(TcpStream::connect(address).await.unwrap());
        for (length, kept) in [(3, 3), (255, 255), (256, 0), (32_000, 0), (3, 3)] {
            line.is_for(&"a".repeat(length));
            assert_eq!(line.host().len(), length);
            line.keep_for_next(Room::default());
            assert_eq!(line.host().len(), kept);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_reached_wherever_the_timer_stood() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut timer = pin!(tokio::time::sleep_until(start));
        // Gone off already, for earlier, for later, and gone off again.
        for (stands, deadline) in [(0, 10), (11, 20), (40, 30), (30, 31)] {
            if stands > 0 {
                timer.as_mut().reset(after(stands));
            }
            reaches(timer.as_mut(), after(deadline)).await;
            assert_eq!(Instant::now(), after(deadline), "{stands} for {deadline}");
        }
        // One that is past comes at once.
        reaches(timer.as_mut(), after(5)).await;
        assert_eq!(Instant::now(), after(31));
    }
}
