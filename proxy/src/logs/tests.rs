//! Families of files, spans, and what is broken in them.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

fn log(path: &Path) -> Log {
    Log {
        name: "access log",
        target: Some(path.to_owned()),
    }
}

fn line(second: u32, what: &str) -> String {
    format!("{{\"time\":\"2026-11-26T12:00:{second:02}Z\",\"what\":\"{what}\"}}\n")
}

fn packed(path: &Path, text: &str) {
    let mut file = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

/// What is told of each line, and what was scanned.
fn told(log: &Log, span: Option<Window>) -> (Vec<String>, Scanned) {
    let mut lines = Vec::new();
    let scanned = scan(log, span, |line, _| {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        lines.push(line["what"].as_str().unwrap().to_owned());
        Line::Good
    });
    (lines, scanned)
}

#[test]
fn rotated_files_are_found_by_their_names_and_each_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("access.log"), line(50, "now")).unwrap();
    std::fs::write(at("access.log.1"), line(40, "one")).unwrap();
    packed(&at("access.log.2.gz"), &line(30, "two"));
    packed(&at("access.log.10.gz"), &line(10, "ten"));
    // Being packed: the plain one is whole.
    std::fs::write(at("access.log.3"), line(20, "three")).unwrap();
    std::fs::write(at("access.log.3.gz"), b"\x1f\x8b").unwrap();
    packed(&at("access.log-20261125.gz"), &line(1, "dated"));
    for other in [
        "access.log.bak",
        "access.log.1.old",
        "access.logs",
        "other.log",
        "access.log-x",
    ] {
        std::fs::write(at(other), line(0, "other")).unwrap();
    }
    std::fs::hard_link(at("access.log.1"), at("access.log.4")).unwrap();
    let (lines, scanned) = told(&log(&at("access.log")), None);
    assert_eq!(lines, ["now", "one", "two", "three", "ten", "dated"]);
    assert_eq!((scanned.lines, scanned.broken), (6, 0));
    assert!(scanned.problems.is_empty(), "{:?}", scanned.problems);
    let (first, last) = scanned.times.unwrap();
    assert_eq!(last - first, 49_000);
}

#[test]
fn lines_outside_of_the_span_are_passed_over_and_old_files_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let text: String = (0..60).map(|n| line(n, &n.to_string())).collect();
    // A clock that was ahead for a moment ends nothing.
    let late = line(0, "late").replace("T12:00", "T12:05");
    std::fs::write(&path, format!("{late}{text}{late}")).unwrap();
    let old = dir.path().join("access.log.1");
    std::fs::write(&old, line(10, "old")).unwrap();
    let begin = time_of(line(10, "").trim().as_bytes()).unwrap();
    let moment = |ms: u64| UNIX_EPOCH + std::time::Duration::from_millis(ms);
    for (path, written) in [(&old, begin as u64 - 61_000), (&path, begin as u64)] {
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(moment(written)).unwrap();
    }
    let span = Window {
        from_ms: begin,
        to_ms: begin + 2000,
    };
    let (lines, scanned) = told(&log(&path), Some(span));
    assert_eq!(lines, ["10", "11", "12"]);
    assert_eq!(
        (scanned.files.len(), scanned.older, scanned.broken),
        (1, 1, 0)
    );
}

#[test]
fn what_is_broken_is_counted_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let long = format!(
        "{{\"time\":\"2026-11-26T12:00:00Z\",\"what\":\"{}\"}}",
        "x".repeat(3 << 20)
    );
    let torn = "{\"time\":\"2026-11-26T12:0";
    let bytes = [
        line(1, "a").as_bytes(),
        b"\n\xff\xfe\n{\"what\":\"no time\"}\n",
        long.replace("time", "tame").as_bytes(),
        b"\n",
        line(2, "b").as_bytes(),
        torn.as_bytes(),
    ]
    .concat();
    std::fs::write(&path, bytes).unwrap();
    let mut cut = Vec::new();
    let mut packer = GzEncoder::new(&mut cut, Compression::none());
    packer
        .write_all(line(3, "c").repeat(5000).as_bytes())
        .unwrap();
    packer.finish().unwrap();
    cut.truncate(cut.len() / 2);
    std::fs::write(dir.path().join("access.log.2.gz"), cut).unwrap();
    let (lines, scanned) = told(&log(&path), None);
    assert_eq!(lines[..2], ["a", "b"]);
    assert!(lines.len() > 1000 && lines.len() < 5002, "{}", lines.len());
    assert_eq!(scanned.broken, 3);
    assert!(scanned.problems[0].starts_with("access.log.2.gz could be read in part only"));
}

#[test]
fn a_last_line_that_is_on_its_way_is_not_broken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let half = line(2, "b");
    for (end, counted) in [("", (1, 0)), ("\n", (2, 1))] {
        let half = &half[..half.len() - 5];
        std::fs::write(&path, format!("{}{half}{end}", line(1, "a"))).unwrap();
        let scanned = scan(&log(&path), None, |line, _| match line.ends_with(b"}") {
            true => Line::Good,
            false => Line::Broken,
        });
        assert_eq!((scanned.lines, scanned.broken), counted, "{end:?}");
    }
}

#[test]
fn logs_that_are_no_files_are_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    for (target, words) in [
        (Some("stdout".into()), "it goes to stdout"),
        (Some("off".into()), "it is off"),
        (None, "it is not known where it is"),
        (Some(dir.path().join("none.log")), "none.log is not there"),
        (
            Some(dir.path().join("no/none.log")),
            "its folder cannot be read",
        ),
    ] {
        let log = Log {
            name: "audit log",
            target,
        };
        let (lines, scanned) = told(&log, None);
        assert!(lines.is_empty() && scanned.files.is_empty());
        assert!(
            scanned.problems[0].starts_with(words),
            "{:?}",
            scanned.problems
        );
    }
}

#[test]
fn whoever_has_enough_gets_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l");
    std::fs::write(&path, line(1, "a").repeat(9)).unwrap();
    let mut count = 0;
    let scanned = scan(&log(&path), None, |_, _| {
        count += 1;
        if count == 3 { Line::Last } else { Line::Broken }
    });
    assert_eq!((count, scanned.broken, scanned.lines), (3, 2, 3));
}
