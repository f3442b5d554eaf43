use super::super::Status;
use super::*;
use proptest::prelude::*;

const TEXT: &str = include_str!("../../../schemas/run-trace.v1.schema.json");

fn run(answer: Value) -> Run {
    Run {
        run_id: "0199-r".into(),
        execution_id: Some(7),
        trace_execution_id: Some("t-7".into()),
        user: 1,
        client: 10,
        flow_id: None,
        flow_name: "Morning".into(),
        flow: json!({"nodes": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}),
        request_hash: "ab".into(),
        findings: json!([{"code": "x", "node_id": "c", "connector": null, "message": "It is odd",
                          "fix": "mend it", "action": {"label": "Mend", "href": "/connectors"}}]),
        sources: crate::run::annotate::sources(&answer),
        started_at: "2026-01-05T10:00:00.000Z".into(),
        finished_at: Some("2026-01-05T10:00:00.012Z".into()),
        status: Status::Warning,
        replay_of: None,
        answer: Some(answer),
    }
}

fn answer() -> Value {
    json!({
        "total_duration_ms": 12,
        "steps": [
            {"step": 1, "node_id": "a", "node_label": "Web", "type": "connector", "status": "success",
             "input": {"days": 7}, "output": "ok", "fail_reason": null, "duration_ms": 3.5,
             "kpis": {"Users": "1,200"}},
            {"step": 2, "node_id": "b", "node_label": "If", "type": "condition", "status": "warning",
             "input": "", "output": "no", "fail_reason": "not met", "duration_ms": 1},
            {"step": 3, "node_id": "c", "type": "note"},
        ],
        "results": [
            {"step": 1, "node_id": "a", "type": "connector", "status": "ok",
             "data": {"connector": "ga4", "source": "coolbits", "property_id": "G-1",
                      "metric_values": {"sessions": 1200, "bounce_rate": 41.5, "revenue": "99.5", "shown": "$5"}}},
            {"step": 2, "node_id": "b", "type": "condition", "status": "warning",
             "data": {"actual_value": 0, "threshold": "60", "operator": ">"}},
        ],
    })
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(TEXT).unwrap()).unwrap()
}

fn is_valid(trace: &Value) {
    let validator = validator();
    let problems: Vec<String> = validator
        .iter_errors(trace)
        .map(|e| format!("{} {e}", e.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}\n{trace:#}");
}

#[test]
fn steps_are_joined_with_their_results() {
    let steps = steps(&answer());
    assert_eq!(steps[0].input, "{\"days\":7}");
    assert_eq!(
        (steps[0].connector.as_deref(), steps[0].source.as_deref()),
        (Some("ga4"), Some("coolbits"))
    );
    assert_eq!(steps[0].account.as_deref(), Some("G-1"));
    assert_eq!(
        json!(steps[0].figures),
        json!({"sessions": 1200, "bounce_rate": 41.5, "revenue": 99.5})
    );
    assert_eq!(
        json!(steps[1].figures),
        json!({"actual_value": 0, "threshold": 60})
    );
    assert_eq!(
        (steps[2].status.as_str(), steps[2].node_label.as_str()),
        ("error", "")
    );
}

#[test]
fn kpis_are_figures_where_they_are_numbers() {
    let of = |kpis: Value| {
        let row =
            json!({"results": [{"type": "connector", "status": "ok", "data": {"kpis": kpis}}]});
        json!(steps(&row)[0].figures)
    };
    assert_eq!(
        of(json!({"a": 1, "b": "2.5", "c": "$3"})),
        json!({"a": 1, "b": 2.5})
    );
    assert_eq!(
        of(json!([{"label": "a", "value": 1}, {"name": "b", "value": "-2"}, 7])),
        json!({"a": 1, "b": -2})
    );
    assert_eq!(of(json!("x")), json!({}));
}

#[test]
fn a_recorded_run_is_told_as_the_schema_says() {
    let trace = trace(&run(answer()));
    let told = trace.to_json();
    is_valid(&told);
    assert_eq!(
        (&told["origin"], &told["run"]["data"]),
        (&json!("ledger"), &json!("real"))
    );
    assert_eq!(
        (&told["run"]["duration_ms"], &told["run"]["nodes_total"]),
        (&json!(12), &json!(3))
    );
    assert_eq!(
        told["steps"][2]["fail_reason"],
        "It is odd \u{2014} mend it"
    );
    assert_eq!(trace.file_name("csv"), "run-7.csv");
    let csv = String::from_utf8(trace.to_csv()).unwrap();
    let mut lines = csv.split("\r\n");
    let quoted = |cells: &[&str]| {
        cells
            .iter()
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(lines.next().unwrap(), quoted(&COLUMNS));
    let first = [
        "1",
        "0199-r",
        "7",
        "t-7",
        "",
        "",
        "Morning",
        "10",
        "warning",
        "real",
        "ledger",
        "2026-01-05T10:00:00.000Z",
        "2026-01-05T10:00:00.012Z",
        "1",
        "a",
        "Web",
        "connector",
        "success",
        "ga4",
        "coolbits",
        "G-1",
        "3.5",
        r#"{"bounce_rate":41.5,"revenue":99.5,"sessions":1200}"#,
        r#"{"days":7}"#,
        "ok",
        "",
    ];
    assert_eq!(lines.next().unwrap(), quoted(&first));
    // An interrupted run has no answer, and a blocked one findings of another shape.
    let mut lost = run(answer());
    (
        lost.answer,
        lost.status,
        lost.execution_id,
        lost.finished_at,
    ) = (None, Status::Interrupted, None, None);
    lost.findings =
        json!([{"code": "no_agent", "node_id": null, "message": "No agent", "fix": "Add one"}]);
    lost.sources.clear();
    let lost = super::trace(&lost);
    is_valid(&lost.to_json());
    assert_eq!(
        lost.to_csv(),
        format!("{}\r\n", quoted(&COLUMNS)).into_bytes()
    );
    assert_eq!(lost.file_name("json"), "run-0199-r.json");
}

#[test]
fn a_run_from_before_says_so() {
    let detail = json!({
        "id": 3, "flow_name": "Old", "nodes_count": 2, "steps_count": 1, "elapsed_ms": 5, "status": "success",
        "created_at": "2026-01-05 10:00:00", "client_id": 10, "results": answer()["results"],
    });
    let told = trace_of_history(&detail, 10).to_json();
    is_valid(&told);
    assert_eq!(
        (&told["origin"], &told["run"]["run_id"]),
        (&json!("app_history"), &json!(null))
    );
    assert!(
        told["note"]
            .as_str()
            .unwrap()
            .contains("before the sidecar")
    );
    assert_eq!(told["steps"].as_array().unwrap().len(), 2);
    is_valid(&trace_of_history(&json!({}), 1).to_json());
}

#[test]
fn the_schema_describes_every_member_and_column() {
    let schema: Value = serde_json::from_str(TEXT).unwrap();
    fn each(at: &str, schema: &Value) {
        let members = schema.get("properties").and_then(Value::as_object);
        for (name, member) in members.into_iter().flatten() {
            let described = member.get("description").or_else(|| member.get("$ref"));
            assert!(described.is_some(), "{at}/{name} is not described");
            each(&format!("{at}/{name}"), member);
        }
    }
    each("", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        each(name, definition);
    }
    let comment = schema["$comment"].as_str().unwrap();
    assert!(
        comment.contains(&COLUMNS.join(", ")),
        "{}",
        COLUMNS.join(", ")
    );
    let mut other = trace(&run(answer())).to_json();
    other["steps"][0]["colour"] = json!("red");
    assert!(
        !validator().is_valid(&other),
        "the schema takes what it does not know"
    );
}

#[test]
fn what_a_spreadsheet_would_run_is_a_text() {
    for bad in [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\n=x",
        " =x",
        "\u{ff1d}x",
        "\u{3000}=x",
    ] {
        assert!(plain(bad).starts_with('\''), "{bad:?}");
    }
    for good in ["", "a=b", "1-2", "'=x"] {
        assert_eq!(plain(good), good);
    }
}

proptest! {
    /// Whatever stands in a run, its CSV reads back to one row a step with the figures of
    /// the JSON, and nothing in it is a formula.
    #[test]
    fn csv_and_json_tell_the_same(
        rows in prop::collection::vec(("\\PC{0,12}|[=+@,\"\r\n\t -]{0,8}", "[=@a-z\"\r\n,]{0,6}", -1e9f64..1e9), 0..6)
    ) {
        let results: Value = rows.iter().enumerate().map(|(n, (label, node, figure))| json!({
            "step": n + 1, "node_id": format!("{node}{n}"), "label": label, "type": "connector", "status": "ok",
            "input": label, "output": node, "fail_reason": label,
            "data": {"connector": node, "metric_values": {label.as_str(): figure, "x": n}},
        })).collect();
        let trace = trace(&run(json!({"results": results})));
        let json = trace.to_json();
        let csv = trace.to_csv();
        let mut reader = csv::Reader::from_reader(&csv[..]);
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), rows.len());
        let at = |name: &str| COLUMNS.iter().position(|column| *column == name).unwrap();
        for (row, step) in read.iter().zip(json["steps"].as_array().unwrap()) {
            let figures: Value = serde_json::from_str(&row[at("figures")]).unwrap();
            prop_assert_eq!(&figures, &step["figures"]);
            for cell in row {
                prop_assert!(!cell.trim_start().starts_with(is_formula), "{:?}", cell);
            }
        }
    }
}
