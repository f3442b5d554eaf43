//! The orchestrator page: a blocked flow says why, a warning what to do, and a run that
//! goes well is as it was.

use super::{Visitor, limited};
use serde_json::{Value, json};

fn flow(change: impl FnOnce(&mut Value)) -> Value {
    let mut flow = json!({
        "nodes": [
            {"id": "start", "type": "trigger", "label": "Start"},
            {"id": "web", "type": "connector", "slug": "ga4", "label": "Web"},
            {"id": "think", "type": "agent", "slug": "seo", "label": "Analyst"},
            {"id": "say", "type": "output", "label": "Mail", "config": {"output_template": "{{last_agent_response}}"}},
        ],
        "connections": [
            {"from": "start", "to": "web"}, {"from": "web", "to": "think"}, {"from": "think", "to": "say"},
        ],
    });
    change(&mut flow);
    flow
}

impl Visitor {
    async fn at_the_orchestrator() -> Self {
        let visitor = Self::with_client(limited(), 10).await;
        visitor.open("/orchestrator").await;
        visitor
    }

    /// Runs a flow as a person does, and waits until the page says how it ended.
    async fn runs(&self, flow: &Value) {
        self.browser.fill("#name", "Mine").await;
        let set = format!(
            "document.getElementById('flow').value = {}",
            json!(flow.to_string())
        );
        self.browser.run(&set).await;
        let loads = "document.getElementById('run-panel').dataset.loads";
        let before = self.browser.run(&format!("return {loads} || '0'")).await;
        let before: u32 = before.as_str().unwrap().parse().unwrap();
        self.browser.click("#run").await;
        self.browser
            .until(&format!("{loads} === '{}'", before + 1))
            .await;
    }
}

#[tokio::test]
async fn a_blocked_flow_shows_its_sentence() {
    let visitor = Visitor::at_the_orchestrator().await;
    visitor
        .runs(&flow(|flow| flow["nodes"][2]["type"] = json!("note")))
        .await;
    let status = visitor.browser.text("#run-status").await;
    assert!(status.starts_with("Execution error: "), "{status}");
    assert!(
        status.contains("agent") && status.contains("Credits may have been taken already"),
        "{status}"
    );
    assert_eq!(visitor.browser.text("#steps").await, "");
    visitor
        .failed_with(&["the server responded with a status of 400 "])
        .await;
    visitor.browser.end().await;
}

#[tokio::test]
async fn a_warning_shows_what_to_do_on_its_step() {
    let visitor = Visitor::at_the_orchestrator().await;
    // What a label holds must stay text where the page takes a reason for markup.
    let warned = flow(|flow| {
        flow["nodes"][1]["slug"] = json!("hubspot");
        flow["nodes"][1]["label"] = json!("<img src=x onerror=\"document.title='owned'\">");
    });
    visitor.runs(&warned).await;
    let steps = visitor.browser.text("#steps").await;
    assert!(
        steps.contains("not connected") && steps.contains(" \u{2014} "),
        "{steps}"
    );
    assert_ne!(visitor.browser.run("return document.title").await, "owned");
    let images = visitor
        .browser
        .run("return document.querySelectorAll('#steps img').length")
        .await;
    assert_eq!(images, 0);
    let classes = "return [...document.querySelectorAll('#steps li')].map((li) => li.className)";
    let classes = visitor.browser.run(classes).await;
    assert!(
        classes[1].as_str().unwrap().contains("warning"),
        "{classes}"
    );
    visitor.leave().await;
}

#[tokio::test]
async fn a_good_run_a_history_and_the_templates_show_as_before() {
    let visitor = Visitor::at_the_orchestrator().await;
    let templates = visitor.browser.text("#templates").await;
    for name in ["DevOps Health Check", "Growth review"] {
        assert!(
            templates.to_lowercase().contains(&name.to_lowercase()),
            "{templates}"
        );
    }
    visitor.runs(&flow(|_| ())).await;
    assert!(visitor.browser.text("#run-summary").await.contains("4"));
    let steps = visitor.browser.text("#steps").await;
    assert!(!steps.contains('\u{2014}'), "{steps}");
    visitor.open("/orchestrator").await;
    assert!(visitor.browser.text("#history").await.contains("Mine"));
    visitor.leave().await;
}
