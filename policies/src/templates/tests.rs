//! The list of templates, and how it joins the app's.

mod flows;
mod schema;

use super::*;
use serde_json::json;

#[test]
fn there_are_ten_and_each_is_found_by_its_id() {
    let all = all().unwrap();
    let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
    let expected = [
        "biz-growth-review",
        "biz-paid-budget-pacing",
        "biz-seo-audit",
        "biz-tag-health",
        "biz-revenue-summary",
        "biz-lead-pipeline",
        "biz-store-performance",
        "biz-product-launch-support",
        "biz-executive-weekly-brief",
        "biz-incident-triage",
    ];
    assert_eq!(ids, expected);
    for one in &all {
        assert_eq!(find(&one.id).as_ref(), Some(one));
    }
    assert_eq!(find("growth-review"), None);
}

#[test]
fn an_item_is_of_the_apps_shape() {
    for one in all().unwrap() {
        let item = one.item();
        let keys: Vec<&str> = item
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = [
            "audience",
            "category",
            "client_id",
            "connections",
            "description",
            "flow",
            "id",
            "name",
            "needs",
            "nodes",
            "template_id",
            "thumbnail",
            "updated",
        ];
        assert_eq!(keys, expected);
        assert!(item["client_id"].is_null() && item["id"].is_u64());
        assert_eq!(item["nodes"], one.flow["nodes"]);
        assert_eq!(item["connections"], one.flow["connections"]);
        let picture = item["thumbnail"].as_str().unwrap();
        assert!(
            picture.starts_with("data:image/svg+xml;base64,"),
            "{picture}"
        );
    }
}

#[test]
fn ours_come_after_the_apps_without_those_that_are_there() {
    let app = json!([
        {"id": 1, "name": "Marketing Report", "category": "Marketing", "client_id": 10},
        {"id": 2, "name": " growth REVIEW ", "category": "Sales", "client_id": 10},
        {"id": 3, "name": null},
        7,
    ]);
    let names = |category| {
        let list = appended(&app, category).unwrap();
        let rows = list.as_array().unwrap();
        assert_eq!(
            rows[..4],
            app.as_array().unwrap()[..],
            "the app's stay as they are"
        );
        let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
        rows[4..].iter().map(name).collect::<Vec<_>>()
    };
    for every in [None, Some(""), Some(" "), Some("all"), Some(" ALL ")] {
        let names = names(every);
        assert_eq!(names.len(), 9, "{every:?}");
        assert!(!names.contains(&"Growth review".to_owned()));
    }
    for marketing in ["Marketing", " marketing "] {
        assert_eq!(names(Some(marketing)), ["Paid budget pacing", "SEO audit"]);
    }
    assert!(names(Some("Market")).is_empty());
    for no_list in [json!({"error": "no such table"}), json!(null), json!("[]")] {
        assert_eq!(appended(&no_list, None), None);
    }
    let renamed = json!([{"id": 1, "name": "Mine", "flow": {"template_id": "biz-seo-audit"}}]);
    let list = appended(&renamed, None).unwrap();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|row| row["template_id"] != "biz-seo-audit")
    );
    assert_eq!(list.as_array().unwrap().len(), 10);
    let twice = appended(&appended(&app, None).unwrap(), None);
    assert_eq!(twice, appended(&app, None), "none is there twice");
}

#[test]
fn every_problem_is_told_at_once() {
    let one = SOURCES[0].1;
    let wrong = one
        .replace(
            "\"biz-growth-review\",\n  \"number\"",
            "\"Growth\",\n  \"number\"",
        )
        .replace("900000001", "12")
        .replace(
            "\"needs\": [\"google-ads\", \"ga4\"]",
            "\"needs\": [\"stripe\"]",
        );
    let wrong: &'static str = Box::leak(wrong.into_boxed_str());
    let problems = super::read(&[("a", one), ("b", wrong), ("c", "{"), ("d", one)]);
    let TemplatesError(problems) = problems.unwrap_err();
    let starts = [
        "b: id \"Growth\"",
        "b: number 12",
        "b: flow.template_id \"biz-growth-review\": expected \"Growth\"",
        "b: needs [\"stripe\"]: expected the flow's connectors",
        "b: the same name as biz-growth-review",
        "c: EOF",
        "d: the same id as biz-growth-review",
        "d: the same number as biz-growth-review",
        "d: the same name as biz-growth-review",
        "d: the same name as Growth",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}
