//! JavaScript and JSON, PM2's above all: texts and numbers are told under the names that PM2
//! knows and gives no secrets, and within an `env` under a few others; the rest is hidden.
//!
//! It knows texts, comments, brackets and what is set to what, and not the language: where it
//! is mistaken about a name, more is hidden. What stands in the place of a name is told.

use super::looks::{looked_through, says_nothing};
use super::names::{is_env, is_told};
use super::{HIDDEN, hidden_piece, is_in, quote_end};

/// Words of the language.
const WORDS: &str = " true false null undefined module exports module.exports const let var require process \
    return function new export import from if else ";

/// The text with what may be told of it.
pub(super) fn told(text: &str) -> String {
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = reader.token(first, rest);
        let (token, after) = rest.split_at(length);
        rest = after;
        match kind {
            Kind::Blank => reader.blank(token),
            Kind::Comment => reader.out += &comments(token),
            Kind::Quoted => reader.quoted(token, after),
            Kind::Pattern => reader.value(token, token.len() == 1),
            Kind::Word => reader.word(token, after),
            Kind::Mark => reader.mark(first),
        }
    }
    reader.out
}

#[derive(Clone, Copy)]
enum Kind {
    Blank,
    Comment,
    Quoted,
    /// Between slashes.
    Pattern,
    Word,
    Mark,
}

/// An open bracket, or the file.
#[derive(Clone, Default)]
struct Level {
    bracket: Option<char>,
    /// What a value here is set to.
    name: Option<String>,
    is_env: bool,
}

#[derive(Default)]
struct Reader {
    out: String,
    outer: Vec<Level>,
    here: Level,
    /// The last mark or piece that is no blank and no comment.
    before: char,
}

impl Reader {
    fn token(&self, first: char, rest: &str) -> (Kind, usize) {
        let line = || rest.find('\n').unwrap_or(rest.len());
        let is_begin = "(,=:[!&|?{};\0".contains(self.before);
        match first {
            c if c.is_whitespace() => (Kind::Blank, c.len_utf8()),
            '"' | '\'' | '`' => (Kind::Quoted, quote_end(rest).unwrap_or(rest.len())),
            '/' if rest.starts_with("//") => (Kind::Comment, line()),
            '/' if rest.starts_with("/*") => (
                Kind::Comment,
                rest.find("*/").map_or(rest.len(), |at| at + 2),
            ),
            '/' if is_begin => (Kind::Pattern, pattern_length(&rest[..line()])),
            '#' if self.before == '\0' => (Kind::Comment, line()),
            c if is_of_word(c) => (
                Kind::Word,
                rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            ),
            c => (Kind::Mark, c.len_utf8()),
        }
    }

    fn blank(&mut self, token: &str) {
        // A statement may end with its line, and where a comma is missing so does a member.
        if token == "\n" && !":=+,([{&|?".contains(self.before) {
            self.here.name = None;
        }
        self.out.push_str(token);
    }

    fn quoted(&mut self, token: &str, after: &str) {
        let bare = token.trim_matches(['"', '\'', '`']);
        let is_open = quote_end(token).is_none();
        if !is_open && self.names_a_member() && next_mark(after) == Some(':') {
            self.out += if is_plain_name(bare) { token } else { HIDDEN };
            self.here.name = Some(bare.to_owned());
            self.before = 'a';
        } else {
            self.value(token, !is_open && (self.may_tell() || says_nothing(token)));
        }
    }

    fn value(&mut self, token: &str, may: bool) {
        self.out += &match may {
            true => token.to_owned(),
            false => hidden_piece(token),
        };
        self.before = 'a';
    }

    fn word(&mut self, token: &str, after: &str) {
        let next = next_mark(after);
        let is_name =
            token.starts_with(|c: char| c.is_alphabetic() || c == '_') && is_plain_name(token);
        let is_set = next == Some('=') && !after.trim_start().starts_with("==");
        if is_name && ((self.names_a_member() && next == Some(':')) || is_set) {
            self.here.name = Some(token.to_owned());
            self.value(token, true);
        } else {
            let is_called = is_name && next == Some('(') && token.len() < 20;
            let may = is_in(WORDS, token) || is_called || self.may_tell() || says_nothing(token);
            self.value(token, may);
        }
    }

    fn mark(&mut self, mark: char) {
        match mark {
            '{' | '[' | '(' => {
                let is_env = self.here.is_env || self.here.name.as_deref().is_some_and(is_env);
                let inner = Level {
                    bracket: Some(mark),
                    // A list is of what it is set to; members have names of their own.
                    name: self.here.name.clone().filter(|_| mark == '['),
                    is_env,
                };
                self.outer.push(std::mem::replace(&mut self.here, inner));
            }
            '}' | ']' | ')' => self.here = self.outer.pop().unwrap_or_default(),
            ',' if self.here.bracket != Some('[') => self.here.name = None,
            ';' => self.here.name = None,
            _ => {}
        }
        self.before = mark;
        self.out.push(mark);
    }

    fn names_a_member(&self) -> bool {
        self.here.bracket == Some('{') && "{,".contains(self.before)
    }

    fn may_tell(&self) -> bool {
        let name = self.here.name.as_deref();
        name.is_some_and(|name| is_told(name, self.here.is_env))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_$.".contains(c)
}

fn is_plain_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_$.-".contains(c))
}

fn next_mark(text: &str) -> Option<char> {
    text.trim_start().chars().next()
}

/// A pattern between slashes; one slash where none ends it in the line.
fn pattern_length(line: &str) -> usize {
    let mut chars = line.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '/' => return at + 1,
            _ => {}
        }
    }
    1
}

/// Comments that hold what is set are read as that.
fn comments(text: &str) -> String {
    let line = |line: &str| {
        let body = line.trim_start_matches(['/', '*', '#', ' ', '\t']);
        let after = body
            .split_once([':', '='])
            .map(|(_, after)| after.trim_start());
        let is_set = after.is_some_and(|after| after.starts_with(['"', '\'', '`']));
        let is_code = is_set || (after.is_some() && body.trim_end().ends_with([',', ';', '{']));
        match is_code {
            true => {
                // As a member of something.
                let told = told(&format!("{{{body}"));
                let head = &line[..line.len() - body.len()];
                format!("{head}{}", told.strip_prefix('{').unwrap_or(&told))
            }
            false => looked_through(line),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_file_is_told_but_for_what_is_not_known() {
        let file = include_str!("../../../deploy/pm2/camarad-sidecar.config.cjs");
        let text = told(file);
        for line in file
            .lines()
            .filter(|line| line.contains(": ") && !line.contains('`'))
        {
            let is_known = !line.contains("args") && !line.trim_start().starts_with("//");
            assert!(!is_known || text.contains(line), "{line}\n{text}");
        }
        assert!(
            !text.contains("5051\";")
                && text.contains("const app = process.env.CAMARAD_APP_PORT || \"***\";"),
            "{text}"
        );
    }

    #[test]
    fn only_what_is_known_to_be_no_secret_is_told() {
        for (text, expected) in [
            ("{ env: { A: \"hunter2\" } }", "{ env: { A: \"***\" } }"),
            (
                "x = { env: { A: 'hunter2', PORT: 80, PIN: 1234 } }",
                "x = { env: { A: '***', PORT: 80, PIN: *** } }",
            ),
            (
                "x = { name: \"api\", env_production: { name: \"hunter2\" } }",
                "x = { name: \"api\", env_production: { name: \"***\" } }",
            ),
            (
                "{\"env\": {\"A\": \"a\\\"b\", \"TZ\": \"UTC\"}}",
                "{\"env\": {\"A\": \"***\", \"TZ\": \"UTC\"}}",
            ),
            ("{ A: `two\nlines ${ \"x`y\" } more` }", "{ A: `***` }"),
            ("{ A: \"hun\" + 'ter2' }", "{ A: \"***\" + '***' }"),
            (
                "{ args: [\"-t\", \"hunter2\"] }",
                "{ args: [\"***\", \"***\"] }",
            ),
            (
                "{ watch: [\"src\", \"lib\"], a: 1234 }",
                "{ watch: [\"src\", \"lib\"], a: *** }",
            ),
            (
                "const name = \"api\"\nlogin(\"hunter2\")",
                "const name = \"api\"\nlogin(\"***\")",
            ),
            ("{ name: f(\"hunter2\") }", "{ name: f(\"***\") }"),
            (
                "{ A: process.env.A ? \"hunter2\" : \"b\" }",
                "{ A: process.env.A ? \"***\" : \"***\" }",
            ),
            (
                "{ watch: /it's/, env: { A: 'hunter2' } }",
                "{ watch: /***/, env: { A: '***' } }",
            ),
            ("{ env: common }", "{ env: *** }"),
            (
                "// it's A: 1, no\n{ name: 'x' }",
                "// it's A: 1, no\n{ name: 'x' }",
            ),
            ("// A: \"hunter2\",\n", "// A: \"***\",\n"),
            ("// A: \"hunter2\"", "// A: \"***\""),
            (
                "{ name: \"api\"\n  A: \"hunter2\" }",
                "{ name: \"api\"\n  ***: \"***\" }",
            ),
            (
                "/* A: 'hunter2',\n * password: x\n */",
                "/* A: '***',\n * password: ***\n */",
            ),
            ("{ name: \"open, env: hunter2", "{ name: \"***\""),
            ("{ hunter2 }", "{ *** }"),
            ("{ A: \"$ecret\", B: '$ECRET' }", "{ A: \"***\", B: '***' }"),
        ] {
            assert_eq!(told(text), expected);
        }
    }
}
