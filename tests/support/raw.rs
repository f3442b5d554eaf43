//! A caller that sends exactly the bytes it is told to, and reads what comes back.

use super::Sidecar;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here waits longer: a connection that hangs is a failed test.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer, as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim())
    }

    pub fn closes(&self) -> bool {
        self.header("connection").eq_ignore_ascii_case("close")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn code(&self) -> String {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        value["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Raw {
    pub async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends what may not be taken any more.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer to a request of this method; `None` when the connection ends instead.
    pub async fn answer(&mut self, method: &str) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.find(b"\r\n\r\n") {
                break self.take(end + 4);
            }
            if !self.more().await {
                assert!(
                    self.buffer.is_empty(),
                    "half an answer: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return None;
            }
        };
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("no status: {head:?}")),
            head,
            body: Vec::new(),
        };
        if method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304) {
            return Some(answer);
        }
        answer.body = if answer
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked")
        {
            self.chunks().await
        } else if let Ok(length) = answer.header("content-length").parse() {
            self.exactly(length).await
        } else {
            while self.more().await {}
            std::mem::take(&mut self.buffer)
        };
        Some(answer)
    }

    /// Waits until something has come, without taking it; false when the connection ended.
    pub async fn wait_for_bytes(&mut self) -> bool {
        !self.buffer.is_empty() || self.more().await
    }

    /// Waits until these bytes have come, without taking any; false when the connection ended.
    pub async fn wait_for(&mut self, what: &[u8]) -> bool {
        while self.find(what).is_none() {
            if !self.more().await {
                return false;
            }
        }
        true
    }

    /// Whether the other side closes, with nothing more to say.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.more().await
    }

    /// Whether the other side has thrown the connection away, as one does that leaves bytes unread.
    pub async fn is_broken(&mut self) -> bool {
        // A reset comes right behind the end.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.stream.take_error().unwrap().is_some()
    }

    /// Whether the connection ends with a reset; what comes before it is thrown away.
    pub async fn is_reset(&mut self) -> bool {
        loop {
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
            match read.await.expect("neither bytes nor the end") {
                Ok(0) => return false,
                Ok(_) => self.buffer.clear(),
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// Ends our side of the connection.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = self.find(b"\r\n") {
                    break self.take(end + 2);
                }
                assert!(self.more().await, "the chunks break off");
            };
            let length = std::str::from_utf8(&line).unwrap().trim();
            let length = usize::from_str_radix(length, 16).unwrap();
            let chunk = self.exactly(length + 2).await;
            if length == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(
                self.more().await,
                "the body breaks off at {}",
                self.buffer.len()
            );
        }
        self.take(length)
    }

    fn find(&self, what: &[u8]) -> Option<usize> {
        self.buffer
            .windows(what.len())
            .position(|window| window == what)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.buffer.drain(..length).collect()
    }

    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        let read = read.await.expect("neither an answer nor the end");
        read.is_ok_and(|bytes| bytes > 0)
    }
}

/// A request with a session, to send as it is; `fields` are whole lines.
pub fn request(line: &str, fields: &str) -> String {
    let token = super::alice();
    format!(
        "{line}\r\nHost: app\r\nAuthorization: Bearer {token}\r\nX-Client-ID: 10\r\n{fields}\r\n"
    )
}

/// One request on a connection of its own; the answer, and whether the connection ended with it.
pub async fn once(sidecar: &Sidecar, request: &str) -> Answer {
    let mut raw = Raw::to(sidecar.address).await;
    raw.send(request).await;
    let method = request.split(' ').next().unwrap_or_default();
    let answer = raw.answer(method).await;
    answer.unwrap_or_else(|| panic!("no answer to {request:?}"))
}

/// Sends these bytes on a connection of their own; head and body of the answer, as text.
pub async fn raw_answer(address: SocketAddr, bytes: &[u8], method: &str) -> (String, String) {
    let mut raw = Raw::to(address).await;
    raw.try_send(bytes).await;
    let answer = raw.answer(method).await;
    answer.map_or_else(Default::default, |answer| {
        (answer.head.clone(), answer.text())
    })
}
