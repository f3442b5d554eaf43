//! A report: one evaluation of one or more systems, as Markdown and as JSON.
//!
//! Everything but the latency is the same again with the same dataset, parameters and
//! versions, all of which it names.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::bootstrap::Interval;
use crate::evaluate::{self, By, Latency, Outcome, Parameters, SHOWN, Summary, by, summary};
use crate::metrics::METRICS;

/// What was evaluated, how, and what came of it.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) dataset: About,
    pub(crate) parameters: Parameters,
    pub(crate) versions: BTreeMap<&'static str, String>,
    pub(crate) systems: Vec<Evaluated>,
}

/// Which dataset.
#[derive(Serialize)]
pub(crate) struct About {
    pub(crate) sha256: String,
    pub(crate) documents: usize,
    pub(crate) queries: usize,
    pub(crate) judgements: usize,
}

/// One system.
#[derive(Serialize)]
pub(crate) struct Evaluated {
    pub(crate) system: String,
    pub(crate) overall: Summary,
    pub(crate) by_language: BTreeMap<String, Summary>,
    pub(crate) by_domain: BTreeMap<String, Summary>,
    pub(crate) by_kind: BTreeMap<String, Summary>,
    /// nDCG@10 above the first system's, in pairs; none for the first itself.
    pub(crate) ndcg_above_first: Option<Interval>,
    pub(crate) latency: Option<Latency>,
    /// Milliseconds to index all documents; none where there is no index to make.
    pub(crate) index_ms: Option<f64>,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Evaluated {
    /// Adds up; `first` has the outcomes of the system to compare with.
    pub(crate) fn new(
        system: String,
        outcomes: Vec<Outcome>,
        first: Option<&[Outcome]>,
        how: Parameters,
    ) -> Self {
        Self {
            system,
            overall: summary(outcomes.iter(), how),
            by_language: by(&outcomes, By::Language, how),
            by_domain: by(&outcomes, By::Domain, how),
            by_kind: by(&outcomes, By::Kind, how),
            ndcg_above_first: first.and_then(|first| evaluate::difference(first, &outcomes, how)),
            latency: evaluate::latency(&outcomes),
            index_ms: None,
            outcomes,
        }
    }
}

impl Report {
    /// For people, in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let how = &self.parameters;
        writeln!(out, "# Retrieval\n")?;
        writeln!(
            out,
            "{} documents, {} queries, {} judgements; SHA-256 `{}`.",
            self.dataset.documents,
            self.dataset.queries,
            self.dataset.judgements,
            self.dataset.sha256
        )?;
        let versions = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"));
        let versions: Vec<String> = versions.collect();
        writeln!(out, "{}.", versions.join(", "))?;
        writeln!(
            out,
            "k {}, {} documents of others added, seed {}, {} resamples, means over {}. In brackets: 95 % interval.\n",
            how.k,
            how.others,
            how.resampling.seed,
            how.resampling.resamples,
            match how.complete {
                true => "all queries with something relevant",
                false => "queries with something relevant and a result",
            },
        )?;
        self.means(out)?;
        self.tenancy(out)?;
        for system in &self.systems {
            groups(out, system)?;
        }
        Ok(())
    }

    fn means(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| system | {} | above the first, nDCG@10 |",
            METRICS.join(" | ")
        )?;
        writeln!(out, "|---|{}---|", "---|".repeat(METRICS.len()))?;
        for system in &self.systems {
            write!(out, "| {} |", system.system)?;
            for name in METRICS {
                write!(out, " {} |", told(system.overall.metrics.get(name)))?;
            }
            writeln!(out, " {} |", told(system.ndcg_above_first.as_ref()))?;
        }
        writeln!(out)
    }

    fn tenancy(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| system | cross-tenant hits, first {SHOWN} (queries) | cross-tenant hits, all | citation coverage, first {SHOWN} | nothing to find: answered | unknown results | failed | p50, p95 ms | indexing ms |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
        for system in &self.systems {
            let all = &system.overall;
            writeln!(
                out,
                "| {} | {} ({}) | {} | {} | {} of {} | {} | {} | {} | {} |",
                system.system,
                all.cross_tenant_hits_shown,
                all.cross_tenant_queries,
                all.cross_tenant_hits,
                all.citation_coverage
                    .map_or("–".to_owned(), |share| format!("{share:.3}")),
                all.unanswerable.answered,
                all.unanswerable.queries,
                all.unknown_results,
                all.failed,
                system
                    .latency
                    .as_ref()
                    .map_or("–".to_owned(), |took| format!(
                        "{:.2}, {:.2}",
                        took.p50_ms, took.p95_ms
                    )),
                system
                    .index_ms
                    .map_or("–".to_owned(), |took| format!("{took:.0}")),
            )?;
        }
        writeln!(out)
    }
}

fn groups(out: &mut String, system: &Evaluated) -> std::fmt::Result {
    writeln!(out, "## {}\n", system.system)?;
    writeln!(
        out,
        "| of | queries (in the means) | nDCG@10 | recall@20 | MRR@10 | cross-tenant hits, first {SHOWN} |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (name, of) in [&system.by_language, &system.by_domain, &system.by_kind]
        .into_iter()
        .flatten()
    {
        let metric = |name| told(of.metrics.get(name));
        writeln!(
            out,
            "| {name} | {} ({}) | {} | {} | {} | {} |",
            of.queries,
            of.scored,
            metric("nDCG@10"),
            metric("recall@20"),
            metric("MRR@10"),
            of.cross_tenant_hits_shown,
        )?;
    }
    writeln!(out)
}

fn told(interval: Option<&Interval>) -> String {
    interval.map_or("–".to_owned(), |found| {
        format!("{:.3} [{:.3}, {:.3}]", found.mean, found.low, found.high)
    })
}

/// A figure that can be required: a metric's mean, or one of tenancy and speed.
pub(crate) fn figure(system: &Evaluated, name: &str) -> Option<f64> {
    let all = &system.overall;
    match name {
        "cross_tenant_hits" => Some(all.cross_tenant_hits as f64),
        "citation_coverage" => all.citation_coverage,
        "failed" => Some(all.failed as f64),
        "p95_ms" => system.latency.as_ref().map(|took| took.p95_ms),
        _ => match name.split_once(':') {
            Some((metric, kind)) => mean_of(system.by_kind.get(kind)?, metric),
            None => mean_of(all, name),
        },
    }
}

fn mean_of(summary: &Summary, metric: &str) -> Option<f64> {
    summary.metrics.get(metric).map(|found| found.mean)
}
