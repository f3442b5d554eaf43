use super::*;
use proptest::prelude::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_status_follows_from_what_was_seen() {
    use State::{Closed, HalfOpen, Open};
    use Status::{Connected, Degraded, Disabled, Disconnected};
    let cases = [
        // enabled, breaker, last success, last failure, ratio
        (false, Closed, Some(990), None, 0.0, Disabled),
        (false, Open, None, Some(990), 1.0, Disabled),
        (true, Open, Some(990), None, 0.0, Disconnected),
        (true, Open, None, None, 0.0, Disconnected),
        (true, Closed, None, Some(10), 0.0, Disconnected),
        (true, HalfOpen, None, Some(990), 0.0, Disconnected),
        (true, HalfOpen, Some(990), None, 0.0, Degraded),
        (true, HalfOpen, None, None, 0.0, Degraded),
        (true, Closed, None, None, 0.0, Degraded),
        (true, Closed, Some(990), Some(995), 0.0, Degraded),
        (true, Closed, Some(10), Some(940), 0.0, Degraded),
        (true, Closed, Some(10), Some(939), 0.0, Connected),
        (true, Closed, Some(990), Some(990), 0.0, Degraded),
        (true, Closed, Some(995), Some(990), 0.0, Connected),
        (true, Closed, Some(995), None, 0.0, Connected),
        (true, Closed, Some(10), None, 0.0, Connected),
        (true, Closed, Some(995), None, 0.1, Connected),
        (true, Closed, Some(995), None, 0.11, Degraded),
        (true, Closed, Some(995), Some(990), 1.0, Degraded),
    ];
    for (enabled, breaker, success, failure, fallback_ratio, expected) in cases {
        let seen = Seen {
            enabled,
            breaker,
            last_success: success.map(at),
            last_failure: failure.map(at),
            fallback_ratio,
            now: at(1000),
        };
        assert_eq!(status(&seen), expected, "{seen:?}");
    }
}

#[test]
fn names() {
    for (status, name) in [
        (Status::Connected, "connected"),
        (Status::Degraded, "degraded"),
        (Status::Disconnected, "disconnected"),
        (Status::Disabled, "disabled"),
    ] {
        assert_eq!(status.as_str(), name);
        let written = serde_json::to_value(status).unwrap();
        assert_eq!(written.as_str(), Some(name));
    }
}

#[test]
fn fallbacks_count_for_five_minutes() {
    let mut recent = Recent::new();
    assert_eq!(recent.fallback_ratio(at(0)), 0.0);
    recent.note(at(3), true);
    recent.note(at(200), false);
    recent.note(at(200), true);
    recent.note(at(200), false);
    for (second, ratio) in [(200, 0.5), (299, 0.5), (300, 1.0 / 3.0), (500, 0.0)] {
        assert_eq!(recent.fallback_ratio(at(second)), ratio, "{second}");
    }
}

#[test]
fn percentiles_are_of_nearest_rank() {
    let cases: [(&[u64], f64, f64); 6] = [
        (&[], 0.0, 0.0),
        (&[7], 7.0, 7.0),
        (&[9, 1], 1.0, 9.0),
        (&[3, 1, 2], 2.0, 3.0),
        (&[15, 20, 35, 40, 50], 35.0, 50.0),
        (
            &[
                20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
            ],
            10.0,
            19.0,
        ),
    ];
    for (took, p50_ms, p95_ms) in cases {
        let mut latencies = Latencies::new();
        for millis in took {
            latencies.note(at(10), Duration::from_millis(*millis));
        }
        let expected = Latency {
            p50_ms,
            p95_ms,
            samples: took.len(),
        };
        assert_eq!(latencies.percentiles(at(10)), expected, "{took:?}");
    }
}

#[test]
fn only_what_is_recent_counts_and_no_more_than_256() {
    let mut latencies = Latencies::new();
    latencies.note(at(10), at(9));
    latencies.note(at(20), Duration::from_micros(1_500));
    assert_eq!(latencies.percentiles(at(309)).samples, 2);
    let left = latencies.percentiles(at(310));
    assert_eq!((left.p95_ms, left.samples), (1.5, 1));
    assert_eq!(latencies.percentiles(at(320)), Latency::default());
    for millis in 1..=300 {
        latencies.note(at(400), Duration::from_millis(millis));
    }
    // 45 to 300 are left.
    let full = latencies.percentiles(at(400));
    assert_eq!(
        (full.p50_ms, full.p95_ms, full.samples),
        (172.0, 288.0, 256)
    );
}

proptest! {
    /// By definition: the smallest that at least so many do not exceed.
    #[test]
    fn percentiles_are_the_smallest_that_enough_do_not_exceed(
        took in prop::collection::vec(0u64..1_000, 1..256),
    ) {
        let mut latencies = Latencies::new();
        for millis in &took {
            latencies.note(at(1), Duration::from_millis(*millis));
        }
        let found = latencies.percentiles(at(1));
        for (percent, value) in [(50, found.p50_ms), (95, found.p95_ms)] {
            let value = value.round() as u64;
            prop_assert!(took.contains(&value));
            let up_to = |most: u64| took.iter().filter(|t| **t <= most).count() * 100;
            prop_assert!(up_to(value) >= percent * took.len());
            prop_assert!(value == 0 || up_to(value - 1) < percent * took.len());
        }
    }
}
