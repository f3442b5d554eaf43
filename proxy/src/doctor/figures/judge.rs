//! What an answer with figures says of itself, and what to do about each reason for
//! which Coolbits gave none. Pure.

use super::super::probe::{Answer, Got};
use super::super::report::{Finding, plain};
use serde_json::Value;

/// One read, and what should come of it.
pub(super) struct Wanted {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    /// The list that holds the rows; `None` for one row of figures.
    pub(super) rows: Option<&'static str>,
    /// What is counted.
    pub(super) what: &'static str,
}

/// Judges an answer of `who`.
pub(super) fn read(wanted: &Wanted, got: &Got, who: &str) -> Finding {
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => {
            return trouble.finding(who, "see that the app and Coolbits answer, and its log");
        }
    };
    let said = answer.json();
    // GA4's funnel alone answers an error with another status, and is not read here.
    if answer.status != 200 {
        return refused(answer, &said, who);
    }
    let word = |value: &Value| value.as_str().map(plain).unwrap_or_default();
    let gateway = &said["gateway"];
    let error = [&gateway["error"], &said["error"]].map(word);
    let error = error.into_iter().find(|error| !error.is_empty());
    let reason = word(&gateway["reason"]);
    match (word(&said["source"]).as_str(), error, reason.as_str()) {
        ("coolbits", None, _) => rows(wanted, answer, &said),
        ("coolbits" | "mock", Some(code), _) => missed(&code, gateway),
        ("mock", None, "disabled") => Finding::warn(
            format!("made up: the gateway is off in {who}"),
            "set COOLBITS_GATEWAY_ENABLED=on, or switch it on (POST /gateway on the admin listener)",
        ),
        ("mock", None, "mock_only") => {
            Finding::warn("made up: it is in gateway.mock_only", "take it out there")
        }
        _ => Finding::fail(
            format!(
                "{who} does not say where the figures come from (X-Camarad-Source: {})",
                match answer.header("x-camarad-source") {
                    "" => "none".into(),
                    source => plain(source),
                }
            ),
            "see that server.listen is the sidecar's address, and that it is of this version",
        ),
    }
}

fn rows(wanted: &Wanted, answer: &Answer, said: &Value) -> Finding {
    let of = ["account_id", "property_id"];
    let of = of.iter().find_map(|name| said[name].as_str());
    let of = of.map_or(String::new(), |id| format!(" of {}", plain(id)));
    // A hit tells how long the cache takes.
    let cached = match answer.header("cache-status").contains("; hit") {
        true => ", from the cache",
        false => "",
    };
    let count = match wanted.rows {
        Some(rows) => said[rows].as_array().map(|rows| rows.len() as u64),
        None => said["sessions"].as_u64(),
    };
    let Some(count) = count else {
        return Finding::fail(
            format!(
                "it says that it is of Coolbits and has no {}",
                plural(wanted.what)
            ),
            "see the sidecar's log, and compare gateway.table with what Coolbits answers",
        );
    };
    let what = match count {
        1 => wanted.what.to_owned(),
        _ => plural(wanted.what),
    };
    let seen = format!("{count} {what}{of} from Coolbits{cached}");
    match (count, wanted.rows) {
        (0, Some(_)) => Finding::warn(seen, "see that the account has any, in the last 30 days"),
        _ => Finding::pass(seen),
    }
}

fn plural(what: &str) -> String {
    match what.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{what}s"),
    }
}

fn refused(answer: &Answer, said: &Value, who: &str) -> Finding {
    let code = said["code"].as_str().map(plain).unwrap_or_default();
    let todo = match code.as_str() {
        "account_not_linked" => {
            "link an account of this connector to the client, or connect the link again"
        }
        "rate_limited" => "wait a minute, and look again",
        "directory_unavailable" | "guard_unavailable" | "binding_unavailable" => {
            "let the app answer first, see gate A"
        }
        _ => "see the code in the README's table of answers",
    };
    let seen = format!("{who} answers {} {code}", answer.status);
    Finding::fail(seen.trim_end(), todo)
}

/// Coolbits was to answer and did not.
fn missed(code: &str, gateway: &Value) -> Finding {
    let was_asked = gateway["status"].is_u64();
    let todo = match (code, was_asked) {
        ("unauthorized", true) => {
            "sign in again at Coolbits, or use a token that it accepts: it answered 401"
        }
        ("unauthorized", false) => {
            "set forward_to_coolbits = true for the token's issuer, or allow the service account"
        }
        ("not_connected", true) => "connect the account in Coolbits",
        ("not_connected", false) => "name the client's accounts in gateway.accounts",
        ("property_not_set", _) => "choose a property in Coolbits, or link one to the client",
        ("invalid_property", _) => "link a property that Coolbits has to the client",
        ("missing_refresh_token", _) => "connect the account in Coolbits again, with consent",
        ("timeout", _) => "see why Coolbits is slow, or raise gateway.deadline and attempt_timeout",
        ("unreachable", _) => "start Coolbits, or set COOLBITS_URL to where it answers",
        ("http_4xx", _) => "compare gateway.table with the paths that this Coolbits has",
        ("http_5xx", _) => "see the log of Coolbits",
        ("bad_payload", _) => {
            "compare what Coolbits answers with gateway.table: it is no JSON, or of another account or shape"
        }
        ("empty", _) => "see that the account has any data, in the last 30 days",
        ("overloaded", _) => "raise limits.buffered_bytes, or look again when less is going on",
        _ => "see the sidecar's log",
    };
    let mut at = gateway["path"].as_str().map(plain).unwrap_or_default();
    if let Some(status) = gateway["status"].as_u64() {
        at = format!("{at} {status}");
    }
    let seen = match at.trim() {
        "" => format!("no real figures: {code}"),
        at => format!("no real figures: {code} ({at})"),
    };
    match code {
        "empty" => Finding::warn(seen, todo),
        _ => Finding::fail(seen, todo),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::probe::Trouble;
    use super::super::super::report::Outcome::{self, Fail, Pass, Warn};
    use super::super::{ACCOUNTS, CAMPAIGNS, OVERVIEW, PROPERTIES};
    use super::*;
    use serde_json::json;

    fn told(wanted: &Wanted, status: u16, body: Value) -> Finding {
        let got = Ok(Answer::of(status, &[], &body.to_string()));
        read(wanted, &got, "it")
    }

    #[test]
    fn figures_of_coolbits_are_counted() {
        let gateway = json!({"enabled": true, "path": "/p", "status": 200});
        for (wanted, body, outcome, seen) in [
            (
                &CAMPAIGNS,
                json!({"source": "coolbits", "gateway": gateway, "account_id": "123-456-7890", "campaigns": [1, 2]}),
                Pass,
                "2 campaigns of 123-456-7890 from Coolbits",
            ),
            (
                &ACCOUNTS,
                json!({"source": "coolbits", "accounts": [1]}),
                Pass,
                "1 account from Coolbits",
            ),
            (
                &PROPERTIES,
                json!({"source": "coolbits", "properties": []}),
                Warn,
                "0 properties from",
            ),
            (
                &OVERVIEW,
                json!({"source": "coolbits", "property_id": "G-1", "sessions": 12}),
                Pass,
                "12 sessions of G-1 from Coolbits",
            ),
            (
                &OVERVIEW,
                json!({"source": "coolbits"}),
                Fail,
                "has no sessions",
            ),
            (
                &CAMPAIGNS,
                json!({"source": "coolbits", "campaigns": {}}),
                Fail,
                "has no campaigns",
            ),
            (
                &CAMPAIGNS,
                json!({"source": "mock", "campaigns": [1]}),
                Fail,
                "does not say",
            ),
            (
                &CAMPAIGNS,
                json!({"ok": true}),
                Fail,
                "X-Camarad-Source: none",
            ),
            (&CAMPAIGNS, json!(null), Fail, "does not say"),
        ] {
            let finding = told(wanted, 200, body);
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.seen.contains(seen), "{finding:?}");
        }
        let body = json!({"source": "coolbits", "accounts": [1]}).to_string();
        let hit = [("cache-status", "camarad-sidecar; hit; ttl=40")];
        let finding = read(&ACCOUNTS, &Ok(Answer::of(200, &hit, &body)), "it");
        assert!(finding.seen.ends_with("from the cache"), "{finding:?}");
    }

    #[test]
    fn every_reason_has_something_to_do() {
        let asked = json!({"enabled": true, "path": "/api/x", "status": 401});
        let unasked = json!({"enabled": true});
        let cases: [(&str, &Value, Outcome, &str); 13] = [
            ("unauthorized", &asked, Fail, "sign in again"),
            ("unauthorized", &unasked, Fail, "forward_to_coolbits"),
            ("not_connected", &asked, Fail, "in Coolbits"),
            ("not_connected", &unasked, Fail, "gateway.accounts"),
            ("property_not_set", &asked, Fail, "choose a property"),
            ("missing_refresh_token", &asked, Fail, "consent"),
            ("timeout", &unasked, Fail, "gateway.deadline"),
            ("unreachable", &unasked, Fail, "COOLBITS_URL"),
            ("http_4xx", &asked, Fail, "gateway.table"),
            ("http_5xx", &asked, Fail, "log of Coolbits"),
            ("bad_payload", &asked, Fail, "gateway.table"),
            ("empty", &asked, Warn, "any data"),
            ("a_new_one", &asked, Fail, "log"),
        ];
        for (code, gateway, outcome, todo) in cases {
            for source in ["mock", "coolbits"] {
                let mut gateway = gateway.clone();
                gateway["error"] = json!(code);
                let finding = told(
                    &CAMPAIGNS,
                    200,
                    json!({"source": source, "gateway": gateway}),
                );
                assert_eq!(finding.outcome, outcome, "{finding:?}");
                assert!(finding.seen.contains(code), "{finding:?}");
                assert!(finding.todo.unwrap().contains(todo), "{code}");
            }
        }
    }

    #[test]
    fn made_up_figures_are_told_with_who_made_them_up() {
        let reason = |reason: &str| {
            let body = json!({"source": "mock", "gateway": {"enabled": false, "reason": reason}});
            told(&CAMPAIGNS, 200, body)
        };
        assert_eq!(reason("disabled").outcome, Warn);
        assert!(reason("mock_only").seen.contains("gateway.mock_only"));
        let refused = told(&CAMPAIGNS, 404, json!({"code": "account_not_linked"}));
        assert!(
            refused.seen.contains("404 account_not_linked"),
            "{refused:?}"
        );
        assert_eq!(told(&CAMPAIGNS, 502, json!(null)).seen, "it answers 502");
        let down = read(&CAMPAIGNS, &Err(Trouble::Refused), "it");
        assert_eq!(down.outcome, Fail);
    }
}
