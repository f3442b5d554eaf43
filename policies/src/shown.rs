//! Texts of others as people are shown them: names of files, and what logs, files, answers and
//! errors say.
//!
//! A terminal obeys control characters, Markdown its marks, and both may turn a line around:
//! whatever is printed or written for people and is not ours goes through here. A piece of a
//! line goes through [`plain`], in Markdown through [`words`] or [`code`]; what is about to be
//! printed goes through [`escaped`] as well, which is the last look and lets line breaks
//! pass, so it does not stand in for the others. Not for HTML, and not for what programs read
//! but JSON.

use std::fmt::Write as _;

/// What Markdown gives a meaning within a line.
const MARKS: &str = "\\`*_[]<>|~&#!$";
/// Longest name that is told as code, in characters.
const NAME: usize = 200;

/// Control characters, and those that break or turn lines or cannot be seen.
pub fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text in one line that cannot move a terminal's cursor nor turn a line around, in
/// `longest` characters at most.
pub fn plain(text: &str, longest: usize) -> String {
    let safe = |c: char| if is_odd(c) { ' ' } else { c };
    text.chars().map(safe).take(longest).collect()
}

/// Words in which Markdown finds nothing, in one line.
pub fn words(text: &str, longest: usize) -> String {
    let text = plain(text, longest);
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // Within a word it means nothing, and names are full of it.
        let is_within = |next: &char| before.is_alphanumeric() && next.is_alphanumeric();
        if MARKS.contains(c) && !(c == '_' && chars.peek().is_some_and(is_within)) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A name as code of Markdown, whatever is in it. A bar is another character that looks like
/// one: in a table it would end the cell, within code too.
pub fn code(name: &str) -> String {
    let name = plain(name, NAME).replace('`', "'").replace('|', "\u{00a6}");
    match name.trim() {
        "" => "`-`".to_owned(),
        _ => format!("`{name}`"),
    }
}

/// A text of many lines as it may be printed: of what is odd, only line breaks and tabs stay,
/// and the rest is written as JSON would escape it, so that JSON stays what it is.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_line = c == '\n' || (c == '\r' && chars.peek() == Some(&'\n'));
        if ends_line || c == '\t' || !is_odd(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// An escape sequence, a line break, a line turned around, C1, and marks of Markdown.
    const HOSTILE: &str = "a\u{1b}[2J\n## b\u{202e}c\u{9b}|`<b>";

    #[test]
    fn pieces_are_one_line_without_marks_where_they_mean_something() {
        for (text, line, markdown, name) in [
            ("flows.lists", "flows.lists", "flows.lists", "`flows.lists`"),
            (
                HOSTILE,
                "a [2J ## b c |`<b>",
                "a \\[2J \\#\\# b c \\|\\`\\<b\\>",
                "`a [2J ## b c ¦'<b>`",
            ),
            ("\r\u{2028}", "  ", "  ", "`-`"),
            ("a_b _c_", "a_b _c_", "a_b \\_c\\_", "`a_b _c_`"),
            ("", "", "", "`-`"),
        ] {
            assert_eq!(plain(text, 80), line, "{text:?}");
            assert_eq!(words(text, 80), markdown, "{text:?}");
            assert_eq!(code(text), name, "{text:?}");
        }
        assert_eq!(plain("ééé", 2), "éé");
        assert_eq!(words("***", 2), "\\*\\*");
    }

    #[test]
    fn what_is_printed_keeps_its_lines_and_nothing_else_that_is_odd() {
        for (text, printed) in [
            (HOSTILE, "a\\u001b[2J\n## b\\u202ec\\u009b|`<b>"),
            ("one\r\ntwo\tthree\n", "one\r\ntwo\tthree\n"),
            ("done\rforged", "done\\u000dforged"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("ăé – “x” 漢", "ăé – “x” 漢"),
        ] {
            assert_eq!(escaped(text), printed, "{text:?}");
        }
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = json!({"name\u{9b}": format!("{HOSTILE}\u{e0041}\u{200d}\r")});
        for text in [value.to_string(), format!("{value:#}")] {
            let printed = escaped(&text);
            assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
            assert!(!printed.replace('\n', "").contains(is_odd), "{printed}");
        }
    }
}
