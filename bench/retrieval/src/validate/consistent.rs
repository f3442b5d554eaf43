//! What JSON Schema cannot say of a record that is otherwise valid, and of the records
//! of one file together. Pure.

use std::collections::HashMap;

use serde_json::Value;

/// Documents seen in a file so far.
#[derive(Default)]
pub(crate) struct File {
    documents: HashMap<String, (Value, Value)>,
}

impl File {
    /// Pointers and what is wrong there. A chunk is compared with its document where
    /// that came before it in the file.
    pub(crate) fn check(&mut self, record: &Value) -> Vec<(String, String)> {
        match record["record"].as_str() {
            Some("document") => self.document(record),
            Some("chunk") => self.chunk(record),
            Some("batch") => batch(record),
            _ => Vec::new(),
        }
    }

    fn document(&mut self, record: &Value) -> Vec<(String, String)> {
        let id = record["document_id"].as_str().unwrap_or_default();
        let known = (record["tenant"].clone(), record["version"].clone());
        match self.documents.insert(id.to_owned(), known) {
            Some((tenant, _)) if tenant != record["tenant"] => found(
                "/tenant",
                "this document was another tenant's before in this file",
            ),
            _ => Vec::new(),
        }
    }

    fn chunk(&self, record: &Value) -> Vec<(String, String)> {
        let number = |pointer| record.pointer(pointer).and_then(Value::as_u64);
        if number("/offsets/end") <= number("/offsets/start") {
            return found("/offsets/end", "the end is not after the start");
        }
        let id = record["document_id"].as_str().unwrap_or_default();
        match self.documents.get(id) {
            Some((tenant, _)) if *tenant != record["tenant"] => {
                found("/tenant", "the document is another tenant's")
            }
            Some((_, version)) if *version != record["document_version"] => {
                found("/document_version", "the document has another version")
            }
            _ => Vec::new(),
        }
    }
}

fn batch(record: &Value) -> Vec<(String, String)> {
    let count = |name: &str| record["counts"][name].as_u64().unwrap_or_default();
    // The schema sets no upper bound.
    let parts = ["written", "unchanged", "deleted", "failed"].map(count);
    let sum = parts
        .iter()
        .try_fold(0u64, |sum, part| sum.checked_add(*part));
    if sum != Some(count("seen")) {
        return found(
            "/counts/seen",
            "is not written + unchanged + deleted + failed",
        );
    }
    let errors = record["errors"].as_array().map_or(0, Vec::len);
    if errors as u64 != count("failed") {
        return found("/errors", "there is not one for each failed document");
    }
    Vec::new()
}

fn found(pointer: &str, what: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), what.to_owned())]
}
