//! A run file of TREC: `query Q0 document rank score tag`. Ranks are not looked at,
//! as trec_eval does not look at them; a document twice for a query is refused.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{Answer, System};
use crate::dataset::{Dataset, Query};
use crate::error::Error;
use crate::metrics::{Hit, order};

/// What a system has answered before.
pub(crate) struct Run {
    answers: HashMap<String, Vec<Hit>>,
}

impl Run {
    /// Reads `path`; what documents cite is taken from the corpus.
    pub(crate) fn read(path: &Path, dataset: &Dataset) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let known: HashSet<&str> = dataset.queries.iter().map(|q| q.id.as_str()).collect();
        let mut seen = HashSet::new();
        let mut answers: HashMap<String, Vec<Hit>> = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |what: String| Error::line(path, at + 1, what);
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (query, id, score) = match columns[..] {
                [] => continue,
                [query, _, id, _, score, _] => (query, id, score),
                _ => {
                    let due = "expected six columns: query Q0 document rank score tag";
                    return Err(wrong(due.to_owned()));
                }
            };
            let score = score.parse::<f64>().ok().filter(|score| score.is_finite());
            let score = score.ok_or_else(|| wrong("score: expected a number".to_owned()))?;
            if !known.contains(query) {
                return Err(wrong(format!("no query {query} in the dataset")));
            }
            if !seen.insert((query, id)) {
                return Err(wrong(format!("{id} is there twice for {query}")));
            }
            let source = dataset.document(id);
            answers.entry(query.to_owned()).or_default().push(Hit {
                id: id.to_owned(),
                score,
                source: source.and_then(|found| found.metadata.source_uri.clone()),
            });
        }
        Ok(Self { answers })
    }
}

impl System for Run {
    fn ask(&mut self, query: &Query, k: usize) -> Result<Answer, Error> {
        let mut hits = self.answers.get(&query.id).cloned().unwrap_or_default();
        // A run is in any order: what is cut off is the end of the ranking.
        hits.sort_by(order);
        hits.truncate(k);
        Ok(Answer {
            hits,
            ..Answer::default()
        })
    }

    fn warms_up(&self) -> bool {
        false
    }
}
