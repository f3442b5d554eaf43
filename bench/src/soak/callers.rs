//! What the callers of a soak do, one thing after the other, with a pause.

use crate::processes::token_of;
use reqwest::Client;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Callers at once, and their longest pause: some hundreds of requests a second.
const CALLERS: usize = 24;
const LONGEST_PAUSE_MS: u64 = 60;

/// Outcomes by what was asked.
pub(super) type Outcomes = BTreeMap<&'static str, BTreeMap<String, u64>>;

pub(super) struct Callers {
    target: SocketAddr,
    client: Client,
    /// Token and client of the users who ask.
    users: [(String, &'static str); 3],
}

impl Callers {
    pub(super) fn new(target: SocketAddr) -> io::Result<Arc<Self>> {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build();
        Ok(Arc::new(Self {
            target,
            client: client.map_err(io::Error::other)?,
            users: [
                (token_of(1, 10), "10"),
                (token_of(1, 11), "11"),
                (token_of(2, 20), "20"),
            ],
        }))
    }

    pub(super) async fn run(self: Arc<Self>, until: Instant) -> Outcomes {
        let loops: Vec<_> = (0..CALLERS)
            .map(|_| {
                let callers = self.clone();
                tokio::spawn(async move {
                    let mut outcomes = Outcomes::new();
                    while Instant::now() < until {
                        let (name, outcome) = callers.once().await;
                        *outcomes
                            .entry(name)
                            .or_default()
                            .entry(outcome)
                            .or_default() += 1;
                        let pause = fastrand::u64(..=LONGEST_PAUSE_MS);
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                    outcomes
                })
            })
            .collect();
        let mut all = Outcomes::new();
        for one in loops {
            for (name, by) in one.await.unwrap_or_default() {
                for (outcome, count) in by {
                    *all.entry(name).or_default().entry(outcome).or_default() += count;
                }
            }
        }
        all
    }

    async fn once(&self) -> (&'static str, String) {
        let days = fastrand::u32(1..60);
        let size = 1 << fastrand::u32(10..=20);
        let user = &self.users[fastrand::usize(..self.users.len())];
        match fastrand::u32(..100) {
            0..15 => ("static file", self.get("/static/app.js", user).await),
            15..18 => ("page of 690 kB", self.get("/connectors", user).await),
            18..33 => (
                "API, made up",
                self.get("/api/connectors/aws/ec2", user).await,
            ),
            33..58 => {
                let path = format!("/api/connectors/google-ads/campaigns?days={days}");
                ("connector", self.get(&path, user).await)
            }
            58..63 => (
                "foreign client",
                self.get("/api/flows", &(user.0.clone(), "99")).await,
            ),
            63..68 => (
                "upload, streamed",
                self.post("/judge/upload", user, size).await,
            ),
            68..73 => (
                "upload, held",
                self.post("/api/connectors/google-ads/test-call", user, size)
                    .await,
            ),
            73..76 => (
                "upload, too large",
                self.post("/api/connectors/google-ads/test-call", user, 1_200_000)
                    .await,
            ),
            76..80 => ("no HTTP", self.raw(b"NONSENSE\r\n\r\n", true).await),
            80..83 => (
                "two lengths",
                self.raw(
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                    true,
                )
                .await,
            ),
            83..86 => (
                "endless head",
                self.raw(
                    &[b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 40_000]].concat(),
                    true,
                )
                .await,
            ),
            86..89 => (
                "left in the head",
                self.raw(b"GET /static/app.js HTTP/1.1\r\nHo", false).await,
            ),
            89..92 => (
                "left in the body",
                self.raw(
                    &self.head("POST /judge/upload", "Content-Length: 90000\r\n", user),
                    false,
                )
                .await,
            ),
            92..95 => (
                "left in the fetch",
                self.raw(&self.head("GET /api/connectors/aws/ec2", "", user), false)
                    .await,
            ),
            95..98 => ("left in the answer", self.left_in_the_answer(user).await),
            _ => ("three at once", self.pipelined(user).await),
        }
    }

    fn head(&self, line: &str, fields: &str, (token, client): &(String, &str)) -> Vec<u8> {
        format!("{line} HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {token}\r\nX-Client-ID: {client}\r\n{fields}\r\n").into_bytes()
    }

    async fn get(&self, path: &str, user: &(String, &str)) -> String {
        self.send(
            self.client.get(format!("http://{}{path}", self.target)),
            user,
        )
        .await
    }

    async fn post(&self, path: &str, user: &(String, &str), size: usize) -> String {
        let request = self.client.post(format!("http://{}{path}", self.target));
        self.send(request.body(vec![b'x'; size]), user).await
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        (token, client): &(String, &str),
    ) -> String {
        let sent = request
            .bearer_auth(token)
            .header("X-Client-ID", *client)
            .send()
            .await;
        match sent {
            Err(error) => if error.is_timeout() {
                "no answer in time"
            } else {
                "no answer"
            }
            .to_owned(),
            Ok(answer) => {
                let status = answer.status().as_u16().to_string();
                match answer.bytes().await {
                    Ok(_) => status,
                    Err(_) => format!("{status}, broken off"),
                }
            }
        }
    }

    /// Sends bytes, and waits for an answer or leaves.
    async fn raw(&self, bytes: &[u8], wait: bool) -> String {
        let exchange = async {
            let mut stream = TcpStream::connect(self.target).await?;
            stream.write_all(bytes).await?;
            if !wait {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..30))).await;
                return io::Result::Ok("left".to_owned());
            }
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned())
        };
        finished(exchange).await
    }

    async fn left_in_the_answer(&self, user: &(String, &str)) -> String {
        let head = self.head("GET /static/judge/bytes/5000000", "", user);
        finished(async {
            let mut stream = TcpStream::connect(self.target).await?;
            stream.write_all(&head).await?;
            let mut some = vec![0; 4096];
            stream.read_exact(&mut some).await?;
            io::Result::Ok("left".to_owned())
        })
        .await
    }

    async fn pipelined(&self, user: &(String, &str)) -> String {
        let one = self.head("GET /static/app.js", "", user);
        let last = self.head("GET /static/app.js", "Connection: close\r\n", user);
        let bytes = [one.clone(), one, last].concat();
        finished(async {
            let mut stream = TcpStream::connect(self.target).await?;
            stream.write_all(&bytes).await?;
            let mut answers = Vec::new();
            stream.read_to_end(&mut answers).await?;
            let answers = String::from_utf8_lossy(&answers);
            io::Result::Ok(format!("{} answers", answers.matches("HTTP/1.1 ").count()))
        })
        .await
    }
}

async fn finished(exchange: impl Future<Output = io::Result<String>>) -> String {
    match tokio::time::timeout(Duration::from_secs(20), exchange).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => "no answer".to_owned(),
        Err(_) => "no answer in time".to_owned(),
    }
}
