//! An incident, told from the logs: lines become counts, counts become a section of
//! Markdown, and the section is put into a file that people write in too.
//!
//! [`Tally`] is told one line after the other and keeps counts, first and last times and
//! a few ids of requests; never a user's or client's id, an address or a token. What it
//! keeps is bounded, whatever the logs hold. It says what the logs say and finds no
//! cause. Lines have to be told whatever their order; those outside of both windows are
//! passed over.

mod durations;
mod merge;
mod render;
mod tally;
mod title;

#[cfg(test)]
mod tests;

pub use merge::{add_follow_up, add_section, has_section};
pub use render::{ACCESS, APPLICATION, AUDIT, LEDGER, SNAPSHOTS, Seen, follow_up, section};
pub use tally::Tally;
pub use title::{LONGEST, NoTitle, Title};

use time::OffsetDateTime;

/// From when to when, both included, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
}

impl Window {
    /// The window that is as long and ends where this one begins.
    pub fn before(self) -> Self {
        let length = self.to_ms.saturating_sub(self.from_ms);
        Self {
            from_ms: self.from_ms.saturating_sub(length),
            to_ms: self.from_ms.saturating_sub(1),
        }
    }

    /// Whether this moment is in it.
    pub fn holds(self, at_ms: i64) -> bool {
        (self.from_ms..=self.to_ms).contains(&at_ms)
    }

    /// The day of its end, `2026-11-26`, UTC.
    pub fn day(self) -> String {
        moment(self.to_ms).date().to_string()
    }
}

/// A moment, UTC; what is out of the range of years is 1970.
fn moment(ms: i64) -> OffsetDateTime {
    let nanos = i128::from(ms) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
