//! Configurations that were applied, and what the last change of them changed.
//!
//! Settings hold no secrets here, but names of accounts and whom Coolbits knows: those
//! values are told to the admin token only.

use super::facts::{Difference, SettingChange, Snapshot};
use crate::snapshots::{Entry, Snapshots, short};
use camarad_config::told_key;
use std::collections::BTreeSet;
use std::path::Path;

/// Snapshots that are shown.
const MOST: usize = 4;
/// Settings of a difference that are shown.
const MOST_CHANGES: usize = 6;
/// Settings whose values are not everybody's to see, with what is below them.
const WITHHELD: [&str; 5] = [
    "gateway.accounts",
    "gateway.email",
    "gateway.workspace",
    "issuers",
    "jwt",
];

/// The last of them, the newest first; none where none can be read.
pub(super) fn newest(state_dir: &Path) -> Vec<Snapshot> {
    let entries = Snapshots::of(state_dir).entries().unwrap_or_default();
    let in_force = entries.iter().rposition(|entry| entry.applied);
    let newest = entries.iter().enumerate().rev().take(MOST);
    newest
        .map(|(at, entry)| Snapshot {
            id: short(&entry.id).to_owned(),
            time: entry.time.clone(),
            reason: entry.reason.clone(),
            in_force: in_force == Some(at),
            rolled_back: entry.rolled_back,
        })
        .collect()
}

/// What is another setting than in the configuration before the present one.
pub(super) fn difference(state_dir: &Path, named: bool) -> Option<Difference> {
    let kept = Snapshots::of(state_dir);
    let read = |entry: Entry| Some((kept.read(&entry.id).ok()?.settings, entry));
    let (old, before) = read(kept.find("previous").ok()?)?;
    let (new, now) = read(kept.find("latest").ok()?)?;
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    let told = |value: Option<&serde_json::Value>, key: &str| match named || !is_withheld(key) {
        true => value.map_or("(none)".to_owned(), ToString::to_string),
        false => "(not shown)".to_owned(),
    };
    let mut changes: Vec<SettingChange> = differs
        .map(|key| SettingChange {
            key: match named {
                true => key.clone(),
                false => told_key(key).to_owned(),
            },
            before: told(old.get(key), key),
            after: told(new.get(key), key),
        })
        .collect();
    // Of what is told by one key, once is enough.
    changes.dedup_by(|one, other| one.key == other.key);
    let more = changes.len().saturating_sub(MOST_CHANGES);
    changes.truncate(MOST_CHANGES);
    Some(Difference {
        from: short(&before.id).to_owned(),
        to: short(&now.id).to_owned(),
        changes,
        more,
    })
}

fn is_withheld(key: &str) -> bool {
    WITHHELD.iter().any(|withheld| {
        let rest = key.strip_prefix(withheld);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_everybodys_are_known_by_their_key() {
        for key in [
            "gateway.accounts.10.ga4",
            "gateway.email",
            "issuers[0].name",
        ] {
            assert!(is_withheld(key), "{key}");
        }
        for key in ["gateway.enabled", "gateway.emails", "cache.ttl_percent"] {
            assert!(!is_withheld(key), "{key}");
        }
    }
}
