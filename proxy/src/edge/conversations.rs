//! Whose conversations are, and which one a chat without a name goes on with.
//!
//! The app's list shows thirty rows, all of the user's own; what it does not show
//! is looked for where the index says, and what the index does not know in the
//! export. Ids are given out again: so nothing that was learnt before proves
//! anything, and a user with fewer than thirty rows has no others.

use super::Sidecar;
use super::context::Context;
use super::guard::broken_index;
use super::own::Question;
use camarad_policies::authorise::Permit;
use camarad_policies::conversations::{Conversation, Listed, agent_of, begun, exported, listed};
use camarad_policies::guard::Owner;
use camarad_policies::identity::Identity;
use camarad_policies::ids::{ClientId, ObjectId};
use camarad_policies::refusal::Refusal;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The user's conversations of all clients and of none.
const ALL: &str = "/api/conversations?include_global=1";

impl Sidecar {
    /// Whose these conversations are, for this user; those that are not named are nobody's.
    ///
    /// Each is proven by an answer of the app to this very question: its list, the
    /// messages of the one within its client, or the export. The index only says
    /// where to look, since it may be behind.
    pub(super) async fn owners_of(
        &self,
        context: &Context,
        identity: &Identity,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Owner>, Refusal> {
        let listed = self.listed(context, identity, ALL, None).await?;
        let rows = listed.rows.iter();
        let mut owners: BTreeMap<ObjectId, Owner> = rows.map(|row| (row.id, row.owner())).collect();
        let unknown: Vec<ObjectId> = ids
            .iter()
            .filter(|id| !owners.contains_key(id))
            .copied()
            .collect();
        if !listed.is_full || unknown.is_empty() {
            return Ok(owners);
        }
        let mut is_indexed = false;
        if let [id] = unknown[..]
            && let Some(owner) = self.indexed(identity, id).await?
        {
            is_indexed = true;
            if let Owner::Client(client) = owner
                && self.has_messages(context, identity, id, client).await?
            {
                owners.insert(id, owner);
                return Ok(owners);
            }
        }
        // Who asks for ids that do not exist must not make us read an export each time.
        let before = self.exported.known(&identity.user());
        let is_absent =
            |before: &Arc<BTreeSet<ObjectId>>| unknown.iter().all(|id| !before.contains(id));
        if is_indexed || !before.as_ref().is_some_and(is_absent) {
            let rows = self.export(context, identity).await?;
            owners.extend(rows.iter().map(|row| (row.id, row.owner())));
        }
        if let [id] = unknown[..]
            && is_indexed
            && !owners.contains_key(&id)
        {
            // Deleted past us; or else it would be looked for in the export each time.
            let forgotten = self.owners.forget(identity.user(), Some(id)).await;
            forgotten.map_err(broken_index)?;
        }
        Ok(owners)
    }

    /// Whose a conversation of this user is, as the index has it.
    async fn indexed(&self, identity: &Identity, id: ObjectId) -> Result<Option<Owner>, Refusal> {
        let found = self.owners.find(id).await.map_err(broken_index)?;
        let own = found.filter(|(user, _)| *user == identity.user().get());
        Ok(own.map(|(_, owner)| owner))
    }

    /// Whether the app shows the conversation within this client: it looks at the
    /// client's owner and at the conversation's client (contract, section 9).
    async fn has_messages(
        &self,
        context: &Context,
        identity: &Identity,
        id: ObjectId,
        client: ClientId,
    ) -> Result<bool, Refusal> {
        let target = format!("/api/conversations/{id}/messages");
        let shown = self.look_up(
            Question::get(&target, Some(client)),
            identity,
            context,
            "guard_unavailable",
            |status, body| match status {
                200 => Some(serde_json::from_slice::<Vec<IgnoredAny>>(body).is_ok()),
                404 => Some(false),
                _ => None,
            },
        );
        shown.await.ok_or(Refusal::GuardUnavailable)
    }

    /// The newest conversation of the permit's client with the agent of its path,
    /// or a new one. Without a client: of those that belong to none.
    pub(super) async fn choose(
        &self,
        context: &Context,
        permit: &Permit,
    ) -> Result<ObjectId, Refusal> {
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let (workspace, agent) = agent_of(permit.path().as_str()).ok_or(Refusal::ObjectNotFound)?;
        let client = permit.client();
        let target = match client {
            Some(_) => "/api/conversations",
            None => ALL,
        };
        let listed = self.listed(context, identity, target, client).await?;
        let is_its = |row: &&Conversation| {
            row.client == client && row.workspace == workspace && row.agent == agent
        };
        let newest_of = |rows: &[Conversation]| rows.iter().filter(is_its).map(|row| row.id).max();
        if let Some(id) = newest_of(&listed.rows) {
            return Ok(id);
        }
        if listed.is_full {
            // Older than what the list shows: where the index says, if it is so, or else in the export.
            let known = self.owners.newest(
                identity.user(),
                client,
                workspace.to_owned(),
                agent.to_owned(),
            );
            if let Some(id) = known.await.map_err(broken_index)? {
                let owners = self.owners_of(context, identity, &[id]).await?;
                if owners.get(&id) == Some(&client.map_or(Owner::User, Owner::Client)) {
                    return Ok(id);
                }
            }
            let export = self.export(context, identity).await?;
            if let Some(id) = newest_of(&export) {
                return Ok(id);
            }
        }
        if permit.method() == "HEAD" {
            return Err(Refusal::ObjectNotFound);
        }
        self.begin(context, identity, client, workspace, agent)
            .await
    }

    /// Begins a conversation, as the page's own button does.
    async fn begin(
        &self,
        context: &Context,
        identity: &Identity,
        client: Option<ClientId>,
        workspace: &str,
        agent: &str,
    ) -> Result<ObjectId, Refusal> {
        // The contract does not say under which names the route reads them.
        let body = json!({"workspace": workspace, "workspace_slug": workspace, "ws_slug": workspace,
                          "agent": agent, "agent_slug": agent});
        let question = Question {
            method: "POST",
            target: "/api/conversations/new",
            client,
            body: body.to_string().into(),
        };
        let since = self.owners.epoch();
        let begun = self.look_up(
            question,
            identity,
            context,
            "guard_unavailable",
            |status, body| match status {
                200 | 201 => begun(body).map(Some),
                404 => Some(None),
                _ => None,
            },
        );
        let id = begun.await.ok_or(Refusal::GuardUnavailable)?;
        self.exported.forget(&identity.user());
        let id = id.ok_or(Refusal::ObjectNotFound)?;
        let one = Conversation {
            id,
            client,
            workspace: workspace.to_owned(),
            agent: agent.to_owned(),
        };
        let learnt = self.owners.learn(identity.user(), vec![one], since).await;
        learnt.map_err(broken_index)?;
        Ok(id)
    }

    async fn listed(
        &self,
        context: &Context,
        identity: &Identity,
        target: &str,
        client: Option<ClientId>,
    ) -> Result<Listed, Refusal> {
        let since = self.owners.epoch();
        let listed = self.look_up(
            Question::get(target, client),
            identity,
            context,
            "guard_unavailable",
            |status, body| (status == 200).then(|| listed(body)).flatten(),
        );
        let listed = listed.await.ok_or(Refusal::GuardUnavailable)?;
        let learnt = self
            .owners
            .learn(identity.user(), listed.rows.clone(), since);
        learnt.await.map_err(broken_index)?;
        Ok(listed)
    }

    async fn export(
        &self,
        context: &Context,
        identity: &Identity,
    ) -> Result<Vec<Conversation>, Refusal> {
        let since = self.owners.epoch();
        let before = self.exported.epoch();
        let rows = self.look_up(
            Question::get("/api/export", None),
            identity,
            context,
            "guard_unavailable",
            |status, body| (status == 200).then(|| exported(body)).flatten(),
        );
        let rows = rows.await.ok_or(Refusal::GuardUnavailable)?;
        let ids = rows.iter().map(|row| row.id).collect();
        self.exported.set(identity.user(), Arc::new(ids), before);
        let learnt = self
            .owners
            .learn(identity.user(), rows.clone(), since)
            .await;
        learnt.map_err(broken_index)?;
        Ok(rows)
    }
}
