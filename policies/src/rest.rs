//! What is still to come of an answer's body, and what of it is here: for a body that is
//! handed on piece by piece and never held whole.
//!
//! Chunks that came in together are brought together in place, so that what came in with
//! one read goes on in one piece. Not here: reading sockets, and how a piece is framed
//! anew (see [`crate::onward`]).

use crate::answer_head::{Framing, Malformed};
use crate::chunks::{Chunks, Step};
use std::ops::Range;

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// So many bytes.
    Length(u64),
    /// Up to the last chunk.
    Chunks(Chunks),
    /// Up to the end of the connection.
    ToEnd,
}

/// What of a body is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it stands; may be nothing.
    pub body: Range<usize>,
    /// Bytes that are done with once the piece is, its framing among them.
    pub taken: usize,
    /// The body ends with it.
    pub is_last: bool,
}

impl Rest {
    /// All of a body.
    pub fn of(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunks(Chunks::default()),
            Framing::Close => Self::ToEnd,
        }
    }

    /// Takes what of the body is here; `taken` bytes are to be taken off before the next call.
    ///
    /// # Errors
    /// For what are no chunks.
    pub fn piece(&mut self, here: &mut [u8]) -> Result<Piece, Malformed> {
        match self {
            Self::Length(left) => {
                let some = usize::try_from(*left).unwrap_or(usize::MAX).min(here.len());
                *left -= some as u64;
                Ok(Piece {
                    body: 0..some,
                    taken: some,
                    is_last: *left == 0,
                })
            }
            Self::ToEnd => Ok(Piece {
                body: 0..here.len(),
                taken: here.len(),
                is_last: false,
            }),
            Self::Chunks(chunks) => together(chunks, here),
        }
    }

    /// The end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        *self == Self::ToEnd
    }
}

fn together(chunks: &mut Chunks, here: &mut [u8]) -> Result<Piece, Malformed> {
    let (mut body, mut read) = (0..0, 0);
    let is_last = loop {
        match chunks.step(&here[read..]).map_err(|_| Malformed)? {
            Step::Skip(some) => read += some,
            Step::Body(some) => {
                match body.is_empty() {
                    // The first one stays where it is.
                    true => body = read..read + some,
                    false => {
                        here.copy_within(read..read + some, body.end);
                        body.end += some;
                    }
                }
                read += some;
            }
            Step::More => break false,
            Step::End => break true,
        }
    };
    Ok(Piece {
        body,
        taken: read,
        is_last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The pieces of a body that comes in so many bytes at a time, and what is left behind
    /// its end; nothing if it has not ended.
    fn read(
        framing: Framing,
        text: &[u8],
        size: usize,
    ) -> Result<(Vec<String>, Option<usize>), Malformed> {
        let (mut rest, mut here, mut pieces) = (Rest::of(framing), Vec::new(), Vec::new());
        let mut coming = text.chunks(size);
        loop {
            let piece = rest.piece(&mut here)?;
            if !piece.body.is_empty() {
                pieces.push(String::from_utf8_lossy(&here[piece.body]).into_owned());
            }
            here.drain(..piece.taken);
            if piece.is_last {
                return Ok((pieces, Some(here.len() + coming.flatten().count())));
            }
            match coming.next() {
                Some(some) => here.extend_from_slice(some),
                None => return Ok((pieces, rest.ends_with_connection().then_some(0))),
            }
        }
    }

    #[test]
    fn a_body_is_handed_on_as_it_comes_and_to_its_end_only() {
        const CHUNKS: &str = "2\r\nab\r\n3;x=y\r\ncde\r\n1\r\nf\r\n0\r\nT: 1\r\n\r\nmore";
        let pieces = |pieces: &[&str], behind| {
            let pieces = pieces.iter().map(|piece| (*piece).to_owned());
            Ok((pieces.collect::<Vec<_>>(), behind))
        };
        for (framing, text, size, expected) in [
            (Framing::Length(0), "more", 9, pieces(&[], Some(4))),
            (Framing::Length(3), "abcmore", 9, pieces(&["abc"], Some(4))),
            (
                Framing::Length(3),
                "abcmore",
                2,
                pieces(&["ab", "c"], Some(4)),
            ),
            (Framing::Length(3), "ab", 9, pieces(&["ab"], None)),
            (Framing::Close, "abc", 2, pieces(&["ab", "c"], Some(0))),
            (Framing::Close, "", 2, pieces(&[], Some(0))),
            (Framing::Chunked, CHUNKS, 99, pieces(&["abcdef"], Some(4))),
            (
                Framing::Chunked,
                CHUNKS,
                16,
                pieces(&["abcd", "ef"], Some(4)),
            ),
            (Framing::Chunked, "0\r\n\r\n", 1, pieces(&[], Some(0))),
            (
                Framing::Chunked,
                "2\r\nab\r\n0\r\n",
                99,
                pieces(&["ab"], None),
            ),
            (Framing::Chunked, "2\r\nabcd", 99, Err(Malformed)),
            (Framing::Chunked, "zz\r\n", 99, Err(Malformed)),
        ] {
            let got = read(framing, text.as_bytes(), size);
            assert_eq!(got, expected, "{framing:?} {text:?} by {size}");
        }
    }

    proptest! {
        #[test]
        fn chunks_are_put_together_again_however_they_come(
            body in "[a-z]{0,200}",
            chunk in 1usize..40,
            size in 1usize..60,
        ) {
            let mut text = String::new();
            for chunk in body.as_bytes().chunks(chunk) {
                text += &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
            }
            text += "0\r\n\r\nmore";
            let (pieces, behind) = read(Framing::Chunked, text.as_bytes(), size).unwrap();
            prop_assert_eq!((pieces.concat(), behind), (body, Some(4)));
        }
    }
}
