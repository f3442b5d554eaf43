//! Entity tags: what a body is called, and whether a caller has it already.
//!
//! A tag is made from the body's bytes alone (RFC 9110, section 8.8.3), so it is a
//! strong one: one body, one tag, in every process. Not here: which answers get one,
//! and the 304. Misuse to beware of: the tag is of the bytes as they are sent; one made
//! before ids are restored or rows cut names a body that nobody got.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes of the hash that are used.
const LENGTH: usize = 16;

/// The body's tag, quoted: 22 characters of base64url between quotes.
pub fn of(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..LENGTH]))
}

/// Whether `If-None-Match` names `tag` (as [`of`] gives it), by weak comparison: then a
/// GET or HEAD is answered 304.
///
/// Several lines of the field are to be joined by commas. A field that is malformed
/// anywhere names nothing, so the caller gets the whole answer.
pub fn matches(if_none_match: &str, tag: &str) -> bool {
    if if_none_match.trim_matches(BLANK) == "*" {
        return true;
    }
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let mut rest = if_none_match.trim_start_matches(SKIPPED);
    let mut found = false;
    while !rest.is_empty() {
        let Some((opaque, after)) = first(rest) else {
            return false;
        };
        found |= opaque == tag;
        let after = after.trim_start_matches(BLANK);
        if !after.is_empty() && !after.starts_with(',') {
            return false;
        }
        // Lists may have empty places (RFC 9110, section 5.6.1.2).
        rest = after.trim_start_matches(SKIPPED);
    }
    found
}

const BLANK: [char; 2] = [' ', '\t'];
const SKIPPED: [char; 3] = [' ', '\t', ','];

/// The tag at the beginning, with its quotes and without `W/`, and what follows it.
fn first(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("W/").unwrap_or(text);
    let length = text.strip_prefix('"')?.find('"')?;
    // The length is of what is between the quotes, each of one byte.
    let (opaque, after) = text.split_at_checked(length + 2)?;
    let is_plain = opaque.bytes().all(|b| b > b' ' && b != 0x7f);
    is_plain.then_some((opaque, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_half_of_the_hash() {
        // SHA-256 of nothing is e3b0c44298fc1c149afbf4c8996fb924 and as much again.
        assert_eq!(of(b""), "\"47DEQpj8HBSa-_TImW-5JA\"");
        assert_eq!(of(b"abc"), of(b"abc"));
        assert_ne!(of(b"abc"), of(b"abd"));
    }

    #[test]
    fn what_names_the_tag() {
        let tag = "\"a,b\"";
        for (field, expected) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", true),
            ("*", true),
            (" * ", true),
            ("\"x\", \"a,b\"", true),
            ("\"x\",\"a,b\",W/\"y\"", true),
            ("\"x\"\t ,\t \"a,b\" ", true),
            (", ,\"x\",,\"a,b\", ,", true),
            ("\"\", \"a,b\"", true),
            ("\"é\", \"a,b\"", true),
            ("", false),
            (" ", false),
            (",", false),
            ("\"\"", false),
            ("\"x\"", false),
            ("\"a\", \"b\"", false),
            ("\"a\",b\"", false),
            ("a,b", false),
            ("\"A,B\"", false),
            // Malformed, also behind what would have matched.
            ("\"a,b", false),
            ("a,b\"", false),
            ("\"a,b\", x", false),
            ("\"a,b\", \"x", false),
            ("\"a,b\" \"x\"", false),
            ("\"a,b\"\"x\"", false),
            ("\"a,b\", *", false),
            ("*, \"a,b\"", false),
            ("**", false),
            ("w/\"a,b\"", false),
            ("W/ \"a,b\"", false),
            ("W/", false),
            ("W/W/\"a,b\"", false),
            ("\"a,b\", \"x y\"", false),
            ("\"a,b\", \"x\ty\"", false),
            ("\"a,b\", \"x\x7f\"", false),
            ("\"a,b\"; q=1", false),
            ("\"a,b\"\n", false),
        ] {
            assert_eq!(matches(field, tag), expected, "{field:?}");
        }
        assert!(matches("\"a\"", "W/\"a\""));
        assert!(matches("W/\"a\"", "W/\"a\""));
    }

    proptest! {
        #[test]
        fn an_own_tag_matches_at_any_place_of_a_list(
            body in prop::collection::vec(any::<u8>(), 0..64),
            others in prop::collection::vec("(W/)?\"[!#-~]{0,12}\"", 0..5),
            place in any::<prop::sample::Index>(),
            weak in any::<bool>(),
            comma in "[ \t]{0,2},[ \t,]{0,3}",
        ) {
            let tag = of(&body);
            prop_assert!(!matches(&others.join(&comma), &tag));
            let mut list = others;
            let own = if weak { format!("W/{tag}") } else { tag.clone() };
            list.insert(place.index(list.len() + 1), own);
            prop_assert!(matches(&list.join(&comma), &tag), "{:?}", list);
        }

        #[test]
        fn no_field_makes_it_panic(field in "[\"W/*, a\\PC]{0,20}") {
            let found = matches(&field, "\"a\"");
            prop_assert!(!found || field.contains("\"a\"") || field.contains('*'));
        }
    }
}
