//! Asking other servers, within bounds: of time for one answer and for all of
//! them together, and of size.
//!
//! Not here: what an answer means. Reads only, but for the app's login, which a
//! read of the sidecar asks as well.

use super::report::{Finding, plain};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Method;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::macros::format_description;
use tokio::time::Instant;
use url::Url;

/// Time for one answer, where the caller has no other.
pub(super) const USUAL: Duration = Duration::from_secs(10);
/// Time for one answer at most.
pub(super) const LONGEST: Duration = Duration::from_secs(15);
/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Larger answers are none.
const LARGEST: usize = 8 * 1024 * 1024;

/// An answer, whole.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
    /// Our clock, halfway between question and answer.
    pub(super) at: SystemTime,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("refuses the connection")]
    Refused,
    #[error("does not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("gives no usable answer: {0}")]
    Broken(String),
    /// The time for all checks is used up.
    #[error("was not asked: the time for all checks is used up")]
    NoTime,
}

pub(super) type Got = Result<Answer, Trouble>;

/// One question.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Value>,
    pub(super) limit: Duration,
}

impl<'a> Question<'a> {
    pub(super) fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            query: &[],
            headers: Vec::new(),
            body: None,
            limit: USUAL,
        }
    }

    /// Adds a header; one whose value cannot be sent is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// Asks, until the time for everything is over.
pub(super) struct Prober {
    http: reqwest::Client,
    ends: Instant,
}

impl Prober {
    pub(super) fn new(ends: Instant) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, ends })
    }

    /// What is left of the time for everything, and at most `limit`.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        limit.min(self.ends.saturating_duration_since(Instant::now()))
    }

    /// GET, without anything that says who asks.
    pub(super) async fn get(&self, url: impl Into<String>) -> Got {
        self.ask(Question::get(url)).await
    }

    pub(super) async fn ask(&self, question: Question<'_>) -> Got {
        let limit = self.left(question.limit);
        if limit.is_zero() {
            return Err(Trouble::NoTime);
        }
        match tokio::time::timeout(limit, self.exchange(question)).await {
            Ok(got) => got,
            Err(_) => Err(Trouble::Timeout(limit)),
        }
    }

    async fn exchange(&self, question: Question<'_>) -> Got {
        let mut request = self
            .http
            .request(question.method, question.url)
            .query(question.query)
            .headers(question.headers.into_iter().collect())
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(body) = question.body {
            request = request.json(&body);
        }
        let (started, began) = (Instant::now(), SystemTime::now());
        let trouble = |error: reqwest::Error| trouble(&error);
        let mut response = request.send().await.map_err(trouble)?;
        // The head has the date; the body may take its time.
        let at = began + started.elapsed() / 2;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(trouble)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Trouble::Broken(format!("larger than {LARGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            took: started.elapsed(),
            at,
        })
    }
}

/// The innermost cause; the outer ones repeat the URL, which may hold a password.
fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        // The other limits are ours and end elsewhere.
        return Trouble::Timeout(CONNECT);
    }
    let mut words = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::ConnectionRefused) {
            return Trouble::Refused;
        }
        words = Some(error.to_string());
        cause = error.source();
    }
    Trouble::Broken(plain(words.as_deref().unwrap_or("the connection broke")))
}

impl Trouble {
    /// What is found where `who` should have answered.
    pub(super) fn finding(&self, who: &str, todo: &str) -> Finding {
        match self {
            Self::NoTime => Finding::skip(
                format!("{who} {self}"),
                "repair what does not answer in time, and look again",
            ),
            _ => Finding::fail(format!("{who} {self}"), todo),
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default()
    }

    /// The body, null where it is no JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A sidecar wrote or passed on this answer.
    pub(super) fn is_of_sidecar(&self) -> bool {
        self.headers.contains_key("x-camarad-source")
    }

    /// By how many seconds our clock is ahead of theirs; `None` without a `Date`.
    pub(super) fn skew(&self) -> Option<f64> {
        let form = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let theirs = PrimitiveDateTime::parse(self.header("date"), form).ok()?;
        let ahead = OffsetDateTime::from(self.at) - theirs.assume_utc();
        // `Date` has whole seconds, cut off: half of one is what it lacks on average.
        Some(ahead.as_seconds_f64() - 0.5)
    }
}

/// An address as it may be told: without user, password and query.
pub(super) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "an address that cannot be read".into();
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
impl Answer {
    /// An answer that was asked for at this second.
    pub(super) fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let headers = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap()));
        Self {
            status,
            headers: headers.collect(),
            body: body.into(),
            took: Duration::from_millis(5),
            at: SystemTime::UNIX_EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_says_how_far_the_clocks_are_apart() {
        for (date, ahead) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(-0.5)),
            ("Thu, 01 Jan 1970 00:00:40 GMT", Some(-40.5)),
            ("Wed, 31 Dec 1969 23:59:50 GMT", Some(9.5)),
            ("yesterday", None),
            ("", None),
        ] {
            let answer = Answer::of(200, &[("date", date)], "");
            assert_eq!(answer.skew(), ahead, "{date}");
        }
        assert_eq!(Answer::of(200, &[], "").skew(), None);
    }

    #[test]
    fn an_address_is_told_without_what_opens_it() {
        for (url, expected) in [
            ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
            (
                "https://me:hush@keys.example/set?key=hush",
                "https://keys.example/set",
            ),
            ("::", "an address that cannot be read"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[tokio::test]
    async fn who_refuses_is_told_apart_and_nobody_is_asked_after_the_end() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let url = format!("http://me:hush@{address}/");
        let prober = Prober::new(Instant::now() + USUAL).unwrap();
        assert_eq!(prober.get(&url).await.unwrap_err(), Trouble::Refused);
        let late = Prober::new(Instant::now()).unwrap();
        assert_eq!(late.get(&url).await.unwrap_err(), Trouble::NoTime);
    }
}
