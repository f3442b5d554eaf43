//! `runs list|show|export`: what the ledger has, for operators, beside a sidecar that
//! serves.
//!
//! It reads the file of the state directory and asks nobody, so it shows every
//! tenant's runs to whoever may read that file.

use crate::ledger::{FILE, Filter, LedgerError, Reader};
use camarad_policies::run::trace::trace;
use camarad_policies::run::{Run, Status, data};
use camarad_policies::shown::{escaped, plain};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
    /// Configuration file (instead of SIDECAR_CONFIG); it says where the state directory is.
    #[arg(long, global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The state directory itself; nothing else of the settings is looked at.
    #[arg(long, global = true, conflicts_with = "config")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// One line for each run, the newest first.
    List(Wanted),
    /// Everything about one run, as JSON.
    Show {
        /// The run's own id, or the app's id of it with --client.
        run: String,
        /// The client, where the app's id is given.
        #[arg(long)]
        client: Option<u64>,
    },
    /// Traces of runs on standard output: JSON lines, or CSV with one header.
    Export {
        #[command(flatten)]
        wanted: Wanted,
        /// How they are written.
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Runs of this client only.
    #[arg(long)]
    client: Option<u64>,
    /// Runs of this user only.
    #[arg(long)]
    user: Option<u64>,
    /// Runs that stand so only.
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Begun since then: a length of time such as 24h, or RFC 3339.
    #[arg(long)]
    since: Option<String>,
    /// So many at most.
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One trace a line.
    Json,
    /// One line a step.
    Csv,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunsError {
    #[error("{file} in {0} cannot be read: {1}; is server.state_dir right, and has a sidecar run there?", file = FILE)]
    Ledger(String, LedgerError),
    #[error(
        "--since {0:?}: expected a length of time such as \"24h\", or a time such as \"2026-01-31T12:00:00Z\""
    )]
    Since(String),
    #[error("{0:?}: no such run; `runs list` has their ids")]
    NoSuchRun(String),
    #[error("{0:?} is the app's id of a run: say of which --client")]
    NoClient(String),
}

/// What is asked, as text for standard output.
pub(crate) fn tell(args: RunsArgs, state_dir: &Path) -> Result<String, RunsError> {
    let broken = |error| RunsError::Ledger(state_dir.display().to_string(), error);
    let reader = Reader::open(state_dir).map_err(broken)?;
    match args.command {
        RunsCommand::List(wanted) => {
            let runs = reader.list(filter(&wanted)?).map_err(broken)?;
            Ok(table(&runs))
        }
        RunsCommand::Show { run, client } => {
            let found = match (run.parse::<u64>(), client) {
                (Ok(_), None) => return Err(RunsError::NoClient(run)),
                (Ok(id), Some(client)) => reader.find_execution(client, id),
                (Err(_), _) => reader.find(&run),
            };
            let found = found.map_err(broken)?.ok_or(RunsError::NoSuchRun(run))?;
            Ok(escaped(&format!("{:#}", whole(&found))))
        }
        RunsCommand::Export { wanted, format } => {
            let runs = reader.whole(filter(&wanted)?).map_err(broken)?;
            Ok(match format {
                Format::Json => {
                    let lines = runs
                        .iter()
                        .map(|run| escaped(&trace(run).to_json().to_string()));
                    lines.collect::<Vec<_>>().join("\n")
                }
                Format::Csv => csv(&runs),
            })
        }
    }
}

fn status(name: &str) -> Result<Status, String> {
    let known = || Status::ALL.map(Status::as_str).join(", ");
    Status::parse(name).ok_or_else(|| format!("expected one of {}", known()))
}

fn filter(wanted: &Wanted) -> Result<Filter, RunsError> {
    let since_ms = match &wanted.since {
        None => i64::MIN,
        Some(text) => {
            since(text, OffsetDateTime::now_utc()).ok_or_else(|| RunsError::Since(text.clone()))?
        }
    };
    Ok(Filter {
        client: wanted.client,
        user: wanted.user,
        status: wanted.status,
        since_ms,
        most: wanted.limit,
    })
}

/// The moment in milliseconds that a length of time before now, or a time, means.
fn since(text: &str, now: OffsetDateTime) -> Option<i64> {
    let length = humantime::parse_duration(text).ok();
    let length = length.and_then(|length| Duration::try_from(length).ok());
    let at = match length {
        Some(length) => now.checked_sub(length)?,
        None => OffsetDateTime::parse(text, &Rfc3339).ok()?,
    };
    Some((at.unix_timestamp_nanos() / 1_000_000) as i64)
}

fn table(runs: &[Run]) -> String {
    let mut out = String::from(
        "RUN                                   APP     USER  CLIENT  STATUS       DATA   STARTED                   FLOW",
    );
    for run in runs {
        let app = run.execution_id.map_or("-".to_owned(), |id| id.to_string());
        let data = data(&run.sources).unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n{:<36}  {app:<6}  {:<4}  {:<6}  {:<11}  {data:<5}  {:<24}  {}{}",
            plain(&run.run_id, 80),
            run.user,
            run.client,
            run.status.as_str(),
            plain(&run.started_at, 40),
            plain(&run.flow_name, 60),
            run.replay_of.as_ref().map_or(String::new(), |of| format!(
                " (replay of {})",
                plain(of, 80)
            )),
        );
    }
    out
}

fn whole(run: &Run) -> Value {
    json!({
        "trace": trace(run).to_json(),
        "user": run.user,
        "findings": run.findings,
        "flow": run.flow,
        "answer": run.answer,
    })
}

/// All traces under the header of the first.
fn csv(runs: &[Run]) -> String {
    let mut out = String::new();
    for (n, run) in runs.iter().enumerate() {
        let csv = String::from_utf8_lossy(&trace(run).to_csv()).into_owned();
        // The header is ours: it has no line break inside.
        let rest = csv.split_once("\r\n").map_or("", |(_, rest)| rest);
        out.push_str(if n == 0 { &csv } else { rest });
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn since_is_a_length_of_time_or_a_time() {
        let now = datetime!(2026-11-26 12:00:00 UTC);
        let at = |text: &str| since(text, now);
        assert_eq!(at("24h"), at("2026-11-25T12:00:00Z"));
        assert_eq!(at("90m"), at("2026-11-26T12:30:00+02:00"));
        for bad in ["", "yesterday", "-1h", "2026-11-26", "1000000000years"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
