//! Texts without the secrets in them.
//!
//! Our own file ([`own`]) is read as TOML, so that every secret goes and nothing else. Of other
//! people's files only what is known to be no secret is told, by whoever reads files of that
//! kind ([`nginx`], [`script`], and [`lines`] for all the rest), and [`looks`] goes over what
//! they let through. A secret in a place where none belongs (`server_name`, `name`), short and
//! like a word, stays all the same: what is kept is for its owner alone.
//!
//! The mark is the same for every secret, so that none can be guessed from it; that one is
//! another now does not show.

mod lines;
mod looks;
mod names;
mod nginx;
mod own;
mod script;

#[cfg(test)]
mod tests;

pub(crate) use own::is_secret_name;
pub(super) use own::{filled, hidden_toml};

use crate::secret::Secret;
use std::path::Path;

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "***";

/// Shorter texts would be found where no secret is.
const LEAST: usize = 8;

/// Another's file without what may be a secret, and without those that are known.
pub(super) fn hidden(path: &str, text: &str, known: &[Secret]) -> String {
    let text = without(text, known);
    // Before quotes and lines are looked for: a key has its own.
    let text = looks::without_pem(&text);
    let end = Path::new(path).extension().and_then(|end| end.to_str());
    let told = match end.unwrap_or_default().to_ascii_lowercase().as_str() {
        "js" | "cjs" | "mjs" | "ts" | "json" | "json5" | "jsonc" => script::told(&text),
        "yml" | "yaml" | "env" | "service" | "timer" | "ini" | "toml" | "sh" | "properties" => {
            lines::told(&text)
        }
        _ if nginx::is_one(&text) => nginx::told(&text),
        _ => lines::told(&text),
    };
    without(&looks::looked_through(&told), known)
}

fn without(text: &str, known: &[Secret]) -> String {
    let known = known.iter().map(Secret::expose);
    let known = known.filter(|secret| secret.len() >= LEAST);
    known.fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
}

/// Where the string ends that the text begins with; a template's own braces are passed over.
fn string_end(text: &str, quote: &str, has_escapes: bool) -> Option<usize> {
    let mut at = quote.len();
    let mut depth = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if depth == 0 && rest.starts_with(quote) {
            return Some(at + quote.len());
        }
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        match first {
            Some('{') if depth > 0 => depth += 1,
            Some('}') if depth > 0 => depth -= 1,
            Some('$') if quote == "`" && second == Some('{') => {
                depth += 1;
                at += 1;
            }
            _ => {}
        }
        let escaped = second.filter(|_| has_escapes && first == Some('\\'));
        at += first.map_or(0, char::len_utf8) + escaped.map_or(0, char::len_utf8);
    }
    None
}

/// Where the quote ends that the text begins with, whatever marks it.
fn quote_end(text: &str) -> Option<usize> {
    let first = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    string_end(text, first.encode_utf8(&mut [0; 4]), true)
}

/// A piece in whose place there is the mark, in quotes of its kind.
fn hidden_piece(piece: &str) -> String {
    let quote = piece.chars().next().filter(|c| "\"'`/".contains(*c));
    let quote = quote.map(String::from).unwrap_or_default();
    format!("{quote}{HIDDEN}{quote}")
}

/// Whether the word is one of a list, which has blanks around each.
fn is_in(list: &str, word: &str) -> bool {
    !word.is_empty() && !word.contains(' ') && list.contains(&format!(" {word} "))
}
