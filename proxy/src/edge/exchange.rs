//! One request on a caller's line and its answer: our HTTP/1.1 towards callers.
//!
//! Made of a head that `policies::head` let through, so framing is known and has one
//! meaning. It reads the body, watches whether the caller leaves, and writes the answer:
//! whole, head and body in one system call where the socket takes it, or in pieces as they
//! come. One that broke off ends the connection so that the caller can tell. What streams and is
//! not relayed is Pingora's: [`Exchange::into_stream`] gives the line back as if nothing had
//! been read, which is only right while no body was. Not here: what a head or a body means.

use super::answer::Answer;
use super::line::{Line, Peer};
use super::request_head::{RequestHead, plain};
use bytes::{Buf, Bytes, BytesMut};
use camarad_policies::chunks::{Chunks, Step};
use camarad_policies::head::{Framing, Head};
use camarad_policies::onward::{self, Delivery};
use camarad_policies::refusal::Refusal;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A usual head of an answer fits.
const HEAD_ROOM: usize = 768;
/// Bodies up to this go out in one piece with their head: for the kernel that is less work
/// than two pieces, by more than the copy.
pub(super) const SMALL: usize = 4 * 1024;
/// Read at once of a body that goes on as it comes: of one that comes slowly, and of one that has
/// come faster than that. Who sends slowly holds no more.
const AT_FIRST: usize = 16 * 1024;
const AT_ONCE: usize = 128 * 1024;
/// Interim answer that lets a caller send its body (RFC 9110, section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request that is being answered.
pub(super) struct Exchange {
    line: Line,
    head: RequestHead,
    body: Body,
    /// Read at once of a body that goes on as it comes.
    at_once: usize,
    keep: bool,
    /// Half an interim answer may be out: what followed would read as the rest of it.
    is_broken: bool,
    times: Times,
    told: Option<Told>,
}

/// How long one read of a body and one write may take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) read: Duration,
    pub(super) write: Duration,
}

/// What the caller was answered.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) status: u16,
    /// Of the body.
    pub(super) bytes: usize,
    whole: bool,
    delivery: Delivery,
}

/// What is left of a body.
enum Body {
    Length(u64),
    Chunks(Chunks),
    /// What came were no chunks.
    Broken,
}

impl Exchange {
    /// Of a head that was read on this line.
    pub(super) fn new(
        mut line: Line,
        examined: &Head,
        head: RequestHead,
        keep: bool,
        times: Times,
    ) -> Self {
        let body = match examined.framing {
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunks(Chunks::default()),
        };
        // There is one, or it would not have come this far.
        line.is_for(head.get("host").and_then(plain).unwrap_or_default());
        Self {
            line,
            head,
            body,
            at_once: AT_FIRST,
            is_broken: false,
            keep,
            times,
            told: None,
        }
    }

    pub(super) fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Its `Host`.
    pub(super) fn host(&self) -> &Arc<str> {
        self.line.host()
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        self.line.peer()
    }

    /// What was answered, once something was.
    pub(super) fn told(&self) -> Option<Told> {
        self.told
    }

    /// No further request is wanted on this connection.
    pub(super) fn close_after(&mut self) {
        self.keep = false;
    }

    /// It is safe by its method and has no body: it ends with its caller.
    pub(super) fn is_bare_read(&self) -> bool {
        self.head.is_safe() && !self.has_body()
    }

    /// It can go on to the app as it comes: where it ends is known, and its caller waits for no
    /// leave to send a body.
    pub(super) fn is_relayed(&self) -> bool {
        match self.left() {
            Some(0) => true,
            Some(_) => self.head.get("expect").is_none(),
            None => false,
        }
    }

    /// Bytes of the body that were not read; `None` where its length is not told.
    pub(super) fn left(&self) -> Option<u64> {
        match self.body {
            Body::Length(left) => Some(left),
            Body::Chunks(_) | Body::Broken => None,
        }
    }

    /// What is here of a body whose length is told.
    pub(super) fn body_here(&self) -> &[u8] {
        let here = self.line.ahead();
        &here[..at_most(self.left().unwrap_or(0), here.len())]
    }

    /// So many bytes of [`Self::body_here`] are done with.
    pub(super) fn took(&mut self, some: usize) {
        if let Body::Length(left) = &mut self.body {
            *left = left.saturating_sub(some as u64);
        }
        let is_slow = self.at_once == AT_FIRST;
        let is_over = !self.has_body();
        let here = self.line.ahead_mut();
        here.advance(some);
        if here.is_empty() && (is_slow || is_over) {
            // What comes next may be long in coming.
            *here = BytesMut::new();
        }
    }

    /// Reads more of a body whose length is told, and nothing behind it.
    ///
    /// # Errors
    /// As [`Self::read_body`].
    pub(super) async fn more_body(&mut self) -> Result<(), Refusal> {
        let most = at_most(self.left().unwrap_or(0), self.at_once);
        let read = in_time(self.times.read, self.line.read_at_most(most)).await;
        match self.line.ahead().len() {
            all if all == self.at_once => self.at_once = AT_ONCE,
            few if few < AT_FIRST => self.at_once = AT_FIRST,
            _ => {}
        }
        read
    }

    /// Some of the body was not read.
    fn has_body(&self) -> bool {
        !matches!(self.body, Body::Length(0) | Body::Chunks(Chunks::End))
    }

    /// Lets a caller that waits for it send its body.
    pub(super) async fn send_continue(&mut self) -> Result<(), Refusal> {
        if !self.has_body() {
            return Ok(());
        }
        let sent = self.line.send([CONTINUE], self.times.write).await;
        sent.map_err(|_| Refusal::BodyIncomplete)
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Refusal::BodyTimeout`] when nothing comes, [`Refusal::BodyIncomplete`] when the
    /// caller is gone or what comes are no chunks.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            match self.step() {
                Ok(Step::Skip(some)) => self.line.ahead_mut().advance(some),
                Ok(Step::Body(some)) => {
                    return Ok(Some(self.line.ahead_mut().split_to(some).freeze()));
                }
                Ok(Step::End) => return Ok(None),
                Ok(Step::More) => self.read_more().await?,
                Err(refusal) => {
                    self.body = Body::Broken;
                    return Err(refusal);
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, Refusal> {
        let here = self.line.ahead();
        match &mut self.body {
            Body::Length(0) => Ok(Step::End),
            Body::Length(_) if here.is_empty() => Ok(Step::More),
            Body::Length(left) => {
                let some = at_most(*left, here.len());
                *left -= some as u64;
                Ok(Step::Body(some))
            }
            Body::Chunks(chunks) => chunks.step(here),
            Body::Broken => Err(Refusal::BodyIncomplete),
        }
    }

    async fn read_more(&mut self) -> Result<(), Refusal> {
        in_time(self.times.read, self.line.read_more()).await
    }

    /// The same as [`Self::unless_left`] for what is safe; what has an effect is carried out to
    /// its end, whoever leaves.
    pub(super) async fn unless_ended<T>(
        &mut self,
        work: impl Future<Output = T> + Unpin,
    ) -> Result<T, Refusal> {
        match self.head.is_safe() {
            true => self.unless_left(work).await,
            false => Ok(work.await),
        }
    }

    /// Waits for work for as long as the caller does.
    pub(super) async fn unless_left<T>(
        &mut self,
        mut work: impl Future<Output = T> + Unpin,
    ) -> Result<T, Refusal> {
        if self.has_body() {
            // Bytes that nobody read would hide that the caller left.
            return Ok(work.await);
        }
        tokio::select! {
            biased;
            done = &mut work => Ok(done),
            () = self.line.gone() => Err(Refusal::ClientClosed),
        }
    }

    /// Writes an answer whole, with the tags of every answer.
    ///
    /// # Errors
    /// If the caller is gone or does not take it in time.
    pub(super) async fn write(&mut self, answer: &Answer, tags: &Tags<'_>) -> io::Result<()> {
        // What is left of a body would read as the next request.
        self.keep &= !self.has_body() || self.skip_rest();
        let is_bodiless = matches!(answer.status, 204 | 304);
        let is_silent = is_bodiless || self.head.method() == "HEAD";
        let body: &[u8] = if is_silent { &[] } else { &answer.body };
        let (small, large) = body.split_at(if body.len() <= SMALL { body.len() } else { 0 });
        let mut head = Vec::with_capacity(HEAD_ROOM + small.len());
        answer.write_head(&mut head, tags, self.keep, is_silent);
        head.extend_from_slice(small);
        let mut told = Told {
            status: answer.status,
            bytes: 0,
            whole: false,
            delivery: Delivery::Said,
        };
        self.told = Some(told);
        self.unbroken()?;
        let sent = self.line.send([&head, large], self.times.write).await;
        if sent.is_ok() {
            (told.bytes, told.whole) = (body.len(), true);
            self.told = Some(told);
        }
        sent
    }

    /// Passes on an interim answer, to a caller that knows of them.
    ///
    /// # Errors
    /// If the caller is gone or does not take it in time. Nothing can be written behind it then.
    pub(super) async fn write_interim(&mut self, head: &[u8]) -> io::Result<()> {
        if self.head.is_1_0() {
            return Ok(());
        }
        self.unbroken()?;
        let sent = self.line.send([head], self.times.write).await;
        self.is_broken = sent.is_err();
        sent
    }

    fn unbroken(&self) -> io::Result<()> {
        match self.is_broken {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    /// Begins an answer whose body goes on in pieces; true if the connection is kept behind it.
    pub(super) fn begin(&mut self, status: u16, delivery: Delivery) -> bool {
        self.told = Some(Told {
            status,
            bytes: 0,
            whole: false,
            delivery,
        });
        // What is left of a body would read as the next request.
        self.keep &= delivery != Delivery::ToEnd && !self.has_body();
        self.keep
    }

    /// Writes a piece of an answer that was begun, behind its head where that was not sent yet;
    /// `head` is empty then.
    ///
    /// # Errors
    /// If the caller is gone or does not take it in time.
    pub(super) async fn write_piece(
        &mut self,
        head: &mut Vec<u8>,
        body: &[u8],
        is_last: bool,
    ) -> io::Result<()> {
        self.unbroken()?;
        let Some(told) = &mut self.told else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut room = onward::SizeRoom::default();
        let (before, behind) = onward::frame(told.delivery, body.len(), is_last, &mut room);
        match body.len() <= SMALL {
            true => {
                for piece in [before, body, behind] {
                    head.extend_from_slice(piece);
                }
                self.line.send([&head[..]], self.times.write).await?;
            }
            false => {
                let pieces = [&head[..], before, body, behind];
                self.line.send(pieces, self.times.write).await?;
            }
        }
        head.clear();
        told.bytes += body.len();
        told.whole = is_last;
        Ok(())
    }

    /// Takes off a body that is here to its end but was not read.
    fn skip_rest(&mut self) -> bool {
        let here = self.line.ahead().len() as u64;
        match self.body {
            Body::Length(left) if left <= here => {
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let _ = self.line.ahead_mut().split_to(left);
                self.body = Body::Length(0);
                true
            }
            _ => false,
        }
    }

    /// The line, where Pingora is to have the request: as it was before the head was taken.
    pub(super) fn into_stream(self) -> Line {
        let mut line = self.line;
        let length = match self.body {
            Body::Length(length) => Some(length),
            _ => None,
        };
        line.put_back(self.head.raw(), length);
        line.keep_for_next(self.head.into_room());
        line
    }

    /// The line, and whether it can have another request; `None` where the answer did not
    /// go out whole.
    pub(super) fn into_line(self) -> Option<(Line, bool)> {
        // Who sends chunks does not know that we close behind them, and may go on.
        let is_unread = !matches!(self.body, Body::Length(0));
        let (mut line, told) = (self.line, self.told);
        line.keep_for_next(self.head.into_room());
        if let Some(told) = told.filter(|told| !told.whole) {
            if told.delivery == Delivery::ToEnd {
                // An orderly end would be the end of the body.
                line.cut();
            }
            return None;
        }
        if is_unread {
            line.forget_rest();
        }
        Some((line, self.keep && told.is_some()))
    }
}

/// So much of what there is, which may be more than memory could hold.
fn at_most(wanted: u64, most: usize) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX).min(most)
}

/// One read of a body, within its time.
async fn in_time(
    time: Duration,
    read: impl Future<Output = io::Result<usize>>,
) -> Result<(), Refusal> {
    match tokio::time::timeout(time, read).await {
        Err(_) => Err(Refusal::BodyTimeout),
        Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0) | Err(_)) => Err(Refusal::BodyIncomplete),
    }
}

/// What every answer carries besides its own.
pub(super) struct Tags<'a> {
    pub(super) request_id: &'a str,
    /// `Set-Cookie` of ours.
    pub(super) cookie: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::super::request_head::{Found, Room};
    use super::*;
    use camarad_policies::head::{Limits, Lines, examine_with};
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    /// An exchange for a POST with a body of this length, and its caller.
    async fn exchange_for(host: &str, length: usize, write: Duration) -> (Exchange, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Line::new(TcpStream::connect(address).await.unwrap());
        let (caller, _) = listener.accept().await.unwrap();
        let text = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
        let limits = Limits {
            head: 4096,
            target: 4096,
        };
        let read = |head: &[u8], lines: &Lines<'_>| Found::new(head, lines, Room::default());
        let examined = examine_with(text.as_bytes(), 0, &limits, read);
        let (head, found) = examined.unwrap().unwrap();
        let read = Duration::from_secs(1);
        let times = Times { read, write };
        let read = found.in_bytes(text.as_bytes().into());
        (Exchange::new(line, &head, read, true, times), caller)
    }

    #[tokio::test]
    async fn no_long_host_stays_behind_where_a_request_is_streamed() {
        let host = "a".repeat(300);
        let (exchange, _caller) = exchange_for(&host, 1, Duration::from_secs(1)).await;
        assert_eq!(**exchange.host(), *host);
        let line = exchange.into_stream();
        assert_eq!(&**line.host(), "");
        assert!(line.ahead().ends_with(b"\r\nContent-Length: 1\r\n\r\n"));
    }

    /// Its caller would have taken the answer for the rest of it, and the next one for the answer.
    #[tokio::test]
    async fn nothing_follows_half_an_interim_answer() {
        let (mut exchange, mut caller) = exchange_for("a", 0, Duration::from_millis(50)).await;
        // More than waits in the kernel for who does not read.
        let hint = vec![b'h'; 64 << 20];
        assert!(exchange.write_interim(&hint).await.is_err());
        assert!(exchange.write_interim(b"again").await.is_err());
        exchange.begin(200, Delivery::Said);
        let mut head = b"answer".to_vec();
        let reads = tokio::spawn(async move {
            let mut all = Vec::new();
            // It ends with a reset.
            let _ = caller.read_to_end(&mut all).await;
            all
        });
        assert!(exchange.write_piece(&mut head, b"", true).await.is_err());
        assert!(exchange.into_line().is_none());
        let all = reads.await.unwrap();
        assert!(all.len() < hint.len() && all.iter().all(|octet| *octet == b'h'));
    }
}
