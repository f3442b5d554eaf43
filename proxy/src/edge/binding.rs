//! Asking the app's own login whose token it is.

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use crate::sessions::{Standing, now};
use bytes::Bytes;
use camarad_policies::cookies;
use camarad_policies::identity::{Identity, Verified};
use camarad_policies::ids::UserId;
use camarad_policies::normalise::Asked;
use camarad_policies::refusal::Refusal;
use serde_json::{Value, json};
use std::time::Instant;

const PATH: &str = "/api/auth/session";

/// What the login said.
enum Login {
    Is(UserId),
    Refused,
    Unavailable,
}

impl Sidecar {
    /// The identity of a token that passed: the user of its claim, or the one that the login names.
    ///
    /// Errors: [`Refusal::TokenRevoked`], [`Refusal::TokenNotAccepted`], and
    /// [`Refusal::BindingUnavailable`] where the login cannot be asked and was not
    /// asked within a day. Never anonymous.
    pub(super) async fn bound(
        &self,
        verified: Verified,
        asked: &Asked,
        context: &mut Context,
    ) -> Result<Identity, Refusal> {
        self.sessions.check(&verified)?;
        if let Some(user) = verified.user() {
            return Ok(verified.bound_to(user));
        }
        let seal = asked.cookies.managed(cookies::SEAL);
        if let Standing::Holds(user) = self.sessions.standing(&verified, seal, now()) {
            return Ok(verified.bound_to(user));
        }
        Box::pin(self.by_login(verified, seal, context)).await
    }

    /// The identity of a token that the login has to be asked about.
    async fn by_login(
        &self,
        verified: Verified,
        seal: Option<&str>,
        context: &mut Context,
    ) -> Result<Identity, Refusal> {
        if self.sessions.was_refused(verified.token()) {
            return Err(Refusal::TokenNotAccepted);
        }
        let _one = self.sessions.lane(verified.token()).await;
        let standing = self.sessions.standing(&verified, seal, now());
        if let Standing::Holds(user) = standing {
            return Ok(verified.bound_to(user));
        }
        let generation = self.sessions.generation();
        let started = Instant::now();
        let login = self.log_in(&verified, context).await;
        let outcome = match login {
            Login::Is(_) => "ok",
            Login::Refused => "token_not_accepted",
            Login::Unavailable => "binding_unavailable",
        };
        self.observer.upstream("legacy", outcome, started.elapsed());
        // What was ended while the login was asked is ended for this answer too.
        let is_ended = self.sessions.generation() != generation;
        match (login, standing) {
            (Login::Is(_), _) if is_ended => Err(Refusal::BindingUnavailable),
            (Login::Is(user), _) => {
                context.seal = self.sessions.bind(verified.token(), user, now());
                Ok(verified.bound_to(user))
            }
            (Login::Refused, _) => {
                self.sessions.refuse(verified.token());
                Err(Refusal::TokenNotAccepted)
            }
            (Login::Unavailable, Standing::Stale(user)) if !is_ended => Ok(verified.bound_to(user)),
            (Login::Unavailable, _) => Err(Refusal::BindingUnavailable),
        }
    }

    async fn log_in(&self, verified: &Verified, context: &Context) -> Login {
        let body: Bytes = json!({"token": verified.token().expose()})
            .to_string()
            .into();
        let question = Question {
            method: "POST",
            target: PATH,
            client: None,
            body,
        };
        let fetched = self.ask_app(question, None, context).await;
        let Some(fetched) = fetched else {
            return Login::Unavailable;
        };
        let answer: Value = serde_json::from_slice(&fetched.body).unwrap_or_default();
        let user = answer["user_id"].as_u64().map(|id| id.to_string());
        match (fetched.status, user.and_then(|id| UserId::parse(&id).ok())) {
            (200, Some(user)) => Login::Is(user),
            // Its 401 is also what it says when Coolbits cannot be reached, with the reason in words.
            (401, _) if answer["detail"].as_str().is_some_and(is_refusal) => Login::Refused,
            (400, _) => Login::Refused,
            _ => Login::Unavailable,
        }
    }
}

/// Coolbits said that it does not know the token (contract, section 2); anything else is a failure of Coolbits.
fn is_refusal(detail: &str) -> bool {
    matches!(
        detail,
        "coolbits_auth_me_http_401" | "coolbits_auth_me_http_403"
    )
}
