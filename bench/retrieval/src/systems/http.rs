//! An endpoint of the app's shape: `GET url?q=…`, JSON with a list of results.
//!
//! It is asked as each query's own user and client: the user's token as bearer, the
//! client in `X-Client-ID`. Through the sidecar, tenancy is then what is measured.
//! Tokens come from files, the environment or stdin, never from the command line, and
//! are in no error. An answer other than 200 is told as failed and counts as empty; an
//! endpoint that does not answer at all ends the evaluation.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::runtime::Runtime;
use url::Url;

use super::{Answer, System};
use crate::dataset::{Query, Tenant};
use crate::error::Error;
use crate::metrics::Hit;

const DEADLINE: Duration = Duration::from_secs(30);

/// Where in an answer to look.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The query's parameter.
    pub(crate) parameter: String,
    /// JSON pointer of the list; none for the answer itself or its `results`.
    pub(crate) results: Option<String>,
    /// Key of a result's id, text or number.
    pub(crate) id: String,
    /// Key of its score; without one, the list's order counts.
    pub(crate) score: String,
    /// Key of what it cites.
    pub(crate) source: String,
}

/// Tokens by user, and one for users that have none of their own.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) by_user: HashMap<u64, String>,
    pub(crate) other: Option<String>,
}

/// An endpoint.
pub(crate) struct Http {
    url: Url,
    shape: Shape,
    tokens: Tokens,
    client: Client,
    runtime: Runtime,
}

impl Http {
    /// Asks nothing yet.
    pub(crate) fn new(url: Url, shape: Shape, tokens: Tokens) -> Result<Self, Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DEADLINE)
            .build()
            .map_err(|error| Error::Endpoint(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Endpoint(error.to_string()))?;
        Ok(Self {
            url,
            shape,
            tokens,
            client,
            runtime,
        })
    }

    fn request(&self, query: &Query) -> Result<reqwest::RequestBuilder, Error> {
        let asked = [(self.shape.parameter.as_str(), query.text.as_str())];
        let request = self.client.get(self.url.clone()).query(&asked);
        let Tenant::Client { user, client } = query.metadata.tenant else {
            return Ok(request);
        };
        let own = self.tokens.by_user.get(&user);
        let token = own.or(self.tokens.other.as_ref()).ok_or_else(|| {
            let what = format!("no token for user {user}: --token-file {user}=FILE is missing");
            Error::Usage(what)
        })?;
        Ok(request.bearer_auth(token).header("X-Client-ID", client))
    }
}

impl System for Http {
    fn ask(&mut self, query: &Query, k: usize) -> Result<Answer, Error> {
        let request = self.request(query)?;
        let began = Instant::now();
        let got = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        // The address has the query in it; what happened is enough.
        let (status, body) = got.map_err(|error| {
            let error = error.without_url();
            Error::Endpoint(format!("{} for {}: {error}", self.url, query.id))
        })?;
        let took = Some(began.elapsed());
        let read = if status.as_u16() == 200 {
            hits(&body, &self.shape, k)
        } else {
            Err(format!("status {}", status.as_u16()))
        };
        Ok(match read {
            Ok(hits) => Answer {
                hits,
                took,
                failed: None,
            },
            Err(why) => Answer {
                took,
                failed: Some(why),
                ..Answer::default()
            },
        })
    }

    fn warms_up(&self) -> bool {
        false
    }
}

/// The results of an answer, or what is wrong with it. A document twice counts once,
/// where it stands first: chunks of one document are one result.
fn hits(body: &[u8], shape: &Shape, k: usize) -> Result<Vec<Hit>, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "not JSON".to_owned())?;
    let list = match &shape.results {
        Some(pointer) => answer.pointer(pointer),
        None if answer.is_array() => Some(&answer),
        None => answer.get("results"),
    };
    let list = list.and_then(Value::as_array).ok_or("no list of results")?;
    let mut hits: Vec<Hit> = Vec::new();
    for (at, result) in list.iter().take(k).enumerate() {
        let id = match result.get(&shape.id) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err(format!("result {at} has no `{}`", shape.id)),
        };
        if hits.iter().any(|hit| hit.id == id) {
            continue;
        }
        let score = result.get(&shape.score).and_then(Value::as_f64);
        let source = result.get(&shape.source).and_then(Value::as_str);
        hits.push(Hit {
            id,
            score: score.unwrap_or(-(at as f64)),
            source: source.filter(|uri| !uri.is_empty()).map(str::to_owned),
        });
    }
    Ok(hits)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
