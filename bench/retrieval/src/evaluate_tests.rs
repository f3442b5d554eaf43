use std::path::Path;

use super::*;
use crate::systems::Answer;
use crate::systems::bm25::Bm25;
use crate::systems::fts5::Fts5;
use crate::systems::run::Run;

const HOW: Parameters = Parameters {
    k: 100,
    others: 0,
    complete: true,
    threshold: None,
    resampling: Resampling {
        seed: 11,
        resamples: 1000,
    },
};

fn fixture() -> Dataset {
    Dataset::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture")).unwrap()
}

fn of_run(text: &str, how: Parameters) -> Vec<Outcome> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let dataset = fixture();
    let mut run = Run::read(file.path(), &dataset).unwrap();
    ask_all(&dataset, &mut run, how).unwrap()
}

fn mean(summary: &Summary, name: &str) -> f64 {
    summary.metrics[name].mean
}

/// q1 finds d1 behind the foreign d3, q2 nothing, q3 first; q4 leaks.
const RUN: &str =
    "q1 Q0 d3 1 9 x\nq1 Q0 d1 2 8 x\nq3 Q0 d4 1 1 x\nq4 Q0 d3 1 1 x\nq4 Q0 d5 2 0.5 x\n";

#[test]
fn a_leak_is_counted_keeps_its_place_and_is_never_relevant() {
    let all = summary(of_run(RUN, HOW).iter(), HOW);
    // q1, q2, q3 have something relevant: 1/2, 0 and 1.
    assert_eq!((all.queries, all.scored), (5, 3));
    assert!((mean(&all, "MRR@10") - 0.5).abs() < 1e-9);
    // d3 is judged 1 for q1 and is not the asker's: q1's nDCG is 1/log2(3).
    let ndcg = (1.0 / 3f64.log2() + 0.0 + 1.0) / 3.0;
    assert!((mean(&all, "nDCG@10") - ndcg).abs() < 1e-9);
    assert_eq!((all.cross_tenant_hits, all.cross_tenant_queries), (3, 2));
    // q4 and q5 have nothing to find; q4 was answered all the same.
    assert_eq!(
        (all.unanswerable.queries, all.unanswerable.answered),
        (2, 1)
    );
    // Of d3, d1, d4, d3, d5 only d4 has no source.
    assert_eq!(all.citation_coverage, Some(0.8));
}

#[test]
fn without_complete_queries_without_a_result_are_in_no_mean() {
    let how = Parameters {
        complete: false,
        ..HOW
    };
    let all = summary(of_run(RUN, how).iter(), how);
    assert_eq!(all.scored, 2);
    assert!((mean(&all, "MRR@10") - 0.75).abs() < 1e-9);
}

#[test]
fn an_empty_run_is_zero_with_complete_and_no_mean_without() {
    let all = summary(of_run("", HOW).iter(), HOW);
    assert_eq!((all.scored, mean(&all, "MAP")), (3, 0.0));
    assert_eq!(all.citation_coverage, None);
    let how = Parameters {
        complete: false,
        ..HOW
    };
    let none = summary(of_run("", how).iter(), how);
    assert_eq!((none.scored, none.metrics.len()), (0, 0));
}

#[test]
fn a_threshold_says_what_an_answer_is() {
    for (threshold, answered) in [(0.5, 1), (1.0, 1), (1.1, 0)] {
        let how = Parameters {
            threshold: Some(threshold),
            ..HOW
        };
        let all = summary(of_run(RUN, how).iter(), how);
        assert_eq!(all.unanswerable.answered, answered, "{threshold}");
    }
}

#[test]
fn what_is_not_in_the_corpus_is_told_as_unknown() {
    let all = summary(of_run("q1 Q0 d77 1 9 x\nq1 Q0 d1 2 8 x\n", HOW).iter(), HOW);
    assert_eq!((all.unknown_results, all.cross_tenant_hits), (1, 0));
}

#[test]
fn runs_that_trec_eval_refuses_are_refused() {
    let dataset = fixture();
    for (text, told) in [
        (
            "q1 Q0 d1 1 9 x\nq1 Q0 d1 2 8 x\n",
            ":2: d1 is there twice for q1",
        ),
        ("q1 Q0 d1 1 9\n", ":1: expected six columns"),
        ("q1 Q0 d1 1 NaN x\n", ":1: score"),
        ("q9 Q0 d1 1 9 x\n", ":1: no query q9"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let error = Run::read(file.path(), &dataset).err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
}

/// The filter is what keeps others' documents away: without it, they come.
#[test]
fn embedded_systems_leak_without_their_filter_and_not_with_it() {
    let dataset = fixture();
    let systems: [(&str, Box<dyn System>, bool); 4] = [
        ("bm25", Box::new(Bm25::new(&dataset, true).unwrap()), false),
        (
            "bm25-unscoped",
            Box::new(Bm25::new(&dataset, false).unwrap()),
            true,
        ),
        ("fts5", Box::new(Fts5::new(&dataset, true).unwrap()), false),
        (
            "fts5-unscoped",
            Box::new(Fts5::new(&dataset, false).unwrap()),
            true,
        ),
    ];
    for (name, mut system, leaks) in systems {
        let outcomes = ask_all(&dataset, system.as_mut(), HOW).unwrap();
        let all = summary(outcomes.iter(), HOW);
        assert_eq!(all.cross_tenant_hits > 0, leaks, "{name}");
        assert!((mean(&all, "recall@5") - 1.0).abs() < 1e-9, "{name}");
        assert!(latency(&outcomes).is_some());
    }
}

#[test]
fn groups_add_up_to_the_whole() {
    let outcomes = of_run(RUN, HOW);
    for group in [By::Language, By::Domain, By::Kind] {
        let groups = by(&outcomes, group, HOW);
        assert_eq!(groups.values().map(|of| of.queries).sum::<usize>(), 5);
        assert_eq!(groups.values().map(|of| of.scored).sum::<usize>(), 3);
    }
    assert_eq!(
        by(&outcomes, By::Kind, HOW)["other_tenant"].cross_tenant_hits,
        2
    );
}

#[test]
fn a_difference_is_of_the_same_queries() {
    let better = of_run("q1 Q0 d1 1 9 x\nq2 Q0 d2 1 8 x\nq3 Q0 d4 1 1 x\n", HOW);
    let found = difference(&of_run("", HOW), &better, HOW).unwrap();
    assert_eq!((found.low, found.mean, found.high), (1.0, 1.0, 1.0));
    assert_eq!(difference(&better, &better, HOW).unwrap().mean, 0.0);
}

#[test]
fn an_endpoint_that_refuses_is_told_and_counts_as_nothing_found() {
    struct Refusing;
    impl System for Refusing {
        fn ask(&mut self, _: &Query, _: usize) -> Result<Answer, Error> {
            Ok(Answer {
                failed: Some("status 502".to_owned()),
                ..Answer::default()
            })
        }

        fn warms_up(&self) -> bool {
            false
        }
    }
    let outcomes = ask_all(&fixture(), &mut Refusing, HOW).unwrap();
    let all = summary(outcomes.iter(), HOW);
    assert_eq!((all.failed, all.scored, mean(&all, "MAP")), (5, 3, 0.0));
}
