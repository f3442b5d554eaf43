//! Reading the fixtures that are compiled in.
//!
//! Fixtures are part of the program; one that does not parse reads as null, and
//! the mock would then answer emptily and say nothing. The test below parses
//! every file there is.

use serde_json::Value;

/// The JSON of a fixture.
pub(crate) fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The rows of a list, none where it is no list.
pub(crate) fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .flat_map(|path| match path.is_dir() {
                true => files(&path),
                false => vec![path],
            })
            .collect()
    }

    #[test]
    fn every_fixture_parses_and_has_rows() {
        let all = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"));
        assert!(all.len() >= 18, "{all:?}");
        for path in all {
            let text = std::fs::read_to_string(&path).unwrap();
            let value: Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            // A list, or an object of lists or objects by name.
            let has_rows = match &value {
                Value::Array(rows) => !rows.is_empty(),
                Value::Object(lists) => lists
                    .values()
                    .any(|list| list.get(0).is_some() || list.is_object()),
                _ => false,
            };
            assert!(has_rows, "{}", path.display());
        }
    }
}
