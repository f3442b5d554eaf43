//! Going back to a configuration from before.
//!
//! Checked before anything is written; applied by the sidecar that serves, which says what
//! it made of it; and undone, byte for byte, if it was refused, if no word comes, or if a
//! sidecar that was ready is not ready any more. Where nobody serves, the file is written and
//! that is said.

use super::folder_of;
use crate::snapshots::{Order, Outcome, Snapshots, SnapshotsError, short};
use crate::supervisor::{is_in_use, running_on};
use crate::whole_file::sync_folder;
use camarad_config::{Inputs, Problems, Snapshot, load};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it may take to be ready again.
const RECOVERY: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// What is gone back with.
pub(super) struct Rollback<'a> {
    pub(super) inputs: &'a Inputs,
    /// Where the settings as they are cannot say it any more.
    pub(super) state_dir: Option<&'a Path>,
    pub(super) write_only: bool,
    /// How long the sidecar may take to say what it made of the file.
    pub(super) wait: Duration,
}

/// Why everything is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RollbackError {
    #[error("{0}")]
    Snapshots(#[from] SnapshotsError),
    #[error(
        "the settings as they are now cannot be read, so where the state directory is has to be said: --state-dir DIR\n{0}"
    )]
    NoStateDir(Problems),
    #[error(
        "snapshot {0} came from the environment alone: there is no file to go back to; `config show {0}` tells what the environment said"
    )]
    NoFileThen(String),
    #[error(
        "no configuration file is named now: set SIDECAR_CONFIG, or give --config FILE, which is written"
    )]
    NoFileNow,
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    #[error("these secrets are not kept, and the file as it is has none to take over: {}. Put them there first", .0.join(", "))]
    Secrets(Vec<String>),
    #[error("nothing was changed: with the environment of now, the settings are not good:\n{0}")]
    Settings(Problems),
    #[error("undone after {:.2} s: the sidecar refused it:\n{}", .0.as_secs_f64(), .1.join("\n"))]
    Refused(Duration, Vec<String>),
    #[error("undone after {:.2} s: the sidecar (process {}) said nothing", .0.as_secs_f64(), .1)]
    Silent(Duration, u32),
    #[error("undone after {:.2} s: it was ready before, and is not any more", .0.as_secs_f64())]
    NotReady(Duration),
    #[error("another rollback is under way on {}", .0.display())]
    Another(PathBuf),
    #[error("a sidecar uses {}, though sidecar.pid does not say which: reload it by hand after --write-only", .0.display())]
    Unknown(PathBuf),
    #[error("{0}\nnot undone: {1} was changed by somebody else meanwhile")]
    Edited(Box<RollbackError>, String),
    #[error("process {0} cannot be told (is it another user's?): {1}; the file is as it was")]
    Signal(u32, io::Error),
    #[error("it did not come up, and cannot be undone: {}: {}; what was there is in {}", .0.display(), .1, .2.display())]
    Stuck(PathBuf, io::Error, PathBuf),
}

impl Rollback<'_> {
    /// Goes back to the snapshot of this name; what happened, in words.
    pub(super) async fn to(&self, name: &str) -> Result<String, RollbackError> {
        let begun = Instant::now();
        let present = load(self.inputs);
        let state_dir = match (self.state_dir, &present) {
            (Some(dir), _) => dir.to_owned(),
            (None, Ok(config)) => config.server.state_dir.clone(),
            (None, Err(problems)) => return Err(RollbackError::NoStateDir(problems.clone())),
        };
        let kept = Snapshots::of(&state_dir);
        let id = kept.find(name)?.id;
        // Two would share the order, and each undo what the other did.
        let _turn = alone(&state_dir)?;
        let goal = kept.read(&id)?;
        if goal.file.is_none() {
            return Err(RollbackError::NoFileThen(short(&id).to_owned()));
        }
        let named = self.inputs.file.as_ref().ok_or(RollbackError::NoFileNow)?;
        // A link stays one.
        let file = std::fs::canonicalize(named);
        let file = file.map_err(|error| RollbackError::File(named.clone(), error))?;
        let failed = |error| RollbackError::File(file.clone(), error);
        let before = std::fs::read(&file).map_err(failed)?;
        let text = goal.file_with_secrets_of(&String::from_utf8_lossy(&before));
        let text = text.map_err(RollbackError::Secrets)?;
        let process = running_on(&state_dir).filter(|_| !self.write_only);
        let mut words = self.differing_environment(&goal);
        match (self.checked(&file, &text), process) {
            (Ok(()), _) => {}
            // Whoever serves may have secrets of its environment that this shell has not: it
            // checks the file itself, and what it refuses is undone.
            (Err(RollbackError::Settings(_)), Some(_)) => {
                words.push(
                    "note: with this shell's environment they could not be checked before".into(),
                );
            }
            (Err(error), _) => return Err(error),
        }
        let Some(process) = process else {
            if !self.write_only && is_in_use(&state_dir) {
                return Err(RollbackError::Unknown(state_dir));
            }
            replace(&file, text.as_bytes()).map_err(failed)?;
            let so_far = match self.write_only {
                true => "written, and not applied: restart the sidecar",
                false => "written: no sidecar runs on this state directory",
            };
            words.insert(0, format!("{}: {} {so_far}", file.display(), short(&id)));
            return Ok(words.join("\n"));
        };
        // The admin listener takes a restart to move: it is where it was.
        let admin = match &present {
            Ok(config) => config.admin.listen.to_string(),
            Err(_) => goal.settings["admin.listen"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        let was_ready = is_ready(&admin).await;
        let served = Served {
            kept: &kept,
            process,
            file: &file,
            before: &before,
            written: text.as_bytes(),
            begun,
            wait: self.wait,
        };
        let outcome = served.apply(&text, &id).await?;
        if was_ready && !ready_again(&admin).await {
            return Err(served.undo(RollbackError::NotReady(begun.elapsed())).await);
        }
        words.insert(
            0,
            format!(
                "{} is in force again, as generation {}, after {:.2} s",
                short(&id),
                outcome.generation,
                begun.elapsed().as_secs_f64()
            ),
        );
        Ok(words.join("\n"))
    }

    /// The settings of the text, with the environment of now.
    fn checked(&self, file: &Path, text: &str) -> Result<(), RollbackError> {
        let beside = folder_of(file).join(".camarad-rollback.toml");
        let failed = |error| RollbackError::File(beside.clone(), error);
        let like = std::fs::metadata(file).map_err(failed)?;
        write_like(&beside, text.as_bytes(), &like).map_err(failed)?;
        let loaded = load(&Inputs {
            file: Some(beside.clone()),
            environment: self.inputs.environment.clone(),
        });
        std::fs::remove_file(&beside).map_err(failed)?;
        loaded.map(drop).map_err(RollbackError::Settings)
    }

    /// What the environment said then and does not say now: that is not gone back to.
    fn differing_environment(&self, goal: &Snapshot) -> Vec<String> {
        let mut now: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, text) in &self.inputs.environment {
            now.insert(name, text);
        }
        let differs = |(name, then): (&String, &String)| match now.get(name.as_str()) {
            Some(text) if *text == then || then == "***" => None,
            Some(text) => Some(format!(
                "note: the environment said {name}={then}, and says {text} now"
            )),
            None => Some(format!(
                "note: the environment said {name}={then}, and does not now"
            )),
        };
        goal.environment.iter().filter_map(differs).collect()
    }
}

/// The sidecar that serves, and the file that it reads.
struct Served<'a> {
    kept: &'a Snapshots,
    process: u32,
    file: &'a Path,
    before: &'a [u8],
    /// What this rollback made of it.
    written: &'a [u8],
    begun: Instant,
    wait: Duration,
}

impl Served<'_> {
    async fn apply(&self, text: &str, id: &str) -> Result<Outcome, RollbackError> {
        let failed = |error| RollbackError::File(self.file.to_owned(), error);
        let order = Order {
            to: id.to_owned(),
            nonce: nonce().map_err(failed)?,
        };
        replace(self.file, text.as_bytes()).map_err(failed)?;
        let told = self.kept.order(&order).and_then(|()| self.hang_up());
        if let Err(error) = told {
            return Err(self.undo(RollbackError::Signal(self.process, error)).await);
        }
        let outcome = self.word_of(&order.nonce).await;
        let elapsed = self.begun.elapsed();
        match outcome {
            Some(outcome) if outcome.problems.is_empty() => Ok(outcome),
            Some(outcome) => {
                let refused = RollbackError::Refused(elapsed, outcome.problems);
                Err(self.undo(refused).await)
            }
            None => {
                let silent = RollbackError::Silent(elapsed, self.process);
                Err(self.undo(silent).await)
            }
        }
    }

    /// Puts the file back as it was, and has the sidecar read it.
    async fn undo(&self, why: RollbackError) -> RollbackError {
        let is_ours = std::fs::read(self.file).is_ok_and(|now| now == self.written);
        if !is_ours {
            return RollbackError::Edited(Box::new(why), self.file.display().to_string());
        }
        if let Err(error) = replace(self.file, self.before) {
            let spare = self.file.with_extension("before-rollback");
            // The last resort; where it cannot be written either, the first error tells.
            let _ = std::fs::metadata(self.file)
                .and_then(|like| write_like(&spare, self.before, &like));
            return RollbackError::Stuck(self.file.to_owned(), error, spare);
        }
        // One that cannot be told, or says nothing, is told of in `why`.
        let Ok(nonce) = nonce() else { return why };
        let order = Order {
            to: String::new(),
            nonce,
        };
        if self
            .kept
            .order(&order)
            .and_then(|()| self.hang_up())
            .is_ok()
        {
            self.word_of(&order.nonce).await;
        }
        why
    }

    fn hang_up(&self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        let process = process.ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(process, Signal::HUP)?)
    }

    async fn word_of(&self, nonce: &str) -> Option<Outcome> {
        let outcome = async {
            loop {
                if let Some(outcome) = self.kept.outcome(nonce) {
                    return outcome;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(self.wait, outcome).await.ok()
    }
}

/// One rollback at a time.
fn alone(state_dir: &Path) -> Result<File, RollbackError> {
    let path = state_dir.join("rollback.lock");
    let failed = |error| RollbackError::File(path.clone(), error);
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).mode(0o600);
    let lock = lock.open(&path).map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RollbackError::Another(state_dir.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether the sidecar with this admin listener says that it is ready.
async fn is_ready(admin: &str) -> bool {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2));
    let Ok(client) = client.build() else {
        return false;
    };
    let url = format!("http://{admin}/readyz");
    let answer = client.get(url).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

async fn ready_again(admin: &str) -> bool {
    let ready = async {
        while !is_ready(admin).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(RECOVERY, ready).await.is_ok()
}

fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes).to_string())
}

/// Other bytes in the same place, of the same owner and for the same readers.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_like(&beside, bytes, &std::fs::metadata(file)?)?;
    std::fs::rename(&beside, file)?;
    sync_folder(folder_of(file))
}

fn write_like(path: &Path, bytes: &[u8], like: &std::fs::Metadata) -> io::Result<()> {
    // Nobody else's to read from the first byte on; what a stopped one left is not followed.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut new = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(&new, Some(like.uid()), Some(like.gid()))?;
    }
    new.set_permissions(std::fs::Permissions::from_mode(like.mode() & 0o777))?;
    new.write_all(bytes)?;
    new.sync_all()
}
