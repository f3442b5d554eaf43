//! Handles in place of accounts, for a run that asks Coolbits through us.
//!
//! Only where the app is given our listener as its Coolbits (`behind.listen`): anywhere else
//! a handle would be an account that nobody has.

use super::super::Sidecar;
use super::asked::Asking;
use crate::behind::{Handle, Lease};
use camarad_policies::behind::{Claim, proven, revealed};
use camarad_policies::guardrails::bind::with_handles;
use camarad_policies::identity::Identity;
use camarad_policies::operation::Operation;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{CoolbitsCredential, Switch};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A flow as the app is given it, and what its handles stand for.
pub(super) struct Leased {
    pub(super) flow: Value,
    /// `None` where the accounts themselves are in the flow.
    pub(super) lease: Option<Lease>,
}

impl Sidecar {
    /// The flow with handles, where the app asks Coolbits through us.
    pub(super) fn leased(
        &self,
        asking: &Asking,
        switch: &Switch,
        bound: Value,
    ) -> Result<Leased, Refusal> {
        let Some(handles) = &self.handles else {
            return Ok(Leased {
                flow: bound,
                lease: None,
            });
        };
        let identity = asking.permit.identity().ok_or(Refusal::ClientRequired)?;
        let mut lease = handles.lease();
        let mut is_drawn = true;
        let flow = with_handles(&bound, &mut |read| {
            let tenant = asking.tenant;
            let operation = match read.connector.name {
                "ga4" => Operation::Ga4Overview,
                _ => Operation::GoogleAdsCampaigns,
            };
            let credential = credential(identity, switch, operation);
            let (user, client, connector) = (tenant.user, tenant.client, read.connector);
            let token = identity.token().clone();
            let mut handle = Handle::new(user, client, connector, operation, token, credential);
            (handle.node_id, handle.account) = (read.node_id, read.account);
            handle.manager = read.manager;
            let id = lease.add(handle);
            is_drawn &= id.is_some();
            id.unwrap_or_default()
        });
        // Without a handle a node would be read for nobody knows whom.
        is_drawn.then_some(()).ok_or(Refusal::Internal)?;
        Ok(Leased {
            flow,
            lease: Some(lease),
        })
    }
}

impl Leased {
    /// What the handles stand for, for the ledger; empty where there is no account.
    pub(super) fn told(&self) -> BTreeMap<String, String> {
        let all = self.lease.iter().flat_map(Lease::all);
        all.map(|(id, handle)| (id.clone(), handle.account.clone().unwrap_or_default()))
            .collect()
    }
}

/// An answer of the app, with what it says by right.
pub(super) struct Told {
    /// With the real accounts, with what came of each read, and without figures that were
    /// not read by its handles.
    pub(super) answer: Value,
    /// Figures were called real that nobody read for this caller: they are somebody's, and
    /// stand in texts and branches too.
    pub(super) is_foreign: bool,
}

/// The answer of the app for whoever holds the handles.
pub(super) fn told_answer(mut answer: Value, lease: &Lease) -> Told {
    let mut is_foreign = false;
    let mut emptied = Vec::new();
    let results = answer.get_mut("results").and_then(Value::as_array_mut);
    for result in results.into_iter().flatten() {
        let Some(handle) = handle_of(result, lease) else {
            continue;
        };
        match proven(result, handle.was_read()) {
            Claim::Foreign => is_foreign = true,
            Claim::Empty => emptied.push((result["node_id"].clone(), result["step"].clone())),
            Claim::None | Claim::Proven => {}
        }
        let gateway = handle.gateway().unwrap_or(Value::Null);
        if let Some(data) = result["data"].as_object_mut() {
            data.insert("gateway".to_owned(), gateway);
        }
    }
    let steps = answer.get_mut("steps").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten() {
        if emptied.contains(&(step["node_id"].clone(), step["step"].clone())) {
            step["kpis"] = Value::Object(Map::new());
        }
    }
    let account = |id: &str| Some(lease.find(id)?.account.clone().unwrap_or_default());
    Told {
        answer: revealed(answer, &account),
        is_foreign,
    }
}

/// The handle that a step read by: the one it names, else the one of its node.
fn handle_of<'a>(result: &Value, lease: &'a Lease) -> Option<&'a Handle> {
    let data = &result["data"];
    let named = ["account_id", "property_id"].into_iter().find_map(|name| {
        let id = match &data[name] {
            Value::Number(number) => number.to_string(),
            other => other.as_str()?.to_owned(),
        };
        lease.find(&id)
    });
    if let Some(handle) = named {
        return Some(handle);
    }
    let node = match &result["node_id"] {
        Value::Number(number) => number.to_string(),
        other => other.as_str()?.to_owned(),
    };
    let mut of_node = lease.all().filter(|(_, handle)| handle.node_id == node);
    let (_, first) = of_node.next()?;
    // A number and a text that look alike are two nodes.
    of_node.next().is_none().then_some(first)
}

/// With whose token a connector is read for a run; `None` where it is not to be.
fn credential(identity: &Identity, switch: &Switch, read: Operation) -> Option<CoolbitsCredential> {
    if !switch.enabled || switch.mock_only.contains(&read) {
        return None;
    }
    match identity.coolbits_token() {
        Some(token) => Some(CoolbitsCredential::Caller(token.clone())),
        None => switch
            .service_account
            .then_some(CoolbitsCredential::Service),
    }
}
