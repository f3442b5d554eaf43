//! The permit itself: what was decided, and the form in which it is forwarded.
//!
//! Its fields are visible to [`super::authorise`] alone, which makes every one.

use crate::cookies::{self, Cookies};
use crate::identity::Identity;
use crate::ids::{ClientId, UserId};
use crate::matrix::Rule;
use crate::path::CanonicalPath;
use crate::query::Query;
use std::sync::Arc;

/// Leave to do exactly what was asked, as the identity, within the client.
#[derive(Clone)]
pub struct Permit {
    pub(super) rule: Arc<Rule>,
    pub(super) identity: Option<Identity>,
    pub(super) client: Option<ClientId>,
    pub(super) method: String,
    pub(super) path: CanonicalPath,
    pub(super) query: Query,
    pub(super) cookies: Cookies,
    pub(super) forged_user: bool,
}

/// The managed headers of the upstream request. `None` means: remove it.
pub struct UpstreamIdentity {
    /// `X-Client-ID`.
    pub client_id: Option<String>,
    /// `X-User-ID`.
    pub user_id: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Cookie`.
    pub cookie: Option<String>,
}

impl Permit {
    /// The rule that applies.
    pub fn rule(&self) -> &Rule {
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
        self.client
    }

    /// Method, upper case.
    pub fn method(&self) -> &str {
        &self.method
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
        let query = self.query.to_text();
        match query.is_empty() {
            true => self.path.as_str().to_owned(),
            false => format!("{}?{query}", self.path),
        }
    }

    /// The caller claimed to be a user that the token does not prove.
    pub fn forged_user(&self) -> bool {
        self.forged_user
    }

    /// The managed headers for the app: set from what was decided, or removed.
    pub fn upstream_identity(&self) -> UpstreamIdentity {
        let client_id = self.client.map(|c| c.to_string());
        let user_id = self.user().map(|u| u.to_string());
        let token = self.identity.as_ref().map(|i| i.token().expose());
        let mut set = Vec::with_capacity(3);
        if let (Some(user), Some(token)) = (&user_id, token) {
            set.push((cookies::USER_ID, user.clone()));
            set.push((cookies::TOKEN, token.to_owned()));
        }
        if let Some(client) = self.client.or_else(|| self.client_of_cookie()) {
            set.push((cookies::CLIENT_ID, client.to_string()));
        }
        UpstreamIdentity {
            cookie: self.cookies.rebuild(&set),
            authorization: token.map(|t| format!("Bearer {t}")),
            client_id,
            user_id,
        }
    }

    /// The active client of the UI's cookie, where the identity may use it.
    fn client_of_cookie(&self) -> Option<ClientId> {
        let client = ClientId::parse(self.cookies.managed(cookies::CLIENT_ID)?).ok()?;
        let identity = self.identity.as_ref()?;
        identity.clients().allow(client).then_some(client)
    }
}
