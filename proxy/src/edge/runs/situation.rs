//! What has to be known of a client before a flow runs for it, asked of the app.
//!
//! What the app does not say is unknown, which the guardrails tell as a warning; only
//! whose an account is must be known where the flow names one.

use super::super::Sidecar;
use super::super::context::Context;
use super::super::own::Question;
use super::asked::Asking;
use super::{Tenant, slugs};
use camarad_policies::accounts;
use camarad_policies::authorise::{Permit, Reach};
use camarad_policies::flow::Flow;
use camarad_policies::guard::{self, Owner};
use camarad_policies::guardrails::bind::{Chosen, reads, with_accounts};
use camarad_policies::guardrails::{Needs, Situation, Standing, State, needs};
use camarad_policies::identity::Identity;
use camarad_policies::operation::Connector;
use camarad_policies::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that somebody has.
pub(super) type Known = Arc<BTreeSet<String>>;
/// A client's connectors and how the app says that they are.
pub(super) type Links = BTreeMap<String, String>;

/// What stored settings of a connector say of accounts.
struct StoredAccounts {
    account: Option<Value>,
    manager: Option<Value>,
    /// They are the user's own, of no client.
    is_users: bool,
}

/// Whether a setting says anything, as the app reads it.
fn is_said(setting: &Value) -> bool {
    match setting {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(rows) => !rows.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    }
}

/// More agents than the app has.
const ALL_AGENTS: u64 = 1000;

impl Sidecar {
    /// The flow with the account that is read in every node: its own, else the linked one,
    /// else the stored one, which the app would take unlooked at.
    ///
    /// Errors with [`Refusal::AccountNotLinked`] where only the user's own settings, of no
    /// client, say what would be read, and the caller is limited to clients.
    pub(super) async fn bound_flow(
        &self,
        context: &Context,
        permit: &Permit,
        tenant: Tenant,
        flow: &Value,
    ) -> Result<Value, Refusal> {
        if !self.config.tenancy.bind_accounts {
            return Ok(flow.clone());
        }
        let identity = permit.identity().ok_or(Refusal::ClientRequired)?;
        let is_limited = permit.reach().is_some_and(Reach::is_limited);
        let mut all = BTreeMap::new();
        for slug in reads(&Flow::read(flow).0) {
            let Some(connector) = accounts::Connector::find(slug) else {
                continue;
            };
            let links = self.links_of(identity, context).await?;
            let stored = self
                .stored_accounts(context, identity, tenant, connector)
                .await?;
            let linked = connector.chosen(tenant.client, &links).map(Value::String);
            let is_open =
                stored.manager.is_some() || (linked.is_none() && stored.account.is_some());
            if is_open && stored.is_users && is_limited {
                return Err(Refusal::AccountNotLinked);
            }
            let chosen = Chosen {
                account: linked.or(stored.account),
                manager: stored.manager,
            };
            all.insert(slug, chosen);
        }
        Ok(with_accounts(flow, &|slug| {
            all.get(slug).cloned().unwrap_or_default()
        }))
    }

    /// What the app's stored settings of a connector say of accounts, of the client or of none.
    async fn stored_accounts(
        &self,
        context: &Context,
        identity: &Identity,
        tenant: Tenant,
        connector: &'static accounts::Connector,
    ) -> Result<StoredAccounts, Refusal> {
        let target = format!("/api/connectors/{}", connector.name);
        let question = Question::get(&target, Some(tenant.client));
        let read = |status, body: &[u8]| {
            let settings: Value = serde_json::from_slice(body).ok()?;
            let config = settings.get("config").filter(|_| status == 200)?;
            // As it stands there, odd or not: it is looked at like what a node names.
            let first = |names: &[&str]| {
                let said = |name: &&str| Some(config.get(*name)?.clone()).filter(is_said);
                names.iter().find_map(said)
            };
            Some(StoredAccounts {
                account: first(connector.names()),
                manager: first(connector.managers()),
                is_users: !matches!(guard::owner_in(body), Some(Owner::Client(_))),
            })
        };
        let stored = self.look_up(question, identity, context, "guard_unavailable", read);
        stored.await.ok_or(Refusal::GuardUnavailable)
    }

    /// What is known for a flow: as it came, for its size, and with its accounts.
    pub(super) async fn situation(
        &self,
        context: &Context,
        asking: &Asking,
        bytes: usize,
        bound: &Value,
    ) -> Result<Situation, Refusal> {
        let (tenant, gateway_on) = (asking.tenant, asking.switch.enabled);
        let identity = asking.permit.identity().ok_or(Refusal::ClientRequired)?;
        let needs = needs(&Flow::read(bound).0);
        let served = Connector::ALL.map(|connector| connector.name().to_owned());
        let served = BTreeSet::from(served);
        let states = self.states(context, identity, tenant, gateway_on, &needs, &served);
        let states = states.await;
        let chosen = ["google-ads", "ga4"].map(|slug| (slug.to_owned(), false));
        Ok(Situation {
            bytes,
            gateway_on,
            states,
            catalogue: self.catalogue(context, identity, &needs).await,
            agents: self.agents_of_app(context, identity, &needs).await,
            accounts: self.standings(context, asking, &needs).await?,
            // Whatever there was to choose stands in the nodes by now.
            chosen: chosen.into(),
            delivered: self.delivered(),
            served,
        })
    }

    /// How the client's connectors are: linked, as the app says, and as the gateway is.
    async fn states(
        &self,
        context: &Context,
        identity: &Identity,
        tenant: Tenant,
        gateway_on: bool,
        needs: &Needs,
        served: &BTreeSet<String>,
    ) -> BTreeMap<String, State> {
        if needs.connectors.is_empty() {
            return BTreeMap::new();
        }
        let ask = || async {
            let question = Question::get("/api/connectors/list", Some(tenant.client));
            let read = |status, body: &[u8]| (status == 200).then(|| links(body)).flatten();
            let listed = self.look_up(question, identity, context, "unknown", read);
            listed.await.map(Arc::new).ok_or(())
        };
        let key = (tenant.user, tenant.client);
        let Ok(listed) = self.runs.connectors.get(key, ask).await else {
            return BTreeMap::new();
        };
        let falters = self.gateway.falters(gateway_on);
        let state = |slug: &String| {
            let said = listed.get(slug).map(String::as_str);
            match said.map_or(State::Disconnected, read_state) {
                State::Connected if falters && served.contains(slug) => State::Degraded,
                state => state,
            }
        };
        let of = |slug: &String| (slug.clone(), state(slug));
        needs.connectors.iter().map(of).collect()
    }

    /// The connectors that the app knows; asked for where the table knows less.
    async fn catalogue(
        &self,
        context: &Context,
        identity: &Identity,
        needs: &Needs,
    ) -> Option<BTreeSet<String>> {
        let table = &self.config.orchestrator.guardrails;
        let is_known = |slug: &String| table.connector_name(slug).is_some();
        if needs.connectors.iter().all(is_known) {
            return None;
        }
        let ask = || async {
            let question = Question::get("/api/connectors/list", None);
            let read = |status, body: &[u8]| {
                let rows = serde_json::from_slice(body)
                    .ok()
                    .filter(|_| status == 200)?;
                slugs(&rows, "slug")
            };
            let listed = self.look_up(question, identity, context, "unknown", read);
            listed.await.map(Arc::new).ok_or(())
        };
        let known = self.runs.catalogue.get(identity.user(), ask).await;
        known.ok().map(|slugs| (*slugs).clone())
    }

    /// The agents that the app knows, if it tells all of them.
    async fn agents_of_app(
        &self,
        context: &Context,
        identity: &Identity,
        needs: &Needs,
    ) -> Option<BTreeSet<String>> {
        if needs.agents.is_empty() {
            return None;
        }
        let ask = || async {
            let body = json!({"task": "list", "top_k": ALL_AGENTS});
            let question = Question {
                method: "POST",
                target: "/api/orchestrator/route",
                client: None,
                body: crate::json::to_body(&body),
            };
            let read = |status, body: &[u8]| (status == 200).then(|| agents(body)).flatten();
            let listed = self.look_up(question, identity, context, "unknown", read);
            // A list with a gap would make agents unknown that are there. And what one caller
            // did not get is not kept for all.
            listed.await.map(Arc::new).ok_or(())
        };
        let known = self.runs.agents.get((), ask).await;
        known.ok().map(|slugs| (*slugs).clone())
    }

    /// Whose the accounts are that the flow names.
    ///
    /// Errors where that cannot be had: an account must not be taken for one's own.
    async fn standings(
        &self,
        context: &Context,
        asking: &Asking,
        needs: &Needs,
    ) -> Result<BTreeMap<(String, String), Standing>, Refusal> {
        let Asking { permit, tenant, .. } = asking;
        let mut standings = BTreeMap::new();
        let identity = permit.identity().ok_or(Refusal::ClientRequired)?;
        if needs.accounts.is_empty() {
            return Ok(standings);
        }
        let is_bound = self.config.tenancy.bind_accounts;
        let links = match is_bound {
            true => self.links_of(identity, context).await?,
            false => Arc::default(),
        };
        let is_limited = permit.reach().is_some_and(Reach::is_limited);
        let mut made = BTreeMap::new();
        for (slug, account) in &needs.accounts {
            let of = made.entry(slug).or_insert_with(|| {
                let connector = accounts::Connector::find(slug).filter(|_| is_bound)?;
                Some(connector.standings(tenant.client, &links, is_limited))
            });
            let standing = of.as_ref().map_or(Standing::Linked, |of| of.of(account));
            standings.insert((slug.clone(), account.clone()), standing);
        }
        Ok(standings)
    }
}

/// A client's connectors in the app's list: its links. Of two links to one connector a
/// connected one counts.
fn links(body: &[u8]) -> Option<Links> {
    let rows: Value = serde_json::from_slice(body).ok()?;
    let mut links = Links::new();
    for row in rows.as_array()? {
        let slug = row.get("slug")?.as_str()?.to_lowercase();
        let status = row
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known = links.get(&slug).map(|status: &String| read_state(status));
        if known != Some(State::Connected) {
            links.insert(slug, status.to_lowercase());
        }
    }
    Some(links)
}

/// What the app's word for how a connector is means.
fn read_state(word: &str) -> State {
    match word {
        "connected" | "active" | "live" | "ok" => State::Connected,
        "degraded" | "expired" | "error" | "warning" => State::Degraded,
        _ => State::Disconnected,
    }
}

/// The agents of an answer that tells all of them; `None` where some are left out.
fn agents(body: &[u8]) -> Option<BTreeSet<String>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let all = slugs(answer.get("matches")?, "agent_slug")?;
    let total = answer.get("total_candidates")?.as_u64()?;
    (all.len() as u64 == total && total > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_connectors_are_as_the_app_lists_them() {
        let body = br#"[{"slug": "GA4", "status": "disconnected"}, {"slug": "ga4", "status": "connected"},
            {"slug": "ga4", "status": "disconnected"}, {"slug": "stripe"}, {"slug": "aws", "status": "Error"}]"#;
        let read = links(body).unwrap();
        let state = |slug: &str| read.get(slug).map(|word| read_state(word));
        assert_eq!(state("ga4"), Some(State::Connected));
        assert_eq!(state("stripe"), Some(State::Disconnected));
        assert_eq!(state("aws"), Some(State::Degraded));
        assert_eq!(state("hubspot"), None);
        for odd in ["{}", "[1]", r#"[{"status": "connected"}]"#, "<html>"] {
            assert_eq!(links(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn agents_are_known_only_where_all_are_told() {
        let all = br#"{"matches": [{"agent_slug": "SEO"}, {"agent_slug": "cmo"}], "total_candidates": 2}"#;
        assert_eq!(
            agents(all).unwrap(),
            ["cmo", "seo"].map(String::from).into()
        );
        for less in [
            r#"{"matches": [{"agent_slug": "seo"}], "total_candidates": 2}"#,
            r#"{"matches": [], "total_candidates": 0}"#,
            r#"{"matches": [{"agent": "seo"}], "total_candidates": 1}"#,
            "[]",
        ] {
            assert_eq!(agents(less.as_bytes()), None, "{less}");
        }
    }
}
