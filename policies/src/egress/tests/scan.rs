//! What the pass over the bytes tells, and what it takes for JSON.

use super::rule_with;
use crate::egress::{Kind, Looks, Seen, scan};
use crate::matrix::OnForeign;

#[test]
fn what_the_scan_tells() {
    let pointers = [
        (Kind::Client, "/rows/*/client_id"),
        (Kind::User, "/config/*/user_id"),
        (Kind::Account, "/rows/*"),
    ];
    let body =
        br#"{"rows":[{"client_id":"1\u0030"},7],"config":{"a":{"user_id":[1],"x":{"user_id":3}}},
        "rows":{"client_id":{"client_id":null}},"user_id":{"user_id": 4 }}"#;
    let mut told = Vec::new();
    let seen = scan(
        body,
        &rule_with(&pointers, OnForeign::Block).looks,
        &mut |hit| {
            told.push((
                hit.kind,
                std::str::from_utf8(hit.value).unwrap(),
                hit.pointed,
                hit.row,
            ));
        },
    );
    use Kind::*;
    let expected = [
        (Account, "{", true, Some(9)),
        (Client, r#""1\u0030""#, true, Some(9)),
        (Account, "7", true, Some(33)),
        (User, "[", true, None),
        (Account, "{", true, None),
        (Client, "null", true, None),
        (User, "{", false, None),
        (User, "4", false, None),
    ];
    assert_eq!(told, expected);
    assert_eq!(seen, Ok(Seen { lists: 1 }));
}

#[test]
fn what_is_json_and_what_is_not() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    let cases = [
        (nested(128), true),
        (nested(129), false),
        (objects(128), true),
        (objects(129), false),
    ];
    let long = "x".repeat(40);
    let plain = [
        ("1", true),
        (" -0.5e+10\n", true),
        ("1e999", true),
        (r#""\ud800""#, true),
        (r#""\/\b\f\n\r\t\"\\\u00Ff""#, true),
        ("\"\u{7f}\u{80}\u{2028}\"", true),
        ("true", true),
        ("", false),
        (" ", false),
        ("01", false),
        ("1.", false),
        (".5", false),
        ("+1", false),
        ("-", false),
        ("1e", false),
        ("nul", false),
        ("nulls", false),
        ("NaN", false),
        ("'a'", false),
        ("\"a", false),
        ("\"a\nb\"", false),
        (r#""\x""#, false),
        (r#""\u12g4""#, false),
        (r#""\u12"#, false),
        ("[1,]", false),
        ("[,1]", false),
        ("[1 2]", false),
        ("[1}", false),
        ("[", false),
        ("]", false),
        ("{\"a\":1,}", false),
        ("{\"a\" 1}", false),
        ("{a:1}", false),
        ("{1:1}", false),
        ("{\"a\":}", false),
        ("{]", false),
        ("1 1", false),
        ("[]]", false),
        ("\u{feff}1", false),
        ("\u{a0}1", false),
    ];
    let plain = plain.map(|(text, is_json)| (text.to_owned(), is_json));
    // Where the eight bytes that are read at once begin must not matter.
    let control = (0..40).map(|at| (format!("\"{}\u{1f}{}\"", &long[..at], &long[at..]), false));
    let quote = (0..40).map(|at| (format!("\"{}\"{}\"", &long[..at], &long[at..]), false));
    let end = (0..40).map(|at| (format!("\"{}\"", &long[..at]), true));
    let all = cases
        .into_iter()
        .chain(plain)
        .chain(control)
        .chain(quote)
        .chain(end);
    for (text, is_json) in all {
        let seen = scan(text.as_bytes(), &Looks::default(), &mut |_| {});
        assert_eq!(seen.is_ok(), is_json, "{text:?}");
    }
    assert!(scan(b"\"\xff\"", &Looks::default(), &mut |_| {}).is_err());
}
