//! Files of others, read without being held up by them.
//!
//! A path may lie on a mount that answers nothing any more: opening, asking and reading then
//! never return, and no signal ends them. So each file is read by a thread of its own, which
//! is waited for so long and no longer; one that is stuck stays behind, and as long as it
//! does its file is not asked for again. Not for what has to be read: the sidecar's own
//! files. Of a path that is no plain file nothing is read at all.

use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Most of a file.
const LARGEST: u64 = 256 << 10;
/// How long one file is waited for.
const EACH: Duration = Duration::from_secs(2);
/// How long all of them are.
const ALL: Duration = Duration::from_secs(5);

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error(
        "it did not answer within {} ms: see to its file system, or take it out of the settings", .0.as_millis()
    )]
    Silent(Duration),
    #[error(
        "reading it has not come back since before, so it is not read again: see to its file system, and restart the sidecar if it stays so"
    )]
    Stuck,
    #[error("the files before it took all the time that there is")]
    NoTime,
    #[error("reading it broke off")]
    Broke,
    #[error("a file of secrets does not answer, so it cannot be said whether one of them is in it")]
    NoSecrets,
}

/// How one file is read; tests have another way.
pub(super) type ReadOne = dyn Fn(&Path) -> io::Result<String> + Send + Sync;

/// Whoever reads, with the threads that have not come back.
pub(super) struct Files {
    read: Arc<ReadOne>,
    each: Duration,
    all: Duration,
    at_work: Mutex<HashMap<PathBuf, JoinHandle<()>>>,
}

impl Default for Files {
    fn default() -> Self {
        Self::read_by(Arc::new(read_bounded), EACH, ALL)
    }
}

impl Files {
    pub(super) fn read_by(read: Arc<ReadOne>, each: Duration, all: Duration) -> Self {
        Self {
            read,
            each,
            all,
            at_work: Mutex::default(),
        }
    }

    /// One round of reading, whose time begins now.
    pub(super) fn round(&self) -> Round<'_> {
        Round {
            files: self,
            until: Instant::now() + self.all,
        }
    }

    fn read(&self, path: &Path, patience: Duration) -> Result<String, Unread> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.get(path).is_some_and(|one| !one.is_finished()) {
            return Err(Unread::Stuck);
        }
        let (say, hear) = sync_channel(1);
        let (read, of) = (self.read.clone(), path.to_owned());
        let thread = Builder::new().name("reads a file".to_owned());
        let thread = thread.spawn(move || {
            // Nobody may be there any more to hear it.
            let _ = say.send(read(&of));
        })?;
        at_work.insert(path.to_owned(), thread);
        drop(at_work);
        let heard = hear.recv_timeout(patience);
        if let Err(RecvTimeoutError::Timeout) = heard {
            return Err(Unread::Silent(patience));
        }
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        at_work.remove(path);
        Ok(heard.map_err(|_| Unread::Broke)??)
    }
}

/// Several files, with one time for all of them.
pub(super) struct Round<'a> {
    files: &'a Files,
    until: Instant,
}

impl Round<'_> {
    /// What a file says, if it can be read as text in the time that is left.
    pub(super) fn read(&self, path: &Path) -> Result<String, Unread> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(Unread::NoTime),
            false => self.files.read(path, left.min(self.files.each)),
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    // Nothing that has to be waited for, such as a pipe.
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32);
    let file = options.open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if about.len() > LARGEST {
        return Err(io::Error::other(format!("larger than {LARGEST} bytes")));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    const SHORT: Duration = Duration::from_millis(20);
    /// Never waited for to its end.
    const LONG: Duration = Duration::from_secs(60);

    /// A file system on which `/hangs/…` does not come back until it is let go, once for
    /// each read; how often it was asked for that.
    fn hanging() -> (Arc<ReadOne>, Sender<()>, Arc<AtomicUsize>) {
        let (go, gate) = channel::<()>();
        let (gate, asked) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        let read = move |path: &Path| {
            if path.starts_with("/hangs") {
                count.fetch_add(1, Ordering::SeqCst);
                gate.lock().unwrap().recv().map_err(io::Error::other)?;
            }
            match path.ends_with("panics") {
                true => panic!("a reader that breaks"),
                false => Ok(format!("text of {}", path.display())),
            }
        };
        (Arc::new(read), go, asked)
    }

    /// Waits for the thread that is left behind at a path, as nobody else does.
    fn come_back(files: &Files, path: &str) {
        let thread = files.at_work.lock().unwrap().remove(Path::new(path));
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn one_that_hangs_is_given_up_and_leaves_one_thread_behind() {
        let (read, go, asked) = hanging();
        let mut files = Files::read_by(read, SHORT, LONG);
        for again in [false, true, true] {
            let round = files.round();
            let hung = round.read(Path::new("/hangs/a")).unwrap_err();
            match again {
                false => assert!(matches!(hung, Unread::Silent(SHORT)), "{hung}"),
                true => assert!(matches!(hung, Unread::Stuck), "{hung}"),
            }
            assert_eq!(asked.load(Ordering::SeqCst), 1);
            assert_eq!(files.at_work.lock().unwrap().len(), 1);
        }
        // Others are read meanwhile, and it is itself when it has come back.
        files.each = LONG;
        let other = files.round().read(Path::new("/good")).unwrap();
        assert_eq!(other, "text of /good");
        go.send(()).unwrap();
        come_back(&files, "/hangs/a");
        go.send(()).unwrap();
        let text = files.round().read(Path::new("/hangs/a")).unwrap();
        assert_eq!(text, "text of /hangs/a");
        assert!(files.at_work.lock().unwrap().is_empty());
    }

    #[test]
    fn all_of_them_have_one_time() {
        let (read, _go, asked) = hanging();
        let files = Files::read_by(read, LONG, SHORT);
        let round = files.round();
        let hung = round.read(Path::new("/hangs/a")).unwrap_err();
        assert!(matches!(hung, Unread::Silent(_)), "{hung}");
        for path in ["/hangs/b", "/good"] {
            let late = round.read(Path::new(path)).unwrap_err();
            assert!(matches!(late, Unread::NoTime), "{late}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_breaks_is_told_and_can_be_read_again() {
        let (read, _go, _) = hanging();
        let files = Files::read_by(read, LONG, LONG);
        for _ in 0..2 {
            let broken = files.round().read(Path::new("/panics")).unwrap_err();
            assert!(matches!(broken, Unread::Broke), "{broken}");
        }
        let dir = tempfile::tempdir().unwrap();
        let files = Files::default();
        let round = files.round();
        let missing = round.read(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, Unread::Failed(_)), "{missing}");
        let folder = round.read(dir.path()).unwrap_err();
        assert_eq!(folder.to_string(), "it is no plain file");
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'x'; LARGEST as usize + 1]).unwrap();
        let large = round.read(&large).unwrap_err();
        assert!(large.to_string().starts_with("larger than"), "{large}");
    }
}
