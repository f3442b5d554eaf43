//! A request as the app's handlers see it, and what they give back.
//!
//! Reading only: nothing here looks at the data.

use super::errand::Fetched;
use super::store::Owner;
use crate::stand_in::routes::{self, Reached, Route};
use crate::stand_in::server::{Asked, Body, json_answer, with_type};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// The client that the app answers for when told to answer for another's, and its user.
pub(super) const FOREIGN: u64 = 20;
const FOREIGN_USER: u64 = 2;

/// One request, and what the app made of who asks.
pub(super) struct Request<'a> {
    pub(super) asked: &'a Asked,
    pub(super) route: &'a Route,
    pub(super) user: u64,
    pub(super) client: Option<u64>,
    /// The body, parsed whatever its content type.
    pub(super) body: Value,
    /// Told to answer with rows of client 20.
    pub(super) foreign: bool,
    /// What Coolbits was asked for it; nothing without Coolbits.
    pub(super) fetched: &'a Fetched,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        asked: &'a Asked,
        route: &'a Route,
        reached: &Reached,
        foreign: bool,
        fetched: &'a Fetched,
    ) -> Self {
        Self {
            asked,
            route,
            user: reached.user,
            client: reached.client,
            body: routes::lenient(&asked.body),
            foreign,
            fetched,
        }
    }

    /// Method and path pattern.
    pub(super) fn names(&self) -> (&'a str, &'a str) {
        (&self.route.method, &self.route.path)
    }

    /// Who owns what is made now.
    pub(super) fn scope(&self) -> Owner {
        Owner {
            user: if self.foreign {
                FOREIGN_USER
            } else {
                self.user
            },
            client: self.client,
        }
    }

    /// Lists: by user and, under a client, by client.
    pub(super) fn lists(&self, owner: Owner) -> bool {
        let scope = self.scope();
        owner.user == scope.user && (scope.client.is_none() || owner.client == scope.client)
    }

    /// Objects named by id: by user, and never by client. This is the app's weakness.
    pub(super) fn takes(&self, owner: Owner) -> bool {
        match self.foreign {
            true => owner.client == Some(FOREIGN),
            false => owner.user == self.user,
        }
    }

    /// Whether an object of this id and owner is the one that the path names.
    pub(super) fn means(&self, id: u64, owner: Owner) -> bool {
        self.takes(owner) && (self.foreign || self.id() == Some(id))
    }

    /// The id where the pattern has its variable.
    pub(super) fn id(&self) -> Option<u64> {
        self.variable("<int:").and_then(routes::python_int)
    }

    /// The segment where the pattern has a variable that begins so.
    pub(super) fn variable(&self, start: &str) -> Option<&'a str> {
        let at = self
            .route
            .path
            .split('/')
            .position(|s| s.starts_with(start))?;
        self.asked.path.split('/').nth(at)
    }

    /// A text of the body that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str().filter(|text| !text.is_empty())
    }

    /// `request_id` of the body, else the header; one of its own where there is none.
    pub(super) fn request_id(&self, given: Option<String>, number: u64) -> String {
        let header = || self.asked.header("x-request-id").map(str::to_owned);
        let id = given.or_else(header).filter(|id| !id.is_empty());
        id.unwrap_or_else(|| format!("r-{number}"))
    }
}

/// A JSON value as Python's `int()` takes it: `true` is 1, `1.9` is 1.
pub(super) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => routes::python_int(text),
        Value::Bool(true) => Some(1),
        Value::Number(number) => number.as_f64().map(|n| n as u64).filter(|n| *n > 0),
        _ => None,
    }
}

/// An answer, and whose data it is about.
pub(super) struct Told {
    pub(super) answer: Response<Body>,
    pub(super) about: About,
}

/// Whose data an answer is about.
#[derive(Clone, Copy)]
pub(super) enum About {
    /// Whatever the request reached.
    Scope,
    /// One object, whoever asked for it.
    Object(Owner),
    /// Rows that tell by themselves.
    Rows,
}

impl Told {
    pub(super) fn of(mut self, owner: Owner) -> Self {
        self.about = About::Object(owner);
        self
    }

    pub(super) fn in_rows(mut self) -> Self {
        self.about = About::Rows;
        self
    }
}

impl From<Response<Body>> for Told {
    fn from(answer: Response<Body>) -> Self {
        Self {
            answer,
            about: About::Scope,
        }
    }
}

pub(super) fn ok(value: Value) -> Told {
    json_answer(StatusCode::OK, &value).into()
}

pub(super) fn refused(status: StatusCode, words: &str) -> Told {
    json_answer(status, &json!({"error": words})).into()
}

pub(super) fn missing(words: &str) -> Told {
    refused(StatusCode::NOT_FOUND, words)
}

pub(super) fn page(html: String) -> Told {
    let mut answer = with_type("text/html; charset=utf-8", html);
    answer.headers_mut().insert(
        "cache-control",
        HeaderValue::from_static("no-store, no-cache, must-revalidate"),
    );
    answer.into()
}
