//! `Idempotency-Key`: the same request once more is not another run.

use super::super::Sidecar;
use super::super::answer::Answer;
use super::asked::Asking;
use crate::edge::exchange::Exchange;
use crate::edge::request_head::plain;
use crate::ledger::{Once, Past, now_ms};
use bytes::Bytes;
use camarad_policies::authorise::Reach;
use camarad_policies::idempotency::Key;
use camarad_policies::record::Source;
use camarad_policies::refusal::Refusal;
use http::header::{self, HeaderName};

/// That this is the answer of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The digest of the request's key, where it has one.
pub(super) fn digest(
    exchange: &Exchange,
    asking: &Asking,
    act: &str,
) -> Result<Option<[u8; 32]>, Refusal> {
    let values = exchange.head().all("idempotency-key");
    let mut texts = Vec::new();
    for value in values {
        texts.push(plain(value).ok_or(Refusal::IdempotencyKeyInvalid)?);
    }
    let key = Key::read(&texts).map_err(|_| Refusal::IdempotencyKeyInvalid)?;
    let (user, client) = (asking.tenant.user.get(), asking.tenant.client.get());
    // What one who is limited may be told is not what one who is not may be.
    let is_limited = asking.permit.reach().is_some_and(Reach::is_limited);
    let what = if is_limited {
        format!("{act}, limited")
    } else {
        act.to_owned()
    };
    Ok(key.map(|key| key.digest(user, client, &what)))
}

impl Sidecar {
    /// The answer of an earlier request with the same key; `None` where this is the first.
    pub(super) async fn once(
        &self,
        digest: Option<[u8; 32]>,
        request_hash: &str,
    ) -> Result<Option<Answer>, Refusal> {
        let Some(digest) = digest else {
            return Ok(None);
        };
        let once = Once {
            digest,
            request_hash,
        };
        let past = self.runs.ledger.past(once, now_ms()).await;
        // Without the ledger a repetition cannot be told from a new run, required or not.
        past_answer(past.map_err(|error| self.broken_ledger(&error))?)
    }
}

/// What an earlier request leaves to answer.
pub(super) fn past_answer(past: Past) -> Result<Option<Answer>, Refusal> {
    match past {
        Past::Go => Ok(None),
        Past::Again(status, body) => {
            let answer = Answer::json(status, Bytes::from(body), Source::Sidecar)
                .with(header::CACHE_CONTROL, "no-store")
                .with(REPLAYED, "true");
            Ok(Some(answer))
        }
        Past::OtherBody => Err(Refusal::IdempotencyKeyReused),
        Past::InProgress => Err(Refusal::IdempotencyInProgress),
        Past::Lost => Err(Refusal::IdempotencyOutcomeUnknown),
    }
}
