//! Each flow is of the schema, and the schema refuses what it should.

use crate::templates::all;
use jsonschema::Validator;
use serde_json::{Value, from_str, json};

const SCHEMA: &str = include_str!("../../../schemas/flow.v1.schema.json");

fn validator() -> Validator {
    jsonschema::draft202012::new(&from_str(SCHEMA).unwrap()).unwrap()
}

#[test]
fn each_flow_is_of_the_schema() {
    let validator = validator();
    for one in all().unwrap() {
        let errors: Vec<String> = validator
            .iter_errors(&one.flow)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", one.id);
    }
}

#[test]
fn the_schema_itself_is_valid() {
    assert!(jsonschema::meta::is_valid(&from_str(SCHEMA).unwrap()));
}

#[test]
fn the_schema_refuses_each_for_one_reason() {
    let good = || {
        json!({
            "nodes": [
                {"id": "t", "type": "trigger", "config": {"trigger_type": "manual"}},
                {"id": "c", "type": "connector", "slug": "google-ads", "config": {"days": 7}},
                {"id": "g", "type": "connector", "slug": "ga4", "config": {"range": "7days"}},
                {"id": "q", "type": "condition", "config": {"metric": "roas", "operator": "<", "value": 2}},
                {"id": "a", "type": "agent", "slug": "ppc-specialist", "config": {"prompt": "Say why."}},
                {"id": "o", "type": "output", "config": {"template": "{ok} {{last_agent_response}}"}},
            ],
            "connections": [{"from": "t", "to": "c"}],
        })
    };
    let validator = validator();
    assert!(validator.is_valid(&good()));
    // Where, and the value there; null takes it away.
    let cases = [
        ("/nodes", json!([]), "/nodes"),
        ("/nodes", Value::Null, ""),
        ("/connections", Value::Null, ""),
        ("/edges", json!([]), ""),
        ("/nodes/0/id", json!(""), "/nodes/0/id"),
        ("/nodes/0/id", json!(true), "/nodes/0/id"),
        ("/nodes/0/id", Value::Null, "/nodes/0"),
        ("/nodes/0/type", json!("timer"), "/nodes/0/type"),
        ("/nodes/0/href", json!("https://example.com"), "/nodes/0"),
        (
            "/nodes/0/config/cron",
            json!("0 8 * * 1"),
            "/nodes/0/config",
        ),
        ("/nodes/0/x", json!("40"), "/nodes/0/x"),
        ("/nodes/1/slug", Value::Null, "/nodes/1"),
        ("/nodes/1/slug", json!("Google Ads"), "/nodes/1/slug"),
        ("/nodes/1/config/days", json!(0), "/nodes/1/config/days"),
        (
            "/nodes/1/config/days",
            json!("a week"),
            "/nodes/1/config/days",
        ),
        ("/nodes/1/config/range", json!("7days"), "/nodes/1/config"),
        (
            "/nodes/2/config/range",
            json!("8days"),
            "/nodes/2/config/range",
        ),
        ("/nodes/3/config", Value::Null, "/nodes/3"),
        ("/nodes/3/config/metric", Value::Null, "/nodes/3/config"),
        (
            "/nodes/3/config/operator",
            json!("=>"),
            "/nodes/3/config/operator",
        ),
        (
            "/nodes/3/config/value",
            json!("2 %"),
            "/nodes/3/config/value",
        ),
        ("/nodes/3/config/value", Value::Null, "/nodes/3/config"),
        ("/nodes/4/slug", Value::Null, "/nodes/4"),
        (
            "/nodes/4/config/prompt",
            json!(" "),
            "/nodes/4/config/prompt",
        ),
        (
            "/nodes/5/config/template",
            json!("{{client}}"),
            "/nodes/5/config/template",
        ),
        ("/connections/0/to", Value::Null, "/connections/0"),
        ("/connections/0/when", json!("yes"), "/connections/0"),
    ];
    for (place, value, refused_at) in cases {
        let mut flow = good();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = flow.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value.is_null() {
            true => assert!(parent.remove(name).is_some(), "{place}"),
            false => drop(parent.insert(name.to_owned(), value.clone())),
        }
        let errors: Vec<String> = validator
            .iter_errors(&flow)
            .map(|error| error.instance_path().to_string())
            .collect();
        assert_eq!(errors, [refused_at], "{place} = {value}");
    }
}
