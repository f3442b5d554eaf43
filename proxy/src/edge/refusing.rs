//! Counting what is refused, so that ids and tokens cannot be tried one by one.
//!
//! While nothing is left of the caller's bucket, what would be refused is 429 and
//! no object is looked up any more. What is allowed stays allowed.

use super::Sidecar;
use super::context::Context;
use crate::limiter::Who;
use camarad_policies::authorise::Permit;
use camarad_policies::identity::{Clients, Identity};
use camarad_policies::matrix::Mode;
use camarad_policies::refusal::Refusal;

impl Sidecar {
    /// The refusal, or [`Refusal::RateLimited`] in its place.
    pub(super) fn counted(&self, context: &mut Context, refusal: Refusal) -> Refusal {
        let Some(who) = counted_for(context).filter(|_| refusal.is_limited()) else {
            return refusal;
        };
        match self.limiter.count(who) {
            None => refusal,
            Some((fits, level)) => {
                context.level = Some(level);
                if fits { refusal } else { Refusal::RateLimited }
            }
        }
    }

    /// Refuses whoever has used up their refusals, before more is looked up for them.
    pub(super) fn has_room(&self, context: &mut Context, permit: &Permit) -> Result<(), Refusal> {
        let used_up = counted_for(context).and_then(|who| self.limiter.is_used_up(who));
        match used_up {
            Some(level) if permit.rule().mode == Mode::Enforce => {
                context.level = Some(level);
                Err(Refusal::RateLimited)
            }
            _ => Ok(()),
        }
    }
}

/// The user; but a token that is limited to clients is somebody of its own, since
/// whoever was given it must not use up its user's.
pub(super) fn who(identity: &Identity) -> Who {
    match identity.clients() {
        Clients::Claimed(_) => Who::Token(*identity.token().hash()),
        Clients::Unclaimed => Who::User(identity.user()),
    }
}

/// Who is known, or else the address.
fn counted_for(context: &Context) -> Option<Who> {
    let said = context.forwarded.as_ref();
    let address = said.map(|said| Who::Address(said.client));
    context.who.or(address)
}
