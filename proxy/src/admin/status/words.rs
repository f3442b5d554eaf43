//! Numbers, times and texts as the status page writes them. Pure.

use camarad_policies::shown::is_odd;

/// A text from outside in one line, and in at most so many bytes of the page, escapes
/// included, and an ellipsis where it is longer. Characters that move a cursor or turn the
/// direction of writing around are blanks. Escaping itself is maud's.
pub(super) fn cut(text: &str, most: usize) -> String {
    // Unicode has characters that are none, which HTML does not allow.
    let is_none = |c: char| (c as u32 & 0xfffe) == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
    let plain = |c: char| match is_odd(c) || is_none(c) {
        true => ' ',
        false => c,
    };
    // As maud writes it.
    let written = |c: char| match c {
        '"' => 6,
        '&' => 5,
        '<' | '>' => 4,
        c => c.len_utf8(),
    };
    let (mut kept, mut room) = (String::new(), most);
    for c in text.chars().map(plain) {
        if written(c) > room {
            // What is left out is not told, but that something is.
            kept.push('…');
            break;
        }
        room -= written(c);
        kept.push(c);
    }
    kept
}

/// `12,345`
pub(super) fn count(number: impl TryInto<u64>) -> String {
    // What is below zero is a gauge read in between.
    let digits = number.try_into().unwrap_or(0u64).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 MiB`
pub(super) fn bytes(number: u64) -> String {
    let mut size = number as f64;
    if number < 1024 {
        return format!("{number} B");
    }
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.1} {unit}")
}

/// `2 d 3 h`, `5 min`, `12 s`
pub(super) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `250 ms`, `2.50 s`
pub(super) fn milliseconds(number: u64) -> String {
    match number {
        0..1000 => format!("{number} ms"),
        _ => format!("{:.2} s", number as f64 / 1000.0),
    }
}

/// `62.5 %`
pub(super) fn share(of_one: f64) -> String {
    format!("{:.1} %", of_one * 100.0)
}

/// An RFC 3339 time in UTC, to the second: `2026-11-26 03:04:05`.
pub(super) fn moment(text: &str) -> String {
    let seconds: String = text.chars().take(19).collect();
    cut(&seconds.replacen('T', " ", 1), 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_stay_in_their_line() {
        for (text, expected) in [
            ("short", "short"),
            ("exactly10!", "exactly10!"),
            ("eleven char", "eleven cha…"),
            ("a\nb\0c\u{202e}d", "a b c d"),
            ("\u{fffe}\u{1ffff}\u{fdd0}x", "   x"),
            ("ăîșțâ ăîșțâ", "ăîșțâ…"),
            ("a<b>\"c\"", "a<b>…"),
            ("\"\"\"", "\"…"),
            ("", ""),
        ] {
            assert_eq!(cut(text, 10), expected);
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        let counts = [0u64, 999, 1000, 12_345, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(count(-3i64), "0");
        let sizes = [0, 1023, 1024, 1536, 5 << 20, 3 << 40, 3000 << 40].map(bytes);
        assert_eq!(
            sizes,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.5 KiB",
                "5.0 MiB",
                "3.0 TiB",
                "3000.0 TiB"
            ]
        );
        let spans = [0, 59, 60, 3599, 3600, 90_000].map(span);
        assert_eq!(
            spans,
            ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"]
        );
        assert_eq!([999, 2500].map(milliseconds), ["999 ms", "2.50 s"]);
        assert_eq!(share(0.625), "62.5 %");
        assert_eq!(moment("2026-11-26T03:04:05.678Z"), "2026-11-26 03:04:05");
        assert_eq!(moment("<"), "<");
    }
}
