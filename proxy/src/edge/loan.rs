//! A caller's line while Pingora has it: its stream for the length of one request.
//!
//! Dropping the loan, by return or by panic, brings the [`Line`] home. What was written and
//! not sent by then is kept with it. Not here: how far may be read, which is the line's.

use super::line::Line;
use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};

/// Head and body of a small answer leave in one packet.
const WRITE_BUFFER: usize = 8 * 1024;

impl Line {
    /// Gives the line away for one request; it is back when the loan is dropped.
    pub(super) fn lend(self) -> (Loan, Home) {
        self.goes_on_loan();
        let home = Home::default();
        let digest = SocketDigest::from_raw_fd(self.descriptor());
        let loan = Loan {
            line: Some(BufWriter::with_capacity(WRITE_BUFFER, self)),
            digest: Arc::new(digest),
            home: home.clone(),
        };
        (loan, home)
    }
}

/// Where a line comes back to.
#[derive(Clone, Debug, Default)]
pub(super) struct Home(Arc<Mutex<Option<Line>>>);

impl Home {
    /// The line, once its loan was dropped.
    pub(super) fn take(&self) -> Option<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A line while Pingora has it.
#[derive(Debug)]
pub(super) struct Loan {
    /// There until the loan is dropped.
    line: Option<BufWriter<Line>>,
    digest: Arc<SocketDigest>,
    home: Home,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let line = self.line.take().map(|writer| {
            let unsent = writer.buffer().to_vec();
            let mut line = writer.into_inner();
            line.keep_unsent(&unsent);
            line.comes_home();
            line
        });
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

impl Loan {
    fn line(&mut self) -> io::Result<Pin<&mut BufWriter<Line>>> {
        let line = self.line.as_mut().map(Pin::new);
        line.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Loan {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.line()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Loan {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line()?.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.line
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line()?.poll_flush(cx)
    }

    /// Only sends what is written: closing is the owner's, who may have to linger.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[async_trait]
impl Shutdown for Loan {
    async fn shutdown(&mut self) {
        // A caller that is gone cannot be sent anything; the owner finds out itself.
        let _ = AsyncWriteExt::flush(self).await;
    }
}

impl UniqueID for Loan {
    fn id(&self) -> UniqueIDType {
        self.line
            .as_ref()
            .map_or(-1, |line| line.get_ref().descriptor())
    }
}

impl GetSocketDigest for Loan {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl GetTimingDigest for Loan {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Loan {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Ssl for Loan {}
impl Peek for Loan {}
