//! Panics: caught where somebody waits for an answer, counted, and told without
//! their words, which may hold anything.
//!
//! A panic in a hook of Pingora would end in an empty reply without log or
//! metric; one in a task that runs for good would end it in silence.

use crate::observe::Observer;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Tells where the process panics, and nothing of what it was working on.
pub(crate) fn tell_without_words() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let at = at.unwrap_or_default();
        tracing::error!(at, "panicked");
    }));
}

// Not `async fn`: that keeps what it is given once as an argument and once as what is awaited,
// and every request would carry its future twice.

/// Runs the work; `None` when it panicked, which is counted.
pub(crate) fn caught<T>(
    observer: &Observer,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(work).catch_unwind().map(|outcome| {
        if outcome.is_err() {
            observer.metrics.panics_total.inc();
        }
        outcome.ok()
    })
}

/// Runs work for somebody who notices a panic themselves; it is counted on the way.
pub(crate) fn counted<T>(
    observer: &Observer,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let outcome = AssertUnwindSafe(work).catch_unwind();
    outcome.map(|outcome| match outcome {
        Ok(done) => done,
        Err(panic) => {
            observer.metrics.panics_total.inc();
            std::panic::resume_unwind(panic)
        }
    })
}

/// Runs work that must go on; after a panic it begins anew.
pub(crate) async fn kept_up<F: Future<Output = ()>>(observer: Arc<Observer>, work: impl Fn() -> F) {
    while caught(&observer, work()).await.is_none() {
        // A cause that stays must not burn a core.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The header by which a test asks.
pub(crate) const BREAK_AT: &str = "x-break-at";

/// Breaks on purpose where a test asked for it; nothing at all outside of tests.
#[inline(always)]
pub(crate) fn break_for_test(place: &str, headers: &http::HeaderMap) {
    break_where_asked(place, || Some(headers.get(BREAK_AT)?.as_bytes()));
}

/// The same, where headers are no map.
#[inline(always)]
pub(crate) fn break_where_asked<'a>(place: &str, asked: impl FnOnce() -> Option<&'a [u8]>) {
    if cfg!(test) && asked().is_some_and(|at| at == place.as_bytes()) {
        unreachable!("asked to break at {place}");
    }
}
