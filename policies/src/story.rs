//! What happened to one request, told from its lines in plain sentences for support.
//!
//! It tells ids, names and a token's hash, never a token or a body: what a run was given
//! and gave back stays in the ledger (`runs show`). It tells what was written down, and
//! decides nothing.

mod run;
mod words;

#[cfg(test)]
mod tests;

pub use run::run_json;

use crate::log_lines::{Access, Application, Audit, refusal};
use crate::run::Run;
use crate::shown::plain;
use serde_json::{Value, json};

/// Longest text of a log that is repeated, in characters.
const LONGEST: usize = 300;

/// What was found of one request.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its line of the access log.
    pub access: Option<Access>,
    /// Its lines of the audit log.
    pub audit: Vec<Audit>,
    /// Its lines of the application's log.
    pub application: Vec<Application>,
    /// The run that it made.
    pub run: Option<Run>,
    /// Why the run that its line names is not here.
    pub no_run: Option<String>,
}

/// One sentence or more a line, without a line break at the end.
pub fn tell(found: &Found) -> String {
    let mut lines = Vec::new();
    match &found.access {
        Some(access) => request(access, &mut lines),
        None => lines.push("The access log has no line of this request.".to_owned()),
    }
    if let Some(run) = &found.run {
        run::tell(run, &mut lines);
    }
    if let Some(why) = &found.no_run {
        lines.push(safe(why));
    }
    lines.extend(found.audit.iter().map(audited));
    for line in &found.application {
        let (level, message) = (safe(&line.level), safe(&line.message));
        let time = safe(&line.timestamp);
        lines.push(format!("Log, {time}: {level}: {message}"));
    }
    lines.join("\n")
}

/// The same for programs: `{request, audit, log, run}`; `request` and `run` may be null.
pub fn to_json(found: &Found) -> Value {
    json!({
        "request": found.access,
        "audit": found.audit,
        "log": found.application,
        "run": found.run.as_ref().map(run_json),
    })
}

/// One line for each of several requests that go by the same id of a caller's.
pub fn list(requests: &[Access]) -> String {
    let line = |one: &Access| {
        format!(
            "{}  {}  {} {}  {}",
            safe(&one.request_id),
            safe(&one.time),
            one.status,
            safe(&one.method),
            safe(&one.path)
        )
    };
    requests.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn request(one: &Access, lines: &mut Vec<String>) {
    let own = one.client_request_id.as_deref();
    let own = own.map_or(String::new(), |id| {
        format!(", which the caller calls {}", safe(id))
    });
    lines.push(format!("Request {}{own}.", safe(&one.request_id)));
    lines.push(format!(
        "It ended at {} after {} ms.",
        safe(&one.time),
        ms(one.duration_ms)
    ));
    let path = match one.path.as_str() {
        "" => "a path that could not be read".to_owned(),
        path => safe(path),
    };
    let rule = match one.route.as_str() {
        "" | "none" => "no rule was looked for".to_owned(),
        name => format!("rule {} of area {}", safe(name), safe(&one.area)),
    };
    lines.push(format!("Asked was {} {path}; {rule}.", safe(&one.method)));
    lines.push(who(one));
    lines.push(match one.client {
        Some(client) => format!("It was decided to be for client {client}."),
        None => "No client was decided on.".to_owned(),
    });
    lines.push(decision(one));
    lines.push(answered(one));
    if let Some(cache) = &one.cache {
        lines.push(format!(
            "The cache said {}: {}.",
            safe(cache),
            words::cache(cache)
        ));
    }
    if let Some(reason) = &one.fallback {
        let (reason, words) = (safe(reason), words::fallback(reason));
        lines.push(format!(
            "The mock answered in Coolbits' place, because of {reason}: {words}."
        ));
    }
    let own = (one.duration_ms - one.upstream_ms).max(0.0);
    lines.push(format!(
        "Of its {} ms it waited {} ms for others, and {} ms were our own.",
        ms(one.duration_ms),
        ms(one.upstream_ms),
        ms(own)
    ));
    if let Some(run) = &one.run {
        lines.push(format!("It made the run {}.", safe(run)));
    }
}

fn who(one: &Access) -> String {
    let address = match (&one.client_address, &one.peer) {
        (Some(address), Some(peer)) if address != peer => {
            format!(" from {} through {}", safe(address), safe(peer))
        }
        (Some(address), _) | (None, Some(address)) => format!(" from {}", safe(address)),
        (None, None) => String::new(),
    };
    let token = match &one.token_hash {
        Some(hash) => format!("a token whose SHA-256 begins with {}", safe(hash)),
        None => "no token that was believed".to_owned(),
    };
    let user = match one.user {
        Some(user) => format!("user {user}"),
        None => "nobody that is known".to_owned(),
    };
    let forged = match one.forged_user {
        true => "; the caller claimed to be another user",
        false => "",
    };
    format!("It came{address}, by {user}, with {token}{forged}.")
}

fn decision(one: &Access) -> String {
    let told = |code: &str| match refusal(code) {
        Some(refusal) => format!("{code}: {}", refusal.why()),
        None => safe(code),
    };
    match (one.allowed, &one.code, &one.reported) {
        (false, Some(code), _) => format!("It was refused as {}", stop(&told(code))),
        (false, None, _) => "It ended before anything was decided.".to_owned(),
        // It was allowed, and then there was no other answer than ours.
        (true, Some(code), _) if one.source.as_deref() == Some("sidecar") => {
            format!("It was allowed, and then answered as {}", stop(&told(code)))
        }
        (true, Some(code), _) => format!("It was allowed, in spite of {}", stop(&told(code))),
        (true, None, Some(code)) => {
            format!("It was allowed; to be told was {}", stop(&told(code)))
        }
        (true, None, None) => "It was allowed.".to_owned(),
    }
}

fn answered(one: &Access) -> String {
    let source = one.source.as_deref();
    let source = source.map_or("nobody that was written down", words::source);
    let fault = one.origin.as_deref().map_or(String::new(), |origin| {
        format!("; the fault is {}", words::origin(origin))
    });
    let (status, bytes) = (one.status, one.bytes_sent);
    format!("It was answered {status} with {bytes} bytes, by {source}{fault}.")
}

fn audited(line: &Audit) -> String {
    let mut told = format!("Audit, {}:", safe(&line.time));
    let named = [
        ("", &line.event),
        ("", &line.decision),
        ("code ", &line.code),
        ("rule ", &line.rule),
        ("mode ", &line.mode),
        ("state ", &line.state),
    ];
    let named = named.into_iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(format!("{name}{}", safe(value)))
    });
    let mut parts: Vec<String> = named.collect();
    if let Some(user) = line.user {
        parts.push(format!("user {user}"));
    }
    for (place, asked) in &line.client_asked {
        parts.push(format!("{} named client {}", safe(place), safe(asked)));
    }
    if let Some(client) = line.client_allowed {
        parts.push(format!("decided client {client}"));
    }
    if let Some(object) = &line.object {
        parts.push(format!(
            "object {} {}",
            safe(&object.kind),
            safe(&object.id)
        ));
    }
    told.push(' ');
    told.push_str(&parts.join(", "));
    told.push('.');
    told
}

fn safe(text: &str) -> String {
    plain(text, LONGEST)
}

/// With one full stop.
fn stop(sentence: &str) -> String {
    format!("{}.", sentence.trim_end_matches('.'))
}

/// Milliseconds to three places at most.
fn ms(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    rounded.to_string()
}
