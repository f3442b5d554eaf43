//! Asking the app what agents are called within a client (`policies::agents`).

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use camarad_policies::agents::{AgentNames, Names, of_row, texts};
use camarad_policies::identity::Identity;
use camarad_policies::ids::ClientId;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::BTreeSet;

/// Agents asked about at once.
const AT_ONCE: usize = 4;

impl Sidecar {
    /// What is known of the agents of these rows.
    pub(super) async fn names_of(
        &self,
        context: &Context,
        identity: &Identity,
        rows: &[Value],
        decided: Option<ClientId>,
    ) -> Names {
        let keys: BTreeSet<_> = rows.iter().map(|row| of_row(row, decided)).collect();
        let asked = keys.into_iter().map(|(client, agent)| async move {
            let known = self.agent_names(context, identity, client, &agent).await;
            ((client, agent), known)
        });
        stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    /// The texts of an agent's settings within a client; none where they cannot be had.
    async fn agent_names(
        &self,
        context: &Context,
        identity: &Identity,
        client: Option<ClientId>,
        agent: &str,
    ) -> AgentNames {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if agent.is_empty() || !agent.bytes().all(plain) {
            return AgentNames::default();
        }
        let ask = || async {
            let target = format!("/api/agents/{agent}");
            let texts = self.look_up(
                Question::get(&target, client),
                identity,
                context,
                "agent_unavailable",
                |status, body| (status == 200).then(|| texts(body)).flatten(),
            );
            texts.await.ok_or(())
        };
        let key = (identity.user(), client, agent.to_owned());
        self.agents.get(key, ask).await.unwrap_or_default()
    }
}
