//! `doctor`: looks at an installation from outside, before or after the start, and
//! says for each check what was seen and what to do.
//!
//! It reads and changes nothing: what it asks of the app and of Coolbits is what
//! the sidecar asks for a read. Everything is bounded, one answer by
//! [`probe::LONGEST`], all of it by [`IN_ALL`]. It is no monitor: it looks once, as
//! the user who runs it, who should be the sidecar's.
//!
//! Probing (`app`, `front`, `issuers`, `caller`, `door`, `enforced`, `figures`,
//! `machine`) is kept apart from judging, which is pure functions beside it, and
//! from telling (`report`).

mod app;
mod caller;
mod door;
mod enforced;
mod figures;
mod front;
mod issuers;
mod machine;
mod probe;
mod report;

use camarad_config::Config;
use camarad_policies::ids::ClientId;
use clap::Args;
use door::Door;
use probe::{LONGEST, Prober};
use report::{Check, Finding, Gate, Report};
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::Instant;

/// Time for all checks together.
const IN_ALL: Duration = Duration::from_secs(60);
/// Longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Read a token from the first line of standard input, and look at everything that needs one.
    #[arg(long)]
    token_stdin: bool,
    /// The client to read for, instead of the token's first.
    #[arg(long, value_parser = client_id)]
    client: Option<ClientId>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Configuration file (instead of SIDECAR_CONFIG).
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

fn client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|_| "expected a client id such as 10".into())
}

/// What was read from standard input.
enum Given {
    /// Nothing was to be read.
    Nothing,
    /// A token, not looked at yet.
    Token(String),
    /// Why there is none.
    Missing(&'static str),
}

/// Looks at everything. Does not fail: what cannot be looked at is a check that says so.
pub(crate) async fn examine(config: &Config, args: &DoctorArgs) -> Report {
    let ends = Instant::now() + IN_ALL;
    let given = match args.token_stdin {
        true => tokio::time::timeout(LONGEST, read_line())
            .await
            .unwrap_or(Given::Missing("no line came on standard input within 15 s")),
        false => Given::Nothing,
    };
    let mut checks = settings(config);
    match Prober::new(ends) {
        Ok(prober) => checks.extend(look(config, &prober, &given, args.client).await),
        Err(error) => {
            let seen = format!("nothing can be asked: the HTTP client: {error}");
            let todo = "see that this machine has certificates of authorities";
            checks.push(Finding::fail(seen, todo).of(Gate::A, "doctor"));
        }
    }
    // Formatting a valid time into a String cannot fail.
    let now = OffsetDateTime::now_utc().replace_nanosecond(0);
    let now = now.ok().and_then(|now| now.format(&Rfc3339).ok());
    let token = match &given {
        Given::Token(token) => token,
        Given::Nothing | Given::Missing(_) => "",
    };
    Report::new(checks, now.unwrap_or_default(), &[token])
}

async fn look(
    config: &Config,
    prober: &Prober,
    given: &Given,
    wanted: Option<ClientId>,
) -> Vec<Check> {
    let here = {
        let config = config.clone();
        let looked = tokio::task::spawn_blocking(move || machine::look(&config));
        tokio::time::timeout(prober.left(LONGEST), looked)
    };
    let subject = async {
        match given {
            Given::Nothing => (caller::without(), None),
            Given::Missing(why) => {
                let todo = "pass one token as the first line of standard input";
                (vec![Finding::fail(*why, todo).of(Gate::B, "token")], None)
            }
            Given::Token(text) => caller::look(config, prober, text, wanted).await,
        }
    };
    let front_and_keys = async {
        let front = front::look(config, prober).await;
        let keys = issuers::look(config, prober, front.metrics.as_deref()).await;
        (front, keys)
    };
    let (here, (front, keys), app, gateway, (subject, caller)) = tokio::join!(
        here,
        front_and_keys,
        app::look(config, prober),
        figures::gateway(config, prober),
        subject,
    );
    let here = match here {
        Ok(Ok(checks)) => checks,
        Ok(Err(_)) | Err(_) => {
            let seen = "the file system of the state directory does not answer";
            vec![Finding::fail(seen, "see to its disk or server").of(Gate::A, "state directory")]
        }
    };
    let mut checks = [here, front.checks, app, keys, subject, gateway].concat();
    let unread = |finding: &Finding| match (given, &caller) {
        (Given::Nothing, _) => figures::without(),
        _ => figures::instead(finding),
    };
    match Door::open(config, front.runs, prober).await {
        Ok(door) => {
            let read = async {
                match &caller {
                    Some(caller) => figures::look(&door, prober, caller).await,
                    None => unread(&Finding::skip(
                        "not looked at: the token did not pass",
                        "repair what \"token\" and \"user\" say",
                    )),
                }
            };
            let proof = enforced::look(&door, prober, caller.as_ref());
            let (proof, read) = tokio::join!(proof, read);
            checks.extend(proof);
            checks.extend(read);
            door.close().await;
        }
        Err(finding) => {
            checks.extend(enforced::behind_closed_door(&finding));
            checks.extend(unread(&finding));
        }
    }
    checks
}

/// They were checked already; what is left are warnings.
fn settings(config: &Config) -> Vec<Check> {
    let name = "settings";
    if config.warnings.is_empty() {
        return vec![Finding::pass("they are good").of(Gate::A, name)];
    }
    let todo = "change it, or leave it if it is meant";
    let warnings = config.warnings.iter();
    warnings
        .map(|warning| Finding::warn(warning, todo).of(Gate::A, name))
        .collect()
}

async fn read_line() -> Given {
    let mut line = String::new();
    let mut input = BufReader::new(tokio::io::stdin().take(LONGEST_LINE));
    match input.read_line(&mut line).await {
        Ok(_) if !line.trim().is_empty() => Given::Token(line.trim().to_owned()),
        Ok(_) => Given::Missing("the first line of standard input is empty"),
        Err(_) => Given::Missing("standard input cannot be read as text"),
    }
}
