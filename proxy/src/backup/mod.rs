//! Backup, restore, and the drill that shows that a restore works.
//!
//! An archive is one `.tar.gz` with `manifest.json` first: the app's SQLite file, the state
//! directory's databases and `sessions.json`, `snapshots/`, and the configuration file.
//! [`take`] writes one, [`drill`] restores one where nobody is and starts a sidecar on it,
//! [`restore`] does it for real. Files with secrets are never in an archive; a configuration
//! file that holds some is, and the archive is its user's alone.
//!
//! Not here: copying archives to another machine, which is what makes them backups.
//!
//! What goes wrong if misused: whoever can write archives can write what is restored; an
//! archive proves that it is whole, not who made it. The app has to be stopped for a restore,
//! since it keeps the file open that is replaced.

mod database;
pub(crate) mod drill;
mod manifest;
mod pack;
mod report;
pub(crate) mod restore;
mod settle;
mod stage;
mod started;
mod swap;
pub(crate) mod take;
mod unpack;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// A time as it stands in names, UTC.
const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

fn stamp(time: OffsetDateTime) -> String {
    // Formatting a valid time into a String cannot fail.
    time.format(STAMP).unwrap_or_default()
}

/// A new directory that its user alone can look into, gone when it is dropped. What is copied
/// into it was readable by few.
fn private_dir(prefix: &str, within: &Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(within)
}

/// The names of the archives in a directory, in no order.
fn archives(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_archive = camarad_policies::backup::stamp_of(&name).is_some();
        if is_archive && entry.file_type()?.is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

/// The newest archive of a directory, by its name.
fn latest(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    let newest = archives(dir)?.into_iter().max();
    Ok(newest.map(|name| dir.join(name)))
}
