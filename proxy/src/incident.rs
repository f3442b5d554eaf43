//! `incident`: writes down what logs and ledger say of a window of time, in the status of
//! its last day, and a follow-up in the next steps.
//!
//! It needs no sidecar that runs and asks nobody. Counting, wording and merging are
//! `camarad_policies::incident`; here files are read and written. What people wrote in the
//! two files stays as it is: they are replaced in one piece by what they were, with lines
//! added. Two of these commands wait for each other; an editor does not, and what it saves
//! at the same moment may win.

use crate::ledger::{FILE, Filter, Reader, time_text};
use crate::logs::{Line, Log, LogArgs, Places, scan};
use crate::snapshots::{Snapshots, short};
use camarad_policies::incident::{
    LEDGER, SNAPSHOTS, Seen, Tally, Title, Window, add_follow_up, add_section, follow_up,
    has_section, section,
};
use camarad_policies::log_lines::{millis, read};
use camarad_policies::run::Status;
use camarad_policies::shown::plain;
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

/// Longest window.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Runs that began this long before the window are not looked for, in milliseconds.
const RUNS_BEFORE_MS: i64 = 24 * 3600 * 1000;
/// Runs of one status at most.
const RUNS: u32 = 1000;

/// What is to be written down, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct IncidentArgs {
    /// What it is called, in one line.
    #[arg(long, value_parser = Title::parse)]
    title: Title,
    /// How long the window is: 30m, 2h; a week at most.
    #[arg(long, default_value = "30m", value_parser = length)]
    since: Duration,
    /// Its end: now, or RFC 3339 such as 2026-01-31T12:00:00Z.
    #[arg(long, default_value = "now", value_parser = until)]
    until: i64,
    /// The folder with STATUS_YYYY-MM-DD.md and NEXT_STEPS.md.
    #[arg(long, default_value = "progress")]
    dir: PathBuf,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IncidentError {
    #[error("--dir {0}: {1}; expected a folder that is there")]
    Folder(String, io::Error),
    #[error("{0}: {1}; nothing was written")]
    Status(String, io::Error),
    #[error("{0}: {1}; the section is in {2}, the follow-up is not written")]
    NextSteps(String, io::Error, String),
}

fn length(text: &str) -> Result<Duration, String> {
    let words = "expected a length of time from 1s to 7d, such as \"30m\"";
    let length = humantime::parse_duration(text).map_err(|error| format!("{error}; {words}"))?;
    match (Duration::from_secs(1)..=LONGEST).contains(&length) {
        true => Ok(length),
        false => Err(words.to_owned()),
    }
}

fn until(text: &str) -> Result<i64, String> {
    let now = (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64;
    match (text, millis(text)) {
        ("now", _) => Ok(now),
        (_, None) => Err("expected \"now\", or a time such as \"2026-01-31T12:00:00Z\"".to_owned()),
        (_, Some(at)) if at > now => Err("it lies ahead; expected a time that has been".to_owned()),
        (_, Some(at)) => Ok(at),
    }
}

/// Writes it down, and says what was written where.
pub(crate) fn write(args: &IncidentArgs, places: &Places) -> Result<String, IncidentError> {
    let shown = |path: &Path| plain(&path.display().to_string(), 4096);
    let folder = shown(&args.dir);
    let broken = |error| IncidentError::Folder(folder.clone(), error);
    // Before logs are read, which may take its time.
    let lock = File::open(&args.dir).map_err(broken)?;
    if !lock.metadata().map_err(broken)?.is_dir() {
        return Err(broken(ErrorKind::NotADirectory.into()));
    }
    let length = i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX);
    let window = Window {
        from_ms: args.until.saturating_sub(length),
        to_ms: args.until,
    };
    let mut tally = Tally::new(window);
    let seen = gather(&mut tally, window, places);

    flock(&lock, FlockOperation::LockExclusive).map_err(|error| broken(error.into()))?;
    let day = window.day();
    let status = args.dir.join(format!("STATUS_{day}.md"));
    let next = args.dir.join("NEXT_STEPS.md");
    let name = shown(&status);
    let broken = |error| IncidentError::Status(name.clone(), error);
    let before = content(&status).map_err(broken)?;
    let again = has_section(before.as_deref().unwrap_or_default(), &args.title);
    let told = section(&args.title, again, &tally, &seen);
    let after = add_section(before.as_deref(), &day, &told);
    replace(&status, &after).map_err(broken)?;

    let next_name = shown(&next);
    let broken = |error| IncidentError::NextSteps(next_name.clone(), error, name.clone());
    let before = content(&next).map_err(broken)?;
    let after = add_follow_up(before.as_deref(), &follow_up(&args.title, window));
    if let Some(after) = &after {
        replace(&next, after).map_err(broken)?;
    }
    let more = match after {
        Some(_) => format!("a follow-up in {next_name}"),
        None => format!("{next_name} has its follow-up already"),
    };
    Ok(format!("{told}\nwritten into {name}; {more}"))
}

/// Tells the tally everything, and says what was read.
fn gather(tally: &mut Tally, window: Window, places: &Places) -> Vec<Seen> {
    let span = tally.span();
    vec![
        feed(&places.access, span, |line, at| tally.access(line, at)),
        feed(&places.audit, window, |line, at| tally.audit(line, at)),
        feed(&places.application, window, |line, at| {
            tally.application(line, at)
        }),
        runs(tally, window, &places.state_dir),
        configurations(tally, &places.state_dir),
    ]
}

fn configurations(tally: &mut Tally, state_dir: &Path) -> Seen {
    let mut seen = Seen {
        log: SNAPSHOTS,
        ..Seen::default()
    };
    match Snapshots::of(state_dir).entries() {
        Ok(entries) => {
            seen.files.push("snapshots/index.jsonl".to_owned());
            for entry in entries.iter().filter(|entry| entry.applied) {
                if let Some(at) = millis(&entry.time) {
                    tally.configuration(short(&entry.id), &entry.reason, &entry.changed, at);
                }
            }
        }
        Err(error) => seen.problems.push(error.to_string()),
    }
    seen
}

fn feed<T: DeserializeOwned>(log: &Log, span: Window, mut tell: impl FnMut(&T, i64)) -> Seen {
    let scanned = scan(log, Some(span), |line, at| match read(line) {
        Some(line) => {
            tell(&line, at);
            Line::Good
        }
        None => Line::Broken,
    });
    let begin = scanned.times.map(|(first, _)| first);
    let begin = begin.filter(|first| scanned.older == 0 && *first > span.from_ms);
    let mut seen = scanned.seen();
    // Of what was before it, nothing is known: rotated away, or there was no sidecar.
    let words = begin.map(|first| format!("it begins at {}", time_text(first)));
    seen.problems.extend(words);
    seen
}

fn runs(tally: &mut Tally, window: Window, state_dir: &Path) -> Seen {
    let mut seen = Seen {
        log: LEDGER,
        ..Seen::default()
    };
    if !state_dir.join(FILE).exists() {
        let words = format!("{FILE} is not in the state directory");
        seen.problems.push(words);
        return seen;
    }
    let reader = match Reader::open(state_dir) {
        Ok(reader) => reader,
        Err(error) => {
            seen.problems
                .push(format!("{FILE} cannot be read: {error}"));
            return seen;
        }
    };
    seen.files.push(FILE.to_owned());
    for status in [Status::Error, Status::Interrupted, Status::Warning] {
        let filter = Filter {
            client: None,
            user: None,
            status: Some(status),
            since_ms: window.from_ms.saturating_sub(RUNS_BEFORE_MS),
            most: RUNS,
        };
        let status = status.as_str();
        match reader.list(filter) {
            Ok(runs) => {
                runs.iter().for_each(|run| tally.run(run));
                if runs.len() >= RUNS as usize {
                    let words = format!("of {status} runs, the latest {RUNS} were looked at");
                    seen.problems.push(words);
                }
            }
            Err(error) => {
                let words = format!("{status} runs cannot be read: {error}");
                seen.problems.push(words);
            }
        }
    }
    seen
}

fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file in one piece, with the mode that it has.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link names is replaced, and not the link.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".incident-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    if let Ok(about) = path.metadata() {
        file.as_file().set_permissions(about.permissions())?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_a_week_at_most_and_have_been() {
        for (text, seconds) in [("1s", 1), ("30m", 1800), ("7d", 604_800)] {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "0s", "999ms", "7d 1ms", "yesterday", "-1h", "30"] {
            assert!(length(bad).unwrap_err().contains("from 1s to 7d"), "{bad}");
        }
        assert_eq!(until("1970-01-01T00:00:01Z"), Ok(1000));
        assert!(until("now").unwrap() > 0);
        for bad in ["", "2026-11-26", "9999-01-01T00:00:00Z", "today"] {
            assert!(until(bad).unwrap_err().contains("expected"), "{bad}");
        }
    }

    #[test]
    fn files_are_replaced_whole_with_their_mode_and_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.md"), dir.path().join("b.md"));
        replace(&file, b"one").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o664);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
