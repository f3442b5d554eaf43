//! When a restore was last seen to work: `restore-drill.json` in the state directory.
//!
//! `{"succeeded_at": <Unix seconds>}`, written by whoever drilled; anything else is no drill.

use serde::Deserialize;
use std::path::Path;

/// Its name in the state directory.
const FILE: &str = "restore-drill.json";

#[derive(Deserialize)]
struct Drill {
    succeeded_at: u64,
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
