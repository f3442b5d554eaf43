//! What the app asks of Coolbits by itself: whose it is, and whether it goes on.
//!
//! The app asks with the caller's token, with the shared service account's, or with
//! none (contract, sections 4 to 6). Given our listener as its `COOLBITS_URL`, the
//! service account it is given means nobody ([`Passage::MockLogin`]), and nobody reads
//! nothing but what carries the handle of a run.
//!
//! What goes wrong if misused: a path that is compared otherwise than it is forwarded
//! would be another one, so only plain paths are taken at all ([`is_plain`]).

use crate::accounts::Connector;
use serde_json::Value;
use std::collections::BTreeSet;

/// Digits of a handle: more than 60 bits, and longer than any id of an account.
pub const DIGITS: usize = 19;
/// Selecting a customer of Google Ads, which is part of a read here.
const SELECT: &str = "/api/connectors/googleads/customer";

/// Who a request of the app's says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// No token.
    None,
    /// The one that we gave to whoever asked for the service account's.
    Nobody,
    /// One that has to be looked at.
    Token,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Answered with a token that means nobody.
    MockLogin,
    /// Goes on as it is: signing in, which has no token yet.
    WithoutToken,
    /// Goes on with its token, good or not: Coolbits is asked whose it is.
    Login,
    /// Goes on if its token is a good one.
    Own,
    /// Swallowed: the customer is selected with the read, or not at all.
    Select,
    /// The same, if its token is a good one.
    OwnSelect,
    /// Goes on only as the run whose handle it names.
    Nobody,
}

/// Decides what becomes of a request.
pub fn passage(method: &str, path: &str, bearer: Bearer) -> Passage {
    match (method, path, bearer) {
        ("POST", "/api/auth/mock-login", _) => Passage::MockLogin,
        (
            "GET",
            "/api/auth/google/start"
            | "/api/auth/google/callback"
            | "/api/connectors/ga4/oauth/callback",
            Bearer::None,
        ) => Passage::WithoutToken,
        ("GET", "/api/auth/me", Bearer::Token) => Passage::Login,
        ("POST", SELECT, Bearer::None | Bearer::Nobody) => Passage::Select,
        ("POST", SELECT, Bearer::Token) => Passage::OwnSelect,
        (_, _, Bearer::Token) => Passage::Own,
        (_, _, Bearer::None | Bearer::Nobody) => Passage::Nobody,
    }
}

/// Whether a path can be read in one way only.
pub fn is_plain(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    path.starts_with('/')
        && path.bytes().all(plain)
        && !path
            .split('/')
            .skip(1)
            .any(|s| s.is_empty() || s == "." || s == "..")
}

/// Whether a text has the form of a handle.
pub fn is_handle(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// The one handle that a query names; `None` where it names none, or two.
pub fn handle_in(query: &[(String, String)]) -> Option<&str> {
    let mut found = query
        .iter()
        .map(|(_, value)| value.as_str())
        .filter(|v| is_handle(v));
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// A query for the real account: in the handle's place, without every other name of an
/// account or manager that the app may have added from elsewhere.
pub fn resolved(
    connector: &Connector,
    query: Vec<(String, String)>,
    handle: &str,
    account: &str,
) -> Vec<(String, String)> {
    let names = connector.names();
    let is_account = |name: &str| names.contains(&name) || connector.managers().contains(&name);
    query
        .into_iter()
        .filter(|(name, value)| value == handle || !is_account(name))
        .map(|(name, value)| match value == handle {
            true => (name, account.to_owned()),
            false => (name, value),
        })
        .collect()
}

/// An answer with what handles stand for in their place, wherever they stand in it: within
/// texts, and as the numbers that somebody made of them.
pub fn revealed(answer: Value, real: &dyn Fn(&str) -> Option<String>) -> Value {
    match answer {
        Value::String(text) => Value::String(revealed_text(text, real)),
        Value::Number(number) => {
            let digits = number.to_string();
            match is_handle(&digits).then(|| real(&digits)).flatten() {
                Some(account) => Value::String(account),
                None => Value::Number(number),
            }
        }
        Value::Array(rows) => rows.into_iter().map(|row| revealed(row, real)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (revealed_text(name, real), revealed(member, real)))
            .collect(),
        other => other,
    }
}

/// Every text in an answer that has the form of a handle, whoever's it may be; of `most` at most.
pub fn handle_like(answer: &Value, most: usize) -> BTreeSet<String> {
    let found = std::cell::RefCell::new(BTreeSet::new());
    let note = |digits: &str| {
        let mut found = found.borrow_mut();
        if found.len() < most {
            found.insert(digits.to_owned());
        }
        None
    };
    revealed(answer.clone(), &note);
    found.into_inner()
}

/// What a run's answer says of one step that read by a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing that would have to be proven.
    None,
    /// Real, and it was read.
    Proven,
    /// Real, and nothing was read for it: not told any more.
    Empty,
    /// Real, with figures that were not read for it.
    Foreign,
}

/// Looks at what a step says of its figures, and takes off what it says without right.
/// `was_read`: the handle's account was answered for.
pub fn proven(result: &mut Value, was_read: bool) -> Claim {
    let Some(data) = result.get_mut("data").and_then(Value::as_object_mut) else {
        return Claim::None;
    };
    if data.get("source").is_none_or(|source| source != "coolbits") {
        return Claim::None;
    }
    if was_read {
        return Claim::Proven;
    }
    let mut has_figures = false;
    for name in ["kpis", "metric_values"] {
        if let Some(figures) = data.get_mut(name) {
            has_figures |= match &*figures {
                Value::Object(all) => !all.is_empty(),
                Value::Array(all) => !all.is_empty(),
                Value::Null => false,
                _ => true,
            };
            *figures = Value::Object(serde_json::Map::new());
        }
    }
    data.insert("source".to_owned(), Value::from("unknown"));
    match has_figures {
        true => Claim::Foreign,
        false => Claim::Empty,
    }
}

fn revealed_text(text: String, real: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut found = false;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[start..];
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let run = &digits[..end];
        out.push_str(&rest[..start]);
        match is_handle(run).then(|| real(run)).flatten() {
            Some(account) => {
                found = true;
                out.push_str(&account);
            }
            None => out.push_str(run),
        }
        rest = &digits[end..];
    }
    out.push_str(rest);
    if found { out } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HANDLE: &str = "1234567890123456789";

    #[test]
    fn each_request_has_one_passage() {
        let cases = [
            (
                "POST",
                "/api/auth/mock-login",
                Bearer::None,
                Passage::MockLogin,
            ),
            (
                "POST",
                "/api/auth/mock-login",
                Bearer::Token,
                Passage::MockLogin,
            ),
            (
                "GET",
                "/api/auth/google/start",
                Bearer::None,
                Passage::WithoutToken,
            ),
            (
                "GET",
                "/api/auth/google/callback",
                Bearer::None,
                Passage::WithoutToken,
            ),
            (
                "GET",
                "/api/connectors/ga4/oauth/callback",
                Bearer::None,
                Passage::WithoutToken,
            ),
            // By method and path: nothing else without a token.
            (
                "POST",
                "/api/auth/google/start",
                Bearer::None,
                Passage::Nobody,
            ),
            ("GET", "/api/auth/google", Bearer::None, Passage::Nobody),
            (
                "GET",
                "/api/auth/google/start",
                Bearer::Nobody,
                Passage::Nobody,
            ),
            ("GET", "/api/auth/me", Bearer::Token, Passage::Login),
            ("GET", "/api/auth/me", Bearer::Nobody, Passage::Nobody),
            ("POST", "/api/auth/me", Bearer::Token, Passage::Own),
            ("POST", "/api/runs", Bearer::Token, Passage::Own),
            ("POST", "/api/runs", Bearer::Nobody, Passage::Nobody),
            (
                "GET",
                "/api/connectors/ga4/report",
                Bearer::None,
                Passage::Nobody,
            ),
            ("POST", SELECT, Bearer::Nobody, Passage::Select),
            ("POST", SELECT, Bearer::Token, Passage::OwnSelect),
            ("GET", SELECT, Bearer::Nobody, Passage::Nobody),
        ];
        for (method, path, bearer, expected) in cases {
            assert_eq!(
                passage(method, path, bearer),
                expected,
                "{method} {path} {bearer:?}"
            );
        }
    }

    #[test]
    fn only_plain_paths_are_taken() {
        for good in ["/api/auth/me", "/api/runs/0f-1_a.b/llm"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "api",
            "//api",
            "/api/../x",
            "/api/./x",
            "/api/%61",
            "/api/x;y",
            "/api/x/",
            "/caf\u{e9}",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_query_is_read_for_the_account_of_its_one_handle() {
        let ads = Connector::find("google-ads").unwrap();
        let asked = query(&[
            ("account_id", HANDLE),
            ("customer_id", "2345678901"),
            ("mcc", "234-567-8901"),
            ("days", "7"),
        ]);
        assert_eq!(handle_in(&asked), Some(HANDLE));
        let real = resolved(ads, asked, HANDLE, "123-456-7890");
        assert_eq!(
            real,
            query(&[("account_id", "123-456-7890"), ("days", "7")])
        );
        let two = query(&[("account_id", HANDLE), ("x", "2234567890123456789")]);
        assert_eq!(handle_in(&two), None);
        assert_eq!(handle_in(&query(&[("account_id", "123-456-7890")])), None);
    }

    #[test]
    fn what_handles_stand_for_stands_in_the_answer() {
        let real = |id: &str| (id == HANDLE).then(|| "123-456-7890".to_owned());
        let number: u64 = HANDLE.parse().unwrap();
        let answer = json!({"a": HANDLE, "b": [format!("Read {HANDLE}, not 9{HANDLE}")], "c": number, "d": 5, "e": null});
        let told = revealed(answer, &real);
        assert_eq!(told["a"], "123-456-7890");
        assert_eq!(told["b"][0], format!("Read 123-456-7890, not 9{HANDLE}"));
        assert_eq!(
            (&told["c"], &told["d"]),
            (&json!("123-456-7890"), &json!(5))
        );
    }

    #[test]
    fn names_of_members_are_revealed_and_all_that_looks_like_a_handle_is_found() {
        let real = |id: &str| (id == HANDLE).then(|| "1".to_owned());
        let answer = json!({HANDLE: {"a": "2234567890123456789 and 12345"}});
        assert_eq!(
            revealed(answer.clone(), &real),
            json!({"1": {"a": "2234567890123456789 and 12345"}})
        );
        let both = [HANDLE, "2234567890123456789"].map(str::to_owned);
        assert_eq!(handle_like(&answer, 10), both.into());
        assert_eq!(handle_like(&answer, 1).len(), 1);
    }

    #[test]
    fn figures_that_were_not_read_are_not_called_real() {
        let step = |source: &str, kpis: Value| json!({"data": {"source": source, "kpis": kpis, "metric_values": {}}});
        let figures = json!({"Clicks": "7"});
        let cases = [
            (
                step("mock", figures.clone()),
                false,
                Claim::None,
                step("mock", figures.clone()),
            ),
            (
                step("coolbits", figures.clone()),
                true,
                Claim::Proven,
                step("coolbits", figures.clone()),
            ),
            (
                step("coolbits", json!({})),
                false,
                Claim::Empty,
                step("unknown", json!({})),
            ),
            (
                step("coolbits", figures),
                false,
                Claim::Foreign,
                step("unknown", json!({})),
            ),
            (json!({"data": 1}), false, Claim::None, json!({"data": 1})),
        ];
        for (mut result, was_read, claim, expected) in cases {
            assert_eq!(proven(&mut result, was_read), claim, "{expected}");
            assert_eq!(result, expected);
        }
    }
}
