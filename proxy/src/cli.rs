//! The command line.

use crate::backup::drill::DrillArgs;
use crate::backup::restore::RestoreArgs;
use crate::backup::take::BackupArgs;
use crate::config_command::ConfigArgs;
use crate::doctor::DoctorArgs;
use crate::incident::IncidentArgs;
use crate::matrix_table::Format;
use crate::runs_command::RunsArgs;
use crate::templates_command::TemplatesCommand;
use crate::token::MintArgs;
use crate::token_verify::VerifyArgs;
use crate::trace_command::TraceArgs;
use clap::{Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The version, and whether `make release` built it.
const VERSION: &str = match option_env!("CAMARAD_PROFILED") {
    Some(_) => concat!(env!("CARGO_PKG_VERSION"), " (profile-guided)"),
    None => env!("CARGO_PKG_VERSION"),
};

/// A reverse-proxy sidecar for Camarad: real connector data, one tenant at a time.
#[derive(Debug, Parser)]
#[command(name = "camarad-sidecar", version = VERSION)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve, with settings from SIDECAR_CONFIG and the environment.
    Run {
        /// In front of two stand-ins, with generated secrets and lines to paste.
        #[arg(long)]
        demo: bool,
        /// Configuration file (instead of SIDECAR_CONFIG).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Read and check the settings, tell every problem, and do nothing else.
    Check {
        /// Configuration file (instead of SIDECAR_CONFIG).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// What is configured, what was, what differs, and the way back.
    Config(ConfigArgs),
    /// Look at an installation from outside, before or after start: what works, what does not, what to do.
    Doctor(DoctorArgs),
    /// The runs of the orchestrator that were recorded.
    Runs(RunsArgs),
    /// Write down what the logs say of an incident, in the status of the day and the next steps.
    Incident(IncidentArgs),
    /// What happened to one request, in plain sentences.
    Trace(TraceArgs),
    /// Copy the app's database, the state directory and the configuration file into one archive.
    Backup(BackupArgs),
    /// Put what is in an archive in its place; the sidecar and the app have to be stopped.
    Restore(RestoreArgs),
    /// Restore an archive where nobody is, start a sidecar on it, and say what works and how long it took.
    RestoreDrill(DrillArgs),
    /// What the app supports and what is enforced, for every route.
    Matrix {
        #[command(subcommand)]
        command: Option<MatrixCommand>,
        /// How the table is written.
        #[arg(long, value_enum, default_value = "md")]
        format: Format,
    },
    /// Business flows that come with the sidecar: list, show, install for a client.
    Templates {
        #[command(subcommand)]
        command: TemplatesCommand,
    },
    /// Tokens for trying things out.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Serve a stand-in for one of the real servers; for demo and tests only.
    Mock {
        /// Which server.
        which: StandIn,
        /// Address to listen on; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Faults in force from the start, as JSON: {"fault": "hang", "latency_ms": 100}.
        #[arg(long, default_value = "{}")]
        faults: String,
        /// Coolbits' address (http://host:port): the stand-in of the app asks it where the app does; else it makes everything up. Only for `legacy`.
        #[arg(long, value_parser = http_url)]
        coolbits_url: Option<url::Url>,
        /// Stop when standard input ends, that is, with whoever started this.
        #[arg(long)]
        until_stdin_closes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MatrixCommand {
    /// Check that every route of a list has a rule; fails and names those that have none.
    Check {
        /// A list of the shape of policies/tables/routes.json.
        #[arg(long)]
        routes: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Sign a token with a secret or a private key, and print it.
    Mint(MintArgs),
    /// Read a token from standard input and say whether it is valid, and why not.
    Verify(VerifyArgs),
}

/// A server that can be stood in for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StandIn {
    /// The gateway that holds the real data.
    Coolbits,
    /// The existing app.
    Legacy,
}

/// Looked at before anything is served, or a wrong one would only show as a Coolbits that never answers.
fn http_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("not http://host:port".to_owned()),
    }
}
