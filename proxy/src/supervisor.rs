//! What the process tells whoever started it: systemd by `sd_notify(3)`, scripts by a file
//! with its process id.
//!
//! Without `NOTIFY_SOCKET` the first is nothing. The file is for logrotate and its like; a
//! second process with the same state directory takes it over, so whether anybody is there
//! is told by a lock instead, which every sidecar shares and whoever restores has alone.

use rustix::fs::{FlockOperation, flock};
use sd_notify::NotifyState;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Its name in the state directory.
const FILE: &str = "sidecar.pid";
/// The file that is locked.
const LOCK: &str = "sidecar.lock";
/// The process's name as Linux has it, 15 bytes.
const NAME: &str = "camarad-sidecar";

/// Whether it was said that it serves.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// Says that it serves.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
    IS_READY.store(true, Ordering::Relaxed);
}

/// Says that it is about to end.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says that it is alive, where that is watched (`WatchdogSec=`), once it serves.
pub(crate) fn alive() {
    if IS_READY.load(Ordering::Relaxed) && sd_notify::watchdog_enabled().is_some() {
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("whoever started it cannot be told: {error}");
    }
}

/// What this process makes is not for everybody on the machine, however it was started.
pub(crate) fn keep_to_the_group() {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let all = Mode::RWXO | Mode::WGRP;
    umask(umask(all) | all);
}

/// The file with the process id; goes when this does, unless somebody else's is in it by then.
pub(crate) struct PidFile {
    path: PathBuf,
    own: String,
}

impl PidFile {
    pub(crate) fn write(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        let own = format!("{}\n", std::process::id());
        std::fs::write(&path, &own)?;
        Ok(Self { path, own })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_own = std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.own);
        if is_own {
            // What is left behind is checked by whoever reads it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Says for as long as it is kept that somebody uses the state directory.
#[derive(Debug)]
pub(crate) struct Presence {
    _lock: File,
}

impl Presence {
    /// One of those who serve; an error while somebody restores.
    pub(crate) fn shared(state_dir: &Path) -> io::Result<Self> {
        let taken = Self::take(state_dir, FlockOperation::NonBlockingLockShared);
        taken.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::other("a restore is under way there"),
            _ => error,
        })
    }

    /// Nobody else; an error while a sidecar is there, with whatever process id.
    pub(crate) fn alone(state_dir: &Path) -> io::Result<Self> {
        Self::take(state_dir, FlockOperation::NonBlockingLockExclusive)
    }

    fn take(state_dir: &Path, how: FlockOperation) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(state_dir.join(LOCK))?;
        flock(&file, how)?;
        Ok(Self { _lock: file })
    }
}

/// Whether a sidecar is there, also one whose process id nobody knows any more.
pub(crate) fn is_in_use(state_dir: &Path) -> bool {
    // Where there is no such file, nobody ever was.
    state_dir.join(LOCK).exists()
        && Presence::alone(state_dir).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The process id of the sidecar that runs on a state directory. A file that a crash left
/// behind names nobody, or somebody else.
pub(crate) fn running_on(state_dir: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(state_dir.join(FILE)).ok()?;
    let process: u32 = text.trim().parse().ok()?;
    let is_ours = match std::fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => name.trim_end() == NAME,
        // Other users' processes may be hidden, and are taken for sidecars.
        Err(_) => {
            let id = i32::try_from(process).ok();
            let id = id.and_then(rustix::process::Pid::from_raw)?;
            let found = rustix::process::test_kill_process(id);
            found != Err(rustix::io::Errno::SRCH)
        }
    };
    is_ours.then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_is_there_and_a_sidecar_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running_on(dir.path()), None);
        // These tests are a process of another name; the largest id is nobody's.
        let own = std::process::id().to_string();
        for text in [own.as_str(), "4194304", "0", "-1", "", "sidecar"] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
            let is_ours = text == own && comm.trim_end() == NAME;
            assert_eq!(running_on(dir.path()).is_some(), is_ours, "{text:?}");
        }
    }

    #[test]
    fn sidecars_share_a_directory_and_whoever_restores_has_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_in_use(dir.path()));
        let one = Presence::shared(dir.path()).unwrap();
        let other = Presence::shared(dir.path()).unwrap();
        drop(one);
        assert!(is_in_use(dir.path()));
        assert!(Presence::alone(dir.path()).is_err());
        drop(other);
        assert!(!is_in_use(dir.path()));
        let restoring = Presence::alone(dir.path()).unwrap();
        assert!(Presence::shared(dir.path()).is_err());
        drop(restoring);
        Presence::shared(dir.path()).unwrap();
    }

    #[test]
    fn the_file_goes_with_its_process_and_not_with_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let first = PidFile::write(dir.path()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        std::fs::write(&path, "1\n").unwrap();
        drop(first);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
        drop(PidFile::write(dir.path()).unwrap());
        assert!(!path.exists());
    }
}
