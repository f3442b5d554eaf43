//! Reads that the cache may answer: connector routes, and the app's own reads that
//! the matrix says are the same a moment later.
//!
//! What is kept is the answer before it is looked through, so every caller gets it
//! looked through for themselves: what is linked may have changed since it was
//! fetched. A fetch is shared by everybody with the same key, so nothing of the
//! caller's request goes upstream but what the key holds: the decided path, query,
//! client and identity. The caller's own headers would be somebody else's.

use super::Sidecar;
use super::answer::{Answer, push_line};
use super::content::{Content, Whole};
use super::context::Context;
use super::decide::Decision;
use super::guard::Looked;
use super::keeping::{fallback, keep, stand_in, told, unkept, unless_everybodys};
use super::legacy::Legacy;
use super::upstream_request::{Sender, UpstreamHead, whole};
use crate::budget::{By, Full, Together};
use crate::cache::{Cached, FetchBroke, Fetched, Keep};
use crate::observe::Observer;
use crate::panics::counted;
use bytes::Bytes;
use camarad_policies::authorise::Permit;
use camarad_policies::cache_key::{CacheKey, Class};
use camarad_policies::etag;
use camarad_policies::ids::UserId;
use camarad_policies::matrix::Serve;
use camarad_policies::operation::{Connector, Operation};
use camarad_policies::record::{CacheResult, Origin, RequestId, Source};
use camarad_policies::refusal::Refusal;
use camarad_policies::route::Answerer;
use camarad_policies::ttl::jittered;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of the header lines of a kept answer, usually.
const USUAL_LINES: usize = 384;

impl Sidecar {
    /// Answers a connector route from the cache, Coolbits or the mock.
    pub(super) async fn connector(
        &self,
        context: &mut Context,
        decision: &Decision,
        operation: Operation,
        answerer: &Answerer,
    ) -> Result<Answer, Refusal> {
        let Decision {
            permit,
            switch,
            looked,
            ..
        } = decision;
        let (hints, now) = match operation.connector() {
            Connector::Ga4 => {
                let hints = self.hints(context, permit, operation, looked.seen.as_ref());
                (Some(Box::pin(hints).await), None)
            }
            // These read what is named, and nothing that is chosen elsewhere: the clock was
            // looked at just now, where there are accounts.
            _ => (None, looked.seen.as_ref().map(|seen| seen.at)),
        };
        let now = now.unwrap_or_else(tokio::time::Instant::now);
        // What is only reported would have been refused: it is nobody's to keep.
        let may_be_kept = context.record.reported.is_none();
        let key = self.key(permit, switch.generation);
        let key = key.filter(|_| may_be_kept);
        // What it needs is taken along only where there is something to fetch.
        let fetch = || {
            let (gateway, observer) = (self.gateway.clone(), self.observer.clone());
            let (asked, kept) = (permit.clone(), self.kept_for(permit));
            let (answerer, hints) = (answerer.clone(), hints.unwrap_or_default());
            let cache = &self.config.cache;
            let (fallback, stale) = (cache.fallback_ttl, cache.stale_if_error);
            async move {
                let answer = Box::pin(gateway.answer(operation, &answerer, &asked, &hints));
                let outcome = counted(&observer, answer).await;
                Fetched {
                    keep: keep(&outcome, kept, fallback.min(kept), stale),
                    value: Content::Whole(Whole::of_gateway(outcome).into()),
                }
            }
        };
        let Some(key) = key else {
            let value = Box::pin(fetch()).await.value;
            return self.give(context, permit, looked, unkept(value)).await;
        };
        let cached = self.cache.get(now, &key, fetch, stand_in).await;
        let cached = cached.map_err(|FetchBroke| Refusal::Internal)?;
        context.record.cache_key = Some(key);
        self.give(context, permit, looked, cached).await
    }

    /// Whether a read of the app may be answered by the cache.
    pub(super) fn is_kept(&self, permit: &Permit) -> bool {
        let is_app = matches!(permit.rule().serve, Serve::Whole | Serve::MadeUp);
        is_app
            && self.config.cache.app_reads
            && permit.rule().cache.is_some()
            && matches!(permit.method(), "GET" | "HEAD")
            && permit.is_scoped()
    }

    /// Answers a read of the app from the cache, or by asking the app.
    pub(super) async fn app_read(
        &self,
        context: &mut Context,
        decision: &Decision,
    ) -> Result<Answer, Refusal> {
        let Decision { permit, looked, .. } = decision;
        let key = self.key(permit, 0).ok_or(Refusal::Internal)?;
        let request_id = context.record.request_id;
        let fetch = || {
            read_of_app(Reading {
                legacy: self.legacy.clone(),
                observer: self.observer.clone(),
                permit: permit.clone(),
                request_id,
                ttl: self.kept_for(permit),
                time: self.config.legacy.read_timeout,
            })
        };
        let now = tokio::time::Instant::now();
        let cached = self.cache.get(now, &key, fetch, stand_in).await;
        let cached = cached.map_err(|FetchBroke| Refusal::Internal)?;
        context.record.cache_key = Some(key);
        self.give(context, permit, looked, cached).await
    }

    /// The key of what is asked; `None` where nothing may be kept of it.
    fn key(&self, permit: &Permit, generation: u64) -> Option<CacheKey> {
        let cache = permit.rule().cache?;
        CacheKey::new(permit, cache.class, generation)
    }

    /// How long an answer is kept, a little less each time, so that not all run out at once.
    fn kept_for(&self, permit: &Permit) -> Duration {
        let seconds = permit.rule().cache.map_or(0, |cache| cache.seconds);
        let whole = Duration::from_secs(seconds);
        jittered(whole * self.config.cache.ttl_percent / 100, fastrand::f64())
    }

    /// Gives an answer to one caller: looked through for them, with its headers.
    async fn give(
        &self,
        context: &mut Context,
        permit: &Permit,
        looked: &Looked,
        cached: Cached<Content>,
    ) -> Result<Answer, Refusal> {
        context.record.cache = Some(cached.result);
        let told = told(&cached, permit);
        let whole = match cached.value {
            Content::Whole(whole) => whole,
            Content::Failed(refusal) => return Err(refusal),
        };
        context.record.fallback = fallback(&whole);
        if !matches!(cached.result, CacheResult::Hit | CacheResult::Stale) {
            context.waits(whole.waited);
        }
        if whole.status >= 500 && whole.source == Source::Legacy {
            context.record.origin = Some(Origin::Legacy);
        }
        let (kept, last) = (whole.body.clone(), Some(&whole.look));
        let body = match (permit.rule().serve, (200..300).contains(&whole.status)) {
            (_, false) => kept,
            (Serve::Connector(_), true) => self.egress(context, permit, looked, kept, last).await?,
            (_, true) => {
                let since = self.owners.epoch();
                self.look_through(context, permit, looked, kept, since, last)
                    .await?
            }
        };
        let is_same = std::ptr::eq(&*body, &*whole.body);
        let changed = (!is_same).then(|| etag::of(&body));
        let tag = changed.as_deref().unwrap_or(&whole.etag);
        let may_be_kept = whole.is_storable
            && permit.rule().cache.is_some()
            && permit.is_scoped()
            && context.record.reported.is_none();
        let asked = context.if_none_match.as_deref();
        // They have it already (RFC 9110, section 15.4.5).
        let is_known = may_be_kept && asked.is_some_and(|asked| etag::matches(asked, tag));
        let mut lines = Vec::with_capacity(USUAL_LINES);
        if !is_known {
            lines.extend_from_slice(&whole.kind);
        }
        lines.extend_from_slice(&whole.lines);
        lines.extend_from_slice(b"Cache-Status: ");
        told.write_to(&mut lines);
        lines.extend_from_slice(b"\r\nVary: X-Client-ID, Authorization, Cookie\r\n");
        if may_be_kept {
            lines.extend_from_slice(b"Cache-Control: private, no-cache\r\n");
            push_line(&mut lines, "ETag", tag.as_bytes());
            if matches!(cached.result, CacheResult::Hit | CacheResult::Stale) {
                let mut digits = itoa::Buffer::new();
                let age = digits.format(cached.age.as_secs());
                push_line(&mut lines, "Age", age.as_bytes());
            }
        } else {
            lines.extend_from_slice(b"Cache-Control: no-store\r\n");
        }
        let (status, body) = match is_known {
            true => (304, Bytes::new()),
            false => (whole.status, body),
        };
        // The caller may be slow to take it, and the cache drop it meanwhile.
        let alone = Together::default();
        let sent = if is_same { &whole.sent } else { &alone };
        let by = By::Caller(context.record.user);
        let body = sent
            .counted(body, &self.budget, by)
            .map_err(|Full| Refusal::Overloaded)?;
        Ok(Answer {
            status,
            headers: Vec::new(),
            lines,
            body,
            source: whole.source,
            held: None,
        })
    }
}

/// A read of the app that others may be given, too; it may outlive the request it is for.
struct Reading {
    legacy: Arc<Legacy>,
    observer: Arc<Observer>,
    permit: Arc<Permit>,
    request_id: RequestId,
    /// How long the answer is kept, if it may be.
    ttl: Duration,
    /// How long the app has for it.
    time: Duration,
}

async fn read_of_app(reading: Reading) -> Fetched<Content> {
    let Reading {
        legacy,
        observer,
        permit,
        request_id,
        ttl,
        time,
    } = reading;
    let class = permit.rule().cache.map(|cache| cache.class);
    let started = Instant::now();
    // Those who wait for it are the same user; for what is everybody's no one of them pays, or
    // others would be refused for what that one holds.
    let by = match class {
        Some(Class::Tenant | Class::User) => By::Caller(permit.user().map(UserId::get)),
        Some(Class::Shared) | None => By::Us,
    };
    let fetch = Box::pin(async {
        let head = plain_head(&permit, legacy.authority(), &request_id);
        let head = head.ok_or(Refusal::Internal)?;
        legacy.fetch(head, Bytes::new(), time, by).await
    });
    let fetched = counted(&observer, fetch).await;
    let code = match &fetched {
        Ok(fetched) if fetched.status >= 500 => "http_5xx",
        Ok(_) => "ok",
        Err(refusal) => refusal.answer().code,
    };
    observer.upstream("legacy", code, started.elapsed());
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(refusal) => {
            return Fetched {
                value: Content::Failed(refusal),
                keep: unless_everybodys(class),
            };
        }
    };
    let is_made_up = permit.rule().serve == Serve::MadeUp;
    let source = match is_made_up && (200..300).contains(&fetched.status) {
        true => Source::Mock,
        false => Source::Legacy,
    };
    let mut whole = Whole::of_app(fetched, source, started.elapsed());
    if source == Source::Mock {
        whole.body = super::api_lane::splice_source(whole.body);
        whole.etag = etag::of(&whole.body);
    }
    let keep = match whole.is_storable {
        true => Keep::For {
            ttl,
            stale: Duration::ZERO,
        },
        false if whole.status >= 400 && !whole.sets_cookie => unless_everybodys(class),
        false => Keep::No,
    };
    Fetched {
        value: Content::Whole(whole.into()),
        keep,
    }
}

/// The head of a request that says what was decided, and nothing of the caller's own.
fn plain_head(permit: &Permit, authority: &str, request_id: &str) -> Option<UpstreamHead> {
    let permit = permit.clone().without_own_cookies();
    let fields = [("Host", authority), ("Accept", "application/json")];
    let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let class = permit.rule().cache.map(|cache| cache.class);
    let sender = Sender {
        request_id,
        // What the app makes of it would be given to others.
        forwarded: None,
        client_address: None,
        // Everybody's answer is nobody's question.
        says_who: class != Some(Class::Shared),
    };
    whole("GET", fields.into_iter(), &permit, sender, 0)
}
