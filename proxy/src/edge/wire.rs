//! A connection to the app, and one exchange on it: our HTTP/1.1 towards the app.
//!
//! The request is bytes already ([`UpstreamHead`]); it goes out in one system call with
//! its body, and a usual answer comes in with one. An answer's body is read whole, within
//! the limits of its caller, or looked at as it comes. What is in doubt ends the connection:
//! it is used again only after an answer whose end was told and reached, with nothing behind
//! it. Not here: which connection is used, retries, and how long all of it may take.

use super::upstream_request::UpstreamHead;
use crate::budget::Held;
use bytes::{Buf, Bytes, BytesMut};
use camarad_policies::answer_head::{self, AnswerHead, Framing, examine};
use camarad_policies::chunks::{Chunks, Step};
use camarad_policies::onward::WholeLines;
use camarad_policies::refusal::Refusal;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// Read at once; a usual answer fits.
const READ: usize = 8 * 1024;
/// Read at once of an answer that came faster than that.
const READ_MORE: usize = 128 * 1024;
/// Interim answers before the real one at most.
const MOST_INTERIM: usize = 8;

/// A connection to the app.
pub(super) struct Wire {
    socket: TcpStream,
    /// What came in and was not looked at.
    here: BytesMut,
    /// A read of the present answer brought as much as there was room for.
    is_fast: bool,
    /// Interim answers to the present request so far.
    interim: usize,
    /// Some of the present request was not sent.
    owes: bool,
    /// It had an exchange before.
    pub(super) is_reused: bool,
    /// Since when it waits for the next one.
    pub(super) idle_since: Instant,
}

/// Why an exchange ended early.
pub(super) struct Broken {
    pub(super) refusal: Refusal,
    /// Nothing of an answer had come.
    pub(super) before_answer: bool,
}

/// An answer as it came.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) lines: WholeLines,
    pub(super) body: Bytes,
    /// The connection can have another exchange.
    pub(super) keep: bool,
}

/// An answer whose head was read, and whose body is still to come.
pub(super) struct Begun<T> {
    pub(super) status: u16,
    pub(super) framing: Framing,
    keep_alive: bool,
    /// What was made of its head.
    pub(super) read: T,
}

impl<T> Begun<T> {
    /// The connection ends behind it.
    pub(super) fn is_last(&self) -> bool {
        !self.keep_alive || self.framing == Framing::Close
    }

    /// The real one is still to come.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }
}

const BAD: Broken = Broken {
    refusal: Refusal::LegacyBadAnswer,
    before_answer: false,
};

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        // Requests are written whole; waiting for more to send only delays them.
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            here: BytesMut::new(),
            is_fast: false,
            interim: 0,
            owes: false,
            is_reused: false,
            idle_since: Instant::now(),
        }
    }

    /// Whether the app has said nothing since the last answer: bytes or an end would mean
    /// that it closes. Asks the kernel only where something may be there.
    pub(super) fn is_quiet(&self) -> bool {
        let read = self.socket.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a request and reads the head of its answer, or of an interim one.
    pub(super) async fn ask<T>(
        &mut self,
        head: &UpstreamHead,
        body: &[u8],
        read: &impl Fn(&AnswerHead<'_>) -> T,
    ) -> Result<Begun<T>, Broken> {
        let gone = |_: io::Error| Broken {
            refusal: Refusal::LegacyUnreachable,
            before_answer: true,
        };
        self.interim = 0;
        self.send(head.bytes(), body).await.map_err(gone)?;
        self.read_head(head.is_head(), read).await
    }

    /// Reads the rest of an answer whole; a body of at most `largest` bytes, which are taken
    /// from `held`.
    pub(super) async fn finish(
        &mut self,
        mut answer: Begun<WholeLines>,
        to_head: bool,
        largest: usize,
        held: &mut Held,
    ) -> Result<Answered, Broken> {
        while answer.is_interim() {
            answer = self.read_head(to_head, &WholeLines::of).await?;
        }
        let body = match answer.framing {
            Framing::Length(length) => self.read_length(length, largest, held).await?,
            Framing::Chunked => self.read_chunks(largest, held).await?,
            Framing::Close => self.read_to_end(largest, held).await?,
        };
        Ok(Answered {
            status: answer.status,
            keep: self.is_over(&answer),
            lines: answer.read,
            body,
        })
    }

    /// Whether the connection can have another exchange, the body of this answer being read.
    pub(super) fn is_over<T>(&self, answer: &Begun<T>) -> bool {
        !answer.is_last() && self.here.is_empty() && !self.owes
    }

    /// A request begins that is sent piece by piece.
    pub(super) fn begins(&mut self) {
        self.interim = 0;
        self.owes = true;
    }

    /// All of it was sent.
    pub(super) fn has_sent(&mut self) {
        self.owes = false;
    }

    /// Sends what the socket takes now of these; how much that was.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] where it takes nothing now.
    pub(super) fn send_some(&self, [first, second]: [&[u8]; 2]) -> io::Result<usize> {
        match (first, second) {
            ([], one) | (one, []) => self.socket.try_write(one),
            both => {
                let pieces = [IoSlice::new(both.0), IoSlice::new(both.1)];
                self.socket.try_write_vectored(&pieces)
            }
        }
    }

    /// Comes when there may be room to send; or, if it `listens`, when the app has said
    /// something: true then. What ended shows in the next read or send.
    pub(super) async fn has_room(&mut self, listens: bool) -> bool {
        let interest = match listens {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::WRITABLE,
        };
        let Ok(ready) = self.socket.ready(interest).await else {
            return false;
        };
        listens && ready.is_readable() && self.hears()
    }

    /// Comes when the app has said something, or ended the connection, which the next read shows.
    pub(super) async fn speaks(&mut self) {
        while self.socket.readable().await.is_ok() && !self.hears() {}
    }

    /// Whether there is something to be read, or an end; it is in `here` then.
    fn hears(&mut self) -> bool {
        self.here.reserve(READ);
        let read = self.socket.try_read_buf(&mut self.here);
        !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    async fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        if body.is_empty() {
            return self.socket.write_all(head).await;
        }
        let pieces = [IoSlice::new(head), IoSlice::new(body)];
        let sent = self.socket.write_vectored(&pieces).await?;
        let of_head = sent.min(head.len());
        self.socket.write_all(&head[of_head..]).await?;
        self.socket.write_all(&body[sent - of_head..]).await
    }

    /// Reads the head of an answer that is still to come.
    pub(super) async fn read_head<T>(
        &mut self,
        to_head: bool,
        read: &impl Fn(&AnswerHead<'_>) -> T,
    ) -> Result<Begun<T>, Broken> {
        loop {
            if !self.here.is_empty() {
                let mut room = answer_head::EMPTY;
                let examined = examine(&self.here, to_head, &mut room).map_err(|_| BAD)?;
                if let Some(examined) = examined {
                    let begun = Begun {
                        status: examined.status,
                        framing: examined.framing,
                        keep_alive: examined.keep_alive,
                        read: read(&examined),
                    };
                    let length = examined.length;
                    self.here.advance(length);
                    match begun.status {
                        // No rule allows an upgrade, so none was asked for.
                        101 => return Err(BAD),
                        ..200 if self.interim == MOST_INTERIM => return Err(BAD),
                        ..200 => self.interim += 1,
                        _ => {}
                    }
                    return Ok(begun);
                }
            }
            let before_answer = self.here.is_empty() && self.interim == 0;
            match self.read_more().await {
                Ok(1..) => {}
                Ok(0) | Err(_) => {
                    return Err(Broken {
                        refusal: Refusal::LegacyUnreachable,
                        before_answer,
                    });
                }
            }
        }
    }

    /// Reads what comes next; 0 at the end.
    pub(super) async fn read_more(&mut self) -> io::Result<usize> {
        let room = if self.is_fast { READ_MORE } else { READ };
        self.here.reserve(room);
        let read = self.socket.read_buf(&mut self.here).await?;
        self.is_fast |= self.here.len() == self.here.capacity();
        Ok(read)
    }

    /// What came in and was not taken.
    pub(super) fn here(&mut self) -> &mut BytesMut {
        &mut self.here
    }

    /// A connection that waits holds no more memory than the next answer will need.
    pub(super) fn shrink(&mut self) {
        self.is_fast = false;
        // What was read from it is not in its capacity, but may be had again.
        if self.here.is_empty() && self.here.try_reclaim(4 * READ) {
            self.here = BytesMut::new();
        }
    }

    async fn read_length(
        &mut self,
        length: u64,
        largest: usize,
        held: &mut Held,
    ) -> Result<Bytes, Broken> {
        let length = usize::try_from(length).map_err(|_| BAD)?;
        if length > largest {
            return Err(BAD);
        }
        more(held, length)?;
        // Its own memory, no more than it needs: it may be kept.
        let mut body = BytesMut::with_capacity(length);
        let here = self.here.len().min(length);
        body.extend_from_slice(&self.here[..here]);
        self.here.advance(here);
        while body.len() < length {
            let left = (length - body.len()) as u64;
            match (&mut self.socket).take(left).read_buf(&mut body).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(BAD),
            }
        }
        Ok(body.freeze())
    }

    async fn read_chunks(&mut self, largest: usize, held: &mut Held) -> Result<Bytes, Broken> {
        let (mut chunks, mut body) = (Chunks::default(), BytesMut::new());
        loop {
            match chunks.step(&self.here).map_err(|_| BAD)? {
                Step::Skip(some) => self.here.advance(some),
                Step::Body(some) => {
                    if body.len() + some > largest {
                        return Err(BAD);
                    }
                    more(held, some)?;
                    body.extend_from_slice(&self.here[..some]);
                    self.here.advance(some);
                }
                // Not with the room in which it grew: it may be kept.
                Step::End => return Ok(Bytes::copy_from_slice(&body)),
                Step::More => match self.read_more().await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Err(BAD),
                },
            }
        }
    }

    async fn read_to_end(&mut self, largest: usize, held: &mut Held) -> Result<Bytes, Broken> {
        let mut body = std::mem::take(&mut self.here);
        more(held, body.len())?;
        loop {
            if body.len() > largest {
                return Err(BAD);
            }
            body.reserve(READ);
            match self.socket.read_buf(&mut body).await {
                // Its head is in front of it, and room behind it; it may be kept.
                Ok(0) => return Ok(Bytes::copy_from_slice(&body)),
                Ok(read) => more(held, read)?,
                Err(_) => return Err(BAD),
            }
        }
    }
}

fn more(held: &mut Held, bytes: usize) -> Result<(), Broken> {
    held.more(bytes).map_err(|_| Broken {
        refusal: Refusal::Overloaded,
        before_answer: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, By};
    use tokio::net::TcpListener;

    /// What is read of an answer that comes in pieces of this size, and then the end.
    async fn read(answer: &str, piece: usize) -> Result<(u16, String, bool), (Refusal, bool)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.to_owned();
        let app = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 256];
            let read = socket.read(&mut request).await.unwrap();
            for piece in answer.as_bytes().chunks(piece) {
                // Who has seen enough is gone.
                if socket.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            request.truncate(read);
            request
        });
        let socket = TcpStream::connect(address).await.unwrap();
        let head = UpstreamHead::for_test("GET", "/a");
        let used = prometheus::IntGauge::new("used", "Bytes.").unwrap();
        let mut held = Budget::new(1 << 20, used).hold(By::Us);
        let mut wire = Wire::new(socket);
        let outcome = match wire.ask(&head, b"body", &WholeLines::of).await {
            Ok(begun) => wire.finish(begun, false, 1000, &mut held).await,
            Err(broken) => Err(broken),
        };
        let sent = app.await.unwrap();
        assert_eq!(sent, b"GET /a HTTP/1.1\r\n\r\nbody");
        let read = |answered: Answered| {
            let body = String::from_utf8(answered.body.to_vec()).unwrap();
            (answered.status, body, answered.keep)
        };
        outcome
            .map(read)
            .map_err(|broken| (broken.refusal, broken.before_answer))
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_and_connections_kept_where_that_is_sure() {
        const GONE: Refusal = Refusal::LegacyUnreachable;
        const BAD: Refusal = Refusal::LegacyBadAnswer;
        let long = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}",
            "x".repeat(1001)
        );
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
        let ok = |body: &str, keep| Ok((200, body.to_owned(), keep));
        for (answer, expected) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                ok("abc", true),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
                ok("abc", false),
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                ok("abc", false),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nabc", ok("abc", false)),
            (
                "HTTP/1.1 103 -\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                ok("", true),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                ok("abc", true),
            ),
            ("", Err((GONE, true))),
            ("HTTP/1.1 200", Err((GONE, false))),
            ("HTTP/1.1 101 -\r\n\r\n", Err((BAD, false))),
            ("SSH-2.0-x\r\n\r\n", Err((BAD, false))),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                Err((BAD, false)),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
                Err((BAD, false)),
            ),
            (&long, Err((BAD, false))),
            (&endless, Err((BAD, false))),
            (&"HTTP/1.1 100 -\r\n\r\n".repeat(9), Err((BAD, false))),
        ] {
            for piece in [1, 7, 4096] {
                assert_eq!(
                    read(answer, piece).await,
                    expected,
                    "{answer:.60?} by {piece}"
                );
            }
        }
        // Something behind an answer is nobody's.
        let (status, body, keep) = read("HTTP/1.1 204 -\r\n\r\nmore", 4096).await.unwrap();
        assert_eq!((status, body.as_str(), keep), (204, "", false));
    }

    /// A wire to a server that sends this and ends.
    async fn wire_of(sent: Vec<u8>) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(&sent).await.unwrap();
            socket.shutdown().await.unwrap();
            // With something unread its end would be a reset.
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        Wire::new(TcpStream::connect(address).await.unwrap())
    }

    #[tokio::test]
    async fn a_wire_that_waits_has_none_of_the_room_of_a_large_answer() {
        let mut wire = wire_of(vec![b'x'; 16 * READ_MORE]).await;
        // To the last byte of the room that it has by then.
        while wire.here().len() < READ_MORE || wire.here().len() < wire.here().capacity() {
            assert!(wire.read_more().await.unwrap() > 0);
        }
        let all = wire.here().len();
        wire.here().advance(all);
        wire.shrink();
        assert!(!wire.here().try_reclaim(4 * READ));
    }

    #[tokio::test]
    async fn a_body_that_may_be_kept_has_no_more_memory_than_it_needs() {
        const LENGTH: usize = 70_000;
        let body = "x".repeat(LENGTH);
        let chunk = format!("{:x}\r\n{}\r\n", LENGTH / 7, &body[..LENGTH / 7]);
        let chunks = chunk.repeat(7) + "0\r\n\r\n";
        for (framing, body) in [
            (format!("Content-Length: {LENGTH}"), &body),
            ("Transfer-Encoding: chunked".to_owned(), &chunks),
            ("X: y".to_owned(), &body),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
            let mut wire = wire_of(answer.into_bytes()).await;
            let used = prometheus::IntGauge::new("used", "Bytes.").unwrap();
            let mut held = Budget::new(1 << 20, used.clone()).hold(By::Us);
            let head = UpstreamHead::for_test("GET", "/a");
            let begun = wire.ask(&head, b"", &WholeLines::of).await.ok().unwrap();
            let answered = wire.finish(begun, false, 1 << 20, &mut held).await;
            let body = answered.ok().unwrap().body;
            assert_eq!((body.len(), used.get()), (LENGTH, LENGTH as i64));
            assert_eq!(Vec::from(body).capacity(), LENGTH, "{framing}");
        }
    }
}
