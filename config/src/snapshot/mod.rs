//! A configuration as it was applied, for keeping: its file without secrets, what the
//! environment said, and what came out of both.
//!
//! Kept by a digest of [`Snapshot::to_text`], so that what
//! was changed afterwards is not the same one any more. Opens nothing; where they are kept
//! is the process's affair. Not a backup: secrets are filled in again from the file that is
//! there ([`Snapshot::file_with_secrets_of`]).

mod hide;

pub(crate) use hide::is_secret_name;

use crate::changes::leaves;
use crate::checked::Config;
use crate::secret::Secret;
use hide::{HIDDEN, filled, hidden, hidden_toml};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The form that is written, with its version.
const FORMAT: &str = "camarad-config-snapshot/1";

/// A file, without what is or may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Where it was.
    pub path: String,
    /// What it said.
    pub text: String,
}

/// A configuration that was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    format: String,
    /// The sidecar's version: defaults may be others in another one.
    pub version: String,
    /// The configuration file, if there was one.
    pub file: Option<KeptFile>,
    /// What the environment said, by name; secrets are `***`.
    pub environment: BTreeMap<String, String>,
    /// Every setting by key, as JSON; secrets are `***`.
    pub settings: BTreeMap<String, Value>,
    /// Files of `snapshots.include`, as far as they could be read.
    pub included: Vec<KeptFile>,
}

/// Why a text is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No JSON, or not of this shape.
    #[error("it is no snapshot: {0}")]
    Shape(String),
    /// Of another form.
    #[error("its format is {0:?}: expected {FORMAT:?}")]
    Format(String),
}

impl Snapshot {
    /// Of a configuration, with other files as path and text. `from_files` are secrets that
    /// the configuration only names the files of: they must not stand in other files either.
    pub fn of(
        config: &Config,
        version: &str,
        included: Vec<(String, String)>,
        from_files: Vec<Secret>,
    ) -> Self {
        let mut known = config.settings.secrets();
        known.extend(from_files);
        let source = &config.source;
        Self {
            format: FORMAT.to_owned(),
            version: version.to_owned(),
            file: source.file.as_ref().map(|(path, text)| KeptFile {
                path: path.display().to_string(),
                text: hidden_toml(text.expose(), &known),
            }),
            environment: source.environment.clone(),
            settings: leaves(&config.settings),
            included: included
                .into_iter()
                .map(|(path, text)| KeptFile {
                    text: hidden(&path, &text, &known),
                    path,
                })
                .collect(),
        }
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        // Plain data always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As it was written.
    pub fn from_text(text: &str) -> Result<Self, SnapshotError> {
        let shape = |error: serde_json::Error| SnapshotError::Shape(error.to_string());
        let whole: Value = serde_json::from_str(text).map_err(shape)?;
        let format = whole["format"].as_str().unwrap_or_default();
        if format != FORMAT {
            return Err(SnapshotError::Format(format.to_owned()));
        }
        serde_json::from_value(whole).map_err(shape)
    }

    /// The file's text with the secrets that stand under the same keys of `present`; else
    /// the keys whose secrets it has not got.
    pub fn file_with_secrets_of(&self, present: &str) -> Result<String, Vec<String>> {
        let kept = self.file.as_ref().map_or("", |file| &file.text);
        filled(kept, present)
    }
}

/// A text of the environment as it may be shown.
pub(crate) fn without_secret(key: &str, text: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    match is_secret_name(last) && !text.is_empty() {
        true => HIDDEN.to_owned(),
        false => text.to_owned(),
    }
}

/// A configuration file's text as it may be shown.
pub fn shown_file(config: &Config) -> Option<String> {
    let (_, text) = config.source.file.as_ref()?;
    Some(hidden_toml(text.expose(), &config.settings.secrets()))
}

impl crate::Settings {
    /// Every secret that stands in them.
    fn secrets(&self) -> Vec<Secret> {
        crate::changes::secrets(self).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inputs, load};

    fn taken(file: &str, environment: &[(&str, &str)]) -> Snapshot {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sidecar.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter();
        let inputs = Inputs {
            file: Some(path),
            environment: environment
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
        };
        let nginx = "proxy_set_header X-Internal-Token \"0123456789abcdef-admin\";".to_owned();
        let included = vec![("/etc/nginx/x.conf".to_owned(), nginx)];
        Snapshot::of(&load(&inputs).unwrap(), "1", included, Vec::new())
    }

    #[test]
    fn a_snapshot_tells_all_but_the_secrets_and_comes_back_as_it_was() {
        let environment = [
            ("SIDECAR_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("SIDECAR_JWT_USER_CLAIM", "uid"),
            ("LEGACY_URL", "http://127.0.0.1:5999"),
            ("PATH", "/bin"),
        ];
        let file = "[admin]\ntoken = \"0123456789abcdef-admin\"\n[gateway]\nenabled = true\n";
        let snapshot = taken(file, &environment);
        let text = snapshot.to_text();
        assert!(!text.contains("0123456789abcdef"), "{text}");
        assert!(!text.contains("PATH"), "{text}");
        assert_eq!(snapshot.environment["LEGACY_URL"], "http://127.0.0.1:5999");
        assert_eq!(snapshot.environment["SIDECAR_JWT_SECRET"], "***");
        assert_eq!(snapshot.settings["gateway.enabled"], true);
        assert_eq!(snapshot.settings["admin.token"], "***");
        assert_eq!(Snapshot::from_text(&text).unwrap(), snapshot);
        let refilled = snapshot.file_with_secrets_of(file).unwrap();
        assert_eq!(refilled, file);
        assert_eq!(
            snapshot.file_with_secrets_of("").unwrap_err(),
            ["admin.token"]
        );
    }

    #[test]
    fn what_is_no_snapshot_is_told_apart() {
        for (text, words) in [
            ("{", "no snapshot"),
            ("{}", "format is \"\""),
            (r#"{"format": "camarad-config-snapshot/9"}"#, "snapshot/9"),
            (
                r#"{"format": "camarad-config-snapshot/1"}"#,
                "missing field",
            ),
        ] {
            let said = Snapshot::from_text(text).unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
