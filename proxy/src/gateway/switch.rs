//! The gateway's switch, as it stands now. A request takes one look and keeps
//! what it saw.

use arc_swap::ArcSwap;
use camarad_config::Gateway as Config;
use camarad_policies::operation::Operation;
use camarad_policies::route::Switch;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Holds the switch; changes make a new generation, which no cached answer of
/// the one before belongs to.
pub(crate) struct SwitchBoard {
    current: ArcSwap<Switch>,
}

impl SwitchBoard {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            current: ArcSwap::from_pointee(Switch {
                enabled: config.enabled,
                mock_only: config.mock_only.clone(),
                service_account: config.service_account,
                generation: 1,
            }),
        }
    }

    /// What is in force.
    pub(crate) fn current(&self) -> Arc<Switch> {
        self.current.load_full()
    }

    /// Whether the service account may stand in, as the settings have it.
    pub(crate) fn allow_service(&self, allowed: bool) {
        self.current
            .rcu(|now| match now.service_account == allowed {
                true => now.clone(),
                false => Arc::new(Switch {
                    service_account: allowed,
                    generation: now.generation + 1,
                    ..Switch::clone(now)
                }),
            });
    }

    /// Switches Coolbits on or off, and says what only the mock answers; what is not
    /// said stays, and saying what is so already changes nothing.
    pub(crate) fn set(
        &self,
        enabled: Option<bool>,
        mock_only: Option<&BTreeSet<Operation>>,
    ) -> Arc<Switch> {
        self.current.rcu(|now| {
            let enabled = enabled.unwrap_or(now.enabled);
            let mock_only = mock_only.unwrap_or(&now.mock_only);
            match now.enabled == enabled && now.mock_only == *mock_only {
                true => now.clone(),
                false => Arc::new(Switch {
                    enabled,
                    mock_only: mock_only.clone(),
                    generation: now.generation + 1,
                    ..Switch::clone(now)
                }),
            }
        });
        self.current()
    }
}
