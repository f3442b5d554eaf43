//! Documents to look through, whole and broken.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
enum Doc {
    Leaf(&'static str),
    List(Vec<Doc>),
    Object(Vec<(&'static str, Doc)>),
}

const LEAVES: [&str; 22] = [
    "null",
    "0",
    "10",
    "10",
    "11",
    "20",
    "\"10\"",
    "\"20\"",
    "\"none\"",
    "\"\\u0031\\u0030\"",
    "20.0",
    "1e5",
    "-5",
    "true",
    "false",
    "\"a,]}\\\"b\\\\\"",
    "\"\"",
    "\"ț 🙂 \\ud83d\\ude42\"",
    "\"a-1\"",
    "\"a-\\u0031\"",
    "\"a-2\"",
    "1",
];
const NAMES: [&str; 16] = [
    "client_id",
    "client_id",
    "client_id",
    "user_id",
    "id",
    "rows",
    "rows",
    "items",
    "items",
    "account",
    "config",
    "data",
    "slug",
    "flow",
    "ț",
    "owner",
];
fn object(member: impl Strategy<Value = Doc> + 'static) -> impl Strategy<Value = Doc> {
    vec((select(&NAMES[..]), member), 0..6).prop_map(|mut members| {
        let mut names = std::collections::BTreeSet::new();
        members.retain(|(name, _)| names.insert(*name));
        Doc::Object(members)
    })
}

fn docs() -> impl Strategy<Value = Doc> {
    let leaf = || select(&LEAVES[..]).prop_map(Doc::Leaf);
    let tree = || {
        leaf().prop_recursive(4, 40, 5, |inner| {
            let list = vec(inner.clone(), 0..5).prop_map(Doc::List);
            prop_oneof![list, object(inner.clone()), object(inner)]
        })
    };
    let rows = move || vec(prop_oneof![6 => object(tree()), 1 => tree()], 0..6).prop_map(Doc::List);
    let listed = (rows(), object(tree())).prop_map(|(rows, other)| match other {
        Doc::Object(mut members) => {
            members.retain(|(name, _)| *name != "rows");
            members.push(("rows", rows));
            Doc::Object(members)
        }
        other => other,
    });
    prop_oneof![4 => rows(), 4 => listed, 1 => tree()]
}

/// Writes a document with space and escapes wherever they may stand.
struct Writer {
    text: String,
    dice: u64,
}

impl Writer {
    fn text(doc: &Doc, dice: u64) -> String {
        let text = String::new();
        let mut writer = Self { text, dice };
        writer.write(doc);
        writer.text
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.dice >> 33) as usize % sides
    }

    fn space(&mut self) {
        let space = ["", "", "", " ", "\n  ", "\t\r"][self.roll(6)];
        self.text += space;
    }

    fn name(&mut self, name: &str) {
        self.text.push('"');
        for letter in name.chars() {
            match self.roll(12) {
                0 => self.text += &format!("\\u{:04x}", u32::from(letter)),
                _ => self.text.push(letter),
            }
        }
        self.text.push('"');
    }

    fn write(&mut self, doc: &Doc) {
        self.space();
        let (open, close, len) = match doc {
            Doc::Leaf(text) => {
                self.text += text;
                return self.space();
            }
            Doc::List(elements) => ('[', ']', elements.len()),
            Doc::Object(members) => ('{', '}', members.len()),
        };
        self.text.push(open);
        self.space();
        for at in 0..len {
            if at > 0 {
                self.text.push(',');
            }
            match doc {
                Doc::Object(members) => {
                    self.space();
                    self.name(members[at].0);
                    self.space();
                    self.text.push(':');
                    self.write(&members[at].1);
                }
                Doc::List(elements) => self.write(&elements[at]),
                Doc::Leaf(_) => {}
            }
        }
        self.text.push(close);
        self.space();
    }
}

/// The texts of documents with rows, ids, and what only looks like them.
pub(super) fn texts() -> impl Strategy<Value = String> {
    (docs(), any::<u64>()).prop_map(|(doc, dice)| Writer::text(&doc, dice))
}

/// A body after a few bytes of it were changed.
pub(super) fn changed() -> impl Strategy<Value = Vec<u8>> {
    let byte = select(&b"{}[],:\"\\ \n0123456789-+.eEtrufalsn\x00\x1f\x7f\xc8\x9b\xff/"[..]);
    let change = (any::<prop::sample::Index>(), 0..4_u8, byte);
    (texts(), vec(change, 0..4)).prop_map(|(text, changes)| {
        let mut text = text.into_bytes();
        for (at, how, byte) in changes {
            let at = at.index(text.len().max(1));
            match how {
                0 => text.insert(at, byte),
                1 if at < text.len() => drop(text.remove(at)),
                2 if at < text.len() => text[at] = byte,
                _ => text.truncate(at.max(text.len() * 3 / 4)),
            }
        }
        text
    })
}
