//! Files of lines, which set a name to a value by `:` or `=`: YAML, environments, units of
//! systemd, and whatever nobody else reads.
//!
//! A value is told under a name that is known, if it ends in its line; all else is hidden but
//! blank lines, marks, headings in brackets and comments. It knows no language: lines that
//! go on with the value of one before are hidden because they are no assignments, or because
//! they are deeper or within its quotes.

use super::looks::{looked_through, says_nothing};
use super::names::{is_env, is_told};
use super::{HIDDEN, quote_end, string_end};

/// The text with what may be told of it.
pub(super) fn told(text: &str) -> String {
    let mut reader = Reader::default();
    let lines = text.split('\n').map(|line| reader.line(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Reader {
    /// What the lines before left open.
    open: Open,
    /// How deep the name of the environment stands that this is within.
    env: Option<usize>,
}

#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    /// A text in these quotes.
    Quote(String),
    /// All that is deeper than this.
    Deeper(usize),
    /// The line before ended with a backslash.
    Continued,
}

/// A line that sets something.
struct Assignment<'a> {
    name: &'a str,
    /// All before the value.
    head: &'a str,
    value: &'a str,
}

impl Reader {
    fn line(&mut self, line: &str) -> String {
        let bare = line.trim();
        let depth = line.len() - line.trim_start().len();
        if !bare.is_empty() && self.env.is_some_and(|env| depth <= env) {
            self.env = None;
        }
        if self.is_within(line, bare, depth) {
            return hidden(line);
        }
        if bare.starts_with(['#', ';']) {
            return comment(line);
        }
        if !bare.contains(char::is_alphanumeric) || is_heading(bare) {
            // An item of a list may be a block.
            if bare.starts_with('-') && is_block(bare) {
                self.open = Open::Deeper(depth);
            }
            return line.to_owned();
        }
        let name_depth = line.len() - line.trim_start_matches(['-', ' ', '\t']).len();
        match assignment(line) {
            Some(assignment) => self.assigned(&assignment, depth, name_depth),
            None => {
                self.open = match bare.ends_with('\\') {
                    true => Open::Continued,
                    false => Open::Deeper(depth),
                };
                hidden(line)
            }
        }
    }

    /// Whether the line belongs to a value that began before it.
    fn is_within(&mut self, line: &str, bare: &str, depth: usize) -> bool {
        match &self.open {
            Open::Nothing => false,
            Open::Quote(quote) => {
                if !leaves_open(&format!("{quote}{line}"), quote) {
                    self.open = Open::Nothing;
                }
                true
            }
            Open::Deeper(than) => {
                let is_deeper = bare.is_empty() || depth > *than;
                if !is_deeper {
                    self.open = Open::Nothing;
                }
                is_deeper
            }
            Open::Continued => {
                if !bare.ends_with('\\') {
                    self.open = Open::Nothing;
                }
                true
            }
        }
    }

    fn assigned(&mut self, one: &Assignment<'_>, depth: usize, name_depth: usize) -> String {
        let value = one.value.trim();
        if value.is_empty() {
            if is_env(one.name) {
                self.env = Some(depth);
            }
            return format!("{}{}", one.head, one.value);
        }
        let triple = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quote| value.starts_with(quote));
        let quote = triple.or_else(|| {
            ["\"", "'", "`"]
                .into_iter()
                .find(|quote| value.starts_with(quote))
        });
        self.open = match quote {
            Some(quote) if leaves_open(value, quote) => Open::Quote(quote.to_owned()),
            _ if value.ends_with('\\') => Open::Continued,
            // What is deeper than a name goes on with its value.
            _ => Open::Deeper(name_depth),
        };
        let is_whole = matches!(self.open, Open::Deeper(_));
        let is_told = is_told(one.name, self.env.is_some()) && is_one(value);
        match is_whole && (is_told || is_block(value) || says_nothing(value)) {
            true => format!("{}{}", one.head, one.value),
            false => format!("{}{HIDDEN}", one.head),
        }
    }
}

fn assignment(line: &str) -> Option<Assignment<'_>> {
    let start = line.len() - line.trim_start_matches(['-', ' ', '\t']).len();
    let rest = &line[start..];
    let rest = rest.strip_prefix("export ").unwrap_or(rest);
    let (name, after) = match quote_end(rest) {
        Some(end) => (&rest[1..end - 1], &rest[end..]),
        None => rest.split_at(rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())),
    };
    let after = after.trim_start();
    let value = after.strip_prefix([':', '='])?;
    let value = value.trim_start_matches([' ', '\t']);
    let is_name = (1..=64).contains(&name.len()) && name.chars().all(is_of_name);
    is_name.then(|| Assignment {
        name,
        head: &line[..line.len() - value.len()],
        value,
    })
}

/// Whether the lines below hold the text, as YAML has it.
fn is_block(value: &str) -> bool {
    let mark = value.trim_start_matches(['-', ' ']);
    mark.starts_with(['|', '>']) && !mark.contains(char::is_alphabetic)
}

/// Whether the last of these quotes is not closed.
fn leaves_open(value: &str, quote: &str) -> bool {
    let mut rest = value;
    while let Some(at) = rest.find(quote) {
        match string_end(&rest[at..], quote, true) {
            Some(end) => rest = &rest[at + end..],
            None => return true,
        }
    }
    false
}

/// Whether a value is a single one: one text in quotes, or one word.
fn is_one(value: &str) -> bool {
    let is_of_more = |c: char| c.is_whitespace() || "\"'`;&|{[,=".contains(c);
    quote_end(value).map_or(!value.contains(is_of_more), |end| end == value.len())
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

fn is_heading(bare: &str) -> bool {
    let inner = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| {
        inner.len() <= 64 && inner.chars().all(|c| is_of_name(c) || " []\"".contains(c))
    })
}

/// A comment in which something is set is read as that.
fn comment(line: &str) -> String {
    let body = line.trim_start().trim_start_matches(['#', ';', ' ', '\t']);
    let head = &line[..line.len() - body.len()];
    match assignment(body) {
        // Words with a colon in between are words.
        Some(one) if !one.head.trim_end().ends_with(':') || !is_words(one.value) => {
            format!("{head}{}", Reader::default().line(body))
        }
        _ => looked_through(line),
    }
}

fn is_words(value: &str) -> bool {
    value.contains(' ') && !value.starts_with(['"', '\'', '`'])
}

fn hidden(line: &str) -> String {
    let bare = line.trim_start_matches(['-', ' ', '\t']);
    match bare.trim().is_empty() {
        true => line.to_owned(),
        false => format!("{}{HIDDEN}", &line[..line.len() - bare.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_no_secret_is_told() {
        for (text, expected) in [
            ("A=hunter2\nPORT=80\n", "A=***\nPORT=80\n"),
            ("export A='hunter2'", "export A=***"),
            ("A=\"two\nB=lines\"\nPORT=80", "A=***\n***\nPORT=80"),
            (
                "A=one \\\n  B=two \\\n  three\nPORT=80",
                "A=***\n  ***\n  ***\nPORT=80",
            ),
            (
                "apps:\n  - name: api\n    args: -t hunter2\n",
                "apps:\n  - name: api\n    args: ***\n",
            ),
            (
                "env:\n  A: hunter2\n  name: hunter2\n  TZ: UTC\nname: api",
                "env:\n  A: ***\n  name: ***\n  TZ: UTC\nname: api",
            ),
            (
                "a: |\n  name: x\n\n  two\nname: api",
                "a: |\n  ***\n\n  ***\nname: api",
            ),
            ("a:\n  - hunter2\n  going on\n", "a:\n  - ***\n  ***\n"),
            ("\"a\": 'hunter2'", "\"a\": ***"),
            (
                "[Service]\nUser=camarad\nEnvironment=A=b",
                "[Service]\nUser=camarad\nEnvironment=***",
            ),
            (
                "a = \"\"\"\nb = 1\n\"\"\"\nPORT = 80",
                "a = ***\n***\n***\nPORT = 80",
            ),
            ("name: \"open\nA=b\"\n", "name: ***\n***\n"),
            ("# A=hunter2", "# A=***"),
            (
                "a: one\n  name: hunter2\n  Zm9v=\nname: a",
                "a: ***\n  ***\n  ***\nname: a",
            ),
            ("a:\n  - |\n    name: hunter2\n", "a:\n  - |\n    ***\n"),
            ("a: !!binary |\n  Zm9v=\n", "a: ***\n  ***\n"),
            ("A=$ecret", "A=***"),
            ("# A: hunter2", "# A: ***"),
            ("# A: 'hunter 2'", "# A: ***"),
            ("PORT=80 A=hunter2 run", "PORT=***"),
            ("PORT=80; A=hunter2", "PORT=***"),
            ("A='it''s\nPORT=81\n'\nPORT=80", "A=***\n***\n***\nPORT=80"),
            ("# note: a few words", "# note: a few words"),
            ("A=${B}\nC=on", "A=${B}\nC=on"),
            ("hunter2", "***"),
            ("{\n}\n---\n", "{\n}\n---\n"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }
}
