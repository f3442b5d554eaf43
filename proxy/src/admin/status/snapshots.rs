//! What `snapshots/index.jsonl` of the state directory says: one line for each time that the
//! settings were kept, `{"id", "time", "reason"}`, the newest last.
//!
//! Only read here. A line that is not of this shape is passed over: the page is for looking,
//! not for judging.

use super::facts::Snapshot;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Its place in the state directory.
const FILE: &str = "snapshots/index.jsonl";
/// Snapshots that are shown.
const MOST: usize = 10;
/// Bytes of the file's end that are looked at.
const TAIL: u64 = 64 * 1024;

/// The last snapshots, the newest first; none where there is no such file.
pub(super) fn newest(state_dir: &Path) -> Vec<Snapshot> {
    let text = tail(&state_dir.join(FILE)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().rev();
    let snapshots = lines.filter_map(|line| serde_json::from_str(line).ok());
    snapshots.take(MOST).collect()
}

fn tail(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_lines_are_told_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()), []);
        std::fs::create_dir(dir.path().join("snapshots")).unwrap();
        let line = |n: usize| {
            format!(
                r#"{{"id": "s{n}", "time": "2026-11-26T0{n}:00:00Z", "reason": "start", "size": 3}}"#
            )
        };
        let mut lines: Vec<String> = (0..5).map(line).collect();
        lines.insert(2, "not JSON".to_owned());
        lines.insert(3, r#"{"id": 7}"#.to_owned());
        lines.push(r#"{"id": "s5", "time": "t"#.to_owned());
        std::fs::write(dir.path().join(FILE), lines.join("\n")).unwrap();
        let found = newest(dir.path());
        let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["s4", "s3", "s2", "s1", "s0"]);
        assert_eq!(found[0].reason, "start");
        let many: Vec<String> = (0..9).map(line).collect();
        let text = many.join("\n").repeat(1000);
        std::fs::write(dir.path().join(FILE), text).unwrap();
        assert_eq!(newest(dir.path()).len(), MOST, "of the end of a large file");
    }
}
