//! What a secret looks like, wherever it stands: by the name before it, by what it begins
//! with, or by being long and of mixed characters.
//!
//! A short secret under a name that says nothing is not found by this: it is the last look
//! over what the readers of other people's files let through, and the only one over comments.

use super::HIDDEN;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// From so many characters on, one run of mixed ones is taken for a secret.
const LONG: usize = 20;

/// Longest text of marks alone that is taken for none.
const MARKS: usize = 5;

/// A pattern that cannot be read hides everything; a test holds that they can.
static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::read().ok());

struct Patterns {
    /// A key or a certificate; one without an end goes on to the end of the text.
    pem: Regex,
    /// Name and password before a host; a password may hold an @.
    login: Regex,
    /// What a query says.
    query: Regex,
    /// A name that a secret goes by, and what it is set to: a quoted text, or the rest of the line.
    assigned: Regex,
    bearer: Regex,
    jwt: Regex,
    run: Regex,
    variable: Regex,
    /// A variable of a shell or of Node, without quotes.
    names_one: Regex,
    words: Regex,
}

impl Patterns {
    fn read() -> Result<Self, regex::Error> {
        let name = r"[\w.-]*(?:secret|token|passw(?:or)?d|passphrase|pwd|api[_-]?key|[_-]key|seal_?key|private_?key|auth|cookie|credential|signature|hmac|salt|dsn|webhook)[\w.-]*";
        let quoted = r#""(?:[^"\\]|\\(?s:.))*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\(?s:.))*`"#;
        let assigned = format!(
            r#"(?i)(?<name>{name})(?:(?<sep>["']?[ \t]*(?:=>|[:=])[ \t]*)(?<value>{quoted}|[^\s;][^;\n]*)|(?<blank>[ \t]+)(?<said>{quoted}|[^\n;]+;))"#
        );
        Ok(Self {
            pem: Regex::new(r"(?s)-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\z)")?,
            login: Regex::new(r#"://[^\s"'`]*@"#)?,
            query: Regex::new(r#"([?&][\w.%\[\]-]+=)([^&\s"'`;,)]+)"#)?,
            assigned: Regex::new(&assigned)?,
            bearer: Regex::new(r#"(?i)\b(bearer|basic)[ \\]+[^\s"';]+"#)?,
            jwt: Regex::new(r"\beyJ[\w-]{5,}(?:\.[\w-]*)*")?,
            run: Regex::new(r"[A-Za-z0-9+/_=~-]{20,}")?,
            variable: Regex::new(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\}|[1-9]\b)")?,
            names_one: Regex::new(r"^(?:process\.env\.\w+|\$\{?[A-Z_][A-Z0-9_]*\}?)[,;]?$")?,
            words: Regex::new(r"^(?:[A-Z]?[a-z]{2,}|[A-Z]{2,}|[+_=~-])+$")?,
        })
    }
}

/// A text without the keys and certificates in it.
pub(super) fn without_pem(text: &str) -> String {
    let pem = PATTERNS.as_ref().map(|all| &all.pem);
    pem.map_or(HIDDEN.into(), |pem| pem.replace_all(text, HIDDEN))
        .into_owned()
}

/// A text without what looks like a secret in it.
pub(super) fn looked_through(text: &str) -> String {
    let Some(all) = &*PATTERNS else {
        return HIDDEN.to_owned();
    };
    let text = without_pem(text);
    let text = all.login.replace_all(&text, format!("://{HIDDEN}@"));
    let text = all.query.replace_all(&text, |found: &Captures<'_>| {
        let is_variable = says_nothing(&without_variables(&found[2]));
        let value = if is_variable { &found[2] } else { HIDDEN };
        format!("{}{value}", &found[1])
    });
    let text = all
        .assigned
        .replace_all(&text, |found: &Captures<'_>| assignment(found));
    let text = all.bearer.replace_all(&text, format!("$1 {HIDDEN}"));
    let text = all.jwt.replace_all(&text, HIDDEN);
    let text = all
        .run
        .replace_all(&text, |found: &Captures<'_>| match is_dense(&found[0]) {
            true => HIDDEN.to_owned(),
            false => found[0].to_owned(),
        });
    text.into_owned()
}

/// The text without the variables of nginx in it, which name a secret and are none.
pub(super) fn without_variables(text: &str) -> String {
    let variable = PATTERNS.as_ref().map(|all| &all.variable);
    variable
        .map_or(text.into(), |variable| variable.replace_all(text, ""))
        .into_owned()
}

/// A value that is none: a variable of a shell or Node, a few marks, and words that are the
/// same everywhere.
pub(super) fn says_nothing(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'', '`', ';', ',']);
    let known = [
        "true",
        "false",
        "null",
        "on",
        "off",
        "default",
        "close",
        "upgrade",
        "keep-alive",
        "always",
        "any",
        "all",
        "none",
    ];
    let is_digit = bare.len() == 1 && bare.starts_with(|c: char| c.is_ascii_digit());
    let is_of_mark = |c: char| !c.is_alphanumeric() && c != '$';
    known.contains(&bare)
        || is_digit
        || PATTERNS
            .as_ref()
            .is_some_and(|all| all.names_one.is_match(value))
        || (bare.len() <= MARKS && bare.chars().all(is_of_mark))
}

fn assignment(found: &Captures<'_>) -> String {
    let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
    let (name, sep, value) = match found.name("value") {
        Some(value) => (part("name"), part("sep"), value.as_str()),
        None => (part("name"), part("blank"), part("said")),
    };
    let names_a_place = [
        "file",
        "path",
        "url",
        "claim",
        "dir",
        "certificate_key",
        "cache_key",
    ];
    let last = name.to_ascii_lowercase();
    let is_place = names_a_place.iter().any(|end| last.ends_with(end));
    // After two words it is a directive of nginx's.
    let is_variable = found.name("said").is_some() && says_nothing(&without_variables(value));
    if is_place || is_variable || says_nothing(value) {
        return found.get(0).map_or("", |whole| whole.as_str()).to_owned();
    }
    let quote = value.chars().next().filter(|c| "\"'`".contains(*c));
    let quote = quote.map(String::from).unwrap_or_default();
    let end = if value.ends_with(';') { ";" } else { "" };
    format!("{name}{sep}{quote}{HIDDEN}{quote}{end}")
}

/// Whether a run of characters is like a key: mixed, and no path of plain names.
fn is_dense(run: &str) -> bool {
    let has = |text: &str, class: fn(&char) -> bool| text.chars().any(|c| class(&c));
    let is_wordy = |text: &str| {
        PATTERNS
            .as_ref()
            .is_some_and(|all| all.words.is_match(text))
    };
    let is_mixed = |text: &str| {
        has(text, char::is_ascii_lowercase)
            && has(text, char::is_ascii_uppercase)
            && !is_wordy(text)
    };
    let mut segments = run.split('/');
    segments.any(|one| match one.len() {
        LONG.. => has(one, char::is_ascii_digit) || is_mixed(one),
        // What base64 is in between its own slashes.
        _ => run.contains('/') && one.len() >= 4 && is_mixed(one),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_names_and_beginnings() {
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
            (
                "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\n",
                "***\n",
            ),
        ] {
            assert_eq!(looked_through(text), expected);
            assert_eq!(looked_through(expected), expected);
        }
    }

    #[test]
    fn secrets_are_found_by_their_shape_and_names_are_left() {
        for (text, expected) in [
            ("x 0123456789abcdef0123", "x ***"),
            ("x qWeRtYuIoPaSdFgHjKlZ", "x ***"),
            ("x 3f2a9c1e-0b7d-4c55-9e21-aa00bb11cc22", "x ***"),
            ("x ab/Kd93jsl2/Qw8eRt5yUiOp==", "x ***"),
            ("x 12345678901234567890", "x ***"),
            ("eyJhbGciOi.eyJzdWIi.c2ln", "***"),
            (
                "https://h/x?key=hunter2&to=$uri",
                "https://h/x?key=***&to=$uri",
            ),
            ("amqp://me:p@ss@h/v", "amqp://***@h/v"),
            ("-----BEGIN PGP MESSAGE-----\nabc\n", "***"),
            ("token = \"two\nlines\" rest", "token = \"***\" rest"),
        ] {
            assert_eq!(looked_through(text), expected);
        }
        for plain in [
            "/etc/letsencrypt/live/app1.camarad.example/fullchain.pem",
            "/var/log/camarad-sidecar/access.log",
            "exp_backoff_restart_delay",
            "proxyConnectTimeoutSeconds",
            "CAMARAD_CONFIGURATION_DIRECTORY",
            "proxy_pass http://127.0.0.1:5050/api/orchestrator/;",
            "# --------------------------------",
        ] {
            assert_eq!(looked_through(plain), plain);
        }
    }

    #[test]
    fn what_says_nothing_is_told_apart() {
        for nothing in [
            "",
            "\"\"",
            "${HOME}",
            "process.env.KEY",
            "on",
            "1",
            "***",
            "!=",
        ] {
            assert!(says_nothing(nothing), "{nothing}");
        }
        for said in [
            "ab",
            "$2y$10$abc",
            "pa$$word",
            "$ecret",
            "\"$ECRET\"",
            "12",
            "!@#%^&*",
            "process.env.S || 'x'",
        ] {
            assert!(!says_nothing(said), "{said}");
        }
        let text = "$scheme://$host${request_uri}$1 $2y pa$$word";
        assert_eq!(without_variables(text), ":// $2y pa$");
    }
}
