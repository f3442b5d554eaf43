//! The flow's shape: what is there, what leads where.

use super::Situation;
use super::finding::Findings;
use crate::flow::{Flow, Kind, Node, Unreadable};
use serde_json::Value;
use std::collections::BTreeSet;

/// The whole flow; false where it is larger than allowed.
pub(super) fn whole(found: &mut Findings, flow: &Value, read: &Flow, bytes: usize) -> bool {
    let limits = found.table.limits();
    let count = |name: &str| flow[name].as_array().map_or(0, Vec::len);
    let (nodes, connections) = (count("nodes"), count("connections"));
    let mut fits = true;
    for (code, count, limit) in [
        ("too_large", bytes, limits.bytes),
        ("too_many_nodes", nodes, limits.nodes),
        ("too_many_connections", connections, limits.connections),
    ] {
        if count > limit {
            fits = false;
            let (count, limit) = (count.to_string(), limit.to_string());
            found.add(code, None, None, &[("count", &count), ("limit", &limit)]);
        }
    }
    if nodes == 0 {
        found.add("no_nodes", None, None, &[]);
        return fits;
    }
    for (code, kind) in [("no_agent", Kind::Agent), ("no_output", Kind::Output)] {
        if !read.nodes.iter().any(|node| node.kind == kind) {
            found.add(code, None, None, &[]);
        }
    }
    fits
}

/// The nodes in order: those that are none, those whose id was there before, and what
/// `more` finds.
pub(super) fn nodes(
    found: &mut Findings,
    read: &Flow,
    unreadable: &[Unreadable],
    more: impl Fn(&mut Findings, &Node),
) {
    let mut bad = unreadable.iter().filter_map(|one| match one {
        Unreadable::Node(at) => Some(*at),
        _ => None,
    });
    let mut next_bad = bad.next();
    let mut seen = BTreeSet::new();
    let mut place = 0;
    let mut tell = |found: &mut Findings, place: &mut usize| {
        while next_bad == Some(*place) {
            *place += 1;
            found.add(
                "node_unreadable",
                None,
                None,
                &[("place", &place.to_string())],
            );
            next_bad = bad.next();
        }
    };
    for node in &read.nodes {
        tell(found, &mut place);
        if !seen.insert(&node.key) {
            found.add("duplicate_id", Some(&node.id), None, &[("id", &node.id)]);
        }
        more(found, node);
        place += 1;
    }
    tell(found, &mut place);
}

/// The connections in order: those that are none, and those to no node.
pub(super) fn connections(found: &mut Findings, read: &Flow, unreadable: &[Unreadable]) {
    let keys: BTreeSet<&String> = read.nodes.iter().map(|node| &node.key).collect();
    for one in unreadable {
        if let Unreadable::Connection(at) = one {
            let place = (at + 1).to_string();
            found.add("connection_unreadable", None, None, &[("place", &place)]);
        }
    }
    for connection in &read.connections {
        for end in [&connection.from, &connection.to] {
            if !keys.contains(end) {
                let id = end.trim_matches('"');
                found.add("connection_to_nothing", None, None, &[("id", id)]);
            }
        }
    }
}

/// What leads where: the beginning, agents before outputs, circles, what is never reached.
pub(super) fn paths(found: &mut Findings, read: &Flow) {
    let is_trigger = |node: &Node| node.kind == Kind::Trigger;
    if let (false, Some(first)) = (read.nodes.iter().any(is_trigger), read.nodes.first()) {
        found.about("no_trigger", first, None, &[]);
    }
    let following = read.following();
    let reached: BTreeSet<usize> = read.order().into_iter().collect();
    let thought = after_an_agent(read, &following);
    let circles = circles(&following);
    for (at, node) in read.nodes.iter().enumerate() {
        if circles.contains(&at) {
            found.about("cycle", node, None, &[]);
        }
        if !reached.contains(&at) {
            found.about("out_of_reach", node, None, &[]);
        } else if node.kind == Kind::Output && !thought.contains(&at) {
            found.about("no_path", node, None, &[]);
        }
    }
}

/// What a run reaches after an agent has run.
fn after_an_agent(read: &Flow, following: &[Vec<usize>]) -> BTreeSet<usize> {
    let is_agent = |at: &usize| read.nodes[*at].kind == Kind::Agent;
    let mut waiting: Vec<usize> = read.order().into_iter().filter(is_agent).collect();
    let mut after = BTreeSet::new();
    while let Some(at) = waiting.pop() {
        let next = following[at].iter().copied();
        waiting.extend(next.filter(|next| after.insert(*next)));
    }
    after
}

/// The first node of each circle.
fn circles(following: &[Vec<usize>]) -> BTreeSet<usize> {
    let preceding = turned(following);
    let mut first = BTreeSet::new();
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    for at in 0..following.len() {
        if placed.contains(&at) {
            continue;
        }
        let onwards = reach(at, following);
        if onwards.contains(&at) {
            first.insert(at);
            placed.extend(onwards.intersection(&reach(at, &preceding)));
        }
    }
    first
}

/// What can be reached from a node, itself only round a circle.
fn reach(from: usize, following: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        let next = following[at].iter().copied();
        waiting.extend(next.filter(|next| reached.insert(*next)));
    }
    reached
}

fn turned(following: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut preceding = vec![Vec::new(); following.len()];
    for (from, next) in following.iter().enumerate() {
        for to in next {
            preceding[*to].push(from);
        }
    }
    preceding
}

/// What leads to each condition, directly or not; nothing for other nodes.
pub(super) fn before(read: &Flow) -> Vec<BTreeSet<usize>> {
    let preceding = turned(&read.following());
    let of = |(at, node): (usize, &Node)| match node.kind {
        Kind::Condition => reach(at, &preceding),
        _ => BTreeSet::new(),
    };
    read.nodes.iter().enumerate().map(of).collect()
}

/// A node of a type, or an agent, that the app does not know.
pub(super) fn kind(found: &mut Findings, node: &Node, situation: &Situation) {
    match &node.kind {
        Kind::Other(kind) => found.about("unknown_type", node, None, &[("type", kind)]),
        Kind::Agent => {
            let slug = node.slug.as_deref().unwrap_or_default().to_lowercase();
            let known = situation.agents.as_ref();
            if slug.is_empty() || known.is_some_and(|known| !known.contains(&slug)) {
                found.about("unknown_agent", node, None, &[("slug", &slug)]);
            }
        }
        _ => {}
    }
}
