//! One pass over an answer's bytes: every id where a rule looks, and elsewhere.
//!
//! The pass proves that the whole text is JSON and finds the values on its way,
//! without building any: answers of 8 MiB are looked through on a thread that has
//! other callers waiting. Pointers mean what [`crate::pointer`] says, with two
//! differences on the strict side: a key that stands twice is found twice (a parser
//! would keep one of the two, and not all keep the same), and keys are compared unescaped.
//!
//! Hits are told before the end is seen. If the result is [`NotJson`], what was told
//! means nothing.

use super::looks::{Kind, Looks, Set};
use super::text::{NotJson, Text};
use arrayvec::ArrayVec;
use std::borrow::Cow;
use std::ops::Range;

/// Levels of nesting at most.
pub const DEEPEST: usize = 128;

/// A value that is, or should be, an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Whose.
    pub kind: Kind,
    /// Its JSON text; only the opening bracket of an object or array.
    pub value: &'a [u8],
    /// Where it begins.
    pub at: usize,
    /// Whether it stands where the rule looks; a member named `client_id` or
    /// `user_id` elsewhere is told as well, unless it is in what is not ours.
    pub pointed: bool,
    /// Where the innermost array element begins that a `*` of the pointer stands for.
    /// Its end is left to be found for the few rows that need one.
    pub row: Option<usize>,
}

/// What was seen of the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Arrays that stand where a pointer's last `*` expects its rows.
    pub lists: usize,
}

/// Looks an answer through.
pub fn scan<'a>(
    body: &'a [u8],
    looks: &Looks,
    hit: &mut dyn FnMut(Hit<'a>),
) -> Result<Seen, NotJson> {
    std::str::from_utf8(body).map_err(|_| NotJson)?;
    let scan = Scan {
        body,
        looks,
        hit,
        open: &mut ArrayVec::new(),
        lists: 0,
    };
    scan.run(Text { bytes: body, at: 0 })
}

struct Scan<'a, 's> {
    body: &'a [u8],
    looks: &'s Looks,
    hit: &'s mut dyn FnMut(Hit<'a>),
    /// The containers around the present place, outermost first.
    open: &'s mut ArrayVec<Open, DEEPEST>,
    lists: usize,
}

/// An object or array that was not closed yet.
#[derive(Clone, Copy, Default)]
struct Open {
    is_array: bool,
    /// It is not in a member that is not ours.
    is_ours: bool,
    /// Pointers that match as far as here.
    alive: Set,
    /// Those of them that go on with `*`.
    any: Set,
    /// Those that end at its members.
    ends: Set,
    /// Where the present element of an array begins.
    element: usize,
}

/// What is looked for at the value that comes next.
#[derive(Clone, Copy)]
struct Wanted {
    is_ours: bool,
    alive: Set,
    anywhere: Option<Kind>,
}

impl<'a> Scan<'a, '_> {
    fn run(mut self, mut text: Text<'a>) -> Result<Seen, NotJson> {
        let mut wanted = Wanted {
            is_ours: true,
            alive: self.looks.all(),
            anywhere: None,
        };
        let mut at = Open::default();
        loop {
            let first = text.peek_past_space().ok_or(NotJson)?;
            let start = text.at;
            if let b'{' | b'[' = first {
                text.at += 1;
                self.tell(wanted, &at, start..text.at);
                let inner = self.enter(first == b'[', wanted, text.at)?;
                if text.peek_past_space() != Some(inner.close()) {
                    self.open.push(at);
                    at = inner;
                    wanted = self.next(&mut text, &mut at)?;
                    continue;
                }
                text.at += 1;
            } else {
                text.scalar(first)?;
                self.tell(wanted, &at, start..text.at);
            }
            loop {
                let next = text.peek_past_space();
                if self.open.is_empty() {
                    return match next {
                        None => Ok(Seen { lists: self.lists }),
                        Some(_) => Err(NotJson),
                    };
                }
                text.at += 1;
                if next == Some(b',') {
                    break;
                }
                if next != Some(at.close()) {
                    return Err(NotJson);
                }
                at = self.open.pop().ok_or(NotJson)?;
            }
            wanted = self.next(&mut text, &mut at)?;
        }
    }

    /// A container whose opening bracket was read; `inside` is where it goes on.
    fn enter(&mut self, is_array: bool, wanted: Wanted, inside: usize) -> Result<Open, NotJson> {
        if self.open.len() == DEEPEST {
            return Err(NotJson);
        }
        let level = self.looks.at(self.open.len());
        self.lists += usize::from(is_array && wanted.alive & level.rows != 0);
        Ok(Open {
            is_array,
            is_ours: wanted.is_ours,
            alive: wanted.alive,
            any: wanted.alive & level.any,
            ends: level.ends,
            element: inside,
        })
    }

    /// Reads on to the next element, or through the key of the next member.
    #[inline(always)]
    fn next(&self, text: &mut Text<'a>, at: &mut Open) -> Result<Wanted, NotJson> {
        let next = text.peek_past_space();
        let start = text.at;
        let mut wanted = Wanted {
            is_ours: at.is_ours,
            alive: at.any,
            anywhere: None,
        };
        if at.is_array {
            at.element = start;
            return Ok(wanted);
        }
        if next != Some(b'"') {
            return Err(NotJson);
        }
        let has_escapes = text.string()?;
        let end = text.at;
        if text.peek_past_space() != Some(b':') {
            return Err(NotJson);
        }
        text.at += 1;
        if at.is_ours || at.alive != 0 {
            self.heed(at, &text.bytes[start..end], has_escapes, &mut wanted);
        }
        Ok(wanted)
    }

    /// What a member's key, in its quotes, changes in what is looked for.
    #[inline(always)]
    fn heed(&self, at: &Open, quoted: &[u8], has_escapes: bool, wanted: &mut Wanted) {
        let name = match has_escapes {
            false => self.looks.known(&quoted[1..quoted.len() - 1]),
            true => unescaped(quoted).and_then(|key| self.looks.known(key.as_bytes())),
        };
        let Some(name) = name else { return };
        let any = if name.is_not_ours { 0 } else { at.any };
        wanted.alive = any | at.alive & name.named(self.open.len() - 1);
        wanted.is_ours = at.is_ours && !name.is_not_ours;
        wanted.anywhere = name.anywhere.filter(|_| at.is_ours);
    }

    /// Tells of a value if it is looked for.
    #[inline(always)]
    fn tell(&mut self, wanted: Wanted, at: &Open, value: Range<usize>) {
        if wanted.alive & at.ends != 0 || wanted.anywhere.is_some() {
            self.tell_hits(wanted, at, value);
        }
    }

    fn tell_hits(&mut self, wanted: Wanted, at: &Open, value: Range<usize>) {
        let (start, value) = (value.start, &self.body[value]);
        let mut left = wanted.alive & at.ends;
        if let (0, Some(kind)) = (left, wanted.anywhere) {
            (self.hit)(Hit {
                kind,
                value,
                at: start,
                pointed: false,
                row: None,
            });
        }
        while left != 0 {
            let (kind, stars) = self.looks.pointer(left.trailing_zeros() as usize);
            left &= left - 1;
            let around = |level: &usize| match self.open.len() - 1 == *level {
                true => at,
                // What is open at a level was put away when the next was entered.
                false => &self.open[level + 1],
            };
            let row = stars.iter().map(around).find(|open| open.is_array);
            (self.hit)(Hit {
                kind,
                value,
                at: start,
                pointed: true,
                row: row.map(|open| open.element),
            });
        }
    }
}

impl Open {
    fn close(&self) -> u8 {
        if self.is_array { b']' } else { b'}' }
    }
}

/// The text of a string in its quotes; `None` with a surrogate that stands alone.
pub(super) fn unescaped(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let plain = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match memchr::memchr(b'\\', plain) {
        None => std::str::from_utf8(plain).ok().map(Cow::Borrowed),
        Some(_) => serde_json::from_slice(quoted).ok().map(Cow::Owned),
    }
}
