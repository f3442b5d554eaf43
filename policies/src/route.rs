//! From a permit to a [`Plan`]: who answers.
//!
//! Pure, so that "gateway off asks Coolbits nothing" is a property of a value
//! and not of a code path that somebody has to remember.

use crate::authorise::Permit;
use crate::identity::Token;
use crate::matrix::{Act, Serve};
use crate::operation::Operation;
use crate::refusal::Refusal;
use std::collections::BTreeSet;

/// Who answers a request, and what it needs for that.
pub enum Plan {
    /// The app, streamed.
    Stream,
    /// The app, held whole.
    Whole,
    /// The app, its answer tagged as made up.
    MadeUp,
    /// Coolbits or the mock: a connector's operation.
    Connector(Operation, Answerer),
    /// The sidecar: how the gateway is doing.
    Health,
    /// The sidecar, with the app behind it: what is done about runs.
    Runs(Act),
}

/// Who answers a connector's operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// Coolbits, or the mock when that fails.
    Coolbits(CoolbitsCredential),
    /// The mock, and why.
    Mock(MockReason),
}

/// With whose token Coolbits is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoolbitsCredential {
    /// The caller's own.
    Caller(Token),
    /// The shared service account, allowed by the operator for this client's own accounts.
    Service,
}

/// Why the mock answers without Coolbits being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockReason {
    /// The gateway is off.
    Disabled,
    /// The route is set to mock only.
    MockOnly,
    /// There is no credential that Coolbits may be given.
    NoCredential,
    /// Which account would be read is not known, and it may be another client's.
    NoAccount,
}

/// The gateway's switch as one request sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Whether Coolbits is asked at all.
    pub enabled: bool,
    /// Operations that the mock answers even so.
    pub mock_only: BTreeSet<Operation>,
    /// Whether the service account may stand in where the caller has no token for Coolbits.
    pub service_account: bool,
    /// Changes with every change of the switch; part of every cache key.
    pub generation: u64,
}

/// Chooses who answers.
pub fn route(permit: &Permit, switch: &Switch) -> Plan {
    let operation = match permit.rule().serve {
        Serve::Stream => return Plan::Stream,
        Serve::Whole => return Plan::Whole,
        Serve::MadeUp => return Plan::MadeUp,
        Serve::Health => return Plan::Health,
        Serve::Runs(act) => return Plan::Runs(act),
        Serve::Connector(operation) => operation,
    };
    Plan::Connector(operation, answerer(permit, operation, switch))
}

fn answerer(permit: &Permit, operation: Operation, switch: &Switch) -> Answerer {
    if !switch.enabled {
        return Answerer::Mock(MockReason::Disabled);
    }
    if switch.mock_only.contains(&operation) {
        return Answerer::Mock(MockReason::MockOnly);
    }
    let own = permit.identity().and_then(|i| i.coolbits_token());
    match own {
        Some(token) => Answerer::Coolbits(CoolbitsCredential::Caller(token.clone())),
        None if switch.service_account => Answerer::Coolbits(CoolbitsCredential::Service),
        None => Answerer::Mock(MockReason::NoCredential),
    }
}

impl Plan {
    /// The same where no account is known that may be read: the mock answers.
    ///
    /// Errors where the app would answer, which would choose one.
    pub fn without_account(self) -> Result<Self, Refusal> {
        match self {
            Self::Connector(operation, Answerer::Coolbits(_)) => {
                let mock = Answerer::Mock(MockReason::NoAccount);
                Ok(Self::Connector(operation, mock))
            }
            Self::Connector(_, Answerer::Mock(_)) => Ok(self),
            Self::Stream | Self::Whole | Self::MadeUp | Self::Health | Self::Runs(_) => {
                Err(Refusal::AccountNotLinked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorise::tests::{identity, permit};

    fn plan(target: &str, switch: &Switch) -> Plan {
        let permit = permit(Some(identity(1, Some(&[10]))), target, &[]).unwrap();
        route(&permit, switch)
    }

    const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";

    #[test]
    fn off_or_mock_only_never_plans_a_call_to_coolbits() {
        let off = Switch::default();
        assert!(matches!(
            plan(CAMPAIGNS, &off),
            Plan::Connector(_, Answerer::Mock(MockReason::Disabled))
        ));
        let mock_only = Switch {
            enabled: true,
            mock_only: [Operation::GoogleAdsCampaigns].into(),
            ..Switch::default()
        };
        assert!(matches!(
            plan(CAMPAIGNS, &mock_only),
            Plan::Connector(_, Answerer::Mock(MockReason::MockOnly))
        ));
        assert!(matches!(
            plan("/api/connectors/google-ads/metrics", &mock_only),
            Plan::Connector(
                Operation::GoogleAdsMetrics,
                Answerer::Coolbits(CoolbitsCredential::Caller(_))
            )
        ));
    }

    #[test]
    fn other_routes_go_to_the_app() {
        let on = Switch {
            enabled: true,
            ..Switch::default()
        };
        assert!(matches!(plan("/api/flows", &on), Plan::Whole));
        assert!(matches!(plan("/api/chat/suggestions", &on), Plan::Stream));
        assert!(matches!(plan("/api/connectors/aws/ec2", &on), Plan::MadeUp));
        assert!(matches!(plan("/app", &on), Plan::Stream));
    }
}
