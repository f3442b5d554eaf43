//! `restore-drill`: restores an archive where nobody is, and starts a sidecar on it.
//!
//! It shows that an archive is whole, that its databases are what they were, and that a
//! sidecar comes up on them, and says how long that took. It touches nothing that is in use,
//! but for `restore-drill.json` in the state directory, when it passed. It does not show that
//! secrets are at hand, or that the app comes up: `--run` is for that.

use super::database::Facts;
use super::manifest::Manifest;
use super::report::{Check, Report};
use super::{latest, private_dir, started, unpack};
use crate::drill::{Success, record};
use crate::sessions::now;
use camarad_config::{Config, Inputs, load};
use camarad_policies::backup::Member;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest time for `--run`.
const LONGEST_RUN: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    #[command(flatten)]
    which: Which,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    /// A shell command that has to succeed within 60 s, with RESTORED_APP_DATABASE and RESTORED_STATE_DIR in its environment; what it says goes to standard error.
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// Configuration file (instead of SIDECAR_CONFIG).
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The archive.
    #[arg(long)]
    archive: Option<PathBuf>,
    /// The newest archive in backup.directory.
    #[arg(long)]
    latest: bool,
}

/// Drills. An error is one of the arguments; what is wrong with an archive is in the report.
pub(crate) async fn drill(config: &Config, args: &DrillArgs) -> Result<Report, String> {
    let begun = Instant::now();
    let mut seen = Seen::default();
    let archive = match &args.which.archive {
        Some(archive) if !archive.is_file() => {
            return Err(format!(
                "--archive {}: there is no such file",
                archive.display()
            ));
        }
        Some(archive) => Some(archive.clone()),
        None => {
            let dir = &config.backup.directory;
            let found = latest(dir).map_err(|error| error.to_string());
            let found = found.and_then(|found| found.ok_or("no archive is there".to_owned()));
            let words = |error| format!("backup.directory, {}: {error}", dir.display());
            found
                .map_err(|error| seen.add("archive", Err(words(error))))
                .ok()
        }
    };
    let shown = archive.as_ref().map_or_else(
        || "no archive".to_owned(),
        |path| path.display().to_string(),
    );
    if let Some(archive) = archive {
        match private_dir("camarad-drill-", &std::env::temp_dir()) {
            Ok(scratch) => {
                seen.restore(config, args, &archive, scratch.path(), begun)
                    .await
            }
            Err(error) => seen.add("scratch directory", Err(error.to_string())),
        }
    }
    let mut passed = seen.checks.iter().all(|check| check.passed);
    if let (true, Some(seconds), Some(age)) = (passed, seen.recovery, seen.age) {
        let success = Success {
            succeeded_at: now(),
            archive: &shown,
            recovery_seconds: seconds,
            data_age_seconds: age,
        };
        let state_dir = &config.server.state_dir;
        if let Err(error) = record(state_dir, &success) {
            let words = format!("restore-drill.json in {}: {error}", state_dir.display());
            seen.add("written down", Err(words));
            passed = false;
        }
    }
    let time = OffsetDateTime::now_utc().replace_nanosecond(0);
    Ok(Report {
        passed,
        archive: shown,
        recovery_seconds: seen.recovery,
        data_age_seconds: seen.age,
        checks: seen.checks,
        version: env!("CARGO_PKG_VERSION"),
        // Formatting a valid time into a String cannot fail.
        checked_at: time
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default(),
    })
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    checks: Vec<Check>,
    recovery: Option<f64>,
    age: Option<u64>,
}

impl Seen {
    fn add(&mut self, name: impl Into<String>, seen: Result<String, String>) {
        self.checks.push(Check::new(name, seen));
    }

    async fn restore(
        &mut self,
        config: &Config,
        args: &DrillArgs,
        archive: &Path,
        scratch: &Path,
        begun: Instant,
    ) {
        let manifest = match unpack::unpack(archive, scratch) {
            Ok(manifest) => manifest,
            Err(error) => return self.add("archive", Err(error.to_string())),
        };
        self.age = Some(manifest.age_seconds(OffsetDateTime::now_utc()));
        let (members, bytes) = (manifest.members.len(), manifest.bytes());
        let words =
            format!("all {members} members are there and whole, {bytes} bytes, nothing else");
        self.add("archive", Ok(words));
        self.databases(&manifest, scratch);
        if manifest.entry(Member::Configuration).is_some() {
            let file = scratch.join(Member::Configuration.path());
            self.add("configuration", configuration(file));
        }
        let state_dir = scratch.join("state");
        if let Err(error) = std::fs::create_dir_all(&state_dir) {
            return self.add("scratch directory", Err(error.to_string()));
        }
        match started::start(config, &state_dir).await {
            Err(words) => self.add("sidecar", Err(words)),
            Ok(running) => {
                let answers = started::ask(&running).await;
                if answers.iter().all(|check| check.passed) {
                    self.recovery = Some((begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
                }
                self.checks.extend(answers);
                self.beside(args, &manifest, scratch, &state_dir).await;
                running.stop().await;
            }
        }
    }

    /// What is looked at while a sidecar runs.
    async fn beside(
        &mut self,
        args: &DrillArgs,
        manifest: &Manifest,
        scratch: &Path,
        state_dir: &Path,
    ) {
        let facts = manifest
            .entry(Member::Ledger)
            .and_then(|entry| entry.database.as_ref());
        // An archive without a ledger is one from before the first start.
        let told = facts.and_then(|facts| facts.rows.get("runs").copied());
        self.checks
            .push(started::ledger(state_dir, told.unwrap_or(0)));
        if let Some(command) = &args.run {
            let app = manifest.entry(Member::AppDatabase);
            let app = app.map(|entry| scratch.join(&entry.path));
            self.add("command", run(command, app.as_deref(), state_dir).await);
        }
    }

    fn databases(&mut self, manifest: &Manifest, scratch: &Path) {
        for entry in &manifest.members {
            let Some(told) = &entry.database else {
                continue;
            };
            match Facts::read(&scratch.join(&entry.path)) {
                Err(error) => self.add(&*entry.path, Err(error.to_string())),
                Ok(found) => {
                    for (what, seen) in told.compare(&found) {
                        self.add(format!("{} {what}", entry.path), seen);
                    }
                }
            }
        }
    }
}

/// Whether the configuration file is good, with the environment as it is here.
fn configuration(file: PathBuf) -> Result<String, String> {
    let mut inputs = Inputs::from_process();
    inputs.file = Some(file);
    match load(&inputs) {
        Ok(_) => Ok("it is good, with the environment and the secrets of this machine".to_owned()),
        Err(problems) => {
            let problems = problems.0.iter();
            let problems: Vec<String> = problems
                .map(|problem| format!("{}: {}", problem.key, problem.message))
                .collect();
            Err(format!(
                "{}; files that it names are in no archive",
                problems.join("; ")
            ))
        }
    }
}

/// Runs a command on what was restored; nothing of it is left when this returns.
async fn run(command: &str, app: Option<&Path>, state_dir: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("it cannot be run: {error}");
    // Standard output is the report's.
    let told = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(told);
    shell.env("RESTORED_STATE_DIR", state_dir);
    shell.env_remove("RESTORED_APP_DATABASE");
    if let Some(app) = app {
        shell.env("RESTORED_APP_DATABASE", app);
    }
    // A group of its own, so that what it starts ends with it.
    let mut child = shell
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(group.and_then(Pid::from_raw));
    let ended = tokio::time::timeout(LONGEST_RUN, child.wait()).await;
    drop(group);
    match ended {
        Err(_) => {
            let _ = child.wait().await;
            Err(format!("it took longer than {} s", LONGEST_RUN.as_secs()))
        }
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok(status)) if status.success() => Ok("it succeeded".to_owned()),
        Ok(Ok(status)) => Err(format!("it failed: {status}")),
    }
}

/// The processes that a command started; they end with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Most often there is nobody left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
