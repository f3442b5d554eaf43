//! What a rule looks for in its answers, made ready once for all of them.
//!
//! A pointer consumes one step for each level of the document. So which pointers
//! still match at some place is a set, one bit each, and going one level down is
//! an `and` with a set known for the level (`*`) or for level and name. Not here:
//! the document ([`mod@super::scan`]). A pointer forgotten here lets ids
//! pass unseen, so too many are an error and never a part of them.

use crate::pointer::{NOT_OURS, Pointer};

/// Whose id stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A client's.
    Client,
    /// A user's.
    User,
    /// An advertising or analytics account's, in the words of its vendor.
    Account,
}

/// Members that are ids of ours wherever they stand, pointed at or not.
const ANYWHERE: [(&str, Kind); 2] = [("client_id", Kind::Client), ("user_id", Kind::User)];

/// A set of pointers, by their index.
pub(super) type Set = u64;

/// Where a rule looks, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looks {
    pointers: Vec<Look>,
    levels: Vec<Level>,
    names: Vec<Name>,
    /// The bits of all names: most keys need no more than this.
    bits: u64,
}

/// There are more pointers than [`Looks::MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    kind: Kind,
    /// The levels of its `*`, innermost first.
    stars: Vec<usize>,
}

/// What the pointers expect of one level; the members of the root are level 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// Those with a `*` here.
    pub(super) any: Set,
    /// Those whose last `*` is here: an array here holds their rows.
    pub(super) rows: Set,
    /// Those that end here.
    pub(super) ends: Set,
}

/// A member's name that means something somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    text: String,
    /// Those that name it, by level.
    named: Vec<Set>,
    /// `*` does not enter it.
    pub(super) is_not_ours: bool,
    /// It is an id wherever it stands.
    pub(super) anywhere: Option<Kind>,
}

impl Looks {
    /// Pointers at most.
    pub const MOST: usize = Set::BITS as usize;

    /// Makes ready what a rule looks for.
    pub fn new<'a>(
        pointers: impl IntoIterator<Item = (Kind, &'a Pointer)>,
    ) -> Result<Self, TooMany> {
        let mut looks = Self::default();
        for (kind, pointer) in pointers {
            looks.add(kind, pointer)?;
        }
        Ok(looks)
    }

    fn add(&mut self, kind: Kind, pointer: &Pointer) -> Result<(), TooMany> {
        let at = self.pointers.len();
        if at == Self::MOST {
            return Err(TooMany);
        }
        let bit = 1 << at;
        let mut stars = Vec::new();
        for (level, step) in pointer.steps().enumerate() {
            match step {
                None => {
                    self.level(level).any |= bit;
                    stars.insert(0, level);
                }
                Some(name) => {
                    let named = &mut self.name(name).named;
                    named.resize(named.len().max(level + 1), 0);
                    named[level] |= bit;
                }
            }
        }
        if let Some(last) = stars.first() {
            self.level(*last).rows |= bit;
        }
        self.level(pointer.steps().count() - 1).ends |= bit;
        self.pointers.push(Look { kind, stars });
        Ok(())
    }

    fn level(&mut self, level: usize) -> &mut Level {
        let levels = self.levels.len().max(level + 1);
        self.levels.resize(levels, Level::default());
        &mut self.levels[level]
    }

    fn name(&mut self, text: &str) -> &mut Name {
        let at = self.names.iter().position(|name| name.text == text);
        let at = at.unwrap_or_else(|| {
            self.bits |= bit(text.as_bytes());
            self.names.push(Name {
                text: text.to_owned(),
                named: Vec::new(),
                is_not_ours: false,
                anywhere: None,
            });
            self.names.len() - 1
        });
        &mut self.names[at]
    }

    /// All pointers: nothing was consumed yet.
    pub(super) fn all(&self) -> Set {
        match self.pointers.len() {
            Self::MOST => Set::MAX,
            len => (1 << len) - 1,
        }
    }

    /// What is expected of a level.
    pub(super) fn at(&self, level: usize) -> Level {
        self.levels.get(level).copied().unwrap_or_default()
    }

    /// The name that a key (unescaped) is, if it means something anywhere.
    #[inline(always)]
    pub(super) fn known(&self, key: &[u8]) -> Option<&Name> {
        match self.bits & bit(key) {
            0 => None,
            _ => self.find(key),
        }
    }

    fn find(&self, key: &[u8]) -> Option<&Name> {
        self.names.iter().find(|name| name.is(key))
    }

    /// The kind of a pointer, and the levels of its `*`, innermost first.
    pub(super) fn pointer(&self, at: usize) -> (Kind, &[usize]) {
        let look = &self.pointers[at];
        (look.kind, &look.stars)
    }
}

impl Default for Looks {
    /// No pointers: only what is an id anywhere.
    fn default() -> Self {
        let mut looks = Self {
            pointers: Vec::new(),
            levels: Vec::new(),
            names: Vec::new(),
            bits: 0,
        };
        for name in NOT_OURS {
            looks.name(name).is_not_ours = true;
        }
        for (name, kind) in ANYWHERE {
            looks.name(name).anywhere = Some(kind);
        }
        looks
    }
}

impl Name {
    /// The pointers that name it at a level.
    pub(super) fn named(&self, level: usize) -> Set {
        self.named.get(level).copied().unwrap_or(0)
    }

    #[inline]
    fn is(&self, key: &[u8]) -> bool {
        let text = self.text.as_bytes();
        // The first byte tells nearly all others apart, without a call.
        text.len() == key.len() && text.first() == key.first() && text == key
    }
}

/// By first byte and length: keys that are no names share one with few of them.
#[inline(always)]
fn bit(key: &[u8]) -> u64 {
    let first = key.first().copied().unwrap_or(0);
    1 << ((usize::from(first) * 7 + key.len()) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_limit_and_it_is_told() {
        let pointer = Pointer::parse("/*/id").unwrap();
        let pointers = |count| std::iter::repeat_n((Kind::Client, &pointer), count);
        assert_eq!(Looks::new(pointers(64)).unwrap().all(), u64::MAX);
        assert_eq!(Looks::new(pointers(65)), Err(TooMany));
        assert_eq!(Looks::default().all(), 0);
    }
}
