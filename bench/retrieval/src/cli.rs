//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::require::Requirement;

/// Validates ingest records of RAG v2, and evaluates retrieval.
#[derive(Parser)]
#[command(name = "retrieval", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Checks records (JSON, or JSONL with one a line) against ingest.v2.schema.json.
    Validate {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Asks systems the queries of a dataset and tells how well they answered.
    Eval(Box<Eval>),
}

#[derive(Args)]
pub(crate) struct Eval {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/test.tsv.
    #[arg(long)]
    pub(crate) dataset: PathBuf,
    /// May be repeated: the others are compared with the first.
    #[arg(long, required = true)]
    pub(crate) system: Vec<Name>,
    /// Results asked for, for each query. MAP is over these.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub(crate) k: u16,
    #[arg(long, default_value_t = 11)]
    pub(crate) seed: u64,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) resamples: u32,
    /// Means over all queries with something relevant, as trec_eval -c; `false`: over
    /// those with a result.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub(crate) complete: bool,
    /// Adds this many documents of tenants that no query asks as: what others' documents
    /// cost, and whether they change answers.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) others: u32,
    /// Score from which a result counts as an answer, where there is nothing to find.
    #[arg(long)]
    pub(crate) threshold: Option<f64>,
    /// Writes the report as JSON, with every query's outcome.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Writes the table that is printed.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Writes runs and judgements for trec_eval into this folder.
    #[arg(long)]
    pub(crate) trec: Option<PathBuf>,
    /// Ends with 1 where it does not hold: `nDCG@10>=0.6`, `MRR@10:paraphrase>=0.5`,
    /// `cross_tenant_hits<=0`, `citation_coverage>=1`, `failed<=0`, `p95_ms<=50`.
    #[arg(long)]
    pub(crate) require: Vec<Requirement>,
    /// Of system `run`: a TREC run file.
    #[arg(long)]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) http: HttpArguments,
}

/// What system `http` needs.
#[derive(Args)]
#[command(next_help_heading = "System http")]
pub(crate) struct HttpArguments {
    /// The endpoint: http://127.0.0.1:8080/api/rag/search
    #[arg(long)]
    pub(crate) url: Option<Url>,
    /// A user's token: USER=FILE; may be repeated.
    #[arg(long, value_name = "USER=FILE")]
    pub(crate) token_file: Vec<String>,
    /// Reads a token from stdin, for users without a file. So does the environment's
    /// RETRIEVAL_TOKEN.
    #[arg(long)]
    pub(crate) token_stdin: bool,
    #[arg(long, default_value = "q")]
    pub(crate) query_parameter: String,
    /// JSON pointer of the list; the answer itself or its `results` without.
    #[arg(long)]
    pub(crate) results: Option<String>,
    #[arg(long, default_value = "id")]
    pub(crate) id_field: String,
    #[arg(long, default_value = "score")]
    pub(crate) score_field: String,
    #[arg(long, default_value = "source_uri")]
    pub(crate) source_field: String,
}

/// What can be evaluated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// tantivy, filtered by the asker's tenant.
    Bm25,
    /// tantivy over everybody's documents: what a missing filter leaks.
    Bm25Unscoped,
    /// SQLite's FTS5, filtered by the asker's tenant.
    Fts5,
    /// SQLite's FTS5 over everybody's documents.
    Fts5Unscoped,
    /// An endpoint, asked as each query's user and client.
    Http,
    /// A TREC run file.
    Run,
}

impl Name {
    /// Whether it makes an index of the corpus.
    pub(crate) fn indexes(self) -> bool {
        !matches!(self, Self::Http | Self::Run)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25",
            Self::Bm25Unscoped => "bm25-unscoped",
            Self::Fts5 => "fts5",
            Self::Fts5Unscoped => "fts5-unscoped",
            Self::Http => "http",
            Self::Run => "run",
        }
    }
}
