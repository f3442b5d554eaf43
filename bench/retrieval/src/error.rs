//! What can go wrong, with where and what would be right.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line that is not what it should be.
    #[error("{path}:{line}: {what}", path = path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong and what would be right.
        what: String,
    },
    /// tantivy could not index or search.
    #[error("tantivy: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    /// SQLite could not index or search.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// An endpoint that cannot be asked at all.
    #[error("{0}")]
    Endpoint(String),
}

impl Error {
    /// For `map_err`: names the file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// A line, counted from 1.
    pub(crate) fn line(path: &Path, line: usize, what: impl ToString) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            what: what.to_string(),
        }
    }
}
