//! What requests change of what is remembered about users: cached answers, their
//! clients, links, agents. Said before a request goes on and after, so that nothing that was asked
//! for in between is kept.

use super::Sidecar;
use camarad_policies::authorise::Permit;
use camarad_policies::ids::ClientId;
use serde_json::Value;

impl Sidecar {
    /// What is remembered of a user may be about to change, or has changed.
    pub(super) fn change(&self, permit: &Permit) {
        let (rule, method) = (permit.rule(), permit.method());
        let Some(user) = permit.user().filter(|_| rule.changes(method)) else {
            return;
        };
        for purge in rule.purges(method, user.get()) {
            self.cache.invalidate(&purge);
        }
        let changes_clients = rule.changes_clients(method) || rule.cascades(method);
        if changes_clients {
            self.exported.forget(&user);
            self.tenants.forget_clients(user);
            if let Some(client) = permit.client().filter(|_| method == "DELETE") {
                self.tenants.delete(client);
            }
        }
        let path = permit.path().as_str();
        if changes_clients || path.starts_with("/api/client_connectors") {
            self.tenants.forget_links(user);
            self.runs.forget_connectors(user);
        }
        if changes_clients || &*rule.area == "connectors" {
            // Settings of no client stand in for those of every client of the user's.
            self.tenants.ga4.forget_where(|(of, _)| *of == user);
            self.runs.forget_connectors(user);
        }
        if let Some(agent) = path.strip_prefix("/api/agents/") {
            self.agents
                .forget(&(user, permit.client(), agent.to_owned()));
        }
    }

    /// Remembers a client that the app says it created for this token.
    pub(super) fn note_created(&self, permit: &Permit, body: &[u8]) {
        let (rule, Some(identity)) = (permit.rule(), permit.identity()) else {
            return;
        };
        if rule.created.is_empty() || !rule.changes_clients(permit.method()) {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        let ids = rule
            .created
            .iter()
            .flat_map(|pointer| pointer.find(&answer));
        let id = ids
            .filter_map(|id| ClientId::parse(&id.as_u64()?.to_string()).ok())
            .next();
        if let Some(client) = id {
            self.tenants.create(identity.token(), client);
        }
    }
}
