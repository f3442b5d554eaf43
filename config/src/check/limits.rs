//! Bounds on what callers may send and hold, and how they fit together.

use super::{Checker, MINUTE};
use crate::checked::Limits;
use crate::settings::LimitsSettings;
use camarad_policies::head::Limits as HeadLimits;
use camarad_policies::limit::Limit;
use std::time::Duration;

pub(super) fn check_limits(c: &mut Checker, settings: LimitsSettings) -> Limits {
    let LimitsSettings {
        head_bytes,
        target_bytes,
        head_timeout,
        idle_timeout,
        keepalive_requests,
        body_bytes,
        body_timeout,
        upload_bytes,
        upload_timeout,
        write_timeout,
        buffered_bytes,
        connections,
        requests,
        refusals,
        refusal_refill,
        verified_tokens,
    } = settings;
    if target_bytes >= head_bytes {
        let message =
            format!("{target_bytes}: expected less than limits.head_bytes ({head_bytes})");
        c.problem("limits.target_bytes", message);
    }
    if buffered_bytes < body_bytes {
        let message =
            format!("{buffered_bytes}: expected at least limits.body_bytes ({body_bytes})");
        c.problem("limits.buffered_bytes", message);
    }
    let least = Duration::from_millis(10);
    let refill = c.within(
        "limits.refusal_refill",
        refusal_refill.0,
        Duration::from_millis(1),
        60 * MINUTE,
    );
    Limits {
        head: HeadLimits {
            // The proxy's own parser ends at 1 MiB.
            head: c.within("limits.head_bytes", head_bytes, 1024, 512 << 10),
            target: c.within("limits.target_bytes", target_bytes, 256, 256 << 10),
        },
        head_timeout: c.within("limits.head_timeout", head_timeout.0, least, 5 * MINUTE),
        idle_timeout: c.within("limits.idle_timeout", idle_timeout.0, least, 60 * MINUTE),
        keepalive_requests: c.within("limits.keepalive_requests", keepalive_requests, 1, u32::MAX),
        body: c.within("limits.body_bytes", body_bytes, 1024, 64 << 20),
        body_timeout: c.within("limits.body_timeout", body_timeout.0, least, 10 * MINUTE),
        upload: c.within("limits.upload_bytes", upload_bytes, 1024, 1 << 40),
        upload_timeout: c.within(
            "limits.upload_timeout",
            upload_timeout.0,
            least,
            24 * 60 * MINUTE,
        ),
        write_timeout: c.within("limits.write_timeout", write_timeout.0, least, 60 * MINUTE),
        buffered: c.within("limits.buffered_bytes", buffered_bytes, 1024, 1 << 40),
        connections: c.within("limits.connections", connections, 1, 1 << 20),
        requests: c.within("limits.requests", requests, 1, 1 << 20),
        refusals: (refusals > 0).then_some(Limit {
            burst: c.within("limits.refusals", refusals, 0, 1 << 20),
            refill,
        }),
        verified_tokens: c.within("limits.verified_tokens", verified_tokens, 0, 1 << 20),
    }
}
