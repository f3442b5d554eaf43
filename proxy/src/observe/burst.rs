//! Is this origin failing in a burst? Counts per second over a sliding window.
//! Pure: the second is an argument.

use camarad_config::Burst as Config;

/// Counts of one origin.
pub(crate) struct Burst {
    slots: Vec<Slot>,
    count: u64,
    ratio: f64,
    min_volume: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    second: u64,
    total: u64,
    failed: u64,
}

impl Burst {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            slots: vec![Slot::default(); config.window.as_secs().max(1) as usize],
            count: config.count,
            ratio: config.ratio,
            min_volume: config.min_volume,
        }
    }

    /// Notes one answer in this second.
    pub(crate) fn note(&mut self, second: u64, failed: bool) {
        let at = (second % self.slots.len() as u64) as usize;
        let slot = &mut self.slots[at];
        if slot.second != second {
            *slot = Slot {
                second,
                ..Slot::default()
            };
        }
        slot.total += 1;
        slot.failed += u64::from(failed);
    }

    /// Whether the window that ends with this second holds a burst: enough
    /// answers, and too many of them failed, by number or by share.
    pub(crate) fn is_on(&self, second: u64) -> bool {
        let window = self.slots.len() as u64;
        let recent = self
            .slots
            .iter()
            .filter(|slot| slot.second + window > second && slot.second <= second);
        let (mut total, mut failed) = (0, 0);
        for slot in recent {
            total += slot.total;
            failed += slot.failed;
        }
        total >= self.min_volume
            && failed > 0
            && (failed >= self.count || failed as f64 >= self.ratio * total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn burst(answers: &[(u64, u64, u64)], now: u64) -> bool {
        let mut burst = Burst::new(&Config {
            window: Duration::from_secs(60),
            count: 20,
            ratio: 0.5,
            min_volume: 5,
        });
        for (second, good, failed) in answers {
            (0..*good).for_each(|_| burst.note(*second, false));
            (0..*failed).for_each(|_| burst.note(*second, true));
        }
        burst.is_on(now)
    }

    #[test]
    fn count_and_ratio_need_a_minimum_volume() {
        type Case = (&'static str, &'static [(u64, u64, u64)], u64, bool);
        let cases: &[Case] = &[
            ("nothing", &[], 100, false),
            ("only good", &[(100, 50, 0)], 100, false),
            ("few, all failed", &[(100, 0, 4)], 100, false),
            ("enough, all failed", &[(100, 0, 5)], 100, true),
            ("half failed", &[(100, 5, 5)], 100, true),
            (
                "fewer than half and than the count",
                &[(100, 20, 19)],
                100,
                false,
            ),
            (
                "the count among many good ones",
                &[(100, 1000, 20)],
                100,
                true,
            ),
            (
                "spread over the window",
                &[(41, 0, 3), (100, 0, 3)],
                100,
                true,
            ),
            ("one second too old", &[(40, 0, 3), (100, 0, 3)], 100, false),
            ("long ago", &[(100, 0, 50)], 1000, false),
            (
                "a slot used again",
                &[(100, 0, 50), (160, 1, 0)],
                160,
                false,
            ),
        ];
        for (name, answers, now, expected) in cases {
            assert_eq!(burst(answers, *now), *expected, "{name}");
        }
    }
}
