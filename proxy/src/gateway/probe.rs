//! Asking Coolbits whether it is there, when nobody else does.
//!
//! Now and then, and soon where somebody's reads fail one after the other. One request at a time, without a token, to a path that any server answers; an
//! answer below 500 is a good one. Whether reads are answered is theirs to say:
//! a good probe only lets them try again.

use super::failure::Failure;
use super::{Gateway, SwitchBoard};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two probes.
const LEAST: Duration = Duration::from_millis(250);
/// The longest that a probe waits.
const PATIENCE: Duration = Duration::from_secs(5);

impl Gateway {
    /// Probes while the gateway is on, for good.
    pub(crate) async fn probe_forever(&self, switch: Arc<SwitchBoard>) {
        loop {
            let last = Instant::now();
            if switch.current().enabled {
                self.vitals.probed(self.probe().await);
            } else {
                self.observer.metrics.gateway_up.set(0);
            }
            let jitter = 0.9 + 0.2 * fastrand::f64();
            let interval = self.probe_interval.mul_f64(jitter);
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                // At once, but not over and over.
                () = self.vitals.doubted() => sleep_until(last + LEAST.min(interval)).await,
            }
        }
    }

    async fn probe(&self) -> Result<(), (Failure, Arc<str>)> {
        let path = self.probe_path.clone();
        let failed = |failure| (failure, path.clone());
        match self.client.knock(&path, PATIENCE).await {
            Ok(status) if status < 500 => Ok(()),
            Ok(_) => Err(failed(Failure::Http5xx)),
            Err(failure) => Err(failed(failure)),
        }
    }
}
