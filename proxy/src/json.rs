//! JSON as the app writes it: sorted keys, ASCII escapes, a final newline.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// The body for a value. Keys are sorted where `serde_json::Map` is, or members stand so.
pub(crate) fn to_body(value: &impl Serialize) -> Bytes {
    let mut out = written(value);
    out.push(b'\n');
    out.into()
}

/// The text of a value, without the newline.
pub(crate) fn to_text(value: &Value) -> String {
    // What is written is ASCII.
    String::from_utf8(written(value)).unwrap_or_default()
}

fn written(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Ascii);
    // Writing plain data into memory cannot fail.
    let _ = value.serialize(&mut serializer);
    out
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        if text.is_ascii() {
            return out.write_all(text.as_bytes());
        }
        for character in text.chars() {
            match character.is_ascii() {
                true => out.write_all(&[character as u8])?,
                false => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_the_app_writes_it() {
        let body = to_body(&json!({"b": "caf\u{e9} \u{1f600}\n", "a": [1, 2.5, null]}));
        assert_eq!(
            &body[..],
            b"{\"a\":[1,2.5,null],\"b\":\"caf\\u00e9 \\ud83d\\ude00\\n\"}\n"
        );
    }
}
