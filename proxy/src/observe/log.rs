//! Logs of JSON lines: access, audit and the application's own.
//!
//! Writing never holds up a request: lines go through a queue to a thread of their own.
//! What an access log's queue cannot take is dropped and counted; an audit log drops
//! nothing, it waits in memory for as long as its file cannot be written. Lines that come
//! within [`GATHER`] of each other are written together. [`reopen`]
//! goes through the same queue: lines from before it are in the old file, lines from after it
//! in the new one, each once.
//!
//! What goes wrong if misused: what is not closed loses its last lines, and so does what is
//! killed, those of the last 2 ms.
//!
//! [`reopen`]: JsonLines::reopen

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines waiting to be written at most, where they may be dropped.
const QUEUE: usize = 65_536;
/// Bytes that are written at once.
const BATCH: usize = 1 << 16;
/// Least time between two writes: a thread that is woken for each line costs every request
/// more than the line does.
const GATHER: Duration = Duration::from_millis(2);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the end of the process waits for lines that cannot be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happens to lines that cannot be written as fast as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// They are dropped and counted.
    Drop,
    /// They wait.
    Keep,
}

/// Where lines go.
pub(crate) struct JsonLines {
    /// `None` where nothing is logged.
    queue: Option<Queue>,
    counts: Arc<Counts>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counts {
    dropped: AtomicUsize,
    /// Bytes in the queue or in the writer's hands.
    waiting: AtomicUsize,
}

enum Queue {
    Bounded(SyncSender<Message>),
    Unbounded(Sender<Message>),
}

enum Message {
    Line(Vec<u8>),
    Reopen,
    Close,
}

impl JsonLines {
    /// Nothing is logged.
    pub(crate) fn off() -> Self {
        Self {
            queue: None,
            counts: Arc::default(),
            writer: Mutex::default(),
        }
    }

    /// `stdout`, `stderr`, `off`, or a file that is appended to, made with mode 0640.
    pub(crate) fn open(target: &str, overflow: Overflow) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let sink = match target {
            "off" => return Ok(Self::off()),
            "stdout" => Sink::Stdout,
            "stderr" => Sink::Stderr,
            path => Sink::file(Path::new(path))?,
        };
        let (queue, lines) = match overflow {
            Overflow::Drop => {
                let (to, lines) = mpsc::sync_channel(QUEUE);
                (Queue::Bounded(to), lines)
            }
            Overflow::Keep => {
                let (to, lines) = mpsc::channel();
                (Queue::Unbounded(to), lines)
            }
        };
        let writer = Writer {
            sink,
            overflow,
            counts: counts.clone(),
            pending: Vec::new(),
            is_torn: false,
            failed: None,
        };
        let thread = std::thread::Builder::new().name("log".into());
        let thread = thread.spawn(move || writer.run(&lines))?;
        Ok(Self {
            queue: Some(queue),
            counts,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Something is logged.
    pub(crate) fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    pub(crate) fn write(&self, line: &impl Serialize) {
        if !self.is_on() {
            return;
        }
        // Plain data always serialises.
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            self.send(line);
        }
    }

    fn send(&self, line: Vec<u8>) {
        let length = line.len();
        self.counts.waiting.fetch_add(length, Ordering::Relaxed);
        let is_taken = match &self.queue {
            Some(Queue::Bounded(to)) => to.try_send(Message::Line(line)).is_ok(),
            Some(Queue::Unbounded(to)) => to.send(Message::Line(line)).is_ok(),
            None => false,
        };
        if !is_taken {
            self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file by its name again, once everything before is written: for whoever has
    /// moved it away.
    pub(crate) fn reopen(&self) {
        self.order(|| Message::Reopen);
    }

    /// Writes what is waiting, and no more after that; for the end of the process.
    pub(crate) fn close(&self) {
        let writer = self.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            self.order(|| Message::Close);
            // It cannot panic, and if it did there would be nothing left to write.
            let _ = writer.join();
        }
    }

    /// Orders are never dropped: a full queue is waited for, which only operators' signals do.
    fn order(&self, message: impl Fn() -> Message) {
        match &self.queue {
            Some(Queue::Unbounded(to)) => {
                let _ = to.send(message());
            }
            Some(Queue::Bounded(to)) => {
                let until = Instant::now() + PATIENCE;
                while let Err(TrySendError::Full(_)) = to.try_send(message()) {
                    if Instant::now() > until {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            None => {}
        }
    }

    /// Lines that were dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.counts.waiting.load(Ordering::Relaxed)
    }
}

enum Sink {
    Stdout,
    Stderr,
    File(PathBuf, File),
}

impl Sink {
    fn file(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o640);
        Ok(Self::File(path.to_owned(), options.open(path)?))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()?;
                Ok(bytes.len())
            }
            Self::Stderr => io::stderr().lock().write(bytes),
            Self::File(_, file) => file.write(bytes),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::Stderr => "stderr".to_owned(),
            Self::File(path, _) => path.display().to_string(),
        }
    }
}

/// The thread that writes.
struct Writer {
    sink: Sink,
    overflow: Overflow,
    counts: Arc<Counts>,
    /// Whole lines, but for what of the first one is written already.
    pending: Vec<u8>,
    /// The file ends within a line that will not be finished.
    is_torn: bool,
    /// Since when nothing could be written.
    failed: Option<Instant>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Message>) {
        loop {
            let message = match self.pending.is_empty() {
                true => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => lines.recv_timeout(RETRY),
            };
            match message {
                Ok(Message::Line(line)) => self.pending.extend(line),
                Ok(Message::Reopen) => self.reopen(),
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return self.end(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            while self.pending.len() < BATCH {
                match lines.try_recv() {
                    Ok(Message::Line(line)) => self.pending.extend(line),
                    Ok(Message::Reopen) => self.reopen(),
                    Ok(Message::Close) => return self.end(),
                    Err(_) => break,
                }
            }
            let is_due = self.failed.is_none_or(|since| since.elapsed() >= RETRY);
            if is_due {
                self.flush();
                std::thread::sleep(GATHER);
            }
        }
    }

    fn flush(&mut self) {
        if self.is_torn && !self.pending.is_empty() {
            self.pending.insert(0, b'\n');
            self.counts.waiting.fetch_add(1, Ordering::Relaxed);
            self.is_torn = false;
        }
        let mut written = 0;
        let outcome = loop {
            let rest = &self.pending[written..];
            if rest.is_empty() {
                break Ok(());
            }
            match self.sink.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let is_within = written > 0 && self.pending[written - 1] != b'\n';
        self.take(written);
        match outcome {
            Ok(()) => self.failed = None,
            Err(error) => self.broke(&error, is_within),
        }
    }

    fn broke(&mut self, error: &io::Error, is_within: bool) {
        if self.failed.is_none() {
            complain(&self.sink.name(), "cannot be written", error);
        }
        self.failed = Some(Instant::now());
        if self.overflow == Overflow::Drop {
            let lost = self.pending.iter().filter(|byte| **byte == b'\n').count();
            self.counts.dropped.fetch_add(lost, Ordering::Relaxed);
            self.take(self.pending.len());
            self.is_torn |= is_within;
        }
    }

    fn take(&mut self, bytes: usize) {
        self.pending.drain(..bytes);
        self.counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What could not be written to the old file goes into the new one.
    fn reopen(&mut self) {
        self.flush();
        let Sink::File(path, _) = &self.sink else {
            return;
        };
        match Sink::file(path) {
            Ok(sink) => {
                self.sink = sink;
                self.is_torn = false;
                self.failed = None;
            }
            Err(error) => complain(&self.sink.name(), "cannot be opened again", &error),
        }
    }

    fn end(mut self) {
        let until = Instant::now() + PATIENCE;
        self.flush();
        while !self.pending.is_empty() && Instant::now() < until {
            std::thread::sleep(RETRY.min(PATIENCE));
            self.flush();
        }
        if !self.pending.is_empty() {
            let error = io::Error::other("lines are lost at the end of the process");
            complain(&self.sink.name(), "cannot be written", &error);
        }
    }
}

/// Where nobody else may be able to say it: a log that fails cannot log that.
fn complain(log: &str, what: &str, error: &io::Error) {
    let line = serde_json::json!({"level": "ERROR", "message": format!("{log} {what}: {error}")});
    let _ = writeln!(io::stderr(), "{line}");
}

/// The application's log, once it is there.
static APPLICATION: OnceLock<JsonLines> = OnceLock::new();

/// The application's log: JSON lines to where [`JsonLines::open`] says, level by `SIDECAR_LOG`.
pub(crate) fn init_tracing(target: &str) -> io::Result<()> {
    use tracing_subscriber::EnvFilter;
    // Pingora reports every connection that a caller or an upstream broke off; our record does too.
    let quiet = "info,pingora_core=error,pingora_proxy=off";
    let filter = EnvFilter::try_from_env("SIDECAR_LOG").unwrap_or_else(|_| EnvFilter::new(quiet));
    let lines = JsonLines::open(target, Overflow::Drop)?;
    APPLICATION.get_or_init(|| lines);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(|| Application)
        .init();
    Ok(())
}

/// The application's log, where there is one.
pub(crate) fn application() -> Option<&'static JsonLines> {
    APPLICATION.get()
}

/// What `tracing` writes to: each event comes as one whole line.
struct Application;

impl Write for Application {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(log) = application().filter(|log| log.queue.is_some()) {
            log.send(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn read(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_from_before_a_reopening_are_in_the_old_file_and_later_ones_in_the_new() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("a/log"), dir.path().join("a/log.1"));
        for overflow in [Overflow::Drop, Overflow::Keep] {
            let log = JsonLines::open(path.to_str().unwrap(), overflow).unwrap();
            (0..1000).for_each(|n: u64| log.write(&n));
            std::fs::rename(&path, &old).unwrap();
            (1000..2000).for_each(|n: u64| log.write(&n));
            log.reopen();
            (2000..3000).for_each(|n: u64| log.write(&n));
            log.close();
            assert_eq!(read(&old), (0..2000).collect::<Vec<_>>(), "{overflow:?}");
            assert_eq!(read(&path), (2000..3000).collect::<Vec<_>>());
            assert_eq!((log.dropped(), log.waiting()), (0, 0));
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_full_disk_costs_an_access_log_lines_and_an_audit_log_none() {
        for (overflow, dropped) in [(Overflow::Drop, 10), (Overflow::Keep, 0)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            symlink("/dev/full", &path).unwrap();
            let log = JsonLines::open(path.to_str().unwrap(), overflow).unwrap();
            (0..10).for_each(|n: u64| log.write(&n));
            while overflow == Overflow::Drop && log.dropped() < 10 {
                std::thread::yield_now();
            }
            std::fs::remove_file(&path).unwrap();
            log.reopen();
            (10..20).for_each(|n: u64| log.write(&n));
            log.close();
            assert_eq!(
                read(&path),
                (dropped..20).collect::<Vec<_>>(),
                "{overflow:?}"
            );
            assert_eq!((log.dropped(), log.waiting()), (dropped as usize, 0));
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("old"));
        let log = JsonLines::open(path.to_str().unwrap(), Overflow::Keep).unwrap();
        log.write(&1);
        std::fs::rename(&path, &old).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.reopen();
        log.write(&2);
        log.close();
        assert_eq!(read(&old), [1, 2]);
    }

    #[test]
    fn nothing_goes_nowhere_and_a_bad_path_is_told() {
        let log = JsonLines::open("off", Overflow::Drop).unwrap();
        log.write(&1);
        log.reopen();
        log.close();
        assert_eq!((log.dropped(), log.waiting()), (0, 0));
        assert!(JsonLines::open("/dev/null/log", Overflow::Keep).is_err());
    }
}
