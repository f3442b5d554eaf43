//! Looking an answer of the app through for ids of somebody else.
//!
//! Each rule says where ids stand in its answers. One of another tenant there
//! means that a check of the app or of ours was passed that should not have
//! been: the answer is blocked, or, where the rule says so, its row dropped.
//! Not here: fields that only look like ids of ours (`config.client_id`).

use crate::ids::{ClientId, Named, UserId};
use crate::matrix::{OnForeign, Rule, UserWide};
use crate::pointer::Pointer;
use serde_json::Value;

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// It goes on as it is.
    Pass,
    /// Rows were dropped; this goes on instead.
    Filtered {
        /// The JSON that is left.
        body: Vec<u8>,
        /// How many rows went.
        dropped: usize,
    },
    /// It does not go on.
    Blocked,
    /// It cannot be looked through, and does not go on either.
    Unreadable,
}

/// Whose ids an answer may hold.
pub struct Mine<'a> {
    /// Whether the caller may use the client.
    pub client: &'a dyn Fn(ClientId) -> bool,
    /// The caller.
    pub user: Option<UserId>,
}

/// Every client id that stands in an answer where the rule looks.
pub fn clients(rule: &Rule, answer: &[u8]) -> Vec<ClientId> {
    let Ok(value) = serde_json::from_slice::<Value>(answer) else {
        return Vec::new();
    };
    let found = rule.egress.iter().flat_map(|pointer| pointer.find(&value));
    found
        .filter_map(|id| match named(id) {
            Some(Named::Client(client)) => Some(client),
            _ => None,
        })
        .collect()
}

/// Looks a 2xx answer through.
pub fn check(rule: &Rule, answer: &[u8], mine: &Mine<'_>) -> Egress {
    if !rule.has_egress() {
        return Egress::Pass;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(answer) else {
        return Egress::Unreadable;
    };
    let client = |id: &Value| match named(id) {
        Some(Named::Client(client)) => (mine.client)(client),
        Some(Named::NoClient) => true,
        None => false,
    };
    let user = |id: &Value| match named(id) {
        // Client and user ids share one grammar.
        Some(Named::Client(id)) => mine.user.is_some_and(|user| user.get() == id.get()),
        Some(Named::NoClient) => true,
        None => false,
    };
    let looks: Vec<Look> = rule
        .egress
        .iter()
        .map(|p| (p, &client as &dyn Fn(&Value) -> bool))
        .chain(
            rule.egress_users
                .iter()
                .map(|p| (p, &user as &dyn Fn(&Value) -> bool)),
        )
        .collect();
    if rule.on_foreign == OnForeign::Filter || rule.user_wide == UserWide::Filter {
        return filter(&mut value, &looks);
    }
    let is_mine = looks
        .iter()
        .all(|(pointer, mine)| pointer.find(&value).into_iter().all(mine));
    match is_mine {
        true => Egress::Pass,
        false => Egress::Blocked,
    }
}

/// Where to look, and what may stand there.
type Look<'a> = (&'a Pointer, &'a dyn Fn(&Value) -> bool);

fn filter(value: &mut Value, looks: &[Look<'_>]) -> Egress {
    let mut lists = 0;
    let mut dropped = 0;
    for (pointer, mine) in looks {
        let Some((list, row)) = pointer.rows() else {
            return Egress::Blocked;
        };
        let Some(Value::Array(rows)) = list.find_mut(value) else {
            continue;
        };
        lists += 1;
        let before = rows.len();
        rows.retain(|at| row.find(at).into_iter().all(mine));
        dropped += before - rows.len();
    }
    match (lists, dropped) {
        // A shape that the rule does not know may hold anything.
        (0, _) => Egress::Blocked,
        (_, 0) => Egress::Pass,
        (_, dropped) => Egress::Filtered {
            body: format!("{value}\n").into_bytes(),
            dropped,
        },
    }
}

/// An id as it stands in JSON; `None` for what is neither an id nor a word for none.
fn named(id: &Value) -> Option<Named> {
    match id {
        Value::Null => Some(Named::NoClient),
        Value::Number(number) => Named::parse(&number.to_string()).ok(),
        Value::String(text) => Named::parse(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    fn run(rule: &str, answer: &str) -> Egress {
        let matrix = Matrix::built_in().unwrap();
        let rule = matrix.rules().iter().find(|r| r.name == rule).unwrap();
        let mine = Mine {
            client: &|client| [10, 11].contains(&client.get()),
            user: UserId::parse("1").ok(),
        };
        check(rule, answer.as_bytes(), &mine)
    }

    #[test]
    fn an_id_of_somebody_else_is_blocked_or_its_row_dropped() {
        use Egress::*;
        let filtered = |text: &str, dropped| Filtered {
            body: format!("{text}\n").into_bytes(),
            dropped,
        };
        let cases = [
            (
                "flows.list",
                r#"[{"client_id":10},{"client_id":null},{"id":20}]"#,
                Pass,
            ),
            (
                "flows.list",
                r#"[{"client_id":10},{"client_id":20}]"#,
                Blocked,
            ),
            ("flows.list", r#"[{"client_id":"20"}]"#, Blocked),
            ("flows.list", r#"[{"client_id":[20]}]"#, Blocked),
            ("flows.list", r#"[{"client_id":20.0}]"#, Blocked),
            ("flows.list", r#"[{"flow":{"client_id":20}}]"#, Pass),
            ("flows.list", "<html>", Unreadable),
            ("flows.one", r#"{"client_id":20}"#, Blocked),
            (
                "connectors.read",
                r#"{"client_id":0,"config":{"client_id":"paypal"}}"#,
                Pass,
            ),
            (
                "users",
                r#"[{"id":1,"name":"a"},{"id":2}]"#,
                filtered(r#"[{"id":1,"name":"a"}]"#, 1),
            ),
            ("users", r#"{"users":[{"id":2}]}"#, Blocked),
            (
                "clients.list",
                r#"[{"id":20},{"id":11}]"#,
                filtered(r#"[{"id":11}]"#, 1),
            ),
            ("clients.list", r#"[{"id":10}]"#, Pass),
            ("maturity", r#"{"client_id":20}"#, Pass),
        ];
        for (rule, answer, expected) in cases {
            assert_eq!(run(rule, answer), expected, "{rule} {answer}");
        }
    }
}
