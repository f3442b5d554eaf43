//! When a restore was last seen to work: `restore-drill.json` in the state directory.
//!
//! `{"succeeded_at": <Unix seconds>}` and more, written by [`crate::backup::drill`] or by
//! whoever drilled in another way; anything else is no drill.

use crate::whole_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Its name in the state directory.
const FILE: &str = "restore-drill.json";

#[derive(Deserialize)]
struct Drill {
    succeeded_at: u64,
}

/// A drill that succeeded, as it is written down.
#[derive(Debug, Serialize)]
pub(crate) struct Success<'a> {
    /// In Unix seconds.
    pub(crate) succeeded_at: u64,
    /// What was restored.
    pub(crate) archive: &'a str,
    /// From the start to a sidecar that answered.
    pub(crate) recovery_seconds: f64,
    /// How old the data in the archive were.
    pub(crate) data_age_seconds: u64,
}

/// Writes it down in the state directory, in the place of the last one.
pub(crate) fn record(state_dir: &Path, success: &Success<'_>) -> io::Result<()> {
    whole_file::write(&state_dir.join(FILE), &serde_json::to_vec_pretty(success)?)
}

/// The time of the last drill that succeeded, in Unix seconds; 0 where none is known.
pub(crate) fn last_success(state_dir: &Path) -> u64 {
    let text = std::fs::read(state_dir.join(FILE));
    let drill = text
        .ok()
        .and_then(|text| serde_json::from_slice::<Drill>(&text).ok());
    drill.map_or(0, |drill| drill.succeeded_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let success = Success {
            succeeded_at: 1_790_000_000,
            archive: "a.tar.gz",
            recovery_seconds: 1.5,
            data_age_seconds: 60,
        };
        record(dir.path(), &success).unwrap();
        assert_eq!(last_success(dir.path()), 1_790_000_000);
        assert!(record(&dir.path().join("none"), &success).is_err());
    }

    #[test]
    fn only_a_drill_that_says_when_it_succeeded_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_success(dir.path()), 0);
        for (text, expected) in [
            (
                r#"{"succeeded_at": 1790000000, "archive": "a"}"#,
                1_790_000_000,
            ),
            (r#"{"succeeded_at": -1}"#, 0),
            (r#"{"failed_at": 1790000000}"#, 0),
            ("1790000000", 0),
            ("", 0),
        ] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(last_success(dir.path()), expected, "{text}");
        }
    }
}
