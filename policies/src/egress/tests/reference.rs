//! What becomes of an answer, decided slowly over values.

use super::MINE;
use crate::egress::splice::Cut;
use crate::egress::{Kind, Mine};
use crate::ids::Named;
use crate::matrix::{OnForeign, Rule};
use crate::pointer::{NOT_OURS, Pointer};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Element(usize),
    Member(String),
}

/// A value, its place, and that of its row.
type Found<'v> = (&'v Value, Vec<Place>, Option<Vec<Place>>);

/// Every value that the steps lead to.
fn found<'v>(
    steps: &[Option<&str>],
    value: &'v Value,
    at: &[Place],
    row: Option<&[Place]>,
    out: &mut Vec<Found<'v>>,
) {
    let Some((step, rest)) = steps.split_first() else {
        return out.push((value, at.to_vec(), row.map(<[_]>::to_vec)));
    };
    let inside = |place: Place| [at, &[place]].concat();
    match (step, value) {
        (None, Value::Array(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                let at = inside(Place::Element(index));
                found(rest, element, &at, Some(&at), out);
            }
        }
        (step, Value::Object(members)) => {
            for (name, member) in members {
                if step.map_or(!NOT_OURS.contains(&name.as_str()), |step| step == name) {
                    found(rest, member, &inside(Place::Member(name.clone())), row, out);
                }
            }
        }
        _ => {}
    }
}

fn is_mine(kind: Kind, id: &Value, mine: &Mine<'_>) -> bool {
    let text = match id {
        Value::Null => return true,
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return false,
    };
    match (kind, Named::parse(&text)) {
        (_, Ok(Named::NoClient)) => true,
        (Kind::Account, _) => (id.is_string() || id.is_u64()) && (mine.account)(&text),
        (Kind::Client, Ok(Named::Client(id))) => (mine.client)(id),
        (Kind::User, Ok(Named::Client(id))) => mine.user.is_some_and(|u| u.get() == id.get()),
        (_, Err(_)) => false,
    }
}

fn get_mut<'v>(value: &'v mut Value, at: &[Place]) -> &'v mut Value {
    at.iter().fold(value, |value, place| match place {
        Place::Element(index) => &mut value[index],
        Place::Member(name) => &mut value[name],
    })
}

/// What goes on, as a value; `None` when nothing does.
pub(super) fn reference(rule: &Rule, pointers: &[(Kind, &str)], value: &Value) -> Option<Value> {
    let mut cuts: Vec<(Vec<Place>, Cut)> = Vec::new();
    let mut lists = 0;
    for (kind, text) in pointers {
        if let Some((list, _)) = text.rsplit_once("/*") {
            let lists_there = match list {
                "" => vec![value],
                list => Pointer::parse(list).unwrap().find(value),
            };
            lists += lists_there.iter().filter(|list| list.is_array()).count();
        }
        let pointer = Pointer::parse(text).unwrap();
        let steps: Vec<_> = pointer.steps().collect();
        let mut out = Vec::new();
        found(&steps, value, &[], None, &mut out);
        for (id, at, row) in out {
            if is_mine(*kind, id, &MINE) {
                continue;
            }
            let cut = match (kind, rule.on_foreign, row) {
                (Kind::Account, _, None) => (at, Cut::Null),
                (Kind::Account, _, Some(row)) => (row, Cut::Out),
                (_, OnForeign::Filter, row) => (row?, Cut::Out),
                (_, OnForeign::Redact, row) => (row?, Cut::Down),
                (_, OnForeign::Block, _) => return None,
            };
            cuts.push(cut);
        }
    }
    if rule.on_foreign != OnForeign::Block && !pointers.is_empty() && lists == 0 {
        return None;
    }
    // From the end, and inner ones first, so that places stay what they are.
    cuts.sort_by(|one, other| other.cmp(one));
    cuts.dedup_by(|later, kept| later.0 == kept.0);
    let mut left = value.clone();
    for (row, cut) in cuts {
        match (get_mut(&mut left, &row), cut) {
            (value, Cut::Null) => *value = Value::Null,
            (Value::Object(row), Cut::Down) => row.retain(|name, _| rule.keep.contains(name)),
            _ => {
                let Some((Place::Element(index), list)) = row.split_last() else {
                    unreachable!("rows are elements")
                };
                let list = get_mut(&mut left, list).as_array_mut().unwrap();
                list.remove(*index);
            }
        }
    }
    Some(left)
}

/// A foreign id outside of the pointers.
pub(super) fn elsewhere(pointers: &[(Kind, &str)], value: &Value) -> bool {
    fn walk(value: &Value, pointed: &[&Value]) -> bool {
        let id = |kind, id: &Value| {
            let is_id = match id {
                Value::Number(number) => Named::parse(&number.to_string()).is_ok(),
                Value::String(text) => Named::parse(text).is_ok(),
                _ => false,
            };
            is_id && !pointed.iter().any(|p| std::ptr::eq(*p, id)) && !is_mine(kind, id, &MINE)
        };
        match value {
            Value::Array(elements) => elements.iter().any(|element| walk(element, pointed)),
            Value::Object(members) => members.iter().any(|(name, member)| match name.as_str() {
                name if NOT_OURS.contains(&name) => false,
                "client_id" => id(Kind::Client, member) || walk(member, pointed),
                "user_id" => id(Kind::User, member) || walk(member, pointed),
                _ => walk(member, pointed),
            }),
            _ => false,
        }
    }
    let pointers = pointers
        .iter()
        .map(|(_, text)| Pointer::parse(text).unwrap());
    let pointed: Vec<_> = pointers.flat_map(|pointer| pointer.find(value)).collect();
    walk(value, &pointed)
}
