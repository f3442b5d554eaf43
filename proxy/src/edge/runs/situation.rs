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
use camarad_policies::authorise::Permit;
use camarad_policies::flow::Flow;
use camarad_policies::guardrails::bind::with_accounts;
use camarad_policies::guardrails::{Needs, Situation, Standing, State, needs};
use camarad_policies::identity::Identity;
use camarad_policies::operation::Connector;
use camarad_policies::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that somebody has, or nothing where that is not known.
pub(super) type Known = Option<Arc<BTreeSet<String>>>;
/// A client's connectors and how the app says that they are.
pub(super) type Links = BTreeMap<String, String>;

/// Connectors that the app reads during a run, with an account of each.
const READ: [&str; 2] = ["google-ads", "ga4"];
/// More agents than the app has.
const ALL_AGENTS: u64 = 1000;

impl Sidecar {
    /// The flow with the client's own accounts where its nodes name none: the linked one,
    /// else the stored one, which the app would take unlooked at.
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
        let (read, _) = Flow::read(flow);
        let named = needs(&read).connectors;
        let mut chosen = BTreeMap::new();
        for slug in READ.into_iter().filter(|slug| named.contains(*slug)) {
            let links = self.links_of(identity, context).await?;
            let connector = accounts::Connector::find(slug);
            let linked = connector.and_then(|one| one.chosen(tenant.client, &links));
            let account = match linked {
                Some(account) => Some(account),
                None => self.stored_account(context, identity, tenant, slug).await?,
            };
            chosen.extend(account.map(|account| (slug, account)));
        }
        Ok(with_accounts(flow, &|slug| chosen.get(slug).cloned()))
    }

    /// The account in the app's stored settings of a connector, of the client or of none.
    async fn stored_account(
        &self,
        context: &Context,
        identity: &Identity,
        tenant: Tenant,
        slug: &'static str,
    ) -> Result<Option<String>, Refusal> {
        let target = format!("/api/connectors/{slug}");
        let question = Question::get(&target, Some(tenant.client));
        let names = accounts::Connector::find(slug).map(accounts::Connector::names);
        let read = |status, body: &[u8]| {
            let settings: Value = serde_json::from_slice(body).ok()?;
            let config = settings.get("config").filter(|_| status == 200)?;
            let text = |name: &&str| match config.get(*name)? {
                Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            Some(names.unwrap_or_default().iter().find_map(text))
        };
        let stored = self.look_up(question, identity, context, "guard_unavailable", read);
        stored.await.ok_or(Refusal::GuardUnavailable)
    }

    /// What is known for a flow: as it came, for its size, and with its accounts.
    pub(super) async fn situation(
        &self,
        context: &Context,
        asking: &Asking,
        came: &Value,
        bound: &Value,
    ) -> Result<Situation, Refusal> {
        let (tenant, gateway_on) = (asking.tenant, asking.gateway_on);
        let identity = asking.permit.identity().ok_or(Refusal::ClientRequired)?;
        let needs = needs(&Flow::read(bound).0);
        let served = Connector::ALL.map(|connector| connector.name().to_owned());
        let served = BTreeSet::from(served);
        let states = self.states(context, identity, tenant, gateway_on, &needs, &served);
        let states = states.await;
        let chosen = READ.map(|slug| (slug.to_owned(), false));
        Ok(Situation {
            bytes: came.to_string().len(),
            gateway_on,
            states,
            catalogue: self.catalogue(context, identity, &needs).await,
            agents: self.agents_of_app(context, identity, &needs).await,
            accounts: self.standings(context, identity, tenant, &needs).await?,
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
            Ok::<_, ()>(listed.await.map(Arc::new))
        };
        let known = self.runs.catalogue.get(identity.user(), ask).await;
        known.ok().flatten().map(|slugs| (*slugs).clone())
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
            // A list with a gap would make agents unknown that are there.
            Ok::<_, ()>(listed.await.map(Arc::new))
        };
        let known = self.runs.agents.get((), ask).await;
        known.ok().flatten().map(|slugs| (*slugs).clone())
    }

    /// Whose the accounts are that the flow names.
    ///
    /// Errors where that cannot be had: an account must not be taken for one's own.
    async fn standings(
        &self,
        context: &Context,
        identity: &Identity,
        tenant: Tenant,
        needs: &Needs,
    ) -> Result<BTreeMap<(String, String), Standing>, Refusal> {
        let mut standings = BTreeMap::new();
        if needs.accounts.is_empty() {
            return Ok(standings);
        }
        let is_bound = self.config.tenancy.bind_accounts;
        let links = match is_bound {
            true => self.links_of(identity, context).await?,
            false => Arc::default(),
        };
        for (slug, account) in &needs.accounts {
            let connector = accounts::Connector::of_link(slug);
            let standing = match connector.filter(|_| is_bound) {
                Some(connector) => connector.standing(account, tenant.client, &links),
                None => Standing::Linked,
            };
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
