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
            Some(b' ' | b'\n' | b'\r' | b'\t') => self.skip_space(),
            byte => byte,
        }
    }

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            self.at += 1;
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => {}
                byte => return byte,
            }
        }
    }

    /// Reads a value that is not a container, by its first byte.
    #[inline(always)]
    pub(super) fn scalar(&mut self, first: u8) -> Result<(), NotJson> {
        match first {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.literal(),
        }
    }

    /// Reads on from a string's opening quote to behind its closing one; true with escapes in it.
    #[inline]
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
                    self.escape()?;
                }
                _ => return Err(NotJson),
            }
        }
    }

    /// Passes what may stand in a string as it is, eight bytes at a time.
    #[inline(always)]
    fn plain(&mut self) {
        while let Some(chunk) = self.rest().first_chunk::<8>() {
            let special = special(u64::from_le_bytes(*chunk));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self
            .peek()
            .is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
        {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        match self.rest() {
            [
                _,
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                ..,
            ] => self.at += 2,
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => {
                self.at += 6;
            }
            _ => return Err(NotJson),
        }
        Ok(())
    }

    /// Reads a number.
    #[inline]
    fn number(&mut self) -> Result<(), NotJson> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        match self.peek() {
            Some(b'.' | b'e' | b'E') => self.fraction(),
            _ => Ok(()),
        }
    }

    fn fraction(&mut self) -> Result<(), NotJson> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(NotJson),
        }
    }

    /// Reads one of the three words.
    #[inline]
    fn literal(&mut self) -> Result<(), NotJson> {
        let rest = self.rest();
        let word = ["true", "false", "null"].map(str::as_bytes);
        let word = word.iter().find(|word| rest.starts_with(word));
        self.at += word.ok_or(NotJson)?.len();
        Ok(())
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
