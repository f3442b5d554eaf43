//! Counting what is refused, so that ids and tokens cannot be tried one by one.
//!
//! While nothing is left of the caller's bucket, what would be refused is 429 and
//! no object is looked up any more. What is allowed stays allowed.

use super::Sidecar;
use super::context::Context;
use crate::limiter::Who;
use camarad_policies::ids::UserId;
use camarad_policies::refusal::Refusal;

impl Sidecar {
    /// The refusal, or [`Refusal::RateLimited`] in its place.
    pub(super) fn counted(&self, context: &mut Context, refusal: Refusal) -> Refusal {
        let Some(who) = who(context).filter(|_| refusal.is_limited()) else {
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
    pub(super) fn has_room(&self, context: &mut Context) -> Result<(), Refusal> {
        let used_up = who(context).and_then(|who| self.limiter.is_used_up(who));
        match used_up {
            None => Ok(()),
            Some(level) => {
                context.level = Some(level);
                Err(Refusal::RateLimited)
            }
        }
    }
}

/// The user, or the address where there is none.
fn who(context: &Context) -> Option<Who> {
    let user = context.record.user.map(|id| id.to_string());
    match user.and_then(|id| UserId::parse(&id).ok()) {
        Some(user) => Some(Who::User(user)),
        None => context
            .forwarded
            .as_ref()
            .map(|said| Who::Address(said.client)),
    }
}
