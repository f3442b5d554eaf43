//! Our own file without the secrets in it, and put together again.
//!
//! It is read as TOML, so that every secret goes and nothing else; its comments are looked
//! through by what a secret looks like. It is written back by a rollback, so nothing but a
//! comment may be changed by a look.

use super::{HIDDEN, hidden, looks, string_end, without};
use crate::secret::Secret;
use toml_edit::visit_mut::{VisitMut, visit_table_like_kv_mut};
use toml_edit::{DocumentMut, Item, KeyMut, TableLike, Value};

/// Whether a key's value is a secret, by its last name.
pub(crate) fn is_secret_name(name: &str) -> bool {
    matches!(name, "secret" | "token" | "seal_key")
}

/// Our own file without its secrets; what is no TOML is read like another's.
pub(in crate::snapshot) fn hidden_toml(text: &str, known: &[Secret]) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        return hidden("", text, known);
    };
    Hide.visit_document_mut(&mut document);
    // A key over several comments is found by where it begins and ends.
    let mut is_key = false;
    let text = with_comments(&document.to_string(), |comment| {
        is_key |= comment.contains("-----BEGIN ");
        match is_key {
            true => {
                is_key = !comment.contains("-----END ");
                format!("# {HIDDEN}")
            }
            false => looks::looked_through(comment),
        }
    });
    without(&text, known)
}

/// TOML with every comment as `change` has it. Reads strings only as far as to know where
/// they end.
fn with_comments(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match from.as_bytes() {
            [b'#', ..] => {
                let end = from.find('\n').unwrap_or(from.len());
                out.push_str(&change(&from[..end]));
                rest = &from[end..];
                continue;
            }
            [b'"', b'"', b'"', ..] => string_end(from, "\"\"\"", true),
            [b'\'', b'\'', b'\'', ..] => string_end(from, "'''", false),
            [b'"', ..] => string_end(from, "\"", true),
            _ => string_end(from, "'", false),
        };
        let (string, after) = from.split_at(length.unwrap_or(from.len()));
        out.push_str(string);
        rest = after;
    }
    out + rest
}

struct Hide;

impl VisitMut for Hide {
    fn visit_table_like_kv_mut(&mut self, key: KeyMut<'_>, node: &mut Item) {
        match node.as_value_mut() {
            Some(value) if is_secret_name(key.get()) => {
                let is_set = value.as_str().is_none_or(|text| !text.is_empty());
                if is_set {
                    replace(value, HIDDEN);
                }
            }
            _ => visit_table_like_kv_mut(self, key, node),
        }
    }
}

/// Another value in the same place, with the blanks and comments around it.
fn replace(value: &mut Value, text: &str) {
    let decor = value.decor().clone();
    *value = Value::from(text);
    *value.decor_mut() = decor;
}

/// A hidden file with the secrets that stand under the same keys of the present one; the
/// keys of those that it has not got otherwise. Issuers go by their name.
pub(in crate::snapshot) fn filled(kept: &str, present: &str) -> Result<String, Vec<String>> {
    let Ok(mut document) = kept.parse::<DocumentMut>() else {
        return Err(vec!["the whole file: what was kept is no TOML".to_owned()]);
    };
    // One that cannot be read has no secrets to give; which are missing is told.
    let present = present.parse::<DocumentMut>().unwrap_or_default();
    let mut missing = Vec::new();
    fill(
        document.as_table_mut(),
        Some(present.as_table()),
        "",
        &mut missing,
    );
    match missing.is_empty() {
        true => Ok(document.to_string()),
        false => Err(missing),
    }
}

fn fill(
    into: &mut dyn TableLike,
    from: Option<&dyn TableLike>,
    at: &str,
    missing: &mut Vec<String>,
) {
    for (key, item) in into.iter_mut() {
        let path = match at.is_empty() {
            true => key.get().to_owned(),
            false => format!("{at}.{}", key.get()),
        };
        let other = from.and_then(|from| from.get(key.get()));
        if let Some(value) = item
            .as_value_mut()
            .filter(|value| value.as_str() == Some(HIDDEN))
        {
            let secret = other
                .and_then(Item::as_str)
                .filter(|text| !text.is_empty() && *text != HIDDEN);
            match secret {
                Some(secret) => replace(value, secret),
                None => missing.push(path),
            }
        } else if let Some(rows) = item.as_array_of_tables_mut() {
            let others = other.and_then(Item::as_array_of_tables);
            for (n, row) in rows.iter_mut().enumerate() {
                let name = row.get("name").and_then(Item::as_str).map(str::to_owned);
                let others = others.into_iter().flat_map(|others| others.iter());
                let other = match &name {
                    Some(name) => others
                        .into_iter()
                        .find(|other| other.get("name").and_then(Item::as_str) == Some(name)),
                    None => others.into_iter().nth(n),
                };
                let path = format!("{path}[{}]", name.unwrap_or_else(|| n.to_string()));
                let other = other.map(|other| other as &dyn TableLike);
                fill(row, other, &path, missing);
            }
        } else if let Some(table) = item.as_table_like_mut() {
            fill(table, other.and_then(Item::as_table_like), &path, missing);
        } else if item.to_string().contains(HIDDEN) {
            // Tables in the brackets of an array: written otherwise, they can be filled.
            missing.push(format!("{path} (as [[{path}]], one table each)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r##"# before the change: secret = "an old secret of the house"
# -----BEGIN PRIVATE KEY-----
# MIIEvQIBADANBgkqhkiG
# short=
# -----END PRIVATE KEY-----
[admin]
token = "the-token-of-admins" # never token: "another-one-here"
token_file = ""
[server]
state_dir = "a # b"   # plain
[jwt]
secret = 'the jwt secret in literal quotes'
user_claim = "uid"
[[issuers]]
name = "one"
secret = "the secret of issuer one"
[[issuers]]
name = "two"
jwks_url = "https://id.example/keys"
[sessions]
seal_key = """
a key over
two lines and more"""
"##;

    #[test]
    fn every_secret_of_our_own_file_is_hidden_and_nothing_else() {
        let known = [Secret::new("the-token-of-admins")];
        let text = hidden_toml(FILE, &known);
        for secret in [
            "an old secret",
            "the-token",
            "another-one",
            "the jwt secret",
            "the secret of issuer",
            "two lines",
            "short=",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for kept in [
            "# before the change: secret = \"***\"",
            "token = \"***\" # never token: \"***\"",
            "token_file = \"\"",
            "state_dir = \"a # b\"   # plain",
            "user_claim = \"uid\"",
            "jwks_url = \"https://id.example/keys\"",
            "seal_key = \"***\"",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert_eq!(hidden_toml(&text, &known), text);
    }

    #[test]
    fn comments_are_found_behind_whatever_strings_there_are() {
        for (text, expected) in [
            (
                "a = \"\"\"\nx # token = \"no\"\n\"\"\" # token = \"yes\"\n",
                "a = \"\"\"\nx # token = \"no\"\n\"\"\" # token = \"***\"\n",
            ),
            (
                "a = '''it's # x''' # secret = \"b\"",
                "a = '''it's # x''' # secret = \"***\"",
            ),
            (
                "a = \"\\\"# \" # secret = \"b\"",
                "a = \"\\\"# \" # secret = \"***\"",
            ),
            (
                "# it's a token = \"b\"\nb = 1",
                "# it's a token = \"***\"\nb = 1",
            ),
            ("a = \"ă\" # secret = \"b\"", "a = \"ă\" # secret = \"***\""),
            ("a = \"open", "a = \"open"),
        ] {
            let found = with_comments(text, looks::looked_through);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn secrets_are_filled_in_from_the_present_file_issuers_by_name() {
        let kept = hidden_toml(FILE, &[]);
        let swapped = FILE
            .replace("name = \"two\"", "name = \"three\"")
            .replace("name = \"one\"", "name = \"two\"")
            .replace(
                "name = \"three\"",
                "name = \"one\"\nsecret = \"a later secret of one\"",
            )
            .replace("the-token-of-admins", "a-newer-token");
        let text = filled(&kept, &swapped).unwrap();
        for part in [
            "a-newer-token",
            "secret = \"a later secret of one\"",
            "two lines",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("the secret of issuer one"), "{text}");
        let missing = filled(&kept, "not = [toml").unwrap_err();
        assert_eq!(
            missing,
            [
                "admin.token",
                "jwt.secret",
                "issuers[one].secret",
                "sessions.seal_key"
            ]
        );
        let inline = "issuers = [{name = \"one\", secret = \"the secret of issuer one\"}]\n\
                      admin = {token = \"the-token-of-admins\"}\n";
        let hidden = hidden_toml(inline, &[]);
        assert!(
            !hidden.contains("the secret") && !hidden.contains("the-token"),
            "{hidden}"
        );
        let told = filled(&hidden, inline).unwrap_err();
        assert_eq!(told, ["issuers (as [[issuers]], one table each)"]);
        // An empty one is none: the token may stand in a file by now.
        let moved = FILE.replace("the-token-of-admins", "");
        assert_eq!(filled(&kept, &moved).unwrap_err(), ["admin.token"]);
        // A hidden one is no secret to fill in.
        assert_eq!(filled(&kept, &kept).unwrap_err().len(), 4);
    }
}
