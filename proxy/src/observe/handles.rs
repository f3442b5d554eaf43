//! Handles of the metrics that an answer counts in, kept for those that are told alike.
//!
//! To find a metric by its labels costs more than to count in it, and most answers are told
//! in the same few ways. What is kept is a hint: an answer that is told in another way takes
//! the place, and nothing is counted twice or not at all. Not here: what is told, and when.

use super::metrics::Metrics;
use arc_swap::ArcSwapOption;
use camarad_policies::text::Text;
use prometheus::{Histogram, IntCounter};
use std::sync::Arc;

/// Places for ways to tell; a power of two.
const PLACES: usize = 64;

/// All labels of an answer but its area, which its route has.
#[derive(Clone)]
pub(super) struct Labels<'a> {
    pub(super) route: &'a Text,
    pub(super) area: &'a str,
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) source: &'static str,
    /// Whether its route has a budget of time.
    pub(super) has_budget: bool,
    /// Decision, reason and mode, where one is told.
    pub(super) decision: Option<[&'static str; 3]>,
    /// What the cache did.
    pub(super) cache: Option<&'static str>,
    /// Why the mock answered in Coolbits' place.
    pub(super) fallback: Option<&'static str>,
}

/// The metrics of answers that are told alike.
pub(super) struct Handles {
    /// Kept, so that no other name comes to stand at its address.
    route: Text,
    method: &'static str,
    status: u16,
    source: &'static str,
    decided: Option<[&'static str; 3]>,
    cached: Option<&'static str>,
    fell_back: Option<&'static str>,
    pub(super) requests: IntCounter,
    pub(super) duration: Histogram,
    pub(super) own_duration: Option<Histogram>,
    pub(super) decision: Option<IntCounter>,
    pub(super) cache: Option<IntCounter>,
    pub(super) fallback: Option<IntCounter>,
}

/// The handles that were used last.
pub(super) struct Kept([ArcSwapOption<Handles>; PLACES]);

impl Default for Kept {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwapOption::empty()))
    }
}

impl Kept {
    /// The handles for an answer with these labels.
    pub(super) fn get(&self, metrics: &Metrics, labels: &Labels<'_>) -> Arc<Handles> {
        let place = &self.0[labels.place()];
        if let Some(handles) = &*place.load()
            && handles.are_of(labels)
        {
            return handles.clone();
        }
        let handles = Arc::new(Handles::of(metrics, labels));
        place.store(Some(handles.clone()));
        handles
    }
}

impl Labels<'_> {
    fn place(&self) -> usize {
        let route = self.route.as_ptr().addr() >> 4;
        (route ^ usize::from(self.status) ^ (self.method.len() << 4)) % PLACES
    }
}

impl Handles {
    fn of(metrics: &Metrics, labels: &Labels<'_>) -> Self {
        let route: &str = labels.route;
        let status = labels.status.to_string();
        let told = [route, labels.method, &status, labels.source];
        let own = &metrics.own_duration_seconds;
        let decisions = &metrics.tenancy_decisions_total;
        let cache = &metrics.cache_requests_total;
        let fallbacks = &metrics.fallbacks_total;
        Self {
            route: labels.route.clone(),
            method: labels.method,
            status: labels.status,
            source: labels.source,
            decided: labels.decision,
            cached: labels.cache,
            fell_back: labels.fallback,
            requests: metrics.requests_total.with_label_values(&told),
            duration: metrics.request_duration_seconds.with_label_values(&[route]),
            own_duration: labels.has_budget.then(|| own.with_label_values(&[route])),
            decision: labels.decision.map(|[decision, reason, mode]| {
                decisions.with_label_values(&[labels.area, decision, reason, mode])
            }),
            cache: labels
                .cache
                .map(|result| cache.with_label_values(&[route, result])),
            fallback: labels
                .fallback
                .map(|reason| fallbacks.with_label_values(&[route, reason])),
        }
    }

    /// Texts are compared by where they stand: two that are alike elsewhere are looked up anew.
    fn are_of(&self, labels: &Labels<'_>) -> bool {
        let same = |a: Option<&'static str>, b: Option<&'static str>| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            (None, None) => true,
            _ => false,
        };
        let decision =
            |at: usize| same(self.decided.map(|d| d[at]), labels.decision.map(|d| d[at]));
        std::ptr::eq(&*self.route, &**labels.route)
            && self.status == labels.status
            && self.own_duration.is_some() == labels.has_budget
            && same(Some(self.method), Some(labels.method))
            && same(Some(self.source), Some(labels.source))
            && same(self.cached, labels.cache)
            && same(self.fell_back, labels.fallback)
            && (0..3).all(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_where_they_are_told_however_they_alternate() {
        let metrics = Metrics::new().unwrap();
        let kept = Kept::default();
        let text = |name: &str| Text::from(Arc::<str>::from(name));
        let (a, b) = (text("a"), text("b"));
        let of = |route: &Text, status, cache, decision, fallback| {
            let labels = Labels {
                route,
                area: "flows",
                method: "GET",
                status,
                source: "legacy",
                has_budget: *route == a,
                decision,
                cache,
                fallback,
            };
            let handles = kept.get(&metrics, &labels);
            handles.requests.inc();
            handles.duration.observe(1.0);
            handles.own_duration.iter().for_each(|own| own.observe(1.0));
            handles.decision.iter().for_each(IntCounter::inc);
            handles.cache.iter().for_each(IntCounter::inc);
            handles.fallback.iter().for_each(IntCounter::inc);
        };
        let allow = Some(["allow", "ok", "enforce"]);
        for _ in 0..3 {
            of(&a, 200, Some("hit"), allow, None);
            of(&a, 200, Some("miss"), allow, Some("timeout"));
            // Statuses that share a place.
            of(&a, 200 + PLACES as u16, None, None, None);
            of(&b, 200, None, allow, None);
        }
        let requests = |route, status| {
            let told = [route, "GET", status, "legacy"];
            metrics.requests_total.with_label_values(&told).get()
        };
        assert_eq!((requests("a", "200"), requests("a", "264")), (6, 3));
        assert_eq!(requests("b", "200"), 3);
        let cache = |result| {
            metrics
                .cache_requests_total
                .with_label_values(&["a", result])
                .get()
        };
        assert_eq!((cache("hit"), cache("miss")), (3, 3));
        let fallbacks = metrics.fallbacks_total.with_label_values(&["a", "timeout"]);
        assert_eq!(fallbacks.get(), 3);
        let allowed = ["flows", "allow", "ok", "enforce"];
        assert_eq!(
            metrics
                .tenancy_decisions_total
                .with_label_values(&allowed)
                .get(),
            9
        );
        let took = |route| {
            metrics
                .request_duration_seconds
                .with_label_values(&[route])
                .get_sample_count()
        };
        assert_eq!((took("a"), took("b")), (9, 3));
        let own = |route| {
            metrics
                .own_duration_seconds
                .with_label_values(&[route])
                .get_sample_count()
        };
        assert_eq!((own("a"), own("b")), (9, 0));
    }
}
