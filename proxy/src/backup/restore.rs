//! `restore`: puts what is in an archive in its place.
//!
//! Everything is unpacked and looked at beside its place before anything is changed; then it
//! is renamed into place, and what was there stays under `replaced-<time>/`. Nobody's sealed
//! session from before is good after ([`crate::sessions::restored`]). The configuration file
//! is put beside the state, not in force: where it belongs is not known here.
//!
//! What goes wrong if misused: an app that runs meanwhile goes on writing to the file that was
//! moved aside, and what it writes is lost. Only a sidecar is noticed, by its process id.

use super::database::{DatabaseError, Facts};
use super::manifest::Manifest;
use super::settle::{nearest, own, settle};
use super::swap::{Step, swap};
use super::unpack::{ArchiveError, unpack};
use super::{private_dir, stamp};
use crate::sessions::restored::{Present, Restored, restored};
use crate::supervisor::{Presence, running_on};
use crate::whole_file::sync_folder;
use camarad_policies::backup::Member;
use clap::Args;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use time::OffsetDateTime;

/// How staging directories begin.
const UNFINISHED: &str = ".camarad-restore-";
/// The configuration file's name in the state directory.
const CONFIGURATION: &str = "restored-sidecar.toml";
const SESSIONS: &str = "sessions.json";

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The archive.
    #[arg(long)]
    archive: PathBuf,
    /// The state directory to restore into; it is made where it is not there.
    #[arg(long)]
    state_dir: PathBuf,
    /// Where the app's SQLite file is to be; without it, it is not restored.
    #[arg(long)]
    app_db: Option<PathBuf>,
    /// Replace what is there; it is kept under `replaced-<time>/`.
    #[arg(long)]
    force: bool,
}

/// Why it failed. Everything is as it was before, but for `Unconfirmed`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("{}: {why}", .0.display(), why = .1)]
    Archive(PathBuf, ArchiveError),
    #[error("{}: {member} is not what it was when it was taken: {words}", archive.display())]
    Differs {
        archive: PathBuf,
        member: String,
        words: String,
    },
    #[error("{}: {member} cannot be read: {error}", .0.display(), member = .1, error = .2)]
    Member(PathBuf, String, DatabaseError),
    #[error("{}: sessions.json in it cannot be read: {why}", .0.display(), why = .1)]
    Sessions(PathBuf, serde_json::Error),
    #[error("a sidecar runs on {} (process {process}): stop it first", .0.display(), process = .1)]
    Running(PathBuf, u32),
    #[error("a sidecar uses {}, though sidecar.pid does not say which: stop it first", .0.display())]
    InUse(PathBuf),
    #[error("{}: the archive has no app database; leave --app-db out", .0.display())]
    NoAppDatabase(PathBuf),
    #[error("these are there already: {}; --force replaces them and keeps them under replaced-<time>/", list(.0))]
    Occupied(Vec<PathBuf>),
    #[error("{}: it cannot be written: {why}", .0.display(), why = .1)]
    Write(PathBuf, io::Error),
    #[error("{}: everything is in its place, but the disk does not confirm it: {why}", .0.display(), why = .1)]
    Unconfirmed(PathBuf, io::Error),
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    shown.join(", ")
}

/// Restores, and gives the lines to tell.
pub(crate) fn restore(args: &RestoreArgs) -> Result<Vec<String>, RestoreError> {
    let state_dir = &args.state_dir;
    is_free(state_dir)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| RestoreError::Write(path, error)
    };
    let stage = private_dir(UNFINISHED, nearest(state_dir)).map_err(failed(state_dir))?;
    let archive = args.archive.clone();
    let manifest = unpack(&archive, stage.path())
        .map_err(|error| RestoreError::Archive(archive.clone(), error))?;
    verify(&archive, &manifest, stage.path())?;
    let sessions = sessions(&archive, &manifest, state_dir, stage.path())?;
    let (mut steps, app_stage) = steps(args, &manifest, stage.path())?;
    // What ends sessions comes first: it does no harm alone.
    steps.sort_by_key(|step| step.to.file_name() != Some(SESSIONS.as_ref()));
    let occupied: Vec<PathBuf> = steps.iter().flat_map(Step::occupied).collect();
    if !occupied.is_empty() && !args.force {
        return Err(RestoreError::Occupied(occupied));
    }
    for step in &steps {
        settle(step, default_mode(step)).map_err(failed(&step.to))?;
    }
    std::fs::create_dir_all(state_dir).map_err(failed(state_dir))?;
    // It may have been started meanwhile, and is not from here on.
    is_free(state_dir)?;
    let _alone = match Presence::alone(state_dir) {
        Ok(alone) => alone,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(RestoreError::InUse(state_dir.clone()));
        }
        Err(error) => return Err(failed(state_dir)(error)),
    };
    let now = OffsetDateTime::now_utc();
    let folders: BTreeSet<&Path> = steps.iter().filter_map(|step| step.to.parent()).collect();
    let aside_name = unused(&folders, &format!("replaced-{}", stamp(now)));
    let aside = |folder: &Path| {
        let aside = folder.join(&aside_name);
        if !aside.is_dir() {
            std::fs::create_dir(&aside)?;
            own(&aside, &std::fs::metadata(folder)?)?;
        }
        Ok(aside)
    };
    if let Err((path, error)) = swap(&steps, aside) {
        for folder in &folders {
            // Undone, they are empty; one that is not stays.
            let _ = std::fs::remove_dir(folder.join(&aside_name));
        }
        return Err(RestoreError::Write(path, error));
    }
    let kept: Vec<PathBuf> = folders
        .iter()
        .map(|folder| folder.join(&aside_name))
        .filter(|folder| folder.is_dir())
        .collect();
    for folder in kept.iter().map(PathBuf::as_path).chain(folders) {
        sync_folder(folder).map_err(|error| RestoreError::Unconfirmed(folder.into(), error))?;
    }
    drop(app_stage);
    let mut lines: Vec<String> = steps
        .iter()
        .map(|step| format!("restored: {}", step.to.display()))
        .collect();
    lines.extend(
        kept.iter()
            .map(|folder| format!("what was there is in {}", folder.display())),
    );
    lines.extend(told(args, &manifest, &sessions, now));
    Ok(lines)
}

/// The mode of a file in whose place there was none.
fn default_mode(step: &Step) -> u32 {
    match step.to.ends_with(CONFIGURATION) {
        // It may hold secrets.
        true => 0o600,
        false => 0o640,
    }
}

/// This name, or one made of it, that is in none of the folders: what an earlier restore kept
/// is not written over.
fn unused(folders: &BTreeSet<&Path>, name: &str) -> String {
    let is_free = |name: &String| {
        let mut folders = folders.iter();
        folders.all(|folder| folder.join(name).symlink_metadata().is_err())
    };
    let more = (2u32..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(more);
    names.find(is_free).unwrap_or_default()
}

/// What somebody who restored has to know.
fn told(
    args: &RestoreArgs,
    manifest: &Manifest,
    sessions: &Restored,
    now: OffsetDateTime,
) -> Vec<String> {
    let age = std::time::Duration::from_secs(manifest.age_seconds(now));
    let mut lines = vec![format!(
        "the data are {} old; what came after is not in them",
        humantime::format_duration(age)
    )];
    if manifest.entry(Member::AppDatabase).is_some() && args.app_db.is_none() {
        lines.push("the app's database was not restored: --app-db FILE says where to".into());
    }
    if manifest.entry(Member::Configuration).is_some() {
        lines.push(format!(
            "the configuration file is {CONFIGURATION}: compare it with the one in use"
        ));
    }
    lines.push(match sessions.all_ended {
        false => "sealed sessions from before are not good any more; what was ended stays ended".into(),
        true => "what was ended since the backup is not known: tokens issued until now are refused, everybody signs in again".into(),
    });
    lines
}

/// No sidecar runs on the state directory.
fn is_free(state_dir: &Path) -> Result<(), RestoreError> {
    match running_on(state_dir) {
        Some(process) => Err(RestoreError::Running(state_dir.to_owned(), process)),
        None => Ok(()),
    }
}

/// Every database is what it was.
fn verify(archive: &Path, manifest: &Manifest, stage: &Path) -> Result<(), RestoreError> {
    for entry in &manifest.members {
        let Some(told) = &entry.database else {
            continue;
        };
        let found = Facts::read(&stage.join(&entry.path))
            .map_err(|error| RestoreError::Member(archive.to_owned(), entry.path.clone(), error))?;
        for (what, seen) in told.compare(&found) {
            seen.map_err(|words| RestoreError::Differs {
                archive: archive.to_owned(),
                member: format!("{} ({what})", entry.path),
                words,
            })?;
        }
    }
    Ok(())
}

/// Writes what has been ended into the stage, in the place of what the archive has of it.
fn sessions(
    archive: &Path,
    manifest: &Manifest,
    state_dir: &Path,
    stage: &Path,
) -> Result<Restored, RestoreError> {
    let staged = stage.join(Member::Sessions.path());
    let failed = |error| RestoreError::Write(staged.clone(), error);
    let archived = match manifest.entry(Member::Sessions) {
        Some(_) => Some(std::fs::read(&staged).map_err(failed)?),
        None => None,
    };
    let file = state_dir.join(SESSIONS);
    let text = match std::fs::read(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(RestoreError::Write(file, error)),
    };
    // A sidecar that ended nobody has no such file, but it has its databases. Those that are
    // younger than the backup are of one that began anew.
    let has_run = ["runs.db", "owners.db"].iter().any(|name| {
        let file = std::fs::metadata(state_dir.join(name));
        let made = file.and_then(|file| file.created());
        // Whole seconds, which is what the manifest has.
        let made = made.map(|made| OffsetDateTime::from(made).unix_timestamp());
        made.is_ok_and(|made| made <= manifest.created_at.unix_timestamp())
    });
    let present = match (&text, has_run) {
        (Some(text), _) => Present::File(text),
        (None, true) => Present::Nobody,
        (None, false) => Present::Lost,
    };
    let after = restored(archived.as_deref(), present, crate::sessions::now())
        .map_err(|error| RestoreError::Sessions(archive.to_owned(), error))?;
    let folder = stage.join("state");
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&staged, &after.content).map_err(failed)?;
    Ok(after)
}

/// What goes where. The app's database is staged in its own folder, which may be on another
/// file system; that stage has to be kept until it is in its place.
fn steps(
    args: &RestoreArgs,
    manifest: &Manifest,
    stage: &Path,
) -> Result<(Vec<Step>, Option<TempDir>), RestoreError> {
    let mut steps = Vec::new();
    let mut add = |path: &str, to: PathBuf, is_database| {
        let from = stage.join(path);
        if from.symlink_metadata().is_ok() {
            steps.push(Step {
                from,
                to,
                is_database,
            });
        }
    };
    for member in [
        Member::Sessions,
        Member::Ledger,
        Member::Owners,
        Member::Snapshot,
    ] {
        let name = member.path().trim_start_matches("state/");
        let to = args.state_dir.join(name);
        add(member.path(), to, member.is_database());
    }
    let configuration = args.state_dir.join(CONFIGURATION);
    add(Member::Configuration.path(), configuration, false);
    let Some(app_db) = &args.app_db else {
        return Ok((steps, None));
    };
    let Some(entry) = manifest.entry(Member::AppDatabase) else {
        return Err(RestoreError::NoAppDatabase(args.archive.clone()));
    };
    // Where it is a link, what it leads to is replaced.
    let to = app_db.canonicalize().unwrap_or_else(|_| app_db.clone());
    let failed = |error| RestoreError::Write(to.clone(), error);
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let app_stage = private_dir(UNFINISHED, folder).map_err(failed)?;
    let from = app_stage.path().join("app.db");
    std::fs::copy(stage.join(&entry.path), &from).map_err(failed)?;
    // The folder is named, so that `aside` finds it.
    let name = to.file_name().map(|name| folder.join(name));
    steps.push(Step {
        from,
        to: name.unwrap_or_else(|| to.clone()),
        is_database: true,
    });
    Ok((steps, Some(app_stage)))
}
