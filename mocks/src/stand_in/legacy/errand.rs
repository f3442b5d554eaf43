//! What Coolbits is asked before a request is answered: which routes ask, what they
//! ask, and what they are handed.
//!
//! Two steps, so that nobody waits with the store locked: [`Errand::of`] looks at the
//! store and asks nobody, [`Errand::run`] asks and sees no store. The store may
//! change in between, as it may under the app.

use super::coolbits::{Call, Coolbits, Token};
use super::fetch::{self, Read, Want};
use super::request::Request;
use super::store::Store;
use super::{briefs, chat, oauth, runs};
use crate::stand_in::server::{Asked, Body};
use http::Response;
use serde_json::json;
use std::collections::HashMap;

/// What came back, for the handler of the route.
#[derive(Default)]
pub(super) struct Fetched {
    /// The e-mail that Coolbits knows the token by, empty where it tells none; or why it does
    /// not. `None` where it was not asked.
    pub(super) login: Option<Result<String, String>>,
    /// By a node's key and what it wanted.
    pub(super) nodes: HashMap<(String, Want), Read>,
    /// GA4 for an agent's brief.
    pub(super) brief: Option<Read>,
    /// What the model said.
    pub(super) reply: Option<String>,
}

/// How an errand ends.
pub(super) enum Back {
    /// The handler answers with this.
    Fetched(Fetched),
    /// Coolbits' own answer, and no handler is asked.
    Answer(Response<Body>),
}

pub(super) enum Errand {
    Login(String),
    /// By a node's key, in the order in which they run.
    Run(Vec<(String, Want)>),
    Brief,
    Chat(chat::Prompt),
    OauthStart,
    OauthCallback,
    AuthUrl,
}

impl Errand {
    /// `None` where the app asks Coolbits nothing.
    pub(super) fn of(store: &Store, request: &Request) -> Option<Self> {
        match request.names() {
            ("POST", "/api/auth/session") => {
                let token = request.text("token")?;
                Some(Self::Login(token.to_owned()))
            }
            ("POST", "/api/orchestrator/execute") => Some(Self::Run(runs::wants(store, request))),
            ("GET", briefs::BRIEF) => Some(Self::Brief),
            ("POST", chat::CHAT) => chat::prompt(store, request).map(Self::Chat),
            ("GET", "/api/auth/google/start") => Some(Self::OauthStart),
            ("GET", "/api/auth/google/callback" | "/api/connectors/ga4/oauth/callback") => {
                Some(Self::OauthCallback)
            }
            ("GET", "/api/connectors/ga4/auth-url") => Some(Self::AuthUrl),
            _ => None,
        }
    }

    pub(super) async fn run(self, coolbits: &Coolbits, asked: &Asked) -> Back {
        let mut fetched = Fetched::default();
        match self {
            Self::Login(token) => fetched.login = Some(login(coolbits, token).await),
            // One after the other, as the app does.
            Self::Run(wants) => {
                for (node, want) in wants {
                    let read = fetch::read(coolbits, &want).await;
                    fetched.nodes.insert((node, want), read);
                }
            }
            Self::Brief => fetched.brief = Some(fetch::read(coolbits, &briefs::want()).await),
            Self::Chat(prompt) => fetched.reply = reply(coolbits, asked, prompt).await,
            Self::OauthStart => return Back::Answer(oauth::start(coolbits, asked).await),
            Self::OauthCallback => return Back::Answer(oauth::callback(coolbits, asked).await),
            Self::AuthUrl => return Back::Answer(oauth::auth_url(coolbits, asked).await),
        }
        Back::Fetched(fetched)
    }
}

/// The e-mail, or the `detail` of the refusal.
async fn login(coolbits: &Coolbits, token: String) -> Result<String, String> {
    let call = Call::get("/api/auth/me", Vec::new());
    match coolbits.ask(&Token::Of(token), &call).await {
        Ok(reply) if reply.is_success() => {
            let email = reply.body["email"].as_str();
            Ok(email.unwrap_or_default().to_owned())
        }
        Ok(reply) => Err(format!("coolbits_auth_me_http_{}", reply.status)),
        Err(_) => Err("coolbits_auth_me_unreachable".to_owned()),
    }
}

/// What the model said; `None` for any failure.
async fn reply(coolbits: &Coolbits, asked: &Asked, prompt: chat::Prompt) -> Option<String> {
    let token = Token::of_caller(asked);
    let call = Call::post("/api/runs", json!({"title": prompt.title}));
    let made = coolbits.ask(&token, &call).await.ok()?;
    let run = made.body["runId"].as_str().filter(|_| made.is_success())?;
    let body = json!({
        "profileName": prompt.agent, "input": prompt.message, "real": true,
        "promptEnvelope": {"envelopeVersion": 1, "objective": prompt.objective},
    });
    let call = Call::post(&format!("/api/runs/{run}/llm"), body).confirmed();
    let said = coolbits.ask(&token, &call).await.ok()?;
    let text = said.body["text"].as_str().filter(|_| said.is_success())?;
    Some(text.to_owned())
}
