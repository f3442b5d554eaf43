//! From the text of the table to the [`Matrix`], with everything that is wrong with it.

use super::pattern::Pattern;
use super::router::Router;
use super::{
    Act, ActiveClient, Auth, Caching, ClientScope, Entry, Learn, Matrix, Mode, OnForeign, Place,
    Recorded, Route, Routes, Rule, Serve, UserWide,
};
use crate::accounts::{Accounts, CONNECTORS, Connector};
use crate::cache_key::Class;
use crate::egress::{Kind, Looks, TooMany};
use crate::guard::{Guard, Object};
use crate::operation::Operation;
use crate::pointer::Pointer;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A table that cannot be used; every problem at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct MatrixError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rule: Vec<Row>,
    fallback: Row,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cache {
    #[default]
    No,
    Tenant,
    User,
    Shared,
}

impl Cache {
    fn class(self) -> Option<Class> {
        match self {
            Self::No => None,
            Self::Tenant => Some(Class::Tenant),
            Self::User => Some(Class::User),
            Self::Shared => Some(Class::Shared),
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unowned {
    #[default]
    Keep,
    Drop,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    routes: Vec<String>,
    area: String,
    auth: Auth,
    client: ClientScope,
    #[serde(default)]
    places: Vec<Place>,
    #[serde(default)]
    body_clients: Vec<String>,
    #[serde(default)]
    user_wide: UserWide,
    #[serde(default)]
    egress: Vec<String>,
    #[serde(default)]
    egress_users: Vec<String>,
    #[serde(default)]
    egress_accounts: Vec<String>,
    #[serde(default)]
    on_foreign: OnForeign,
    #[serde(default)]
    keep: Vec<String>,
    #[serde(default)]
    created: Vec<String>,
    #[serde(default)]
    active_client: ActiveClient,
    guard: Option<Guard>,
    #[serde(default)]
    cascade: Vec<String>,
    accounts: Option<AccountsRow>,
    #[serde(default)]
    links_account: bool,
    #[serde(default)]
    unowned: Unowned,
    #[serde(default)]
    unowned_keep: Vec<String>,
    #[serde(default)]
    request_id: bool,
    #[serde(default)]
    form: bool,
    learn: Option<Learn>,
    #[serde(default)]
    page_links: bool,
    recorded: Option<Recorded>,
    answer_seconds: Option<u64>,
    #[serde(default)]
    serve: String,
    #[serde(default)]
    cache: Cache,
    cache_seconds: Option<u64>,
    #[serde(default)]
    writes: bool,
    #[serde(default)]
    session: bool,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    login: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountsRow {
    connector: String,
    #[serde(default)]
    one: bool,
    #[serde(default)]
    body: bool,
}

impl Matrix {
    /// Reads a table, and tells everything that is wrong with it: nonsense in a
    /// rule, routes with two rules, routes of the app with none.
    pub fn parse(text: &str, app: &Routes) -> Result<Self, MatrixError> {
        let table: Table =
            toml::from_str(text).map_err(|e| MatrixError(vec![e.message().to_owned()]))?;
        let mut problems = Vec::new();
        if !table.fallback.routes.is_empty() || table.fallback.auth != Auth::Required {
            problems.push("fallback: it has no routes, and auth = \"required\"".to_owned());
        }
        let unmatched = table.fallback.rule(&mut problems);
        let rows = table.rule.into_iter().flat_map(Row::each);
        let rules: Vec<Rule> = rows.map(|row| row.rule(&mut problems)).collect();
        let rules: Vec<Rule> = rules
            .into_iter()
            .map(|rule| observed(rule, app, &mut problems))
            .collect();
        let mut names = BTreeSet::new();
        for rule in rules.iter().chain([&unmatched]) {
            if !names.insert(&rule.name) {
                problems.push(format!("rule {}: the name stands twice", rule.name));
            }
        }
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        let router = router(&rules, app, &mut problems);
        if !problems.is_empty() {
            return Err(MatrixError(problems));
        }
        let unmatched = Arc::new(unmatched);
        let options = [
            ("options.public", Auth::Public),
            ("options", Auth::Required),
        ];
        let options = options.map(|(name, auth)| Arc::new(options_rule(name, auth)));
        rules.push(unmatched.clone());
        rules.extend(options.iter().cloned());
        Ok(Self {
            router,
            rules,
            unmatched,
            options,
        })
    }
}

/// Holds a rule against what was seen of its routes: a GET that writes is one that
/// changes something, and what may not be kept is not.
fn observed(mut rule: Rule, app: &Routes, problems: &mut Vec<String>) -> Rule {
    for route in rule.routes.iter().filter(|route| route.method == "GET") {
        let Some(seen) = app.seen(route) else {
            continue;
        };
        rule.writes |= seen.get_writes_database;
        let fits = match rule.cache.map(|cache| cache.class) {
            None => true,
            Some(Class::Tenant | Class::User) => seen.is_cacheable(),
            Some(Class::Shared) => seen.is_shared(),
        };
        if !fits {
            let name = &rule.name;
            problems.push(format!(
                "rule {name}: {route}: safe_to_cache is {:?}, and the rule caches it",
                seen.safe_to_cache
            ));
        }
    }
    rule
}

fn router(rules: &[Arc<Rule>], app: &Routes, problems: &mut Vec<String>) -> Router<Entry> {
    let mut claimed: BTreeMap<&Route, &Arc<Rule>> = BTreeMap::new();
    for rule in rules {
        if rule.routes.is_empty() {
            problems.push(format!("rule {}: no routes", rule.name));
        }
        for route in &rule.routes {
            if let Some(other) = claimed.insert(route, rule) {
                let (one, two) = (&other.name, &rule.name);
                problems.push(format!("{route}: claimed by rule {one} and by rule {two}"));
            }
        }
    }
    for route in app.all() {
        if !claimed.contains_key(route) {
            problems.push(format!("{route}: no rule answers for it"));
        }
    }
    let mut patterns: Vec<(Pattern, Entry)> = Vec::new();
    for (route, rule) in claimed {
        let Some(pattern) = Pattern::parse(&route.path) else {
            problems.push(format!("rule {}: {route}: not a path pattern", rule.name));
            continue;
        };
        match patterns.iter_mut().find(|(other, _)| *other == pattern) {
            Some((_, entry)) => drop(entry.insert(route.method.clone(), rule.clone())),
            None => patterns.push((pattern, Entry::from([(route.method.clone(), rule.clone())]))),
        }
    }
    let mut router = Router::new();
    for (pattern, own) in &patterns {
        // The app goes on to the wider pattern where the narrow one lacks the method.
        let wider = patterns
            .iter()
            .filter(|(other, _)| other != pattern && other.covers(pattern));
        let mut entry = own.clone();
        for (_, methods) in wider {
            for (method, rule) in methods {
                entry.entry(method.clone()).or_insert_with(|| rule.clone());
            }
        }
        if let Err(problem) = router.insert(pattern, entry) {
            problems.push(format!("{}: {problem}", pattern.router()));
        }
    }
    router
}

fn options_rule(name: &str, auth: Auth) -> Rule {
    Rule {
        name: name.into(),
        area: "other".into(),
        auth,
        client: ClientScope::None,
        places: Vec::new(),
        body_clients: Vec::new(),
        user_wide: UserWide::Allow,
        egress: Vec::new(),
        egress_users: Vec::new(),
        egress_accounts: Vec::new(),
        on_foreign: OnForeign::Block,
        keep: Vec::new(),
        looks: Looks::default(),
        created: Vec::new(),
        active_client: ActiveClient::Limited,
        guard: None,
        cascade: Vec::new(),
        accounts: None,
        links_account: false,
        drops_unowned: false,
        unowned_keep: Vec::new(),
        request_id: false,
        form: false,
        learn: None,
        page_links: false,
        recorded: None,
        answer_seconds: None,
        serve: Serve::Stream,
        cache: None,
        writes: false,
        session: false,
        mode: Mode::Enforce,
        login: false,
        routes: Vec::new(),
    }
}

impl Row {
    /// The row itself; one named `connector.*` is a rule for each of its routes, named
    /// after the operation that the last segment of the path is.
    fn each(self) -> Vec<Self> {
        let Some(connector) = self.name.strip_suffix(".*").map(str::to_owned) else {
            return vec![self];
        };
        let one = |route: &String| {
            let last = route.rsplit('/').next().unwrap_or_default();
            let name = format!("{connector}.{last}");
            Self {
                routes: vec![route.clone()],
                serve: name.clone(),
                name,
                ..self.clone()
            }
        };
        self.routes.iter().map(one).collect()
    }

    fn rule(self, problems: &mut Vec<String>) -> Rule {
        let name = self.name.clone();
        let mut problem = |what: String| problems.push(format!("rule {name}: {what}"));
        let serve = match self.serve.as_str() {
            "stream" => Serve::Stream,
            "whole" => Serve::Whole,
            "made_up" => Serve::MadeUp,
            "health" => Serve::Health,
            name => {
                let act = Act::ALL.into_iter().find(|act| act.name() == name);
                let operation = Operation::parse(name).map(Serve::Connector);
                act.map(Serve::Runs).or(operation).unwrap_or_else(|| {
                    let acts = Act::ALL.iter().map(|act| act.name());
                    let known = acts.chain(Operation::ALL.iter().map(|o| o.name()));
                    let known = known.map(|name| format!("{name:?}"));
                    let known = known.collect::<Vec<_>>().join(", ");
                    problem(format!(
                        "serve = {name:?}, expected \"stream\", \"whole\", \"made_up\", \"health\" or one of {known}"
                    ));
                    Serve::Stream
                })
            }
        };
        let mut pointers = |key: &str, texts: &[String]| {
            let parsed = texts.iter().filter_map(|text| {
                let pointer = Pointer::parse(text);
                if pointer.is_none() {
                    problem(format!(
                        "{key} = {text:?}, expected a pointer such as \"/*/client_id\""
                    ));
                }
                pointer
            });
            parsed.collect::<Vec<_>>()
        };
        let egress = pointers("egress", &self.egress);
        let egress_users = pointers("egress_users", &self.egress_users);
        let egress_accounts = pointers("egress_accounts", &self.egress_accounts);
        let body_clients = pointers("body_clients", &self.body_clients);
        let created = pointers("created", &self.created);
        let routes = self.routes.iter().filter_map(|text| {
            let route = Route::parse(text);
            if route.is_none() {
                problem(format!("routes: {text:?}, expected \"METHOD /path\""));
            }
            route
        });
        let routes: Vec<Route> = routes.collect();
        let accounts = self.accounts.and_then(|row| {
            let connector = Connector::find(&row.connector);
            if connector.is_none() {
                let known = CONNECTORS
                    .each_ref()
                    .map(|c| format!("{:?}", c.name))
                    .join(", ");
                let written = &row.connector;
                problem(format!(
                    "accounts.connector = {written:?}, expected one of {known}"
                ));
            }
            let (one, body) = (row.one, row.body);
            connector.map(|connector| Accounts {
                connector,
                one,
                body,
            })
        });
        if let Some(guard) = &self.guard {
            let variable = |name: &String| {
                let written = [format!("<{name}>"), format!("<int:{name}>")];
                routes.iter().all(|route| {
                    route
                        .path
                        .split('/')
                        .any(|s| written.iter().any(|w| w == s))
                })
            };
            if guard.path.iter().any(|name| !variable(name)) {
                problem("guard.path: every route of the rule needs that variable".into());
            }
            if guard.choose && guard.object != Object::Conversation {
                problem("guard.choose: only a conversation can be chosen".into());
            }
            let is_decided = guard.object == Object::Client && self.client != ClientScope::None;
            let named = [&guard.path, &guard.query, &guard.body];
            if !is_decided && named.iter().all(|place| place.is_none()) {
                problem("a guard needs a path, query or body that names its object".into());
            }
        }
        let fields = self.request_id
            || self.links_account
            || self.form
            || self
                .guard
                .as_ref()
                .is_some_and(|guard| guard.body.is_some())
            || accounts.is_some_and(|accounts| accounts.body);
        let reads_object = self
            .guard
            .as_ref()
            .is_some_and(|guard| guard.body.is_some());
        if self.form && !reads_object {
            problem("form: no field of the body is read".into());
        }
        if accounts.is_some() && self.client == ClientScope::None {
            problem("accounts: bound to a client, and the rule has none".into());
        }
        let methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
        if let Some(other) = self
            .cascade
            .iter()
            .find(|method| !methods.contains(&method.as_str()))
        {
            problem(format!(
                "cascade = {other:?}: no route of the rule has that method"
            ));
        }
        let looks_closer = self.guard.is_some()
            || self.learn.is_some()
            || self.page_links
            || !self.cascade.is_empty()
            || !created.is_empty()
            || self.auth == Auth::Internal;
        let looks = self.guard.is_some()
            || !self.cascade.is_empty()
            || self.page_links
            || !self.unowned_keep.is_empty()
            || self.learn.is_some()
            || self.recorded.is_some()
            || self.answer_seconds.is_some();
        if (fields || looks) && matches!(serve, Serve::Stream) {
            problem(
                "a body or page that is looked at cannot be streamed; serve = \"whole\"".into(),
            );
        }
        if matches!(serve, Serve::Connector(_)) && self.auth == Auth::Public {
            problem("connector data cannot be public".into());
        }
        let all_egress = || egress.iter().chain(&egress_users).chain(&egress_accounts);
        let reads_json = all_egress().next().is_some() || !created.is_empty();
        if (!body_clients.is_empty() || reads_json) && matches!(serve, Serve::Stream) {
            problem("a body that is read cannot be streamed; serve = \"whole\"".into());
        }
        if body_clients.is_empty() == self.places.contains(&Place::Body) {
            problem("body_clients and the place \"body\" belong together".into());
        }
        if (self.client == ClientScope::None) != self.places.is_empty() {
            problem("a client has places, and client = \"none\" has none".into());
        }
        let redacts = self.on_foreign == OnForeign::Redact;
        let filters = self.on_foreign == OnForeign::Filter || self.user_wide == UserWide::Filter;
        if (filters || redacts) && !all_egress().all(Pointer::is_wild) {
            problem("only rows can be filtered: egress needs a \"*\"".into());
        }
        if filters && all_egress().next().is_none() {
            problem("nothing to filter by: egress is empty".into());
        }
        if redacts && egress.is_empty() && egress_users.is_empty() {
            problem("nothing to redact by: egress is empty".into());
        }
        if redacts && filters {
            problem("a row is either redacted or, by user_wide = \"filter\", dropped".into());
        }
        if redacts == self.keep.is_empty() {
            problem("on_foreign = \"redact\" and keep belong together".into());
        }
        let clients = egress.iter().map(|pointer| (Kind::Client, pointer));
        let users = egress_users.iter().map(|pointer| (Kind::User, pointer));
        let named = egress_accounts
            .iter()
            .map(|pointer| (Kind::Account, pointer));
        let looks = Looks::new(clients.chain(users).chain(named)).unwrap_or_else(|TooMany| {
            problem(format!("egress: more than {} pointers", Looks::MOST));
            Looks::default()
        });
        let class = self.cache.class();
        if class.is_some() != self.cache_seconds.is_some() {
            problem("cache and cache_seconds belong together".into());
        }
        if class.is_some()
            && (looks_closer || matches!(serve, Serve::Stream | Serve::Health | Serve::Runs(_)))
        {
            problem("what is streamed, guarded or learnt from is not cached".into());
        }
        if matches!(serve, Serve::Runs(_)) && self.auth != Auth::Required {
            problem("runs are somebody's: auth = \"required\"".into());
        }
        if class == Some(Class::User) && self.client != ClientScope::None {
            problem("cache = \"user\": the rule has a client, \"tenant\" is needed".into());
        }
        if self
            .cache_seconds
            .is_some_and(|seconds| !(30..=60).contains(&seconds))
        {
            problem("cache_seconds: expected 30 to 60".into());
        }
        Rule {
            name: self.name.into(),
            area: self.area.into(),
            auth: self.auth,
            client: self.client,
            places: self.places,
            body_clients,
            user_wide: self.user_wide,
            egress,
            egress_users,
            egress_accounts,
            on_foreign: self.on_foreign,
            keep: self.keep,
            looks,
            created,
            active_client: self.active_client,
            guard: self.guard,
            cascade: self.cascade,
            accounts,
            links_account: self.links_account,
            drops_unowned: self.unowned == Unowned::Drop,
            unowned_keep: self.unowned_keep,
            request_id: self.request_id,
            form: self.form,
            learn: self.learn,
            page_links: self.page_links,
            recorded: self.recorded,
            answer_seconds: self.answer_seconds,
            serve,
            cache: class
                .zip(self.cache_seconds)
                .map(|(class, seconds)| Caching { class, seconds }),
            writes: self.writes,
            session: self.session,
            mode: self.mode,
            login: self.login,
            routes,
        }
    }
}
