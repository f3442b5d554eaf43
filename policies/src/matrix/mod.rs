//! The matrix: which rule answers for a method and path.
//!
//! The table is data (`tables/matrix.toml`), parsed once at start against the
//! app's own list of routes (`tables/routes.json`); a route without a rule or
//! with two is an error then, while an operator is watching, and not a surprise
//! at three in the morning. What neither knows gets the fallback, which is
//! protected.

mod cases;
mod pattern;
mod router;
mod routes;
mod table;

pub use cases::{CASES, Case};
pub use routes::{Observed, Route, Routes, RoutesError};
pub use table::MatrixError;

use crate::accounts::Accounts;
use crate::cache_key::Class;
use crate::egress::Looks;
use crate::guard::Guard;
use crate::operation::Operation;
use crate::path::CanonicalPath;
use crate::pointer::Pointer;
use crate::purge::Purge;
use router::Router;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The built-in table.
pub const BUILT_IN: &str = include_str!("../../tables/matrix.toml");
/// What the sidecar may take of a dashboard's read at p99, on top of its upstreams.
const BUDGET: Duration = Duration::from_millis(5);
/// The routes of the app, as they were observed.
pub const ROUTES: &str = include_str!("../../tables/routes.json");

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Anybody; a good token still makes an identity.
    Public,
    /// A verified token is needed.
    Required,
    /// Callers of the operator's own networks; the app checks a token of its own.
    Internal,
}

/// What the client means to the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientScope {
    /// One client has to be named.
    Required,
    /// One client, or none: everything of the user.
    Optional,
    /// The client is the object; the header only says which one is open in the UI.
    Managed,
    /// The route reads no client.
    None,
}

/// Where a request can name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `X-Client-ID`.
    Header,
    /// `client_id` of the query.
    Query,
    /// A segment of the path.
    Path,
    /// A field of a JSON body.
    Body,
    /// The cookie of the active client.
    Cookie,
}

/// For whom the cookie of the active client names the client, where nothing else does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActiveClient {
    /// For tokens that are limited to clients, and where a client is required.
    #[default]
    Limited,
    /// For everybody.
    All,
}

/// What the sidecar learns from an answer about whose conversations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learn {
    /// It is a list of conversations.
    List,
    /// It names a new one.
    New,
}

/// What a token that is limited to clients gets where no client is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserWide {
    /// Nothing.
    #[default]
    Deny,
    /// The answer: nothing in it belongs to a client.
    Allow,
    /// The answer without the rows of other clients.
    Filter,
}

/// What becomes of an answer with an id of somebody else in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnForeign {
    /// It is not passed on.
    #[default]
    Block,
    /// The row is dropped.
    Filter,
    /// The row stays with the members that the rule keeps.
    Redact,
}

/// How seriously the client scope of a rule is taken. Identity always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Refused.
    #[default]
    Enforce,
    /// Counted and told, and passed on as it was asked.
    Report,
    /// Not looked at.
    Off,
}

/// How the request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// Passed to the app, bodies untouched.
    Stream,
    /// Passed to the app; body and answer are held whole.
    Whole,
    /// Passed to the app, whose answer is made up and gets tagged as such.
    MadeUp,
    /// Answered by the gateway.
    Connector(Operation),
    /// How the gateway is doing; answered here.
    Health,
    /// About runs of the orchestrator; answered here, with the app behind it.
    Runs(Act),
}

/// What is done about runs of the orchestrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A flow is run, after it was looked at, and recorded.
    Execute,
    /// A flow is looked at, and not run.
    Validate,
    /// A run is told as JSON or CSV.
    Trace,
    /// A recorded flow is run again.
    Replay,
    /// The app's templates, and ours behind them.
    Templates,
    /// An agent is told of its connectors.
    Brief,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 6] = [
        Self::Execute,
        Self::Validate,
        Self::Trace,
        Self::Replay,
        Self::Templates,
        Self::Brief,
    ];

    /// Its name in the matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Validate => "validate",
            Self::Trace => "trace",
            Self::Replay => "replay",
            Self::Templates => "templates",
            Self::Brief => "brief",
        }
    }
}

/// How answers of a rule name runs that the ledger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// A list of runs.
    List,
    /// One run.
    One,
}

/// How answers of a rule are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Among whom they may be shared.
    pub class: Class,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// One row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name; the `route` label of metrics.
    pub name: Arc<str>,
    /// Area of the app: `connectors`, `chat`, `flows`, …
    pub area: Arc<str>,
    /// Who may call.
    pub auth: Auth,
    /// What the client means.
    pub client: ClientScope,
    /// Where the route reads it.
    pub places: Vec<Place>,
    /// Where it stands in a JSON body; the body is strict JSON then.
    pub body_clients: Vec<Pointer>,
    /// What a limited token gets where no client is decided.
    pub user_wide: UserWide,
    /// Where client ids stand in the answer.
    pub egress: Vec<Pointer>,
    /// Where user ids stand in the answer.
    pub egress_users: Vec<Pointer>,
    /// Where account ids stand in the answer; a row of another account is always dropped.
    pub egress_accounts: Vec<Pointer>,
    /// What becomes of an answer with a foreign id.
    pub on_foreign: OnForeign,
    /// The members that a redacted row keeps.
    pub keep: Vec<String>,
    /// The pointers of all three kinds, ready to be looked for.
    pub looks: Looks,
    /// Where the answer names a client that was just created.
    pub created: Vec<Pointer>,
    /// For whom the cookie of the active client counts.
    pub active_client: ActiveClient,
    /// The object that its requests name by id.
    pub guard: Option<Guard>,
    /// Methods that delete everything of a client or user: nothing guarded runs beside them.
    pub cascade: Vec<String>,
    /// The accounts that its requests name.
    pub accounts: Option<Accounts>,
    /// No account in its body may be one of a client out of a limited token's reach.
    pub links_account: bool,
    /// Rows that belong to no client are not for limited tokens.
    pub drops_unowned: bool,
    /// Members that stay for a limited token where what is read belongs to no client;
    /// none where nothing is taken out.
    pub unowned_keep: Vec<String>,
    /// Its `request_id` is kept apart by user and client.
    pub request_id: bool,
    /// It reads its body's fields from forms too.
    pub form: bool,
    /// What its answers tell about conversations.
    pub learn: Option<Learn>,
    /// Links on its page to conversations out of scope are taken out.
    pub page_links: bool,
    /// Its answers name runs, and gain what the ledger has of them.
    pub recorded: Option<Recorded>,
    /// How long the app may take, in seconds, where that is longer than for others.
    pub answer_seconds: Option<u64>,
    /// How it is answered.
    pub serve: Serve,
    /// Among whom an answer may be shared, and how long it may be kept; `None`: not at all.
    pub cache: Option<Caching>,
    /// Its GETs change something, too.
    pub writes: bool,
    /// Sessions begin or end here: everything that is kept of the user is dropped.
    pub session: bool,
    /// How seriously the client scope is taken.
    pub mode: Mode,
    /// It is how sessions begin: JSON, and from our own pages.
    pub login: bool,
    /// The routes it answers for.
    pub routes: Vec<Route>,
}

/// A rule, and what the path says where the rule looks at it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The path segment that names the client, still percent-encoded.
    pub client_in_path: Option<String>,
    /// The path segment that names the object of the rule's guard, still percent-encoded.
    pub object_in_path: Option<String>,
}

/// The rules of a path, by method.
type Entry = BTreeMap<String, Arc<Rule>>;

/// All rules, ready to be looked up.
pub struct Matrix {
    router: Router<Entry>,
    rules: Vec<Arc<Rule>>,
    unmatched: Arc<Rule>,
    /// `OPTIONS` runs no code of the app's own: who may ask, and nothing else.
    options: [Arc<Rule>; 2],
}

impl Matrix {
    /// The built-in table, checked against the built-in routes.
    pub fn built_in() -> Result<Self, MatrixError> {
        let routes = Routes::parse(ROUTES).map_err(|e| MatrixError(vec![e.to_string()]))?;
        Self::parse(BUILT_IN, &routes)
    }

    /// The rule for a method and canonical path. HEAD follows GET.
    pub fn find(&self, method: &str, path: &CanonicalPath) -> Found {
        let bare = |rule: &Arc<Rule>| Found {
            rule: rule.clone(),
            client_in_path: None,
            object_in_path: None,
        };
        let unmatched = || bare(&self.unmatched);
        let Some((entry, params)) = self.router.at(path.as_str()) else {
            return unmatched();
        };
        let method = if method == "HEAD" { "GET" } else { method };
        if method == "OPTIONS" {
            let public = entry.values().all(|rule| rule.auth == Auth::Public);
            return bare(&self.options[usize::from(!public)]);
        }
        let params = params.as_ref();
        let variable = |name: &str| params?.get(name).map(str::to_owned);
        entry.get(method).map_or_else(unmatched, |rule| Found {
            rule: rule.clone(),
            client_in_path: rule
                .reads(Place::Path)
                .then(|| variable("client_id"))
                .flatten(),
            object_in_path: rule
                .guard
                .as_ref()
                .and_then(|guard| variable(guard.path.as_deref()?)),
        })
    }

    /// Every rule, those for what no route is known of included.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The routes of another list that no rule answers for.
    pub fn gaps<'a>(&self, routes: &'a Routes) -> Vec<&'a Route> {
        let is_known = |route: &Route| self.rules.iter().any(|rule| rule.routes.contains(route));
        routes
            .all()
            .iter()
            .filter(|route| !is_known(route))
            .collect()
    }

    /// Sets how seriously the client scope is taken: of all rules, then of those named.
    ///
    /// Errors with the names that are no rule's.
    pub fn set_modes(
        &mut self,
        all: Option<Mode>,
        named: &BTreeMap<String, Mode>,
    ) -> Result<(), Vec<String>> {
        let is_rule = |name: &&String| self.rules.iter().any(|rule| *rule.name == ***name);
        let unknown: Vec<String> = named
            .keys()
            .filter(|name| !is_rule(name))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let mode = |rule: &Rule| named.get(&*rule.name).copied().or(all).unwrap_or(rule.mode);
        for at in 0..self.rules.len() {
            let new = Rule {
                mode: mode(&self.rules[at]),
                ..(*self.rules[at]).clone()
            };
            self.replace(at, new);
        }
        Ok(())
    }

    fn replace(&mut self, at: usize, rule: Rule) {
        let rule = Arc::new(rule);
        let old = std::mem::replace(&mut self.rules[at], rule.clone());
        let swap = |held: &mut Arc<Rule>| {
            if Arc::ptr_eq(held, &old) {
                *held = rule.clone();
            }
        };
        let mut swap = swap;
        swap(&mut self.unmatched);
        self.options.iter_mut().for_each(&mut swap);
        let mut paths: Vec<String> = old.routes.iter().map(Route::concrete).collect();
        paths.extend(
            self.rules
                .iter()
                .flat_map(|r| r.routes.iter().map(Route::concrete)),
        );
        for path in paths {
            if let Some(entry) = self.router.at_mut(&path) {
                entry.values_mut().for_each(&mut swap);
            }
        }
    }
}

impl Mode {
    /// Value of the `mode` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
            Self::Off => "off",
        }
    }
}

impl Rule {
    /// Whether the route reads the client there.
    pub fn reads(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// What the sidecar itself may take of a request at p99, what it waits for others not
    /// counted; `None` where a caller waits for the app in any case.
    pub fn budget(&self) -> Option<Duration> {
        let is_budgeted = self.cache.is_some() || matches!(self.serve, Serve::Connector(_));
        is_budgeted.then_some(BUDGET)
    }

    /// Whether a request with this method may change something.
    pub fn changes(&self, method: &str) -> bool {
        let is_read = matches!(method, "GET" | "HEAD" | "OPTIONS");
        self.writes || !(is_read || self.serve == Serve::Runs(Act::Validate))
    }

    /// What kept answers of a user a request with this method makes worthless.
    pub fn purges(&self, method: &str, user: u64) -> Vec<Purge> {
        if !self.changes(method) {
            return Vec::new();
        }
        // Whose session it is, which clients there are, and which accounts are theirs.
        let reaches_all = self.session
            || self.links_account
            || self.cascades(method)
            || self.changes_clients(method);
        match (reaches_all, &*self.area) {
            (true, _) => vec![Purge::User(user)],
            // A choice or a setting: reads that name their account are as they were.
            (false, "connectors") => vec![Purge::App { user }, Purge::Choice { user }],
            // More than one area: a run changes the history, a chat the credits.
            (false, _) => vec![Purge::App { user }],
        }
    }

    /// Whether a request with this method may change which clients a user has.
    pub fn changes_clients(&self, method: &str) -> bool {
        let is_write = !matches!(method, "GET" | "HEAD" | "OPTIONS");
        is_write && (&*self.area == "clients" || !self.created.is_empty())
    }

    /// Whether a request with this method deletes everything of a client or user.
    pub fn cascades(&self, method: &str) -> bool {
        self.cascade.iter().any(|cascading| cascading == method)
    }

    /// Whether fields of the body are read besides clients.
    pub fn reads_fields(&self) -> bool {
        let in_body = |guard: &Guard| guard.body.is_some();
        self.request_id
            || self.links_account
            || self.guard.as_ref().is_some_and(in_body)
            || self.accounts.is_some_and(|accounts| accounts.body)
    }

    /// Whether its answers are looked through for ids of others.
    pub fn has_egress(&self) -> bool {
        [&self.egress, &self.egress_users, &self.egress_accounts]
            .iter()
            .any(|pointers| !pointers.is_empty())
    }
}

/// Whether a path lies under `/api/`: errors there are JSON.
pub fn is_api(path: &CanonicalPath) -> bool {
    path.as_str() == "/api" || path.as_str().starts_with("/api/")
}

#[cfg(test)]
mod tests;
