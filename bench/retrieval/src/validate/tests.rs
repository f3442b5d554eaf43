use std::collections::BTreeMap;

use super::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config/rag/examples")
        .join(name)
}

fn files(name: &str) -> BTreeMap<String, String> {
    let read = std::fs::read_dir(folder(name)).unwrap();
    let paths = read.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn faults(name: &str, text: &str) -> Vec<Fault> {
    validate(&validator().unwrap(), text, is_lines(Path::new(name))).1
}

#[test]
fn the_schema_is_a_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn examples_that_pass_pass() {
    let files = files("pass");
    assert!(files.len() >= 10);
    for (name, text) in files {
        assert_eq!(faults(&name, &text), [], "{name}");
    }
}

/// `fail/REASONS.tsv` has a row for each file; each fails for that reason only.
#[test]
fn examples_that_fail_fail_for_their_one_reason() {
    let mut files = files("fail");
    let reasons = files.remove("REASONS.tsv").unwrap();
    let rows = reasons.lines().skip(1);
    let due: BTreeMap<&str, (&str, &str)> = rows
        .map(|row| match row.split('\t').collect::<Vec<_>>()[..] {
            [file, pointer, keyword] => (file, (pointer, keyword)),
            _ => panic!("{row}: expected file, pointer, keyword"),
        })
        .collect();
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        due.keys().copied().collect::<Vec<_>>()
    );
    for (name, text) in &files {
        let found = faults(name, text);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.keyword.as_str()))
            .collect();
        assert_eq!(found, [due[name.as_str()]], "{name}");
    }
}

/// Nothing has a default: the tenant least of all.
#[test]
fn no_key_of_a_record_may_be_left_out() {
    for name in ["document.json", "chunk.json", "batch-running.json"] {
        let whole: Value = serde_json::from_str(&files("pass")[name]).unwrap();
        for key in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(key);
            let found = faults(name, &without.to_string());
            assert_eq!(found[0].keyword, "required", "{name} without {key}");
        }
    }
}

#[test]
fn a_fault_is_on_its_line() {
    let files = files("fail");
    let text = &files["document-client-zero.json"];
    let line = text.lines().position(|line| line.contains("\"client\": 0"));
    let found = faults("a.json", text);
    assert_eq!(Some(found[0].line), line.map(|at| at + 1));
    assert_eq!(found[0].pointer, "/tenant/client");
}

#[test]
fn records_of_a_file_are_compared_with_each_other() {
    let pass = files("pass");
    let one = |name: &str| {
        let record: Value = serde_json::from_str(&pass[name]).unwrap();
        record
    };
    let (document, mut chunk) = (one("document.json"), one("chunk.json"));
    chunk["tenant"]["client"] = 11.into();
    let found = faults("a.jsonl", &format!("{document}\n\n{chunk}\n"));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            found[0].line,
            found[0].pointer.as_str(),
            found[0].keyword.as_str()
        ),
        (3, "/tenant", "consistent")
    );
}

#[test]
fn what_is_not_json_or_ambiguous_is_refused_where_it_stands() {
    for (name, text, line, keyword) in [
        ("a.json", "{\n\"a\": }", 2, "json"),
        ("a.jsonl", "", 1, "json"),
        (
            "a.json",
            "{\"record\":\"chunk\",\n\"record\":\"page\"}",
            2,
            "duplicate",
        ),
    ] {
        let found = faults(name, text);
        assert_eq!(
            (found[0].line, found[0].keyword.as_str()),
            (line, keyword),
            "{text}"
        );
    }
}

/// A fault is told in a build's log: what a record says is not.
#[test]
fn no_fault_tells_a_records_values() {
    let text = files("pass")["document.json"].replace("\"ro\"", "\"secret words\"");
    let found = faults("a.json", &text);
    assert_eq!(found[0].pointer, "/language");
    assert!(!found[0].what.contains("secret"), "{}", found[0].what);
}
