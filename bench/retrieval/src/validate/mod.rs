//! `retrieval validate`: records against the ingest schema, with pointer and line.
//!
//! The schema is built in. What it cannot say is in [`consistent`]; a key twice in an
//! object is refused too, since readers do not agree on which of the two counts.

mod consistent;
mod lines;

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use crate::error::Error;

const SCHEMA: &str = include_str!("../../../../config/rag/ingest.v2.schema.json");

/// Something wrong with a record.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    /// From 1, in the file.
    pub(crate) line: usize,
    /// JSON pointer inside of the record; of what is there, where something is missing.
    pub(crate) pointer: String,
    /// The schema's keyword; `json`, `duplicate` or `consistent` where it is none.
    pub(crate) keyword: String,
    /// What is wrong.
    pub(crate) what: String,
}

/// Prints every fault; `Ok(false)` where there is one.
#[allow(clippy::print_stdout)] // The result is for whoever asked.
pub(crate) fn run(files: &[PathBuf]) -> Result<bool, Error> {
    let validator = validator()?;
    let mut valid = true;
    for path in files {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let (records, faults) = validate(&validator, &text, is_lines(path));
        for fault in &faults {
            let Fault {
                line,
                pointer,
                keyword,
                what,
            } = fault;
            println!("{}:{line}: {pointer:?} {keyword}: {what}", path.display());
        }
        if faults.is_empty() {
            println!("{}: valid, records: {records}", path.display());
        }
        valid &= faults.is_empty();
    }
    Ok(valid)
}

/// The schema, compiled; formats are asserted.
fn validator() -> Result<Validator, Error> {
    let wrong = |error: String| Error::Usage(format!("the schema itself: {error}"));
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|error| wrong(error.to_string()))?;
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| wrong(error.to_string()))
}

fn is_lines(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("jsonl" | "ndjson"))
}

/// How many records there are, and all their faults.
fn validate(validator: &Validator, text: &str, lines: bool) -> (usize, Vec<Fault>) {
    let texts: Vec<(usize, &str)> = match lines {
        false => vec![(0, text)],
        true => text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .collect(),
    };
    let mut faults = Vec::new();
    if texts.is_empty() {
        faults.push(Fault::new(1, "", "json", "no record"));
    }
    let mut file = consistent::File::default();
    for (before, text) in &texts {
        let found = record(validator, &mut file, text);
        faults.extend(found.into_iter().map(|fault| Fault {
            line: fault.line + before,
            ..fault
        }));
    }
    (texts.len(), faults)
}

fn record(validator: &Validator, file: &mut consistent::File, text: &str) -> Vec<Fault> {
    let record: Value = match serde_json::from_str(text) {
        Ok(record) => record,
        Err(error) => return vec![Fault::new(error.line(), "", "json", error)],
    };
    let places = lines::places(text);
    let mut faults: Vec<Fault> = Vec::new();
    for pointer in &places.twice {
        let line = places.line(pointer);
        faults.push(Fault::new(
            line,
            pointer,
            "duplicate",
            "this key is there twice",
        ));
    }
    for error in validator.iter_errors(&record) {
        let pointer = error.instance_path().as_str();
        let (keyword, line) = (error.kind().keyword().to_owned(), places.line(pointer));
        // Without the value: records may hold what is not for a build's log.
        faults.push(Fault::new(line, pointer, &keyword, error.masked()));
    }
    if faults.is_empty() {
        for (pointer, what) in file.check(&record) {
            let line = places.line(&pointer);
            faults.push(Fault::new(line, &pointer, "consistent", what));
        }
    }
    faults
}

impl Fault {
    fn new(line: usize, pointer: &str, keyword: &str, what: impl ToString) -> Self {
        Self {
            line,
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            what: what.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
