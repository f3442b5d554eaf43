//! What a request's target says by itself, whoever sends it.
//!
//! It follows from the octets of the target and from nothing else, so it may be remembered by
//! them. Nothing of a caller belongs in here.

use crate::path::CanonicalPath;
use crate::query::Query;
use crate::refusal::Refusal;

/// An origin-form target (RFC 9112, section 3.2.1) as it is read; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Canonical path.
    pub path: CanonicalPath,
    /// Its pairs.
    pub query: Query,
}

impl Target {
    /// Reads a target as it stands on the wire.
    ///
    /// Errors with [`Refusal::PathMalformed`] and [`Refusal::QueryMalformed`], the path's first.
    pub fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        let (path, query) = match memchr::memchr(b'?', raw) {
            Some(at) => (&raw[..at], &raw[at + 1..]),
            None => (raw, &raw[raw.len()..]),
        };
        Ok(Self {
            path: CanonicalPath::parse(path)?,
            query: Query::parse(query)?,
        })
    }

    /// Bytes of memory that it takes, about.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.path.as_str().len() + self.query.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_cut_at_the_first_question_mark() {
        for (raw, path, query) in [
            ("/a", "/a", ""),
            ("/a?", "/a", ""),
            ("/%61?b=/?c", "/a", "b=/?c"),
            ("/a%3Fb?c", "/a%3Fb", "c"),
        ] {
            let target = Target::parse(raw.as_bytes()).unwrap();
            let read = (target.path.as_str(), target.query.as_str());
            assert_eq!(read, (path, query), "{raw}");
        }
        for (raw, refusal) in [
            ("", Refusal::PathMalformed),
            ("?a", Refusal::PathMalformed),
            ("a?b=c d", Refusal::PathMalformed),
            ("/a?b=c d", Refusal::QueryMalformed),
        ] {
            assert_eq!(Target::parse(raw.as_bytes()), Err(refusal), "{raw}");
        }
    }
}
