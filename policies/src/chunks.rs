//! A body in chunks (RFC 9112, section 7.1), step by step as it comes in.
//!
//! Extensions and trailers are read past: nobody behind us is told of them, since what
//! goes on has a length. Nothing after a body in chunks is read as another request, so
//! where it ends is no decision about the next one. Not here: reading sockets, limits on
//! the whole body.

use crate::refusal::Refusal;

/// Bytes of a size line with its extensions, and of all trailers, at most.
const MOST_LINE: usize = 4 * 1024;

/// Where in the body we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunks {
    /// Before a size line.
    #[default]
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// Before the line end behind a chunk.
    DataEnd,
    /// Before what follows the last chunk.
    Trailers,
    /// All of it was read.
    End,
}

/// What to do with the bytes that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many are framing.
    Skip(usize),
    /// So many are body.
    Body(usize),
    /// More are needed.
    More,
    /// The body has ended before them.
    End,
}

impl Chunks {
    /// Reads on; what the step says is to be taken off before the next one.
    ///
    /// # Errors
    /// [`Refusal::BodyIncomplete`] for what are no chunks.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let (step, next) = match *self {
            Self::End => (Step::End, Self::End),
            Self::Data(left) => {
                let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let next = match left - some as u64 {
                    0 => Self::DataEnd,
                    left => Self::Data(left),
                };
                match some {
                    0 => (Step::More, *self),
                    some => (Step::Body(some), next),
                }
            }
            Self::DataEnd => match bytes.get(..2) {
                None => (Step::More, *self),
                Some(b"\r\n") => (Step::Skip(2), Self::Size),
                Some(_) => return Err(Refusal::BodyIncomplete),
            },
            Self::Size => match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete((length, size)))
                    if length <= MOST_LINE && is_size_line(&bytes[..length]) =>
                {
                    let next = match size {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                    (Step::Skip(length), next)
                }
                Ok(httparse::Status::Partial) if bytes.len() < MOST_LINE => (Step::More, *self),
                _ => return Err(Refusal::BodyIncomplete),
            },
            Self::Trailers => match end_of_trailers(bytes) {
                Some(end) if end <= MOST_LINE => (Step::Skip(end), Self::End),
                None if bytes.len() < MOST_LINE => (Step::More, *self),
                _ => return Err(Refusal::BodyIncomplete),
            },
        };
        *self = next;
        Ok(step)
    }
}

/// Whether a size stands there, and the line has one end: what is read past in an
/// extension may not end the line for somebody else.
fn is_size_line(line: &[u8]) -> bool {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    text.first().is_some_and(u8::is_ascii_hexdigit) && memchr::memchr2(b'\r', b'\n', text).is_none()
}

/// Up to and including the empty line.
fn end_of_trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body, and what is left behind it; `None` where it has not ended.
    fn read(text: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut chunks, mut body, mut here) = (Chunks::default(), Vec::new(), Vec::new());
        let mut pieces = text.chunks(piece);
        loop {
            match chunks.step(&here)? {
                Step::Skip(some) => drop(here.drain(..some)),
                Step::Body(some) => body.extend(here.drain(..some)),
                Step::End => return Ok(Some((body, here.len() + pieces.flatten().count()))),
                Step::More => match pieces.next() {
                    Some(piece) => here.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn chunks_are_read_to_their_end_and_no_further() {
        let whole = |body: &str, left| Ok(Some((body.as_bytes().to_vec(), left)));
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MOST_LINE));
        let trailers = format!("0\r\nX: {}", "x".repeat(MOST_LINE));
        for (text, expected) in [
            ("0\r\n\r\n", whole("", 0)),
            ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", whole("abcde", 5)),
            ("3;a=b\r\nabc\r\n0\r\nX: y\r\nZ: 1\r\n\r\n", whole("abc", 0)),
            ("A\r\n0123456789\r\n00\r\n\r\n", whole("0123456789", 0)),
            ("", Ok(None)),
            ("3\r\nab", Ok(None)),
            ("3\r\nabc\r\n0\r\n", Ok(None)),
            ("3\r\nabcd\r\n0\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("3\nabc\r\n0\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("-1\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("x\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("\r\n\r\n", Err(Refusal::BodyIncomplete)),
            (";a\r\n\r\n", Err(Refusal::BodyIncomplete)),
            (" 3\r\nabc\r\n0\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("3;a\nb\r\nabc\r\n0\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("3;\n\r\nabc\r\n0\r\n\r\n", Err(Refusal::BodyIncomplete)),
            ("11111111111111111\r\n", Err(Refusal::BodyIncomplete)),
            (&long, Err(Refusal::BodyIncomplete)),
            (&trailers, Err(Refusal::BodyIncomplete)),
        ] {
            for piece in [1, 2, 7, usize::MAX] {
                assert_eq!(
                    read(text.as_bytes(), piece),
                    expected,
                    "{text:.40?} by {piece}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_is_put_together_again(
            body in prop::collection::vec(any::<u8>(), 0..300),
            size in 1usize..40,
            piece in 1usize..50,
        ) {
            let mut text = Vec::new();
            for chunk in body.chunks(size) {
                text.extend(format!("{:x}\r\n", chunk.len()).bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\nrest");
            prop_assert_eq!(read(&text, piece), Ok(Some((body, 4))));
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..9) {
            let _ = read(&bytes, piece);
        }
    }
}
