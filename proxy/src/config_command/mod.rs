//! `config`: what is configured, what was, what differs, and the way back.
//!
//! Secrets are never shown; whoever may read the state directory may read the rest. All but
//! `rollback` change nothing that is in force.

mod rollback;

use crate::snapshots::{Entry, Snapshots, SnapshotsError, short};
use camarad_config::{Config, Inputs, Problems, Snapshot, leaves, load, shown_file};
use camarad_policies::shown::plain;
use clap::{Args, Subcommand};
use rollback::{Rollback, RollbackError};
use serde_json::{Value, json};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest words of a person's, in characters.
const LONGEST_REASON: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
    /// Configuration file (instead of SIDECAR_CONFIG).
    #[arg(long, global = true)]
    pub(crate) config: Option<PathBuf>,
    /// State directory (instead of the settings'); for settings that cannot be read any more.
    #[arg(long, global = true)]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// The configuration file without its secrets, or with --effective every setting and where it was set.
    Print {
        /// Every setting that is in force for a start now, defaults too.
        #[arg(long)]
        effective: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Keep the settings as they are now, whether or not anybody serves with them.
    Snapshot {
        /// What for.
        #[arg(long, default_value = "asked for")]
        reason: String,
    },
    /// Every configuration that was applied or kept, the newest first.
    List {
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// One of them.
    Show {
        /// `latest`, `previous`, or the beginning of an id.
        id: String,
        /// A file that was kept along, by its whole path.
        #[arg(long)]
        file: Option<String>,
        /// All of it, as JSON.
        #[arg(long, conflicts_with = "file")]
        json: bool,
    },
    /// What differs between two of them, or between one and the settings as they are now.
    Diff {
        /// `latest`, `previous`, or the beginning of an id.
        from: String,
        /// The other one; without it, the settings as they are now.
        to: Option<String>,
    },
    /// Put one of them in force again: checked, written, reloaded, and undone if it does not come up.
    Rollback {
        /// `latest`, `previous`, or the beginning of an id.
        id: String,
        /// Only check and write the file: for settings that take a restart.
        #[arg(long)]
        write_only: bool,
        /// How long the sidecar may take to say what it made of the file; it gives issuers 20 s for their keys.
        #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
        wait: Duration,
    },
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Settings(#[from] Problems),
    #[error("{0}")]
    Snapshots(#[from] SnapshotsError),
    #[error("{0}")]
    Rollback(#[from] RollbackError),
    #[error("it cannot be kept: {0}")]
    Keep(std::io::Error),
    #[error("{0} is not among what was kept along: {1}")]
    NoFile(String, String),
    #[error(
        "no configuration file is named: settings come from the environment alone (`--effective` shows them)"
    )]
    NothingToPrint,
}

impl ConfigError {
    /// Whether what was asked for was understood, and could not be done.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Rollback(_))
    }
}

/// Does what is asked for; the text is for standard output.
pub(crate) async fn run(args: ConfigArgs, inputs: Inputs) -> Result<String, ConfigError> {
    let state_dir = || -> Result<PathBuf, Problems> {
        match &args.state_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(load(&inputs)?.server.state_dir),
        }
    };
    match args.command {
        ConfigCommand::Print {
            effective: false,
            json: false,
        } => {
            let text = shown_file(&load(&inputs)?).ok_or(ConfigError::NothingToPrint)?;
            Ok(text.trim_end().to_owned())
        }
        ConfigCommand::Print { json, .. } => Ok(effective(&load(&inputs)?, json)),
        ConfigCommand::Snapshot { reason } => {
            let config = load(&inputs)?;
            let dir = args
                .state_dir
                .as_deref()
                .unwrap_or(&config.server.state_dir);
            let kept = Snapshots::of(dir).keep_only(&config, &plain(&reason, LONGEST_REASON));
            let kept = kept.map_err(ConfigError::Keep)?;
            Ok(format!("kept as {}", short(&kept.id)))
        }
        ConfigCommand::List { json } => list(&Snapshots::of(&state_dir()?), json),
        ConfigCommand::Show { id, file, json } => {
            show(&Snapshots::of(&state_dir()?), &id, file, json)
        }
        ConfigCommand::Diff { from, to } => {
            let kept = Snapshots::of(&state_dir()?);
            let before = kept.read(&kept.find(&from)?.id)?;
            let after = match to {
                Some(to) => kept.read(&kept.find(&to)?.id)?,
                None => kept.taken(&load(&inputs)?),
            };
            Ok(diff(&before, &after))
        }
        ConfigCommand::Rollback {
            id,
            write_only,
            wait,
        } => {
            let rollback = Rollback {
                inputs: &inputs,
                state_dir: args.state_dir.as_deref(),
                write_only,
                wait,
            };
            Ok(rollback.to(&id).await?)
        }
    }
}

fn effective(config: &Config, as_json: bool) -> String {
    let all = leaves(&config.settings);
    let origin = |key: &str| {
        let origin = config.source.origins.get(key);
        origin.map_or("default", String::as_str).to_owned()
    };
    if as_json {
        let rows: serde_json::Map<String, Value> = all
            .into_iter()
            .map(|(key, value)| {
                let row = json!({"value": value, "origin": origin(&key)});
                (key, row)
            })
            .collect();
        return Value::Object(rows).to_string();
    }
    let lines = all
        .iter()
        .map(|(key, value)| format!("{key} = {value}  # {}", origin(key)));
    lines.collect::<Vec<_>>().join("\n")
}

fn list(kept: &Snapshots, as_json: bool) -> Result<String, ConfigError> {
    let entries = kept.entries()?;
    let newest = entries.iter().rev();
    if as_json {
        let lines = newest.filter_map(|entry| serde_json::to_string(entry).ok());
        return Ok(lines.collect::<Vec<_>>().join("\n"));
    }
    let in_force = entries.iter().rev().find(|entry| entry.applied);
    let line = |entry: &Entry| {
        let mark = match (in_force == Some(entry), entry.rolled_back) {
            (true, true) => "in force, rolled back",
            (true, false) => "in force",
            (false, _) if !entry.applied => "kept",
            (false, _) => "",
        };
        let changed = match entry.changed.is_empty() {
            true => String::new(),
            false => format!("  {}", shown(&entry.changed.join(", "))),
        };
        let line = format!(
            "{}  {}  {:21}  {}{changed}",
            short(&entry.id),
            shown(&entry.time),
            mark,
            shown(&entry.reason)
        );
        line.trim_end().to_owned()
    };
    Ok(newest.map(line).collect::<Vec<_>>().join("\n"))
}

fn show(
    kept: &Snapshots,
    id: &str,
    file: Option<String>,
    as_json: bool,
) -> Result<String, ConfigError> {
    let entry = kept.find(id)?;
    let snapshot = kept.read(&entry.id)?;
    if as_json {
        return Ok(snapshot.to_text());
    }
    if let Some(path) = file {
        let found = snapshot.included.iter().find(|file| file.path == path);
        let known = || {
            let paths = snapshot.included.iter().map(|file| file.path.as_str());
            match snapshot.included.is_empty() {
                true => "nothing was (see snapshots.include)".to_owned(),
                false => paths.collect::<Vec<_>>().join(", "),
            }
        };
        let text = found.map(|file| file.text.trim_end().to_owned());
        return text.ok_or_else(|| ConfigError::NoFile(path, known()));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    for of in kept.entries()?.iter().filter(|of| of.id == entry.id) {
        let (time, reason) = (shown(&of.time), shown(&of.reason));
        let _ = writeln!(text, "# {time}: {reason}");
    }
    let _ = writeln!(
        text,
        "# id {}, by camarad-sidecar {}",
        entry.id,
        shown(&snapshot.version)
    );
    for (name, value) in &snapshot.environment {
        let (name, value) = (shown(name), shown(value));
        let _ = writeln!(text, "# environment: {name}={value}");
    }
    for file in &snapshot.included {
        let path = shown(&file.path);
        let _ = writeln!(text, "# kept along: {path} (--file shows it)");
    }
    match &snapshot.file {
        Some(file) => {
            let (path, own) = (shown(&file.path), file.text.trim_end());
            let _ = write!(text, "# file: {path}\n\n{own}");
        }
        None => text += "# no file: the environment alone",
    }
    Ok(text)
}

/// What differs: settings by key, then the environment by name, then files by line.
fn diff(before: &Snapshot, after: &Snapshot) -> String {
    let mut lines = Vec::new();
    let both = |a: &Value, b: &Value| format!("{a} -> {b}");
    let keys: BTreeSet<_> = before
        .settings
        .keys()
        .chain(after.settings.keys())
        .collect();
    for key in keys {
        let of = |one: &Snapshot| one.settings.get(key).cloned().unwrap_or_default();
        let (a, b) = (of(before), of(after));
        if a != b {
            lines.push(format!("{key}: {}", both(&a, &b)));
        }
    }
    let environment = |one: &Snapshot| one.environment.clone();
    let (a, b) = (environment(before), environment(after));
    for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
        if a.get(name) != b.get(name) {
            let of = |value: Option<&String>| value.map_or("(not set)".to_owned(), |v| shown(v));
            lines.push(format!(
                "environment: {}: {} -> {}",
                shown(name),
                of(a.get(name)),
                of(b.get(name))
            ));
        }
    }
    let files = |one: &Snapshot| {
        one.file
            .iter()
            .chain(&one.included)
            .cloned()
            .collect::<Vec<_>>()
    };
    let (old, new) = (files(before), files(after));
    let paths: BTreeSet<&str> = old
        .iter()
        .chain(&new)
        .map(|file| file.path.as_str())
        .collect();
    for path in paths {
        let text = |files: &[camarad_config::KeptFile]| {
            let found = files.iter().find(|file| file.path == path);
            found.map_or(String::new(), |file| file.text.clone())
        };
        let (a, b) = (text(&old), text(&new));
        if a != b {
            let (changes, path) = (TextDiff::from_lines(&a, &b), shown(path));
            let told = changes.unified_diff().header(&path, &path).to_string();
            lines.push(told.trim_end().to_owned());
        }
    }
    if before.version != after.version {
        lines.push(format!("version: {} -> {}", before.version, after.version));
    }
    match lines.is_empty() {
        true => "no difference (secrets are not compared)".to_owned(),
        false => lines.join("\n"),
    }
}

/// A piece of what was kept, in its line.
fn shown(text: &str) -> String {
    plain(text, 4096)
}

/// The directory that `path` is in; the present one for a plain name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
