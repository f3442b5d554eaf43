//! The same evaluation for trec_eval: a run of each system, and the judgements of what
//! askers may see. `trec_eval -c -m ndcg_cut.10 qrels.txt bm25.run` gives our means.
//!
//! Queries with nothing relevant are in neither: trec_eval would count them as 0.

use std::fmt::Write;
use std::path::Path;

use crate::dataset::Dataset;
use crate::error::Error;
use crate::report::Report;

/// Writes `qrels.txt` and a `.run` for each system into `folder`.
pub(crate) fn write(folder: &Path, dataset: &Dataset, report: &Report) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let mut qrels = String::new();
    for query in &dataset.queries {
        let judged = dataset.judged(query);
        if !judged.values().any(|&grade| grade > 0) {
            continue;
        }
        let mut judged: Vec<_> = judged.into_iter().collect();
        judged.sort_unstable();
        for (id, grade) in judged {
            // Writing to a string does not fail.
            let _ = writeln!(qrels, "{} 0 {id} {grade}", query.id);
        }
    }
    put(&folder.join("qrels.txt"), &qrels)?;
    for system in &report.systems {
        let mut run = String::new();
        for outcome in system.outcomes.iter().filter(|one| one.scores.is_some()) {
            for (at, hit) in outcome.hits.iter().enumerate() {
                let (query, name) = (&outcome.query, &system.system);
                let _ = writeln!(run, "{query} Q0 {} {} {} {name}", hit.id, at + 1, hit.score);
            }
        }
        put(&folder.join(format!("{}.run", system.system)), &run)?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file(path))
}
