//! A flow of the orchestrator, read as the app reads it (contract, section 5).
//!
//! Reading is lenient where the app is, and tells what it could not read instead of
//! leaving it out: what is checked has to be what runs. Not here: whether a flow makes
//! sense, which is for `guardrails`.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// A flow: what runs, and in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// In the flow's order.
    pub nodes: Vec<Node>,
    /// In the flow's order.
    pub connections: Vec<Connection>,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its id as text, for people and for findings.
    pub id: String,
    /// The same for comparing: to the app the number 1 and the text "1" are two ids.
    pub key: String,
    /// What it does.
    pub kind: Kind,
    /// `label`, else the id.
    pub label: String,
    /// Which agent or connector; `None` where there is none or it is empty.
    pub slug: Option<String>,
    /// `config`, or nothing.
    pub config: Map<String, Value>,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where a run begins.
    Trigger,
    /// Thinks about what came before.
    Agent,
    /// Reads figures.
    Connector,
    /// Compares one figure; both branches are run.
    Condition,
    /// Says what came out.
    Output,
    /// Runs as a note.
    Other(String),
}

/// One connection, by [`Node::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Where it comes from.
    pub from: String,
    /// Where it goes.
    pub to: String,
}

/// What could not be read of a flow, in the flow's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no object, or has no list of nodes.
    Flow,
    /// The node at this place, counted from 0, is no object or has no id.
    Node(usize),
    /// `connections` is no list, or the one at this place, counted from 0, does not say from where to where.
    Connection(usize),
}

impl Flow {
    /// Reads a flow; what could be read, and what could not.
    pub fn read(flow: &Value) -> (Self, Vec<Unreadable>) {
        let Some(nodes) = flow.get("nodes").and_then(Value::as_array) else {
            return (Self::default(), vec![Unreadable::Flow]);
        };
        let mut unreadable = Vec::new();
        let mut read = Self::default();
        for (at, node) in nodes.iter().enumerate() {
            match Node::read(node) {
                Some(node) => read.nodes.push(node),
                None => unreadable.push(Unreadable::Node(at)),
            }
        }
        match flow.get("connections") {
            None | Some(Value::Null) => {}
            Some(Value::Array(connections)) => {
                for (at, connection) in connections.iter().enumerate() {
                    let end = |name| key(connection.get(name)?);
                    match (end("from"), end("to")) {
                        (Some(from), Some(to)) => read.connections.push(Connection { from, to }),
                        _ => unreadable.push(Unreadable::Connection(at)),
                    }
                }
            }
            Some(_) => unreadable.push(Unreadable::Connection(0)),
        }
        (read, unreadable)
    }

    /// The places of the nodes that follow each node, in the order of the connections.
    pub fn following(&self) -> Vec<Vec<usize>> {
        let places = self.nodes.iter().enumerate();
        let places: BTreeMap<&str, usize> = places.map(|(at, n)| (n.key.as_str(), at)).collect();
        let mut following = vec![Vec::new(); self.nodes.len()];
        for one in &self.connections {
            if let (Some(from), Some(to)) =
                (places.get(one.from.as_str()), places.get(one.to.as_str()))
            {
                following[*from].push(*to);
            }
        }
        following
    }

    /// The places of the nodes in the order in which the app runs them: breadth first
    /// from the triggers, else from the first node; each once, both branches of a
    /// condition. What is out of reach is not run.
    pub fn order(&self) -> Vec<usize> {
        let is_trigger = |at: &usize| self.nodes[*at].kind == Kind::Trigger;
        let mut waiting: VecDeque<usize> = (0..self.nodes.len()).filter(is_trigger).collect();
        if waiting.is_empty() && !self.nodes.is_empty() {
            waiting.push_back(0);
        }
        let following = self.following();
        let mut seen = vec![false; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(at) = waiting.pop_front() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            order.push(at);
            waiting.extend(following[at].iter().copied().filter(|next| !seen[*next]));
        }
        order
    }
}

impl Node {
    fn read(node: &Value) -> Option<Self> {
        let key = key(node.get("id")?)?;
        let text = |name: &str| {
            let text = node.get(name).and_then(Value::as_str)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let id = match node.get("id")? {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        Some(Self {
            label: text("label").unwrap_or_else(|| id.clone()),
            kind: Kind::parse(node.get("type").and_then(Value::as_str).unwrap_or_default()),
            slug: text("slug"),
            config: node
                .get("config")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            id,
            key,
        })
    }

    /// The first of these settings that is there and says something, as text; numbers
    /// by their digits.
    pub fn setting(&self, names: &[&str]) -> Option<String> {
        let text = |name: &&str| match self.config.get(*name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        names.iter().find_map(text)
    }
}

impl Kind {
    fn parse(text: &str) -> Self {
        match text {
            "trigger" => Self::Trigger,
            "agent" => Self::Agent,
            "connector" => Self::Connector,
            "condition" => Self::Condition,
            "output" => Self::Output,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its name in flows.
    pub fn name(&self) -> &str {
        match self {
            Self::Trigger => "trigger",
            Self::Agent => "agent",
            Self::Connector => "connector",
            Self::Condition => "condition",
            Self::Output => "output",
            Self::Other(name) => name,
        }
    }
}

/// An id for comparing: a text that is not empty, or an integer.
fn key(id: &Value) -> Option<String> {
    match id {
        Value::String(text) if text.is_empty() => None,
        Value::String(_) => Some(id.to_string()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(flow: &Flow) -> Vec<&str> {
        let order = flow.order();
        order.iter().map(|at| flow.nodes[*at].id.as_str()).collect()
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_read() {
        let (flow, unreadable) = Flow::read(&json!({
            "nodes": [{"id": "a", "type": "trigger"}, 7, {"type": "agent"}, {"id": 3, "type": "sticker", "label": " "}],
            "connections": [{"from": "a", "to": 3}, {"from": "a"}, "a"],
        }));
        let expected = [
            Unreadable::Node(1),
            Unreadable::Node(2),
            Unreadable::Connection(1),
            Unreadable::Connection(2),
        ];
        assert_eq!(unreadable, expected);
        assert_eq!(ids(&flow), ["a", "3"]);
        assert_eq!(flow.nodes[1].kind, Kind::Other("sticker".into()));
        assert_eq!(flow.nodes[1].label, "3");
        for no_flow in [
            json!([]),
            json!("x"),
            json!(null),
            json!({"nodes": {}}),
            json!({}),
        ] {
            assert_eq!(Flow::read(&no_flow).1, [Unreadable::Flow], "{no_flow}");
        }
    }

    #[test]
    fn the_number_and_the_text_are_two_ids() {
        let (flow, _) = Flow::read(&json!({
            "nodes": [{"id": 1}, {"id": "1"}], "connections": [{"from": 1, "to": "1"}],
        }));
        assert_eq!(flow.following(), [vec![1], vec![]]);
    }

    #[test]
    fn it_runs_breadth_first_from_the_triggers_each_node_once() {
        let flow = |nodes: &[(&str, &str)], connections: &[(&str, &str)]| {
            let nodes = nodes
                .iter()
                .map(|(id, kind)| json!({"id": id, "type": kind}));
            let connections = connections
                .iter()
                .map(|(from, to)| json!({"from": from, "to": to}));
            let flow = json!({"nodes": nodes.collect::<Value>(), "connections": connections.collect::<Value>()});
            let (flow, unreadable) = Flow::read(&flow);
            assert_eq!(unreadable, []);
            flow
        };
        let branches = flow(
            &[
                ("o", "output"),
                ("t", "trigger"),
                ("c", "condition"),
                ("y", "agent"),
                ("n", "agent"),
                ("x", "agent"),
            ],
            &[
                ("t", "c"),
                ("c", "y"),
                ("c", "n"),
                ("y", "o"),
                ("n", "o"),
                ("o", "t"),
                ("x", "o"),
                ("t", "gone"),
            ],
        );
        assert_eq!(ids(&branches), ["t", "c", "y", "n", "o"]);
        let no_trigger = flow(&[("a", "agent"), ("b", "output")], &[("a", "b")]);
        assert_eq!(ids(&no_trigger), ["a", "b"]);
        assert!(Flow::default().order().is_empty());
    }
}
