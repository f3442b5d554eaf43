//! What the doctor found, and how it is told: as text or as JSON. Pure.
//!
//! Not here: looking, and judging what was seen. Words that came from another
//! server go through [`plain`] first, or they could write to the terminal.

use camarad_policies::shown;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Longest word of another server's that is told, in characters.
const LONGEST: usize = 120;

/// What is shorter is no secret, and may be a part of any word.
const SECRET: usize = 16;

/// What an installation has to pass, in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Gate {
    /// The sidecar stands in front and serves.
    A,
    /// Identities and clients are enforced.
    B,
    /// Figures come from Coolbits.
    C,
}

impl Gate {
    pub(crate) const ALL: [Gate; 3] = [Self::A, Self::B, Self::C];

    fn title(self) -> &'static str {
        match self {
            Self::A => "A  the sidecar stands in front and serves",
            Self::B => "B  identities and clients are enforced",
            Self::C => "C  real data from Coolbits",
        }
    }
}

/// How a check ended, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it should be.
    Pass,
    /// It was not looked at.
    Skip,
    /// It works, but somebody should know.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Skip => "SKIP",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// What was seen, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) seen: String,
    /// `None` for what is as it should be.
    pub(super) todo: Option<String>,
}

impl Finding {
    pub(super) fn pass(seen: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Pass,
            seen: seen.into(),
            todo: None,
        }
    }

    pub(super) fn warn(seen: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::with(Outcome::Warn, seen, todo)
    }

    pub(super) fn fail(seen: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::with(Outcome::Fail, seen, todo)
    }

    pub(super) fn skip(seen: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::with(Outcome::Skip, seen, todo)
    }

    fn with(outcome: Outcome, seen: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            outcome,
            seen: seen.into(),
            todo: Some(todo.into()),
        }
    }

    /// The check that found it.
    pub(super) fn of(self, gate: Gate, name: impl Into<String>) -> Check {
        Check {
            gate,
            name: name.into(),
            outcome: self.outcome,
            seen: self.seen,
            todo: self.todo,
            took_ms: None,
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    gate: Gate,
    name: String,
    pub(super) outcome: Outcome,
    seen: String,
    #[serde(rename = "do")]
    todo: Option<String>,
    /// How long the answer took, where another server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
}

impl Check {
    pub(super) fn took(mut self, took: Option<Duration>) -> Self {
        self.took_ms = took.map(|took| took.as_millis() as u64);
        self
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    gates: BTreeMap<Gate, Outcome>,
    checks: Vec<Check>,
    version: &'static str,
    /// RFC 3339.
    checked_at: String,
}

impl Report {
    /// `secrets` are blotted out wherever they stand: nothing here is meant to hold
    /// one, but another server's words might.
    pub(super) fn new(mut checks: Vec<Check>, checked_at: String, secrets: &[&str]) -> Self {
        for check in &mut checks {
            for secret in secrets.iter().filter(|secret| secret.len() >= SECRET) {
                check.seen = check.seen.replace(secret, "***");
                check.todo = check.todo.take().map(|todo| todo.replace(secret, "***"));
            }
        }
        checks.sort_by_key(|check| check.gate);
        let gates = Gate::ALL.map(|gate| (gate, verdict(gate, &checks)));
        Self {
            gates: gates.into(),
            checks,
            version: env!("CARGO_PKG_VERSION"),
            checked_at,
        }
    }

    /// Whether any check failed.
    pub(crate) fn failed(&self) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.outcome == Outcome::Fail)
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        // Plain data always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For a person, by gate.
    pub(crate) fn text(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        let mut out = format!(
            "camarad-sidecar {} doctor, {}\n",
            self.version, self.checked_at
        );
        // Writing to a String cannot fail.
        for (gate, verdict) in &self.gates {
            let _ = writeln!(out, "\n{}: {}", gate.title(), verdict.word());
            for check in self.checks.iter().filter(|check| check.gate == *gate) {
                let (word, name) = (check.outcome.word(), &check.name);
                let _ = write!(out, "  {word}  {name:width$}  {}", check.seen);
                if let Some(took) = check.took_ms {
                    let _ = write!(out, " ({took} ms)");
                }
                if let Some(todo) = &check.todo {
                    let _ = write!(out, "\n  {:4}  {:width$}  do: {todo}", "", "");
                }
                out.push('\n');
            }
        }
        let count = |outcome| self.checks.iter().filter(|c| c.outcome == outcome).count();
        let _ = write!(
            out,
            "\n{} passed, {} to know about, {} failed, {} not looked at",
            count(Outcome::Pass),
            count(Outcome::Warn),
            count(Outcome::Fail),
            count(Outcome::Skip)
        );
        out
    }
}

/// The worst of a gate's checks. What was not looked at did not pass either.
fn verdict(gate: Gate, checks: &[Check]) -> Outcome {
    let own = checks.iter().filter(|check| check.gate == gate);
    let worst = own.map(|check| check.outcome).max();
    match worst.unwrap_or(Outcome::Skip) {
        Outcome::Skip => Outcome::Warn,
        outcome => outcome,
    }
}

/// Another server's words, fit to be told: short, and without control characters.
pub(super) fn plain(words: &str) -> String {
    shown::plain(words, LONGEST)
}

#[cfg(test)]
mod tests;
