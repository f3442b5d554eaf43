//! Is this origin failing in a burst? Counts per second over a sliding window.
//! Pure: the second is an argument.
//!
//! With hysteresis: a burst is raised at `count` or `ratio`, and ends only when both are
//! below a share (`clear`) of that, so that failures around a threshold are one burst.

use camarad_config::Burst as Config;

/// Counts of one origin.
pub(crate) struct Burst {
    slots: Vec<Slot>,
    count: f64,
    ratio: f64,
    min_volume: u64,
    clear: f64,
    on: bool,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    second: u64,
    total: u64,
    failed: u64,
}

/// What a look at the window found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// A burst is under way.
    pub(crate) on: bool,
    /// It was not so at the last look.
    pub(crate) changed: bool,
    /// Answers in the window.
    pub(crate) answers: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
}

impl Burst {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            slots: vec![Slot::default(); config.window.as_secs().max(1) as usize],
            count: config.count as f64,
            ratio: config.ratio,
            min_volume: config.min_volume,
            clear: config.clear,
            on: false,
        }
    }

    /// Length of the window, in seconds.
    pub(crate) fn window(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Notes one answer in this second.
    pub(crate) fn note(&mut self, second: u64, failed: bool) {
        let at = (second % self.window()) as usize;
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

    /// Looks at the window that ends with this second: a burst is enough answers, and too
    /// many of them failed, by number or by share.
    pub(crate) fn look(&mut self, second: u64) -> Look {
        let (answers, failed) = self.counted(second);
        let is_over = |share: f64| {
            let by_count = failed as f64 >= share * self.count;
            let by_ratio = failed as f64 >= share * self.ratio * answers as f64;
            answers >= self.min_volume && failed > 0 && (by_count || by_ratio)
        };
        let on = is_over(if self.on { self.clear } else { 1.0 });
        let changed = on != self.on;
        self.on = on;
        Look {
            on,
            changed,
            answers,
            failed,
        }
    }

    /// What the last look found, with the counts of this second's window; decides nothing.
    pub(crate) fn seen(&self, second: u64) -> Look {
        let (answers, failed) = self.counted(second);
        Look {
            on: self.on,
            changed: false,
            answers,
            failed,
        }
    }

    /// Answers in the window, and those of them that failed.
    fn counted(&self, second: u64) -> (u64, u64) {
        let window = self.window();
        let recent = self
            .slots
            .iter()
            .filter(|slot| slot.second + window > second && slot.second <= second);
        let (mut answers, mut failed) = (0, 0);
        for slot in recent {
            answers += slot.total;
            failed += slot.failed;
        }
        (answers, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn detector() -> Burst {
        Burst::new(&Config {
            window: Duration::from_secs(60),
            count: 20,
            ratio: 0.5,
            min_volume: 5,
            clear: 0.5,
        })
    }

    fn note(burst: &mut Burst, answers: &[(u64, u64, u64)]) {
        for (second, good, failed) in answers {
            (0..*good).for_each(|_| burst.note(*second, false));
            (0..*failed).for_each(|_| burst.note(*second, true));
        }
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
            let mut burst = detector();
            note(&mut burst, answers);
            assert_eq!(burst.look(*now).on, *expected, "{name}");
        }
    }

    #[test]
    fn who_only_sees_decides_nothing() {
        let mut burst = detector();
        note(&mut burst, &[(100, 3, 20)]);
        let seen = burst.seen(100);
        assert_eq!((seen.on, seen.answers, seen.failed), (false, 23, 20));
        assert!(burst.look(100).changed, "it was still to be told");
        assert!(burst.seen(100).on);
        let later = burst.seen(200);
        assert_eq!((later.on, later.answers), (true, 0), "nobody looked since");
    }

    #[test]
    fn failures_around_the_threshold_are_one_burst() {
        let mut burst = detector();
        let mut told = |answers: &[(u64, u64, u64)], now| {
            note(&mut burst, answers);
            let look = burst.look(now);
            (look.on, look.changed)
        };
        assert_eq!(told(&[(100, 100, 19)], 100), (false, false), "below");
        assert_eq!(told(&[(110, 0, 1)], 110), (true, true), "raised at 20");
        assert_eq!(told(&[], 111), (true, false), "told once");
        // The first 19 leave the window, and 11 stand in it: more than half of the count.
        assert_eq!(told(&[(130, 30, 10)], 160), (true, false), "still on");
        assert_eq!(told(&[(131, 10, 0)], 171), (true, false), "ten are half");
        assert_eq!(told(&[(185, 100, 9)], 190), (false, true), "nine are not");
        assert_eq!(told(&[(191, 100, 9)], 191), (false, false), "18 raise none");
        assert_eq!(told(&[(192, 0, 2)], 192), (true, true), "raised again");
        assert_eq!(told(&[], 300), (false, true), "nothing left");
    }
}
