//! An answer without what is not the caller's: rows cut out, or cut down.
//!
//! Everything that stays is the app's own bytes, since its numbers, escapes and key
//! order are not ours to change. Takes text that [`mod@super::scan`] found to be JSON
//! and rows that it told of; with others the outcome is `None`, never a broken text.

use super::scan::unescaped;
use super::text::{NotJson, Text};
use std::ops::Range;

/// What becomes of a row or value; the worse of two holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// It is null instead.
    Null,
    /// Only some of its members stay.
    Down,
    /// It goes, with one comma.
    Out,
}

/// What is left of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) body: Vec<u8>,
    pub(super) dropped: usize,
    pub(super) redacted: usize,
}

/// Cuts rows, each told by where it begins, in any order and as often as one likes.
/// A row that is no object cannot be cut down, and is cut out.
pub(super) fn splice(body: &[u8], mut cuts: Vec<(usize, Cut)>, keep: &[String]) -> Option<Left> {
    cuts.sort_unstable_by_key(|&(start, cut)| (start, std::cmp::Reverse(cut)));
    cuts.dedup_by_key(|&mut (start, _)| start);
    let left = Left {
        body: Vec::with_capacity(body.len()),
        dropped: 0,
        redacted: 0,
    };
    let mut splice = Splice {
        body,
        cuts: &cuts,
        keep,
        left,
    };
    splice.copy(0..body.len()).ok()?;
    Some(splice.left)
}

struct Splice<'a> {
    body: &'a [u8],
    /// Those still to come.
    cuts: &'a [(usize, Cut)],
    keep: &'a [String],
    left: Left,
}

impl<'a> Splice<'a> {
    /// Copies a part of the body, with the cuts in it.
    fn copy(&mut self, part: Range<usize>) -> Result<(), NotJson> {
        let mut at = part.start;
        while let Some(&(start, cut)) = self.cuts.first().filter(|(row, _)| *row < part.end) {
            let row = start..self.end(start)?;
            let before = self.body.get(at..start).ok_or(NotJson)?;
            if cut == Cut::Null {
                self.left.redacted += 1;
                self.left.body.extend(before);
                self.left.body.extend(b"null");
                at = row.end;
            } else if cut == Cut::Down && self.body[start] == b'{' {
                self.left.body.extend(before);
                self.redact(row.clone())?;
                at = row.end;
            } else {
                at = self.drop(before, row.clone());
            }
            self.pass(row.end);
        }
        self.left.body.extend(&self.body[at..part.end]);
        Ok(())
    }

    /// Leaves a row out, and the comma before it; or the one behind it when nothing
    /// stays before it. Returns where to go on.
    fn drop(&mut self, before: &[u8], row: Range<usize>) -> usize {
        self.left.dropped += 1;
        if let Some(before) = before.trim_ascii_end().strip_suffix(b",") {
            self.left.body.extend(before.trim_ascii_end());
            return row.end;
        }
        self.left.body.extend(before);
        let mut text = self.text(row.end);
        if text.peek_past_space() != Some(b',') {
            return row.end;
        }
        text.at += 1;
        text.peek_past_space();
        text.at
    }

    /// Copies of a row the members to keep, one comma between them and no space.
    fn redact(&mut self, row: Range<usize>) -> Result<(), NotJson> {
        self.left.redacted += 1;
        self.pass(row.start + 1);
        let mut text = self.text(row.start + 1);
        let mut separator = b'{';
        while let Some(b'"') = text.peek_past_space() {
            let start = text.at;
            text.string()?;
            let name = unescaped(&self.body[start..text.at]);
            text.peek_past_space();
            text.at += 1;
            text.value()?;
            if name.is_some_and(|name| self.keep.iter().any(|kept| *kept == name)) {
                self.left.body.push(separator);
                separator = b',';
                self.copy(start..text.at)?;
            }
            self.pass(text.at);
            if text.peek_past_space() == Some(b',') {
                text.at += 1;
            }
        }
        if separator == b'{' {
            self.left.body.push(b'{');
        }
        self.left.body.push(b'}');
        Ok(())
    }

    /// Passes the cuts that begin before a place: what they are in has gone.
    fn pass(&mut self, at: usize) {
        let passed = self.cuts.iter().take_while(|(row, _)| *row < at).count();
        self.cuts = &self.cuts[passed..];
    }

    fn end(&self, start: usize) -> Result<usize, NotJson> {
        let mut text = self.text(start);
        text.value()?;
        Ok(text.at)
    }

    fn text(&self, at: usize) -> Text<'a> {
        Text {
            bytes: self.body,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts the rows that begin with `x` (out) or hold `"y"` (down).
    fn cut(body: &str) -> String {
        let out = body.match_indices('7').map(|(at, _)| (at, Cut::Out));
        let down = body.match_indices("{\"y\"").map(|(at, _)| (at, Cut::Down));
        let cuts = down.chain(out).collect();
        let keep = ["a".to_owned(), "b".to_owned()];
        let left = splice(body.as_bytes(), cuts, &keep).unwrap();
        String::from_utf8(left.body).unwrap()
    }

    #[test]
    fn a_row_goes_with_exactly_one_comma() {
        let cases = [
            ("[7]", "[]"),
            ("[ 7 ]", "[  ]"),
            ("[7,1]", "[1]"),
            ("[1,7]", "[1]"),
            ("[1,7,2]", "[1,2]"),
            ("[7,7,2]", "[2]"),
            ("[1,7,7]", "[1]"),
            ("[7,1,7]", "[1]"),
            ("[7,7,7]", "[]"),
            ("[7,1,7,2,7]", "[1,2]"),
            ("[\n  1 ,\n  7 ,\n  2\n]\n", "[\n  1 ,\n  2\n]\n"),
            ("[\n  7 ,\n  2\n]\n", "[\n  2\n]\n"),
            ("[\n  1,\n  7\n]\n", "[\n  1\n]\n"),
            ("[[7],7,[1,7]]", "[[],[1]]"),
            ("[[7,[7]],[7]]", "[[[]],[]]"),
            ("{\"a\":[7],\"b\":[7,\",\"]}", "{\"a\":[],\"b\":[\",\"]}"),
        ];
        for (body, expected) in cases {
            assert_eq!(cut(body), expected, "{body}");
        }
    }

    #[test]
    fn a_row_keeps_only_some_members() {
        let cases = [
            (r#"[{"y":1}]"#, r#"[{}]"#),
            (r#"[{"y":1,"a":1.0},2]"#, r#"[{"a":1.0},2]"#),
            (
                r#"[ { "c" : 0 } , {"y" : 1 , "b" : "\u0041" , "x" : {"a":1} , "a" : [ 1 ] } ]"#,
                r#"[ { "c" : 0 } , {"b" : "\u0041","a" : [ 1 ]} ]"#,
            ),
            (
                r#"[{"y":{"a":1},"\u0061":1,"a":2}]"#,
                r#"[{"\u0061":1,"a":2}]"#,
            ),
            // Rows of rows: in what is kept they are cut too, in what is not they are gone.
            (r#"[{"y":[7,1],"a":[7,{"y":1}]},7]"#, r#"[{"a":[{}]}]"#),
        ];
        for (body, expected) in cases {
            assert_eq!(cut(body), expected, "{body}");
        }
    }

    #[test]
    fn a_value_is_null_instead() {
        let body = br#"{"a": "x,]", "b": [{"c": 12}]}"#;
        let left = splice(body, vec![(6, Cut::Null), (25, Cut::Null)], &[]).unwrap();
        let text = String::from_utf8(left.body).unwrap();
        assert_eq!(text, r#"{"a": null, "b": [{"c": null}]}"#);
    }

    #[test]
    fn a_row_that_is_no_object_cannot_be_cut_down() {
        let cuts = vec![(1, Cut::Down), (4, Cut::Down), (4, Cut::Out)];
        let left = splice(b"[1, {}]", cuts, &[]).unwrap();
        assert_eq!(
            (left.body, left.dropped, left.redacted),
            (b"[]".to_vec(), 2, 0)
        );
    }
}
