//! Ranking metrics as trec_eval defines them, of one query. Pure.
//!
//! - A document is relevant from grade 1 on; what is not judged is not relevant.
//! - nDCG@10 is `ndcg_cut_10`: the gain is the grade itself, not 2^grade - 1; the
//!   discount at rank r is log2(r + 1); the ideal is of all judged documents.
//! - recall@k is `recall_k`; P@1 `P_1`; MAP averages `map`.
//! - MRR@10 is `recip_rank` of the first ten ranks (`trec_eval -M 10`), 0 behind them.
//! - Order is by score, highest first, and of equal scores by id, highest first,
//!   whatever rank was written: see [`order`].
//!
//! Other definitions of nDCG (2^grade - 1) give other figures; never compare across.

use std::cmp::Ordering;
use std::collections::HashMap;

/// The metrics' names, in the order of [`Scores`].
pub(crate) const METRICS: [&str; 6] = ["nDCG@10", "recall@5", "recall@20", "MRR@10", "MAP", "P@1"];

/// A value for each of [`METRICS`], 0 to 1.
pub(crate) type Scores = [f64; 6];

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// The document's id.
    pub(crate) id: String,
    /// Higher is better; finite.
    pub(crate) score: f64,
    /// What the answer cites for it.
    pub(crate) source: Option<String>,
}

/// trec_eval's order.
pub(crate) fn order(one: &Hit, other: &Hit) -> Ordering {
    let by_score = other.score.total_cmp(&one.score);
    by_score.then_with(|| other.id.cmp(&one.id))
}

/// The metrics of `ranked`, which is in [`order`]; `None` where nothing is relevant.
pub(crate) fn scores(ranked: &[Hit], judged: &HashMap<&str, i64>) -> Option<Scores> {
    let mut ideal: Vec<i64> = judged
        .values()
        .copied()
        .filter(|&grade| grade > 0)
        .collect();
    if ideal.is_empty() {
        return None;
    }
    ideal.sort_unstable_by(|one, other| other.cmp(one));
    let relevant = ideal.len() as f64;
    let grades = ranked
        .iter()
        .map(|hit| judged.get(hit.id.as_str()).copied());
    let grades: Vec<i64> = grades.map(Option::unwrap_or_default).collect();
    let found = |k: usize| grades.iter().take(k).filter(|&&grade| grade > 0).count() as f64;
    let first = grades.iter().take(10).position(|&grade| grade > 0);
    Some([
        gain(&grades) / gain(&ideal),
        found(5) / relevant,
        found(20) / relevant,
        first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
        precisions(&grades) / relevant,
        found(1),
    ])
}

/// Discounted cumulative gain of the first ten.
fn gain(grades: &[i64]) -> f64 {
    let ten = grades.iter().take(10).enumerate();
    ten.map(|(at, &grade)| grade as f64 / ((at + 2) as f64).log2())
        .sum()
}

/// The sum of the precisions at each relevant document.
fn precisions(grades: &[i64]) -> f64 {
    let relevant = grades.iter().enumerate().filter(|(_, grade)| **grade > 0);
    let each = relevant.enumerate();
    each.map(|(before, (at, _))| (before + 1) as f64 / (at + 1) as f64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(written: &[(&str, f64)]) -> Vec<Hit> {
        let hits = written.iter().map(|&(id, score)| Hit {
            id: id.to_owned(),
            score,
            source: None,
        });
        let mut hits: Vec<Hit> = hits.collect();
        hits.sort_by(order);
        hits
    }

    fn near(found: Option<Scores>, due: Scores) {
        let found = found.unwrap();
        for (name, (found, due)) in METRICS.iter().zip(found.into_iter().zip(due)) {
            assert!((found - due).abs() < 1e-6, "{name}: {found}, not {due}");
        }
    }

    /// Worked by hand, and the same from trec_eval (pytrec_eval-terrier) with
    /// `ndcg_cut_10 recall_5,20 recip_rank map P_1`.
    #[test]
    fn values_are_trec_evals() {
        let judged = HashMap::from([("a", 2), ("b", 1), ("c", 0), ("d", 1)]);
        // Ranks: c(0) a(2) x(unjudged) b(1); d is missing.
        // DCG = 2/log2(3) + 1/log2(5) = 1.2618595 + 0.4306766 = 1.6925361
        // IDCG = 2 + 1/log2(3) + 1/2 = 3.1309298
        // AP = (1/2 + 2/4) / 3
        near(
            scores(
                &hits(&[("c", 4.0), ("a", 3.0), ("x", 2.0), ("b", 1.0)]),
                &judged,
            ),
            [0.540_586_1, 2.0 / 3.0, 2.0 / 3.0, 0.5, 1.0 / 3.0, 0.0],
        );
        // The ideal order.
        near(
            scores(&hits(&[("a", 3.0), ("b", 2.0), ("d", 1.0)]), &judged),
            [1.0; 6],
        );
    }

    #[test]
    fn equal_scores_go_by_id_downwards() {
        let judged = HashMap::from([("a", 1)]);
        // b before a, whatever was written first: a is second.
        near(
            scores(&hits(&[("a", 1.0), ("b", 1.0)]), &judged),
            [1.0 / 3f64.log2(), 1.0, 1.0, 0.5, 0.5, 0.0],
        );
        let judged = HashMap::from([("b", 1)]);
        near(scores(&hits(&[("a", 1.0), ("b", 1.0)]), &judged), [1.0; 6]);
        // Ids are compared as text, as strcmp does: "d9" is after "d10".
        assert_eq!(hits(&[("d10", 1.0), ("d9", 1.0)])[0].id, "d9");
    }

    #[test]
    fn an_empty_answer_is_zero_and_nothing_relevant_is_no_value() {
        near(scores(&[], &HashMap::from([("a", 1)])), [0.0; 6]);
        assert_eq!(
            scores(&hits(&[("a", 1.0)]), &HashMap::from([("a", 0)])),
            None
        );
        assert_eq!(scores(&hits(&[("a", 1.0)]), &HashMap::new()), None);
    }

    #[test]
    fn what_comes_after_a_cut_counts_in_map_only() {
        let mut written: Vec<(String, f64)> = (0..20)
            .map(|at| (format!("x{at:02}"), 100.0 - f64::from(at)))
            .collect();
        written.push(("a".to_owned(), 1.0));
        let written: Vec<(&str, f64)> = written.iter().map(|(id, s)| (id.as_str(), *s)).collect();
        near(
            scores(&hits(&written), &HashMap::from([("a", 2)])),
            [0.0, 0.0, 0.0, 0.0, 1.0 / 21.0, 0.0],
        );
    }

    /// trec_eval's ideal is cut too: eleven relevant, ten of them found, is 1.
    #[test]
    fn the_ideal_is_cut_at_ten() {
        let ids: Vec<String> = (0..11).map(|at| format!("r{at:02}")).collect();
        let judged: HashMap<&str, i64> = ids.iter().map(|id| (id.as_str(), 1)).collect();
        let found: Vec<(&str, f64)> = ids[..10].iter().map(|id| (id.as_str(), 1.0)).collect();
        let scores = scores(&hits(&found), &judged).unwrap();
        assert!((scores[0] - 1.0).abs() < 1e-6);
        assert!((scores[2] - 10.0 / 11.0).abs() < 1e-6);
        assert!((scores[4] - 10.0 / 11.0).abs() < 1e-6);
    }
}
