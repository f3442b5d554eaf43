//! Octets as `%XX` (RFC 3986, section 2.1), and as queries and forms have them, with `+` for a
//! space. What may stand plainly differs by place: in a path it is [`path`](crate::path) that
//! says so.

use std::fmt::Write;

/// The octet that two hex digits mean; anything else means none.
pub(crate) fn octet([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

/// Adds the octet as `%XX`, with upper-case digits.
pub(crate) fn push(out: &mut String, octet: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "%{octet:02X}");
}

/// Whether nothing of it has to be encoded in a query: what is plain in every query (RFC 3986,
/// section 2.3), and `:`, as in account ids.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(is_plain_octet)
}

fn is_plain_octet(octet: u8) -> bool {
    PLAIN[usize::from(octet)]
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        let one = octet as u8;
        plain[octet] =
            one.is_ascii_alphanumeric() || matches!(one, b'-' | b'.' | b'_' | b'~' | b':');
        octet += 1;
    }
    plain
};

/// Encodes all but what is plain in a query.
pub(crate) fn encode_into(out: &mut String, text: &str) {
    if is_plain(text) {
        return out.push_str(text);
    }
    for octet in text.bytes() {
        match is_plain_octet(octet) {
            true => out.push(octet as char),
            false => push(out, octet),
        }
    }
}

/// The octets that are no ASCII as `%XX`.
pub(crate) fn in_ascii(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for &octet in raw {
        match octet.is_ascii() {
            true => text.push(octet as char),
            false => push(&mut text, octet),
        }
    }
    text
}

/// Decodes `+` and `%XX`; a bad escape stays as it is, as it does in the app.
/// Octets that are no UTF-8 become U+FFFD, as they do there.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = match bytes.get(at..at + 3) {
            Some(&[b'%', high, low]) => octet([high, low]),
            _ => None,
        };
        out.push(match (escape, byte) {
            (Some(octet), _) => octet,
            (None, b'+') => b' ',
            (None, other) => other,
        });
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_coded_is_read_as_the_app_reads_it() {
        for (text, read) in [
            ("", ""),
            ("a+b%20c", "a b c"),
            ("%2B%2b", "++"),
            ("%c3%A9", "é"),
            ("%ff", "\u{fffd}"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%4", "%zz%4"),
            ("%%41", "%A"),
            ("%+5", "% 5"),
            ("é%", "é%"),
        ] {
            assert_eq!(decode(text), read, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_plain_is_written_in_upper_case() {
        let mut out = "x".to_owned();
        encode_into(&mut out, "sc-domain:a.b~_/é&+ ");
        assert_eq!(out, "xsc-domain:a.b~_%2F%C3%A9%26%2B%20");
        assert_eq!(in_ascii(b"a%\xff\x80 "), "a%%FF%80 ");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "\\PC{0,20}") {
            let mut coded = String::new();
            encode_into(&mut coded, &text);
            prop_assert!(coded.is_ascii());
            prop_assert_eq!(decode(&coded), text);
        }
    }
}
