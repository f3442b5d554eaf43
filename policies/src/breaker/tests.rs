use super::*;

const MIDDLE: f64 = 0.5;

const SETTINGS: Settings = Settings {
    consecutive: 3,
    rate: 0.5,
    min_volume: 10,
    window: Duration::from_secs(60),
    open: Duration::from_secs(10),
    open_most: Duration::from_secs(60),
    trials: 2,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn change(from: State, to: State, open_for: Option<u64>) -> Option<Change> {
    let open_for = open_for.map(at);
    Some(Change { from, to, open_for })
}

/// A call that is admitted and ends at once.
fn call(breaker: &mut Breaker, second: u64, outcome: Outcome) -> Option<Change> {
    let admission = breaker.admit(at(second)).unwrap();
    breaker.note(at(second), admission, outcome, MIDDLE)
}

/// Opened at second 100, for ten seconds.
fn opened() -> Breaker {
    let mut breaker = Breaker::new(SETTINGS);
    for _ in 0..3 {
        call(&mut breaker, 100, Outcome::Failure);
    }
    assert_eq!(breaker.state(), State::Open);
    breaker
}

fn retry_in(breaker: &mut Breaker, second: u64) -> u64 {
    breaker.admit(at(second)).unwrap_err().retry_in.as_secs()
}

#[test]
fn outcomes_open_it_in_a_row_or_by_their_share() {
    use Outcome::{Failure as F, Neutral as N, Success as S};
    let cases: [(&str, u32, &[Outcome], bool); 9] = [
        ("three in a row", 3, &[F, F, F], true),
        ("two are not enough", 3, &[F, F], false),
        ("a success ends the row", 3, &[F, F, S, F, F], false),
        ("what is neutral does not", 3, &[F, N, F, N, F], true),
        ("neutral alone says nothing", 3, &[N, N, N, N], false),
        ("half of ten", 9, &[S, F, S, F, S, F, S, F, S, F], true),
        ("half of nine", 9, &[S, F, S, F, S, F, S, F, F], false),
        ("less", 9, &[S, S, S, F, S, F, S, F, S, F], false),
        // The tenth makes up the volume, but it is a success.
        ("a success", 9, &[F, F, S, F, F, S, F, F, S, S], false),
    ];
    for (name, consecutive, outcomes, opens) in cases {
        let mut breaker = Breaker::new(Settings {
            consecutive,
            ..SETTINGS
        });
        let (last, before) = outcomes.split_last().unwrap();
        for outcome in before {
            assert_eq!(call(&mut breaker, 100, *outcome), None, "{name}");
        }
        let expected = change(State::Closed, State::Open, Some(10));
        let changed = call(&mut breaker, 100, *last);
        assert_eq!(changed, expected.filter(|_| opens), "{name}");
    }
}

#[test]
fn failures_out_of_the_window_have_no_share() {
    let mut breaker = Breaker::new(Settings {
        consecutive: 100,
        ..SETTINGS
    });
    for _ in 0..9 {
        call(&mut breaker, 100, Outcome::Failure);
    }
    assert_eq!(call(&mut breaker, 160, Outcome::Failure), None);
    assert_eq!(breaker.status(at(160)).failures, 10);
}

#[test]
fn an_open_one_refuses_until_its_time_is_over() {
    let mut breaker = opened();
    assert_eq!(retry_in(&mut breaker, 100), 10);
    assert_eq!(retry_in(&mut breaker, 109), 1);
    let status = breaker.status(at(115));
    assert_eq!((status.state, status.since), (State::Open, at(100)));
    assert_eq!((status.failures, status.retry_in), (3, Duration::ZERO));
    let first = breaker.admit(at(115)).unwrap();
    assert_eq!(first.change(), change(State::Open, State::HalfOpen, None));
    assert!(first.is_trial());
    let second = breaker.admit(at(116)).unwrap();
    assert_eq!((second.change(), second.is_trial()), (None, true));
    // Both places are taken; the first is given up at 175 if nothing is heard of it.
    assert_eq!(retry_in(&mut breaker, 120), 55);
    let neutral = breaker.note(at(121), second, Outcome::Neutral, MIDDLE);
    assert_eq!((neutral, breaker.state()), (None, State::HalfOpen));
    assert!(breaker.admit(at(121)).is_ok());
}

#[test]
fn failed_trials_double_its_time_and_a_good_one_starts_afresh() {
    let mut breaker = opened();
    let mut now = 100;
    for (wait, open_for) in [(10, 20), (20, 40), (40, 60), (60, 60)] {
        assert_eq!(retry_in(&mut breaker, now), wait);
        now += wait;
        let expected = change(State::HalfOpen, State::Open, Some(open_for));
        assert_eq!(call(&mut breaker, now, Outcome::Failure), expected);
    }
    now += 60;
    let expected = change(State::HalfOpen, State::Closed, None);
    assert_eq!(call(&mut breaker, now, Outcome::Success), expected);
    assert_eq!(breaker.status(at(now)).failures, 0);
    let expected = change(State::Closed, State::Open, Some(10));
    assert_eq!(call(&mut breaker, now, Outcome::Failure), None);
    assert_eq!(call(&mut breaker, now, Outcome::Failure), None);
    assert_eq!(call(&mut breaker, now, Outcome::Failure), expected);
}

#[test]
fn closing_forgets_the_window() {
    let mut breaker = Breaker::new(Settings {
        consecutive: 9,
        ..SETTINGS
    });
    for _ in 0..9 {
        call(&mut breaker, 100, Outcome::Failure);
    }
    call(&mut breaker, 110, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    // With the nine before, this would be nine of eleven.
    assert_eq!(call(&mut breaker, 111, Outcome::Success), None);
    assert_eq!(call(&mut breaker, 111, Outcome::Failure), None);
}

#[test]
fn what_was_admitted_before_it_opened_changes_nothing() {
    for outcome in [Outcome::Success, Outcome::Failure] {
        let mut breaker = Breaker::new(SETTINGS);
        let early: Vec<Admission> = (0..5).map(|_| breaker.admit(at(99)).unwrap()).collect();
        for _ in 0..3 {
            call(&mut breaker, 100, Outcome::Failure);
        }
        let mut early = early.into_iter();
        let mut late = |breaker: &mut Breaker, second| {
            breaker.note(at(second), early.next().unwrap(), outcome, MIDDLE)
        };
        assert_eq!(late(&mut breaker, 101), None, "open");
        assert_eq!(breaker.state(), State::Open);
        let trial = breaker.admit(at(110)).unwrap();
        assert_eq!(late(&mut breaker, 111), None, "half-open");
        assert_eq!(breaker.state(), State::HalfOpen);
        breaker.note(at(112), trial, Outcome::Success, MIDDLE);
        for _ in 0..3 {
            assert_eq!(late(&mut breaker, 113), None, "closed");
        }
        assert_eq!(breaker.status(at(113)).failures, 0);
    }
}

#[test]
fn a_second_trial_of_the_same_opening() {
    // After the first one failed it is of an earlier epoch.
    let mut breaker = opened();
    let (first, second) = (
        breaker.admit(at(110)).unwrap(),
        breaker.admit(at(110)).unwrap(),
    );
    breaker.note(at(111), first, Outcome::Failure, MIDDLE);
    assert_eq!(
        breaker.note(at(112), second, Outcome::Success, MIDDLE),
        None
    );
    assert_eq!(breaker.state(), State::Open);
    // After the first one succeeded it is a call like any other.
    let mut breaker = opened();
    let (first, second) = (
        breaker.admit(at(110)).unwrap(),
        breaker.admit(at(110)).unwrap(),
    );
    breaker.note(at(111), first, Outcome::Success, MIDDLE);
    assert_eq!(
        breaker.note(at(112), second, Outcome::Failure, MIDDLE),
        None
    );
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.status(at(112)).failures, 1);
}

#[test]
fn trials_never_noted_are_given_up() {
    let mut breaker = opened();
    let (lost, late) = (
        breaker.admit(at(110)).unwrap(),
        breaker.admit(at(110)).unwrap(),
    );
    drop(lost);
    assert_eq!(retry_in(&mut breaker, 169), 1);
    let fresh = breaker.admit(at(170)).unwrap();
    // What comes of a trial that was given up no longer counts.
    assert_eq!(breaker.note(at(171), late, Outcome::Failure, MIDDLE), None);
    let expected = change(State::HalfOpen, State::Closed, None);
    let changed = breaker.note(at(172), fresh, Outcome::Success, MIDDLE);
    assert_eq!(changed, expected);
}

#[test]
fn trials_keep_their_places_over_openings() {
    let mut breaker = opened();
    let (first, second) = (
        breaker.admit(at(110)).unwrap(),
        breaker.admit(at(111)).unwrap(),
    );
    breaker.probed(at(112), false, MIDDLE);
    // Its time is over, but both are still with the upstream.
    assert_eq!(retry_in(&mut breaker, 130), 40);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.note(at(131), first, Outcome::Success, MIDDLE), None);
    let third = breaker.admit(at(131)).unwrap();
    assert_eq!(third.change(), change(State::Open, State::HalfOpen, None));
    assert_eq!(retry_in(&mut breaker, 131), 40);
    drop((second, third));
}

#[test]
fn probes() {
    // Alive while open: half-open at once, and the next call is a trial.
    let mut breaker = opened();
    assert_eq!(breaker.probed(at(101), false, MIDDLE), None);
    let expected = change(State::Open, State::HalfOpen, None);
    assert_eq!(breaker.probed(at(102), true, MIDDLE), expected);
    assert_eq!(breaker.probed(at(103), true, MIDDLE), None);
    // Not alive while half-open: open again, for as long.
    let expected = change(State::HalfOpen, State::Open, Some(10));
    assert_eq!(breaker.probed(at(104), false, MIDDLE), expected);
    assert_eq!(retry_in(&mut breaker, 104), 10);
    breaker.probed(at(105), true, MIDDLE);
    let trial = breaker.admit(at(105)).unwrap();
    assert_eq!((trial.is_trial(), trial.change()), (true, None));
    breaker.note(at(106), trial, Outcome::Success, MIDDLE);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn probes_of_a_closed_one_count_in_the_row_and_not_in_the_share() {
    let mut breaker = Breaker::new(SETTINGS);
    call(&mut breaker, 100, Outcome::Failure);
    assert_eq!(breaker.probed(at(101), false, MIDDLE), None);
    // A good probe takes back the bad one, and not the call.
    assert_eq!(breaker.probed(at(102), true, MIDDLE), None);
    assert_eq!(breaker.status(at(102)).failures, 1);
    assert_eq!(breaker.probed(at(103), false, MIDDLE), None);
    let expected = change(State::Closed, State::Open, Some(10));
    assert_eq!(breaker.probed(at(104), false, MIDDLE), expected);

    // A call that succeeds takes back both.
    let mut breaker = Breaker::new(SETTINGS);
    call(&mut breaker, 100, Outcome::Failure);
    breaker.probed(at(101), false, MIDDLE);
    call(&mut breaker, 102, Outcome::Success);
    assert_eq!(breaker.status(at(102)).failures, 0);

    let mut breaker = Breaker::new(Settings {
        consecutive: 100,
        ..SETTINGS
    });
    for _ in 0..50 {
        assert_eq!(breaker.probed(at(100), false, MIDDLE), None);
    }
    assert_eq!(call(&mut breaker, 100, Outcome::Failure), None);
}

#[test]
fn jitter_is_a_tenth_up_or_down() {
    for (jitter, millis) in [(0.0, 9_000), (0.25, 9_500), (0.5, 10_000), (1.0, 11_000)] {
        let mut breaker = Breaker::new(Settings {
            consecutive: 1,
            ..SETTINGS
        });
        let opened = breaker.probed(at(100), false, jitter).unwrap();
        let expected = Duration::from_millis(millis);
        assert_eq!(opened.open_for, Some(expected), "{jitter}");
        assert_eq!(breaker.status(at(100)).retry_in, expected, "{jitter}");
    }
}

#[test]
fn names_and_numbers() {
    for (state, name, number) in [
        (State::Closed, "closed", 0),
        (State::HalfOpen, "half_open", 1),
        (State::Open, "open", 2),
    ] {
        assert_eq!((state.as_str(), state.number()), (name, number));
    }
}
