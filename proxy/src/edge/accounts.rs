//! Asking the app which accounts a client is linked to, and holding requests to them.

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use camarad_policies::accounts::{self, Link};
use camarad_policies::authorise::Permit;
use camarad_policies::fields::Fields;
use camarad_policies::identity::Identity;
use camarad_policies::ids::ClientId;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{CoolbitsCredential, Plan};
use std::sync::Arc;

/// The parameter by which a list of accounts is asked for to link one.
const PURPOSE: &str = "purpose";

impl Sidecar {
    /// Holds a request to the accounts of its client; gives the links by which lists
    /// in its answer are filtered.
    pub(super) async fn bound_to_accounts(
        &self,
        context: &Context,
        permit: Permit,
        plan: &Plan,
        fields: Option<&Fields>,
    ) -> Result<(Permit, Option<Arc<[Link]>>), Refusal> {
        let bound = permit.rule().accounts;
        let bound = bound.filter(|_| self.config.tenancy.bind_accounts);
        // Under the service account the operator's own table counts, and nothing that callers linked.
        let by_table = matches!(plan, Plan::Coolbits(_, CoolbitsCredential::Service));
        let (Some(bound), Some(identity), Some(client), false) =
            (bound, permit.identity(), permit.client(), by_table)
        else {
            return Ok((permit, None));
        };
        let links = self.links_of(identity, client, context).await?;
        let to_link = permit.query().get(PURPOSE) == Some("link");
        let permit = accounts::bind(permit, bound, fields, &links)?;
        Ok((permit, (!to_link).then_some(links)))
    }

    /// The app's own list of a client's links, at most `tenancy.directory_ttl` old.
    async fn links_of(
        &self,
        identity: &Identity,
        client: ClientId,
        context: &Context,
    ) -> Result<Arc<[Link]>, Refusal> {
        let ask = || async {
            let target = format!("/api/client_connectors?client_id={client}");
            let listed = self.look_up(
                Question::get(&target, Some(client)),
                identity,
                context,
                "guard_unavailable",
                |status, body| {
                    (status == 200)
                        .then(|| accounts::links(body, client))
                        .flatten()
                },
            );
            let listed = listed.await.ok_or(Refusal::GuardUnavailable)?;
            Ok(listed.into())
        };
        let key = (identity.user(), client);
        self.tenants.links.get(key, ask).await
    }
}
