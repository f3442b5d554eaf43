//! The section of Markdown that a tally is told as.

mod rest;
mod words;

use super::tally::{Compared, Named, Tally, Times};
use super::title::Title;
use super::{Window, moment};
use crate::shown::{self, code};
use std::collections::BTreeMap;
use words::{most, noun, quantiles};

/// Ids of requests that are told.
const IDS: usize = 10;
/// Origins, routes or codes that are told one by one.
const MOST: usize = 30;
/// Longest words of a log that are repeated, in characters.
const LONGEST: usize = 300;
/// Routes that are told as the slowest.
const SLOWEST: usize = 5;

/// What was read of one log, or of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which: [`ACCESS`], [`AUDIT`], [`APPLICATION`], [`LEDGER`] or [`SNAPSHOTS`].
    pub log: &'static str,
    /// Names of the files that were read, without their folders.
    pub files: Vec<String>,
    /// How many more there are that end before the time that was asked for.
    pub older: usize,
    /// Lines that were looked at.
    pub lines: u64,
    /// Of those, lines that could not be read.
    pub broken: u64,
    /// Why it, or a part of it, could not be read.
    pub problems: Vec<String>,
}

impl Seen {
    /// Nothing is known of it.
    fn is_missing(&self) -> bool {
        self.files.is_empty() && self.older == 0
    }
}

/// Names of what is read; [`Seen::log`].
pub const ACCESS: &str = "access log";
/// See [`ACCESS`].
pub const AUDIT: &str = "audit log";
/// See [`ACCESS`].
pub const APPLICATION: &str = "application's log";
/// See [`ACCESS`].
pub const LEDGER: &str = "run ledger";
/// Configurations that were applied.
pub const SNAPSHOTS: &str = "snapshots";

fn is_known(seen: &[Seen], log: &str) -> bool {
    seen.iter().any(|one| one.log == log && !one.is_missing())
}

/// The line that is added to the next steps, without its line break.
pub fn follow_up(title: &Title, window: Window) -> String {
    let (day, title) = (window.day(), title.as_markdown());
    format!(
        "- [ ] {day} {title}: find the cause and what would have shown it earlier (STATUS_{day}.md)"
    )
}

/// The section, from its heading to its last line break; `again` where the file has one of
/// this title already. `seen` says what was read; of what is not in it nothing is known.
pub fn section(title: &Title, again: bool, tally: &Tally, seen: &[Seen]) -> String {
    let window = tally.window;
    let mut out = Section {
        text: String::new(),
        with_day: moment(window.from_ms).date() != moment(window.to_ms).date(),
    };
    let again = if again { "again, " } else { "" };
    let title = title.as_markdown();
    let (from, to) = (out.minute(window.from_ms), out.minute(window.to_ms));
    // The end's day is the file's.
    let to = to.rsplit(' ').next().unwrap_or_default();
    out.line(&format!("## Incident: {title} ({again}{from}–{to} UTC)\n"));
    let seconds = window.to_ms.saturating_sub(window.from_ms) / 1000;
    let length = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    };
    let (from, to) = (out.full(window.from_ms), out.full(window.to_ms));
    out.line(&format!(
        "From {from} to {to} ({length}), and as long before that for comparison. A request stands at the time when it ended.\n"
    ));
    // What nobody looked for is not told as none.
    let unless = |log: &str, none: &str| match is_known(seen, log) {
        true => none.to_owned(),
        false => format!("not known, without the {log}"),
    };
    match is_known(seen, ACCESS) {
        true => {
            out.requests(tally);
            out.failures(tally);
            out.fallbacks(&tally.fallbacks);
        }
        false => out.line(&format!(
            "- **Requests, 5xx, fallbacks**: {}",
            unless(ACCESS, "")
        )),
    }
    let changed = unless(APPLICATION, "did not change");
    out.listed("Breaker", &changed, &tally.breaker);
    out.listed("Bursts", &unless(AUDIT, "none"), &tally.bursts);
    out.refusals(tally, seen);
    let none = unless(APPLICATION, "none");
    out.listed("Changes, starts and stops", &none, &tally.changes);
    let none = unless(SNAPSHOTS, "none");
    out.listed("Configurations applied", &none, &tally.configurations);
    match is_known(seen, APPLICATION) {
        true => out.log(tally.errors, tally.warnings),
        false => out.line("- **The application's log**: not read"),
    }
    out.runs(tally, &unless(LEDGER, "none"));
    out.slowest(&tally.routes);
    out.ids(&tally.failures);
    out.seen(seen);
    out.text
}

struct Section {
    text: String,
    /// Times are told with their days.
    with_day: bool,
}

impl Section {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn full(&self, ms: i64) -> String {
        let at = moment(ms);
        let (hour, minute, second) = at.time().as_hms();
        format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
    }

    fn day(&self, ms: i64) -> String {
        match self.with_day {
            true => format!("{} ", moment(ms).date()),
            false => String::new(),
        }
    }

    fn minute(&self, ms: i64) -> String {
        let (hour, minute, _) = moment(ms).time().as_hms();
        format!("{}{hour:02}:{minute:02}", self.day(ms))
    }

    fn second(&self, ms: i64) -> String {
        let (hour, minute, second) = moment(ms).time().as_hms();
        format!("{}{hour:02}:{minute:02}:{second:02}", self.day(ms))
    }

    fn times(&self, times: Times) -> String {
        let (first, last) = (self.second(times.first_ms), self.second(times.last_ms));
        match first == last {
            true => format!("{}, {first}", times.count),
            false => format!("{}, {first} to {last}", times.count),
        }
    }

    fn requests(&mut self, tally: &Tally) {
        let mut all = Compared::default();
        for route in tally.routes.values() {
            all.during.merge(&route.during);
            all.before.merge(&route.before);
        }
        let (now, then) = (all.during.total(), all.before.total());
        match now {
            0 => self.line(&format!(
                "- **Requests**: none ended in this window ({then} before)"
            )),
            _ => self.line(&format!(
                "- **Requests**: {now} ({then} before); {}",
                quantiles(&all)
            )),
        }
    }

    fn failures(&mut self, tally: &Tally) {
        let mut by_origin = BTreeMap::<&str, Times>::new();
        for (origin, routes) in &tally.failures {
            let of = by_origin.entry(origin).or_default();
            routes.values().for_each(|one| of.merge(one.times));
        }
        let count: u64 = by_origin.values().map(|times| times.count).sum();
        let before = tally.failed_before;
        if count == 0 {
            return self.line(&format!("- **5xx**: none ({before} before)"));
        }
        let users = tally.failed_users.count();
        self.line(&format!(
            "- **5xx**: {count} ({before} before), told to {users} {}",
            noun(users, "user")
        ));
        for (origin, times) in most(by_origin, |times| times.count).take(MOST) {
            self.line(&format!("  - {}: {}", code(origin), self.times(times)));
            let routes = tally.failures.get(origin).into_iter().flatten();
            let count = routes.clone().count();
            for (route, one) in most(routes, |one| one.times.count).take(MOST) {
                let told = match one.statuses.iter().next() {
                    Some((status, _)) if one.statuses.len() == 1 => status.to_string(),
                    _ => {
                        let each = one.statuses.iter();
                        let each = each.map(|(status, n)| format!("{status} × {n}"));
                        each.collect::<Vec<_>>().join(", ")
                    }
                };
                let times = self.times(one.times);
                self.line(&format!("    - {} ({told}): {times}", code(route)));
            }
            if count > MOST {
                self.line(&format!("    - and {} routes more", count - MOST));
            }
        }
    }

    fn fallbacks(&mut self, routes: &Named<Named<Times>>) {
        let all = routes.values().flat_map(BTreeMap::values);
        let count: u64 = all.map(|times| times.count).sum();
        if count == 0 {
            return self.line("- **Fallbacks**: none");
        }
        self.line(&format!(
            "- **Fallbacks**: {count} {} from the mock in Coolbits' place",
            noun(count as usize, "answer")
        ));
        let rows = routes.iter().flat_map(|(route, reasons)| {
            let row = move |(reason, times)| ((route, reason), times);
            reasons.iter().map(row)
        });
        let rows: Vec<((&String, &String), &Times)> = rows.collect();
        let rest = rows.len().saturating_sub(MOST);
        for ((route, reason), times) in most(rows, |times| times.count).take(MOST) {
            let (route, reason) = (code(route), shown::words(reason, LONGEST));
            self.line(&format!("  - {route} {reason}: {}", self.times(*times)));
        }
        if rest > 0 {
            self.line(&format!("  - and {rest} more of routes and reasons"));
        }
    }
}
