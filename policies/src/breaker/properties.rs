//! Any sequence of calls, against what was promised.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Note(usize, Outcome),
    Lose(usize),
    Probe(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::sample::select(vec![
        Outcome::Success,
        Outcome::Failure,
        Outcome::Failure,
        Outcome::Neutral,
    ]);
    prop_oneof![
        6 => Just(Step::Admit),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Note(which, outcome)),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Probe),
        3 => (0u64..9_000).prop_map(Step::Wait),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let times = (1u64..5_000, 1u64..20_000);
    (1u32..4, 1u32..6, times, 0u32..4).prop_map(|(consecutive, min_volume, times, trials)| {
        Settings {
            consecutive,
            rate: 0.5,
            min_volume,
            window: Duration::from_secs(10),
            open: Duration::from_millis(times.0),
            open_most: Duration::from_millis(times.1),
            trials,
        }
    })
}

/// An admission that nothing was heard of yet, when it was given, and after how many openings.
struct Given {
    admission: Option<Admission>,
    is_trial: bool,
    at: Duration,
    openings: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever happens: trials are bounded, changes are told, old outcomes change
    /// nothing, and who is refused is admitted when that was promised.
    #[test]
    fn any_sequence(
        settings in settings(),
        steps in prop::collection::vec((step(), 0.0..1.0f64), 1..120),
    ) {
        let mut breaker = Breaker::new(settings);
        let mut now = Duration::from_secs(1_000);
        let mut told = State::Closed;
        let mut openings = 0;
        let mut given: Vec<Given> = Vec::new();
        for (step, jitter) in steps {
            let held: Vec<usize> =
                (0..given.len()).filter(|i| given[*i].admission.is_some()).collect();
            let pick = |which: usize| held.get(which % held.len().max(1)).copied();
            let change = match step {
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    None
                }
                Step::Probe(alive) => breaker.probed(now, alive, jitter),
                Step::Note(which, outcome) => pick(which).and_then(|i| {
                    let Given { admission, openings: then, .. } = given.swap_remove(i);
                    let change = breaker.note(now, admission?, outcome, jitter);
                    assert!(change.is_none() || then == openings, "changed by an old outcome");
                    change
                }),
                Step::Lose(which) => {
                    if let Some(i) = pick(which) {
                        given[i].admission = None;
                    }
                    None
                }
                Step::Admit => match breaker.admit(now) {
                    Ok(admission) => {
                        let change = admission.change();
                        let (is_trial, at) = (admission.is_trial(), now);
                        prop_assert_eq!(is_trial, breaker.state() == State::HalfOpen);
                        given.push(Given { admission: Some(admission), is_trial, at, openings });
                        change
                    }
                    Err(refused) => {
                        prop_assert!(breaker.state() != State::Closed);
                        prop_assert!(!refused.retry_in.is_zero());
                        None
                    }
                },
            };
            if let Some(change) = change {
                prop_assert_eq!(change.from, told);
                prop_assert_ne!(change.from, change.to);
                prop_assert_eq!(change.open_for.is_some(), change.to == State::Open);
                openings += usize::from(change.to == State::Open);
                told = change.to;
            }
            prop_assert_eq!(breaker.state(), told, "a change went unreported");
            let trials = given.iter().filter(|g| g.is_trial && now - g.at < settings.open_most);
            prop_assert!(trials.count() <= settings.trials.max(1) as usize);

            let retry_in = breaker.status(now).retry_in;
            prop_assert!(retry_in <= settings.open_most.mul_f64(1.1));
            let mut later = breaker.clone();
            prop_assert!(later.admit(now + retry_in).is_ok());
            if let Some(before) = retry_in.checked_sub(Duration::from_nanos(1)) {
                let refused = later_refused(&breaker, now + before);
                prop_assert_eq!(refused, Some(Duration::from_nanos(1)));
            }
        }
    }
}

fn later_refused(breaker: &Breaker, now: Duration) -> Option<Duration> {
    let refused = breaker.clone().admit(now).err();
    refused.map(|refused| refused.retry_in)
}
