//! Texts without the secrets in them, and put together again.
//!
//! Our own file is read as TOML, so that every secret goes and nothing else; its comments and
//! other people's files are looked through by what a secret looks like, which is no proof:
//! what is kept of them is no place for secrets all the same.

use crate::secret::Secret;
use regex::{Captures, Regex};
use std::sync::LazyLock;
use toml_edit::visit_mut::{VisitMut, visit_table_like_kv_mut};
use toml_edit::{DocumentMut, Item, KeyMut, TableLike, Value};

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "***";

/// Shorter texts would be found where no secret is.
const LEAST: usize = 8;

/// A name that a secret goes by, and what it is set to: a quoted text, or the rest of the line.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"[\w.-]*(?:secret|token|passw(?:or)?d|passphrase|pwd|api[_-]?key|[_-]key|seal_?key|private_?key|auth|cookie|credential)[\w.-]*";
    let quoted = r#""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\\n]|\\.)*`"#;
    let set = format!(
        r#"(?i)(?<name>{name})(?:(?<sep>["']?[ \t]*(?:=>|[:=])[ \t]*)(?<value>{quoted}|[^\s;][^;\n]*)|(?<blank>[ \t]+)(?<said>{quoted}|[^\n;]+;))"#
    );
    Regex::new(&set).ok()
});

static PEM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----").ok()
});

static BEARER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b(bearer|basic)[ \\]+[^\s"';]+"#).ok());

static LOGIN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://[^\s/@"']+@"#).ok());

/// A variable of nginx, a shell or Node, which names a secret and is none.
static VARIABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:\$(?:\w+|\{\w+\})|process\.env\.\w+)$").ok());

/// Whether a key's value is a secret, by its last name.
pub(crate) fn is_secret_name(name: &str) -> bool {
    matches!(name, "secret" | "token" | "seal_key")
}

/// Any text without what looks like a secret in it, and without those that are known.
pub(super) fn hidden(text: &str, known: &[Secret]) -> String {
    let (Some(assigned), Some(pem), Some(bearer), Some(login)) =
        (&*ASSIGNED, &*PEM, &*BEARER, &*LOGIN)
    else {
        // A pattern that cannot be read hides everything; a test holds that it can.
        return HIDDEN.to_owned();
    };
    let text = pem.replace_all(text, HIDDEN);
    let text = login.replace_all(&text, format!("://{HIDDEN}@"));
    let text = assigned.replace_all(&text, |found: &Captures<'_>| assignment(found));
    let text = bearer.replace_all(&text, format!("$1 {HIDDEN}"));
    without(&text, known)
}

fn assignment(found: &Captures<'_>) -> String {
    let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
    let (name, sep, value) = match found.name("value") {
        Some(value) => (part("name"), part("sep"), value.as_str()),
        None => (part("name"), part("blank"), part("said")),
    };
    let last = name.to_ascii_lowercase();
    let names_a_place = [
        "file",
        "path",
        "url",
        "claim",
        "dir",
        "certificate_key",
        "cache_key",
    ];
    let bare = value.trim_matches(['"', '\'', '`', ';', ',']);
    let is_variable = VARIABLE.as_ref().is_some_and(|one| one.is_match(bare));
    let is_no_secret = names_a_place.iter().any(|end| last.ends_with(end))
        || bare.is_empty()
        || is_variable
        || matches!(
            bare,
            "true" | "false" | "null" | "on" | "off" | "{" | HIDDEN
        );
    if is_no_secret {
        return found.get(0).map_or("", |whole| whole.as_str()).to_owned();
    }
    let quote = value.chars().next().filter(|c| "\"'`".contains(*c));
    let quote = quote.map(String::from).unwrap_or_default();
    let end = if value.ends_with(';') { ";" } else { "" };
    format!("{name}{sep}{quote}{HIDDEN}{quote}{end}")
}

fn without(text: &str, known: &[Secret]) -> String {
    let known = known.iter().map(Secret::expose);
    let known = known.filter(|secret| secret.len() >= LEAST);
    known.fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
}

/// Our own file without its secrets; what is no TOML is looked through like any other text.
pub(super) fn hidden_toml(text: &str, known: &[Secret]) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        return hidden(text, known);
    };
    Hide.visit_document_mut(&mut document);
    let text = with_comments(&document.to_string(), |comment| hidden(comment, &[]));
    without(&text, known)
}

/// TOML with every comment as `change` has it. Reads strings only as far as to know where
/// they end.
fn with_comments(text: &str, change: impl Fn(&str) -> String) -> String {
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
            [b'"', b'"', b'"', ..] => string(from, "\"\"\"", true),
            [b'\'', b'\'', b'\'', ..] => string(from, "\'\'\'", false),
            [b'"', ..] => string(from, "\"", true),
            _ => string(from, "'", false),
        };
        let (string, after) = from.split_at(length);
        out.push_str(string);
        rest = after;
    }
    out + rest
}

/// How long the string is that the text begins with.
fn string(text: &str, quote: &str, has_escapes: bool) -> usize {
    let mut at = quote.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        let mut chars = rest.chars();
        let first = chars.next();
        let escaped = chars.next().filter(|_| has_escapes && first == Some('\\'));
        at += first.map_or(0, char::len_utf8) + escaped.map_or(0, char::len_utf8);
    }
    text.len()
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
pub(super) fn filled(kept: &str, present: &str) -> Result<String, Vec<String>> {
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
            let found = with_comments(text, |comment| hidden(comment, &[]));
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

    #[test]
    fn other_peoples_files_are_looked_through() {
        let known = [Secret::new("abcdefgh12345678")];
        for (text, expected) in [
            (
                "SIDECAR_JWT_SECRET: \"s3cr3t-value\",",
                "SIDECAR_JWT_SECRET: \"***\",",
            ),
            ("SIDECAR_ADMIN_TOKEN=abc", "SIDECAR_ADMIN_TOKEN=***"),
            ("'api_key' => 'x y'", "'api_key' => '***'"),
            ("password = `x`;", "password = `***`;"),
            (
                "SIDECAR_JWT_SECRET_FILE: \"/etc/s\"",
                "SIDECAR_JWT_SECRET_FILE: \"/etc/s\"",
            ),
            ("SECRET_KEY: process.env.KEY", "SECRET_KEY: process.env.KEY"),
            (
                "proxy_set_header Authorization \"Bearer x\";",
                "proxy_set_header Authorization \"***\";",
            ),
            ("secure_link_secret word;", "secure_link_secret ***;"),
            (
                "curl -H \"Authorization: Bearer tok\"",
                "curl -H \"Authorization: ***",
            ),
            (
                "proxy_set_header Authorization Basic\\ X;",
                "proxy_set_header Authorization ***;",
            ),
            ("-H 'x: Bearer tok'", "-H 'x: Bearer ***'"),
            ("DB_PASSWORD=ab,rest of it", "DB_PASSWORD=***"),
            (
                "Environment=\"APP_SECRET=two rest\"",
                "Environment=\"APP_SECRET=***",
            ),
            ("secret = \"ab\\\"rest\"", "secret = \"***\""),
            ("secret = \"begins here", "secret = \"***\""),
            ("TOKEN=/base64/+x==", "TOKEN=***"),
            ("TOKEN=$2y$10$abc", "TOKEN=***"),
            ("TOKEN_NAME=x", "TOKEN_NAME=***"),
            ("X-Api-Key: abc", "X-Api-Key: ***"),
            ("STRIPE_KEY=abc", "STRIPE_KEY=***"),
            ("MYSQL_PWD=abc", "MYSQL_PWD=***"),
            ("passphrase: abc", "passphrase: ***"),
            ("TWILIO_AUTH=abc", "TWILIO_AUTH=***"),
            ("SECRET: process.env.S || 'x',", "SECRET: ***"),
            ("redis://:pw@h", "redis://***@h"),
            ("https://ghp_x@github.com", "https://***@github.com"),
            (
                "ssl_certificate_key /etc/k.pem;",
                "ssl_certificate_key /etc/k.pem;",
            ),
            (
                "proxy_set_header X-Token $http_x;",
                "proxy_set_header X-Token $http_x;",
            ),
            ("# a token is asked for", "# a token is asked for"),
            ("url https://me:pass@host/x", "url https://***@host/x"),
            ("listen 127.0.0.1:5050;", "listen 127.0.0.1:5050;"),
            ("x = abcdefgh12345678", "x = ***"),
            (
                "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\n",
                "***\n",
            ),
        ] {
            assert_eq!(hidden(text, &known), expected);
        }
    }
}
