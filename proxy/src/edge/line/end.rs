//! How a caller's connection ends: with the last answer arrived, or cut off.
//!
//! To close a socket is not enough: with bytes unread that is a reset, which takes away what
//! has not arrived, and without it the kernel holds megabytes for a caller who takes none of
//! them, with nobody counting. So a connection counts until its answer has arrived. Whoever
//! drops a [`Line`] instead of ending it gives that up.

use super::{ENOUGH, Line, READ_AHEAD, arrived, took_next_to_nothing};
use pingora::protocols::l4::ext::get_tcp_info;
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a caller may go on sending after the last answer, and how much.
pub(in crate::edge) const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;
/// How often it is looked whether what was sent has arrived.
const LOOK: Duration = Duration::from_millis(200);
/// A connection that has ended both ways, or was reset (Linux, `net/tcp_states.h`).
const TCP_CLOSE: u8 = 7;

impl Line {
    /// Closes so that the last answer arrives: a close with bytes unread, or to which more come,
    /// is a reset, which throws away what the caller has not read yet. `patience` is as in
    /// [`Self::send`].
    pub(in crate::edge) async fn close(mut self, patience: Duration) {
        let write = async {
            self.socket.write_all(&self.unsent).await?;
            self.socket.shutdown().await
        };
        // Who does not take it in time is cut off, which is all one can do.
        if let Ok(Ok(())) = tokio::time::timeout(LINGER, write).await {
            self.take_what_is_here();
            let is_over = self.left == Some(0) && self.ahead.is_empty();
            self.settle(!is_over, patience).await;
        }
    }

    /// Ends a connection that waited for a request. The last answer may still be on its way.
    pub(in crate::edge) async fn end(mut self, patience: Duration) {
        if on_its_way(&self.socket) > ENOUGH && self.socket.shutdown().await.is_ok() {
            self.settle(false, patience).await;
        }
    }

    /// Waits until as good as all that was sent has arrived: until then the kernel holds it, and
    /// the connection counts. And a moment for what the caller is still sending, with `more`.
    async fn settle(&mut self, more: bool, patience: Duration) {
        let (mut read, mut is_open) = (self.ahead.len(), true);
        let start = Instant::now();
        let (mut judged, mut before) = (start + patience, arrived(&self.socket));
        loop {
            let now = Instant::now();
            is_open &= read < LINGER_BYTES;
            let is_awaited = more && is_open && now < start + LINGER;
            let is_held = on_its_way(&self.socket) > ENOUGH;
            if !is_awaited && !is_held {
                return;
            }
            if is_held && now >= judged {
                let after = arrived(&self.socket);
                if took_next_to_nothing(before, after) {
                    // Or the kernel would go on holding it for them.
                    let _ = self.socket.set_zero_linger();
                    return;
                }
                (judged, before) = (now + patience, after);
            }
            self.ahead.clear();
            self.ahead.reserve(READ_AHEAD);
            tokio::select! {
                came = self.socket.read_buf(&mut self.ahead), if is_open => match came {
                    Ok(0) => is_open = false,
                    Ok(some) => read += some,
                    Err(_) => return,
                },
                // That something has arrived tells nobody.
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Another request that came in meanwhile and was not read: nobody looked while the one
    /// before it was answered.
    fn take_what_is_here(&mut self) {
        if self.ahead.is_empty() {
            self.ahead.reserve(READ_AHEAD);
            // Nothing there, the end, and a broken connection are all nothing to wait for.
            let _ = self.socket.try_read_buf(&mut self.ahead);
        }
    }

    /// Ends the connection with a reset: what was sent is not to be taken for whole.
    pub(in crate::edge) fn cut(self) {
        // One that is broken already is as good.
        let _ = self.socket.set_zero_linger();
    }
}

/// Bytes that were sent and have not arrived; 0 where the kernel does not tell, and where it
/// has given them up.
fn on_its_way(socket: &TcpStream) -> u64 {
    get_tcp_info(socket.as_raw_fd()).map_or(0, |info| {
        if info.tcpi_state == TCP_CLOSE {
            return 0;
        }
        // Not what was sent twice, nor the ends of the connection, which count as a byte.
        let sent = info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans);
        let waiting = u64::from(info.tcpi_notsent_bytes);
        sent.saturating_sub(info.tcpi_bytes_acked) + waiting
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tokio::net::TcpListener;

    /// A connection with an answer that its caller does not take.
    async fn unread() -> io::Result<(Line, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let caller = TcpStream::connect(listener.local_addr()?).await?;
        let (socket, _) = listener.accept().await?;
        let bytes = [b'x'; 64 * 1024];
        // More than the room that who does not read has for it.
        while on_its_way(&socket) <= 8 * ENOUGH {
            socket.writable().await?;
            let _ = socket.try_write(&bytes);
        }
        Ok((Line::new(socket), caller))
    }

    /// It counted until `write_timeout`: the end that they had said was all that was read.
    #[tokio::test(start_paused = true)]
    async fn who_ends_their_side_and_then_resets_is_not_waited_for() -> io::Result<()> {
        let (line, mut caller) = unread().await?;
        let (start, patience) = (Instant::now(), Duration::from_secs(3600));
        caller.shutdown().await?;
        let ending = tokio::spawn(line.end(patience));
        tokio::time::sleep(3 * LOOK).await;
        assert!(!ending.is_finished(), "what was sent may still be taken");
        caller.set_zero_linger()?;
        drop(caller);
        ending.await?;
        assert!(start.elapsed() < patience);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_in_the_end() -> io::Result<()> {
        let (line, caller) = unread().await?;
        let (start, patience) = (Instant::now(), Duration::from_secs(60));
        line.end(patience).await;
        assert!(start.elapsed() >= patience);
        drop(caller);
        Ok(())
    }
}
