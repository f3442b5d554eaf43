//! A picture of a flow: its nodes as boxes where they lie, its connections as lines.
//!
//! No text of the flow goes in, so nothing has to be escaped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Size of a node on the canvas, in pixels.
pub(super) const BOX: (f64, f64) = (220.0, 120.0);
/// Space around, in pixels of the canvas.
const MARGIN: f64 = 40.0;
/// What the app's page shows, in pixels; the flow is fitted in.
const SHOWN: (u32, u32) = (320, 180);

/// The picture as a data URL, fit for the `src` of an `<img>`.
pub(super) fn data_url(flow: &Value) -> String {
    let picture = STANDARD.encode(svg(flow));
    format!("data:image/svg+xml;base64,{picture}")
}

fn svg(flow: &Value) -> String {
    let list = |name: &str| {
        flow.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let boxes: Vec<(String, f64, f64, &str)> = list("nodes")
        .map(|node| {
            let at = |name: &str| node.get(name).and_then(Value::as_f64).unwrap_or_default();
            let kind = node.get("type").and_then(Value::as_str).unwrap_or_default();
            (node["id"].to_string(), at("x"), at("y"), kind)
        })
        .collect();
    let places: BTreeMap<&str, (f64, f64)> = boxes
        .iter()
        .map(|(id, x, y, _)| (id.as_str(), (*x, *y)))
        .collect();
    let edge = |pick: fn(f64, f64) -> f64, of: fn(&(String, f64, f64, &str)) -> f64| {
        boxes.iter().map(of).reduce(pick).unwrap_or_default()
    };
    let (left, top) = (edge(f64::min, |one| one.1), edge(f64::min, |one| one.2));
    let width = edge(f64::max, |one| one.1) - left + BOX.0 + 2.0 * MARGIN;
    let height = edge(f64::max, |one| one.2) - top + BOX.1 + 2.0 * MARGIN;
    let (x, y) = (left - MARGIN, top - MARGIN);
    let mut svg = String::new();
    // Writing into a String cannot fail.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="{x} {y} {width} {height}"><rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#f8fafc"/>"##,
        SHOWN.0, SHOWN.1
    );
    for one in list("connections") {
        let end = |name: &str| places.get(one[name].to_string().as_str()).copied();
        if let (Some(from), Some(to)) = (end("from"), end("to")) {
            let (x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2.0);
            let (x2, y2) = (to.0, to.1 + BOX.1 / 2.0);
            let _ = write!(
                svg,
                r##"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#94a3b8" stroke-width="8"/>"##
            );
        }
    }
    for (_, x, y, kind) in &boxes {
        let _ = write!(
            svg,
            r##"<rect x="{x}" y="{y}" width="{}" height="{}" rx="16" fill="{}"/>"##,
            BOX.0,
            BOX.1,
            colour(kind)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "trigger" => "#22c55e",
        "connector" => "#3b82f6",
        "agent" => "#8b5cf6",
        "condition" => "#f59e0b",
        "output" => "#0f172a",
        _ => "#cbd5e1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn boxes_lie_where_the_nodes_do_and_lines_join_them() {
        let flow = json!({
            "nodes": [
                {"id": "a", "type": "trigger", "x": 100, "y": -50},
                {"id": 1, "type": "<script>", "x": 400.5, "y": 90},
            ],
            "connections": [{"from": "a", "to": 1}, {"from": "a", "to": "1"}],
        });
        let expected = concat!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180" viewBox="60 -90 600.5 340">"##,
            r##"<rect x="60" y="-90" width="600.5" height="340" fill="#f8fafc"/>"##,
            r##"<line x1="320" y1="10" x2="400.5" y2="150" stroke="#94a3b8" stroke-width="8"/>"##,
            r##"<rect x="100" y="-50" width="220" height="120" rx="16" fill="#22c55e"/>"##,
            r##"<rect x="400.5" y="90" width="220" height="120" rx="16" fill="#cbd5e1"/></svg>"##,
        );
        assert_eq!(svg(&flow), expected);
        let url = data_url(&flow);
        let encoded = url.strip_prefix("data:image/svg+xml;base64,").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), expected.as_bytes());
    }

    #[test]
    fn what_is_no_flow_is_an_empty_picture() {
        for flow in [json!(null), json!({"nodes": 7}), json!({"nodes": []})] {
            let svg = svg(&flow);
            assert_eq!(svg.matches("<rect").count(), 1, "{svg}");
            assert!(svg.ends_with("</svg>"));
        }
    }
}
