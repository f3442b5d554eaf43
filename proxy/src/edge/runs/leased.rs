//! Handles in place of accounts, for a run that asks Coolbits through us.
//!
//! Only where the app is given our listener as its Coolbits (`behind.listen`): anywhere else
//! a handle would be an account that nobody has.

use super::super::Sidecar;
use super::asked::Asking;
use crate::behind::{Handle, Lease};
use camarad_policies::authorise::Permit;
use camarad_policies::behind::revealed;
use camarad_policies::guardrails::bind::with_handles;
use camarad_policies::operation::Operation;
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{CoolbitsCredential, Switch};
use serde_json::{Map, Value};

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
        let mut lease = handles.lease();
        let mut is_drawn = true;
        let flow = with_handles(&bound, &mut |read| {
            let credential = credential(&asking.permit, switch, read.connector.name);
            let tenant = asking.tenant;
            let mut handle = Handle::new(tenant.user, tenant.client, read.connector, credential);
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
    /// What the handles stand for, for the ledger.
    pub(super) fn told(&self) -> Value {
        let all = self.lease.iter().flat_map(Lease::all);
        let one = |(id, handle): (&String, &Handle)| (id.clone(), handle.account.clone().into());
        Value::Object(all.map(one).collect::<Map<_, _>>())
    }
}

/// An answer of the app with the real accounts, and with what came of each read.
pub(super) fn revealed_answer(answer: Value, lease: &Lease) -> Value {
    let account = |id: &str| Some(lease.find(id)?.account.clone().unwrap_or_default());
    let mut answer = revealed(answer, &account);
    let results = answer.get_mut("results").and_then(Value::as_array_mut);
    for result in results.into_iter().flatten() {
        let node = result["node_id"].as_str().map(str::to_owned);
        let read = lease
            .all()
            .find(|(_, handle)| Some(&handle.node_id) == node.as_ref());
        let gateway = read.and_then(|(_, handle)| handle.gateway());
        if let (Some(gateway), Some(data)) = (gateway, result["data"].as_object_mut()) {
            data.insert("gateway".to_owned(), gateway);
        }
    }
    answer
}

/// With whose token a connector is read for a run; `None` where it is not to be.
fn credential(permit: &Permit, switch: &Switch, connector: &str) -> Option<CoolbitsCredential> {
    let read = match connector {
        "ga4" => Operation::Ga4Overview,
        _ => Operation::GoogleAdsCampaigns,
    };
    if !switch.enabled || switch.mock_only.contains(&read) {
        return None;
    }
    let own = permit
        .identity()
        .and_then(|identity| identity.coolbits_token());
    match own {
        Some(token) => Some(CoolbitsCredential::Caller(token.clone())),
        None => switch
            .service_account
            .then_some(CoolbitsCredential::Service),
    }
}
