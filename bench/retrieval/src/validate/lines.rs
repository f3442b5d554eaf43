//! On which line each value of a JSON text stands, by JSON pointer.
//!
//! It is for text that serde_json has accepted (and whose depth it has bounded);
//! of other text the places are of no meaning.

use std::collections::HashMap;

/// Where things are.
#[derive(Default)]
pub(crate) struct Places {
    by_pointer: HashMap<String, usize>,
    /// Pointers of keys that an object has more than once.
    pub(crate) twice: Vec<String>,
}

impl Places {
    /// The line, from 1, of a value, or of the nearest one around it.
    pub(crate) fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(&line) = self.by_pointer.get(pointer) {
                return line;
            }
            match pointer.rsplit_once('/') {
                Some((around, _)) => pointer = around,
                None => return 1,
            }
        }
    }
}

/// Looks through `text`.
pub(crate) fn places(text: &str) -> Places {
    let mut scan = Scan {
        text,
        at: 0,
        line: 1,
        places: Places::default(),
    };
    scan.value(String::new());
    scan.places
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    places: Places,
}

impl Scan<'_> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | b',' | b':' => {}
                other => return other,
            }
            self.at += 1;
        }
        0
    }

    fn value(&mut self, pointer: String) {
        let first = self.peek();
        let before = self.places.by_pointer.insert(pointer.clone(), self.line);
        if before.is_some() {
            self.places.twice.push(pointer.clone());
        }
        match first {
            b'{' => self.members(&pointer, b'}'),
            b'[' => self.members(&pointer, b']'),
            b'"' => drop(self.string()),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| ",]}".contains(c) || c.is_whitespace());
                self.at += end.unwrap_or(rest.len());
            }
        }
    }

    fn members(&mut self, pointer: &str, close: u8) {
        self.at += 1;
        let mut index = 0;
        loop {
            match self.peek() {
                0 => return,
                byte if byte == close => break,
                _ if close == b'}' => {
                    let key = self.string().replace('~', "~0").replace('/', "~1");
                    self.value(format!("{pointer}/{key}"));
                }
                _ => self.value(format!("{pointer}/{index}")),
            }
            index += 1;
        }
        self.at += 1;
    }

    /// The string that begins here, without its escapes.
    fn string(&mut self) -> String {
        let rest = &self.text.as_bytes()[self.at..];
        let mut escaped = false;
        let end = rest.iter().skip(1).position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let end = self.at + end.map_or(rest.len(), |end| end + 2);
        let written = &self.text[self.at..end];
        self.at = end;
        serde_json::from_str(written).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_line() {
        let text = "{\n \"a\": [1,\n  {\"b/c\": \"x\\\"}\\n\"}],\n \"\\u0064\":\n null\n}";
        let places = places(text);
        for (pointer, line) in [
            ("", 1),
            ("/a", 2),
            ("/a/0", 2),
            ("/a/1", 3),
            ("/a/1/b~1c", 3),
            ("/d", 5),
            // What is not there is where it is missing.
            ("/a/1/none", 3),
            ("/none/at/all", 1),
        ] {
            assert_eq!(places.line(pointer), line, "{pointer}");
        }
        assert!(places.twice.is_empty());
    }

    #[test]
    fn a_key_twice_is_seen_also_when_escaped() {
        assert_eq!(places(r#"{"a":{"k":1,"\u006b":2}}"#).twice, ["/a/k"]);
        assert!(places(r#"[{"k":1},{"k":2}]"#).twice.is_empty());
    }
}
