//! The words of JSON: where a string, a number, a literal or space ends.
//!
//! Grammar as in RFC 8259, and as `serde_json` accepts it when it ignores what it
//! reads: escapes of lone surrogates and numbers beyond any range are well formed.
//! Not here: UTF-8, which is checked for the whole text at once, and brackets
//! ([`mod@super::scan`]). [`Text::value`] takes well-formed text for granted; on other
//! text it stops somewhere, without a panic.

/// Not exactly one JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

/// A text, and how far it was read.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

// What takes it to be changed is inlined: where it was read to stays in a register then. The
// rest are functions of what is left, and give how much of it they took.
impl<'a> Text<'a> {
    /// The byte that comes next.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The byte that comes next after space.
    #[inline(always)]
    pub(super) fn peek_past_space(&mut self) -> Option<u8> {
        match self.peek() {
            Some(b' ' | b'\n' | b'\r' | b'\t') => {
                self.at += space(self.rest());
                self.peek()
            }
            byte => byte,
        }
    }

    /// Reads a value that is not a container, by its first byte.
    #[inline(always)]
    pub(super) fn scalar(&mut self, first: u8) -> Result<(), NotJson> {
        match first {
            b'"' => return self.string().map(drop),
            b'-' | b'0'..=b'9' => self.at += number(self.rest())?,
            _ => self.at += literal(self.rest())?,
        }
        Ok(())
    }

    /// Reads on from a string's opening quote to behind its closing one; true with escapes in it.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<bool, NotJson> {
        self.at += 1;
        let mut has_escapes = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += escape(self.rest())?;
                }
                _ => return Err(NotJson),
            }
        }
    }

    /// Passes what may stand in a string as it is, eight bytes at a time.
    #[inline(always)]
    fn plain(&mut self) {
        let mut rest = self.rest();
        while let Some((chunk, more)) = rest.split_first_chunk() {
            let special = special(u64::from_le_bytes(*chunk));
            if special != 0 {
                self.at = self.bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
                return;
            }
            rest = more;
        }
        self.at = self.bytes.len() - rest.len() + plain_end(rest);
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Passes one value of well-formed text, and everything in it.
    pub(super) fn value(&mut self) -> Result<(), NotJson> {
        let mut depth = 0_usize;
        loop {
            match self.peek_past_space().ok_or(NotJson)? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(NotJson)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                first => self.scalar(first)?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Space; some of it is there.
fn space(rest: &[u8]) -> usize {
    let mut left = &rest[1..];
    // Texts that are laid out for people have long runs of it.
    while let Some((b"        ", more)) = left.split_first_chunk::<8>() {
        left = more;
    }
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    rest.len() - left.len() + left.iter().take_while(is_space).count()
}

/// What may stand in a string as it is, in its last bytes.
#[cold]
fn plain_end(rest: &[u8]) -> usize {
    let is_plain = |byte: &&u8| **byte >= b' ' && **byte != b'"' && **byte != b'\\';
    rest.iter().take_while(is_plain).count()
}

/// An escape, from its backslash on.
fn escape(rest: &[u8]) -> Result<usize, NotJson> {
    match rest {
        [
            _,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
            ..,
        ] => Ok(2),
        [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => Ok(6),
        _ => Err(NotJson),
    }
}

#[inline]
fn number(rest: &[u8]) -> Result<usize, NotJson> {
    let minus = usize::from(rest.first() == Some(&b'-'));
    let whole = match rest.get(minus) {
        Some(b'0') => minus + 1,
        _ => minus + digits(&rest[minus..])?,
    };
    match rest.get(whole) {
        Some(b'.' | b'e' | b'E') => Ok(whole + fraction(&rest[whole..])?),
        _ => Ok(whole),
    }
}

fn fraction(rest: &[u8]) -> Result<usize, NotJson> {
    let mut at = 0;
    if rest.first() == Some(&b'.') {
        at += 1;
        at += digits(&rest[at..])?;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        at += 1;
        at += usize::from(matches!(rest.get(at), Some(b'+' | b'-')));
        at += digits(&rest[at..])?;
    }
    Ok(at)
}

#[inline(always)]
fn digits(rest: &[u8]) -> Result<usize, NotJson> {
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(NotJson),
        some => Ok(some),
    }
}

/// One of the three words.
fn literal(rest: &[u8]) -> Result<usize, NotJson> {
    let word = ["true", "false", "null"].map(str::as_bytes);
    let word = word.iter().find(|word| rest.starts_with(word));
    word.map(|word| word.len()).ok_or(NotJson)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of the first byte that may not stand in a string as it is, and
/// perhaps of later bytes (a borrow runs upwards only).
#[inline(always)]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    let control = word.wrapping_sub(each(b' ')) & !word;
    (zero(word ^ each(b'"')) | zero(word ^ each(b'\\')) | control) & each(0x80)
}
