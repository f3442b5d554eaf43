//! The query string, read the way the app reads it and forwarded the way it was read.
//!
//! Pairs are split on `&` only, names are compared decoded (`client%5Fid` is
//! `client_id`), and a managed name that stands twice is refused, since servers
//! differ in which one wins. Other pairs are kept byte for byte.

use crate::ids::ClientId;
use crate::names::{Names, bit};
use crate::operation::PARAMETERS;
use crate::percent::{decode, encode_into, in_ascii, is_plain};
use crate::refusal::Refusal;
use crate::short::Short;
use std::sync::{Arc, OnceLock};

/// The query parameter that can name the client.
pub const CLIENT_ID: &str = "client_id";

/// The pairs of a query string in the order they came; cheap to clone. Most requests have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Option<Arc<Pairs>>);

#[derive(Debug)]
struct Pairs {
    /// As it is forwarded: the pairs with `&` between them.
    text: Arc<str>,
    pairs: Vec<Pair>,
    /// The bits of all their names.
    bits: u64,
    /// What operations read of it, once somebody has asked.
    read: OnceLock<Option<Arc<str>>>,
}

/// Everything else follows from the text.
impl PartialEq for Pairs {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pairs {}

/// Where a pair stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    start: u32,
    /// The end of its name; what follows is the value, behind a `=`.
    named: u32,
    end: u32,
    /// Which bit its name has, as it is read.
    bit: u8,
    /// It has a value, and both are written as [`Query::with`] would.
    is_plain: bool,
    /// Name and value as they are read, where something in them is coded.
    decoded: Option<Box<(String, String)>>,
}

impl Pair {
    /// The pair that stands there, without `&`; `may_be_coded`: something in the text is.
    fn of(text: &str, start: usize, end: usize, may_be_coded: bool) -> Self {
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let piece = part(start, end);
        let name = memchr::memchr(b'=', piece.as_bytes()).unwrap_or(piece.len());
        let named = start + name;
        let is_coded = may_be_coded && memchr::memchr2(b'%', b'+', piece.as_bytes()).is_some();
        let decoded =
            is_coded.then(|| Box::new((decode(part(start, named)), decode(part(named + 1, end)))));
        let read = decoded.as_ref().map(|decoded| &*decoded.0);
        let bit = bit(read.unwrap_or(part(start, named)).as_bytes());
        Self {
            start: start as u32,
            named: named as u32,
            end: end as u32,
            // Of 64.
            bit: bit.trailing_zeros() as u8,
            // What is not written plainly may still be what is set, and is written again then.
            is_plain: !is_coded && end > named && is_plain(part(named + 1, end)),
            decoded,
        }
    }

    /// The bit of its name ([`bit`]).
    fn bit(&self) -> u64 {
        1 << self.bit
    }
}

/// Something of a text has to be decoded.
const CODED: u8 = 1;
/// It has what stands in no query: controls, spaces and `#`.
const WRONG: u8 = 2;

/// What an octet says of the text that it stands in.
const OCTETS: [u8; 256] = {
    let mut octets = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        octets[octet] = match octet as u8 {
            b'%' | b'+' => CODED,
            0..=0x20 | 0x7f | b'#' => WRONG,
            _ => 0,
        };
        octet += 1;
    }
    octets
};

/// Longest text that is read, so that places in it fit into 32 bits however it is encoded. Heads,
/// and forms in bodies, are far shorter.
const LONGEST: usize = 1 << 30;

/// Pairs that a usual query has at most.
const FEW: usize = 4;

impl Query {
    /// Reads the part of the target after `?`.
    ///
    /// Errors with [`Refusal::QueryMalformed`] on controls, spaces, `#`, on
    /// `client_id` standing twice, and on more than a gibibyte. Octets above ASCII are kept as `%XX`.
    pub fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        if raw.is_empty() {
            return Ok(Self::default());
        }
        if raw.len() > LONGEST {
            return Err(Refusal::QueryMalformed);
        }
        let (query, is_wrong) = match std::str::from_utf8(raw) {
            Ok(text) if text.is_ascii() => Self::read(text),
            _ => Self::read(&in_ascii(raw)),
        };
        if is_wrong || query.named(CLIENT_ID).nth(1).is_some() {
            return Err(Refusal::QueryMalformed);
        }
        Ok(query)
    }

    /// Of a text of our own.
    fn of(text: &str) -> Self {
        Self::read(text).0
    }

    /// The pairs of a text; those without name and value are left out of it. And whether there
    /// is anything in it that stands in no query.
    fn read(text: &str) -> (Self, bool) {
        let octets = text.bytes();
        let there = octets.fold(0, |all, octet| all | OCTETS[usize::from(octet)]);
        let (may_be_coded, is_wrong) = (there & CODED != 0, there & WRONG != 0);
        let mut pairs = Vec::with_capacity(FEW);
        let (mut start, mut is_tidy) = (0, true);
        for end in memchr::memchr_iter(b'&', text.as_bytes()).chain([text.len()]) {
            is_tidy &= end > start;
            pairs.push(Pair::of(text, start, end, may_be_coded));
            start = end + 1;
        }
        if !is_tidy {
            let mut tidy = String::with_capacity(text.len());
            let pieces = text.split('&').filter(|piece| !piece.is_empty());
            pieces.for_each(|piece| push(&mut tidy, piece));
            return match tidy.is_empty() {
                true => (Self::default(), is_wrong),
                false => Self::read(&tidy),
            };
        }
        let pairs = Pairs {
            text: text.into(),
            bits: pairs.iter().fold(0, |bits, pair| bits | pair.bit()),
            pairs,
            read: OnceLock::new(),
        };
        (Self(Some(Arc::new(pairs))), is_wrong)
    }

    fn bits(&self) -> u64 {
        self.0.as_ref().map_or(0, |pairs| pairs.bits)
    }

    fn pairs(&self) -> &[Pair] {
        self.0.as_ref().map_or(&[], |pairs| &pairs.pairs)
    }

    fn part(&self, from: u32, to: u32) -> &str {
        let (from, to) = (from as usize, to as usize);
        self.as_str().get(from..to).unwrap_or_default()
    }

    fn raw(&self, pair: &Pair) -> &str {
        self.part(pair.start, pair.end)
    }

    /// Whether it is a pair of this name, of which this is the bit.
    fn is_named(&self, pair: &Pair, bit: u64, name: &str) -> bool {
        pair.bit() == bit && self.name_octets(pair) == name.as_bytes()
    }

    fn name_octets<'a>(&'a self, pair: &'a Pair) -> &'a [u8] {
        match &pair.decoded {
            Some(decoded) => decoded.0.as_bytes(),
            None => {
                let text = self.as_str().as_bytes();
                text.get(pair.start as usize..pair.named as usize)
                    .unwrap_or_default()
            }
        }
    }

    /// The pairs of this name. Most names that are asked for are not there.
    #[inline]
    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Pair> {
        let bit = bit(name.as_bytes());
        let pairs = match self.bits() & bit {
            0 => &[],
            _ => self.pairs(),
        };
        let is_it = move |pair: &&Pair| self.is_named(pair, bit, name);
        pairs.iter().filter(is_it)
    }

    fn name<'a>(&'a self, pair: &'a Pair) -> &'a str {
        match &pair.decoded {
            Some(decoded) => &decoded.0,
            None => self.part(pair.start, pair.named),
        }
    }

    fn value<'a>(&'a self, pair: &'a Pair) -> &'a str {
        match &pair.decoded {
            Some(decoded) => &decoded.1,
            None => self.part(pair.named + 1, pair.end),
        }
    }

    /// The decoded value of the first parameter of this name, as the app reads it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named(name).next().map(|pair| self.value(pair))
    }

    /// The decoded values of every parameter with one of these names, in order.
    pub fn values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let is_one = move |pair: &&Pair| names.contains(&self.name(pair));
        let named = self.pairs().iter().filter(is_one);
        named.map(|pair| self.value(pair))
    }

    /// The same for a set of names, which is quicker.
    pub fn values_in(&self, names: Names) -> impl Iterator<Item = &str> {
        let pairs = match names.may_be_in(self.bits()) {
            true => self.pairs(),
            false => &[],
        };
        let is_one = move |pair: &&Pair| names.has_exactly(pair.bit(), self.name_octets(pair));
        pairs.iter().filter(is_one).map(|pair| self.value(pair))
    }

    /// The value of the only parameter with a name of these sets, where that is this one, written
    /// as [`Self::with`] writes it; `None` where anything is otherwise.
    pub(crate) fn only(&self, name: &str, sets: [Names; 2]) -> Option<&str> {
        let is_one = |pair: &&Pair| {
            let (bit, octets) = (pair.bit(), self.name_octets(pair));
            sets.iter().any(|names| names.has_exactly(bit, octets))
        };
        let mut found = self.pairs().iter().filter(is_one);
        let (pair, None) = (found.next()?, found.next()) else {
            return None;
        };
        let is_it = pair.is_plain && self.name_octets(pair) == name.as_bytes();
        is_it.then(|| self.value(pair))
    }

    /// The query with its `client_id` set to this one where it has one, or taken out.
    pub fn with_client(self, client: Option<ClientId>) -> Self {
        match (client, self.get(CLIENT_ID)) {
            (_, None) => self,
            (Some(client), Some(_)) => self.with(CLIENT_ID, &Short::digits(client.get())),
            (None, Some(_)) => self.without(CLIENT_ID),
        }
    }

    /// The query with exactly one parameter of this name: where the first stood, or at the end.
    /// The name is plain.
    pub fn with(self, name: &str, value: &str) -> Self {
        if self.is_set(name, value) {
            return self;
        }
        let mut raw = String::with_capacity(name.len() + value.len() + 1);
        raw.push_str(name);
        raw.push('=');
        encode_into(&mut raw, value);
        let mut text = String::with_capacity(self.as_str().len() + raw.len() + 1);
        let bit = bit(name.as_bytes());
        let mut is_set = false;
        for pair in self.pairs() {
            match self.is_named(pair, bit, name) {
                false => push(&mut text, self.raw(pair)),
                true if !is_set => {
                    push(&mut text, &raw);
                    is_set = true;
                }
                true => {}
            }
        }
        if !is_set {
            push(&mut text, &raw);
        }
        Self::of(&text)
    }

    /// Whether it has exactly one parameter of this name, written as [`Self::with`] writes
    /// this value.
    pub(crate) fn is_set(&self, name: &str, value: &str) -> bool {
        let mut named = self.named(name);
        let (Some(pair), None) = (named.next(), named.next()) else {
            return false;
        };
        pair.is_plain && self.value(pair) == value
    }

    /// The query without any parameter of this name.
    pub fn without(self, name: &str) -> Self {
        if self.get(name).is_none() {
            return self;
        }
        let mut text = String::with_capacity(self.as_str().len());
        let bit = bit(name.as_bytes());
        let others = self
            .pairs()
            .iter()
            .filter(|pair| !self.is_named(pair, bit, name));
        others.for_each(|pair| push(&mut text, self.raw(pair)));
        match text.is_empty() {
            true => Self::default(),
            false => Self::of(&text),
        }
    }

    /// What operations read of it: the text of the first of each of [`PARAMETERS`], in their
    /// order; `None` where there is none.
    pub fn text_read(&self) -> Option<Arc<str>> {
        let pairs = self.0.as_ref()?;
        pairs.read.get_or_init(|| self.text_of(&PARAMETERS)).clone()
    }

    fn text_of(&self, names: &[&str]) -> Option<Arc<str>> {
        let place = |pair: &Pair| names.iter().position(|name| *name == self.name(pair));
        let mut before = None;
        let mut is_next = |pair| {
            let here = place(pair);
            here > std::mem::replace(&mut before, here)
        };
        // As nearly always: all that is there is named, once and in order.
        if self.pairs().iter().all(&mut is_next) {
            return self.shared();
        }
        let mut text = String::with_capacity(self.as_str().len());
        let first = |name: &&str| self.named(name).next();
        let firsts = names.iter().filter_map(first);
        firsts.for_each(|pair| push(&mut text, self.raw(pair)));
        (!text.is_empty()).then(|| text.into())
    }

    /// The same pairs with nothing left of how they were written: all but what is
    /// plain is encoded, so that nobody can read the text as anything but pairs.
    pub fn rewritten(&self) -> String {
        let mut text = String::new();
        for pair in self.pairs() {
            if !text.is_empty() {
                text.push('&');
            }
            encode_into(&mut text, self.name(pair));
            text.push('=');
            encode_into(&mut text, self.value(pair));
        }
        text
    }

    /// The text that is forwarded, without `?`.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |pairs| &pairs.text)
    }

    /// The same, to be kept; `None` where there is none.
    pub fn shared(&self) -> Option<Arc<str>> {
        self.0.as_ref().map(|pairs| pairs.text.clone())
    }

    /// Bytes of memory that it takes, about.
    pub fn weight(&self) -> usize {
        let coded = |pair: &Pair| {
            let two = pair.decoded.as_ref()?;
            Some(size_of_val(&**two) + two.0.len() + two.1.len())
        };
        let of = |pairs: &Arc<Pairs>| {
            let coded: usize = pairs.pairs.iter().filter_map(coded).sum();
            // Twice: what operations read of it may be another text.
            size_of::<Pairs>()
                + coded
                + 2 * pairs.text.len()
                + pairs.pairs.capacity() * size_of::<Pair>()
        };
        self.0.as_ref().map_or(0, of)
    }
}

/// Adds a piece to a text of pairs.
fn push(text: &mut String, piece: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    text.push_str(piece);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_of(raw: &str) -> Result<Option<String>, Refusal> {
        Query::parse(raw.as_bytes()).map(|q| q.get(CLIENT_ID).map(str::to_owned))
    }

    #[test]
    fn the_client_is_found_in_every_spelling_and_once_only() {
        let some = |s: &str| Ok(Some(s.to_owned()));
        let cases = [
            ("", Ok(None)),
            ("client_id=5", some("5")),
            ("a=1&client_id=5&b", some("5")),
            ("client%5fid=5", some("5")),
            ("%63lient_id=%35", some("5")),
            ("client_id", some("")),
            ("client_id=+5", some(" 5")),
            ("client_id=%zz", some("%zz")),
            ("Client_id=5", Ok(None)),
            ("a;client_id=5", Ok(None)),
            ("client_id=1&client_id=1", Err(Refusal::QueryMalformed)),
            ("client_id=1&client%5Fid=2", Err(Refusal::QueryMalformed)),
            ("a=b c", Err(Refusal::QueryMalformed)),
            ("a=b#c", Err(Refusal::QueryMalformed)),
            ("a=\u{1}", Err(Refusal::QueryMalformed)),
        ];
        for (raw, expected) in cases {
            assert_eq!(client_of(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn the_decided_client_replaces_the_one_named() {
        let query = || Query::parse(b"a=1&client%5Fid=07&b=%20").unwrap();
        let seven = ClientId::parse("7").unwrap();
        assert_eq!(
            query().with_client(Some(seven)).as_str(),
            "a=1&client_id=7&b=%20"
        );
        assert_eq!(query().with_client(None).as_str(), "a=1&b=%20");
        let none = Query::parse(b"a=1").unwrap();
        assert_eq!(none.with_client(Some(seven)).as_str(), "a=1");
    }

    #[test]
    fn a_pair_takes_no_more_than_three_words() {
        assert_eq!(
            size_of::<Pair>(),
            24,
            "a form of a mebibyte may have half a million"
        );
    }

    #[test]
    fn a_parameter_that_is_set_stands_once_and_reads_as_it_was_set() {
        let query = || Query::parse(b"a=1&%61=2&b=3").unwrap();
        assert_eq!(query().with("a", "x&y=%").as_str(), "a=x%26y%3D%25&b=3");
        assert_eq!(
            query().with("c", "sc-domain:x").as_str(),
            "a=1&%61=2&b=3&c=sc-domain:x"
        );
        assert_eq!(query().without("a").as_str(), "b=3");
        // However alike it stood there before.
        for raw in ["x=1&a=2", "x=1&a=%32", "x=1&a=2&a=2", "x=1&%61=2", "x=1&a"] {
            let query = Query::parse(raw.as_bytes()).unwrap();
            assert_eq!(query.with("a", "2").as_str(), "x=1&a=2", "{raw}");
        }
        let empty = Query::parse(b"x=1&a").unwrap();
        assert_eq!(empty.with("a", "").as_str(), "x=1&a=");
        let values: Vec<String> = query().values(&["b", "a"]).map(str::to_owned).collect();
        assert_eq!(values, ["1", "2", "3"]);
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_is_read(value in "\\PC{0,20}", raw in "[ab=&%0-9]{0,12}") {
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let set = query.with("a", &value);
                let again = Query::parse(set.as_str().as_bytes()).unwrap();
                let values: Vec<&str> = again.values(&["a"]).collect();
                prop_assert_eq!(values, [value.as_str()]);
            }
        }

        #[test]
        fn what_is_forwarded_reads_the_same(raw in "[a-z_=&%0-9+]{0,30}") {
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let again = Query::parse(query.as_str().as_bytes()).unwrap();
                prop_assert_eq!(format!("{again:?}"), format!("{query:?}"));
            }
        }

        #[test]
        fn a_set_of_names_finds_what_the_names_find(raw in "([a-c]|%6[1-4]|[=&+]){0,24}") {
            const SOME: Names = Names::new(&["a", "bc", "", "cab"]);
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let found: Vec<&str> = query.values(SOME.all()).collect();
                prop_assert_eq!(query.values_in(SOME).collect::<Vec<_>>(), found);
                let first = query.values(&["a"]).next();
                prop_assert_eq!(query.get("a"), first);
            }
        }

        #[test]
        fn the_only_one_of_two_sets_is_the_only_one_and_as_it_would_be_set(
            raw in "((a|bc|x|%61|cab|d)(=[1-3%]{0,2})?&?){0,4}",
        ) {
            const SOME: Names = Names::new(&["a", "bc"]);
            const MORE: Names = Names::new(&["cab", "b"]);
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let all: Vec<&str> = query.values_in(SOME).chain(query.values_in(MORE)).collect();
                let expected = match all[..] {
                    [one] if query.is_set("a", one) => Some(one),
                    _ => None,
                };
                prop_assert_eq!(query.only("a", [SOME, MORE]), expected);
            }
        }

        #[test]
        fn what_operations_read_is_of_the_query_that_is_asked(
            raw in "((days|to|account_id|client_id|x)=[1-3%]?&?){0,6}",
        ) {
            if let Ok(query) = Query::parse(raw.as_bytes()) {
                let read = |query: &Query| {
                    let again = Query::parse(query.as_str().as_bytes()).unwrap();
                    (query.text_read(), again.text_of(&PARAMETERS))
                };
                let (known, plain) = read(&query);
                prop_assert_eq!(known, plain);
                let client = ClientId::parse("7").ok();
                for changed in [
                    query.clone().with("days", "9"),
                    query.clone().without("to"),
                    query.clone().with_client(client),
                    query.clone().with_client(None),
                ] {
                    let (known, plain) = read(&changed);
                    prop_assert_eq!(known, plain);
                }
            }
        }
    }
}
