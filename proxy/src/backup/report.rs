//! What a drill found, and how it is told: as text or as JSON. Pure.

use camarad_policies::shown::plain;
use serde::{Serialize, Serializer};
use std::fmt::Write;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(super) name: String,
    #[serde(rename = "outcome", serialize_with = "word")]
    pub(super) passed: bool,
    /// What was seen.
    pub(super) seen: String,
}

/// As the doctor writes it.
fn word<S: Serializer>(passed: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *passed { "pass" } else { "fail" })
}

impl Check {
    pub(super) fn new(name: impl Into<String>, seen: Result<String, String>) -> Self {
        let (passed, seen) = match seen {
            Ok(seen) => (true, seen),
            Err(seen) => (false, seen),
        };
        // Names of members and tables are somebody else's: they cannot move the cursor.
        Self {
            name: name.into(),
            passed,
            seen: plain(&seen, usize::MAX),
        }
    }
}

/// Everything that a drill found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(super) passed: bool,
    pub(super) archive: String,
    /// From the start to a sidecar that answered; `None` where none did.
    pub(super) recovery_seconds: Option<f64>,
    /// How old the data are; `None` where the archive does not say.
    pub(super) data_age_seconds: Option<u64>,
    pub(super) checks: Vec<Check>,
    pub(super) version: &'static str,
    /// RFC 3339.
    pub(super) checked_at: String,
}

impl Report {
    /// Whether everything is as it should be.
    pub(crate) fn passed(&self) -> bool {
        self.passed
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        // Plain data always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For a person.
    pub(crate) fn text(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        let mut out = format!(
            "camarad-sidecar {} restore-drill, {}\n{}\n\n",
            self.version, self.checked_at, self.archive
        );
        // Writing to a String cannot fail.
        for check in &self.checks {
            let word = if check.passed { "PASS" } else { "FAIL" };
            let _ = writeln!(out, "  {word}  {:width$}  {}", check.name, check.seen);
        }
        out.push('\n');
        if let Some(seconds) = self.recovery_seconds {
            let _ = writeln!(out, "recovery time  {seconds:.1} s");
        }
        if let Some(age) = self.data_age_seconds {
            let age = humantime::format_duration(std::time::Duration::from_secs(age));
            let _ = writeln!(out, "age of the data  {age}");
        }
        out.push_str(match self.passed {
            true => "the drill passed",
            false => "the drill failed",
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_the_same_as_text_and_as_json() {
        let mut report = Report {
            passed: false,
            archive: "a.tar.gz".to_owned(),
            recovery_seconds: Some(1.25),
            data_age_seconds: Some(90),
            checks: vec![
                Check::new("archive", Ok("4 members".to_owned())),
                Check::new("state/runs.db rows", Err("runs\u{1b}[2J: 1".to_owned())),
            ],
            version: "0.1.0",
            checked_at: "2026-11-26T03:33:47Z".to_owned(),
        };
        let text = report.text();
        for words in [
            "  PASS  archive             4 members\n",
            "  FAIL  state/runs.db rows  runs [2J: 1\n",
            "recovery time  1.2 s\nage of the data  1m 30s\nthe drill failed",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["checks"][1]["outcome"], "fail");
        assert_eq!(json["checks"][0]["outcome"], "pass");
        assert_eq!(json["recovery_seconds"], 1.25);
        report.passed = true;
        report.recovery_seconds = None;
        assert!(report.text().ends_with("the drill passed"));
        assert!(report.json().contains("\"recovery_seconds\": null"));
    }
}
