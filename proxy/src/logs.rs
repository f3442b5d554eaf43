//! Reading the logs again, those that were rotated away included: `access.log`,
//! `access.log.1`, `access.log.2.gz`, `access.log-20261126.gz`.
//!
//! Files are streamed, so their size does not matter; a line that is longer than
//! [`LONGEST`] is broken. It is for commands beside a sidecar that serves, not for the
//! sidecar itself: it blocks. What cannot be read is told and never an error, for half of
//! the facts are better than none.

use camarad_config::{Config, Problems};
use camarad_policies::incident::{ACCESS, APPLICATION, AUDIT, Seen, Window};
use camarad_policies::log_lines::time_of;
use flate2::bufread::MultiGzDecoder;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Longest line, in bytes.
const LONGEST: u64 = 1 << 20;
/// Lines are written in nearly the order of their times: this much apart at most, in milliseconds.
const APART_MS: i64 = 60_000;

/// Where the logs are, as arguments of a command.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// The state directory; with --access-log, the settings are not looked at.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// The access log (instead of server.access_log).
    #[arg(long)]
    access_log: Option<PathBuf>,
    /// The audit log (instead of audit.log, or audit.jsonl in the state directory).
    #[arg(long)]
    audit_log: Option<PathBuf>,
    /// The application's log (instead of server.log).
    #[arg(long)]
    app_log: Option<PathBuf>,
    /// Configuration file (instead of SIDECAR_CONFIG); it says where all of them are.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Where the logs are.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) access: Log,
    pub(crate) audit: Log,
    pub(crate) application: Log,
    pub(crate) state_dir: PathBuf,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    /// In words.
    pub(crate) name: &'static str,
    /// As in the settings: a file, `stdout`, `stderr` or `off`; `None` where it is not known.
    pub(crate) target: Option<PathBuf>,
}

impl Places {
    /// As the arguments say, and where they say nothing, the settings.
    pub(crate) fn of(
        args: &LogArgs,
        settings: impl FnOnce(Option<PathBuf>) -> Result<Config, Problems>,
    ) -> Result<Self, Problems> {
        let config = match (&args.config, &args.state_dir, &args.access_log) {
            (None, Some(_), Some(_)) => None,
            _ => Some(settings(args.config.clone())?),
        };
        let config = config.as_ref();
        let state_dir = args.state_dir.clone();
        let state_dir = state_dir.or_else(|| config.map(|c| c.server.state_dir.clone()));
        let state_dir = state_dir.unwrap_or_default();
        // With a state directory of its own, its audit log is meant, too.
        let own_audit = args.state_dir.as_ref().map(|dir| dir.join("audit.jsonl"));
        let log = |name, chosen: &Option<PathBuf>, other: Option<PathBuf>| Log {
            name,
            target: chosen.clone().or(other),
        };
        let set = |of: fn(&Config) -> &String| config.map(|config| of(config).into());
        Ok(Self {
            access: log(
                ACCESS,
                &args.access_log,
                set(|config| &config.server.access_log),
            ),
            audit: log(
                AUDIT,
                &args.audit_log,
                own_audit.or_else(|| set(|config| &config.audit.log)),
            ),
            application: log(APPLICATION, &args.app_log, set(|config| &config.server.log)),
            state_dir,
        })
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Good,
    Broken,
    /// Nothing more is wanted of this log.
    Last,
}

/// What was read of a log.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) log: &'static str,
    pub(crate) files: Vec<PathBuf>,
    /// Files that were not read, as they end before the span.
    pub(crate) older: usize,
    pub(crate) lines: u64,
    pub(crate) broken: u64,
    /// Why something could not be read; files by their names without folders.
    pub(crate) problems: Vec<String>,
    /// Times of the first and the last line.
    pub(crate) times: Option<(i64, i64)>,
}

impl Scanned {
    /// The same for a section of an incident.
    pub(crate) fn seen(self) -> Seen {
        Seen {
            log: self.log,
            files: self.files.iter().map(|path| name(path)).collect(),
            older: self.older,
            lines: self.lines,
            broken: self.broken,
            problems: self.problems,
        }
    }

    fn note(&mut self, at: i64) {
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }
}

/// Gives each line of a log with its time, those of the newest file first; with a `span`, the
/// lines within it alone, and files that end before it are not opened.
pub(crate) fn scan(
    log: &Log,
    span: Option<Window>,
    mut each: impl FnMut(&[u8], i64) -> Line,
) -> Scanned {
    let mut scanned = Scanned {
        log: log.name,
        ..Scanned::default()
    };
    let path = match log.target.as_deref().map(|path| (path, path.to_str())) {
        None => {
            let words = "it is not known where it is: give --app-log or --config";
            scanned.problems.push(words.to_owned());
            return scanned;
        }
        Some((_, Some(word @ ("stdout" | "stderr" | "off")))) => {
            let words = match word {
                "off" => "it is off, so there is none".to_owned(),
                _ => format!("it goes to {word}: look where that is kept"),
            };
            scanned.problems.push(words);
            return scanned;
        }
        Some((path, _)) => path,
    };
    for (path, file) in opened(path, span, &mut scanned) {
        let is_packed = path.extension().is_some_and(|end| end == "gz");
        let file = BufReader::with_capacity(1 << 17, file);
        scanned.files.push(path.clone());
        let read = match is_packed {
            true => {
                let mut lines = BufReader::with_capacity(1 << 17, MultiGzDecoder::new(file));
                read_lines(&mut lines, span, &mut scanned, &mut each)
            }
            false => read_lines(&mut { file }, span, &mut scanned, &mut each),
        };
        match read {
            Ok(true) => return scanned,
            Ok(false) => {}
            Err(error) => {
                let words = format!("{} could be read in part only: {error}", name(&path));
                scanned.problems.push(words);
            }
        }
    }
    scanned
}

/// Whether nothing more is wanted.
fn read_lines(
    reader: &mut impl BufRead,
    span: Option<Window>,
    scanned: &mut Scanned,
    each: &mut impl FnMut(&[u8], i64) -> Line,
) -> io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.take(LONGEST).read_until(b'\n', &mut line)?;
        let is_whole = line.ends_with(b"\n");
        if line.is_empty() {
            return Ok(false);
        }
        if !is_whole && line.len() as u64 == LONGEST {
            skip_line(reader)?;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let at = time_of(text);
        // The last one may be on its way still.
        if at.is_none() && !is_whole && (line.len() as u64) < LONGEST {
            return Ok(false);
        }
        scanned.lines += 1;
        let Some(at) = at else {
            scanned.broken += 1;
            continue;
        };
        scanned.note(at);
        match span {
            Some(span) if !span.holds(at) => continue,
            _ => {}
        }
        match each(text, at) {
            Line::Good => {}
            Line::Broken if !is_whole && (line.len() as u64) < LONGEST => {
                scanned.lines -= 1;
                return Ok(false);
            }
            Line::Broken => scanned.broken += 1,
            Line::Last => return Ok(true),
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    let mut rest = Vec::new();
    while reader.take(LONGEST).read_until(b'\n', &mut rest)? > 0 && !rest.ends_with(b"\n") {
        rest.clear();
    }
    Ok(())
}

/// The files of a log that may hold something of the span, the newest first. They are opened
/// before any is read, so that no rotation takes one away meanwhile, and none comes twice.
fn opened(path: &Path, span: Option<Window>, scanned: &mut Scanned) -> Vec<(PathBuf, File)> {
    let Scanned {
        problems, older, ..
    } = scanned;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    let all = match family(path) {
        Ok(all) => all,
        Err(error) => {
            problems.push(format!("its folder cannot be read: {error}"));
            return files;
        }
    };
    if all.is_empty() {
        problems.push(format!("{} is not there", name(path)));
    }
    for path in all {
        let file = File::open(&path).and_then(|file| {
            let about = file.metadata()?;
            match about.is_file() {
                true => Ok((file, about)),
                false => Err(ErrorKind::InvalidInput.into()),
            }
        });
        match file {
            Ok((file, about)) => {
                let written = about.modified().ok();
                let written = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let written = written.and_then(|at| i64::try_from(at.as_millis()).ok());
                let is_over = span
                    .zip(written)
                    .is_some_and(|(span, at)| at.saturating_add(APART_MS) < span.from_ms);
                match (seen.insert((about.dev(), about.ino())), is_over) {
                    (true, true) => *older += 1,
                    (true, false) => files.push((path, file)),
                    (false, _) => {}
                }
            }
            Err(error) => problems.push(format!("{} cannot be read: {error}", name(&path))),
        }
    }
    files
}

/// The log and what it was rotated into, the newest first.
fn family(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let own = name(path);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let age = entry.to_str().and_then(|name| age(&own, name));
        found.extend(age.map(|age| (age, folder.join(entry))));
    }
    // Of one that is being packed there are two, and the packed one is not whole yet.
    found.sort();
    found.dedup_by(|packed, plain| packed.0.0 == plain.0.0);
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Sorts names of a log: itself, then numbers up, then dates down; plain before packed.
fn age(own: &str, name: &str) -> Option<((u8, u64), bool)> {
    let rest = name.strip_prefix(own)?;
    let (rest, is_packed) = match rest.strip_suffix(".gz") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let order = match (rest.strip_prefix('.'), rest.strip_prefix('-')) {
        (Some(number), _) => (1, number.parse().ok()?),
        (_, Some(date)) => {
            let digits: String = date.chars().filter(|c| *c != '-').collect();
            (2, u64::MAX - digits.parse::<u64>().ok()?)
        }
        _ if rest.is_empty() => (0, 0),
        _ => return None,
    };
    Some((order, is_packed))
}

fn name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests;
