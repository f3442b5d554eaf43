//! Single values with their place: a TOML tree taken apart into leaves, and
//! leaves put together again.

use crate::settings::Settings;
use config::{Value, ValueKind};

/// One value that was written somewhere.
pub(super) struct Leaf {
    pub(super) path: Vec<Segment>,
    pub(super) value: Value,
    pub(super) origin: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

pub(super) fn flatten(
    path: Vec<Segment>,
    value: toml::Value,
    origin: &str,
    leaves: &mut Vec<Leaf>,
) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let mut path = path.clone();
                path.push(Segment::Key(key));
                flatten(path, value, origin, leaves);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (at, item) in items.into_iter().enumerate() {
                let mut path = path.clone();
                path.push(Segment::Index(at));
                flatten(path, item, origin, leaves);
            }
        }
        other => leaves.push(Leaf {
            path,
            value: Value::new(None, kind(other)),
            origin: origin.to_owned(),
        }),
    }
}

fn kind(value: toml::Value) -> ValueKind {
    match value {
        toml::Value::String(text) => ValueKind::String(text),
        toml::Value::Integer(number) => ValueKind::I64(number),
        toml::Value::Float(number) => ValueKind::Float(number),
        toml::Value::Boolean(yes) => ValueKind::Boolean(yes),
        toml::Value::Datetime(time) => ValueKind::String(time.to_string()),
        toml::Value::Array(items) => ValueKind::Array(
            items
                .into_iter()
                .map(|i| Value::new(None, kind(i)))
                .collect(),
        ),
        toml::Value::Table(table) => ValueKind::Table(
            table
                .into_iter()
                .map(|(key, value)| (key, Value::new(None, kind(value))))
                .collect(),
        ),
    }
}

pub(super) fn key_of(path: &[Segment]) -> String {
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Key(name) if key.is_empty() => key.push_str(name),
            Segment::Key(name) => {
                key.push('.');
                key.push_str(name);
            }
            Segment::Index(at) => key.push_str(&format!("[{at}]")),
        }
    }
    key
}

/// A tree that holds nothing but this leaf.
pub(super) fn nest(path: &[Segment], leaf: Value) -> Value {
    path.iter().rev().fold(leaf, |inner, segment| {
        let kind = match segment {
            Segment::Key(name) => ValueKind::Table([(name.clone(), inner)].into_iter().collect()),
            Segment::Index(_) => ValueKind::Array(vec![inner]),
        };
        Value::new(None, kind)
    })
}

/// All leaves in one tree; later ones win.
pub(super) fn merge(leaves: &[Leaf]) -> Option<Settings> {
    let mut root = Value::new(None, ValueKind::Table(Default::default()));
    for leaf in leaves {
        insert(&mut root, &leaf.path, leaf.value.clone());
    }
    root.try_deserialize().ok()
}

fn insert(at: &mut Value, path: &[Segment], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        *at = leaf;
        return;
    };
    let empty = || Value::new(None, ValueKind::Nil);
    match first {
        Segment::Key(name) => {
            if !matches!(at.kind, ValueKind::Table(_)) {
                at.kind = ValueKind::Table(Default::default());
            }
            if let ValueKind::Table(table) = &mut at.kind {
                insert(table.entry(name.clone()).or_insert_with(empty), rest, leaf);
            }
        }
        Segment::Index(index) => {
            if !matches!(at.kind, ValueKind::Array(_)) {
                at.kind = ValueKind::Array(Vec::new());
            }
            if let ValueKind::Array(items) = &mut at.kind {
                while items.len() <= *index {
                    items.push(Value::new(None, ValueKind::Table(Default::default())));
                }
                insert(&mut items[*index], rest, leaf);
            }
        }
    }
}
