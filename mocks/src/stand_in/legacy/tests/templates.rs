//! Templates, agents for a task, and what a run costs.

use super::runs::{EXECUTE, branching, run, texts};
use super::*;
use camarad_policies::flow::{Flow, Kind, Node};

fn of_kind<'a>(flow: &'a Flow, kind: &Kind) -> Vec<(usize, &'a Node)> {
    let nodes = flow.nodes.iter().enumerate();
    nodes.filter(|(_, node)| node.kind == *kind).collect()
}

#[tokio::test]
async fn the_built_in_templates_are_whole_flows() {
    let app = App::new();
    let rows = app.ask(1, 10, "GET /api/flows/templates", "").await.2;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 11);
    let task = r#"{"task": "x", "top_k": 100}"#;
    let agents = app.ask(1, 0, "POST /api/orchestrator/route", task).await.2;
    let agents = texts(&agents["matches"], "agent_slug");
    let (mut bare, mut both, mut accounts) = (Vec::new(), 0, 0);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let (flow, unreadable) = Flow::read(&row["flow"]);
        assert_eq!(unreadable, [], "{name}");
        assert_eq!(flow.order().len(), flow.nodes.len(), "{name}: all in reach");
        assert_eq!(
            (&row["nodes"], &row["connections"]),
            (&row["flow"]["nodes"], &row["flow"]["connections"])
        );
        assert!(
            row["thumbnail"].as_str().unwrap().starts_with("data:"),
            "{name}"
        );
        assert_eq!(of_kind(&flow, &Kind::Trigger).len(), 1, "{name}");
        assert!(!of_kind(&flow, &Kind::Output).is_empty(), "{name}");
        let thinking = of_kind(&flow, &Kind::Agent);
        assert!(!thinking.is_empty(), "{name}");
        for (_, node) in thinking {
            assert!(agents.contains(&node.slug.as_deref().unwrap()), "{name}");
        }
        for (_, node) in of_kind(&flow, &Kind::Connector) {
            let slug = node.slug.as_deref().unwrap();
            assert!(!figures::constants(slug).is_empty(), "{name}: {slug}");
            accounts +=
                usize::from(node.setting(&["account_id"]).as_deref() == Some("123-456-7890"));
        }
        for (at, node) in of_kind(&flow, &Kind::Condition) {
            match node.config.is_empty() {
                true => bare.push(name),
                false => {
                    assert_eq!(flow.following()[at].len(), 2, "{name}");
                    both += 1;
                }
            }
        }
        let run = run(&app, 10, &row["flow"]).await;
        assert_eq!(run["steps_executed"], run["nodes_total"], "{name}");
    }
    let expected = [
        "DevOps Health Check",
        "Budget Reallocate Alert",
        "Creative Approval Flow",
    ];
    assert_eq!(bare, expected);
    assert_eq!((both, accounts), (2, 1));
}

#[tokio::test]
async fn templates_are_written_once_for_whom_they_are_read() {
    let app = App::new();
    let list = async |user, client, query: &str| {
        let one = format!("GET /api/flows/templates{query}");
        let other = format!("GET /api/orchestrator/templates{query}");
        let rows = app.ask(user, client, &one, "").await;
        assert_eq!(rows.2, app.ask(user, client, &other, "").await.2);
        assert_eq!(
            (rows.0, &rows.1[..]),
            (200, "-"),
            "each row tells by itself"
        );
        rows.2
    };
    let own = list(1, 10, "").await;
    assert_eq!(ids(&own), (1001..=1011).collect::<Vec<_>>());
    assert!(texts(&own, "mark").iter().all(|mark| *mark == "u1.c10"));
    let all = list(1, 0, "").await;
    let mut marks = texts(&all, "mark");
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(
        (marks, ids(&all).len()),
        (vec!["u1.c0", "u1.c10", "u1.c11"], 33)
    );
    assert_eq!(list(1, 10, "").await, own);
    let some = list(1, 10, "?category=mARKETING").await;
    assert_eq!(texts(&some, "category"), ["Marketing"; 4]);
    assert_eq!(list(1, 10, "?category=Market").await, json!([]));
    let foreign = app.with(1, 10, "GET /api/flows/templates", "", Fault::ForeignRow);
    assert_eq!(foreign.await.2[0]["client_id"], 20);
    app.ask(3, 31, "GET /api/flows/templates", "").await;
    app.ask(3, 0, "DELETE /api/clients/31", "").await;
    let left = list(3, 0, "").await;
    assert!(!texts(&left, "mark").contains(&"u3.c31"));
}

#[tokio::test]
async fn a_flow_saved_as_a_template_is_one() {
    let app = App::new();
    let body = json!({"flow": branching(), "name": "Mine", "category": "Own", "description": "d",
                      "thumbnail": "data:,x", "is_template": true});
    let made = app.ask(1, 10, "POST /api/flows", &body.to_string()).await.2;
    assert_eq!(
        (&made["flow_id"], &made["is_template"]),
        (&json!(1001), &json!(true))
    );
    let rows = app
        .ask(1, 10, "GET /api/flows/templates?category=own", "")
        .await
        .2;
    assert_eq!(ids(&rows), [1001]);
    let row = &rows[0];
    assert_eq!(
        (&row["name"], &row["thumbnail"]),
        (&json!("Mine u1.c10"), &json!("data:,x"))
    );
    assert_eq!(
        (&row["description"], &row["flow"]),
        (&json!("d"), &branching())
    );
    let theirs = app
        .ask(1, 11, "GET /api/flows/templates?category=own", "")
        .await;
    assert_eq!(theirs.2, json!([]));
    let flows = app.ask(1, 10, "GET /api/flows", "").await.2;
    assert_eq!(ids(&flows), [2], "no flow");
    let whole = app.ask(1, 10, "GET /api/flows/1001", "").await.2;
    assert_eq!(whole["is_template"], true);
    let ran = app.ask(1, 10, EXECUTE, r#"{"flow_id": 1001}"#).await.2;
    assert_eq!(ran["flow_name"], "Mine u1.c10");
    assert_eq!(app.ask(1, 10, "DELETE /api/flows/1001", "").await.0, 200);
    assert_eq!(app.ask(1, 10, "GET /api/flows/1001", "").await.0, 404);
}

#[tokio::test]
async fn a_task_is_matched_by_words_and_a_large_top_k_lists_all() {
    let app = App::new();
    let route = async |body: &str| app.ask(1, 0, "POST /api/orchestrator/route", body).await;
    let got = route(r#"{"task": "Improve our SEO and search ranking"}"#)
        .await
        .2;
    let slugs = texts(&got["matches"], "agent_slug");
    assert_eq!((slugs.len(), slugs[0]), (5, "seo"));
    assert_eq!(
        slugs[1..],
        [
            "seo-content",
            "backend-architect",
            "ceo-strategy",
            "cfo-finance"
        ]
    );
    let first = &got["matches"][0];
    assert_eq!(
        (&first["keyword_hits"], &first["confidence"]),
        (&json!(2), &json!(0.5))
    );
    let linked = json!({"name": "Ga4", "slug": "ga4", "status": "live"});
    assert_eq!(first["connectors"][1], linked);
    let all = route(r#"{"task": "x", "top_k": 1000}"#).await.2;
    let slugs = texts(&all["matches"], "agent_slug");
    assert_eq!((slugs.len(), &all["total_candidates"]), (21, &json!(21)));
    assert!(slugs.is_sorted() && slugs.contains(&"life-coach"));
    for body in ["{}", r#"{"task": " "}"#] {
        let got = route(body).await;
        assert_eq!(
            (got.0, &got.2["error"]),
            (400, &json!("No task provided")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn credits_run_out_for_each_user_by_themselves() {
    let app = App::new();
    let spend = async |user, client, body: Value| {
        app.ask(user, client, "POST /api/user/spend", &body.to_string())
            .await
    };
    let got = spend(1, 0, json!({"amount": 990, "request_id": "a"}))
        .await
        .2;
    assert_eq!(
        (&got["success"], &got["balance"]),
        (&json!(true), &json!("10 credits of u1.c0"))
    );
    let refused = json!({"error": "insufficient_credits", "success": false,
                         "message": "Not enough credits"});
    let got = spend(1, 0, json!({"amount": 11, "request_id": "b"})).await;
    assert_eq!((got.0, got.2), (402, refused));
    // One that is known has been paid, and what was refused is not known.
    let got = spend(1, 0, json!({"amount": 990, "request_id": "a"})).await;
    assert_eq!((got.0, &got.2["duplicate"]), (200, &json!(true)));
    let got = spend(1, 0, json!({"amount": 10, "request_id": "b"}))
        .await
        .2;
    assert_eq!(got["balance"], "0 credits of u1.c0");
    assert_eq!(spend(1, 0, json!({})).await.0, 200);
    let got = spend(2, 0, json!({"amount": 1})).await.2;
    assert_eq!(got["balance"], "999 credits of u2.c0");
}
