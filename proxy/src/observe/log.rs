//! Logs of JSON lines (access and audit) and the application's own log.
//!
//! Writing never holds up a request: lines go through a bounded queue to a
//! thread of their own, and what does not fit is dropped and counted.

use serde::Serialize;
use std::io::Write;
use std::sync::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines waiting to be written at most.
const QUEUE: usize = 65_536;

/// Where lines go.
pub(crate) struct JsonLines {
    writer: Option<Mutex<NonBlocking>>,
    dropped: Option<ErrorCounter>,
    /// Writes what is left when dropped.
    worker: Mutex<Option<WorkerGuard>>,
}

impl JsonLines {
    /// `stdout`, `off`, or a file that is appended to.
    pub(crate) fn open(target: &str) -> std::io::Result<Self> {
        let builder = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUE);
        let (writer, worker) = match target {
            "off" => {
                return Ok(Self {
                    writer: None,
                    dropped: None,
                    worker: Mutex::default(),
                });
            }
            "stdout" => builder.finish(std::io::stdout()),
            path => {
                if let Some(folder) = std::path::Path::new(path).parent() {
                    std::fs::create_dir_all(folder)?;
                }
                let file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)?;
                builder.finish(file)
            }
        };
        Ok(Self {
            dropped: Some(writer.error_counter()),
            writer: Some(Mutex::new(writer)),
            worker: Mutex::new(Some(worker)),
        })
    }

    pub(crate) fn write(&self, line: &impl Serialize) {
        let Some(writer) = &self.writer else { return };
        // Plain data always serialises.
        let Ok(mut line) = serde_json::to_vec(line) else {
            return;
        };
        line.push(b'\n');
        // A poisoned lock means that a write panicked; the next line is still worth writing.
        let mut writer = writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // A full queue is counted by the appender.
        let _ = writer.write_all(&line);
    }

    /// Writes what is waiting, and no more after that; for the end of the process.
    pub(crate) fn close(&self) {
        let mut worker = self
            .worker
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(worker.take());
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.as_ref().map_or(0, ErrorCounter::dropped_lines)
    }
}

/// The application's log: JSON lines on standard error, level by `SIDECAR_LOG`.
pub(crate) fn init_tracing() {
    use tracing_subscriber::EnvFilter;
    // Pingora reports every connection that a caller or an upstream broke off; our record does too.
    let quiet = "info,pingora_core=error,pingora_proxy=off";
    let filter = EnvFilter::try_from_env("SIDECAR_LOG").unwrap_or_else(|_| EnvFilter::new(quiet));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
