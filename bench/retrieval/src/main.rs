//! `retrieval`: validates ingest records of RAG v2 and evaluates retrieval.
//!
//! ```text
//! retrieval validate FILE…
//! retrieval eval --dataset DIR --system bm25 --system fts5
//! ```
//!
//! It ends with 0, with 1 where a record is invalid, a requirement is missed or an
//! endpoint refused queries, and with 2 where there is no result at all. It is a tool
//! for whoever decides on retrieval: nothing of the sidecar depends on it. Its figures
//! are those of one dataset; README, "Retrieval evaluation", says what they do not say.

mod bootstrap;
mod cli;
mod dataset;
mod error;
mod eval;
mod evaluate;
mod metrics;
mod report;
mod require;
mod systems;
mod trec;
mod validate;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

#[allow(clippy::print_stderr)] // Why there is no result.
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Validate { files } => validate::run(&files),
        Command::Eval(eval) => eval::run(&eval),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("retrieval: {error}");
            ExitCode::from(2)
        }
    }
}
