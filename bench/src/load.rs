//! A closed loop over keep-alive connections, each answer checked.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One round of one scenario.
pub(crate) struct Round {
    requests: u64,
    took: Duration,
    /// CPU time of the sidecar in this round.
    pub(crate) cpu: Duration,
}

impl Round {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64
    }
}

/// Sends the request over and over; an answer of another status is an error.
pub(crate) async fn run(
    target: SocketAddr,
    request: &str,
    status: &'static str,
    connections: usize,
    length: Duration,
) -> io::Result<Round> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let request = request.to_owned();
            tokio::spawn(
                async move { connection(target, &request, status, started + length).await },
            )
        })
        .collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await.map_err(io::Error::other)??;
    }
    Ok(Round {
        requests,
        took: started.elapsed(),
        cpu: Duration::ZERO,
    })
}

async fn connection(
    target: SocketAddr,
    request: &str,
    status: &str,
    until: Instant,
) -> io::Result<u64> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut requests = 0;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        while !whole(&buffer) {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if buffer.get(9..12) != Some(status.as_bytes()) {
            let head = String::from_utf8_lossy(&buffer[..buffer.len().min(200)]).into_owned();
            return Err(io::Error::other(format!("expected {status}, got {head}")));
        }
        requests += 1;
    }
    Ok(requests)
}

/// Whether an answer with a `Content-Length` is there to its end.
fn whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|l| l.trim().parse().ok()).unwrap_or(0);
    buffer.len() >= end + 4 + length
}
