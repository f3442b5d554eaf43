//! A sidecar on a restored state directory: it is started, asked, and stopped.
//!
//! It listens on free loopback ports, knows no caller, and reaches neither the app nor
//! Coolbits, so that a drill changes nothing and tells nobody anything. What it writes stays
//! in the directory that it is given.

use super::report::Check;
use crate::ledger::{Filter, Reader};
use crate::process::{self, Running};
use camarad_config::{Config, Inputs, load};
use camarad_policies::hex::hex;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

/// Longest wait for its start, and for each of its answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs that are read as `runs list` does.
const MOST_RUNS: u32 = 1000;

/// Starts one on this state directory.
pub(super) async fn start(config: &Config, state_dir: &Path) -> Result<Running, String> {
    let own = settings(config, state_dir)?;
    match tokio::time::timeout(PATIENCE, process::start(own, None)).await {
        Ok(Ok(running)) => Ok(running),
        Ok(Err(error)) => Err(format!("it does not start: {error}")),
        Err(_) => Err(format!("it did not start within {} s", PATIENCE.as_secs())),
    }
}

/// Settings that need no secret and reach nobody; bounds of the ledger as in `config`.
fn settings(config: &Config, state_dir: &Path) -> Result<Config, String> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(|error| format!("randomness: {error}"))?;
    let mut inputs = Inputs::default();
    for (name, value) in [
        ("SIDECAR_LISTEN", "127.0.0.1:0"),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0"),
        ("SIDECAR_ACCESS_LOG", "off"),
        ("SIDECAR__AUDIT__LOG", "off"),
        ("SIDECAR_JWT_SECRET", &hex(&secret)),
        ("SIDECAR_JWT_USER_CLAIM", "uid"),
        ("COOLBITS_GATEWAY_ENABLED", "off"),
        // The port that discards, where nobody is.
        ("LEGACY_URL", "http://127.0.0.1:9"),
    ] {
        inputs.environment.insert(name.to_owned(), value.to_owned());
    }
    let mut own = load(&inputs).map_err(|problems| problems.to_string())?;
    own.warnings.clear();
    own.server.state_dir = state_dir.to_owned();
    own.ledger = config.ledger.clone();
    Ok(own)
}

/// Asks it what an operator would: whether it is alive, and its metrics.
pub(super) async fn ask(running: &Running) -> Vec<Check> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Check::new("sidecar", Err(words("the HTTP client", &error)))],
    };
    let get = async |path: &str| -> Result<String, String> {
        let url = format!("http://{}{path}", running.admin_address());
        let answer = client.get(url).send().await;
        let answer = answer.map_err(|error| words(path, &error))?;
        let status = answer.status();
        match status.is_success() {
            true => answer.text().await.map_err(|error| words(path, &error)),
            false => Err(format!("GET {path}: {status}")),
        }
    };
    let alive = get("/healthz").await;
    let metrics = get("/metrics").await.and_then(|page| {
        let series = page.lines().filter(|line| line.starts_with("sidecar_"));
        match series.count() {
            0 => Err("GET /metrics: no metrics of a sidecar".to_owned()),
            count => Ok(format!("{count} series")),
        }
    });
    vec![
        Check::new("sidecar", alive.map(|_| "it is alive".to_owned())),
        Check::new("metrics", metrics),
    ]
}

fn words(what: &str, error: &dyn Display) -> String {
    format!("{what}: {error}")
}

/// Reads the ledger beside it, as `runs list` does; `told` is how many runs the archive has.
pub(super) fn ledger(state_dir: &Path, told: u64) -> Check {
    let everything = Filter {
        client: None,
        user: None,
        status: None,
        since_ms: i64::MIN,
        most: MOST_RUNS,
    };
    let listed = Reader::open(state_dir).and_then(|reader| reader.list(everything));
    let seen = match listed {
        Err(error) => Err(format!("`runs list` fails: {error}")),
        Ok(runs) if runs.len() as u64 == told.min(u64::from(MOST_RUNS)) => {
            Ok(format!("`runs list` has {} of {told} runs", runs.len()))
        }
        Ok(runs) => Err(format!(
            "`runs list` has {} runs; the archive {told}",
            runs.len()
        )),
    };
    Check::new("ledger", seen)
}
