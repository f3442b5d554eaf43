//! What is evaluated: each system answers a query with scored ids.
//!
//! The embedded ones index the corpus in memory and are told the asker's tenant;
//! `-unscoped` ignores it, to show what a missing filter leaks. They index documents
//! whole: those of the sample are as long as a chunk.

pub(crate) mod bm25;
pub(crate) mod fts5;
pub(crate) mod http;
pub(crate) mod run;

use std::time::Duration;

use crate::dataset::Query;
use crate::error::Error;
use crate::metrics::Hit;

/// What came for one query.
#[derive(Default)]
pub(crate) struct Answer {
    /// At most `k`.
    pub(crate) hits: Vec<Hit>,
    /// From asking to having the ids; `None` where nobody was asked.
    pub(crate) took: Option<Duration>,
    /// Why there is no answer, where an endpoint refused.
    pub(crate) failed: Option<String>,
}

/// Something that can be asked.
pub(crate) trait System {
    /// The answer with at most `k` results. An error ends the evaluation.
    fn ask(&mut self, query: &Query, k: usize) -> Result<Answer, Error>;

    /// Whether to ask everything once untimed first, so that caches are as in use.
    fn warms_up(&self) -> bool;
}

/// A title's words count twice as much as the text's, in both embedded systems.
const TITLE_WEIGHT: f32 = 2.0;
