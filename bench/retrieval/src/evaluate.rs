//! Asking a system every query, and what the answers amount to.
//!
//! What the asker may not see is not relevant, whatever was judged: finding it is a
//! cross-tenant hit. Such a result keeps its place in the ranking, so a leak costs
//! ranking too. A query with nothing relevant left is in no mean (trec_eval would
//! count it as 0) and is told in [`Unanswerable`].

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use crate::bootstrap::{Interval, Resampling, interval, percentile};
use crate::dataset::{Dataset, Query};
use crate::error::Error;
use crate::metrics::{Hit, METRICS, Scores, order, scores};
use crate::systems::System;

/// How many results a caller is shown: the cut of citations and of leaks.
pub(crate) const SHOWN: usize = 10;

/// How to evaluate.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Parameters {
    /// Results asked for, for each query.
    pub(crate) k: usize,
    /// Documents added of tenants that no query asks as.
    pub(crate) others: usize,
    /// Means over all queries with something relevant (`trec_eval -c`), those without
    /// a result as 0; else over those with a result.
    pub(crate) complete: bool,
    /// A score from which a result counts as an answer; none counts all.
    pub(crate) threshold: Option<f64>,
    #[serde(flatten)]
    pub(crate) resampling: Resampling,
}

/// One query, asked.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) query: String,
    lang: &'static str,
    domain: String,
    kind: &'static str,
    /// In [`METRICS`]' order; `None` where the asker has nothing to find.
    pub(crate) scores: Option<Scores>,
    returned: usize,
    /// Results that the asker may not see; and among the first [`SHOWN`].
    cross_tenant: usize,
    cross_tenant_shown: usize,
    /// Results that are not in the corpus: whose they are is not known.
    unknown: usize,
    shown: usize,
    cited: usize,
    /// Whether a result's score reaches the threshold.
    answered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(skip)]
    pub(crate) hits: Vec<Hit>,
    #[serde(skip)]
    took: Option<Duration>,
}

/// What some queries amount to.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) queries: usize,
    /// Those that are in the means.
    pub(crate) scored: usize,
    pub(crate) metrics: BTreeMap<&'static str, Interval>,
    pub(crate) cross_tenant_hits: usize,
    pub(crate) cross_tenant_hits_shown: usize,
    pub(crate) cross_tenant_queries: usize,
    /// Share of the results shown that say where they are from; `None` of no results.
    pub(crate) citation_coverage: Option<f64>,
    pub(crate) unknown_results: usize,
    pub(crate) failed: usize,
    pub(crate) unanswerable: Unanswerable,
}

/// Queries whose asker has nothing to find.
#[derive(Serialize)]
pub(crate) struct Unanswerable {
    pub(crate) queries: usize,
    /// Those for which something came, at or above the threshold if there is one.
    pub(crate) answered: usize,
}

/// Milliseconds by nearest rank; of the machine and moment it was measured on.
#[derive(Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
}

/// Asks `system` all queries.
pub(crate) fn ask_all(
    dataset: &Dataset,
    system: &mut dyn System,
    how: Parameters,
) -> Result<Vec<Outcome>, Error> {
    if system.warms_up() {
        for query in &dataset.queries {
            system.ask(query, how.k)?;
        }
    }
    let asked = dataset.queries.iter();
    asked
        .map(|query| ask(dataset, system, query, how))
        .collect()
}

fn ask(
    dataset: &Dataset,
    system: &mut dyn System,
    query: &Query,
    how: Parameters,
) -> Result<Outcome, Error> {
    let answer = system.ask(query, how.k)?;
    let mut hits = answer.hits;
    hits.sort_by(order);
    hits.truncate(how.k);
    let asker = query.metadata.tenant;
    let owners = hits.iter().map(|hit| dataset.document(&hit.id));
    let foreign: Vec<bool> = owners
        .map(|found| found.is_some_and(|found| !found.metadata.tenant.shows_to(asker)))
        .collect();
    let count = |marks: &[bool]| marks.iter().filter(|&&mark| mark).count();
    let shown = hits.len().min(SHOWN);
    Ok(Outcome {
        query: query.id.clone(),
        lang: query.metadata.lang.name(),
        domain: query.metadata.domain.clone(),
        kind: query.metadata.kind.name(),
        scores: scores(&hits, &dataset.judged(query)),
        returned: hits.len(),
        cross_tenant: count(&foreign),
        cross_tenant_shown: count(&foreign[..shown]),
        unknown: hits
            .iter()
            .filter(|hit| dataset.document(&hit.id).is_none())
            .count(),
        shown,
        cited: hits[..shown]
            .iter()
            .filter(|hit| hit.source.is_some())
            .count(),
        answered: hits
            .iter()
            .any(|hit| how.threshold.is_none_or(|least| hit.score >= least)),
        failed: answer.failed,
        hits,
        took: answer.took,
    })
}

impl Outcome {
    /// The values that go into the means, if any do.
    pub(crate) fn counted(&self, complete: bool) -> Option<&Scores> {
        self.scores
            .as_ref()
            .filter(|_| complete || self.returned > 0)
    }

    /// Whose mean it is in: language, domain or kind.
    pub(crate) fn group(&self, by: By) -> &str {
        match by {
            By::Language => self.lang,
            By::Domain => &self.domain,
            By::Kind => self.kind,
        }
    }
}

/// What queries are told apart by.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Language,
    Domain,
    Kind,
}

/// What `outcomes` amount to.
pub(crate) fn summary<'a>(outcomes: impl Iterator<Item = &'a Outcome>, how: Parameters) -> Summary {
    let outcomes: Vec<&Outcome> = outcomes.collect();
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(|one| of(one)).sum::<usize>();
    let counted: Vec<&Scores> = outcomes
        .iter()
        .filter_map(|o| o.counted(how.complete))
        .collect();
    let metrics = METRICS.iter().enumerate().filter_map(|(at, name)| {
        let values: Vec<f64> = counted.iter().map(|scores| scores[at]).collect();
        Some((*name, interval(&values, how.resampling)?))
    });
    let shown = sum(|one| one.shown);
    let nothing = outcomes.iter().filter(|one| one.scores.is_none());
    Summary {
        queries: outcomes.len(),
        scored: counted.len(),
        metrics: metrics.collect(),
        cross_tenant_hits: sum(|one| one.cross_tenant),
        cross_tenant_hits_shown: sum(|one| one.cross_tenant_shown),
        cross_tenant_queries: sum(|one| usize::from(one.cross_tenant_shown > 0)),
        citation_coverage: (shown > 0).then(|| sum(|one| one.cited) as f64 / shown as f64),
        unknown_results: sum(|one| one.unknown),
        failed: sum(|one| usize::from(one.failed.is_some())),
        unanswerable: Unanswerable {
            queries: nothing.clone().count(),
            answered: nothing.filter(|one| one.answered).count(),
        },
    }
}

/// A summary for each language, domain or kind.
pub(crate) fn by(outcomes: &[Outcome], by: By, how: Parameters) -> BTreeMap<String, Summary> {
    let names: HashSet<&str> = outcomes.iter().map(|one| one.group(by)).collect();
    names
        .into_iter()
        .map(|name| {
            let of = outcomes.iter().filter(|one| one.group(by) == name);
            (name.to_owned(), summary(of, how))
        })
        .collect()
}

/// How long answers took; `None` where nobody was asked.
pub(crate) fn latency(outcomes: &[Outcome]) -> Option<Latency> {
    let took = outcomes.iter().filter_map(|one| one.took);
    let mut took: Vec<f64> = took.map(|took| took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    Some(Latency {
        p50_ms: percentile(&took, 0.5)?,
        p95_ms: percentile(&took, 0.95)?,
    })
}

/// By how much nDCG@10 of `other` is above that of `first`, query by query: the same
/// queries are drawn for both, so what is hard for both takes nothing from it.
pub(crate) fn difference(
    first: &[Outcome],
    other: &[Outcome],
    how: Parameters,
) -> Option<Interval> {
    let pairs = first.iter().zip(other);
    let values: Vec<f64> = pairs
        .filter_map(|(first, other)| {
            Some(other.counted(how.complete)?[0] - first.counted(how.complete)?[0])
        })
        .collect();
    interval(&values, how.resampling)
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
