//! `templates install`: saves templates for a client, as the page would.
//!
//! Each is stored once: what has its name or its description already is left alone,
//! since the app's page renames flows and keeps their description. The app lists flows and templates apart, so both lists are read before
//! anything is written. Nothing is sent twice: after an answer that did not come it is
//! not known whether the flow was saved, and the next `install` finds out.

use super::CommandError;
use camarad_policies::ids::ClientId;
use camarad_policies::shown::plain;
use camarad_policies::templates::{self, Template};
use clap::Args;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use url::Url;

/// Time for one answer.
const LONGEST: Duration = Duration::from_secs(30);
/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for the token to come.
const TYPED: Duration = Duration::from_secs(15);
/// Longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;
/// Larger answers are none, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// Another server's words are told up to here, in characters.
const LONGEST_WORDS: usize = 200;
const FLOWS: &str = "/api/flows";
const TEMPLATES: &str = "/api/flows/templates";

/// What to install, for whom, and by which way.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The client that they are for; the token's user has to have it.
    #[arg(long, value_parser = client_id)]
    client: ClientId,
    /// Ids of templates; all of them where none is named.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// The sidecar that runs.
    #[arg(long, default_value = "http://127.0.0.1:5050")]
    url: String,
    /// Read a token from the first line of standard input; needed, so that it is in no list of processes.
    #[arg(long, required = true)]
    token_stdin: bool,
}

impl InstallArgs {
    pub(super) fn ids(&self) -> &[String] {
        &self.ids
    }
}

fn client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|_| "expected a client id such as 10".into())
}

/// The sidecar, or what is behind it, did not do it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0} {1}: is the sidecar running, and is --url its address?")]
    Unreachable(String, String),
    #[error("what answers at {0} is no sidecar: give its address with --url")]
    NoSidecar(String),
    #[error("the token is refused (401, {0}): see what `token verify` says of it")]
    Token(String),
    #[error("client {0} is refused (404, {1}): it does not exist, or is not the token's user's")]
    Client(ClientId, String),
    #[error("{0} is refused ({1}, {2})")]
    Other(&'static str, u16, String),
    #[error("{0} is answered {1} without {2}")]
    Unusable(&'static str, u16, &'static str),
}

/// An answer, whole.
struct Answer {
    status: u16,
    is_of_sidecar: bool,
    body: Vec<u8>,
}

/// Installs what is not there yet, one after the other, and tells each.
pub(super) async fn install(
    args: &InstallArgs,
    chosen: &[&Template],
    say: fn(&str),
) -> Result<(), CommandError> {
    let base = base(&args.url).map_err(CommandError::Url)?;
    let token = match tokio::time::timeout(TYPED, read_line()).await {
        Ok(token) => token.map_err(CommandError::Token)?,
        Err(_) => {
            return Err(CommandError::Token(
                "no token came on standard input within 15 s",
            ));
        }
    };
    let door = Door::new(base, args.client, &token)?;
    let flows = door.ask(FLOWS, door.http.get(door.at(FLOWS))).await?;
    let mut there = stored(FLOWS, args.client, &flows)?;
    let listed = door
        .ask(TEMPLATES, door.http.get(door.at(TEMPLATES)))
        .await?;
    there.extend(stored(TEMPLATES, args.client, &listed)?);
    for one in chosen {
        if is_there(&there, one) {
            say(&format!("already there: {}", one.id));
            continue;
        }
        let post = door.http.post(door.at(FLOWS)).json(&wanted(one));
        let answer = door.ask(FLOWS, post).await?;
        let flow = created(args.client, &answer)?;
        say(&format!("installed {} as flow {flow}", one.id));
    }
    Ok(())
}

/// The way to the sidecar, for one caller and client.
struct Door {
    http: Client,
    base: String,
}

impl Door {
    fn new(base: String, client: ClientId, token: &str) -> Result<Self, CommandError> {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut bearer = bearer.map_err(|_| {
            CommandError::Token(
                "the first line of standard input is no token: it cannot be a header",
            )
        })?;
        bearer.set_sensitive(true);
        let headers: HeaderMap = [
            (AUTHORIZATION, bearer),
            (HeaderName::from_static("x-client-id"), client.get().into()),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]
        .into_iter()
        .collect();
        let http = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(LONGEST)
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .build()
            .map_err(CommandError::Client)?;
        Ok(Self { http, base })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn ask(&self, path: &str, request: RequestBuilder) -> Result<Answer, Refused> {
        let unreachable = |words: String| Refused::Unreachable(self.at(path), words);
        let broken = |error: reqwest::Error| unreachable(trouble(&error));
        let mut response = request.send().await.map_err(broken)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(unreachable(format!("answers more than {LARGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer {
            status: response.status().as_u16(),
            is_of_sidecar: response.headers().contains_key("x-camarad-source"),
            body,
        };
        // The app itself would take any user's word for any client.
        match answer.is_of_sidecar {
            true => Ok(answer),
            false => Err(Refused::NoSidecar(self.base.clone())),
        }
    }
}

/// Scheme, host and port, without a slash at the end. Does not tell what was given: it may hold a password.
fn base(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected an address such as http://127.0.0.1:5050";
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    match matches!(url.scheme(), "http" | "https") && is_plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(EXPECTED),
    }
}

async fn read_line() -> Result<String, &'static str> {
    let mut line = String::new();
    let mut input = BufReader::new(tokio::io::stdin().take(LONGEST_LINE));
    match input.read_line(&mut line).await {
        Ok(_) if !line.trim().is_empty() => Ok(line.trim().to_owned()),
        Ok(_) => Err("the first line of standard input is empty: pass a token there"),
        Err(_) => Err("standard input cannot be read as text: pass a token there"),
    }
}

/// What is sent to have it saved.
fn wanted(one: &Template) -> Value {
    json!({
        "flow": one.flow,
        "name": one.name,
        "category": one.category,
        "description": one.description,
        "thumbnail": one.thumbnail(),
        "is_template": true,
    })
}

/// The rows of a list, without those that the sidecar itself adds to the app's.
fn stored(what: &'static str, client: ClientId, answer: &Answer) -> Result<Vec<Value>, Refused> {
    match accepted(what, client, answer)? {
        Value::Array(mut rows) => {
            rows.retain(|row| row["template_id"].is_null());
            Ok(rows)
        }
        _ => Err(Refused::Unusable(what, answer.status, "a list")),
    }
}

fn is_there(rows: &[Value], one: &Template) -> bool {
    let is = |row: &Value, key: &str, text: &str| {
        let told = row[key].as_str().map(templates::folded);
        told == Some(templates::folded(text))
    };
    rows.iter()
        .any(|row| is(row, "name", &one.name) || is(row, "description", &one.description))
}

/// The id of the flow that was saved.
fn created(client: ClientId, answer: &Answer) -> Result<u64, Refused> {
    let made = accepted(FLOWS, client, answer)?;
    made["flow_id"]
        .as_u64()
        .ok_or(Refused::Unusable(FLOWS, answer.status, "the flow's id"))
}

/// The JSON of a good answer.
fn accepted(what: &'static str, client: ClientId, answer: &Answer) -> Result<Value, Refused> {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match (answer.status, json) {
        (200..=299, Some(json)) => Ok(json),
        (200..=299, None) => Err(Refused::Unusable(what, answer.status, "JSON")),
        (status, json) => {
            let words = words(json.as_ref());
            Err(match status {
                401 => Refused::Token(words),
                404 => Refused::Client(client, words),
                _ => Refused::Other(what, status, words),
            })
        }
    }
}

/// What an answer says of itself, fit to be told.
fn words(json: Option<&Value>) -> String {
    let words = json.and_then(|json| json.get("error")?.as_str());
    plain(words.unwrap_or("without words"), LONGEST_WORDS)
}

/// The innermost cause.
fn trouble(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "does not answer in time".into();
    }
    let mut words = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return "refuses the connection".into();
        }
        words = Some(error.to_string());
        cause = error.source();
    }
    let words = words.unwrap_or_else(|| "the connection broke".into());
    format!("gives no usable answer ({words})")
}

#[cfg(test)]
mod tests;
