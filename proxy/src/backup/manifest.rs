//! What an archive says of itself: `manifest.json`, its first member.
//!
//! ```json
//! {"format": "camarad-backup", "version": 1, "created_at": "2026-11-26T03:33:47Z",
//!  "versions": {"sidecar": "0.1.0", "sqlite": "3.50.0"}, "holds_secrets": false,
//!  "members": [{"path": "state/runs.db", "size": 4096, "sha256": "…", "database": {…}}]}
//! ```
//!
//! A manifest that was read is one whose members have paths of ours, each once. That they are
//! in the archive, and nothing else is, is for [`super::unpack`]. It is no proof of where an
//! archive comes from: who can write archives can write manifests.

use super::database::Facts;
use camarad_policies::backup::{Member, is_inside};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// Its path in the archive.
pub(super) const PATH: &str = "manifest.json";
/// Its largest size, in bytes.
pub(super) const LARGEST: u64 = 16 << 20;
const FORMAT: &str = "camarad-backup";
const VERSION: u64 = 1;

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: String,
    version: u64,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) versions: Versions,
    /// Whether the configuration file in it holds secrets, and not only names of their files.
    pub(crate) holds_secrets: bool,
    pub(crate) members: Vec<Entry>,
}

/// Who wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) sidecar: String,
    pub(crate) sqlite: String,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// As [`Member::of`] knows it.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// In hex.
    pub(crate) sha256: String,
    /// Of databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<Facts>,
}

/// Why it is not a manifest of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("it is not an archive of camarad-sidecar: {0}")]
    Foreign(String),
    #[error(
        "it was written by a newer version (format {0}; this one knows up to {VERSION}): restore it with that one"
    )]
    Newer(u64),
    #[error("{0:?} leads out of its directory")]
    LeadsOut(String),
}

impl Manifest {
    pub(super) fn new(
        created_at: OffsetDateTime,
        holds_secrets: bool,
        members: Vec<Entry>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            created_at,
            versions: Versions {
                sidecar: env!("CARGO_PKG_VERSION").to_owned(),
                sqlite: rusqlite::version().to_owned(),
            },
            holds_secrets,
            members,
        }
    }

    /// Reads one, and holds it to what archives of ours have.
    pub(super) fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        /// What stands in every version.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u64,
        }
        let foreign = |words: String| ManifestError::Foreign(words);
        let head: Head = serde_json::from_slice(text)
            .map_err(|error| foreign(format!("{PATH} names no format and version: {error}")))?;
        if head.format != FORMAT {
            return Err(foreign(format!("its format is {:?}", head.format)));
        }
        if head.version > VERSION {
            return Err(ManifestError::Newer(head.version));
        }
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| foreign(format!("{PATH} cannot be read: {error}")))?;
        let mut seen = BTreeSet::new();
        for entry in &manifest.members {
            let path = &entry.path;
            let Some(member) = Member::of(path) else {
                return Err(match is_inside(path) {
                    true => foreign(format!("{PATH} lists {path:?}, which no archive has")),
                    false => ManifestError::LeadsOut(path.clone()),
                });
            };
            if member.is_database() != entry.database.is_some() {
                let words = "says of a database nothing, or of another file too much";
                return Err(foreign(format!("{PATH} {words}: {path:?}")));
            }
            if !seen.insert(path) {
                return Err(foreign(format!("{PATH} lists {path:?} twice")));
            }
        }
        Ok(manifest)
    }

    /// The entry of a member that has one path.
    pub(super) fn entry(&self, member: Member) -> Option<&Entry> {
        self.members
            .iter()
            .find(|entry| entry.path == member.path())
    }

    /// Bytes of everything in it; as large as can be where that is more.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = self.members.iter().map(|entry| entry.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// Seconds from when it was begun to this time; 0 where that is yet to come.
    pub(super) fn age_seconds(&self, now: OffsetDateTime) -> u64 {
        u64::try_from((now - self.created_at).whole_seconds()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        let members = vec![Entry {
            path: Member::Sessions.path().to_owned(),
            size: 2,
            sha256: "00".to_owned(),
            database: None,
        }];
        let at = time::macros::datetime!(2026-11-26 03:33:47 UTC);
        serde_json::to_value(Manifest::new(at, false, members)).unwrap()
    }

    fn parse(value: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn what_was_written_is_read() {
        let read = parse(&good()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), good());
        assert_eq!(good()["created_at"], "2026-11-26T03:33:47Z");
        assert_eq!(read.bytes(), 2);
        let later = time::macros::datetime!(2026-11-26 03:34:47 UTC);
        assert_eq!(read.age_seconds(later), 60);
        assert_eq!(read.age_seconds(time::OffsetDateTime::UNIX_EPOCH), 0);
    }

    #[test]
    fn others_are_told_apart() {
        let entry = |path: &str| json!({"path": path, "size": 0, "sha256": ""});
        let with = |key: &str, value: Value| {
            let mut all = good();
            all[key] = value;
            parse(&all).unwrap_err().to_string()
        };
        for (key, value, words) in [
            ("format", json!("tarsnap"), "its format is \"tarsnap\""),
            ("format", json!(null), "names no format"),
            ("version", json!(2), "a newer version (format 2; this one"),
            ("created_at", json!("yesterday"), "cannot be read"),
            ("members", json!([entry("../x")]), "\"../x\" leads out"),
            ("members", json!([entry("/x")]), "\"/x\" leads out"),
            ("members", json!([entry("x")]), "lists \"x\", which no"),
            ("members", json!([entry("state/runs.db")]), "says of a"),
            (
                "members",
                json!([entry("state/sessions.json"), entry("state/sessions.json")]),
                "twice",
            ),
        ] {
            let told = with(key, value.clone());
            assert!(told.contains(words), "{key} {value}: {told}");
        }
        assert!(Manifest::parse(b"\x00").is_err());
    }
}
