//! Texts that are short nearly always: an id's digits, a header that names a client. Kept
//! where they are used, without memory of their own; longer ones have their own.

use arrayvec::ArrayString;
use std::borrow::Cow;
use std::ops::Deref;

/// Digits of every `u64` fit.
const SHORT: usize = 20;

/// A text.
#[derive(Clone, Debug)]
pub enum Short<'a> {
    /// It fits.
    Here(ArrayString<SHORT>),
    /// It does not, or is somebody else's.
    Elsewhere(Cow<'a, str>),
}

impl Short<'static> {
    /// A copy of a text.
    pub fn of(text: &str) -> Self {
        match ArrayString::from(text) {
            Ok(here) => Self::Here(here),
            Err(_) => Self::Elsewhere(Cow::Owned(text.to_owned())),
        }
    }

    /// A number in digits.
    pub fn digits(number: u64) -> Self {
        Self::of(itoa::Buffer::new().format(number))
    }
}

impl<'a> Short<'a> {
    /// A text that is somebody else's.
    pub fn borrowed(text: &'a str) -> Self {
        Self::Elsewhere(Cow::Borrowed(text))
    }
}

impl Deref for Short<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Here(text) => text,
            Self::Elsewhere(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_number_is_short() {
        for number in [0, 7, u64::MAX] {
            let text = Short::digits(number);
            assert!(matches!(text, Short::Here(_)), "{number}");
            assert_eq!(&*text, number.to_string());
        }
    }

    proptest! {
        #[test]
        fn a_copy_reads_as_the_text(text in "\\PC{0,40}") {
            prop_assert_eq!(&*Short::of(&text), text.as_str());
        }
    }
}
