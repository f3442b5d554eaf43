//! `trace REQUEST_ID`: what happened to one request, from the logs and the ledger, in plain
//! sentences for support.
//!
//! It needs no sidecar that runs and asks nobody, and shows every tenant's requests to
//! whoever may read the files. The words are `camarad_policies::story`. A caller chooses
//! its own id, so one of those is only looked at where it is nobody's of ours.

use crate::ledger::{FILE, Reader, time_text};
use crate::logs::{Line, LogArgs, Places, Scanned, scan};
use camarad_policies::incident::Window;
use camarad_policies::log_lines::{Access, Application, Audit, Mentions, millis, read};
use camarad_policies::shown::plain;
use camarad_policies::story::{Found, list, tell as story, to_json};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Lines of a kind that are told at most.
const MOST: usize = 100;
/// Lines of other logs are looked for this long before a request began and after it ended, in
/// milliseconds.
const AROUND_MS: i64 = 60_000;

/// Which request.
#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    /// The X-Request-Id of its answer, or the one that the caller sent.
    #[arg(value_parser = request_id)]
    request_id: String,
    /// One JSON object instead of sentences: {request, audit, log, run, files}.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// What is told.
pub(crate) struct Told {
    pub(crate) text: String,
    /// There is something about it anywhere.
    pub(crate) is_found: bool,
}

fn request_id(text: &str) -> Result<String, String> {
    let is_one = (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
    let words = "expected an id of a request: 1 to 128 bytes in one line";
    is_one.then(|| text.to_owned()).ok_or(words.to_owned())
}

/// What there is about the request.
pub(crate) fn tell(args: &TraceArgs, places: &Places) -> Told {
    let (requests, more, access) = requests(&args.request_id, places);
    let mut scanned = vec![access];
    if requests.len() > 1 {
        return several(args, &requests, more, &scanned);
    }
    let mut found = Found {
        access: requests.into_iter().next(),
        ..Found::default()
    };
    let id = found
        .access
        .as_ref()
        .map(|access| access.request_id.clone());
    let id = id.unwrap_or_else(|| args.request_id.clone());
    let span = found.access.as_ref().and_then(around);
    let mentions = Mentions::of(&id);
    let audit = scan(&places.audit, span, |line, _| {
        note(&mentions, line, &mut found.audit, |one: &Audit| {
            one.request_id.as_ref() == Some(&id)
        })
    });
    let log = scan(&places.application, span, |line, _| {
        note(
            &mentions,
            line,
            &mut found.application,
            |one: &Application| one.request_id.as_ref() == Some(&id),
        )
    });
    scanned.extend([audit, log]);
    if let Some(run) = found.access.as_ref().and_then(|access| access.run.clone()) {
        let read = Reader::open(&places.state_dir).and_then(|ledger| ledger.find(&run));
        match read {
            Ok(Some(run)) => found.run = Some(run),
            Ok(None) => {
                found.no_run = Some("The ledger does not have this run any more.".to_owned())
            }
            Err(error) => {
                found.no_run = Some(format!(
                    "The run cannot be told: {FILE} in {} cannot be read: {error}.",
                    places.state_dir.display()
                ));
            }
        }
    }
    let is_found =
        found.access.is_some() || !found.audit.is_empty() || !found.application.is_empty();
    let text = match (args.json, is_found) {
        (true, _) => {
            let mut told = to_json(&found);
            told["files"] = files(&scanned);
            format!("{told:#}")
        }
        (false, true) => {
            let unread = problems(&scanned);
            format!("{}{unread}", story(&found))
        }
        (false, false) => format!(
            "{}: no line of this request. Looked at:{}",
            plain(&args.request_id, 128),
            searched(&scanned)
        ),
    };
    Told { text, is_found }
}

/// The request of this id of ours, or else those that go by it among callers, the earliest
/// first, and how many more there are.
fn requests(id: &str, places: &Places) -> (Vec<Access>, usize, Scanned) {
    let mentions = Mentions::of(id);
    let mut ours = None;
    let (mut theirs, mut more) = (Vec::new(), 0);
    let scanned = scan(&places.access, None, |line, at| {
        if !mentions.is_in(line) {
            return Line::Good;
        }
        let Some(one) = read::<Access>(line) else {
            return Line::Broken;
        };
        if one.request_id == id {
            ours = Some(one);
            return Line::Last;
        }
        if one.client_request_id.as_deref() == Some(id) {
            match theirs.len() < MOST {
                true => theirs.push((at, one)),
                false => more += 1,
            }
        }
        Line::Good
    });
    match ours {
        Some(one) => (vec![one], 0, scanned),
        None => {
            theirs.sort_by_key(|(at, _)| *at);
            let theirs = theirs.into_iter().map(|(_, one)| one);
            (theirs.collect(), more, scanned)
        }
    }
}

/// Keeps a line that is about the request.
fn note<T: serde::de::DeserializeOwned>(
    mentions: &Mentions,
    line: &[u8],
    kept: &mut Vec<T>,
    is_about: impl Fn(&T) -> bool,
) -> Line {
    if !mentions.is_in(line) {
        return Line::Good;
    }
    match read::<T>(line) {
        Some(one) => {
            if is_about(&one) && kept.len() < MOST {
                kept.push(one);
            }
            Line::Good
        }
        None => Line::Broken,
    }
}

/// When lines about a request can have been written.
fn around(access: &Access) -> Option<Window> {
    let ended = millis(&access.time)?;
    // No request takes more than this in milliseconds; what is no number becomes none.
    let took = access.duration_ms.clamp(0.0, 1e15) as i64;
    Some(Window {
        from_ms: ended.saturating_sub(took).saturating_sub(AROUND_MS),
        to_ms: ended.saturating_add(AROUND_MS),
    })
}

fn several(args: &TraceArgs, requests: &[Access], more: usize, scanned: &[Scanned]) -> Told {
    let count = requests.len() + more;
    let text = match args.json {
        true => {
            let files = files(scanned);
            let told = json!({"request": null, "audit": [], "log": [], "run": null, "files": files, "requests": requests});
            format!("{told:#}")
        }
        false => {
            let id = plain(&args.request_id, 128);
            let mut text = format!(
                "Callers have called {count} requests {id}; ask for one of them by its own id:\n{}",
                list(requests)
            );
            if more > 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, "\nand {more} more");
            }
            text
        }
    };
    Told {
        text,
        is_found: true,
    }
}

/// What was read, for programs.
fn files(scanned: &[Scanned]) -> Value {
    let path = |path: &Path| path.display().to_string();
    let one = |one: &Scanned| {
        json!({
            "log": one.log,
            "files": one.files.iter().map(|file| path(file)).collect::<Vec<_>>(),
            "lines": one.lines,
            "broken": one.broken,
            "first": one.times.map(|(first, _)| time_text(first)),
            "last": one.times.map(|(_, last)| time_text(last)),
            "problems": one.problems,
        })
    };
    scanned.iter().map(one).collect()
}

/// What was read, for people who did not find it there.
fn searched(scanned: &[Scanned]) -> String {
    let mut text = String::new();
    for one in scanned {
        let files = one.files.iter().map(|file| shown(file.display()));
        let files = files.collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\n  {}: ", one.log);
        let _ = match one.times {
            Some((first, last)) => write!(
                text,
                "{files}; {} lines from {} to {}",
                one.lines,
                time_text(first),
                time_text(last)
            ),
            None if files.is_empty() => write!(text, "not read"),
            None => write!(text, "{files}; no lines with a time"),
        };
        if one.broken > 0 {
            let _ = write!(text, ", {} of them could not be read", one.broken);
        }
        for problem in &one.problems {
            let _ = write!(text, "; {}", shown(problem));
        }
    }
    text
}

/// What the file system and its errors say, in a line; paths are no longer than this.
fn shown(text: impl ToString) -> String {
    plain(&text.to_string(), 4096)
}

fn problems(scanned: &[Scanned]) -> String {
    let each = scanned.iter().flat_map(|one| {
        let problem = |problem| format!("\nNot read: the {}: {}.", one.log, shown(problem));
        one.problems.iter().map(problem)
    });
    each.collect()
}
