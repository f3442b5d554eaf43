//! The proof that tenancy is enforced: three requests to a sidecar, one that has to
//! be let in and two that must not be.

use super::caller::{self, Caller};
use super::door::Door;
use super::probe::{Got, Prober};
use super::report::{Check, Finding, Gate, plain};
use camarad_policies::ids::ClientId;

/// A read that every client has, and that the app answers itself.
const TARGET: &str = "/api/connectors/list";
const NAMES: [&str; 3] = ["without a token", "own client", "foreign client"];

/// Tries the door.
pub(super) async fn look(door: &Door, prober: &Prober, caller: Option<&Caller>) -> Vec<Check> {
    let own = caller.and_then(|caller| Some((caller, caller.own?)));
    let foreign = caller.and_then(|caller| Some((caller, caller.foreign?)));
    let ask = |who: Option<(&Caller, ClientId)>| {
        let who = who.map(|(caller, client)| (caller.token.clone(), client));
        async move {
            let (token, client) = who.as_ref()?;
            Some(
                door.read(prober, TARGET, &[], Some(token), Some(*client))
                    .await,
            )
        }
    };
    let (nobody, own_got, foreign_got) = tokio::join!(
        door.read(prober, TARGET, &[], None, own.map(|(_, client)| client)),
        ask(own),
        ask(foreign),
    );
    let who = door.who();
    let skipped = || match caller {
        None => caller::no_token(),
        Some(_) => Finding::skip(
            "not looked at: no client is known that could be tried",
            "let the app list its clients, or make one",
        ),
    };
    let findings = [
        Some((is_refused(&nobody, who, None), &nobody)),
        own.zip(own_got.as_ref())
            .map(|((_, client), got)| (is_let_in(got, who, client), got)),
        foreign
            .zip(foreign_got.as_ref())
            .map(|((_, client), got)| (is_refused(got, who, Some(client)), got)),
    ];
    let checks = NAMES.into_iter().zip(findings).map(|(name, found)| {
        let took = found.as_ref().and_then(|(_, got)| got.as_ref().ok());
        let took = took.map(|answer| answer.took);
        let finding = found.map_or_else(skipped, |(finding, _)| finding);
        finding.of(Gate::B, name).took(took)
    });
    checks.collect()
}

/// The same checks where no door opens.
pub(super) fn behind_closed_door(finding: &Finding) -> Vec<Check> {
    NAMES.map(|name| finding.clone().of(Gate::B, name)).into()
}

fn is_let_in(got: &Got, who: &str, client: ClientId) -> Finding {
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => {
            return trouble.finding(who, "see that the app and Coolbits answer, and its log");
        }
    };
    let code = answer.json()["code"]
        .as_str()
        .map(plain)
        .unwrap_or_default();
    let todo = match answer.status {
        200 => return Finding::pass(format!("{who} lets the token into client {client}")),
        401 => {
            "start the sidecar again with these settings: it has other keys, or the token was ended"
        }
        404 => "compare the token's clients and the app's list with this client",
        429 => "wait a minute: too much was refused to this user",
        500.. => "let the app answer, and see the sidecar's log",
        _ => "see the code in the README's table of answers",
    };
    let seen = format!("{who} answers {} {code} for client {client}", answer.status);
    Finding::fail(seen.replace("  ", " "), todo)
}

/// `client` is the one that must not be reached; without one nobody asked at all.
fn is_refused(got: &Got, who: &str, client: Option<ClientId>) -> Finding {
    let answer = match got {
        Ok(answer) => answer,
        Err(trouble) => {
            return trouble.finding(who, "see that the app and Coolbits answer, and its log");
        }
    };
    let (expected, whom) = match client {
        Some(client) => (404, format!("client {client}, which is not theirs")),
        None => (401, "whoever has no token".into()),
    };
    let status = answer.status;
    let by_sidecar = answer.header("x-camarad-source") == "sidecar";
    match (status, client) {
        _ if status == expected && by_sidecar => {
            Finding::pass(format!("{who} refuses {whom}: {status}"))
        }
        // Where the app looks as well, its answer must not pass for the sidecar's.
        _ if status == expected => Finding::fail(
            format!("{who} does not refuse {whom}: only the app does, with {status}"),
            "set tenancy.mode to enforce (or leave it out), and start it again",
        ),
        (200..=299, Some(_)) => Finding::fail(
            format!("{who} lets the token into {whom}"),
            "set tenancy.mode to enforce (or leave it out), and start it again",
        ),
        (200..=299, None) => Finding::fail(
            format!("{who} lets in {whom}"),
            "see that server.listen is the sidecar's address and not the app's",
        ),
        (429, _) => Finding::skip(
            format!("{who} answers 429: too much was refused already"),
            "wait a minute, and look again",
        ),
        _ => Finding::fail(
            format!("{who} answers {status} and not {expected} to {whom}"),
            "see its log for why",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Answer, Trouble};
    use super::super::report::Outcome::{Fail, Pass, Skip};
    use super::*;

    fn answer(status: u16) -> Got {
        from("sidecar", status)
    }

    fn from(source: &str, status: u16) -> Got {
        let headers = [("x-camarad-source", source)];
        Ok(Answer::of(status, &headers, r#"{"code":"a_code"}"#))
    }

    #[test]
    fn only_the_right_status_proves_anything() {
        let client = ClientId::parse("20").ok();
        for (got, client, outcome, word) in [
            (answer(401), None, Pass, "401"),
            (
                answer(404),
                client,
                Pass,
                "client 20, which is not theirs: 404",
            ),
            (
                from("legacy", 404),
                client,
                Fail,
                "only the app does, with 404",
            ),
            (
                from("legacy", 401),
                None,
                Fail,
                "only the app does, with 401",
            ),
            (answer(200), None, Fail, "lets in"),
            (answer(200), client, Fail, "into client 20"),
            (answer(401), client, Fail, "401 and not 404"),
            (answer(503), client, Fail, "503 and not 404"),
            (answer(404), None, Fail, "404 and not 401"),
            (answer(429), client, Skip, "429"),
            (
                Err(Trouble::Refused),
                client,
                Fail,
                "refuses the connection",
            ),
        ] {
            let finding = is_refused(&got, "it", client);
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn ones_own_client_has_to_be_let_in() {
        let client = ClientId::parse("10").unwrap();
        for (got, outcome, word) in [
            (answer(200), Pass, "into client 10"),
            (answer(401), Fail, "401 a_code"),
            (answer(404), Fail, "404 a_code"),
            (answer(503), Fail, "503 a_code"),
            (Err(Trouble::Refused), Fail, "refuses"),
        ] {
            let finding = is_let_in(&got, "it", client);
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.seen.contains(word), "{finding:?}");
        }
    }
}
