//! `backup`: everything into one archive, and old archives away.
//!
//! Each database is consistent in itself; they are copied one after the other, the app's
//! first, so that the ledger may know of a run that the app's copy does not, and not the
//! other way round.

use super::database::DatabaseError;
use super::manifest::Manifest;
use super::pack::{UNFINISHED, pack};
use super::stage::Stage;
use super::{archives, private_dir, stamp};
use camarad_config::{Config, holds_secrets};
use camarad_policies::backup::{Member, archive_name, expired};
use clap::Args;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Directory for the archive, instead of backup.directory.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The app's SQLite file, instead of backup.app_database.
    #[arg(long, conflicts_with = "no_app_db")]
    app_db: Option<PathBuf>,
    /// Leave the app's database out.
    #[arg(long)]
    no_app_db: bool,
    /// How long to wait for a database that somebody holds locked.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Configuration file (instead of SIDECAR_CONFIG).
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(
        "no app database is named: set backup.app_database, or say --app-db FILE; --no-app-db leaves it out"
    )]
    NoAppDatabase,
    #[error("{}: it cannot be written: {why}", .0.display(), why = .1)]
    Target(PathBuf, io::Error),
    #[error("{}: no space is left", .0.display())]
    NoSpace(PathBuf),
    #[error("{}: an archive of this second is there already", .0.display())]
    Taken(PathBuf),
    #[error("the {what}, {}: {error}", path.display())]
    Database {
        what: &'static str,
        path: PathBuf,
        error: DatabaseError,
    },
    #[error("{}: it cannot be read: {why}", .0.display(), why = .1)]
    Source(PathBuf, io::Error),
    #[error("{}: a name that archives have no room for: expected plain names, 100 bytes with their folders", .0.display())]
    Name(PathBuf),
}

impl BackupError {
    /// Whether the settings or arguments are at fault.
    pub(crate) fn is_unusable(&self) -> bool {
        matches!(self, Self::NoAppDatabase)
    }
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The archive, and what else to tell.
    pub(crate) lines: Vec<String>,
    /// What somebody should know.
    pub(crate) warnings: Vec<String>,
}

/// Writes an archive of what is there now, then deletes the ones that are too many or too
/// old. `file` is the configuration file in use.
pub(crate) fn take(
    config: &Config,
    file: Option<&Path>,
    args: &BackupArgs,
) -> Result<Taken, BackupError> {
    let app = args.app_db.as_ref().or(config.backup.app_database.as_ref());
    let app = match (app, args.no_app_db) {
        (_, true) => None,
        (Some(app), false) => Some(app.as_path()),
        (None, false) => return Err(BackupError::NoAppDatabase),
    };
    let dir = args.out.as_ref().unwrap_or(&config.backup.directory);
    let failed = |error| target(dir, error);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(failed)?;
    let staging = private_dir(UNFINISHED, dir).map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let name = archive_name(&stamp(now));

    let mut stage = Stage {
        dir: staging.path(),
        out: dir,
        wait: args.wait,
        members: Vec::new(),
        warnings: left_behind(dir, staging.path()).map_err(failed)?,
    };
    let state = &config.server.state_dir;
    if let Some(app) = app {
        stage.database(Member::AppDatabase, "app's database", app)?;
    }
    for (member, what, file) in [
        (Member::Ledger, "ledger", "runs.db"),
        (Member::Owners, "index of conversations", "owners.db"),
    ] {
        let path = state.join(file);
        match path.exists() {
            true => stage.database(member, what, &path)?,
            false => stage.absent(&path),
        }
    }
    let sessions = state.join("sessions.json");
    if sessions.exists() {
        // Where nobody was ever ended there is none.
        stage.file(Member::Sessions.path(), &sessions)?;
    }
    stage.snapshots(&state.join("snapshots"), Member::Snapshot.path())?;
    let mut with_secrets = false;
    match file {
        Some(file) => {
            stage.file(Member::Configuration.path(), file)?;
            let copy = stage.dir.join(Member::Configuration.path());
            let text = std::fs::read_to_string(&copy).map_err(failed)?;
            with_secrets = holds_secrets(&text);
        }
        None => stage.warnings.push(
            "there is no configuration file: settings of the environment are in no archive".into(),
        ),
    }
    if with_secrets {
        stage.warnings.push(
            "the configuration file holds secrets itself, and so does the archive: it is readable by its user alone; name files instead (secret_file, token_file, seal_key_file)".into(),
        );
    }
    let (members, mut warnings) = (stage.members, stage.warnings);
    let manifest = Manifest::new(now, with_secrets, members);
    let path = pack(dir, &name, &manifest, staging.path()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Taken(dir.join(&name)),
        _ => failed(error),
    })?;
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    let mut lines = vec![format!(
        "{}: {} members, {size} bytes",
        path.display(),
        manifest.members.len()
    )];
    // The archive is there; what cannot be deleted is no reason to say that it is not.
    let oldest = stamp(now - config.backup.keep_for);
    for gone in retire(dir, &name, config.backup.keep, &oldest) {
        match gone {
            Ok(name) => lines.push(format!("{name}: deleted")),
            Err(error) => warnings.push(format!("old archives were not deleted: {error}")),
        }
    }
    Ok(Taken { lines, warnings })
}

fn retire(dir: &Path, made: &str, keep: usize, oldest: &str) -> Vec<io::Result<String>> {
    let names = match archives(dir) {
        Ok(names) => names,
        Err(error) => return vec![Err(error)],
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gone = expired(&names, made, keep, oldest).into_iter();
    gone.map(|name| std::fs::remove_file(dir.join(name)).map(|()| name.to_owned()))
        .collect()
}

/// What a backup that was killed left behind: nobody deletes it but its operator.
fn left_behind(dir: &Path, own: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if is_ours && entry.path() != own {
            let path = entry.path();
            found.push(format!(
                "{}: another backup is under way, or one was killed; if none runs, delete it",
                path.display()
            ));
        }
    }
    Ok(found)
}

/// What an error of writing into the target directory means.
pub(super) fn target(dir: &Path, error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            BackupError::NoSpace(dir.to_owned())
        }
        _ => BackupError::Target(dir.to_owned(), error),
    }
}
