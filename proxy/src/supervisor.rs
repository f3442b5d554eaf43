//! What the process tells whoever started it: systemd by `sd_notify(3)`, scripts by a file
//! with its process id.
//!
//! Without `NOTIFY_SOCKET` the first is nothing. The file is for logrotate and its like; a
//! second process with the same state directory takes it over.

use sd_notify::NotifyState;
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the state directory.
const FILE: &str = "sidecar.pid";

/// Says that it serves.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// Says that it is about to end.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says that it is alive, where that is watched (`WatchdogSec=`).
pub(crate) fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("whoever started it cannot be told: {error}");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
