//! What is looked at before a run: what forbids it, and what should be known about it.
//!
//! Rules, limits and words are data (`tables/guardrails.toml`, `table`); what each rule
//! looks at is here: the flow's shape (`structure`), its connectors (`connectors`, `accounts`),
//! its conditions and outputs (`conditions`). What is known of the client is an argument
//! ([`Situation`]); what is not known is told as such, never guessed. Nothing here asks
//! anybody, and no flow is changed but by [`bind`].
//!
//! What goes wrong if misused: the flow that is looked at has to be the flow that is
//! forwarded, or all of this is about another one.

mod accounts;
pub mod bind;
mod conditions;
mod connectors;
mod finding;
mod structure;
mod table;

#[cfg(test)]
mod tests;

pub use connectors::{Needs, needs};
pub use finding::{Action, Finding, Verdict};
pub use table::{BUILT_IN, Guardrails, GuardrailsError, Limits};

use crate::flow::{Flow, Unreadable};
use finding::Findings;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How a connector is, for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is connected.
    Connected,
    /// It is, and does not answer reliably.
    Degraded,
    /// It is not.
    Disconnected,
    /// Nobody could say.
    Unknown,
}

/// What an account that a flow names is to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is linked to it.
    Linked,
    /// It is linked to nobody whom the user knows, and the client has none of its own.
    Unlinked,
    /// It is not one that this client may read: another client's, or not its own where it has
    /// some.
    NotAllowed,
    /// Nobody could say.
    Unknown,
}

/// What is known of a client when a flow is to run for it. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Size of the flow as it came.
    pub bytes: usize,
    /// Whether Coolbits is asked at all.
    pub gateway_on: bool,
    /// Connectors whose figures come by the gateway.
    pub served: BTreeSet<String>,
    /// By connector; one that is not there is unknown.
    pub states: BTreeMap<String, State>,
    /// The connectors that the app knows; `None`: those of the table are all.
    pub catalogue: Option<BTreeSet<String>>,
    /// The agents that the app knows; `None`: no agent is called unknown.
    pub agents: Option<BTreeSet<String>>,
    /// By connector and account as the flow writes it; one that is not there is unknown.
    pub accounts: BTreeMap<(String, String), Standing>,
    /// Whether an account stands in where a node names none, by connector; one that is not
    /// there is not told.
    pub chosen: BTreeMap<String, bool>,
    /// Metrics that connectors were seen to deliver, beyond the table's.
    pub delivered: BTreeMap<String, BTreeSet<String>>,
}

impl Guardrails {
    /// Whether a flow is small enough to be looked at, and to be asked about.
    pub fn fits(&self, flow: &Value, bytes: usize) -> bool {
        let limits = self.limits();
        let count = |name: &str| flow[name].as_array().map_or(0, Vec::len);
        bytes <= limits.bytes
            && count("nodes") <= limits.nodes
            && count("connections") <= limits.connections
    }

    /// Looks at a flow: everything that is wrong, the whole flow's first, then in its order.
    pub fn check(&self, flow: &Value, situation: &Situation) -> Verdict {
        let mut found = Findings::new(self);
        let (read, unreadable) = Flow::read(flow);
        if unreadable.contains(&Unreadable::Flow) {
            found.add("not_a_flow", None, None, &[]);
            return found.verdict();
        }
        let fits = structure::whole(&mut found, flow, &read, situation.bytes);
        if !fits && found.is_blocked() {
            // Nothing more is looked at of what is too large to be looked at.
            return found.verdict();
        }
        structure::nodes(&mut found, &read, &unreadable, |found, node| {
            accounts::accounts(found, node, situation);
        });
        structure::connections(&mut found, &read, &unreadable);
        structure::paths(&mut found, &read);
        let before = structure::before(&read);
        for (at, node) in read.nodes.iter().enumerate() {
            structure::kind(&mut found, node, situation);
            connectors::connector(&mut found, node, situation);
            conditions::condition(&mut found, &read, at, &before, situation);
            conditions::placeholders(&mut found, node);
        }
        found.verdict()
    }
}
