//! The app's templates, and ours behind them.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::super::context::Context;
use super::super::decide::Decision;
use crate::edge::exchange::Exchange;
use camarad_policies::refusal::Refusal;
use camarad_policies::templates::appended;
use serde_json::Value;

impl Sidecar {
    /// The app's list, looked through, with ours appended; what is no list goes on as it is.
    pub(super) async fn templates(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
        decision: Decision,
    ) -> Result<Answer, Refusal> {
        let category = decision.permit.query().get("category").map(str::to_owned);
        let answer = self.whole(exchange, context, decision).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let own: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let all = own.and_then(|own| appended(&own, category.as_deref()));
        Ok(match all {
            Some(all) => Answer {
                body: crate::json::to_body(&all),
                ..answer
            },
            None => answer,
        })
    }
}
