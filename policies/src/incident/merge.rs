//! Putting what was told into files that people write in.
//!
//! Bytes are only added, never changed, moved or taken away, whatever encoding or line
//! ends they have. The caller writes the result in one piece.

use super::title::Title;

const FOLLOW_UPS: &str = "## Follow-ups of incidents";

/// Whether the file has a section of an incident of this title.
pub fn has_section(file: &[u8], title: &Title) -> bool {
    let begin = format!("## Incident: {} (", title.as_markdown());
    lines(file).any(|line| {
        let rest = trimmed(line).strip_prefix(begin.as_bytes());
        // More brackets are of a longer title.
        rest.is_some_and(|rest| rest.ends_with(b" UTC)") && !rest.contains(&b'('))
    })
}

/// The file of the day with the section at its end; begun with a heading where there is none.
pub fn add_section(file: Option<&[u8]>, day: &str, section: &str) -> Vec<u8> {
    let mut out = match file {
        Some(file) if !file.is_empty() => file.to_vec(),
        _ => format!("# Status, {day}\n").into_bytes(),
    };
    end_paragraph(&mut out);
    out.extend_from_slice(section.as_bytes());
    out
}

/// The file with this line under `## Follow-ups of incidents`, which is put at its end where
/// it is missing; `None` where the line is there already, ticked or not.
pub fn add_follow_up(file: Option<&[u8]>, line: &str) -> Option<Vec<u8>> {
    let file = file.filter(|file| !file.is_empty());
    let file = file.unwrap_or(b"# Next steps\n");
    let words = |line: &[u8]| -> Option<Vec<u8>> {
        let line = trimmed(line);
        let boxes = [&b"- [ ] "[..], b"- [x] ", b"- [X] "];
        let rest = boxes.iter().find_map(|tick| line.strip_prefix(*tick))?;
        Some(rest.to_vec())
    };
    let own = words(line.as_bytes());
    if own.is_some() && lines(file).any(|line| words(line) == own) {
        return None;
    }
    let mut out = Vec::with_capacity(file.len() + line.len() + FOLLOW_UPS.len() + 4);
    match place(file) {
        Some((at, is_heading)) => {
            out.extend_from_slice(&file[..at]);
            if !out.ends_with(b"\n") {
                out.push(b'\n');
            }
            if is_heading {
                out.push(b'\n');
            }
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
            out.extend_from_slice(&file[at..]);
        }
        None => {
            out.extend_from_slice(file);
            end_paragraph(&mut out);
            out.extend_from_slice(format!("{FOLLOW_UPS}\n\n{line}\n").as_bytes());
        }
    }
    Some(out)
}

/// Where the last line under the heading ends, and whether that is the heading itself.
fn place(file: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut found = None;
    for line in lines(file) {
        at += line.len();
        let text = trimmed(line);
        match found {
            None if text == FOLLOW_UPS.as_bytes() => found = Some((at, true)),
            None => {}
            Some(_) if text.starts_with(b"# ") || text.starts_with(b"## ") => break,
            Some(_) if text.is_empty() => {}
            Some(_) => found = Some((at, false)),
        }
    }
    found
}

/// Ends the last line, and leaves an empty one.
fn end_paragraph(out: &mut Vec<u8>) {
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    if !out.ends_with(b"\n\n") && !out.ends_with(b"\n\r\n") {
        out.push(b'\n');
    }
}

/// Lines with their line breaks.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|byte| *byte == b'\n')
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "- [ ] 2026-11-26 Runs fail: find the cause and what would have shown it earlier (STATUS_2026-11-26.md)";

    #[test]
    fn follow_ups_have_their_place() {
        let rows = [
            (None, format!("# Next steps\n\n{FOLLOW_UPS}\n\n{LINE}\n")),
            (
                Some("# Next steps\n\n1. Sleep."),
                format!("# Next steps\n\n1. Sleep.\n\n{FOLLOW_UPS}\n\n{LINE}\n"),
            ),
            (
                Some("a\n\n## Follow-ups of incidents\n\n- [x] old\n\n## More\nb\n"),
                format!("a\n\n{FOLLOW_UPS}\n\n- [x] old\n{LINE}\n\n## More\nb\n"),
            ),
            (
                Some("## Follow-ups of incidents"),
                format!("{FOLLOW_UPS}\n\n{LINE}\n"),
            ),
            (
                Some("## Follow-ups of incidents\r\n\r\n- old\r\n  more of it\r\n"),
                format!("{FOLLOW_UPS}\r\n\r\n- old\r\n  more of it\r\n{LINE}\n"),
            ),
        ];
        for (file, expected) in rows {
            let added = add_follow_up(file.map(str::as_bytes), LINE);
            assert_eq!(String::from_utf8(added.unwrap()).unwrap(), expected);
        }
        for there in [format!("x\n{LINE}\r\ny"), LINE.replace("[ ]", "[x]")] {
            assert_eq!(add_follow_up(Some(there.as_bytes()), LINE), None, "{there}");
        }
    }

    #[test]
    fn sections_are_known_by_their_whole_title() {
        let has =
            |file: &str, title: &str| has_section(file.as_bytes(), &Title::parse(title).unwrap());
        let file = "# Status\n\n## Incident: Runs (all) \\*fail\\* (12:00–12:30 UTC)\r\ntext\n## Incident: Ads (again, 2026-11-25 12:00–12:30 UTC)";
        assert!(has(file, "Runs (all) *fail*") && has(file, "Ads"));
        for other in [
            "Runs",
            "Runs (all)",
            "runs (all) *fail*",
            "Runs (all) *fail* x",
        ] {
            assert!(!has(file, other), "{other}");
        }
        assert!(!has("", "Ads") && !has("About ## Incident: Ads (1 UTC)", "Ads"));
    }

    #[test]
    fn a_days_file_begins_with_its_heading() {
        let text = |file: Option<&[u8]>| {
            String::from_utf8(add_section(file, "2026-11-26", "## S\n")).unwrap()
        };
        assert_eq!(text(None), "# Status, 2026-11-26\n\n## S\n");
        assert_eq!(text(Some(b"")), "# Status, 2026-11-26\n\n## S\n");
        assert_eq!(text(Some(b"mine")), "mine\n\n## S\n");
        assert_eq!(text(Some(b"mine\r\n\r\n")), "mine\r\n\r\n## S\n");
    }

    /// Files that look like Markdown, with bytes that are no text.
    fn files() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"## Follow-ups of incidents".to_vec()),
            Just(b"## Incident: Runs fail (12:00\xe2\x80\x9312:30 UTC)".to_vec()),
            Just(b"- [ ] ".to_vec()),
            Just(b"# ".to_vec()),
            Just(b"```".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(LINE.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    /// `after` is `before` with something put in at one place.
    fn only_added(before: &[u8], after: &[u8]) -> bool {
        let same = |a: &mut dyn Iterator<Item = (&u8, &u8)>| a.take_while(|(a, b)| a == b).count();
        let begin = same(&mut before.iter().zip(after));
        let end = same(&mut before.iter().rev().zip(after.iter().rev()));
        after.len() >= before.len() && begin + end >= before.len()
    }

    proptest! {
        #[test]
        fn merging_twice_keeps_every_byte_of_others(file in files(), section in "## Incident: Runs fail \\(1[0-9]:00–12:30 UTC\\)\n[a-z\n]{0,40}\n") {
            let title = Title::parse("Runs fail").unwrap();
            let once = add_section(Some(&file), "2026-11-26", &section);
            prop_assert!(file.is_empty() || once.starts_with(&file));
            prop_assert!(once.ends_with(section.as_bytes()));
            prop_assert!(has_section(&once, &title));
            let twice = add_section(Some(&once), "2026-11-26", &section);
            prop_assert!(twice.starts_with(&once));

            match add_follow_up(Some(&file), LINE) {
                None => prop_assert!(file.windows(LINE.len() - 6).any(|part| part == &LINE.as_bytes()[6..])),
                Some(added) => {
                    prop_assert!(only_added(&file, &added));
                    prop_assert_eq!(add_follow_up(Some(&added), LINE), None);
                    let other = LINE.replace("Runs", "Reads");
                    let more = add_follow_up(Some(&added), &other).unwrap();
                    prop_assert!(only_added(&added, &more));
                }
            }
        }
    }
}
