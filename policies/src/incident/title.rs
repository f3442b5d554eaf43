//! What an incident is called.

use crate::shown::{plain, words};
use std::fmt;

/// Longest title, in characters.
pub const LONGEST: usize = 120;

/// A title that is one line of plain words wherever Markdown is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

/// The text is no title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTitle {
    /// There is nothing in it that can be seen.
    Empty,
    /// It has so many characters.
    TooLong(usize),
}

impl fmt::Display for NoTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "expected a few words, such as \"Runs fail\""),
            Self::TooLong(length) => write!(
                f,
                "it has {length} characters; expected {LONGEST} at most, the rest goes below it"
            ),
        }
    }
}

impl std::error::Error for NoTitle {}

impl Title {
    /// Reads a title: control characters are spaces, spaces in a row are one, and what
    /// Markdown gives a meaning is escaped.
    pub fn parse(text: &str) -> Result<Self, NoTitle> {
        let text = plain(text, usize::MAX);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.chars().count() {
            0 => return Err(NoTitle::Empty),
            length if length > LONGEST => return Err(NoTitle::TooLong(length)),
            _ => {}
        }
        Ok(Self(words(&line, LONGEST)))
    }

    /// As it stands in a line of Markdown.
    pub fn as_markdown(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_harmless_line() {
        let long = "x".repeat(LONGEST);
        let too_long = format!("{long}x");
        let rows: [(&str, Result<&str, NoTitle>); 9] = [
            ("Runs fail", Ok("Runs fail")),
            ("  two\t\twords ", Ok("two words")),
            ("a\n## b\r\n- [x] c", Ok("a \\#\\# b - \\[x\\] c")),
            (
                "<!-- <b>`x`</b> *y* _z_ ![i](u)",
                Ok("\\<\\!-- \\<b\\>\\`x\\`\\</b\\> \\*y\\* \\_z\\_ \\!\\[i\\](u)"),
            ),
            ("a\u{202e}b\u{1b}[31m\u{2028}c", Ok("a b \\[31m c")),
            ("", Err(NoTitle::Empty)),
            (" \n\u{200b}", Err(NoTitle::Empty)),
            (&long, Ok(&long)),
            (&too_long, Err(NoTitle::TooLong(LONGEST + 1))),
        ];
        for (text, expected) in rows {
            let title = Title::parse(text);
            let title = title.as_ref().map(Title::as_markdown).map_err(|e| *e);
            assert_eq!(title, expected, "{text:?}");
        }
    }
}
