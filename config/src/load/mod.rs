//! Reads file and environment, leaf by leaf, so that every problem is found in
//! one go and each is told with its own key and place.

mod leaf;

use crate::check::check;
use crate::checked::{Config, Source};
use crate::secret::Secret;
use crate::settings::{IssuerSettings, Settings};
use crate::snapshot::{is_secret_name, without_secret};
use config::{Value, ValueKind};
use leaf::{Leaf, Segment, flatten, key_of, merge, nest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Names of the environment that stand for a key (design, "Fixed names").
const NAMES: [(&str, &str); 20] = [
    ("SIDECAR_LISTEN", "server.listen"),
    ("SIDECAR_ADMIN_LISTEN", "admin.listen"),
    ("SIDECAR_ADMIN_TOKEN", "admin.token"),
    ("SIDECAR_ADMIN_TOKEN_FILE", "admin.token_file"),
    ("SIDECAR_STATE_DIR", "server.state_dir"),
    ("SIDECAR_ACCESS_LOG", "server.access_log"),
    ("SIDECAR_SEAL_KEY", "sessions.seal_key"),
    ("SIDECAR_SEAL_KEY_FILE", "sessions.seal_key_file"),
    ("SIDECAR_JWT_SECRET", "jwt.secret"),
    ("SIDECAR_JWT_SECRET_FILE", "jwt.secret_file"),
    ("SIDECAR_JWKS_URL", "jwt.jwks_url"),
    ("SIDECAR_JWT_USER_CLAIM", "jwt.user_claim"),
    ("LEGACY_URL", "legacy.url"),
    ("COOLBITS_GATEWAY_ENABLED", "gateway.enabled"),
    ("COOLBITS_URL", "gateway.url"),
    ("COOLBITS_GATEWAY_EMAIL", "gateway.email"),
    ("COOLBITS_WORKSPACE_ID", "gateway.workspace"),
    ("SIDECAR_COOLBITS_LISTEN", "behind.listen"),
    ("SIDECAR_CONFIG", ""),
    ("SIDECAR_LOG", ""),
];

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The configuration file, if one is named.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

impl Inputs {
    /// The process's environment, with `SIDECAR_CONFIG` naming the file.
    pub fn from_process() -> Self {
        // Values that are no UTF-8 cannot be any of ours.
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            file: environment
                .get("SIDECAR_CONFIG")
                .filter(|name| !name.is_empty())
                .map(PathBuf::from),
            environment,
        }
    }
}

/// One thing that is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or the name in the environment.
    pub origin: String,
    /// The key.
    pub key: String,
    /// What is wrong with it, with the value unless it is a secret, and what would be right.
    pub message: String,
}

/// Everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.is_empty() {
            true => write!(f, "{}: {}", self.origin, self.message),
            false => write!(f, "{}: {}: {}", self.origin, self.key, self.message),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads, merges and checks everything.
pub fn load(inputs: &Inputs) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let mut leaves = Vec::new();
    let text = read_file(inputs, &mut leaves, &mut problems);
    let environment = read_environment(inputs, &mut leaves, &mut problems);
    let known = skeleton();
    leaves.retain(|leaf| match unfit(leaf, &known) {
        None => true,
        Some(problem) => {
            problems.push(problem);
            false
        }
    });
    // Checked even when something was unfit: the rest of the problems belongs to the same answer.
    let settings = merge(&leaves).unwrap_or_default();
    let origin_of = |key: &str| {
        let leaf = leaves.iter().rev().find(|leaf| key_of(&leaf.path) == key);
        leaf.map_or_else(|| "settings".to_owned(), |leaf| leaf.origin.clone())
    };
    match check(settings, &origin_of) {
        Ok(config) if problems.is_empty() => Ok(Config {
            source: Source {
                file: inputs.file.clone().zip(text),
                environment,
                origins: origins(&leaves),
            },
            ..config
        }),
        Ok(_) => Err(Problems(problems)),
        Err(found) => {
            // What was unfit was left out above; its absence is not a second problem.
            let unfit: Vec<String> = problems.iter().map(|p| p.key.clone()).collect();
            problems.extend(found.into_iter().filter(|p| !unfit.contains(&p.key)));
            Err(Problems(problems))
        }
    }
}

/// Where each key was set; the environment comes last and wins.
fn origins(leaves: &[Leaf]) -> BTreeMap<String, String> {
    let each = leaves.iter();
    each.map(|leaf| (key_of(&leaf.path), leaf.origin.clone()))
        .collect()
}

fn read_file(
    inputs: &Inputs,
    leaves: &mut Vec<Leaf>,
    problems: &mut Vec<Problem>,
) -> Option<Secret> {
    let path = inputs.file.as_ref()?;
    let origin = path.display().to_string();
    let mut problem = |message: String| {
        problems.push(Problem {
            origin: origin.clone(),
            key: String::new(),
            message,
        });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problem(format!("cannot be read: {error}"));
            return None;
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => {
            for (key, value) in table {
                flatten(vec![Segment::Key(key)], value, &origin, leaves);
            }
        }
        Err(error) => {
            // Not the error's own text: it quotes the line, which may hold a secret.
            let before = error
                .span()
                .map_or("", |s| text.get(..s.start).unwrap_or(""));
            let line = before.matches('\n').count() + 1;
            problem(format!("line {line}: not TOML: {}", error.message()));
        }
    }
    Some(Secret::new(text))
}

/// The values, and what of the environment said them.
fn read_environment(
    inputs: &Inputs,
    leaves: &mut Vec<Leaf>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for (name, text) in &inputs.environment {
        let key = match NAMES.iter().find(|(known, _)| known == name) {
            Some((_, "")) => continue,
            Some((_, key)) => (*key).to_owned(),
            None => match name.strip_prefix("SIDECAR__") {
                Some(rest) => rest.to_ascii_lowercase().replace("__", "."),
                None if name.starts_with("SIDECAR_") => {
                    problems.push(Problem {
                        origin: name.clone(),
                        key: String::new(),
                        message: "not a known name; any key can be set as SIDECAR__SECTION__KEY"
                            .into(),
                    });
                    continue;
                }
                None => continue,
            },
        };
        said.insert(name.clone(), without_secret(&key, text));
        let value = match key.as_str() {
            // Contract: the empty text switches the gateway off like `0` does.
            "gateway.enabled" if text.is_empty() => ValueKind::Boolean(false),
            key if is_list(key) => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                ValueKind::Array(items.map(|item| Value::new(None, item)).collect())
            }
            _ => ValueKind::String(text.clone()),
        };
        leaves.push(Leaf {
            path: key.split('.').map(|k| Segment::Key(k.into())).collect(),
            value: Value::new(None, value),
            origin: name.clone(),
        });
    }
    said
}

/// The shape of all settings: what can be written, with one issuer as a specimen.
fn skeleton() -> serde_json::Value {
    let mut settings = Settings::default();
    settings.issuers.push(IssuerSettings::default());
    // Serialising plain data cannot fail; a null skeleton would call every key unknown.
    serde_json::to_value(settings).unwrap_or_default()
}

fn is_list(key: &str) -> bool {
    let pointer = format!("/{}", key.replace('.', "/"));
    skeleton().pointer(&pointer).is_some_and(|v| v.is_array())
}

/// Tables whose keys are the operator's own.
const NAMED_FREELY: [&str; 2] = ["gateway.accounts.", "tenancy.modes."];

/// Why a leaf cannot be taken: unknown, or not of its type.
fn unfit(leaf: &Leaf, known: &serde_json::Value) -> Option<Problem> {
    let key = key_of(&leaf.path);
    let problem = |message: String| {
        Some(Problem {
            origin: leaf.origin.clone(),
            key: key.clone(),
            message,
        })
    };
    if !NAMED_FREELY.iter().any(|table| key.starts_with(table)) {
        let mut at = known;
        for segment in &leaf.path {
            let next = match segment {
                Segment::Key(name) => at.get(name),
                Segment::Index(_) => at.get(0),
            };
            match (next, at.as_object()) {
                (Some(next), _) => at = next,
                (None, Some(section)) => {
                    let keys: Vec<&str> = section.keys().map(String::as_str).collect();
                    return problem(format!("unknown key; known here: {}", keys.join(", ")));
                }
                (None, None) => return problem("unknown key; this is not a section".into()),
            }
        }
        if at.is_object() {
            return problem(format!("expected a section [{key}], not a value"));
        }
    }
    let alone = nest(&leaf.path, leaf.value.clone());
    let error = alone.try_deserialize::<Settings>().err()?;
    if is_secret(&leaf.path) {
        return problem("expected a text (the value is not shown)".into());
    }
    problem(format!("{}: {}", shown(&leaf.value), plain(&error)))
}

/// The error's own words, without the place, which is told beside them.
fn plain(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::Type {
            unexpected,
            expected,
            ..
        } => format!("invalid type: {unexpected}, expected {expected}"),
        config::ConfigError::At { error, .. } => plain(error),
        config::ConfigError::Message(message) => message.clone(),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn is_secret(path: &[Segment]) -> bool {
    matches!(path.last(), Some(Segment::Key(name)) if is_secret_name(name))
}

/// Whether the text of a configuration file holds a secret itself, and not only the name of a
/// file with one. What cannot be read as TOML might.
pub fn holds_secrets(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else {
        return true;
    };
    let mut leaves = Vec::new();
    for (key, value) in table {
        flatten(vec![Segment::Key(key)], value, "", &mut leaves);
    }
    let is_empty =
        |value: &Value| matches!(&value.kind, ValueKind::String(text) if text.is_empty());
    leaves
        .iter()
        .any(|leaf| is_secret(&leaf.path) && !is_empty(&leaf.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(file: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Inputs) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sidecar.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        let inputs = Inputs {
            file: Some(path),
            environment,
        };
        (dir, inputs)
    }

    const ISSUER: &[(&str, &str)] = &[
        ("SIDECAR_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("SIDECAR_JWT_USER_CLAIM", "uid"),
    ];

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
        let (_dir, inputs) = inputs(file, &[ISSUER, environment].concat());
        load(&inputs)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "[gateway]\nworkspace = \"a\"\nemail = \"b@example.com\"\nenabled = true\n";
        let config = read(
            file,
            &[
                ("COOLBITS_WORKSPACE_ID", "c"),
                ("SIDECAR__CACHE__CAPACITY_BYTES", "5"),
            ],
        );
        let config = config.unwrap();
        assert_eq!(config.gateway.workspace, "c");
        assert_eq!(config.gateway.email, "b@example.com");
        assert!(config.gateway.enabled);
        assert_eq!(config.cache.capacity_bytes, 5);
        assert_eq!(config.legacy.authority, "127.0.0.1:5051");
    }

    #[test]
    fn the_gateway_flag_reads_its_ten_words_and_no_other() {
        let flag = |word: &str| {
            read("", &[("COOLBITS_GATEWAY_ENABLED", word)]).map(|config| config.gateway.enabled)
        };
        for word in ["1", "true", "yes", "on", "TRUE", "On"] {
            assert_eq!(flag(word), Ok(true), "{word:?}");
        }
        for word in ["0", "false", "no", "off", ""] {
            assert_eq!(flag(word), Ok(false), "{word:?}");
        }
        for word in ["2", "enabled", "ja", " "] {
            let problem = flag(word).unwrap_err().to_string();
            assert!(
                problem.starts_with("COOLBITS_GATEWAY_ENABLED: gateway.enabled:"),
                "{problem}"
            );
        }
    }

    #[test]
    fn every_problem_is_told_at_once_with_place_key_value_and_remedy() {
        let file = r#"
            colour = "red"
            [server]
            listen = "localhost"
            threads = "many"
            [gateway]
            deadline = "12"
            timeout = "1s"
            mock_only = ["google-ads.nothing"]
            [limits]
            refusals = 2000000
            refusal_refill = "0s"
            [tenancy]
            bind_accounts = "some"
            [[issuers]]
            name = "a"
            leeway = 5
            algorithm = "none"
        "#;
        let environment = [
            ("LEGACY_URL", "https://app:5051/x"),
            ("SIDECAR_LISTNE", "x"),
            ("SIDECAR__BURST__RATIO", "2"),
        ];
        let all = read(file, &environment).unwrap_err().to_string();
        for expected in [
            "sidecar.toml: colour: unknown key; known here: admin, audit, backup, behind, breaker, burst, cache",
            "sidecar.toml: server.listen: \"localhost\"",
            "sidecar.toml: server.threads: \"many\": invalid type",
            "sidecar.toml: gateway.deadline: \"12\": expected a duration such as",
            "sidecar.toml: gateway.timeout: unknown key",
            "sidecar.toml: gateway.mock_only: \"google-ads.nothing\"",
            "google-ads.campaigns",
            "sidecar.toml: limits.refusals: 2000000: expected 0 to 1048576",
            "sidecar.toml: limits.refusal_refill: 0ns: expected 1ms to",
            "sidecar.toml: tenancy.bind_accounts: \"some\": ",
            "sidecar.toml: issuers[0].leeway: 5: ",
            "sidecar.toml: issuers[0].algorithm: unknown key; known here: algorithms",
            "issuers[0]: needs exactly one of",
            "LEGACY_URL: legacy.url: \"https://app:5051/x\"",
            "SIDECAR_LISTNE: not a known name",
            "SIDECAR__BURST__RATIO: burst.ratio: 2",
        ] {
            assert!(all.contains(expected), "missing {expected:?} in:\n{all}");
        }
    }

    #[test]
    fn a_secret_is_never_part_of_a_message() {
        let secret = "short-secret";
        let cases = [
            read("", &[("SIDECAR_JWT_SECRET", secret)]),
            read("[jwt]\nsecret = short-secret\n", &[]),
            read(
                "[[issuers]]\nname = \"a\"\nsecret = [\"short-secret\"]\n",
                &[],
            ),
            read("[admin]\ntoken = \"short-secret\"\nlisten = \"x\"\n", &[]),
        ];
        for outcome in cases {
            let problems = outcome.unwrap_err();
            assert!(
                !format!("{problems} {problems:?}").contains(secret),
                "{problems}"
            );
        }
        let config = read("[admin]\ntoken = \"a-long-enough-secret\"\n", &[]).unwrap();
        assert!(!format!("{config:?}").contains("a-long-enough-secret"));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_file_with_a_secret_in_it_is_known_from_one_that_names_a_file() {
        for (text, expected) in [
            ("", false),
            ("[jwt]\nsecret = \"\"\nsecret_file = \"/etc/jwt\"\n", false),
            ("[jwt]\nsecret = \"0123\"\n", true),
            ("[admin]\ntoken = \"0123\"\n", true),
            ("[sessions]\nseal_key = \"0123\"\n", true),
            (
                "[[issuers]]\nname = \"a\"\n[[issuers]]\nsecret = \"0123\"\n",
                true,
            ),
            ("[jwt]\nsecret = 0123\n", true),
            (crate::DEFAULTS_TOML, false),
        ] {
            assert_eq!(holds_secrets(text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_says_where() {
        let missing = Inputs {
            file: Some("/nowhere/sidecar.toml".into()),
            environment: ISSUER
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect(),
        };
        let problem = load(&missing).unwrap_err().to_string();
        assert!(
            problem.starts_with("/nowhere/sidecar.toml: cannot be read:"),
            "{problem}"
        );
        let problem = read("[server]\nlisten = \n", &[]).unwrap_err().to_string();
        assert!(problem.contains("line 2: not TOML"), "{problem}");
    }

    #[test]
    fn without_an_issuer_it_says_what_to_set() {
        let problem = load(&Inputs::default()).unwrap_err().to_string();
        assert!(problem.contains("SIDECAR_JWT_SECRET"), "{problem}");
        assert!(problem.contains("SIDECAR_JWT_USER_CLAIM"), "{problem}");
    }

    #[test]
    fn secrets_come_from_files_too_without_the_final_newline() {
        let (dir, mut inputs) = inputs("", &[("SIDECAR_JWT_USER_CLAIM", "uid")]);
        let path = dir.path().join("secret");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let name = path.display().to_string();
        inputs
            .environment
            .insert("SIDECAR_JWT_SECRET_FILE".into(), name.clone());
        assert!(load(&inputs).is_ok());
        inputs
            .environment
            .insert("SIDECAR_JWT_SECRET_FILE".into(), format!("{name}x"));
        let problem = load(&inputs).unwrap_err().to_string();
        assert!(
            problem.contains("jwt.secret_file") && problem.contains("cannot be read"),
            "{problem}"
        );
    }

    #[test]
    fn issuers_and_seals_that_cannot_be_are_told() {
        let file = "[sessions]\nseal_key = \"short\"\n\
                    [[issuers]]\nname = \"a\"\nkind = \"keyless\"\n\
                    [[issuers]]\nname = \"b\"\nkind = \"coolbits\"\njwks_url = \"http://x/\"\n\
                    [[issuers]]\nname = \"c\"\nkind = \"coolbits\"\n\
                    [[issuers]]\nname = \"d\"\npem_file = \"/no/such/file\"\n";
        let told = read(file, &[]).unwrap_err().to_string();
        for words in [
            "sessions.seal_key: has 5 bytes: expected at least 32",
            "issuers[0].kind: \"keyless\": expected \"keyed\" or \"coolbits\"",
            "issuers[1]: of kind \"coolbits\" has no keys and no claims",
            "issuers: at most one of kind \"coolbits\"",
            "issuers[3].pem_file: \"/no/such/file\" cannot be read",
        ] {
            assert!(told.contains(words), "{words}\n{told}");
        }
        assert!(!told.contains("short"), "{told}");
    }
}
