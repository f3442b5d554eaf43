//! The app's routes as they were observed: the list that the matrix is checked against.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A method and a path pattern, written `GET /api/flows/<int:flow_id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Method, upper case.
    pub method: String,
    /// Path pattern, as the app writes it.
    pub path: String,
}

/// What was seen of a route (`routes.json`, `fields`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observed {
    method: String,
    path: String,
    /// Area of the app.
    pub area: String,
    /// Kind of the answer: `json`, `html`, ….
    pub body: String,
    /// The handler goes by the user id of the cookie.
    pub reads_user_identity: bool,
    /// The handler looks for a session at all.
    pub login_check: bool,
    /// The handler wants `X-Internal-Token`.
    pub internal_token_check: bool,
    /// `required`, `optional`, `validated` or `ignored`.
    pub x_client_id: String,
    /// The client's owner is checked before the handler runs.
    pub client_ownership_checked_before_handler: bool,
    /// Status codes seen, by situation.
    pub status: BTreeMap<String, Option<u16>>,
    /// The caller's token goes on to Coolbits.
    pub reads_session_token: bool,
    /// `no`, `shared`, or `private: …` and by what.
    #[serde(default)]
    pub safe_to_cache: String,
    /// The GET changes the database.
    #[serde(default)]
    pub get_writes_database: bool,
}

/// Every route of the app.
pub struct Routes {
    observed: Vec<Observed>,
    all: Vec<Route>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// Not the shape of `routes.json`.
    #[error("not a list of routes: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A pair that stands twice.
    #[error("{0} stands twice")]
    Twice(Route),
    /// The count it gives is not the count it has.
    #[error("it says {said} routes and has {has}")]
    Miscounted {
        /// `count`.
        said: usize,
        /// Length of `routes`.
        has: usize,
    },
}

#[derive(Deserialize)]
struct File {
    count: usize,
    routes: Vec<Observed>,
}

impl Routes {
    /// Reads a list of the shape of `routes.json`.
    pub fn parse(text: &str) -> Result<Self, RoutesError> {
        let file: File = serde_json::from_str(text)?;
        if file.count != file.routes.len() {
            return Err(RoutesError::Miscounted {
                said: file.count,
                has: file.routes.len(),
            });
        }
        let mut all: Vec<Route> = file.routes.iter().map(Observed::route).collect();
        all.sort_unstable();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RoutesError::Twice(pair[0].clone()));
        }
        Ok(Self {
            observed: file.routes,
            all,
        })
    }

    /// Every route, sorted.
    pub fn all(&self) -> &[Route] {
        &self.all
    }

    /// What was seen, in the order of the file.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }
}

impl Routes {
    /// What was seen of one route.
    pub fn seen(&self, route: &Route) -> Option<&Observed> {
        let is_it = |seen: &&Observed| seen.method == route.method && seen.path == route.path;
        self.observed.iter().find(is_it)
    }
}

impl Observed {
    /// Its answers may be kept for somebody.
    pub fn is_cacheable(&self) -> bool {
        let said = &self.safe_to_cache;
        (said == "shared" || said.starts_with("private")) && !self.get_writes_database
    }

    /// Its answers are the same for everybody.
    pub fn is_shared(&self) -> bool {
        self.safe_to_cache == "shared" && !self.get_writes_database && !self.reads_user_identity
    }

    /// Method and path.
    pub fn route(&self) -> Route {
        Route {
            method: self.method.clone(),
            path: self.path.clone(),
        }
    }
}

impl Route {
    /// Reads `METHOD /path`.
    pub fn parse(text: &str) -> Option<Self> {
        let (method, path) = text.split_once(' ')?;
        let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        (is_method && path.starts_with('/')).then(|| Self {
            method: method.to_owned(),
            path: path.to_owned(),
        })
    }

    /// A path that the pattern matches, with `1` for every variable part.
    pub fn concrete(&self) -> String {
        let segments = self
            .path
            .split('/')
            .map(|segment| match segment.starts_with('<') {
                true => "1",
                false => segment,
            });
        segments.collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
