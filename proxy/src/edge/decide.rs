//! The sentence of the design, carried out: normalise, identify, authorise, route.

use super::Sidecar;
use super::context::Context;
use camarad_policies::authorise::{Permit, authorise};
use camarad_policies::identity::Identity;
use camarad_policies::matrix::is_api;
use camarad_policies::normalise::{Asked, Credential, RawRequest, normalise};
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{Plan, Switch, route};
use pingora::proxy::Session;
use std::sync::Arc;

/// What was decided about a request.
pub(super) struct Decision {
    pub(super) permit: Permit,
    pub(super) plan: Plan,
    /// The switch as it stood; the request keeps it to its end.
    pub(super) switch: Arc<Switch>,
}

impl Sidecar {
    /// Decides, and notes in the record what was found on the way.
    pub(super) async fn decide(
        &self,
        session: &Session,
        context: &mut Context,
    ) -> Result<Decision, Refusal> {
        let switch = self.switch.current();
        let asked = read(session, context)?;
        let found = self.matrix.find(&asked.method, &asked.path);
        context.record.path = asked.path.to_string();
        context.record.route.clone_from(&found.rule.name);
        context.record.area.clone_from(&found.rule.area);
        context.is_api = is_api(&asked.path);
        let identity = self.identify(&asked).await;
        if let Ok(Some(identity)) = &identity {
            context.record.user = Some(identity.user().get());
            context.record.token_hash = Some(identity.token().short_hash());
        }
        if let Err(refusal) = &identity {
            // A public rule looks past it; the record does not.
            context.record.code = Some(refusal.answer().code);
        }
        let permit = authorise(asked, identity, found)?;
        context.record.client = permit.client().map(|client| client.get());
        context.record.forged_user = permit.forged_user();
        context.record.allowed = true;
        let plan = route(&permit, &switch);
        Ok(Decision {
            permit,
            plan,
            switch,
        })
    }

    async fn identify(&self, asked: &Asked) -> Result<Option<Identity>, Refusal> {
        match &asked.credential {
            Credential::None => Ok(None),
            Credential::Bearer(token) | Credential::Cookie(token) => {
                self.keys.identify(token).await.map(Some)
            }
        }
    }
}

/// Reads the head as it stood on the wire.
fn read(session: &Session, context: &mut Context) -> Result<Asked, Refusal> {
    let head = session.req_header();
    context.record.method = head.method.to_string();
    // Pingora drops a fragment and folds other forms of target; we want to see them, to refuse.
    let raw = match session.as_downstream().as_http1() {
        Some(http1) => http1.get_headers_raw_bytes(),
        None => return Err(Refusal::PathMalformed),
    };
    let target = raw.split(|b| *b == b' ').nth(1).unwrap_or_default();
    let cut = target.iter().position(|b| *b == b'?');
    let (path, query) = match cut {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &target[target.len()..]),
    };
    context.is_api = path.starts_with(b"/api/") || !path.starts_with(b"/");
    let headers: Vec<(&str, &[u8])> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    context.record.client_request_id = head
        .headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| id.len() <= 128)
        .map(str::to_owned);
    normalise(&RawRequest {
        method: head.method.as_str(),
        path,
        query,
        headers: &headers,
    })
}
