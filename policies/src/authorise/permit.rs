//! The permit itself: what was decided, and the form in which it is forwarded.
//!
//! [`super::authorise`] makes every one.

use super::Reach;
use crate::cookies::{self, Cookies};
use crate::identity::Identity;
use crate::ids::{ClientId, ObjectId, UserId};
use crate::matrix::{Auth, Place, Rule, Serve};
use crate::normalise::Asked;
use crate::path::CanonicalPath;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::short::Short;
use std::sync::Arc;

/// Leave to do exactly what was asked, as the identity, within the client.
#[derive(Clone)]
pub struct Permit {
    rule: Arc<Rule>,
    identity: Option<Identity>,
    reach: Option<Reach>,
    scope: Scope,
    method: &'static str,
    path: CanonicalPath,
    query: Query,
    cookies: Cookies,
    /// `X-Client-ID` as it came; used where the scope was not decided.
    asked_client: Option<Short<'static>>,
    internal_token: Option<String>,
}

/// What was decided about the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) client: Option<ClientId>,
    /// False where the rule's mode lets pass what was asked, as it was asked.
    pub(super) is_scoped: bool,
    pub(super) reported: Option<Refusal>,
    pub(super) forged_user: bool,
}

/// The managed headers of the upstream request. `None`, and no cookie, mean: remove it.
pub struct UpstreamIdentity<'a> {
    /// `X-Client-ID`.
    pub client_id: Option<Short<'a>>,
    /// `X-User-ID`.
    pub user_id: Option<Short<'static>>,
    /// `Authorization`, behind `Bearer `.
    pub bearer: Option<&'a str>,
    /// The managed cookie of the client.
    client_cookie: Option<Short<'a>>,
    cookies: &'a Cookies,
    /// `X-Internal-Token`.
    pub internal_token: Option<&'a str>,
}

impl UpstreamIdentity<'_> {
    /// `Cookie`, in pieces; none where it is not said.
    pub fn cookie(&self) -> cookies::Pieces<'_> {
        let user = self.user_id.as_deref().zip(self.bearer);
        self.cookies.rebuild([
            (cookies::USER_ID, user.map(|(user, _)| user)),
            (cookies::TOKEN, user.map(|(_, token)| token)),
            (cookies::CLIENT_ID, self.client_cookie.as_deref()),
        ])
    }
}

impl Permit {
    pub(super) fn new(
        asked: Asked,
        rule: Arc<Rule>,
        identity: Option<Identity>,
        reach: Option<Reach>,
        scope: Scope,
    ) -> Self {
        let query = match scope.is_scoped {
            false => asked.query,
            true => {
                let client = scope.client.filter(|_| rule.reads(Place::Query));
                asked.query.with_client(client)
            }
        };
        let internal = rule.auth == Auth::Internal;
        Self {
            rule,
            identity,
            reach,
            scope,
            method: asked.method,
            path: asked.path,
            query,
            cookies: asked.cookies,
            asked_client: asked.client_header_text,
            internal_token: asked.internal_token.filter(|_| internal),
        }
    }

    /// The rule that applies.
    pub fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// Who asks; `None` for anonymous callers of public rules.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The user, if somebody is identified.
    pub fn user(&self) -> Option<UserId> {
        self.identity.as_ref().map(Identity::user)
    }

    /// The decided client.
    pub fn client(&self) -> Option<ClientId> {
        self.scope.client
    }

    /// Method, upper case; one of [`crate::normalise::METHODS`].
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Canonical path.
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// Query in its decided form.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Path and query to forward.
    pub fn target(&self) -> String {
        let (path, query) = (self.path.as_str(), self.query.as_str());
        match query.is_empty() {
            true => path.to_owned(),
            false => [path, "?", query].concat(),
        }
    }

    /// The caller claimed to be a user that the token does not prove.
    pub fn forged_user(&self) -> bool {
        self.scope.forged_user
    }

    /// False where the client was not decided on, because the rule's mode lets it pass.
    pub fn is_scoped(&self) -> bool {
        self.scope.is_scoped
    }

    /// What would have been refused if the rule were enforced.
    pub fn reported(&self) -> Option<Refusal> {
        self.scope.reported
    }

    /// The clients the identity may use.
    pub fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    /// The same caller and client, reading a connector route of ours instead, without a
    /// query; `None` where no client was decided, or the route is no such read.
    ///
    /// Nothing is decided anew: whoever may ask in a client's name may ask this there.
    pub fn towards(&self, rule: Arc<Rule>, path: CanonicalPath) -> Option<Self> {
        let client = self.scope.client.filter(|_| self.scope.is_scoped)?;
        let is_read = matches!(rule.serve, Serve::Connector(_)) && !rule.writes;
        is_read.then(|| {
            let towards = Self {
                rule,
                path,
                method: "GET",
                query: Query::default(),
                ..self.clone()
            };
            towards.within(client)
        })
    }

    /// The same for this client, in the places that the route reads.
    pub(crate) fn within(mut self, client: ClientId) -> Self {
        self.scope.client = Some(client);
        if self.rule.reads(Place::Query) {
            self.query = self.query.with_client(Some(client));
        }
        self
    }

    /// Asks for what a decision named in the query.
    pub(crate) fn set_parameter(&mut self, name: &str, value: &str) {
        self.query = std::mem::take(&mut self.query).with(name, value);
    }

    /// The same for this object: named where the guard's rule reads its id in the
    /// query, and nowhere else in it.
    pub fn naming(mut self, id: ObjectId) -> Self {
        let guard = self.rule.guard.as_ref();
        if let Some(name) = guard.and_then(|guard| guard.query.clone()) {
            let in_body = guard.is_some_and(|guard| guard.body.is_some());
            self.query = match in_body {
                true => self.query.without(&name),
                false => self.query.with(&name, &id.to_string()),
            };
        }
        self
    }

    /// The same without cookies but those that are decided: for an answer that others
    /// are given, too, and that must not hang on what one caller's browser holds.
    pub fn without_own_cookies(mut self) -> Self {
        self.cookies = Cookies::default();
        self
    }

    /// The managed headers for the app: the decided client in the places that the
    /// route reads and in no other, everything else set from the identity or removed.
    pub fn upstream_identity(&self) -> UpstreamIdentity<'_> {
        let user_id = self.user().map(|user| Short::digits(user.get()));
        let token = self.identity.as_ref().map(|i| i.token().expose());
        let (client_id, client_cookie) = match self.scope.is_scoped {
            true => {
                let at = |place| self.scope.client.filter(|_| self.rule.reads(place));
                let text = |client: ClientId| Short::digits(client.get());
                (at(Place::Header).map(text), at(Place::Cookie).map(text))
            }
            false => {
                let cookie = self.cookies.managed(cookies::CLIENT_ID);
                let asked = self.asked_client.as_deref();
                (asked.map(Short::borrowed), cookie.map(Short::borrowed))
            }
        };
        UpstreamIdentity {
            client_cookie,
            cookies: &self.cookies,
            bearer: token,
            client_id,
            user_id,
            internal_token: self.internal_token.as_deref(),
        }
    }
}
