//! Runs of a model, as the chat asks for them: made first, then asked.
//!
//! Weak on purpose: a run is asked by whoever names it. Without the header that
//! confirms it, no model is asked for real.

use super::super::server::{Asked, Body, json_answer};
use super::{bad_request, ok};
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Model {
    /// How many runs were made; they are `run-1` and so on.
    made: AtomicU64,
}

impl Model {
    /// `None` where there is no such route.
    pub(super) fn answer(&self, asked: &Asked) -> Option<Response<Body>> {
        let what = asked.path.strip_prefix("/api/runs")?;
        if asked.method != http::Method::POST {
            return None;
        }
        if what.is_empty() {
            let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
            return Some(ok(json!({"runId": format!("run-{number}")})));
        }
        let run = what.strip_prefix('/')?.strip_suffix("/llm")?;
        Some(self.say(run, asked))
    }

    fn say(&self, run: &str, asked: &Asked) -> Response<Body> {
        let number = run.strip_prefix("run-").and_then(|n| n.parse().ok());
        let made = 1..=self.made.load(Ordering::Relaxed);
        if !number.is_some_and(|number: u64| made.contains(&number)) {
            return json_answer(StatusCode::NOT_FOUND, &json!({"error": "run_not_found"}));
        }
        if asked.header("x-real-llm-confirm") != Some("true") {
            return bad_request("confirmation_required");
        }
        let body = asked.json();
        let input = body["input"].as_str().unwrap_or_default();
        ok(json!({"runId": run, "text": format!("Live reply to: {input}")}))
    }
}
