//! Asking the app whose an object is, as the caller's user.
//!
//! An answer that does not say is [`Refusal::GuardUnavailable`], never a guess. It
//! is true for as long as the object is held (`super::guard`).

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use camarad_policies::authorise::Permit;
use camarad_policies::guard::{self, Object, Owner};
use camarad_policies::ids::{ClientId, ObjectId};
use camarad_policies::refusal::Refusal;

impl Sidecar {
    /// Whose an object is, as the app says now.
    pub(super) async fn owner_of(
        &self,
        context: &Context,
        permit: &Permit,
        object: Object,
        id: ObjectId,
    ) -> Result<Owner, Refusal> {
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let ask = |target: String, client| async move {
            self.ask_for_owner(context, permit, &target, client).await
        };
        match object {
            Object::Conversation => {
                let owners = self.owners_of(context, identity, &[id]).await?;
                Ok(owners.get(&id).copied().unwrap_or(Owner::Nobody))
            }
            Object::Flow => ask(format!("/api/flows/{id}"), None).await,
            // The app wants a client to be named for these.
            Object::Run => ask(format!("/api/orchestrator/history/{id}"), permit.client()).await,
            Object::Meeting => {
                self.owner_of_meeting(context, permit, &id.to_string())
                    .await
            }
            Object::Client => {
                let listed = self.ask_for_clients(identity, context).await;
                let listed = listed.map_err(|_| Refusal::GuardUnavailable)?;
                let own = listed.iter().find(|client| client.get() == id.get());
                Ok(own.copied().map_or(Owner::Nobody, Owner::Client))
            }
            Object::Link => {
                let rows = self.look_up(
                    Question::get("/api/client_connectors", None),
                    identity,
                    context,
                    "guard_unavailable",
                    |status, body| {
                        (status == 200)
                            .then(|| guard::owner_in_rows(body, id))
                            .flatten()
                    },
                );
                rows.await.ok_or(Refusal::GuardUnavailable)
            }
        }
    }

    /// The same of a meeting, whose ids are texts; `name` as it stands in the path.
    pub(super) async fn owner_of_meeting(
        &self,
        context: &Context,
        permit: &Permit,
        name: &str,
    ) -> Result<Owner, Refusal> {
        let target = format!("/api/boardroom/meetings/{name}");
        self.ask_for_owner(context, permit, &target, permit.client())
            .await
    }

    /// Asks for the object itself; its answer says whose it is.
    async fn ask_for_owner(
        &self,
        context: &Context,
        permit: &Permit,
        target: &str,
        client: Option<ClientId>,
    ) -> Result<Owner, Refusal> {
        let identity = permit.identity().ok_or(Refusal::ObjectNotFound)?;
        let owner = self.look_up(
            Question::get(target, client),
            identity,
            context,
            "guard_unavailable",
            |status, body| match status {
                200 => guard::owner_in(body),
                404 => Some(Owner::Nobody),
                _ => None,
            },
        );
        owner.await.ok_or(Refusal::GuardUnavailable)
    }
}
