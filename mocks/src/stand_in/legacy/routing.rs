//! `POST /api/orchestrator/route`: the agents that fit a task, by words of their own.
//!
//! The same for everybody. The list is also how a caller learns which agents
//! there are: all of them are candidates, and a large `top_k` names each.

use super::connectors;
use super::conversations;
use super::request::{Request, Told, integer, ok, refused};
use http::StatusCode;
use serde_json::{Value, json};

/// Matches where the caller does not say.
const MOST: usize = 5;

/// Slug, name, workspace, words, connectors.
type Agent = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const AGENTS: [Agent; 21] = [
    ("backend-architect", "Backend Architect", "development", "api database server code", &["github", "aws"]),
    ("ceo-strategy", "CEO Strategy", "business", "strategy growth plan company", &["ga4", "stripe"]),
    ("cfo-finance", "CFO Finance", "business", "cash revenue expenses budget finance", &["quickbooks", "stripe"]),
    ("cmo-growth", "CMO Growth", "business", "marketing budget campaign growth", &["google-ads", "ga4"]),
    ("coo-operations", "COO Operations", "business", "operations project plan deadline", &["notion", "todoist"]),
    ("creative-director", "Creative Director", "agency", "creative design banner video", &["meta-ads"]),
    ("creative-muse", "Creative Muse", "personal", "ideas writing music", &[]),
    ("cto-innovation", "CTO Innovation", "business", "technology roadmap innovation", &["github"]),
    ("devops-infra", "DevOps Infra", "development", "deploy server uptime monitoring", &["aws", "vercel", "github"]),
    ("fitness-wellness", "Fitness and Wellness", "personal", "fitness training health", &[]),
    ("frontend-uiux", "Frontend UI/UX", "development", "page css code browser", &["github", "vercel"]),
    ("fullstack-dev", "Full-stack Developer", "development", "code feature bug", &["github"]),
    ("life-coach", "Life Coach", "personal", "life habits plan day", &["todoist"]),
    ("performance-analytics", "Performance Analytics", "agency", "data report analytics figures", &["ga4", "google-search-console"]),
    ("personal-mentor", "Personal Mentor", "personal", "career learning goals", &["notion"]),
    ("ppc-specialist", "PPC Specialist", "agency", "ppc ads campaign cpc google", &["google-ads", "google-tag-manager"]),
    ("psychologist", "Psychologist", "personal", "mind stress sleep", &[]),
    ("security-quality", "Security and Quality", "development", "security audit test vulnerability", &["github", "aws"]),
    ("seo", "SEO", "business", "search ranking keywords google", &["google-search-console", "ga4"]),
    ("seo-content", "SEO Content", "agency", "seo article blog text content", &["google-search-console", "ga4"]),
    ("social-media", "Social Media", "agency", "social post community newsletter", &["linkedin-ads", "telegram"]),
];

/// Those that an agent looks at; none for an unknown one.
pub(super) fn connectors_of(agent: &str) -> &'static [&'static str] {
    let mut agents = AGENTS.iter();
    agents.find(|row| row.0 == agent).map_or(&[], |row| row.4)
}

pub(super) fn answer(_: &mut super::store::Store, request: &Request) -> Option<Told> {
    match request.names() {
        ("POST", "/api/orchestrator/route") => Some(route(request)),
        _ => None,
    }
}

fn route(request: &Request) -> Told {
    let task = request.text("task").map(str::trim).unwrap_or_default();
    if task.is_empty() {
        return refused(StatusCode::BAD_REQUEST, "No task provided");
    }
    let most = integer(&request.body["top_k"]).and_then(|n| usize::try_from(n).ok());
    let lower = task.to_lowercase();
    let asked: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    let mut matches = AGENTS.map(|agent| {
        let words = agent.3.split(' ');
        (agent, words.filter(|word| asked.contains(word)).count())
    });
    matches.sort_by_key(|(agent, hits)| (std::cmp::Reverse(*hits), agent.0));
    let best = matches.iter().take(most.unwrap_or(MOST));
    ok(json!({
        "task": task, "total_candidates": AGENTS.len(),
        "matches": best.map(|(agent, hits)| row(agent, *hits)).collect::<Value>(),
    }))
}

fn row((slug, name, workspace, _, connected): &Agent, hits: usize) -> Value {
    let connected = connected.iter().map(|slug| {
        let status = if connectors::LIVE.contains(slug) {
            "live"
        } else {
            "planned"
        };
        json!({"name": conversations::title(slug), "slug": slug, "status": status})
    });
    json!({
        "agent_slug": slug, "agent_name": name, "workspace": workspace, "keyword_hits": hits,
        "confidence": (hits.min(4) * 25) as f64 / 100.0,
        "connectors": connected.collect::<Value>(),
    })
}
