//! `accounts`: whatever list Coolbits gives, as the selector of the page wants it.

use super::{Answer, MapError};
use crate::gateway::rows::{Row, bad, dashed, digits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One entry of the account selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `MCC` or `Client`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) currency: String,
    pub(crate) timezone: String,
    pub(crate) parent_mcc: Option<String>,
}

pub(super) fn map(payload: &Value) -> Result<Answer, MapError> {
    const LISTS: [&str; 6] = [
        "accounts",
        "customers",
        "clients",
        "items",
        "data",
        "results",
    ];
    let entries = match payload {
        Value::Array(entries) => entries,
        Value::Object(object) => {
            let list = LISTS.iter().find_map(|key| object.get(*key)?.as_array());
            let named = LISTS
                .iter()
                .any(|key| object.get(*key).is_some_and(|v| !v.is_null()));
            match list {
                Some(entries) => entries,
                None if named => return Err(bad("the accounts are not a list".into())),
                None => return Err(MapError::Empty),
            }
        }
        _ => return Err(bad("the payload is neither a list nor an object".into())),
    };
    let mut seen = BTreeSet::new();
    let mut accounts = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(account) = account(entry)?
            && seen.insert(account.id.clone())
        {
            accounts.push(account);
        }
    }
    if accounts.is_empty() {
        return Err(MapError::Empty);
    }
    Ok(answer(&accounts))
}

/// The answer: clients first, then managers, each by name.
pub(super) fn answer(accounts: &[Account]) -> Answer {
    let mut sorted = accounts.to_vec();
    sorted
        .sort_by(|a, b| (a.kind == "MCC", &a.name, &a.id).cmp(&(b.kind == "MCC", &b.name, &b.id)));
    let mut answer = Answer::new();
    answer.insert("accounts".into(), json!(sorted));
    answer
}

fn account(entry: &Value) -> Result<Option<Account>, MapError> {
    const IDS: [&str; 8] = [
        "id",
        "account_id",
        "accountId",
        "customer_id",
        "customerId",
        "cid",
        "resource_name",
        "resourceName",
    ];
    if let Value::String(bare) = entry {
        let id = id(bare);
        return Ok((!id.is_empty()).then(|| Account {
            name: format!("Account {id}"),
            id,
            kind: "Client".into(),
            currency: "USD".into(),
            timezone: "UTC".into(),
            parent_mcc: None,
        }));
    }
    let row = Row::new(entry)?;
    let Some(id) = row
        .text(&IDS)?
        .map(|text| id(&text))
        .filter(|id| !id.is_empty())
    else {
        return Ok(None);
    };
    let manager = match row.text(&["type"]) {
        Ok(Some(kind)) => matches!(kind.to_ascii_uppercase().as_str(), "MCC" | "MANAGER"),
        _ => row.flag(&["isManager", "manager", "is_manager"]),
    };
    let name = row.text(&["name", "descriptiveName", "customerName", "label"])?;
    Ok(Some(Account {
        name: name.unwrap_or_else(|| format!("Account {id}")),
        kind: if manager { "MCC" } else { "Client" }.into(),
        currency: row
            .text(&["currency", "currencyCode"])?
            .unwrap_or_else(|| "USD".into()),
        timezone: row
            .text(&["timezone", "timeZone"])?
            .unwrap_or_else(|| "UTC".into()),
        parent_mcc: row.text(&["parent_mcc", "managerCustomerId", "manager_id"])?,
        id,
    }))
}

/// `customers/123…` is cut, ten digits are dashed.
fn id(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("customers/").unwrap_or(text);
    let text = text.split('/').next().unwrap_or(text);
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => dashed(text),
        false => text.to_owned(),
    }
}

/// The ids of accounts whose name only repeats the id.
pub(crate) fn placeholders(answer: &Answer) -> Vec<String> {
    let accounts: Vec<Account> = read(answer);
    let repeats = |account: &Account| {
        let rest = account
            .name
            .strip_prefix("Account")
            .unwrap_or(&account.name);
        let only_digits = rest
            .bytes()
            .all(|b| b.is_ascii_digit() || b" -".contains(&b));
        account.name == account.id
            || rest.trim() == account.id
            || (only_digits && digits(rest) == digits(&account.id))
    };
    let held = accounts.into_iter().filter(repeats);
    held.map(|account| account.id).collect()
}

/// The answer with the names that were looked up; each is a pair of id and report payload.
pub(crate) fn rename(answer: &Answer, reports: &[(String, Value)]) -> Answer {
    const NAMES: [&str; 6] = [
        "account_name",
        "accountName",
        "customer_name",
        "customerName",
        "descriptive_name",
        "descriptiveName",
    ];
    let mut accounts: Vec<Account> = read(answer);
    for (id, report) in reports {
        // A report about another account has another account's name.
        if crate::gateway::rows::check_account(report, id).is_err() {
            continue;
        }
        let overview = &report["data"]["overview"];
        let name = NAMES.iter().find_map(|key| overview.get(*key)?.as_str());
        if let Some(name) = name.filter(|name| !name.is_empty())
            && let Some(account) = accounts.iter_mut().find(|a| a.id == *id)
        {
            account.name = name.to_owned();
        }
    }
    self::answer(&accounts)
}

fn read(answer: &Answer) -> Vec<Account> {
    let accounts = answer.get("accounts").cloned().unwrap_or_default();
    serde_json::from_value(accounts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(payload: Value) -> Vec<Account> {
        read(&map(&payload).unwrap())
    }

    #[test]
    fn lists_of_every_kind_become_one() {
        let accounts = mapped(json!({"items": [
            {"resource_name": "customers/0001112222", "descriptiveName": "Group", "isManager": true},
            "2345678901",
            {"customerId": 1234567890u64, "customerName": "Store", "currencyCode": "EUR",
             "timeZone": "Europe/Bucharest", "managerCustomerId": "0001112222"},
            {"id": "123-456-7890", "name": "again"},
            {"name": "no id"},
            {"id": "x-1", "label": "Odd", "type": "manager"},
        ]}));
        let shown: Vec<_> = accounts
            .iter()
            .map(|a| (a.id.as_str(), a.name.as_str(), a.kind.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("234-567-8901", "Account 234-567-8901", "Client"),
                ("123-456-7890", "Store", "Client"),
                ("000-111-2222", "Group", "MCC"),
                ("x-1", "Odd", "MCC"),
            ]
        );
        assert_eq!(accounts[0].currency, "USD");
        assert_eq!(accounts[1].parent_mcc.as_deref(), Some("0001112222"));
        assert_eq!(mapped(json!(["123"]))[0].id, "123");
    }

    #[test]
    fn names_that_only_repeat_the_id_are_looked_up() {
        let answer = map(&json!([
            {"id": "1234567890", "name": "Store"},
            {"id": "2345678901"},
            {"id": "3456789012", "name": "3456789012"},
            {"id": "4567890123", "name": "Account 4567890123"},
            {"id": "5678901234", "name": "Account of the year"},
        ]))
        .unwrap();
        let found = placeholders(&answer);
        assert_eq!(found, ["345-678-9012", "234-567-8901", "456-789-0123"]);
        let reports = [
            (
                found[1].clone(),
                json!({"data": {"overview": {"accountName": "Zeta"}}}),
            ),
            (
                found[0].clone(),
                json!({"customerId": "1", "data": {"overview": {"accountName": "Other"}}}),
            ),
            (found[2].clone(), json!({"data": []})),
        ];
        let accounts = read(&rename(&answer, &reports));
        let names: Vec<_> = accounts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "3456789012",
                "Account 4567890123",
                "Account of the year",
                "Store",
                "Zeta"
            ]
        );
    }
}
