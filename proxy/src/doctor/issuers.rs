//! Who may vouch for callers: whether each issuer's keys are there now, and whether
//! the app's login can be asked where a token does not say whose it is.

use super::front;
use super::probe::{Answer, Got, Prober, Question, Trouble, shown};
use super::report::{Check, Finding, Gate, plain};
use camarad_config::{Config, IssuerConfig, KeyConfig};
use camarad_policies::ids::UserId;
use camarad_policies::keys::KeySet;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Looks at every issuer; `metrics` is the page of the sidecar that runs.
pub(super) async fn look(config: &Config, prober: &Prober, metrics: Option<&str>) -> Vec<Check> {
    let keys = config
        .issuers
        .iter()
        .map(|issuer| keys(issuer, prober, metrics));
    let asks_login = config.issuers.iter().any(|i| i.issuer.user_claim.is_none());
    let login = async {
        match asks_login {
            true => Some(log_in(config, prober, json!({})).await),
            false => None,
        }
    };
    let (mut checks, login) = tokio::join!(join_all(keys), login);
    if let Some(got) = login {
        let took = got.as_ref().ok().map(|answer| answer.took);
        checks.push(can_log_in(&got).of(Gate::B, "login").took(took));
    }
    checks
}

/// Asks the app's login, as the sidecar does.
pub(super) async fn log_in(config: &Config, prober: &Prober, body: Value) -> Got {
    let url = format!("http://{}/api/auth/session", config.legacy.authority);
    let mut question = Question::get(url);
    question.method = Method::POST;
    question.body = Some(body);
    prober.ask(question).await
}

async fn keys(config: &IssuerConfig, prober: &Prober, metrics: Option<&str>) -> Check {
    let name = format!("keys of {}", config.issuer.name);
    let algorithms = config.issuer.algorithms.iter();
    let algorithms: Vec<String> = algorithms.map(|a| format!("{a:?}")).collect();
    let algorithms = algorithms.join(", ");
    match &config.keys {
        KeyConfig::Login => {
            Finding::pass("it needs none: the app's login judges its tokens").of(Gate::B, name)
        }
        KeyConfig::Fixed(keys) => {
            let seen = format!("{} in the settings, for {algorithms}", counted(keys.len()));
            Finding::pass(seen).of(Gate::B, name)
        }
        KeyConfig::Url { url, refresh } => {
            let got = prober.get(url.as_str()).await;
            let series = format!(
                "sidecar_key_age_seconds{{issuer=\"{}\"}}",
                config.issuer.name
            );
            let age = metrics.and_then(|page| front::value(page, &series));
            let took = got.as_ref().ok().map(|answer| answer.took);
            published(&got, url, age, *refresh)
                .of(Gate::B, name)
                .took(took)
        }
    }
}

fn published(got: &Got, url: &Url, age: Option<f64>, refresh: Duration) -> Finding {
    let at = shown(url.as_str());
    let todo =
        "let the JWK set answer with 200 and keys that verify signatures, or correct its URL";
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => return trouble.finding(&at, todo),
    };
    if answer.status != 200 {
        return Finding::fail(format!("{at} answers {}", answer.status), todo);
    }
    let keys = match KeySet::jwks(&answer.body) {
        Ok(keys) => counted(keys.len()),
        Err(error) => return Finding::fail(format!("{at}: {}", plain(&error.to_string())), todo),
    };
    match age {
        None => Finding::pass(format!("{keys} at {at} now")),
        Some(age) if age > 2.0 * refresh.as_secs_f64() + 60.0 => Finding::warn(
            format!("{keys} at {at} now, but the sidecar that runs has had its own for {age:.0} s"),
            "see its log for why they cannot be fetched there",
        ),
        Some(age) => Finding::pass(format!(
            "{keys} at {at} now, and {age:.0} s old in the sidecar that runs"
        )),
    }
}

fn counted(keys: usize) -> String {
    match keys {
        1 => "1 key".into(),
        count => format!("{count} keys"),
    }
}

/// The login without a token: it says that none came, and does nothing.
fn can_log_in(got: &Got) -> Finding {
    let todo = "start the app; until its login answers, tokens that name no user are refused (503)";
    match got {
        Err(trouble) => trouble.finding("the app's login", todo),
        Ok(answer) if answer.status == 400 && answer.json()["error"] == "missing_token" => {
            Finding::pass("the app's login answers")
        }
        Ok(answer) => Finding::fail(
            format!(
                "POST /api/auth/session without a token answers {}",
                answer.status
            ),
            "compare the app's version with the one the sidecar was made for, and see its log",
        ),
    }
}

/// Whose token it is, as the login says.
pub(super) fn user_of_login(got: &Got) -> Result<UserId, Finding> {
    let answer: &Answer = got.as_ref().map_err(|trouble: &Trouble| {
        trouble.finding("the app's login", "start the app, and look again")
    })?;
    let said = answer.json();
    let user = said["user_id"].as_u64().map(|id| id.to_string());
    match (answer.status, user.and_then(|id| UserId::parse(&id).ok())) {
        (200, Some(user)) => Ok(user),
        (401, _) => {
            let refused = ["coolbits_auth_me_http_401", "coolbits_auth_me_http_403"];
            Err(match refused.iter().any(|code| said["detail"] == *code) {
                true => Finding::fail(
                    "Coolbits does not know the token, so the app's login refuses it",
                    "sign in again, or use a token that Coolbits gave out",
                ),
                false => Finding::fail(
                    "the app's login could not ask Coolbits about the token",
                    "set COOLBITS_URL of the app to where Coolbits answers",
                ),
            })
        }
        (status, _) => Err(Finding::fail(
            format!("the app's login answers {status} and names no user"),
            "see the app's log",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome::{self, Fail, Pass, Warn};
    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn answer(status: u16, body: &str) -> Got {
        Ok(Answer::of(status, &[], body))
    }

    #[test]
    fn published_keys_are_counted_and_their_age_is_told() {
        let url: Url = "https://user:hush@keys.example/set?key=hush"
            .parse()
            .unwrap();
        let refused = || Err(Trouble::Refused);
        let cases: [(Got, Option<f64>, Outcome, &str); 7] = [
            (
                answer(200, SET),
                None,
                Pass,
                "1 key at https://keys.example/set now",
            ),
            (answer(200, SET), Some(120.0), Pass, "120 s old"),
            (answer(200, SET), Some(661.0), Warn, "661 s"),
            (
                answer(200, r#"{"keys":[]}"#),
                None,
                Fail,
                "no usable signature key",
            ),
            (answer(200, "<html>"), None, Fail, "not a JWK set"),
            (answer(404, SET), None, Fail, "answers 404"),
            (refused(), None, Fail, "refuses"),
        ];
        for (got, age, outcome, word) in cases {
            let finding = published(&got, &url, age, Duration::from_secs(300));
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
            assert!(!finding.seen.contains("hush"), "{finding:?}");
        }
    }

    #[test]
    fn the_login_is_there_when_it_asks_for_a_token() {
        let asks = r#"{"error":"missing_token"}"#;
        assert_eq!(can_log_in(&answer(400, asks)).outcome, Pass);
        for got in [answer(400, "{}"), answer(404, asks), Err(Trouble::Refused)] {
            assert_eq!(can_log_in(&got).outcome, Fail, "{got:?}");
        }
    }

    #[test]
    fn what_the_login_says_of_a_token() {
        let detail = |detail: &str| answer(401, &json!({"detail": detail}).to_string());
        let user = user_of_login(&answer(200, r#"{"user_id":7}"#)).unwrap();
        assert_eq!(user.get(), 7);
        for (got, word) in [
            (
                detail("coolbits_auth_me_http_401"),
                "does not know the token",
            ),
            (detail("<urlopen error refused>"), "could not ask Coolbits"),
            (answer(200, r#"{"user_id":0}"#), "names no user"),
            (answer(500, ""), "answers 500"),
            (Err(Trouble::Refused), "refuses"),
        ] {
            let finding = user_of_login(&got).unwrap_err();
            assert_eq!(finding.outcome, Fail);
            assert!(finding.seen.contains(word), "{finding:?}");
        }
    }
}
