//! What is another setting in one configuration than in another.
//!
//! By key, with both values as JSON; secrets are `***` in both and are told to differ all
//! the same. Not here: what a file says that a secret's name points to.

use crate::secret::Secret;
use crate::settings::Settings;
use serde_json::Value;
use std::collections::BTreeMap;

/// Keys whose change takes a new process: what is bound, opened or sized at the start. A
/// name stands for all below it.
const AT_START: [&str; 17] = [
    "admin.listen",
    "audit",
    "behind",
    "burst",
    "cache.capacity_bytes",
    "ledger",
    "limits.buffered_bytes",
    "limits.refusal_refill",
    "limits.refusals",
    "server.access_log",
    "server.listen",
    "server.log",
    "server.state_dir",
    "server.threads",
    "sessions.seal_key",
    "sessions.seal_key_file",
    "tenancy.directory_ttl",
];

/// A setting that is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// What it was, as JSON; null where there was none.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

impl Change {
    /// Whether it takes a new process.
    pub fn needs_restart(&self) -> bool {
        AT_START.iter().any(|at_start| {
            let rest = self.key.strip_prefix(at_start);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// A key as it may be told to people: what stands below it may be a client's id.
pub fn told_key(key: &str) -> &str {
    const BY_CLIENT: &str = "gateway.accounts";
    match key.strip_prefix(BY_CLIENT) {
        Some(rest) if rest.starts_with('.') => BY_CLIENT,
        _ => key,
    }
}

/// The keys of changes as they may be told, each once.
pub fn told_keys(changes: &[Change]) -> Vec<String> {
    let keys = changes.iter().map(|change| told_key(&change.key));
    let keys: std::collections::BTreeSet<&str> = keys.collect();
    keys.into_iter().map(str::to_owned).collect()
}

/// What differs, by key.
pub fn changes(before: &Settings, after: &Settings) -> Vec<Change> {
    let (old, new) = (leaves(before), leaves(after));
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let secrets = (secrets(before), secrets(after));
    let differs = |key: &&&String| {
        old.get(**key) != new.get(**key) || secrets.0.get(**key) != secrets.1.get(**key)
    };
    let of = |leaves: &BTreeMap<String, Value>, key: &String| {
        leaves.get(key).cloned().unwrap_or_default()
    };
    let change = |key: &String| Change {
        key: key.clone(),
        before: of(&old, key),
        after: of(&new, key),
    };
    keys.iter().filter(differs).map(|key| change(key)).collect()
}

/// The settings as key and value, secrets as `***`.
pub fn leaves(settings: &Settings) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // Plain data always serialises.
    let whole = serde_json::to_value(settings).unwrap_or_default();
    flatten(String::new(), whole, &mut leaves);
    leaves
}

fn flatten(at: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let key = match at.is_empty() {
                    true => name,
                    false => format!("{at}.{name}"),
                };
                flatten(key, member, leaves);
            }
        }
        Value::Array(rows) if rows.iter().any(Value::is_object) => {
            for (n, row) in rows.into_iter().enumerate() {
                flatten(format!("{at}[{n}]"), row, leaves);
            }
        }
        leaf => {
            leaves.insert(at, leaf);
        }
    }
}

/// Every secret that stands in the settings themselves.
pub(crate) fn secrets(settings: &Settings) -> BTreeMap<String, Secret> {
    let issuers = settings.issuers.iter().enumerate();
    let issuers =
        issuers.map(|(n, issuer)| (format!("issuers[{n}].secret"), issuer.secret.clone()));
    let own = [
        ("admin.token".to_owned(), settings.admin.token.clone()),
        ("jwt.secret".to_owned(), settings.jwt.secret.clone()),
        (
            "sessions.seal_key".to_owned(),
            settings.sessions.seal_key.clone(),
        ),
    ];
    own.into_iter().chain(issuers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_told_by_key_and_secrets_are_not_told() {
        let before = Settings::default();
        let mut after = before.clone();
        assert_eq!(changes(&before, &after), []);
        after.gateway.enabled = true;
        after
            .tenancy
            .modes
            .insert("flows.list".into(), "report".into());
        after.admin.token = Secret::new("0123456789abcdef");
        let mut rotated = after.clone();
        rotated.admin.token = Secret::new("fedcba9876543210");
        let told = changes(&before, &after);
        let keys: Vec<&str> = told.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "admin.token",
                "gateway.enabled",
                "tenancy.modes",
                "tenancy.modes.flows.list"
            ]
        );
        assert_eq!(
            (&told[1].before, &told[1].after),
            (&json!(false), &json!(true))
        );
        let told = changes(&after, &rotated);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0].before, &told[0].after),
            (&json!("***"), &json!("***"))
        );
        assert!(!format!("{told:?}").contains("fedcba"));
    }

    #[test]
    fn no_client_is_told_by_a_key() {
        for (key, told) in [
            ("gateway.accounts.4711", "gateway.accounts"),
            ("gateway.accounts.4711[0]", "gateway.accounts"),
            ("gateway.accounts", "gateway.accounts"),
            ("gateway.accountsx", "gateway.accountsx"),
            ("tenancy.modes.flows.list", "tenancy.modes.flows.list"),
        ] {
            assert_eq!(told_key(key), told);
        }
        let mut after = Settings::default();
        let accounts = &mut after.gateway.accounts;
        accounts.insert("31".into(), vec!["123-456-7890".into()]);
        accounts.insert("32".into(), vec!["123-456-7891".into()]);
        let told = told_keys(&changes(&Settings::default(), &after));
        assert_eq!(told, ["gateway.accounts"]);
    }

    #[test]
    fn what_is_bound_or_opened_at_the_start_takes_a_new_process() {
        let needs = |key: &str| {
            let change = Change {
                key: key.into(),
                before: Value::Null,
                after: Value::Null,
            };
            change.needs_restart()
        };
        for key in [
            "server.listen",
            "behind.listen",
            "audit.log",
            "ledger.required",
            "sessions.seal_key",
        ] {
            assert!(needs(key), "{key}");
        }
        for key in [
            "gateway.url",
            "server.trusted_proxies",
            "tenancy.modes.flows.list",
            "issuers[0].secret",
            "server.listener",
        ] {
            assert!(!needs(key), "{key}");
        }
    }
}
