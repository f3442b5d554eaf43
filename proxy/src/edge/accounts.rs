//! Asking the app which accounts a client is linked to, and holding requests to them.

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use crate::tenants::Around;
use camarad_policies::accounts::{self, Link};
use camarad_policies::authorise::Permit;
use camarad_policies::fields::Fields;
use camarad_policies::identity::Identity;
use camarad_policies::ids::{ClientId, ClientIds, ObjectId};
use camarad_policies::matrix::Serve;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{Answerer, CoolbitsCredential, Plan};
use std::sync::Arc;
use tokio::time::Instant;

/// The parameter by which a list of accounts is asked for to link one.
const PURPOSE: &str = "purpose";

/// What lists of accounts may show.
#[derive(Clone)]
pub(super) struct Seen {
    around: Arc<Around>,
    client: ClientId,
    /// They are asked for to link one.
    to_link: bool,
    /// Which account would be read is not known.
    pub(super) is_open: bool,
    /// When they were known; nothing but the scheduler has been waited for since.
    pub(super) at: Instant,
}

impl Sidecar {
    /// Holds a request to the accounts of its client; gives what lists in its
    /// answer may show.
    pub(super) async fn bound_to_accounts(
        &self,
        context: &Context,
        permit: &mut Arc<Permit>,
        plan: &Plan,
        fields: Option<&Fields>,
    ) -> Result<Option<Seen>, Refusal> {
        let bound = permit.rule().accounts;
        let bound = bound.filter(|_| self.config.tenancy.bind_accounts);
        // Under the service account the operator's own table counts, and nothing that callers linked.
        let by_table = matches!(
            plan,
            Plan::Connector(_, Answerer::Coolbits(CoolbitsCredential::Service))
        );
        let (Some(bound), Some(identity), Some(client), false) =
            (bound, permit.identity(), permit.client(), by_table)
        else {
            return Ok(None);
        };
        let (around, at) = self.around(client, identity, context).await?;
        let lists = matches!(permit.rule().serve, Serve::Connector(operation) if operation.lists());
        let to_link = lists && permit.query().get(PURPOSE) == Some("link");
        let bound = accounts::bind(permit, bound, fields, &around.links)?;
        Ok(Some(Seen {
            around,
            client,
            to_link,
            is_open: bound.is_open,
            at,
        }))
    }

    /// All clients of a user, of whom this one has to be one, and their links: a claim outlives
    /// its client, and without it nothing would be bound. And when that was known.
    async fn around(
        &self,
        client: ClientId,
        identity: &Identity,
        context: &Context,
    ) -> Result<(Arc<Around>, Instant), Refusal> {
        let is_one = |clients: &ClientIds| match clients.contains(&client) {
            true => Ok(()),
            false => Err(Refusal::ClientNotAllowed),
        };
        // Both are known, nearly always: one look at the clock, and no room for asking.
        let now = Instant::now();
        if let Some(around) = self.tenants.around(identity.user(), now) {
            return is_one(&around.clients).map(|()| (around, now));
        }
        let clients = Box::pin(self.clients_of(identity, context)).await?;
        is_one(&clients)?;
        let links = Box::pin(self.links_of(identity, context)).await?;
        Ok((Arc::new(Around { clients, links }), Instant::now()))
    }

    /// Refuses to link an account of a client that the token does not reach: one that
    /// the body names, or that the link has which is changed.
    pub(super) async fn may_link(
        &self,
        context: &Context,
        permit: &Permit,
        fields: Option<&Fields>,
        link: Option<ObjectId>,
    ) -> Result<(), Refusal> {
        let (Some(identity), Some(reach)) = (permit.identity(), permit.reach()) else {
            return Ok(());
        };
        let is_bound = self.config.tenancy.bind_accounts && permit.rule().links_account;
        if !is_bound || !reach.is_limited() {
            return Ok(());
        }
        let links = self.links_of(identity, context).await?;
        let mut accounts = Vec::new();
        if let Some(fields) = fields {
            // Neither text nor number is no account that could be compared.
            fields.text("account_id")?;
            accounts = fields.texts(&accounts::fields());
        }
        let own = link.and_then(|link| accounts::account_of(link, &links));
        accounts.extend(own.map(str::to_owned));
        match accounts
            .iter()
            .any(|account| accounts::is_out_of_reach(account, reach, &links))
        {
            true => Err(Refusal::AccountNotLinked),
            false => Ok(()),
        }
    }

    /// The app's own list of the links of a user's clients, at most `tenancy.directory_ttl` old.
    pub(super) async fn links_of(
        &self,
        identity: &Identity,
        context: &Context,
    ) -> Result<Arc<[Link]>, Refusal> {
        let ask = || async {
            let listed = self.look_up(
                Question::get("/api/client_connectors", None),
                identity,
                context,
                "guard_unavailable",
                |status, body| (status == 200).then(|| accounts::links(body)).flatten(),
            );
            let listed = listed.await.ok_or(Refusal::GuardUnavailable)?;
            Ok(listed.into())
        };
        self.tenants.links(identity.user(), ask).await
    }
}

impl Seen {
    /// Whether an account is linked to the client, and not only nobody else's.
    pub(super) fn is_linked(&self, account: &str, permit: &Permit) -> bool {
        let bound = permit.rule().accounts;
        bound.is_some_and(|bound| {
            bound
                .connector
                .links(account, self.client, &self.around.links)
        })
    }

    /// Whether a list may show an account.
    pub(super) fn allows(&self, account: &str, permit: &Permit) -> bool {
        let (Some(bound), Some(reach)) = (permit.rule().accounts, permit.reach()) else {
            return true;
        };
        match self.to_link {
            true => !accounts::is_out_of_reach(account, reach, &self.around.links),
            false => bound
                .connector
                .allows(account, self.client, &self.around.links),
        }
    }
}
