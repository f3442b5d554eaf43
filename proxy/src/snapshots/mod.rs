//! Configurations that were applied, kept in the state directory.
//!
//! `snapshots/index.jsonl` has one line for each time that one was applied or asked to be
//! kept; `snapshots/objects/<digest>.json` each of them once. Whoever serves and whoever is
//! asked on the command line write at the same time: they take turns by a lock on a file.
//! Secrets of our own keys are not in there; of what is kept along that cannot be said for
//! sure. Nobody else's to read.

mod files;
mod order;

pub(crate) use order::{Order, Outcome};

use crate::whole_file;
use camarad_config::{Config, Secret, Snapshot, leaves};
use camarad_policies::hex::hex;
use camarad_policies::shown::plain;
use files::{Files, Round, Unread};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Their directory in the state directory.
const DIRECTORY: &str = "snapshots";
/// Longest path that is told, in characters.
const LONGEST_PATH: usize = 4096;
/// How many characters of an id are shown.
pub(crate) const SHORT: usize = 12;

/// One time that a configuration was applied, or asked to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// SHA-256 of what was kept, in hex.
    pub(crate) id: String,
    /// RFC 3339, UTC.
    pub(crate) time: String,
    /// Who asked: `start`, `SIGHUP`, `POST /config/reload`, `rollback to …`, or a person's words.
    pub(crate) reason: String,
    /// Whether it was in force; else it was only kept.
    pub(crate) applied: bool,
    /// Whether it is one from before, which was gone back to.
    pub(crate) rolled_back: bool,
    /// The keys that were others than before.
    #[serde(default)]
    pub(crate) changed: Vec<String>,
}

/// Why they cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotsError {
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    #[error("no snapshot is kept in {}", .0.display())]
    Empty(PathBuf),
    #[error(
        "{0:?} is no snapshot here: expected `latest`, `previous`, or at least 4 characters of an id that `config list` shows"
    )]
    Unknown(String),
    #[error("{0:?} begins more than one id: {1}")]
    Several(String, String),
    #[error("{}: it was changed since it was kept", .0.display())]
    Changed(PathBuf),
    #[error("{}: {}", .0.display(), .1)]
    Unreadable(PathBuf, camarad_config::SnapshotError),
}

/// Where they are kept.
pub(crate) struct Snapshots {
    state_dir: PathBuf,
    dir: PathBuf,
    /// Who reads the files that are kept along.
    files: Files,
}

impl Snapshots {
    /// Of a state directory; made when the first is kept.
    pub(crate) fn of(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            dir: state_dir.join(DIRECTORY),
            files: Files::default(),
        }
    }

    /// Keeps one, and what there is to say of it; the oldest beyond `keep` go.
    fn keep(&self, snapshot: &Snapshot, told: Told<'_>, keep: usize) -> io::Result<Entry> {
        make_private(&self.dir.join("objects"))?;
        let _turn = self.turn()?;
        let text = snapshot.to_text();
        let id = digest(&text);
        let object = self.object(&id);
        if !object.exists() {
            whole_file::write(&object, text.as_bytes())?;
        }
        let now = OffsetDateTime::now_utc().replace_nanosecond(0);
        let entry = Entry {
            id,
            time: now
                .ok()
                .and_then(|now| now.format(&Rfc3339).ok())
                .unwrap_or_default(),
            reason: told.reason.to_owned(),
            applied: told.applied,
            rolled_back: told.rolled_back,
            changed: told.changed,
        };
        // A struct of texts always serialises.
        let line = serde_json::to_string(&entry).unwrap_or_default() + "\n";
        let mut index = private().append(true).open(self.index())?;
        index.write_all(line.as_bytes())?;
        index.sync_all()?;
        self.prune(keep)?;
        Ok(entry)
    }

    fn prune(&self, keep: usize) -> io::Result<()> {
        let entries = self.read_index()?;
        let Some(from) = entries.len().checked_sub(keep).filter(|from| *from > 0) else {
            return Ok(());
        };
        let (gone, kept) = entries.split_at(from);
        let lines = kept
            .iter()
            .filter_map(|entry| serde_json::to_string(entry).ok());
        let text: String = lines.map(|line| line + "\n").collect();
        whole_file::write(&self.index(), text.as_bytes())?;
        for entry in gone {
            if !kept.iter().any(|other| other.id == entry.id) {
                // One that is gone already is what was wanted.
                let _ = std::fs::remove_file(self.object(&entry.id));
            }
        }
        Ok(())
    }

    /// Every entry, the oldest first. A line that was cut off is left out.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, SnapshotsError> {
        let entries = self.read_index();
        let entries = entries.map_err(|error| SnapshotsError::File(self.index(), error))?;
        match entries.is_empty() {
            true => Err(SnapshotsError::Empty(self.dir.clone())),
            false => Ok(entries),
        }
    }

    fn read_index(&self) -> io::Result<Vec<Entry>> {
        let text = match std::fs::read_to_string(self.index()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        // An id is a part of a path: nothing but a digest is one.
        Ok(lines.filter(|entry: &Entry| is_digest(&entry.id)).collect())
    }

    /// The one of a name: `latest` and `previous` are of those that were applied.
    pub(crate) fn find(&self, name: &str) -> Result<Entry, SnapshotsError> {
        let entries = self.entries()?;
        let unknown = || SnapshotsError::Unknown(name.to_owned());
        let mut applied = entries.iter().rev().filter(|entry| entry.applied);
        let latest = applied.next();
        match name {
            "latest" => return latest.cloned().ok_or_else(unknown),
            "previous" => {
                let latest = latest.ok_or_else(unknown)?;
                let before = applied.find(|entry| entry.id != latest.id);
                return before.cloned().ok_or_else(unknown);
            }
            _ if name.len() < 4 => return Err(unknown()),
            _ => {}
        }
        let mut found = entries
            .iter()
            .rev()
            .filter(|entry| entry.id.starts_with(name));
        let first = found.next().ok_or_else(unknown)?;
        match found.find(|entry| entry.id != first.id) {
            Some(other) => Err(SnapshotsError::Several(
                name.to_owned(),
                format!("{}, {}", short(&first.id), short(&other.id)),
            )),
            None => Ok(first.clone()),
        }
    }

    /// What was kept, if it still is that.
    pub(crate) fn read(&self, id: &str) -> Result<Snapshot, SnapshotsError> {
        let path = self.object(id);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| SnapshotsError::File(path.clone(), error))?;
        if digest(&text) != id {
            return Err(SnapshotsError::Changed(path));
        }
        Snapshot::from_text(&text).map_err(|error| SnapshotsError::Unreadable(path, error))
    }

    /// Keeps a configuration that is in force now. `same`: it is the one that was.
    pub(crate) fn applied(
        &self,
        config: &Config,
        reason: &str,
        how: Applied<'_>,
    ) -> io::Result<Entry> {
        let snapshot = self.taken(config);
        let id = digest(&snapshot.to_text());
        let entries = self.read_index()?;
        let last = entries.iter().rev().find(|entry| entry.applied);
        let last = last.filter(|last| last.id == id);
        let rolled_back = match how.order {
            // Put back as it was, whatever that was.
            Some(order) if order.is_undo() => entries
                .iter()
                .rev()
                .find(|entry| entry.applied && entry.id == id)
                .is_some_and(|entry| entry.rolled_back),
            Some(order) => {
                let goal = self.read(&order.to).ok();
                goal.is_some_and(|goal| goal.file == snapshot.file)
            }
            None => last.is_some_and(|last| last.rolled_back),
        };
        if let (true, None, Some(last)) = (how.is_same, how.order, last) {
            return Ok(last.clone());
        }
        let order = how.order.map(Order::reason);
        let told = Told {
            reason: order.as_deref().unwrap_or(reason),
            applied: true,
            rolled_back,
            changed: how.changed,
        };
        self.keep(&snapshot, told, config.snapshots.keep)
    }

    /// Keeps settings that nobody may have applied yet.
    pub(crate) fn keep_only(&self, config: &Config, reason: &str) -> io::Result<Entry> {
        let told = Told {
            reason,
            applied: false,
            rolled_back: false,
            changed: Vec::new(),
        };
        self.keep(&self.taken(config), told, config.snapshots.keep)
    }

    /// A snapshot of settings, with the files that are kept along, as far as they answer.
    pub(crate) fn taken(&self, config: &Config) -> Snapshot {
        let round = self.files.round();
        // First, for what they hold must not be in the others.
        let secrets = secrets_in_files(config, &round);
        let mut included = Vec::new();
        for path in &config.snapshots.include {
            let text = match &secrets {
                Ok(_) => round.read(path),
                Err(_) => Err(Unread::NoSecrets),
            };
            let path = path.display().to_string();
            match text {
                Ok(text) => included.push((path, text)),
                Err(error) => tracing::warn!(
                    "snapshots.include: {} is not kept along: {error}",
                    plain(&path, LONGEST_PATH)
                ),
            }
        }
        let secrets = secrets.unwrap_or_default();
        Snapshot::of(config, env!("CARGO_PKG_VERSION"), included, secrets)
    }

    /// Until this is dropped, nobody else writes here.
    fn turn(&self) -> io::Result<File> {
        let lock = private()
            .write(true)
            .open(self.state_dir.join("snapshots.lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    fn index(&self) -> PathBuf {
        self.dir.join("index.jsonl")
    }

    fn object(&self, id: &str) -> PathBuf {
        self.dir.join("objects").join(format!("{id}.json"))
    }
}

/// How a configuration came into force.
pub(crate) struct Applied<'a> {
    /// The order to go back that it follows.
    pub(crate) order: Option<&'a Order>,
    /// Nothing was another one.
    pub(crate) is_same: bool,
    /// The keys that were.
    pub(crate) changed: Vec<String>,
}

struct Told<'a> {
    reason: &'a str,
    applied: bool,
    rolled_back: bool,
    changed: Vec<String>,
}

/// What the files of secrets hold; an error where one of them does not answer.
fn secrets_in_files(config: &Config, round: &Round<'_>) -> Result<Vec<Secret>, Unread> {
    let all = leaves(&config.settings);
    let named = all.iter().filter(|(key, _)| key.ends_with("_file"));
    let paths = named.filter_map(|(_, value)| value.as_str().filter(|path| !path.is_empty()));
    let secret = |path| match round.read(Path::new(path)) {
        Ok(text) => Some(Ok(Secret::new(text.trim()))),
        // One that cannot be read now was told when the settings were.
        Err(Unread::Failed(_)) => None,
        Err(silent) => Some(Err(silent)),
    };
    paths.filter_map(secret).collect()
}

/// An id as it is shown.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn is_digest(id: &str) -> bool {
    id.len() == 64
        && id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests;
